"""What was measured, as it is kept in a file, and what can be reckoned from it."""

import statistics
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from bench.load import Result

_UNEXPECTED_MAX: Final = 0.001
_LATE_MAX: Final = 0.01


class Spread(NamedTuple):
    """The median of several rounds, with the lowest and the highest."""

    median: float
    low: float
    high: float


class Measured(msgspec.Struct):
    """The rounds of one case.

    Attributes:
        refusing: the right answer is a refusal.
        void: why these are no figures, such as books that don't balance; empty if they are.
        connections: that the load came over.
    """

    shop: str
    connections: int
    refusing: bool = False
    rounds: list[Result] = []
    void: str = ""

    def fault(self) -> str:
        """Why these are no figures: see `void`; or the answers were not the expected ones; or none came."""
        if self.void or not self.rounds:
            return self.void or "nothing was measured"
        if not all(each.answers for each in self.rounds):
            return "a round came to its end without one answer"
        answers = sum(each.answers for each in self.rounds)
        refused = sum(each.refused for each in self.rounds)
        wrong = (answers - refused if self.refusing else refused) + sum(each.errors for each in self.rounds)
        return (
            f"{wrong:,} of {answers:,} answers were not the expected ones" if wrong > answers * _UNEXPECTED_MAX else ""
        )

    def late(self) -> str:
        """That the server did not bear the rate: many requests found no free connection when their moment came."""
        share = max((each.late_share for each in self.rounds), default=0.0)
        return f"{share:.0%} of the requests sent late" if share > _LATE_MAX else ""


class Section(msgspec.Struct):
    """One sitting: cases that were measured in turn, on the same servers.

    Attributes:
        when: UTC, RFC 3339.
        conditions: on what, by name.
        missing: why a case could not be measured, by its name.
        audits: what each shop's audit said.
        kib: sizes in KiB, by what they are of.
    """

    when: str
    seconds: float
    rounds: int
    conditions: dict[str, str]
    cases: dict[str, Measured] = {}
    missing: dict[str, str] = {}
    audits: dict[str, str] = {}
    kib: dict[str, float] = {}


Figures = dict[str, Section]
"""The latest sitting of each section, by its name."""


def load_figures(path: Path) -> Figures:
    """What is kept in the file; nothing if there is none."""
    return msgspec.json.decode(path.read_bytes(), type=Figures) if path.exists() else {}


def save_figures(figures: Figures, path: Path) -> None:
    """Keep them, sections in the order of their names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = msgspec.json.format(msgspec.json.encode(dict(sorted(figures.items()))), indent=1)
    path.write_bytes(kept + b"\n")


def spread_of(values: list[float]) -> Spread:
    """Median, lowest and highest."""
    return Spread(statistics.median(values), min(values), max(values))


def per_second(measured: Measured) -> Spread:
    """Answers a second."""
    return spread_of([each.per_second for each in measured.rounds])


def p50_ms(measured: Measured) -> Spread:
    """Half of the answers took at most this."""
    return spread_of([each.p50_ms for each in measured.rounds])


def p99_ms(measured: Measured) -> Spread:
    """99 of 100 answers took at most this."""
    return spread_of([each.p99_ms for each in measured.rounds])


def ratio(measured: Measured, reference: Measured) -> Spread:
    """Answers a second as a share of the reference's, round by round: those were measured within seconds."""
    pairs = zip(measured.rounds, reference.rounds, strict=True)
    return spread_of([each.per_second / other.per_second for each, other in pairs])


def why_missing(figures: Figures, section: str, case: str) -> str:
    """Why there is no figure for the case; empty if there is one."""
    sitting = figures.get(section)
    if sitting is None:
        return "not run"
    if case not in sitting.cases:
        return sitting.missing.get(case, "not run")
    fault = sitting.cases[case].fault()
    return f"void: {fault}" if fault else ""
