"""Products and their details in the database file."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import apsw
from typing_extensions import override

from flashreserve.core.model import DetailsEdit, Product, ProductDetails
from flashreserve.stores.filters import ProductFilter, ProductsFound
from flashreserve.stores.port import CatalogueStore
from flashreserve.stores.sqlite import rows
from flashreserve.stores.sqlite.columns import DETAILS, PRODUCTS
from flashreserve.stores.sqlite.search import search_products
from flashreserve.stores.sqlite.transactions import SqliteTransactions, execute_all
from flashreserve.stores.unreadable import UnreadableError


class SqliteCatalogue(SqliteTransactions, CatalogueStore):
    """Its methods are documented in `flashreserve.stores.port`."""

    @override
    async def add_products(self, products: Sequence[Product]) -> None:
        values = [PRODUCTS.values(product) for product in products]
        await self._write(lambda connection: execute_all(connection, rows.INSERT_PRODUCT, values))

    @override
    async def product(self, product_id: str) -> Product | None:
        found = await self.products([product_id])
        return found[0] if found else None

    @override
    async def products(self, product_ids: Sequence[str]) -> list[Product]:
        return await self._read_products(rows.SELECT_PRODUCTS, rows.to_json(product_ids))

    @override
    async def add_each(self, products: Sequence[Product]) -> list[bool]:
        def add(connection: apsw.Connection) -> list[bool]:
            added = []
            for product in products:
                connection.execute(rows.INSERT_PRODUCT_UNLESS_TAKEN, PRODUCTS.values(product))
                added.append(connection.changes() == 1)
            return added

        return await self._write(add)

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


def _details(connection: apsw.Connection, product_ids: Sequence[str]) -> dict[str, ProductDetails]:
    readable: dict[str, ProductDetails] = {}
    for id_, *row in connection.execute(rows.SELECT_DETAILS, (rows.to_json(product_ids),)):
        with suppress(UnreadableError):  # left out, as if it had none
            readable[str(id_)] = DETAILS.struct(row)
    return readable
