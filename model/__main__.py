"""Explore the models of the MongoDB protocols.

python -m model                     the small configurations
python -m model --size full         all of them
python -m model --trace NAME …      some of them by name; and how a violation comes about
python -m model --list              their names and purposes
python -m model --table             print results as rows of README.md
"""

import argparse
import sys
from collections.abc import Sequence

from model.configuration import Configuration
from model.configurations import CONFIGURATIONS
from model.explorer import Exploration, explore

STATES_MAX = 20_000_000
SECONDS_MAX = 7_200.0


def run(arguments: Sequence[str]) -> int:
    """Run the command; 1 where a configuration didn't come out as expected, 2 where there is none of such a name."""
    parser = argparse.ArgumentParser(prog="python -m model", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--size", choices=("small", "full"), default="small", help="which to explore without names")
    parser.add_argument("--states", type=int, default=STATES_MAX, help="explore at most so many states of each")
    parser.add_argument("--seconds", type=float, default=SECONDS_MAX, help="and at most for so long")
    parser.add_argument("--trace", action="store_true", help="show how each violation comes about, expected or not")
    parser.add_argument("--table", action="store_true", help="print rows of README.md")
    parser.add_argument("--list", action="store_true", help="explore nothing; say what each is for")
    given = parser.parse_args(arguments)
    unknown = set(given.names) - {each.name for each in CONFIGURATIONS}
    if unknown:
        parser.error(f"there is no configuration {', '.join(sorted(unknown))}; --list names them")
    chosen = [each for each in CONFIGURATIONS if _is_chosen(each, given.names, given.size)]
    wrong = 0
    for each in chosen:
        if given.list:
            _say(f"{each.name:42} {each.purpose}")
            continue
        found = explore(each.space(), given.states, given.seconds)
        right = is_as_expected(each, found)
        wrong += not right
        _say(_row(each, found) if given.table else _line(each, found, right=right))
        if given.trace or not right:
            _say_trace(found)
    _say(f"{len(chosen)} configurations, {wrong} not as expected")
    return 1 if wrong else 0


def is_as_expected(configuration: Configuration, found: Exploration) -> bool:
    """Whether the right violation was found, or none in any state."""
    if configuration.expected is None:
        return found.exhausted and found.violation is None
    return found.violation is not None and found.violation.startswith(configuration.expected)


def _is_chosen(configuration: Configuration, names: Sequence[str], size: str) -> bool:
    return configuration.name in names if names else size in {"full", configuration.size}


def _line(configuration: Configuration, found: Exploration, *, right: bool) -> str:
    mark = "as expected" if right else "NOT AS EXPECTED"
    figures = f"{found.states:>9,} states {found.transitions:>11,} transitions {found.seconds:7.1f} s"
    return f"{configuration.name:42} {figures}  {mark}: {found.verdict}"


def _row(configuration: Configuration, found: Exploration) -> str:
    lost, verdict = configuration.setting.losses, found.verdict.partition(", after a late")[0]
    return f"| `{configuration.name}` | {configuration.purpose} | {lost} | {found.states:,} | {verdict} |"


def _say_trace(found: Exploration) -> None:
    for place, event in enumerate(found.trace, 1):
        _say(f"    {place:>3}. {event}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
