"""Returning units of a reservation (a give-back): G1 announce, G2 enter it in the reservation, G3 count, G4 settle.

The reason for each step and guard is in docs/adr/0022. Change none without checking the protocol's model again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import asdict

from flashreserve.core.customers import is_pseudonym
from flashreserve.core.effects import ReturnEffect
from flashreserve.core.model import Reservation, ReturnEntry, Status
from flashreserve.stores.mongo import release_movement
from flashreserve.stores.mongo.database import Database, Document, Query, Update
from flashreserve.stores.mongo.documents import kept_claim, reservation_from, whole
from flashreserve.stores.mongo.intents import (
    IdSource,
    Movement,
    Opened,
    Settlement,
    Sightings,
    open_all,
    opening,
    settle,
)
from flashreserve.stores.mongo.trail import recording, return_entry
from flashreserve.stores.mongo.write_results import WriteResult
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

_TRIES_MAX: Final = 5
_RETURNS_AT_ONCE: Final = 16

Held = tuple[WriteResult, Reservation | None]
"""A result, and the reservation as it was read last."""


class Returning(msgspec.Struct, frozen=True):
    """A return that is to be done, as it is stored in an intent.

    `status` is the reservation's as planned. `place` is the number of returns that it had, and so the place of this one
    in its list. `returned` has each line's units returned afterwards, in the order of the lines. `claims` are freed.
    """

    reservation_id: str
    user_id: str
    status: Status
    place: int
    entry: dict[str, Any]
    returned: list[int]
    claims: list[str] = []

    @property
    def units(self) -> Mapping[str, int]:
        """The units that go back, by product."""
        return {line["product_id"]: line["quantity"] for line in self.entry["lines"]}


def planned_return(effect: ReturnEffect) -> Returning:
    """The return that the effect describes."""
    after, entry = effect.after, msgspec.to_builtins(effect.entry)
    entry["lines"] = list(entry["lines"])
    return Returning(
        reservation_id=after.id,
        user_id=after.user_id,
        status=after.status,
        place=len(after.returns) - 1,
        entry=entry,
        returned=[line.returned for line in after.lines],
        claims=[kept_claim((after.user_id, claim)) for claim in effect.claims],
    )


async def return_all(
    database: Database, ids: IdSource, effects: Sequence[ReturnEffect], at: int, seen: Sightings
) -> list[Held]:
    """Do the returns, each by a movement of its own. Returns their results in the same order."""
    gate = asyncio.Semaphore(_RETURNS_AT_ONCE)

    async def one(effect: ReturnEffect) -> Held:
        async with gate:
            return await return_units(database, ids, planned_return(effect), at, seen)

    return await asyncio.gather(*[one(effect) for effect in effects])


async def return_units(
    database: Database, ids: IdSource, returning: Returning, at: int, seen: Sightings, *, bounded: bool = True
) -> Held:
    """Do one return. `bounded` refuses a product with too many open intents; recovery isn't bounded."""
    movement = Movement(ids.new(), ids.new())
    opened = await _announce(database, movement, returning, at, seen, bounded=bounded)
    if len(opened.took) < len(returning.units):
        # G2 only if all products have intent f. Recovery finishes what was announced, or ends it without effect.
        return (WriteResult.IN_FLIGHT if opened.took or opened.in_flight else WriteResult.REFUSED), None
    document = await enter_under(database, movement.f, returning)
    if document is None:
        return WriteResult.UNKNOWN, None
    settlements = [
        Settlement(product_id, movement, units_returned(document, movement.f, product_id))  # G3, G4
        for product_id in returning.units
    ]
    await settle(database, settlements, seen)
    entered = any(entry.get("f") == movement.f for entry in document.get("returns", ()))
    # Another movement may have entered this return, because recovery finishes a basket's under an id of its own.
    return (WriteResult.APPLIED if entered else WriteResult.IN_FLIGHT), reservation_from(document)


async def _announce(
    database: Database, movement: Movement, returning: Returning, at: int, seen: Sightings, *, bounded: bool
) -> Opened:
    """G1, sent once for each product. Guard: no intent f."""
    intent = {"f": movement.f, "owner": movement.owner, "at": at, "kind": "return"} | _stored(returning)
    most = release_movement.RELEASE_INTENTS_MAX if bounded else None
    steps = [
        (product_id, movement, opening(product_id, {}, most, intent, 0, movement.f)) for product_id in returning.units
    ]
    return await open_all(database, steps, seen)


def _stored(returning: Returning) -> Document:
    """The fields of the return in an intent.

    Not by `to_builtins`: recovery has the entry as the driver read it, with integers of a type that msgspec refuses.
    """
    return asdict(returning) | {"status": returning.status.value}


async def enter_under(database: Database, f: str, returning: Returning) -> Document | None:
    """G2: enter the return in the reservation under movement f. It is sent again until it is over.

    Returns:
        The reservation's document, once this step can't change it any more (`is_over`); None if that wasn't reached.
    """
    query, change = _g2(f, returning)
    for _ in range(_TRIES_MAX):
        try:
            document = await database.find_one_and_update("reservations", query, change)
            if document is None:
                document = await read_reservation(database, returning)
        except (StoreUnavailableError, StoreOutcomeUnknownError):
            continue
        if document is not None and is_over(document, returning):
            return document
    return None


def _g2(f: str, returning: Returning) -> tuple[Query, Update]:
    """Guard: the status as planned, and as many returns.

    So each line has as many units left as planned, and the key is unused: both change only with an entry.
    """
    place = returning.place
    query: Document = {
        "_id": returning.reservation_id,
        "user_id": returning.user_id,
        "status": returning.status.value,
        f"returns.{place}": {"$exists": False},
    }
    if place:
        query[f"returns.{place - 1}"] = {"$exists": True}
    change: Document = {
        "$push": {"returns": {**returning.entry, "f": f}},
        "$set": {f"lines.{number}.returned": units for number, units in enumerate(returning.returned)},
    }
    if returning.claims:
        change["$pull"] = {"claims": {"$in": returning.claims}}
    return query, recording(change, return_entry(msgspec.convert(whole(returning.entry), ReturnEntry)))


async def read_reservation(database: Database, returning: Returning) -> Document | None:
    """The reservation; None only if the read is stale, because every return is of a reservation that exists.

    Raises:
        StoreUnavailableError: the database can't be read.
    """
    found = await database.find("reservations", {"_id": returning.reservation_id})
    return found[0] if found else None


def is_over(document: Document, returning: Returning) -> bool:
    """Whether G2 can't change the document any more, under any f: it has the entry, or never will.

    Once true it stays true: the list only grows, and neither PENDING nor an erased customer comes back. A stale read,
    even one from before the plan, never makes it true too early: such a read shows a shorter list, PENDING, or the
    customer before the erasure. So a count is exact.
    """
    return (
        len(document.get("returns", ())) > returning.place
        or document["status"] not in {Status.PENDING.value, returning.status.value}
        or (is_pseudonym(document["user_id"]) and not is_pseudonym(returning.user_id))
    )


def units_returned(document: Document, f: str, product_id: str) -> int:
    """G3: the product's units in the return that f entered."""
    return sum(
        line["quantity"]
        for entry in document.get("returns", ())
        if entry.get("f") == f
        for line in entry["lines"]
        if line["product_id"] == product_id
    )
