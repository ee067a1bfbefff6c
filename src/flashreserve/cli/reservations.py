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
from flashreserve.cli.option_values import instant_value, option_value
from flashreserve.cli.progress import progress
from flashreserve.core.model import Status
from flashreserve.files import is_machines_own, is_ours, open_stream
from flashreserve.http import fields
from flashreserve.service.export import reservations_csv
from flashreserve.service.orders import OrderService
from flashreserve.settings import Settings
from flashreserve.stores.filters import ReservationFilter


@click.group()
def reservations() -> None:
    """Export reservations."""


@reservations.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead of standard output; an earlier one is replaced once the new one is whole.",
)
@click.option(
    "--status",
    type=click.Choice([status.value for status in Status], case_sensitive=False),
    help="Only reservations that have this status now.",
)
@click.option("--product", help="Only reservations of the product with this id.")
@click.option("--customer", help="Only reservations of the customer with this id.")
@click.option("--external-id", help="Only reservations with this id of the shop's own.")
@click.option("--from", "since", help="Only reservations made at this time (RFC 3339, with a time zone) or later.")
@click.option("--to", "before", help="Only reservations made before this time.")
@with_settings
def export(
    settings: Settings,
    output: Path | None,
    status: str | None,
    product: str | None,
    customer: str | None,
    external_id: str | None,
    since: str | None,
    before: str | None,
) -> None:
    """Print reservations as CSV, one row for each product of each, oldest first."""
    where = ReservationFilter(
        user_id=option_value(customer, fields.CustomerId, "--customer"),
        product_id=option_value(product, fields.Id, "--product"),
        external_id=option_value(external_id, fields.ExternalId, "--external-id"),
        status=None if status is None else Status(status.upper()),
        since=instant_value(since, "--from"),
        before=instant_value(before, "--to"),
    )
    if output is None:
        interrupts.run(_export(settings, where, sys.stdout.buffer.write, printing=True))
        sys.stdout.buffer.flush()
    else:
        _export_to_file(settings, where, output)


async def _export(
    settings: Settings, where: ReservationFilter, write: Callable[[bytes], object], *, printing: bool = False
) -> None:
    async with open_books(await open_store_to_read(settings), clock=steady_clock(settings)) as books:
        with progress(printing=printing) as count:
            pages: AsyncIterator[bytes] = reservations_csv(books.reservations, OrderService(books.store), where, count)
            async for page in pages:
                write(page)


def _export_to_file(settings: Settings, where: ReservationFilter, output: Path) -> None:
    """Replace the file in one step: a reader sees the earlier one, or all of the new one. Only its owner may read it.

    A link is replaced like a file. Otherwise, the person who set it would choose what is overwritten. Signals leave
    nothing of the new file behind.
    """
    if _is_stream(output):
        with open_stream(output) as stream:
            interrupts.run(_export(settings, where, stream.write))
        return
    with (
        interrupts.held() as hearing_them,
        tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file,
    ):
        fresh = Path(file.name)
        try:
            with hearing_them():
                interrupts.run(_export(settings, where, file.write))
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
