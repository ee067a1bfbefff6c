"""What can be said about a database server without changing anything."""

import msgspec

from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.documents import INDEXES
from flashreserve.stores.port import StoreUnavailableError


class Inspection(msgspec.Struct, frozen=True):
    """A server's state.

    `topology` is what it is part of, in words. `fault` says which index is missing or differs; `products` is false
    where there is nothing yet at all. `oldest_movement_at` is when the oldest movement not yet finished began, in UTC
    milliseconds, as `now_ms` is the server's time of day.
    """

    version: str
    topology: str
    now_ms: int
    products: bool
    fault: str
    oldest_movement_at: int | None


async def inspect_mongo(url: str) -> Inspection:
    """Look at the database that the URL names.

    Raises:
        StoreUnavailableError: the server can't be reached.
    """
    database = PymongoDatabase(url)
    try:
        found = await database.find("products", {}, fields={"_id": 1}, most=1)
        oldest = await database.find(
            "products", {"intents.at": {"$gt": 0}}, fields={"intents.at": 1}, order=[("intents.at", 1)], most=1
        )
        return Inspection(
            version=await database.version(),
            topology=await database.topology(),
            now_ms=await database.now_ms(),
            products=bool(found),
            fault=await _index_fault(database),
            oldest_movement_at=min((intent["at"] for each in oldest for intent in each["intents"]), default=None),
        )
    finally:
        await database.close()


async def _index_fault(database: PymongoDatabase) -> str:
    try:
        await database.ensure_indexes(INDEXES, create=False)
    except StoreUnavailableError as error:
        return str(error)
    return ""
