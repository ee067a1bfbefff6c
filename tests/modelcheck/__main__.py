"""Explore configurations of the real MongoDB store. Its code runs, call by call, on a database in memory.

python -m tests.modelcheck              all of them, each until it is exhausted or has three million states: two hours
python -m tests.modelcheck k1 n3        some of them by name
python -m tests.modelcheck --list       their names and purposes
"""

import argparse
import sys
from collections.abc import Sequence

from model.explorer import Exploration, explore
from tests.modelcheck.code_space import CodeSpace
from tests.modelcheck.configurations import CONFIGURATIONS
from tests.modelcheck.shop import CodeConfiguration
from tests.modelcheck.store_seam import bounds

STATES_MAX = 3_000_000
SECONDS_MAX = 3_600.0


def run(arguments: Sequence[str]) -> int:
    """Run the command. Returns 1 if a promise was broken, 2 if no configuration has such a name, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.modelcheck", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--states", type=int, default=STATES_MAX, help="explore at most so many states of each")
    parser.add_argument("--seconds", type=float, default=SECONDS_MAX, help="and at most for so long")
    parser.add_argument("--brief", action="store_true", help="don't show how a violation comes about")
    parser.add_argument("--list", action="store_true", help="explore nothing; say what each is for")
    given = parser.parse_args(arguments)
    unknown = set(given.names) - {each.name for each in CONFIGURATIONS}
    if unknown:
        parser.error(f"there is no configuration {', '.join(sorted(unknown))}; --list names them")
    chosen = [each for each in CONFIGURATIONS if not given.names or each.name in given.names]
    violations = 0
    for each in chosen:
        if given.list:
            _say(f"{each.name:4} {each.purpose}")
            continue
        found = explore_code(each, given.states, given.seconds)
        violations += found.violation is not None
        figures = f"{found.states:>9} states {found.transitions:>10} transitions {found.seconds:7.1f} s"
        _say(f"{each.name:4} {each.purpose[:80]:80} {figures}  {found.verdict}")
        if not given.brief:
            for place, event in enumerate(found.trace, 1):
                _say(f"    {place:>3}. {event}")
    _say(f"{len(chosen)} configurations, {violations} violations")
    return 1 if violations else 0


def explore_code(configuration: CodeConfiguration, states_max: int, seconds_max: float) -> Exploration:
    """Explore a configuration, with its lowered bounds."""
    with bounds(configuration.setting.bounds):
        return explore(CodeSpace(configuration.setting), states_max, seconds_max)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
