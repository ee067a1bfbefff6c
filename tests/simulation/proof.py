"""The proof: plays seeds on both stores, which must break no rule, and mutants, which must be caught.

python -m tests.simulation.proof               3,000 seeds and five mutants: some minutes
python -m tests.simulation.proof --size full   200,000 seeds and all mutants: hours; it can be stopped and resumed

A full run saves its progress in `.proof/state.json`, and starts again when the code has changed.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Final, NamedTuple, get_args

from tests.simulation.mutants import BUDGET, MUTANTS, catch
from tests.simulation.narration import replay_command
from tests.simulation.script import StoreName
from tests.simulation.seeds import State, load_state, resume, summary
from tests.simulation.sources import digest_of_sources

STATE: Final = Path(".proof") / "state.json"


class Size(NamedTuple):
    """The number of seeds of each store, and of mutants."""

    seeds: int
    mutants: int


SIZES: Final = {"small": Size(1_500, 5), "full": Size(100_000, len(MUTANTS))}


def main(arguments: list[str]) -> int:
    """Run the command; 1 if a rule was broken, or a mutant wasn't caught."""
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
    escaped = _play_mutants(state, size.mutants, path)
    return 1 if violations or escaped else 0


def _play(state: State, store: StoreName, seeds: int, jobs: int, path: Path | None) -> int:
    for part in resume(state, store, 0, seeds, jobs=jobs, stop=False):
        for violation in part.violations:
            _say(f"VIOLATION of {violation['rule']}: {violation['what']}")
            _say(f"again: {replay_command(violation['seed'], store)}")
        if path is not None:
            state.save(path)
    totals = state.totals[store]
    _say(summary(store, totals))
    return len(totals.violations)


def _play_mutants(state: State, mutants: int, path: Path | None) -> int:
    """Play the mutants; the number that weren't caught."""
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
    _say(f"{len(chosen) - missed} of {len(chosen)} mutants caught, each within {BUDGET} seeds")
    return missed


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
