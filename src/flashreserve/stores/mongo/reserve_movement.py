"""Reserving: R1 take the units, R2 insert the reservations, R3 answer, R4 settle.

The reason for each step and guard is in docs/adr/0010. Change none without checking the protocol's model again.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from flashreserve.core.effects import ReserveEffect
from flashreserve.stores.mongo.chunks import parts
from flashreserve.stores.mongo.database import Database, Document, Query, Update
from flashreserve.stores.mongo.documents import VOID, reservation_document, void_document
from flashreserve.stores.mongo.intents import (
    RESERVE_INTENTS_MAX,
    IdSource,
    LateSettling,
    Movement,
    Opening,
    Settlement,
    Sightings,
    open_all,
    opening,
    opening_with,
    settle,
)
from flashreserve.stores.mongo.trail import granted
from flashreserve.stores.mongo.write_results import WriteResult
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

_TRIES_MAX: Final = 3


class PlannedReserve(msgspec.Struct, frozen=True):
    """A hold to be made, and the `rev` of its products' rules on which it was planned."""

    effect: ReserveEffect
    revs: Mapping[str, int]


class _Taken(msgspec.Struct):
    """The result of R1 so far: by product that was carried out, the holds in its intent; and the holds that failed."""

    by_product: dict[str, list[PlannedReserve]] = {}
    fallen: set[str] = set()


async def reserve(
    database: Database,
    ids: IdSource,
    late: LateSettling,
    reserves: Sequence[PlannedReserve],
    at: int,
    seen: Sightings,
    may_insert: Callable[[str], bool],
    *,
    logs_grants: bool = False,
) -> list[WriteResult]:
    """Make the holds, each on its own. Returns their results in the same order. Recovery counts the age from `at` (ms).

    R2 isn't sent for a reservation if `may_insert` is false for its id by then. Its customer was told that the outcome
    is unknown, may have sent the request again with the same key, and may have been refused by a process that saw no
    movement of the key. With `logs_grants`, the reservations' trails begin with their grants.
    """
    movement = Movement(ids.new(), ids.new())
    taken = await _take_units(database, late, movement, reserves, at, seen)
    standing = [
        planned
        for planned in reserves
        if planned.effect.reservation.id not in taken.fallen and may_insert(planned.effect.reservation.id)
    ]
    documents = [
        reservation_document(planned.effect.reservation, planned.effect.claims, movement.f) for planned in standing
    ]
    if logs_grants:
        documents = [granted(document, document["created_at"]) for document in documents]
    results = await _insert(database, movement.f, documents)
    await _settle(database, late, movement, taken, results, seen)  # R3, the answer, waits only for refunds
    return [results.get(planned.effect.reservation.id, WriteResult.REFUSED) for planned in reserves]


async def _take_units(
    database: Database,
    late: LateSettling,
    movement: Movement,
    reserves: Sequence[PlannedReserve],
    at: int,
    seen: Sightings,
) -> _Taken:
    """R1 for each product, once for all holds on it, in rounds, so that each basket takes its products in their order.

    If a product's guard fails, all holds on it fail. The units that a basket took before are given back when their
    product is settled. Later products of the basket aren't taken.
    """
    taken = _Taken()
    for product_ids in _rounds(reserves):
        openings: list[Opening] = []
        for product_id, on_it in _by_product(reserves, product_ids).items():
            standing = [planned for planned in on_it if planned.effect.reservation.id not in taken.fallen]
            if standing:
                taken.by_product[product_id] = standing
                openings.append((product_id, movement, _r1(movement, product_id, standing, at)))
        opened = await _open(database, late, openings, seen) if openings else set[tuple[str, str]]()
        for product_id, _, _ in openings:
            if (product_id, movement.f) not in opened:
                taken.fallen |= {planned.effect.reservation.id for planned in taken.by_product.pop(product_id)}
    return taken


async def _open(
    database: Database, late: LateSettling, openings: Sequence[Opening], seen: Sightings
) -> set[tuple[str, str]]:
    """Send R1. A single step includes the waiting settlement of the movement before. Returns the steps carried out.

    A step in flight counts as refused: R1 alone makes no reservation, and recovery gives back the units that it takes.
    """
    product_id, movement, step = openings[0]
    settlement = late.take(product_id) if len(openings) == 1 else None
    if settlement is None:
        return (await open_all(database, openings, seen)).took
    opened = await open_all(database, [(product_id, movement, opening_with(step, settlement.movement))], seen)
    if not opened.took:
        await late.settle([settlement])
    return opened.took


def _rounds(reserves: Sequence[PlannedReserve]) -> list[list[str]]:
    """The products in rounds. In each basket, every product is in a later round than the products before it.

    Without baskets there is one round. All baskets take products in the same order, so that no two baskets each take
    units that the other needs.
    """
    before: dict[str, set[str]] = {}
    for planned in reserves:
        product_ids = [line.product_id for line in planned.effect.reservation.lines]
        for place, product_id in enumerate(product_ids):
            before.setdefault(product_id, set()).update(product_ids[max(place - 1, 0) : place])
    round_of: dict[str, int] = {}
    for product_id in sorted(before):  # the order of lines, so that earlier ones come first
        round_of[product_id] = max((round_of[earlier] + 1 for earlier in before[product_id]), default=0)
    rounds: list[list[str]] = [[] for _ in range(max(round_of.values()) + 1)]
    for product_id, place in round_of.items():
        rounds[place].append(product_id)
    return rounds


