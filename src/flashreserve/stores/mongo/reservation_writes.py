"""Confirming, extending and labelling: one guarded write on the reservation, and a read of the result."""

import asyncio
from collections.abc import Sequence
from typing import Final

from flashreserve.core.effects import ConfirmEffect, ExtendEffect, LabelEffect
from flashreserve.core.events import EventType
from flashreserve.core.holds import status_at
from flashreserve.core.model import Reservation, Status
from flashreserve.core.returns import units_bought
from flashreserve.side_by_side import all_ended
from flashreserve.stores.mongo.database import Database, Document
from flashreserve.stores.mongo.documents import LABELS, VOID, kept_labels, not_lapsed, reservation_from
from flashreserve.stores.mongo.trail import entry, recording
from flashreserve.stores.mongo.write_results import WriteResult
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

_TRIES_MAX: Final = 3
_EXTENSIONS_AT_ONCE: Final = 16
_REV: Final = "label_rev"

Held = tuple[WriteResult, Reservation | None]
"""A result, and the reservation as it was read last."""


async def confirm(database: Database, effects: Sequence[ConfirmEffect], now: int) -> list[Held]:
    """Confirm the holds, those of each `by` together, because they get the same entry in their trails."""
    by_name: dict[str, list[ConfirmEffect]] = {}
    for effect in effects:
        by_name.setdefault(effect.by, []).append(effect)
    met = await all_ended([_confirm_by(database, by, some, now) for by, some in by_name.items()])
    held_of = {
        effect.after.id: held
        for some, of_some in zip(by_name.values(), met, strict=True)
        for effect, held in zip(some, of_some, strict=True)
    }
    return [held_of[effect.after.id] for effect in effects]


async def _confirm_by(database: Database, by: str, effects: Sequence[ConfirmEffect], now: int) -> list[Held]:
    """Confirm all in one command, then read them: one that is CONFIRMED counts, even if another request confirmed it.

    Guard: PENDING and `expires_at > now`. A late copy can only confirm a hold whose customer wasn't told that it is
    over, because Expired is answered only after the hold was released. The units left are no condition of the write,
    but one of the result: with fewer than planned, this is the purchase of another request, which gave some back.

    A stale read may show less than was written. So a reservation that isn't CONFIRMED as planned is read again by a
    current read, after the same write.
    """
    ids = [effect.after.id for effect in effects]
    guard = {"_id": {"$in": ids}, "status": Status.PENDING.value, "expires_at": not_lapsed(now)}
    change: Document = {
        "$set": {"status": Status.CONFIRMED.value, "confirmed_at": now},
        "$unset": {"open": ""},
    }
    change = recording(change, entry(EventType.RESERVATION_CONFIRMED, now, by))
    results: list[Held] = [(WriteResult.UNKNOWN, None)] * len(ids)
    current = False
    for _ in range(_TRIES_MAX):
        try:
            await database.update_many("reservations", guard, change)
            found = await _read(database, ids, current=current)
        except (StoreUnavailableError, StoreOutcomeUnknownError):
            continue
        looked = [_confirmed(effect.after, found.get(effect.after.id), now) for effect in effects]
        results = [
            each if each[0] is WriteResult.APPLIED else later for each, later in zip(results, looked, strict=True)
        ]
        if all(result is WriteResult.APPLIED for result, _ in results):
            return results
        # A broadcast may miss a document that moves between shards. Then send again, under the same guard.
        if current and all(result is not WriteResult.UNKNOWN for result, _ in results):
            return results
        current = True
    return [each if each[0] is WriteResult.APPLIED else (WriteResult.UNKNOWN, None) for each in results]


def _confirmed(planned: Reservation, held: Reservation | None, now: int) -> Held:
    """The result as this read shows it. A copy in flight may confirm a lapsed hold if another request extends it."""
    if held is not None and held.status is not Status.PENDING:
        confirmed = held.status is Status.CONFIRMED and units_bought(held) == units_bought(planned)
        return (WriteResult.APPLIED if confirmed else WriteResult.REFUSED), held
    lapsed = held is not None and status_at(held, now) is not Status.PENDING
    return (WriteResult.IN_FLIGHT if lapsed else WriteResult.UNKNOWN), held


