"""Products and their details in the database file."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import apsw
from msgspec.structs import replace
from typing_extensions import override

from flashreserve.core.events import BY_COMMAND_LINE
from flashreserve.core.model import DetailsEdit, Product, ProductDetails
from flashreserve.core.trail import creation_event, shop_paused
from flashreserve.stores.filters import ProductFilter, ProductsFound
from flashreserve.stores.outages import after_a_change
from flashreserve.stores.port import CatalogueStore
from flashreserve.stores.sqlite import rows
from flashreserve.stores.sqlite.columns import DETAILS, PRODUCTS
from flashreserve.stores.sqlite.events import record
from flashreserve.stores.sqlite.search import search_products
from flashreserve.stores.sqlite.transactions import SqliteTransactions, execute_all
from flashreserve.stores.unreadable import UnreadableError

_PAUSED_AT_ONCE: Final = 1_000
"""Products that are paused or resumed in one transaction, so that other writes don't wait long."""


class SqliteCatalogue(SqliteTransactions, CatalogueStore):
    """Its methods are documented in `flashreserve.stores.port`."""

    @override
    async def add_products(self, products: Sequence[Product], by: str = BY_COMMAND_LINE) -> None:
        def add(connection: apsw.Connection) -> None:
            added = _paused_as_all(connection, products)
            execute_all(connection, rows.INSERT_PRODUCT, [PRODUCTS.values(product) for product in added])
            record(connection, [creation_event(product, by) for product in added])

        await self._write(add)

    @override
    async def product(self, product_id: str) -> Product | None:
        found = await self.products([product_id])
        return found[0] if found else None

    @override
    async def products(self, product_ids: Sequence[str]) -> list[Product]:
        return await self._read_products(rows.SELECT_PRODUCTS, rows.to_json(product_ids))

    @override
    async def add_each(self, products: Sequence[Product], by: str = BY_COMMAND_LINE) -> list[bool]:
        def add(connection: apsw.Connection) -> list[bool]:
            added = []
            for product in _paused_as_all(connection, products):
                connection.execute(rows.INSERT_PRODUCT_UNLESS_TAKEN, PRODUCTS.values(product))
                added.append(connection.changes() == 1)
                if added[-1]:
                    record(connection, [creation_event(product, by)])
            return added

        return await self._write(add)

    @override
    async def pause_all(self, reason: str, by: str, at: int) -> None:
        await self._pause_all(reason, by, at)

    @override
    async def resume_all(self, by: str, at: int) -> None:
        await self._pause_all(None, by, at)

    async def _pause_all(self, reason: str | None, by: str, at: int) -> None:
        """Pause or resume some products in each transaction. The first also decides how new ones are added.

        If somebody else pauses or resumes all sales meanwhile, the rest is theirs: the later one wins on all products.
        """

        def begin(connection: apsw.Connection) -> tuple[int, str | None]:
            version: int = connection.execute(rows.UPDATE_SHOP_PAUSE, (reason,)).get
            return version, pause(connection, version, "")

        def pause(connection: apsw.Connection, version: int, after: str) -> str | None:
            if connection.execute(rows.SELECT_PAUSE_VERSION).get != version:
                return None
            found = connection.execute(rows.SELECT_OTHERWISE_PAUSED, (after, reason, _PAUSED_AT_ONCE))
            changed = [shop_paused(PRODUCTS.struct(row), reason, at, by) for row in found.fetchall()]
            execute_all(connection, rows.UPDATE_PRODUCT, [PRODUCTS.values(product) for product, _ in changed])
            record(connection, [event for _, event in changed])
            return changed[-1][0].id if len(changed) == _PAUSED_AT_ONCE else None

        version, after = await self._write(begin)
        with after_a_change():
            while after is not None:
                after = await self._write(partial(pause, version=version, after=after))

    @override
    async def shop_pause(self) -> str | None:
        reason: str | None = await self._read(lambda connection: connection.execute(rows.SELECT_SHOP_PAUSE).get)
        return reason

    @override
    async def settling(self, product_id: str | None) -> int:
        return 0

    @override
    async def products_by_external_id(self, external_ids: Sequence[str]) -> list[Product]:
        return await self._read_products(rows.SELECT_BY_EXTERNAL_ID, rows.to_json(external_ids))

    @override
    async def set_details(self, details: Mapping[str, ProductDetails]) -> None:
        values = [(id_, *DETAILS.values(each)) for id_, each in details.items()]
        await self._write(lambda connection: execute_all(connection, rows.REPLACE_DETAILS, values))

    @override
    async def edit_details(self, product_id: str, edit: DetailsEdit) -> ProductDetails:
        def change(connection: apsw.Connection) -> ProductDetails:
            # One transaction reads and writes, and the file has one writer at a time.
            after = edit.apply(_details(connection, [product_id]).get(product_id, ProductDetails()))
            connection.execute(rows.REPLACE_DETAILS, (product_id, *DETAILS.values(after)))
            return after

        return await self._write(change)

    @override
    async def details(self, product_ids: Sequence[str]) -> dict[str, ProductDetails]:
        return await self._read(lambda connection: _details(connection, product_ids))

    @override
    async def search_products(self, where: ProductFilter, beyond: str | None, most: int) -> ProductsFound:
        return await self._read(lambda connection: search_products(connection, where, beyond, most))

    async def _read_products(self, sql: str, *values: str | int | None) -> list[Product]:
        return await self._read(lambda connection: [PRODUCTS.struct(row) for row in connection.execute(sql, values)])


def _paused_as_all(connection: apsw.Connection, products: Sequence[Product]) -> list[Product]:
    """The new products with the reason for which all sales are paused, if they are."""
    reason = connection.execute(rows.SELECT_SHOP_PAUSE).get
    return [replace(product, shop_pause_reason=reason) for product in products]


def _details(connection: apsw.Connection, product_ids: Sequence[str]) -> dict[str, ProductDetails]:
    readable: dict[str, ProductDetails] = {}
    for id_, *row in connection.execute(rows.SELECT_DETAILS, (rows.to_json(product_ids),)):
        with suppress(UnreadableError):  # left out, as if it had none
            readable[str(id_)] = DETAILS.struct(row)
    return readable
