"""Restocking and editing: each is one guarded write on the product."""

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from flashreserve.core import limits
from flashreserve.core.commands import Restock
from flashreserve.core.effects import EditEffect, RestockEffect
from flashreserve.core.events import EventType
from flashreserve.core.model import Adjustment, Product
from flashreserve.core.trail import event_of
from flashreserve.stores.mongo.database import Database, Document, Fields, Update
from flashreserve.stores.mongo.documents import PRODUCT_FIELDS, adjustment_document, adjustment_from, product_from
from flashreserve.stores.mongo.intents import Sightings
from flashreserve.stores.mongo.trail import entry, entry_of, recorded_if, recording
from flashreserve.stores.mongo.write_results import WriteResult
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

ADJUSTMENTS_MAX: Final = 1_000
"""The newest adjustments, which a product keeps. After this many more restocks, a key may be used again."""

_TRIES_MAX: Final = 3
_WITH_ADJUSTMENTS: Final[Fields] = {"intents": 0, "trail": 0}
_NOT_EDITED: Final = frozenset(
    {"id", "stocked", "available", "created_at", "updated_at", "shop_pause_reason", "trail_n"}
)


async def restock(
    database: Database, effect: RestockEffect, refusals: int, seen: Sightings
) -> tuple[WriteResult, Adjustment | None]:
    """Put units in or take them out.

    Guard: the key is unused, no figure gets below 0 or above its maximum, and no restock was refused since the facts
    were read. It may be sent again: once it has been carried out, the key is used. The count of `refusals` is the fence
    against a copy that arrives after the same request was refused (`refuse`).
    """
    wanted = effect.adjustment
    guard = {
        "_id": wanted.product_id,
        "refusals": _exactly(refusals),
        "adjustments.key": {"$ne": wanted.key},
        "available": {"$gte": -wanted.change},
        "stocked": {"$lte": limits.STOCK_MAX - wanted.change},
    }
    for sendings in range(_TRIES_MAX):
        try:
            found = await database.find_one_and_update("products", guard, _restocking(wanted), fields=_WITH_ADJUSTMENTS)
        except StoreUnavailableError:
            return (WriteResult.UNKNOWN if sendings else WriteResult.REFUSED), None
        except StoreOutcomeUnknownError:
            continue
        if found is not None:
            seen.add([found])
            return WriteResult.APPLIED, _kept(found, wanted)
        return await _look_at_adjustment(database, wanted) if sendings else (WriteResult.REFUSED, None)
    return WriteResult.UNKNOWN, None


async def refuse(database: Database, command: Restock, refusals: int) -> WriteResult:
    """Refuse a restock for good, so that an earlier sending that is still in flight will not be carried out.

    Guard: no restock was refused since the facts were read, and the key is unused. The count of refusals is the fence.
    """
    unused = {"adjustments.key": {"$ne": command.key}}
    guard = {"_id": command.product_id, "refusals": _exactly(refusals), **unused}
    try:
        found = await database.find_one_and_update("products", guard, {"$inc": {"refusals": 1}}, fields={"_id": 1})
    except StoreUnavailableError:
        return WriteResult.REFUSED
    except StoreOutcomeUnknownError:
        return WriteResult.UNKNOWN
    return WriteResult.REFUSED if found is None else WriteResult.APPLIED


def _exactly(refusals: int) -> int | dict[str, bool]:
    """The condition that the product has refused this many restocks. Before the first, it has no such field."""
    return refusals or {"$exists": False}


