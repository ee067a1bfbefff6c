"""Progress of a long command, on standard error: a moving line on a terminal, and the rate at the end."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Final

import rich_click as click

from flashreserve.clock import SystemClock
from flashreserve.core.words import counted

LONG_S: Final = 10.0
"""A command that took longer prints its rate at the end, even without a terminal."""

Count = Callable[[int], None]
"""Called with the number of reservations done so far."""


@contextlib.contextmanager
def progress(*, printing: bool = False) -> Iterator[Count]:
    """Show how many reservations are done, meanwhile and at the end; nothing at the end of a failure.

    `printing` says that rows go to standard output meanwhile. On the same terminal they would mix with the line.
    """
    watched = sys.stderr.isatty() and not (printing and sys.stdout.isatty())
    clock, done = SystemClock(), 0
    began_s = clock.monotonic()
    with _line() if watched else contextlib.nullcontext(_unseen) as show:

        def count(so_far: int) -> None:
            nonlocal done
            done = so_far
            show(so_far)

        yield count
    took_s = clock.monotonic() - began_s
    if watched or took_s >= LONG_S:
        rate = f"{done / took_s:,.0f} a second" if took_s else "at once"
        click.echo(f"{counted(done, 'reservation')} in {took_s:.1f} s, {rate}.", err=True)


def _unseen(_: int) -> None:
    """Show nothing: there is no terminal."""


@contextlib.contextmanager
def _line() -> Iterator[Count]:
    # Imported where used: it takes a tenth of a second.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,} reservations"),
        TaskProgressColumn(show_speed=True),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None)
        yield lambda so_far: shown.update(task, completed=so_far)
