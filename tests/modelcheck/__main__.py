"""Explore configurations of the real MongoDB store.

python -m tests.modelcheck              all of them, each until it is exhausted or has three million states: two hours
python -m tests.modelcheck k1 n3        some of them, by their names' first words
"""

import argparse
import sys

from tests.modelcheck.configurations import Run, main


def run(arguments: list[str]) -> int:
    """Run the command; 1 where a promise was broken, 2 where no configuration has such a name."""
    parser = argparse.ArgumentParser(prog="python -m tests.modelcheck", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*")
    parser.add_argument("--states", type=int, default=3_000_000, help="explore at most so many states of each")
    parser.add_argument("--seconds", type=float, default=3_600, help="and at most for so long")
    parser.add_argument("--brief", action="store_true", help="don't show how a violation comes about")
    given = parser.parse_args(arguments)
    Run.which, Run.states_max, Run.seconds_max, Run.show = given.names, given.states, given.seconds, not given.brief
    main()  # type: ignore[no-untyped-call]
    sys.stdout.write(f"{Run.ran} configurations, {Run.violations} violations\n")
    if not Run.ran:
        return 2
    return 1 if Run.violations else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
