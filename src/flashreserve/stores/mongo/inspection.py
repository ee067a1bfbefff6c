"""Inspection of a database server, without changing anything."""

from typing import Final

import msgspec

from flashreserve.calls import PATIENT_S, patience
from flashreserve.core.model import Status
from flashreserve.stores.filters import first_id_at
from flashreserve.stores.mongo import version
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.database import Database, Query
from flashreserve.stores.mongo.documents import INDEXES, VOID, due, id_of
from flashreserve.stores.port import StoreUnavailableError

UNREADABLE_MAX: Final = 5
"""Unreadable reservations that are named, at most."""


class ServerInspection(msgspec.Struct, frozen=True):
    """A server's state.

    `topology` is the kind of deployment, in words. `fault` says that the documents' version doesn't fit, or which index
    is missing or differs; `products` is false if the database is still empty. `oldest_due_at` is the `expires_at` of
    the earliest due hold. `unreadable` are the ids of some reservations that can't be read; None if the search took the
    server too long. `oldest_movement_at` is when the oldest unfinished movement began. `now_ms` is the server's time of
    day. All instants are UTC milliseconds.
    """

    version: str
    topology: str
    now_ms: int
    products: bool
    fault: str
    oldest_movement_at: int | None
    oldest_due_at: int | None
    unreadable: list[str] | None


async def inspect_mongo(url: str) -> ServerInspection:
    """Inspect the database that the URL names.

    Raises:
        StoreUnavailableError: the server can't be reached.
    """
    database = PymongoDatabase(url)
    try:
        found = await database.find("products", {}, fields={"_id": 1}, most=1)
        oldest = await database.find(
            "products", {"intents.at": {"$gt": 0}}, fields={"intents.at": 1}, order=[("intents.at", 1)], most=1
        )
        now_ms = await database.now_ms()
        return ServerInspection(
            version=await database.version(),
            topology=await database.topology(),
            now_ms=now_ms,
            products=bool(found),
            fault=await _fault(database),
            oldest_movement_at=min((intent["at"] for each in oldest for intent in each["intents"]), default=None),
            oldest_due_at=await oldest_due(database, now_ms),
            unreadable=await _unreadable(database),
        )
    finally:
        await database.close()


async def oldest_due(database: Database, now: int) -> int | None:
    """The `expires_at` of the earliest due hold (UTC milliseconds); None if no hold is due."""
    found = await database.find(
        "reservations", due(now), fields={"expires_at": 1}, order=[("expires_at", 1), ("_id", 1)], most=1
    )
    return int(found[0]["expires_at"]) if found else None


async def grants(database: Database, since: int, most: int) -> dict[int, int]:
    """As `ReservationStore.grants`."""
    second = {"$subtract": ["$created_at", {"$mod": ["$created_at", 1000]}]}
    stages: list[Query] = [
        {"$match": {"_id": {"$gte": first_id_at(since)}, "status": {"$ne": VOID}}},
        {"$sort": {"_id": 1}},
        {"$limit": most},
        {"$match": {"created_at": {"$gte": since}}},
        {"$group": {"_id": second, "count": {"$sum": 1}}},
    ]
    found = await database.aggregate("reservations", stages)
    return {int(each["_id"]) // 1000: int(each["count"]) for each in found}


async def _unreadable(database: Database) -> list[str] | None:
    """Ids of reservations with obvious faults, which a query can find. Only the audit reads everything."""
    wrong = {"$or": [{"status": {"$nin": [VOID, *Status]}}, {"status": {"$ne": VOID}, "lines.0": {"$exists": False}}]}
    try:
        with patience(PATIENT_S):
            found = await database.find("reservations", wrong, fields={"_id": 1}, most=UNREADABLE_MAX)
    except StoreUnavailableError:
        return None
    return [id_of(document) for document in found]


async def _fault(database: Database) -> str:
    try:
        await version.check(database, create=False)
        await database.ensure_indexes(INDEXES, create=False)
    except StoreUnavailableError as error:
        return str(error)
    return ""
