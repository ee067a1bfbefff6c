"""`flashreserve products`: imports and lists products."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NoReturn

import msgspec
import rich_click as click
from msgspec.structs import replace

from flashreserve.bootstrap import open_books, open_store, open_store_to_read, steady_clock
from flashreserve.cli.failures import FailedError, InputError
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.cli.option_values import option_value
from flashreserve.cli.product_file import FILE_BYTES_MAX, LineFault, ProductFileError, Row, read_products
from flashreserve.core import limits
from flashreserve.core.instants import format_instant
from flashreserve.core.model import Product
from flashreserve.core.money import format_price
from flashreserve.core.outcomes import Invalid, RulesFixed
from flashreserve.core.words import counted
from flashreserve.http import fields, views
from flashreserve.logs import printable
from flashreserve.service.catalogue import Put, ShownProduct
from flashreserve.service.imports import ImportRefused, ProductImport
from flashreserve.settings import Settings
from flashreserve.stores.filters import ProductFilter
from flashreserve.stores.port import StoreUnavailableError

_DONE: Final = "{:9}  {}  {}  {}"
_ROW: Final = "{:36}  {:>10}  {:>10}  {:>16}  {:24}  {:24}  {}"


@click.group()
def products() -> None:
    """Import and list products."""


@products.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@with_settings
def import_(settings: Settings, file: str) -> None:
    """Make the products of a CSV file, or change those that exist, by their externalId.

    All lines are checked first: if one is wrong, nothing is imported (exit code 2). Only a perCustomerLimit that can't
    be lowered any more, because the product was reserved, may be noticed when a part is imported already (exit code 1).
    Correct the line then, and import the file again.

    Columns: name, price, stockQuantity; if wanted currency, saleStartsAt, saleEndsAt, perCustomerLimit, holdSeconds,
    maxExtensions, externalId, description, imageUrl, and metadata.KEY for any key. FILE may be - for standard input.

    An existing product keeps its stock, and everything for which the file has no column. Importing a file twice
    changes nothing, but makes products without externalId twice.
    """
    name = "standard input" if file == "-" else printable(file)
    try:
        with click.open_file(file, "rb") as stream:
            rows = read_products(stream.read(FILE_BYTES_MAX + 1), settings.hold_s)
        done = interrupts.run(_import(settings, rows))
    except ProductFileError as error:
        _tell(name, error)
        raise InputError("nothing was imported") from error
    if isinstance(done, ImportRefused):
        _refuse(name, rows[done.place].line, done)
    _print(name, rows, done)


def _refuse(name: str, line: int, refused: ImportRefused) -> NoReturn:
    if not isinstance(refused.refusal, Invalid | RulesFixed):
        if refused.begun:
            raise FailedError(f"a part was imported, and line {line} couldn't be; import the file again")
        raise StoreUnavailableError(f"line {line} couldn't be imported; import the file again")
    _tell(name, ProductFileError([LineFault.of(line, refused.refusal)]))
    if refused.begun:
        raise FailedError("a part was imported; correct the line and import the file again")
    raise InputError("nothing was imported")


def _tell(name: str, error: ProductFileError) -> None:
    for fault in error.faults:
        click.echo(f"{name}, {printable(str(fault))}", err=True)
    if error.more:
        click.echo(f"{name}: there are more faults than these", err=True)


async def _import(settings: Settings, rows: list[Row]) -> list[Put] | ImportRefused:
    async with open_books(await open_store(settings, create=True), clock=steady_clock(settings)) as books:
        return await ProductImport(books.catalogue, books.store).run([row.product for row in rows])


def _print(name: str, rows: Sequence[Row], done: Sequence[Put]) -> None:
    """Print each product with what was done, and the sums. A stock that the import leaves as it is gets a notice."""
    for row, put in zip(rows, done, strict=True):
        product = put.shown.product
        line = _DONE.format(put.change, product.id, printable(product.external_id or "-"), printable(product.name))
        click.echo(line if product.archived_at is None else f"{line}  (archived: not sold)")
        if row.product.new.stocked != product.stocked:
            click.echo(f"{name}, {printable(_stock_left(row, product))}", err=True)
    counts = Counter(put.change for put in done)
    click.echo(
        f"Made {counted(counts['made'], 'product')}, changed {counts['changed']}, left {counts['unchanged']} unchanged."
    )


def _stock_left(row: Row, product: Product) -> str:
    return (
        f"line {row.line}: stockQuantity {row.product.new.stocked} is not applied: {product.external_id} has"
        f" {product.stocked} stocked; restock by POST /products/{product.id}/stock"
    )


@products.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print each product as a JSON object, one a line.")
@click.option("--external-id", help="Only the product with this id of the shop's own.")
@click.option("--archived/--not-archived", default=None, help="Only archived products, or only the others.")
@click.option("--on-sale/--not-on-sale", default=None, help="Only products whose sale is on now, or only the others.")
@with_settings
def list_(
    settings: Settings,
    as_json: bool,  # noqa: FBT001 - click passes by name
    external_id: str | None,
    archived: bool | None,  # noqa: FBT001
    on_sale: bool | None,  # noqa: FBT001
) -> None:
    """Print all products, or those that the options ask for, oldest first."""
    own = option_value(external_id, fields.ExternalId, "--external-id")
    interrupts.run(_list(settings, ProductFilter(own, archived), on_sale=on_sale, as_json=as_json))


async def _list(settings: Settings, where: ProductFilter, *, on_sale: bool | None, as_json: bool) -> None:
    async with open_books(await open_store_to_read(settings), clock=steady_clock(settings)) as books:
        if on_sale is not None:
            now_ms = books.clock.now_ms()
            where = replace(where, **{"on_sale_at" if on_sale else "off_sale_at": now_ms})
        if not as_json:
            click.echo(_ROW.format("ID", "AVAILABLE", "STOCKED", "PRICE", "SALE STARTS", "SALE ENDS", "NAME"))
        beyond: str | None = None
        while True:
            found, beyond = await books.catalogue.search(where, beyond, limits.PAGE_MAX)
            for shown in found:
                click.echo(_json(shown) if as_json else _row(shown))
            if beyond is None:
                break


def _json(shown: ShownProduct) -> str:
    return msgspec.json.encode(views.product_view(shown)).decode()


def _row(shown: ShownProduct) -> str:
    product = shown.product
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
