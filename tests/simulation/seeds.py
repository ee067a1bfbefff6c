"""Runs of many seeds, in several processes, and their totals. A run can be stopped and resumed."""

import gc
import json
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from tests.simulation.play import play, quietly
from tests.simulation.script import FAULTS_MIN, OPERATIONS, StoreName, draw

CHUNK: Final = 50
VIOLATIONS_MAX: Final = 100


class Totals(msgspec.Struct):
    """The results of many seeds. `full` counts those with all the operations and faults that a seed should have."""

    seeds: int = 0
    full: int = 0
    operations: int = 0
    virtual_s: float = 0.0
    faults: dict[str, int] = {}
    answers: dict[str, int] = {}
    violations: list[dict[str, Any]] = []

    def add(self, other: "Totals") -> None:
        """Add the totals of another part."""
        self.seeds += other.seeds
        self.full += other.full
        self.operations += other.operations
        self.virtual_s += other.virtual_s
        self.faults = dict(Counter(self.faults) + Counter(other.faults))
        self.answers = dict(Counter(self.answers) + Counter(other.answers))
        self.violations = [*self.violations, *other.violations][:VIOLATIONS_MAX]


class State(msgspec.Struct):
    """The progress of a run: by store, the first seed that hasn't been played yet, and the totals of those before.

    `sources` is the digest of the played code. `caught` holds, by mutant, the seed that caught it and the broken rule.
    """

    sources: str = ""
    next_seed: dict[str, int] = {}
    totals: dict[str, Totals] = {}
    caught: dict[str, tuple[int, str]] = {}

    def save(self, path: Path) -> None:
        """Write the state to the file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(msgspec.to_builtins(self), indent=1), encoding="utf-8")
        fresh.replace(path)


def load_state(path: Path, sources: str) -> State:
    """The state in the file; a new one if there is none, or if the code has changed."""
    if path.exists():
        state = msgspec.json.decode(path.read_bytes(), type=State)
        if state.sources == sources:
            return state
    return State(sources=sources)


Part = tuple[StoreName, int, int, bool]
"""A store, the first seed, the end (left out), and whether to stop at the first violation."""


def play_part(part: Part) -> Totals:
    """Play the seeds one after the other."""
    store, first, end, stop = part
    totals = Totals()
    with quietly():
        for seed in range(first, end):
            played = play(draw(seed, store))
            answers = Counter(getattr(record, "answer", None) for record in played.history)
            del answers[None]
            totals.add(
                Totals(
                    seeds=1,
                    full=played.operations >= OPERATIONS and sum(played.faults.values()) >= FAULTS_MIN,
                    operations=played.operations,
                    virtual_s=played.seconds,
                    faults=dict(played.faults),
                    answers={str(answer): count for answer, count in answers.items()},
                    violations=[
                        {"seed": seed, "store": store, "rule": violation.rule, "what": violation.what}
                        for violation in played.violations[:3]
                    ],
                )
            )
            if stop and totals.violations:
                break
    gc.collect()
    return totals


def play_seeds(store: StoreName, first: int, end: int, *, jobs: int = 1, stop: bool = False) -> Iterator[Totals]:
    """The totals of each part, in order. With `stop`, a part with a violation is the last."""
    parts: list[Part] = [(store, start, min(start + CHUNK, end), stop) for start in range(first, end, CHUNK)]
    if jobs == 1:
        for part in parts:
            totals = play_part(part)
            yield totals
            if stop and totals.violations:
                return
        return
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=40) as pool:
        for totals in pool.imap(play_part, parts):
            yield totals
            if stop and totals.violations:
                pool.terminate()
                return


def resume(state: State, store: StoreName, first: int, end: int, *, jobs: int, stop: bool) -> Iterator[Totals]:
    """Play the seeds that the state doesn't have yet, and add them to it; yields the totals of each part."""
    start = max(first, state.next_seed.get(store, first))
    totals = state.totals.setdefault(store, Totals())
    for part in play_seeds(store, start, end, jobs=jobs, stop=stop):
        totals.add(part)
        start += part.seeds
        state.next_seed[store] = start
        yield part


def summary(store: str, totals: Totals) -> str:
    """The totals in words."""
    faults = ", ".join(f"{kind} {count}" for kind, count in sorted(totals.faults.items()))
    return (
        f"{store}: {totals.seeds} seeds, {totals.full} of them with all their operations and faults: "
        f"{totals.operations} operations, {totals.virtual_s / 3600:.1f} virtual hours, "
        f"{sum(totals.faults.values())} faults, {len(totals.violations)} violations\n  faults: {faults}"
    )
