"""Measure FlashReserve, the bare server and the peers, on this machine and with one load generator.

The cases of a section take turns, round by round, so that a slow minute affects all of them. At the end every shop is
audited: its figures count only if the audit is clean and every granted reservation exists.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from bench.backends import Servers
from bench.batches import measure_batches
from bench.browser import measure_browser
from bench.deliveries import measure_deliveries
from bench.figures import Section, load_figures, save_figures
from bench.memory import measure_memory
from bench.quotas import measure_quotas
from bench.sections import SECTIONS, BenchPlan, measure
from bench.streams import measure_streams

from bench import report, shops

OTHERS: Final[dict[str, Callable[[BenchPlan, Servers], Section]]] = {
    "batches": measure_batches,
    "deliveries": measure_deliveries,
    "quotas": measure_quotas,
    "memory": measure_memory,
    "streams": measure_streams,
    "browser": measure_browser,
}
"""Sections that are measured without a load on a shop's HTTP, or in another way."""

NAMES: Final = (*SECTIONS, *OTHERS)
SIZES: Final = {"small": (2.0, 3, 200_000), "full": (10.0, 5, 10_000_000)}
"""Seconds per round, rounds per case, and reservations in the filled database."""


def main() -> None:
    """Measure the chosen sections, print the tables, and save the figures if asked to."""
    asked = _parser().parse_args()
    shops.log_to_stderr()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # The exit stops the servers.
    seconds, rounds, rows = SIZES[asked.size]
    seconds, rounds, rows = asked.seconds or seconds, asked.rounds or rounds, asked.rows or rows
    found = load_figures(report.FIGURES) if asked.write or asked.render else {}
    if not asked.render:
        for name, section in _measure(asked.only or list(NAMES), seconds, rounds, rows, asked.data_dir):
            found[name] = section
            if asked.write:
                save_figures(found, report.FIGURES)
    if asked.write or asked.render:
        report.write(found)
    print(msgspec.json.encode(found).decode() if asked.json else report.terminal(found))
    if any(measured.void for section in found.values() for measured in section.cases.values()):
        sys.exit("an audit is not clean: its figures are void")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", choices=NAMES, metavar="SECTION", help=f"sections to measure, of: {', '.join(NAMES)}"
    )
    parser.add_argument("--size", choices=list(SIZES), default="small", help="defaults of the next three options")
    parser.add_argument("--seconds", type=_positive, help="duration of a round (small: 2; full: 10)")
    parser.add_argument("--rounds", type=_count, help="rounds of each case (small: 3; full: 5)")
    parser.add_argument(
        "--rows", type=_count, help="reservations in the filled database (small: 200,000; full: 10,000,000)"
    )
    parser.add_argument("--data-dir", type=Path, help="directory for the databases (default: a temporary one)")
    parser.add_argument("--write", action="store_true", help="save the figures and write them to docs/performance.md")
    parser.add_argument("--render", action="store_true", help="measure nothing; write docs/performance.md again")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser


def _positive(text: str) -> float:
    if float(text) < 1:
        raise argparse.ArgumentTypeError("expected a second or more")
    return float(text)


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("expected 1 or more")
    return int(text)


def _measure(
    names: list[str], seconds: float, rounds: int, rows: int, data_dir: Path | None
) -> Iterator[tuple[str, Section]]:
    with Servers() as servers:
        for name in names:
            with tempfile.TemporaryDirectory(dir=data_dir, prefix="flashreserve-bench-") as directory:
                plan = BenchPlan(seconds, rounds, Path(directory), rows)
                yield name, OTHERS[name](plan, servers) if name in OTHERS else measure(name, plan, servers)


if __name__ == "__main__":
    main()
