"""Factories of the stores for the contract suite. A new kind of store needs a factory in `FACTORIES`."""

from pathlib import Path
from typing import ClassVar, Final, Protocol

import apsw
import pytest
from msgspec.structs import replace
from tests.mongo.factory import MongoFactory

from flashreserve.core.quotas import NO_QUOTAS, Quotas
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import Store
from flashreserve.stores.sqlite import SqliteStore, open_sqlite
from flashreserve.stores.sqlite.connection import connect
from flashreserve.stores.sqlite.schema import migrate
from flashreserve.stores.sqlite.writer import InlineWriter


class StoreFactory(Protocol):
    """Makes stores on one database, which is empty at first and removed after the test.

    `durable`: the data remains after closing and opening again. `shared`: several stores, like those of several
    processes, may be open on the database at the same time. `baskets_at_once`: the products of a basket change at one
    instant; without it they change one after the other, so a reader may see a basket half taken. `marks` are pytest's
    marks for the tests on this kind.
    """

    name: ClassVar[str]
    durable: ClassVar[bool]
    shared: ClassVar[bool]
    baskets_at_once: ClassVar[bool]
    marks: ClassVar[tuple[pytest.MarkDecorator, ...]]

    def __init__(self, directory: Path) -> None: ...

    async def open(self, quotas: Quotas = NO_QUOTAS, *, logs_grants: bool = False) -> Store:
        """Open a store on the database, or one more if it is shared."""
        ...

    async def misplace_units(self, product_id: str, units: int) -> None:
        """Subtract units from the product's `available`, without the stores."""
        ...

    async def discard(self) -> None:
        """Close every store and remove the database."""
        ...


class MemoryFactory:
    """The reference store."""

    name: ClassVar = "memory"
    durable: ClassVar = False
    shared: ClassVar = False
    baskets_at_once: ClassVar = True
    marks: ClassVar[tuple[pytest.MarkDecorator, ...]] = ()

    def __init__(self, directory: Path) -> None:
        self._store = MemoryStore()

    async def open(self, quotas: Quotas = NO_QUOTAS, *, logs_grants: bool = False) -> Store:
        self._store._quotas = quotas
        self._store._logs_grants = logs_grants
        return self._store

    async def misplace_units(self, product_id: str, units: int) -> None:
        product = self._store._products[product_id]
        self._store._products[product_id] = replace(product, available=product.available - units)

    async def discard(self) -> None:
        await self._store.close()


class SqliteFactory:
    """SQLite as the service runs it: with threads."""

    name: ClassVar = "sqlite"
    durable: ClassVar = True
    shared: ClassVar = True
    baskets_at_once: ClassVar = True
    marks: ClassVar[tuple[pytest.MarkDecorator, ...]] = ()

    def __init__(self, directory: Path) -> None:
        self._path = directory / "flashreserve.db"
        self._stores: list[Store] = []

    async def open(self, quotas: Quotas = NO_QUOTAS, *, logs_grants: bool = False) -> Store:
        self._stores.append(self._open(self._path, quotas, logs_grants=logs_grants))
        return self._stores[-1]

    def _open(self, path: Path, quotas: Quotas, *, logs_grants: bool) -> Store:
        return open_sqlite(path, create=True, quotas=quotas, logs_grants=logs_grants)

    async def misplace_units(self, product_id: str, units: int) -> None:
        connection = apsw.Connection(str(self._path))
        connection.execute("UPDATE products SET available = available - ? WHERE id = ?", (units, product_id))
        connection.close()

    async def discard(self) -> None:
        for store in self._stores:
            await store.close()


class InlineSqliteFactory(SqliteFactory):
    """SQLite as the simulation runs it: on the caller's thread."""

    name: ClassVar = "sqlite-inline"

    def _open(self, path: Path, quotas: Quotas, *, logs_grants: bool) -> Store:
        writer = connect(path, "create")
        migrate(writer)
        reader = InlineWriter(connect(path, "read"))
        return SqliteStore(InlineWriter(writer), reader, quotas=quotas, logs_grants=logs_grants)


FACTORIES: Final[list[type[StoreFactory]]] = [MemoryFactory, SqliteFactory, InlineSqliteFactory, MongoFactory]
