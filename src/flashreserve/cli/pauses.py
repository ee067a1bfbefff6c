"""`flashreserve pause` and `resume`: stop the sale of one product, or of all, for a while."""

from collections.abc import Awaitable, Callable

import rich_click as click

from flashreserve.bootstrap import Books, open_books, open_store, steady_clock
from flashreserve.cli.failures import FailedError, InputError
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.cli.option_values import option_value
from flashreserve.core import limits, names
from flashreserve.core.events import BY_COMMAND_LINE
from flashreserve.core.outcomes import Invalid, NotFound, Outcome, Unavailable
from flashreserve.core.words import counted
from flashreserve.http import fields
from flashreserve.service.pauses import SalePause
from flashreserve.settings import Settings
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

_Change = Callable[[Books], Awaitable[SalePause | Outcome]]


@click.command()
@click.argument("product", required=False)
@click.option("--all", "of_all", is_flag=True, help="The sales of all products, and of those that will be made.")
@click.option("--reason", required=True, help="Why: one line, which customers see.")
@with_settings
def pause(settings: Settings, product: str | None, of_all: bool, reason: str) -> None:  # noqa: FBT001
    """Pause the sale of a product, or of all.

    PRODUCT is its id. Reservations under way get five seconds to end; the command says how many haven't, which are
    granted or refused moments later. Holds can still be bought, extended and cancelled.
    """
    product_id = _product_id(product, of_all=of_all)
    why = names.parse_line(reason, "reason", limits.REASON_LENGTH_MAX)
    if isinstance(why, Invalid):
        raise InputError(f"--reason: {why.message}")

    async def change(books: Books) -> SalePause | Outcome:
        if product_id is None:
            return await books.pauses.pause_all(why, BY_COMMAND_LINE)
        return await books.pauses.pause(product_id, why, BY_COMMAND_LINE)

    done = interrupts.run(_change(settings, change))
    click.echo(f"Paused {_sale_of(product_id)}. {_still(done)}")


@click.command()
@click.argument("product", required=False)
@click.option("--all", "of_all", is_flag=True, help="All sales, except those of products that are paused themselves.")
@with_settings
def resume(settings: Settings, product: str | None, of_all: bool) -> None:  # noqa: FBT001
    """Resume the sale of a product, or of all.

    PRODUCT is its id.
    """
    product_id = _product_id(product, of_all=of_all)

    async def change(books: Books) -> SalePause | Outcome:
        if product_id is None:
            return await books.pauses.resume_all(BY_COMMAND_LINE)
        return await books.pauses.resume(product_id, BY_COMMAND_LINE)

    if interrupts.run(_change(settings, change)).paused:
        click.echo(f"Resumed {_sale_of(product_id)}, but all sales are paused: `flashreserve resume --all` ends that.")
    else:
        click.echo(f"Resumed {_sale_of(product_id)}.")


def _product_id(product: str | None, *, of_all: bool) -> str | None:
    """The product's id; None for all products."""
    if (product is None) is not of_all:
        raise click.UsageError("expected either PRODUCT or --all")
    found = option_value(product, fields.Id, "PRODUCT")
    return None if found is None else str(found).lower()


async def _change(settings: Settings, change: _Change) -> SalePause:
    async with open_books(await open_store(settings, create=False), clock=steady_clock(settings)) as books:
        done = await change(books)
    if isinstance(done, SalePause):
        return done
    if isinstance(done, NotFound):
        raise FailedError(f"PRODUCT: there is no product {done.id}; `flashreserve products list` shows all")
    if isinstance(done, Unavailable):
        raise StoreUnavailableError(done.reason)
    raise StoreOutcomeUnknownError("the reply was lost")


def _sale_of(product_id: str | None) -> str:
    return "all sales" if product_id is None else f"the sale of {product_id}"


def _still(done: SalePause) -> str:
    if not done.settling:
        return "No reservation is under way any more."
    verb = "is" if done.settling == 1 else "are"
    return f"{counted(done.settling, 'reservation')} {verb} still under way, and may be granted within moments."
