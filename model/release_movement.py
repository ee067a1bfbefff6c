"""Releasing: L1 announce, L2 set the status, L3 count, L4 settle. The sweep, and cancelling."""

from collections.abc import Sequence
from enum import Enum, auto

from model.documents import Mode, ReservationDoc
from model.movements import FirstStep, send_first_step, settle
from model.processes import ModelActor, Program, PromiseKind
from model.steps import Announce, FindLapsed, MovementKey, ReadClock, ReadReservation, Release, ReplyLostError

_ROUNDS_MAX = 2
"""How often L2 is sent to all reservations, while a read shows that it may still change one."""


class ReleaseFate(Enum):
    """The fate of a release: nothing was begun, or all is done, or recovery may yet do it."""

    NOT_BEGUN = auto()
    DONE = auto()
    IN_FLIGHT = auto()


async def release(
    actor: ModelActor, f: str, documents: Sequence[ReservationDoc], mode: Mode, cutoff: int
) -> ReleaseFate:
    """A whole release of these reservations under movement `f`, on all their products."""
    movement = actor.movement(f)
    products = sorted({product for document in documents for product, _ in document.lines})
    steps = {product: await _announce(actor, movement, product, documents, mode, cutoff) for product in products}
    announced = {product for product, step in steps.items() if step is FirstStep.TOOK}
    # L2 only where all products carry f: whoever counts f on one of them must know that no other is missing.
    ready = [document for document in documents if all(product in announced for product, _ in document.lines)]
    released = await release_under(actor, f, [document.id for document in ready], mode, cutoff)
    if released is None:
        return ReleaseFate.IN_FLIGHT
    left_out = {product for document in documents if document not in ready for product, _ in document.lines}
    for product in sorted(announced - left_out):
        await settle(actor, product, movement, units_released(released, f, product))  # L3, L4
    if not left_out:
        return ReleaseFate.DONE
    unknown = announced or actor.fences.lost_announcement_unknown
    return ReleaseFate.IN_FLIGHT if unknown else ReleaseFate.NOT_BEGUN


async def _announce(
    actor: ModelActor,
    movement: MovementKey,
    product: str,
    documents: Sequence[ReservationDoc],
    mode: Mode,
    cutoff: int,
) -> FirstStep:
    """L1 on one product, which names the reservations that have a line of it."""
    named = tuple(
        document.id for document in documents if document.units(product) or not actor.fences.listed_where_they_are
    )
    return await send_first_step(actor, Announce(product, movement, mode, named, cutoff))


async def release_under(
    actor: ModelActor, f: str, reservations: Sequence[str], mode: Mode, cutoff: int
) -> list[ReservationDoc] | None:
    """L2 under movement `f` for each reservation, until none can be changed any more.

    Returns the documents, as they were read after that; None if they couldn't be read so.
    """
    for _ in range(_ROUNDS_MAX):
        for reservation in reservations:
            await _release_for_certain(Release(reservation, f, mode, cutoff))
        documents = [await ReadReservation(reservation) for reservation in reservations]
        there = [document for document in documents if document is not None]
        if is_final(there, len(documents), mode, cutoff) or not actor.fences.counted_when_final:
            return there
    return None


async def _release_for_certain(step: Release) -> None:
    """Send L2 until there is a reply."""
    while True:
        try:
            await step
        except ReplyLostError:
            continue
        return


def is_final(documents: Sequence[ReservationDoc], named: int, mode: Mode, cutoff: int) -> bool:
    """Whether L3 may count: all that are named are there, and L2 can change none. Once true, it stays so."""
    return len(documents) == named and not any(document.may_be_released(mode, cutoff) for document in documents)


def units_released(documents: Sequence[ReservationDoc], f: str, product: str) -> int:
    """L3: this product's units of the reservations that were released by `f`."""
    return sum(document.units(product) for document in documents if document.released_by == f)


async def sweep(actor: ModelActor, passes: int = 1) -> Program | None:
    """Release what has lapsed, all under one movement; then perhaps once more."""
    now = await ReadClock()
    lapsed = await FindLapsed(now)
    if lapsed:
        await release(actor, f"{actor.name}{passes}", lapsed, "sweep", now)
    return Program(actor.name, sweep, (passes - 1,)) if passes > 1 else None


async def cancel(actor: ModelActor, reservation: str) -> None:
    """Cancel a hold for its customer, and tell what became of it, if that is known."""
    document = await ReadReservation(reservation)
    if document is None or document.status != "PENDING":
        return
    fate = await release(actor, f"{actor.name}1", [document], "cancel", 0)
    if fate is ReleaseFate.NOT_BEGUN:
        actor.promise(PromiseKind.NOT_CANCELLED, reservation)
        return
    tell_status(actor, await ReadReservation(reservation))


def tell_status(actor: ModelActor, document: ReservationDoc | None) -> None:
    """Tell a customer that the hold is over or confirmed, if it is."""
    if document is None or document.status == "PENDING":
        return
    kind = PromiseKind.CONFIRMED if document.status == "CONFIRMED" else PromiseKind.OVER
    actor.promise(kind, document.id)
