"""MongoDB stores for tests, each test on a database of its own."""

from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import pytest
from tests.servers.mongodb import require_mongodb

from flashreserve.clock import SystemIds
from flashreserve.core.quotas import NO_QUOTAS, Quotas
from flashreserve.stores.mongo import open_mongo
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.port import Store


class MongoFactory:
    """The contract suite's factory; see `tests.contract.factories.StoreFactory`."""

    name: ClassVar = "mongodb"
    durable: ClassVar = True
    shared: ClassVar = True
    baskets_at_once: ClassVar = False
    marks: ClassVar[tuple[pytest.MarkDecorator, ...]] = (pytest.mark.mongodb,)

    def __init__(self, directory: Path) -> None:
        self.url = f"{require_mongodb()}test-{uuid4().hex}"
        self._stores: list[Store] = []

    async def open(self, quotas: Quotas = NO_QUOTAS, *, logs_grants: bool = False) -> Store:
        store = await open_mongo(self.url, SystemIds(), create=True, quotas=quotas, logs_grants=logs_grants)
        self._stores.append(store)
        return self._stores[-1]

    async def misplace_units(self, product_id: str, units: int) -> None:
        database = PymongoDatabase(self.url)
        await database.find_one_and_update("products", {"_id": product_id}, {"$inc": {"available": -units}})
        await database.close()

    async def discard(self) -> None:
        for store in self._stores:
            await store.close()
        await drop(self.url)


async def drop(url: str) -> None:
    """Drop the database that the URL names."""
    database = PymongoDatabase(url)
    await database._client.drop_database(database._database.name)
    await database.close()