def _restocking(wanted: Adjustment) -> list[dict[str, Any]]:
    """A pipeline, because the adjustment is stored with the stock that results from it."""
    stocked = {"$add": ["$stocked", wanted.change]}
    available = {"$add": ["$available", wanted.change]}
    as_planned = {name: {"$literal": value} for name, value in adjustment_document(wanted).items()}
    kept = {**as_planned, "stocked": stocked, "available": available}
    figures = {"change": {"$literal": wanted.change}, "stocked": stocked, "available": available}
    stock_entry = {
        name: {"$literal": value} for name, value in entry(EventType.PRODUCT_STOCKED, wanted.at, wanted.by).items()
    }
    return [
        {
            "$set": {
                **recorded_if(True, {**stock_entry, "data": figures}, wanted.at),  # noqa: FBT003 - an expression
                "stocked": stocked,
                "available": available,
                "updated_at": {"$max": ["$updated_at", wanted.at]},
                "moves": {"$add": ["$moves", 1]},
                "adjustments": {"$slice": [{"$concatArrays": ["$adjustments", [kept]]}, -ADJUSTMENTS_MAX]},
            }
        }
    ]


async def _look_at_adjustment(database: Database, wanted: Adjustment) -> tuple[WriteResult, Adjustment | None]:
    """The result after the guard failed, when an earlier sending whose reply was lost may have used the key.

    If the key is unused, the result isn't known yet: that sending may still be in flight, and its guard may hold later.
    """
    try:
        found = await database.find("products", {"_id": wanted.product_id, "adjustments.key": wanted.key})
    except StoreUnavailableError:
        return WriteResult.UNKNOWN, None
    if not found:
        return WriteResult.UNKNOWN, None
    kept = _kept(found[0], wanted)
    same = (kept.change, kept.by, kept.at) == (wanted.change, wanted.by, wanted.at)
    return (WriteResult.APPLIED, kept) if same else (WriteResult.REFUSED, None)


def _kept(document: Document, wanted: Adjustment) -> Adjustment:
    return next(
        adjustment_from(wanted.product_id, each) for each in document["adjustments"] if each["key"] == wanted.key
    )


async def edit(
    database: Database, effect: EditEffect, still: int | None, seen: Sightings
) -> tuple[WriteResult, Product | None]:
    """Change the description and rules. Guard: `rev` is the one that the edit was planned on.

    With `still`, the guard also asks that the product has this count of `moves` and no intents. Such a change of the
    limit is allowed only if the product was never reserved, and a reserve in flight has an intent. `rev` only grows, so
    the guard refuses a late copy.
    """
    after = effect.after
    guard: Document = {"_id": after.id, "rev": effect.before.rev}
    if still is not None:
        guard |= {"moves": still, "intents": []}
    change = _editing(effect)
    for sendings in range(_TRIES_MAX):
        try:
            found = await database.find_one_and_update("products", guard, change, fields=PRODUCT_FIELDS)
        except StoreUnavailableError:
            return (WriteResult.UNKNOWN if sendings else WriteResult.REFUSED), None
        except StoreOutcomeUnknownError:
            continue
        if found is not None:
            seen.add([found])
            return WriteResult.APPLIED, product_from(found)
        return await _look_at_edit(database, effect) if sendings else (WriteResult.REFUSED, None)
    return WriteResult.UNKNOWN, None


def _editing(effect: EditEffect) -> Update:
    after = effect.after
    fields = {name: value for name, value in msgspec.structs.asdict(after).items() if name not in _NOT_EDITED}
    change = {"$set": fields, "$max": {"updated_at": after.updated_at}}
    edited = event_of(effect)
    return change if edited is None else recording(change, entry_of(edited, effect.by))


async def _look_at_edit(database: Database, effect: EditEffect) -> tuple[WriteResult, Product | None]:
    """The result after the guard failed, maybe because of an earlier sending. An equal edit by another is as good.

    After any other edit it isn't known: the earlier sending may have been carried out before that one.
    """
    try:
        found = await database.find("products", {"_id": effect.after.id}, fields=PRODUCT_FIELDS, current=True)
    except StoreUnavailableError:
        return WriteResult.UNKNOWN, None
    for document in found:
        product = product_from(document)
        if _rules_of(product) == _rules_of(effect.after):
            return WriteResult.APPLIED, product
        if product.rev == effect.before.rev:
            return WriteResult.REFUSED, None
    return WriteResult.UNKNOWN, None


def _rules_of(product: Product) -> Product:
    return replace(product, stocked=0, available=0, updated_at=0, shop_pause_reason=None, trail_n=0)
