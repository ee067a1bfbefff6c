"""Recovery: V0 takes a movement over, V1 undoes a reserve, V2 finishes a release, V3 finishes or ends a return.

Any process may recover at any time. The reason for each step and guard is in docs/adr/0010 and, for returns, 0022.
Change none without checking the protocol's model again.
"""

from collections.abc import Iterator, Sequence
from typing import Final, cast

import msgspec

from flashreserve.core.events import BY_SYSTEM
from flashreserve.stores.mongo.database import Database, Document
from flashreserve.stores.mongo.documents import reservation_from
from flashreserve.stores.mongo.intents import IdSource, Mode, Movement, Settlement, Sightings, settle
from flashreserve.stores.mongo.release_movement import (
    Releasing,
    is_final,
    may_still_match,
    release,
    release_under,
    units_released,
)
from flashreserve.stores.mongo.reserve_movement import decide
from flashreserve.stores.mongo.return_movement import (
    Returning,
    enter_under,
    is_over,
    read_reservation,
    return_units,
    units_returned,
)
from flashreserve.stores.mongo.write_results import WriteResult
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError
from flashreserve.stores.unreadable import UnreadableItems

ABANDONED_AFTER_MS: Final = 30_000
"""Age at which a movement counts as abandoned: its process crashed or is paused. A paused one does no harm later."""


async def recover(database: Database, ids: IdSource, aside: UnreadableItems, now: int, most: int) -> int:
    """Finish or undo at most `most` movements; returns how many. Those that can't be read or finished are set aside."""
    postponed = aside.postponed("movement", now)
    old = {"$lte": now - ABANDONED_AFTER_MS}
    products = await database.find(
        "products",
        {"intents.at": old},
        fields={"intents": 1},
        order=[("intents.at", 1)],
        most=most + len(postponed),
    )
    done = tried = 0
    for product_id, intent in _abandoned(products, now):
        key = f"{intent.get('f')} of product {product_id}"
        if key in postponed:
            continue
        if tried == most:
            break
        tried += 1
        try:
            done += await _recover_one(database, ids, product_id, intent, now)
        except (StoreUnavailableError, StoreOutcomeUnknownError):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of one; the others must be recovered
            aside.postpone("movement", key, f"can't be finished: {error!r}", now)
    return done


def _abandoned(products: Sequence[Document], now: int) -> Iterator[tuple[str, Document]]:
    for product in products:
        for intent in product["intents"] if isinstance(product["intents"], list) else ():
            if isinstance(intent, dict) and _is_old(intent.get("at"), now):
                yield product["_id"], intent


def _is_old(at: object, now: int) -> bool:
    return isinstance(at, int | float) and at <= now - ABANDONED_AFTER_MS


async def _recover_one(database: Database, ids: IdSource, product_id: str, intent: Document, now: int) -> bool:
    movement = await _take_over(database, ids, product_id, intent, now)
    if movement is None:
        return False
    match intent["kind"]:
        case "reserve":
            units = await _undo_reserve(database, intent["f"], intent["items"])
        case "release":
            units = await _finish_release(database, ids, product_id, intent, now)
        case "return":
            units = await _finish_return(database, ids, product_id, intent, now)
        case kind:  # A document may have any.
            raise ValueError(f"there is no kind {kind!r} of movements")
    if units is None:
        return False
    await settle(database, [Settlement(product_id, movement, units)], None)
    return True


async def _take_over(database: Database, ids: IdSource, product_id: str, intent: Document, now: int) -> Movement | None:
    """V0: set a fresh owner and time, guarded by the old owner. If that fails or is unknown, return None."""
    movement = Movement(intent["f"], ids.new())
    old = {"f": intent["f"], "owner": intent["owner"]}
    try:
        taken = await database.find_one_and_update(
            "products",
            {"_id": product_id, "intents": {"$elemMatch": old}},
            {"$set": {"intents.$.owner": movement.owner, "intents.$.at": now}, "$inc": {"moves": 1}},
            fields={"_id": 1},
        )
    except (StoreUnavailableError, StoreOutcomeUnknownError):
        return None
    return None if taken is None else movement


async def _undo_reserve(database: Database, f: str, items: Sequence[Document]) -> int | None:
    """V1: put a VOID where a reservation is missing. Returns the VOIDs' units, which are given back; None if unknown.

    It never inserts a reservation, because its customer may have been refused, or may have sent the request again.
    """
    results = await decide(database, f, {item["id"]: item["user_id"] for item in items})
    if WriteResult.UNKNOWN in results.values():
        return None
    units: list[int] = [item["quantity"] for item in items if results[item["id"]] is WriteResult.REFUSED]
    return sum(units)


async def _finish_release(database: Database, ids: IdSource, product_id: str, intent: Document, now: int) -> int | None:
    """V2: release single-product reservations under the old id, and baskets by a complete release under a fresh id.

    A basket never gets L2 under the old id, because some of its products may not have that intent.
    """
    mode, cutoff = cast("Mode", intent["mode"]), intent["cutoff"]
    try:
        found = await database.find("reservations", {"_id": {"$in": intent["ids"]}})
    except StoreUnavailableError:
        return None
    if len(found) < len(set(intent["ids"])):
        return None  # A stale read: every reservation that a release names exists.
    singles = [document["_id"] for document in found if len(document["lines"]) == 1]
    by = intent.get("by", BY_SYSTEM)
    if await release_under(database, intent["f"], singles, mode, cutoff, by) is None:
        return None
    baskets = [
        reservation_from(document)
        for document in found
        if len(document["lines"]) > 1 and may_still_match(document, mode, cutoff)
    ]
    if baskets:
        await release(database, ids, Releasing(mode, baskets, cutoff, by), now, Sightings(), bounded=False)
    try:
        documents = await database.find("reservations", {"_id": {"$in": intent["ids"]}})
    except StoreUnavailableError:
        return None
    if not is_final(documents, intent["ids"], mode, cutoff):
        return None
    return units_released(documents, intent["f"], product_id)  # L3, after all of L2


async def _finish_return(database: Database, ids: IdSource, product_id: str, intent: Document, now: int) -> int | None:
    """V3: enter a return of one product under the old id, and a basket's by a complete return under a fresh id.

    A basket never gets G2 under the old id, because some of its products may not have that intent. The result is the
    number of units that the old movement entered; None if unknown.
    """
    returning = msgspec.convert(intent, Returning)
    if len(returning.units) == 1:
        document = await enter_under(database, intent["f"], returning)
        return None if document is None else units_returned(document, intent["f"], product_id)
    try:
        document = await read_reservation(database, returning)
        if document is not None and not is_over(document, returning):
            await return_units(database, ids, returning, now, Sightings(), bounded=False)
            document = await read_reservation(database, returning)
    except StoreUnavailableError:
        return None
    if document is None or not is_over(document, returning):
        return None
    return units_returned(document, intent["f"], product_id)
