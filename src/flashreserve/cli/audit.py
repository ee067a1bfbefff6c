"""`flashreserve audit`: proves that nothing was oversold and nothing leaked."""

from typing import Final

import msgspec
import rich_click as click

from flashreserve.bootstrap import open_store_to_read
from flashreserve.cli.failures import Exit
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.cli.progress import progress
from flashreserve.core.words import counted
from flashreserve.settings import Settings
from flashreserve.stores.port import Audit, Difference


class DifferenceView(msgspec.Struct, frozen=True, rename="camel"):
    """A product whose books don't balance; `available` should be `expected`."""

    product_id: str
    stocked: int
    available: int
    live: int
    moving: int
    expected: int


class SetAsideView(msgspec.Struct, frozen=True, rename="camel"):
    """Something that can't be read, and why."""

    kind: str
    id: str
    why: str


class AuditView(msgspec.Struct, frozen=True, rename="camel"):
    """The JSON of `audit --json`. `clean` is true only if everything was read and all books balance.

    `unreadable` counts the reservations and products that can't be read, or whose product isn't there; `set_aside`
    names the first of them.
    """

    clean: bool
    complete: bool
    products: int
    reservations: int
    differences: list[DifferenceView]
    unreadable: int
    set_aside: list[SetAsideView]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
@with_settings
def audit(settings: Settings, as_json: bool) -> int:  # noqa: FBT001 - click passes by name
    """Check every product's stock against its reservations, on the live database.

    Exit code 0 if all books balance, 1 if some don't, 3 if they could not be read, or not at one instant.
    """
    found = view_of(interrupts.run(_audit(settings)))
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        _tell(found)
    if found.differences:
        return Exit.FAILED
    return Exit.DONE if found.complete else Exit.NO_VERDICT


async def _audit(settings: Settings) -> Audit:
    store = await open_store_to_read(settings)
    try:
        with progress() as count:
            return await store.audit(count)
    finally:
        await store.close()


def view_of(found: Audit) -> AuditView:
    """The findings in the form in which they are printed."""
    return AuditView(
        clean=found.complete and not found.differences and not found.unreadable,
        complete=found.complete and not found.unreadable,
        products=found.products,
        reservations=found.reservations,
        differences=[_difference_view(each) for each in found.differences],
        unreadable=found.unreadable,
        set_aside=[SetAsideView(each.kind, each.id, each.why) for each in found.set_aside],
    )


def _difference_view(book: Difference) -> DifferenceView:
    return DifferenceView(
        product_id=book.product_id,
        stocked=book.stocked,
        available=book.available,
        live=book.live,
        moving=book.moving,
        expected=book.stocked - book.live - book.moving,
    )


_ROW: Final = "{:36}  {:>10}  {:>14}  {:>11}  {:>10}  {:>10}  {}"


def _tell(found: AuditView) -> None:
    click.echo(f"{counted(found.products, 'product')}, {counted(found.reservations, 'reservation')}.")
    if found.differences:
        click.echo(_ROW.format("PRODUCT", "STOCKED", "HELD OR BOUGHT", "IN MOVEMENT", "EXPECTED", "AVAILABLE", ""))
        for each in found.differences:
            click.echo(
                _ROW.format(
                    each.product_id,
                    each.stocked,
                    each.live,
                    each.moving,
                    each.expected,
                    each.available,
                    "oversold" if each.available > each.expected else "leaked",
                )
            )
        click.echo(f"The books of {counted(len(found.differences), 'product')} don't balance.")
    elif found.complete:
        click.echo("All books balance: nothing oversold, nothing leaked.")
    if found.unreadable:
        click.echo(f"{found.unreadable} can't be read, and are in no sum:", err=True)
        for bad in found.set_aside:
            click.echo(f"  {bad.kind} {bad.id}: {bad.why}", err=True)
    elif not found.complete:
        click.echo(
            "Some products' stock moved all the time, so that they couldn't be read at one instant; try again.",
            err=True,
        )
