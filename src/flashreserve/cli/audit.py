"""`flashreserve audit`: proves that nothing was oversold and nothing leaked."""

from typing import Final

import msgspec
import rich_click as click

from flashreserve.bootstrap import open_store_to_read
from flashreserve.cli.failures import Exit
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.cli.progress import progress
from flashreserve.core.audits import Audit
from flashreserve.core.words import counted
from flashreserve.http.audit_views import AuditView, audit_view
from flashreserve.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
@with_settings
def audit(settings: Settings, as_json: bool) -> int:  # noqa: FBT001 - click passes by name
    """Check every product's stock against its reservations, on the live database.

    Exit code 0 if all books balance, 1 if some don't, 3 if they could not be read, or not at one instant.
    """
    found = audit_view(interrupts.run(_audit(settings)))
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
