"""The proof, small or full: seeds on both stores without a violation, and mistakes that would have been noticed.

python -m tests.simulation.proof               thousands of seeds, five mistakes: some minutes
python -m tests.simulation.proof --size full   200,000 seeds, all mistakes: hours; stop it any time, and go on with it

A full run keeps what it has done in `.proof/state.json`, and begins anew when the code has changed.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Final, NamedTuple, get_args

from tests.simulation.mutants import BUDGET, MUTANTS, catch
from tests.simulation.narration import replay_command
from tests.simulation.script import StoreName
from tests.simulation.seeds import State, digest_of_sources, go_on, load_state, summary

STATE: Final = Path(".proof") / "state.json"


class Size(NamedTuple):
    """Seeds of each store, and how many mistakes."""

    seeds: int
    mutants: int


SIZES: Final = {"small": Size(1_500, 5), "full": Size(100_000, len(MUTANTS))}


def main(arguments: list[str]) -> int:
    """Run the command; 1 where a promise was broken, or a mistake not noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.proof", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--state", type=Path, default=STATE)
    given = parser.parse_args(arguments)
    size = SIZES[given.size]
    path = given.state if given.size == "full" else None
    sources = digest_of_sources()
    state = load_state(path, sources) if path is not None else State(sources=sources)
    _say(f"{given.size} proof of the sources {sources}")
    violations = sum(_play(state, store, size.seeds, given.jobs, path) for store in get_args(StoreName))
    escaped = _make_mistakes(state, size.mutants, path)
    return 1 if violations or escaped else 0


def _play(state: State, store: StoreName, seeds: int, jobs: int, path: Path | None) -> int:
    for part in go_on(state, store, 0, seeds, jobs=jobs, stop=False):
        for violation in part.violations:
            _say(f"VIOLATION of {violation['rule']}: {violation['what']}")
            _say(f"again: {replay_command(violation['seed'], store)}")
        if path is not None:
            state.save(path)
    totals = state.totals[store]
    _say(summary(store, totals))
    return len(totals.violations)


def _make_mistakes(state: State, mutants: int, path: Path | None) -> int:
    """How many were not caught."""
    chosen = MUTANTS[:mutants]
    for store, mutant in chosen:
        if mutant.name not in state.caught:
            caught = catch(mutant, store)
            if caught.seed is not None:
                state.caught[mutant.name] = (caught.seed, caught.rule)
            if path is not None:
                state.save(path)
        seed, rule = state.caught.get(mutant.name, (None, "NOT CAUGHT"))
        _say(f"{store:7} {f'seed {seed} ({rule})' if seed is not None else rule:28} {mutant.name}")
    missed = sum(mutant.name not in state.caught for _, mutant in chosen)
    _say(f"{len(chosen) - missed} of {len(chosen)} mistakes caught, each within {BUDGET} seeds")
    return missed


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
