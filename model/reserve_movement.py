"""Reserving: R1 take the units, R2 insert the reservations, R3 answer, R4 settle."""

from collections.abc import Sequence

import msgspec

from model.documents import HoldRequest, IntentItem, ReservationDoc, new_reservation
from model.movements import FirstStep, send_first_step, settle
from model.processes import ModelActor, Program, PromiseKind
from model.release_movement import release
from model.reservation_insert import InsertFate, insert
from model.steps import (
    FindHolders,
    FindHoldersNow,
    MovementKey,
    ReadClock,
    ReadWhetherKeyMoves,
    Release,
    ReplyLostError,
    ReturnUnits,
    TakeUnits,
)

Batch = tuple[HoldRequest, ...]
"""The requests of one flush."""


class WaitingSettlement(msgspec.Struct, frozen=True):
    """An R4 that gives nothing back, and waits for the product's next R1 to ride on."""

    product: str
    movement: MovementKey


class Attempt(msgspec.Struct, frozen=True):
    """One try of a flush. It has a movement of its own, and new ids for the reservations."""

    number: int
    movement: MovementKey

    def reservation_id(self, request: HoldRequest) -> str:
        """The id under which this try makes the request's reservation."""
        return f"{request.id or request.name}.{self.number}"

    def item(self, request: HoldRequest, product: str) -> IntentItem:
        """The request, as R1's intent on the product names it."""
        return IntentItem(self.reservation_id(request), request.user, dict(request.lines)[product], request.key)


class TakenUnits(msgspec.Struct):
    """The result of R1: by product that took, the requests in its intent; and the requests that fell out."""

    by_product: dict[str, Batch] = {}
    no_room: set[str] = set()
    lost: set[str] = set()


async def flush(
    actor: ModelActor,
    batches: tuple[Batch, ...],
    tries: int = 1,
    number: int = 1,
    waiting: WaitingSettlement | None = None,
) -> Program | None:
    """Grant or refuse the requests of a flush, each on its own; then those of the flushes after it.

    A request that comes to nothing is tried `tries` times in all, unless there is no room for it.
    """
    requests, *later = batches
    attempt = Attempt(number, actor.movement(f"{actor.name}{number}"))
    taken = await _take_units(actor, attempt, requests, waiting)
    fates = await _insert(actor, attempt, taken, requests)
    waiting = await _settle(actor, attempt, taken, fates, may_wait=bool(later))
    again = []
    for request in requests:
        match fates[request.name]:
            case InsertFate.NOT_MADE:
                full = request.name in taken.no_room
                if not await _answered(actor, attempt, request, full=full, last=full or tries == 1):
                    again.append(request)
            case InsertFate.UNKNOWN if request.key is not None and tries > 1:
                again.append(request)  # The customer was told so, and asks again with the same key.
            case InsertFate.UNKNOWN | InsertFate.GRANTED:
                pass
    if again:
        return Program(actor.name, flush, ((tuple(again), *later), tries - 1, number + 1, waiting))
    if later:
        return Program(actor.name, flush, (tuple(later), tries, number + 1, waiting))
    return None


async def _take_units(
    actor: ModelActor, attempt: Attempt, requests: Batch, waiting: WaitingSettlement | None
) -> TakenUnits:
    """R1 on each product, for all requests of it together. The products come in the same order for all baskets.

    Where a product refuses, all requests of it fall out. The units that a basket took before go back when their product
    is settled.
    """
    taken = TakenUnits()
    for product in sorted({product for request in requests for product, _ in request.lines}):
        fallen = taken.no_room | taken.lost
        standing = tuple(each for each in requests if product in dict(each.lines) and each.name not in fallen)
        if not standing:
            continue
        match await _take_units_of(actor, attempt, product, standing, waiting):
            case FirstStep.TOOK:
                taken.by_product[product] = standing
            case FirstStep.REFUSED:
                taken.no_room |= {each.name for each in standing}
            case FirstStep.IN_FLIGHT:
                # Alone it makes no reservation, and recovery gives back what it takes.
                taken.lost |= {each.name for each in standing}
        waiting = None
    return taken


