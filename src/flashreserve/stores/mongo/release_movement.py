"""Releasing, by sweep or cancel: L1 announce, L2 set the status, L3 count, L4 settle.

The reason for each step and guard is in docs/adr/0010. Change none without checking the protocol's model again.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from flashreserve.core.events import BY_SYSTEM, EventType
from flashreserve.core.holds import has_lapsed
from flashreserve.core.model import Reservation, Status
from flashreserve.stores.mongo.database import Database, Document, Fields
from flashreserve.stores.mongo.documents import lapsed, returns_from
from flashreserve.stores.mongo.intents import (
    IdSource,
    Mode,
    Movement,
    Settlement,
    Sightings,
    open_all,
    opening,
    settle,
)
from flashreserve.stores.mongo.trail import entry, recording
from flashreserve.stores.mongo.write_results import WriteResult
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

RELEASE_INTENTS_MAX: Final = 1_000
"""A product with this many open intents refuses releases except recovery's: so many show that nothing recovers."""

_TRIES_MAX: Final = 5
_FIELDS: Final[Fields] = {
    "status": 1,
    "expires_at": 1,
    "extensions": 1,
    "released_at": 1,
    "released_by": 1,
    "lines.product_id": 1,
    "lines.quantity": 1,
    "lines.returned": 1,
    "returns": 1,
    "trail_n": 1,
}
"""The fields that show what became of a reservation, and those needed for counting it."""

_STATUS: Final[dict[Mode, Status]] = {"sweep": Status.EXPIRED, "cancel": Status.CANCELLED}
_EVENT: Final[dict[Mode, EventType]] = {
    "sweep": EventType.RESERVATION_EXPIRED,
    "cancel": EventType.RESERVATION_CANCELLED,
}


class Releasing(msgspec.Struct, frozen=True):
    """A release that is to be done.

    `cutoff` is when it was decided (ms). It becomes the reservations' `released_at`. For a sweep it is also the instant
    by which they must have lapsed. `by` is the name under which it is recorded.
    """

    mode: Mode
    reservations: Sequence[Reservation]
    cutoff: int
    by: str = BY_SYSTEM


async def release(
    database: Database,
    ids: IdSource,
    releasing: Releasing,
    at: int,
    seen: Sightings,
    *,
    bounded: bool = True,
) -> dict[str, tuple[WriteResult, Document | None]]:
    """Release the reservations. Returns by id the result of each, with its document as it was read last.

    `bounded` refuses a product with `RELEASE_INTENTS_MAX` open intents. Recovery isn't bounded, since it must succeed.
    """
    movement = Movement(ids.new(), ids.new())
    most = RELEASE_INTENTS_MAX if bounded else None
    announced, in_flight = await _announce(database, movement, releasing, at, seen, most)
    results = {held.id: _not_released(held, announced | in_flight) for held in releasing.reservations}
    # L2 only if all products have intent f: a count of f on one product relies on the intents of the others.
    ready = [held for held in releasing.reservations if all(line.product_id in announced for line in held.lines)]
    documents = await release_under(
        database, movement.f, [held.id for held in ready], releasing.mode, releasing.cutoff, releasing.by
    )
    if documents is None:
        return results | {held.id: (WriteResult.UNKNOWN, None) for held in ready}
    for document in documents:
        # Another movement may have released it, because recovery finishes this one under an id of its own.
        result = WriteResult.APPLIED if document.get("released_by") == movement.f else WriteResult.IN_FLIGHT
        results[document["_id"]] = (result, document)
    # A product whose intent has a reservation left out above is settled only by recovery.
    ready_ids = {held.id for held in ready}
    left_out = {line.product_id for held in releasing.reservations if held.id not in ready_ids for line in held.lines}
    await settle(
        database,
        [
            Settlement(product_id, movement, units_released(documents, movement.f, product_id))  # L3, L4
            for product_id in announced
            if product_id not in left_out
        ],
        seen,
    )
    return results


def _not_released(held: Reservation, announced: set[str]) -> tuple[WriteResult, Document | None]:
    """The result of a hold before L2. Once it is announced on one product, recovery may release it."""
    anywhere = any(line.product_id in announced for line in held.lines)
    return (WriteResult.IN_FLIGHT if anywhere else WriteResult.REFUSED), None


