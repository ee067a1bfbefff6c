"""`flashreserve products`: imports and lists products."""

from typing import Final

import msgspec
import rich_click as click

from flashreserve.bootstrap import open_books, open_store, open_store_to_read, steady_clock
from flashreserve.cli.failures import InputError
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.cli.product_file import FILE_BYTES_MAX, LineFault, ProductFileError, Row, read_products
from flashreserve.cli.words import counted
from flashreserve.core import limits
from flashreserve.core.instants import format_instant
from flashreserve.core.model import Product
from flashreserve.core.money import format_price
from flashreserve.http import views
from flashreserve.logs import printable
from flashreserve.settings import Settings

_ROW: Final = "{:36}  {:>10}  {:>10}  {:>16}  {:24}  {:24}  {}"


@click.group()
def products() -> None:
    """Import and list products."""


@products.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@with_settings
def import_(settings: Settings, file: str) -> None:
    """Make all products of a CSV file, or none if a line of it is wrong.

    Columns: name, price, stockQuantity; if wanted currency, saleStartsAt, saleEndsAt, perCustomerLimit, holdSeconds,
    maxExtensions. FILE may be - for standard input. Importing a file twice makes its products twice.
    """
    try:
        with click.open_file(file, "rb") as stream:
            rows = read_products(stream.read(FILE_BYTES_MAX + 1), settings.hold_s)
        made = interrupts.run(_import(settings, rows))
    except ProductFileError as error:
        _tell("standard input" if file == "-" else printable(file), error)
        raise InputError("nothing was imported") from error
    click.echo(f"Made {counted(made, 'product')}.")


def _tell(name: str, error: ProductFileError) -> None:
    for fault in error.faults:
        click.echo(f"{name}, {printable(str(fault))}", err=True)
    if error.more:
        click.echo(f"{name}: there are more faults than these", err=True)


async def _import(settings: Settings, rows: list[Row]) -> int:
    async with open_books(await open_store(settings, create=True), clock=steady_clock(settings)) as books:
        made = await books.catalogue.create_all([row.product for row in rows])
    if isinstance(made, tuple):
        place, refusal = made
        raise ProductFileError([LineFault.of(rows[place].line, refusal)])
    return len(made)


@products.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print each product as a JSON object, one a line.")
@with_settings
def list_(settings: Settings, as_json: bool) -> None:  # noqa: FBT001 - click passes by name
    """Print all products, oldest first."""
    interrupts.run(_list(settings, as_json=as_json))


async def _list(settings: Settings, *, as_json: bool) -> None:
    async with open_books(await open_store_to_read(settings), clock=steady_clock(settings)) as books:
        if not as_json:
            click.echo(_ROW.format("ID", "AVAILABLE", "STOCKED", "PRICE", "SALE STARTS", "SALE ENDS", "NAME"))
        after: str | None = None
        while page := await books.catalogue.products(after, limits.PAGE_MAX):
            click.echo("\n".join(map(_json if as_json else _row, page)))
            after = page[-1].id


def _json(product: Product) -> str:
    return msgspec.json.encode(views.product_view(product)).decode()


def _row(product: Product) -> str:
    return _ROW.format(
        product.id,
        product.available,
        product.stocked,
        f"{format_price(product.price, product.currency)} {product.currency}",
        _instant(product.sale_starts_at),
        _instant(product.sale_ends_at),
        printable(product.name),
    )


def _instant(ms: int | None) -> str:
    return "-" if ms is None else format_instant(ms)