async def extend(database: Database, effects: Sequence[ExtendEffect], now: int) -> list[Held]:
    """Extend each hold by a command of its own, because the reply then shows whether this command extended it."""
    gate = asyncio.Semaphore(_EXTENSIONS_AT_ONCE)

    async def one(effect: ExtendEffect) -> Held:
        async with gate:
            return await _extend_one(database, effect, now)

    return await asyncio.gather(*[one(effect) for effect in effects])


async def _extend_one(database: Database, effect: ExtendEffect, now: int) -> Held:
    """Extend one hold. Guard: PENDING, `expires_at > now`, `expires_at < new`, one extension fewer.

    The last two refuse a copy that arrives after another extension, so `expires_at` never goes back.
    """
    after = effect.after
    guard = {
        "_id": after.id,
        "user_id": after.user_id,
        "status": Status.PENDING.value,
        "expires_at": {**not_lapsed(now), "$lt": after.expires_at},
        "extensions": after.extensions - 1,
    }
    change = {"$set": {"expires_at": after.expires_at, "extensions": after.extensions}}
    extended = entry(EventType.RESERVATION_EXTENDED, now, effect.by, expires_at=after.expires_at)
    try:
        document: Document | None = await database.find_one_and_update(
            "reservations", guard, recording(change, extended)
        )
    except StoreUnavailableError:
        return WriteResult.REFUSED, None
    except StoreOutcomeUnknownError:
        return await _look_at_extension(database, after)
    return (WriteResult.REFUSED, None) if document is None else (WriteResult.APPLIED, reservation_from(document))


async def _look_at_extension(database: Database, after: Reservation) -> Held:
    """The result after a lost reply: APPLIED if the hold has the planned values. If not, a copy may still arrive."""
    try:
        held = (await _read(database, [after.id])).get(after.id)
    except StoreUnavailableError:
        return WriteResult.UNKNOWN, None
    if held is not None and (held.expires_at, held.extensions) == (after.expires_at, after.extensions):
        return WriteResult.APPLIED, held
    return WriteResult.UNKNOWN, held


async def label(database: Database, effect: LabelEffect, rev: int) -> Held:
    """Set the labels. Guard: they are as they were planned on, and `label_rev` is `rev`; 0 before the first change.

    Each change of labels raises `label_rev`. So a late copy undoes no later change, even one back to the same labels.
    """
    before, after = kept_labels(effect.before), kept_labels(effect.after)
    guard: Document = {"_id": effect.after.id, "user_id": effect.after.user_id} | {
        name: before.get(name, {"$exists": False}) for name in LABELS
    }
    guard[_REV] = rev or {"$exists": False}
    unset = {name: "" for name in LABELS if name not in after}
    change: Document = {"$inc": {_REV: 1}} | ({"$set": after} if after else {}) | ({"$unset": unset} if unset else {})
    lost = False
    for _ in range(_TRIES_MAX):
        try:
            document = await database.find_one_and_update("reservations", guard, change)
        except StoreUnavailableError:
            continue
        except StoreOutcomeUnknownError:
            lost = True
            continue
        if document is not None:
            return WriteResult.APPLIED, reservation_from(document)
        # The guard of all copies fails from now on. But one whose reply was lost may have been carried out before.
        return WriteResult.UNKNOWN if lost else WriteResult.REFUSED, None
    return WriteResult.UNKNOWN if lost else WriteResult.REFUSED, None


async def _read(database: Database, ids: Sequence[str], *, current: bool = False) -> dict[str, Reservation]:
    query = {"_id": {"$in": list(ids)}, "status": {"$ne": VOID}}
    found = await database.find("reservations", query, current=current)
    return {document["_id"]: reservation_from(document) for document in found}