async def _take_units_of(
    actor: ModelActor, attempt: Attempt, product: str, standing: Batch, waiting: WaitingSettlement | None
) -> FirstStep:
    """R1 on one product, with the settlement that waits for it. If that couldn't ride, it is sent by itself."""
    items = tuple(attempt.item(request, product) for request in standing)
    settled = waiting.movement if waiting is not None and waiting.product == product else None
    took = await send_first_step(actor, TakeUnits(product, attempt.movement, items, settled))
    if waiting is not None and not (settled is not None and took is FirstStep.TOOK):
        await settle(actor, waiting.product, waiting.movement, 0)
    return took


async def _insert(actor: ModelActor, attempt: Attempt, taken: TakenUnits, requests: Batch) -> dict[str, InsertFate]:
    """R2 for each request that has its units on all its products; R3 for each that is granted."""
    fates = {}
    for request in requests:
        if request.name in taken.no_room | taken.lost:
            fates[request.name] = InsertFate.NOT_MADE
            continue
        document = new_reservation(request, attempt.reservation_id(request), attempt.movement.f)
        fates[request.name] = await insert(actor, document)
        if fates[request.name] is InsertFate.GRANTED:
            actor.promise(PromiseKind.GRANTED, document.id)
    return fates


async def _settle(
    actor: ModelActor, attempt: Attempt, taken: TakenUnits, fates: dict[str, InsertFate], *, may_wait: bool
) -> WaitingSettlement | None:
    """R4 on each product whose requests all have a known fate. The others are left to recovery.

    If one product is to be settled, nothing goes back and another flush follows, the settlement waits for its R1.
    """
    units_back = {
        product: sum(dict(each.lines)[product] for each in on_it if fates[each.name] is InsertFate.NOT_MADE)
        for product, on_it in taken.by_product.items()
        if not any(fates[each.name] is InsertFate.UNKNOWN for each in on_it)
    }
    if may_wait and list(units_back.values()) == [0]:
        return WaitingSettlement(next(iter(units_back)), attempt.movement)
    for product, units in units_back.items():
        await settle(actor, product, attempt.movement, units)
    return None


async def _answered(actor: ModelActor, attempt: Attempt, request: HoldRequest, *, full: bool, last: bool) -> bool:
    """Look why a request came to nothing, and answer it. False where another try is worth it.

    Whether a movement names the key is read before who holds it. In the other order, the movement could end between.
    """
    key, intents_first = request.key, actor.fences.intents_read_first
    moves = intents_first and await _moves(actor, request)
    if key is not None:
        holders = await FindHoldersNow(request.user, (key,) if full else request.claims)
    else:
        holders = await FindHolders(request.user, request.claims) if request.claims and not full else ()
    for holder in holders:
        if key in holder.claims:
            actor.promise(PromiseKind.GRANTED, holder.id)
            return True
    if not last and len(await _released_holders(actor, attempt, holders)) == len(holders):
        return False
    moves = moves or (not intents_first and await _moves(actor, request))
    if not moves:  # Else the outcome is unknown: an earlier request with the key may be granted yet.
        actor.promise(PromiseKind.REFUSED, request.name)
    return True


async def _moves(actor: ModelActor, request: HoldRequest) -> bool:
    """Whether an open movement names the request's key."""
    if request.key is None or not actor.fences.moving_key_not_refused:
        return False
    return any([await ReadWhetherKeyMoves(product, request.user, request.key) for product, _ in request.lines])


async def _released_holders(
    actor: ModelActor, attempt: Attempt, holders: Sequence[ReservationDoc]
) -> Sequence[ReservationDoc]:
    """Release those of the holders that have lapsed: they have a claim that is wanted."""
    if not holders:
        return []
    now, f = await ReadClock(), f"{attempt.movement.f}h"
    lapsed = [holder for holder in holders if holder.may_be_released("sweep", now)]
    if actor.fences.lapsed_holds_by_movement:
        await release(actor, f, lapsed, "sweep", now)
        return lapsed
    for holder in lapsed:
        try:
            if await Release(holder.id, f, "sweep", now):
                for product, units in holder.lines:
                    await ReturnUnits(product, units)
        except ReplyLostError:
            continue
    return lapsed
