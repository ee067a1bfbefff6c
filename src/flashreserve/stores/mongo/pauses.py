"""Pausing the sales of all products, without a transaction.

The document `shop` has the reason, and a version that grows by one with each pause or end of one. P1 sets both, if the
version is the one that it has read. P2 writes them to each product whose own version is lower, until none is left. So
of two admins the later one wins on every product, whatever the order of their messages, and no late message undoes what
an admin was told. P2 raises `rev`, which guards R1: after it no plan that is older can take units.

A new product is inserted paused, with the field `starting`. Then its process reads the document `shop` and writes what
it says to the product, unless the product has a higher version by then; if so, it reads again. Of such a product, P2
only raises the version. So a product that is added meanwhile is never on sale during a pause. Recovery starts a product
whose process has died.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec

from flashreserve.core.events import EventType, PauseChange
from flashreserve.stores.mongo.database import Database, Document, Query, Update
from flashreserve.stores.mongo.trail import entry, recording
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

_SHOP: Final = "shop"
"""The id of the document in the collection `meta`."""

_STARTING: Final = "the product is being made"
"""The reason why the sale of a new product is paused for a moment."""

_TRIES_MAX: Final = 50


class ShopPause(NamedTuple):
    """Why all sales are paused (None if they aren't), and the version of that."""

    reason: str | None
    version: int


async def read(database: Database) -> ShopPause:
    """The present state, by a current read."""
    found = await database.find("meta", {"_id": _SHOP}, current=True)
    return ShopPause(found[0]["pause_reason"], int(found[0]["version"])) if found else ShopPause(None, 0)


async def change_all(database: Database, reason: str | None, by: str, at: int) -> None:
    """Pause the sales of all products for the reason, or with None end that.

    Raises:
        StoreUnavailableError: the database is away, and nothing was changed.
        StoreOutcomeUnknownError: some products may be changed.
    """
    await database.insert_many("meta", [{"_id": _SHOP, "pause_reason": None, "version": 0}])
    state = await _change_shop(database, reason)
    try:
        await _change_products(database, state, by, at)
    except StoreUnavailableError as error:
        raise StoreOutcomeUnknownError(f"some products may be changed already: {error}") from error


async def _change_shop(database: Database, reason: str | None) -> ShopPause:
    """P1. Guard: the version is the one that was read, so a late copy can't undo what a later pause was told."""
    for _ in range(_TRIES_MAX):
        version = (await read(database)).version
        change = {"$set": {"pause_reason": reason, "version": version + 1}}
        if await database.find_one_and_update("meta", {"_id": _SHOP, "version": version}, change) is not None:
            return ShopPause(reason, version + 1)
    raise StoreUnavailableError("all sales are paused and resumed by others again and again")


async def _change_products(database: Database, state: ShopPause, by: str, at: int) -> None:
    """P2."""
    older: Document = {"shop_pause_version": {"$not": {"$gte": state.version}}}
    written = {"shop_pause_reason": state.reason, "shop_pause_version": state.version}
    type_ = EventType.PRODUCT_RESUMED if state.reason is None else EventType.PRODUCT_PAUSED
    told = entry(type_, at, by, data=msgspec.to_builtins(PauseChange(state.reason, all_products=True)))
    change: Document = {"$set": written, "$inc": {"rev": 1}, "$max": {"updated_at": at}}
    others = {**older, "shop_pause_reason": {"$ne": state.reason}, "starting": {"$exists": False}}
    same: Document = {**older, "$or": [{"shop_pause_reason": state.reason}, {"starting": {"$exists": True}}]}
    for _ in range(_TRIES_MAX):
        await database.update_many("products", others, recording(change, told))
        await database.update_many("products", same, {"$set": {"shop_pause_version": state.version}})
        # On a sharded cluster, a broadcast may miss a document that moves between shards: read again.
        if not await database.find("products", older, fields={"_id": 1}, most=1, current=True):
            return
    raise StoreUnavailableError("products are added faster than their sales are paused")


def starting(document: Document, at: int) -> Document:
    """The document of a new product whose sale hasn't been started yet, as of `at` (UTC milliseconds)."""
    return {**document, "shop_pause_reason": _STARTING, "starting": at}


async def start(database: Database, product_ids: Sequence[str]) -> None:
    """Start the sales of new products, which are in the database by now, unless all sales are paused."""
    made: Document = {"_id": {"$in": list(product_ids)}, "starting": {"$exists": True}}
    for _ in range(_TRIES_MAX):
        state = await read(database)
        not_newer: Query = {**made, "shop_pause_version": {"$not": {"$gt": state.version}}}
        fields = {"shop_pause_reason": state.reason, "shop_pause_version": state.version}
        change: Update = {"$set": fields, "$unset": {"starting": ""}}
        await database.update_many("products", not_newer, change)
        if not await database.find("products", made, fields={"_id": 1}, most=1, current=True):
            return
    raise StoreUnavailableError("all sales are paused and resumed faster than a product is made")


async def start_if_possible(database: Database, product_ids: Sequence[str]) -> None:
    """The same; a failure is left to recovery, because the products are added already."""
    with suppress(StoreUnavailableError, StoreOutcomeUnknownError):
        await start(database, product_ids)


async def recover(database: Database, before: int, most: int) -> None:
    """Start the sales of at most `most` products that were added before this instant and weren't started."""
    left = await database.find("products", {"starting": {"$lte": before}}, fields={"_id": 1}, most=most)
    if left:
        await start(database, [document["_id"] for document in left])


async def settling(database: Database, product_id: str | None) -> int:
    """The number of open movements that reserve units of the product, or of any."""
    query: Query = {"intents.at": {"$exists": True}} | ({} if product_id is None else {"_id": product_id})
    found = await database.find("products", query, fields={"intents.kind": 1}, current=True)
    return sum(intent["kind"] == "reserve" for product in found for intent in product["intents"])