def _by_product(reserves: Sequence[PlannedReserve], product_ids: Sequence[str]) -> dict[str, list[PlannedReserve]]:
    found: dict[str, list[PlannedReserve]] = {product_id: [] for product_id in product_ids}
    for planned in reserves:
        for line in planned.effect.reservation.lines:
            if line.product_id in found:
                found[line.product_id].append(planned)
    return found


def _r1(movement: Movement, product_id: str, reserves: Sequence[PlannedReserve], at: int) -> tuple[Query, Update]:
    """R1, sent once for this movement and product. Guard: rules unchanged, enough units, no intent f."""
    items = [_item(planned, product_id) for planned in reserves]
    units = sum(item["quantity"] for item in items)
    guard: Query = {"rev": reserves[0].revs[product_id], "available": {"$gte": units}}
    intent = {"f": movement.f, "owner": movement.owner, "at": at, "kind": "reserve", "items": items}
    return opening(product_id, guard, RESERVE_INTENTS_MAX, intent, units, movement.f)


def _item(planned: PlannedReserve, product_id: str) -> Document:
    """A hold as an item of an intent. A repeated request finds its key here: then this reserve is still in flight."""
    held = planned.effect.reservation
    item: Document = {"id": held.id, "user_id": held.user_id, "quantity": _quantity(planned, product_id)}
    if held.key is not None:
        item["key"] = held.key
    return item


def _quantity(planned: PlannedReserve, product_id: str) -> int:
    return next(line.quantity for line in planned.effect.reservation.lines if line.product_id == product_id)


async def _insert(database: Database, f: str, documents: Sequence[Document]) -> dict[str, WriteResult]:
    """R2: insert the reservations, each on its own. Returns the results by id."""
    if not documents:
        return {}
    results: dict[str, WriteResult] = {}
    for of_part in await asyncio.gather(*[_insert_part(database, f, part) for part in parts(documents)]):
        results |= of_part
    return results


async def _insert_part(database: Database, f: str, documents: Sequence[Document]) -> dict[str, WriteResult]:
    """One command of R2.

    A refusal is final only if no copy of the insert can still arrive: after a definite reply, or once there is a VOID
    with the id.
    """
    try:
        places = await database.insert_many("reservations", documents)
    except StoreUnavailableError:
        return {document["_id"]: WriteResult.REFUSED for document in documents}
    except StoreOutcomeUnknownError:
        return await decide(database, f, {document["_id"]: document["user_id"] for document in documents})
    results = {document["_id"]: WriteResult.APPLIED for document in documents}
    if places:
        # The claim was taken, or the id exists: as a VOID of recovery, or as the reservation itself. The error's text
        # doesn't say reliably which of them, so read the documents.
        results |= await _look_at_refused(database, f, [documents[place]["_id"] for place in places])
    return results


async def _look_at_refused(database: Database, f: str, ids: Sequence[str]) -> dict[str, WriteResult]:
    for _ in range(_TRIES_MAX):
        try:
            standing = await _standing(database, f, ids)
        except StoreUnavailableError:
            continue
        return {id_: WriteResult.APPLIED if standing.get(id_) else WriteResult.REFUSED for id_ in ids}
    return dict.fromkeys(ids, WriteResult.UNKNOWN)


async def decide(database: Database, f: str, user_ids: Mapping[str, str]) -> dict[str, WriteResult]:
    """Decide for each id (with its customer) whether it is a reservation of movement f. A missing one becomes a VOID.

    Afterwards those that are APPLIED exist, and those that are REFUSED never will. UNKNOWN: the database failed.
    """
    results: dict[str, WriteResult] = {}
    for _ in range(_TRIES_MAX):
        rest = [id_ for id_ in user_ids if id_ not in results]
        if not rest:
            break
        try:
            standing = await _standing(database, f, rest)
            results |= {id_: WriteResult.APPLIED if real else WriteResult.REFUSED for id_, real in standing.items()}
            absent = [id_ for id_ in rest if id_ not in standing]
            if absent:
                voids = [void_document(id_, user_ids[id_]) for id_ in absent]
                occupied = set(await database.insert_many("reservations", voids))
                results |= {id_: WriteResult.REFUSED for place, id_ in enumerate(absent) if place not in occupied}
        except (StoreUnavailableError, StoreOutcomeUnknownError):
            continue
    return {id_: results.get(id_, WriteResult.UNKNOWN) for id_ in user_ids}


async def _standing(database: Database, f: str, ids: Sequence[str]) -> dict[str, bool]:
    """The ids that have a document, each with whether it is a reservation whose units movement f took.

    Other documents are a VOID or, if a caller uses an id twice, a reservation of another movement.
    """
    found = await database.find("reservations", {"_id": {"$in": list(ids)}}, fields={"status": 1, "taken_by": 1})
    return {document["_id"]: document["status"] != VOID and document["taken_by"] == f for document in found}


async def _settle(
    database: Database,
    late: LateSettling,
    movement: Movement,
    taken: _Taken,
    results: Mapping[str, WriteResult],
    seen: Sightings,
) -> None:
    """R4 for every product whose holds all have known results. The others are left to recovery.

    Settlements that give units back are awaited, because the flush's next try needs the units. The others run later.
    """
    done: list[Settlement] = []
    giving_back: list[Settlement] = []
    for product_id, reserves in taken.by_product.items():
        of_each = [(planned, results.get(planned.effect.reservation.id, WriteResult.REFUSED)) for planned in reserves]
        if any(result is WriteResult.UNKNOWN for _, result in of_each):
            continue
        units = sum(_quantity(planned, product_id) for planned, result in of_each if result is WriteResult.REFUSED)
        (giving_back if units else done).append(Settlement(product_id, movement, units))
    await settle(database, giving_back, seen)
    if done:
        await late.settle(done)