async def _announce(
    database: Database, movement: Movement, releasing: Releasing, at: int, seen: Sightings, intents_max: int | None
) -> tuple[set[str], set[str]]:
    """L1, sent once for each product. Guard: no intent f. Returns the products that have it, and those that may."""
    ids_of: dict[str, list[str]] = {}
    for held in releasing.reservations:
        for line in held.lines:
            ids_of.setdefault(line.product_id, []).append(held.id)
    openings = []
    for product_id, ids in sorted(ids_of.items()):
        intent = {
            "f": movement.f,
            "owner": movement.owner,
            "at": at,
            "kind": "release",
            "mode": releasing.mode,
            "ids": ids,
            "cutoff": releasing.cutoff,
            "by": releasing.by,
        }
        step = opening(product_id, {}, intents_max, intent, 0, movement.f)
        openings.append((product_id, movement, step))
    opened = await open_all(database, openings, seen)
    return {product_id for product_id, _ in opened.took}, {product_id for product_id, _ in opened.in_flight}


async def release_under(
    database: Database, f: str, ids: Sequence[str], mode: Mode, cutoff: int, by: str
) -> list[Document] | None:
    """L2: release under movement f those of the reservations that may be. It is sent again until a definite reply.

    Returns:
        All the documents (`_FIELDS` of them), read after that reply, once this step can change none of them any more
        (`is_final`); None if that wasn't reached.
    """
    if not ids:
        return []
    may = _may_release(mode, cutoff)
    change = {
        "$set": {"status": _STATUS[mode].value, "released_at": cutoff, "released_by": f},
        "$pull": {"claims": {"$regex": "^limit:"}},
        "$unset": {"open": ""},
    }
    change = recording(change, entry(_EVENT[mode], cutoff, by))
    for _ in range(_TRIES_MAX):
        try:
            await database.update_many("reservations", {"_id": {"$in": list(ids)}, **may}, change)
            # On a sharded cluster, a broadcast may miss a document that moves between shards: read again.
            documents = await database.find("reservations", {"_id": {"$in": list(ids)}}, fields=_FIELDS)
        except (StoreUnavailableError, StoreOutcomeUnknownError):
            continue
        if is_final(documents, ids, mode, cutoff):
            return documents
    return None


def _may_release(mode: Mode, cutoff: int) -> dict[str, Any]:
    """The guard of L2: PENDING, and for a sweep `expires_at` not after the cutoff."""
    return {"status": Status.PENDING.value} | ({"expires_at": lapsed(cutoff)} if mode == "sweep" else {})


def may_still_match(document: Document, mode: Mode, cutoff: int) -> bool:
    """Whether L2 would still change the document. Once false it stays false, since `expires_at` only grows."""
    return document["status"] == Status.PENDING and (mode == "cancel" or has_lapsed(document["expires_at"], cutoff))


def is_final(documents: Sequence[Document], ids: Sequence[str], mode: Mode, cutoff: int) -> bool:
    """Whether L3 may count these documents: every reservation in `ids` is there, and L2 can change none any more.

    Both conditions stay true, so the count is exact even if the read is stale, as it may be after an election. A read
    that is too old shows a reservation as missing or still PENDING.
    """
    return len(documents) == len(set(ids)) and not any(
        may_still_match(document, mode, cutoff) for document in documents
    )


def as_released(planned: Reservation, document: Document) -> Reservation:
    """The reservation as it was really released. It may have been extended, or bought in part, since the plan."""
    returned = {line["product_id"]: line.get("returned", 0) for line in document["lines"]}
    return replace(
        planned,
        status=Status(document["status"]),
        expires_at=document["expires_at"],
        extensions=document["extensions"],
        released_at=document["released_at"],
        trail_n=document["trail_n"],
        lines=tuple(replace(line, returned=returned[line.product_id]) for line in planned.lines),
        returns=returns_from(document),
    )


def units_released(documents: Sequence[Document], f: str, product_id: str) -> int:
    """L3: the product's units in the reservations that f released."""
    return sum(
        line["quantity"] - line.get("returned", 0)
        for document in documents
        if document.get("released_by") == f
        for line in document["lines"]
        if line["product_id"] == product_id
    )
