"""Opening a database: what is made, what is checked, and what is said when it can't be used."""

import pytest
from tests.core.examples import CUP, a_product
from tests.servers.mongodb import free_port

from flashreserve.clock import SystemIds
from flashreserve.stores.mongo import MongoStore, open_mongo
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.documents import INDEXES
from flashreserve.stores.port import StoreUnavailableError

pytestmark = pytest.mark.mongodb


async def test_where_no_server_answers_it_says_so() -> None:
    with pytest.raises(StoreUnavailableError):
        await open_mongo(f"mongodb://127.0.0.1:{free_port()}/shop", SystemIds(), create=True)


@pytest.mark.parametrize("url", ["mongodb://", "mongodb://host:port/db", "nonsense", "mongodb://h/?w=1&bad%"])
async def test_a_url_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(StoreUnavailableError, match="URL"):
        await open_mongo(url, SystemIds(), create=True)


async def test_without_leave_nothing_is_created(url: str, database: PymongoDatabase) -> None:
    with pytest.raises(StoreUnavailableError, match="missing"):
        await open_mongo(url, SystemIds(), create=False)
    assert await database._database.list_collection_names() == []


async def test_what_was_made_once_can_be_opened_without_making(url: str, store: MongoStore) -> None:
    await store.add_products([a_product()])
    reader = await open_mongo(url, SystemIds(), create=False)
    assert await reader.product(CUP) == a_product()
    await reader.close()


async def test_an_index_that_differs_is_refused(url: str, store: MongoStore, database: PymongoDatabase) -> None:
    reservations = database._database["reservations"]
    await reservations.drop_index("claims")
    await reservations.create_index([("user_id", 1), ("claims", 1)], name="claims")
    for create in (True, False):
        with pytest.raises(StoreUnavailableError):
            await open_mongo(url, SystemIds(), create=create)


async def test_every_index_is_there(store: MongoStore, database: PymongoDatabase) -> None:
    await database.ensure_indexes(INDEXES, create=False)


async def test_an_index_that_differs_is_named_with_how_it_differs_and_what_to_do(
    url: str, database: PymongoDatabase
) -> None:
    await database._database["reservations"].create_index([("user_id", 1), ("claims", 1)], name="claims")
    with pytest.raises(StoreUnavailableError) as raised:
        await open_mongo(url, SystemIds(), create=True)
    said = str(raised.value)
    assert "the index claims of reservations differs: it is on (user_id, claims), expected unique on" in said
    assert "drop it with db.reservations.dropIndex('claims')" in said
