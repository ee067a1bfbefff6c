"""Opening a database: creating indexes, checking them, and the messages if it can't be used."""

import pytest
from tests.core.examples import CUP, a_product
from tests.servers.mongodb import free_port

from flashreserve.clock import SystemIds
from flashreserve.stores.mongo import MongoStore, open_mongo
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.documents import INDEXES
from flashreserve.stores.mongo.version import USABLE_FROM, VERSION
from flashreserve.stores.port import StoreUnavailableError

pytestmark = pytest.mark.mongodb


async def test_where_no_server_answers_it_says_so() -> None:
    with pytest.raises(StoreUnavailableError):
        await open_mongo(f"mongodb://127.0.0.1:{free_port()}/shop", SystemIds(), create=True)


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://",
        "mongodb://host:port/db",
        "nonsense",
        "mongodb://h/?w=1&bad%",
        "mongodb://h/db?server_api=1",
        "mongodb://h/db?driver=x",
        "mongodb://h/db?zlibCompressionLevel=x",
        "mongodb://h/db?datetime_conversion=x",
        "mongodb://h/db?tlsCAFile=/nowhere",
    ],
)
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


async def set_version(database: PymongoDatabase, version: object, usable_from: object) -> None:
    change = {"$set": {"version": version, "usable_from": usable_from}}
    await database.update_many("meta", {"_id": "schema"}, change)


async def test_a_database_of_the_next_version_is_used_where_that_allows_it(
    url: str, store: MongoStore, database: PymongoDatabase
) -> None:
    await store.add_products([a_product()])
    await set_version(database, VERSION + 1, VERSION)
    for create in (False, True):
        older = await open_mongo(url, SystemIds(), create=create)
        assert await older.product(CUP) == a_product()
        await older.close()
    (noted,) = await database.find("meta", {})
    assert noted["version"] == VERSION + 1


async def test_a_database_of_the_version_before_is_read_and_raised_by_whoever_may_write(
    url: str, store: MongoStore, database: PymongoDatabase
) -> None:
    await set_version(database, VERSION - 1, 0)
    await (await open_mongo(url, SystemIds(), create=False)).close()
    assert (await database.find("meta", {}))[0]["version"] == VERSION - 1
    await (await open_mongo(url, SystemIds(), create=True)).close()
    assert (await database.find("meta", {}))[0]["version"] == VERSION


@pytest.mark.parametrize(
    ("version", "usable_from", "said"),
    [
        (VERSION + 2, VERSION + 1, f"version {VERSION + 1} or later can use; this one's is {VERSION}"),
        (VERSION - 2, VERSION - 3, f"reads version {VERSION - 1} or later"),
        ("one", None, "can't be read: expected the numbers"),
    ],
)
@pytest.mark.parametrize("create", [True, False])
async def test_a_database_of_another_version_is_refused_in_words(
    url: str,
    store: MongoStore,
    database: PymongoDatabase,
    version: object,
    usable_from: object,
    said: str,
    create: bool,  # noqa: FBT001 - pytest's own
) -> None:
    await set_version(database, version, usable_from)
    with pytest.raises(StoreUnavailableError, match=said):
        await open_mongo(url, SystemIds(), create=create)


async def test_a_database_without_a_version_is_noted_only_by_whoever_may_write(
    url: str, store: MongoStore, database: PymongoDatabase
) -> None:
    await database._database["meta"].delete_many({})
    with pytest.raises(StoreUnavailableError, match="version isn't noted; start `flashreserve serve`"):
        await open_mongo(url, SystemIds(), create=False)
    await (await open_mongo(url, SystemIds(), create=True)).close()
    await (await open_mongo(url, SystemIds(), create=False)).close()


async def test_whether_writing_works_is_tried_by_a_write(store: MongoStore, database: PymongoDatabase) -> None:
    await store.check_writable()
    await store.check_writable()
    assert (await database.find("meta", {}))[0]["touched"] == 2


async def test_no_program_from_before_events_and_pauses_may_work_on_a_database_once_a_writer_has_opened_it(
    url: str, store: MongoStore, database: PymongoDatabase
) -> None:
    await set_version(database, 2, 2)
    await (await open_mongo(url, SystemIds(), create=True)).close()
    (noted,) = await database.find("meta", {})
    assert (noted["version"], noted["usable_from"]) == (VERSION, USABLE_FROM)
    assert noted["usable_from"] >= 3, "programs of version 2 would sell paused products, and record no events"
