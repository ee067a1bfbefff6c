"""Adding products, all or none, without a transaction: they are inserted hidden, and one write decides to show them.

I1 records the batch as open, I2 inserts its products hidden, I3 sets open → committed (this decides), I4 shows them.
Recovery aborts a batch that was left open, and shows one that was left committed. A late I2 or I3 finds the batch
decided.
"""

from collections.abc import Sequence
from typing import Final

from flashreserve.core.model import Product
from flashreserve.core.trail import creation_event
from flashreserve.stores.mongo import pauses
from flashreserve.stores.mongo.database import Database, Document
from flashreserve.stores.mongo.documents import product_document
from flashreserve.stores.mongo.intents import IdSource
from flashreserve.stores.mongo.recovery import ABANDONED_AFTER_MS
from flashreserve.stores.mongo.trail import entry_of, made
from flashreserve.stores.port import StoreDefectError, StoreOutcomeUnknownError, StoreUnavailableError

_TRIES_MAX: Final = 3


async def add(database: Database, ids: IdSource, products: Sequence[Product], by: str) -> None:
    """Insert the products, recorded under the name `by`.

    Raises:
        StoreDefectError: an id is in use; nothing was written.
        StoreUnavailableError: nothing was written.
        StoreOutcomeUnknownError: the products may be there.
    """
    if not products:
        return
    new_ids = {product.id for product in products}
    if len(new_ids) < len(products) or await _any_used(database, new_ids):
        raise StoreDefectError("an id that should be new is in use")
    if len(products) == 1:
        if await database.insert_many("products", [new_document(products[0], by)]):
            raise StoreDefectError("an id that should be new is in use")
        await pauses.start_if_possible(database, [products[0].id])
        return
    batch = ids.new()
    at = max(product.updated_at for product in products)
    try:
        await database.insert_many("batches", [{"_id": batch, "state": "open", "at": at}])
        refused = await database.insert_many(
            "products", [{**new_document(product, by), "batch": batch} for product in products]
        )
        await pauses.start(database, list(new_ids))
    except StoreOutcomeUnknownError as error:
        raise StoreUnavailableError(f"nothing is shown of what was begun: {error}") from error
    if refused:
        raise StoreDefectError("an id that should be new is in use")
    await _commit(database, batch)


def new_document(product: Product, by: str) -> Document:
    """The document of a product that is added. Its sale has to be started; see `pauses`."""
    creation = creation_event(product, by)
    return made(pauses.starting(product_document(product), creation.at), entry_of(creation, by))


async def _any_used(database: Database, ids: set[str]) -> bool:
    return bool(await database.find("products", {"_id": {"$in": list(ids)}}, fields={"_id": 1}, most=1))


async def _commit(database: Database, batch: str) -> None:
    """I3 and I4."""
    for _ in range(_TRIES_MAX):
        try:
            await database.find_one_and_update(
                "batches", {"_id": batch, "state": "open"}, {"$set": {"state": "committed"}}
            )
            found = await database.find("batches", {"_id": batch}, current=True)
        except (StoreUnavailableError, StoreOutcomeUnknownError):
            continue
        if found[0]["state"] == "aborted":
            raise StoreUnavailableError("the import took so long that it was undone")
        if await _show(database, batch):
            return
    raise StoreOutcomeUnknownError("whether the products were added isn't known")


async def _show(database: Database, batch: str) -> bool:
    try:
        await database.update_many("products", {"batch": batch}, {"$unset": {"batch": ""}})
        left = await database.find("products", {"batch": batch}, fields={"_id": 1}, most=1, current=True)
        if not left:
            await database.update_many("batches", {"_id": batch}, {"$set": {"state": "shown"}})
    except (StoreUnavailableError, StoreOutcomeUnknownError):
        return False
    return not left


async def recover(database: Database, now: int, most: int) -> None:
    """Abort imports that were left open, show those left committed, and start products, at most `most` of each.

    The products of an aborted import stay hidden for good, because another insert of it may still be in flight.
    """
    old = {"at": {"$lte": now - ABANDONED_AFTER_MS}}
    await pauses.recover(database, now - ABANDONED_AFTER_MS, most)
    left = await database.find("batches", {"state": {"$in": ["open", "committed"]}, **old}, most=most)
    for batch in left:
        if batch["state"] == "committed":
            await _show(database, batch["_id"])
        else:
            await database.update_many(
                "batches", {"_id": batch["_id"], "state": "open"}, {"$set": {"state": "aborted"}}
            )
