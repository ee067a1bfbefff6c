"""`flashreserve reservations`: exports reservations as CSV, for shipping."""

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import rich_click as click

from flashreserve.bootstrap import open_books, open_store_to_read, steady_clock
from flashreserve.cli.failures import InputError
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.cli.progress import progress
from flashreserve.files import is_machines_own, is_ours, open_stream
from flashreserve.service.export import reservations_csv
from flashreserve.settings import Settings


@click.group()
def reservations() -> None:
    """Export reservations."""


@reservations.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead of standard output; an earlier one is replaced once the new one is whole.",
)
@with_settings
def export(settings: Settings, output: Path | None) -> None:
    """Print all reservations as CSV, one row for each product of each, oldest first."""
    if output is None:
        interrupts.run(_export(settings, sys.stdout.buffer.write, printing=True))
        sys.stdout.buffer.flush()
    else:
        _export_to_file(settings, output)


async def _export(settings: Settings, write: Callable[[bytes], object], *, printing: bool = False) -> None:
    async with open_books(await open_store_to_read(settings), clock=steady_clock(settings)) as books:
        with progress(printing=printing) as count:
            pages: AsyncIterator[bytes] = reservations_csv(books.reservations, count)
            async for page in pages:
                write(page)


def _export_to_file(settings: Settings, output: Path) -> None:
    """Replace the file in one step: a reader sees the earlier one, or all of the new one. Only its owner may read it.

    A link is replaced like a file. Otherwise, the person who set it would choose what is overwritten. Signals leave
    nothing of the new file behind.
    """
    if _is_stream(output):
        with open_stream(output) as stream:
            interrupts.run(_export(settings, stream.write))
        return
    with (
        interrupts.held() as hearing_them,
        tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file,
    ):
        fresh = Path(file.name)
        try:
            with hearing_them():
                interrupts.run(_export(settings, file.write))
            file.flush()
            os.fsync(file.fileno())
            fresh.replace(output)
        except BaseException:
            fresh.unlink()
            raise


def _is_stream(output: Path) -> bool:
    """Whether to write to the path instead of replacing it: a device or pipe that nobody else put there."""
    if is_machines_own(output):
        return True
    if not os.path.lexists(output) or output.is_symlink() or output.is_file():
        return False
    if not is_ours(output):
        raise InputError(f"{output}: expected a file, or a device or pipe that is yours")
    return True
