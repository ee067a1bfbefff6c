"""Plays one seed, or many seeds.

python -m tests.simulation --seed 7 --store mongo             one seed, with its history
python -m tests.simulation --seed 7 --store mongo --shrink    the shortest script that still fails
python -m tests.simulation --seeds 0-2000 --jobs 2            many seeds of both stores
python -m tests.simulation --seeds 0-100000 --state FILE      the same, resumable after a stop
"""

import argparse
import sys
from pathlib import Path
from typing import cast, get_args

from tests.simulation.narration import replay_command, tell
from tests.simulation.play import play, quietly
from tests.simulation.script import StoreName, draw
from tests.simulation.seeds import State, load_state, resume, summary
from tests.simulation.shrinker import shrink
from tests.simulation.sources import digest_of_sources


def main(arguments: list[str]) -> int:
    """Run the command; 1 if a rule was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds", default="0-1000", help="from-to, the last one left out")
    parser.add_argument("--store", choices=[*get_args(StoreName), "both"], default="both")
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--stop", action="store_true", help="at the first violation")
    given = parser.parse_args(arguments)
    stores = get_args(StoreName) if given.store == "both" else (given.store,)
    if given.seed is not None:
        return max(_play_one(given.seed, store, shorter=given.shrink) for store in stores)
    first, _, end = given.seeds.partition("-")
    return max(
        _play_many(cast("StoreName", store), int(first), int(end), given.jobs, given.state, stop=given.stop)
        for store in stores
    )


def _play_one(seed: int, store: StoreName, *, shorter: bool) -> int:
    with quietly():
        script = draw(seed, store)
        played = shrink(script) if shorter else play(script)
    _say(tell(played))
    return 1 if played.violations else 0


def _play_many(store: StoreName, first: int, end: int, jobs: int, path: Path | None, *, stop: bool) -> int:
    state = load_state(path, digest_of_sources()) if path is not None else State()
    for part in resume(state, store, first, end, jobs=jobs, stop=stop):
        for violation in part.violations:
            _say(f"VIOLATION of {violation['rule']}: {violation['what']}")
            _say(f"again: {replay_command(violation['seed'], store)}")
        if path is not None:
            state.save(path)
    totals = state.totals[store]
    _say(summary(store, totals))
    return 1 if totals.violations else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
