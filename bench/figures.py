"""The figures as stored in a file, and the values computed from them."""

import statistics
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from bench.load import Result

_UNEXPECTED_MAX: Final = 0.001
_LATE_MAX: Final = 0.01


class Spread(NamedTuple):
    """The median, the lowest and the highest value of several rounds."""

    median: float
    low: float
    high: float


class CaseFigures(msgspec.Struct):
    """The rounds of one case.

    Attributes:
        connections: the number of connections of the load.
        refusing: the expected answer is a refusal.
        void: why the figures don't count, such as books that don't balance; empty if they do.
    """

    shop: str
    connections: int
    refusing: bool = False
    rounds: list[Result] = []
    void: str = ""

    def fault(self) -> str:
        """Why the figures don't count: `void`, or too many unexpected answers, or a round without an answer."""
        if self.void or not self.rounds:
            return self.void or "nothing was measured"
        if not all(each.answers for each in self.rounds):
            return "a round ended without an answer"
        answers = sum(each.answers for each in self.rounds)
        refused = sum(each.refused for each in self.rounds)
        wrong = (answers - refused if self.refusing else refused) + sum(each.errors for each in self.rounds)
        return (
            f"{wrong:,} of {answers:,} answers were not the expected ones" if wrong > answers * _UNEXPECTED_MAX else ""
        )

    def late(self) -> str:
        """A note that the server didn't keep up with the rate: many requests found no free connection in time."""
        share = max((each.late_share for each in self.rounds), default=0.0)
        return f"{share:.0%} of the requests sent late" if share > _LATE_MAX else ""


class Section(msgspec.Struct):
    """A run of one section: cases that were measured in turn, on the same servers.

    Attributes:
        when: the beginning, UTC, RFC 3339.
        conditions: the machine, versions and the like, by name.
        missing: why a case could not be measured, by its name.
        audits: the summary of each shop's audit.
        kib: sizes in KiB, by name.
    """

    when: str
    seconds: float
    rounds: int
    conditions: dict[str, str]
    cases: dict[str, CaseFigures] = {}
    missing: dict[str, str] = {}
    audits: dict[str, str] = {}
    kib: dict[str, float] = {}


Figures = dict[str, Section]
"""The latest run of each section, by its name."""


def load_figures(path: Path) -> Figures:
    """The figures in the file; empty if there is none."""
    return msgspec.json.decode(path.read_bytes(), type=Figures) if path.exists() else {}


def save_figures(figures: Figures, path: Path) -> None:
    """Write the figures to the file, sections in the order of their names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = msgspec.json.format(msgspec.json.encode(dict(sorted(figures.items()))), indent=1)
    path.write_bytes(kept + b"\n")


def spread_of(values: list[float]) -> Spread:
    """The median, the lowest and the highest of the values."""
    return Spread(statistics.median(values), min(values), max(values))


def per_second(measured: CaseFigures) -> Spread:
    """Answers per second."""
    return spread_of([each.per_second for each in measured.rounds])


def p50_ms(measured: CaseFigures) -> Spread:
    """The median latency."""
    return spread_of([each.p50_ms for each in measured.rounds])


def p99_ms(measured: CaseFigures) -> Spread:
    """The 99th percentile of the latency."""
    return spread_of([each.p99_ms for each in measured.rounds])


def server_us(measured: CaseFigures) -> Spread | None:
    """The server's processor time for each answer, in microseconds; None if it wasn't measured in every round."""
    times_us = [each.server_us for each in measured.rounds]
    return spread_of(times_us) if times_us and all(times_us) else None


def ratio(measured: CaseFigures, reference: CaseFigures) -> Spread:
    """Answers per second as a ratio to the reference's, by round: the two of a round are measured within seconds."""
    pairs = zip(measured.rounds, reference.rounds, strict=True)
    return spread_of([each.per_second / other.per_second for each, other in pairs])


def processor_ratio(measured: CaseFigures, reference: CaseFigures) -> float | None:
    """The server's processor time for each answer as a ratio to the reference's: the median of the rounds' ratios."""
    if server_us(measured) is None or server_us(reference) is None:
        return None
    pairs = zip(measured.rounds, reference.rounds, strict=True)
    return spread_of([each.server_us / other.server_us for each, other in pairs]).median


def why_missing(figures: Figures, section: str, case: str) -> str:
    """Why there is no figure for the case; empty if there is one."""
    sitting = figures.get(section)
    if sitting is None:
        return "not run"
    if case not in sitting.cases:
        return sitting.missing.get(case, "not run")
    fault = sitting.cases[case].fault()
    return f"void: {fault}" if fault else ""
