"""Returning units: G1 announce, G2 enter the return in the reservation, G3 count, G4 settle.

Returns of purchases, and confirmations of fewer units than are held.
"""

import contextlib
from enum import Enum, auto

from model.documents import Lines, ReservationDoc, ReturnPlan
from model.holders import confirm
from model.movements import FirstStep, send_first_step, settle
from model.processes import ModelActor, Program, PromiseKind
from model.steps import AnnounceReturn, ConfirmHold, EnterReturn, ReadClock, ReadReservation, ReplyLostError

_ROUNDS_MAX = 2
"""How often G2 is sent, while a read shows that it may still change the reservation."""


class ReturnFate(Enum):
    """The fate of a return: nothing was begun, or it is entered, or it or another may yet be."""

    NOT_BEGUN = auto()
    ENTERED = auto()
    IN_FLIGHT = auto()


async def give_back(actor: ModelActor, f: str, plan: ReturnPlan) -> ReturnFate:
    """A whole return under movement `f`, on all its products."""
    movement = actor.movement(f)
    announced = [await send_first_step(actor, AnnounceReturn(id_, movement, plan)) for id_ in plan.products]
    begun = any(step is not FirstStep.REFUSED for step in announced)
    # G2 only where all products carry f: whoever counts f on one of them must know that no other is missing.
    needed = all if actor.fences.returned_when_announced else any
    if not needed(step is FirstStep.TOOK for step in announced):
        return ReturnFate.IN_FLIGHT if begun else ReturnFate.NOT_BEGUN
    document = await enter_under(actor, f, plan)
    if document is None:
        return ReturnFate.IN_FLIGHT
    for id_, step in zip(plan.products, announced, strict=True):
        if step is FirstStep.TOOK:
            await settle(actor, id_, movement, document.units_returned(f, id_))  # G3, G4
    return ReturnFate.ENTERED if any(entry.f == f for entry in document.returns) else ReturnFate.IN_FLIGHT


async def enter_under(actor: ModelActor, f: str, plan: ReturnPlan) -> ReservationDoc | None:
    """G2 under movement `f`, until it can change the reservation no more.

    Returns the document, as it was read after that; None if it couldn't be read so.
    """
    for _ in range(_ROUNDS_MAX):
        with contextlib.suppress(ReplyLostError):
            await EnterReturn(f, plan, actor.fences.returns_in_place)
        document = await read_reservation(actor, plan)
        if document is not None and (is_over(actor, document, plan) or not actor.fences.returns_counted_when_over):
            return document
    return None


async def read_reservation(actor: ModelActor, plan: ReturnPlan) -> ReservationDoc | None:
    """The reservation of a return that was announced; None if a stale read doesn't show it."""
    document = await ReadReservation(plan.reservation)
    if document is not None and document.user != plan.user and not actor.fences.returned_whoever_has_it:
        return None
    return document


def is_over(actor: ModelActor, document: ReservationDoc, plan: ReturnPlan) -> bool:
    """Whether G3 may count: G2 can't change the reservation, under any movement. Once true, it stays so."""
    return document.is_past(plan) if actor.fences.old_reads_not_over else not document.may_be_returned(plan)


async def return_purchase(
    actor: ModelActor, reservation: str, lines: Lines, key: str, tries: int = 1
) -> Program | None:
    """Return units of a purchase; if the outcome is unknown, perhaps try again with the same key."""
    document = await ReadReservation(reservation)
    if document is None:
        return None
    subject = f"{reservation}/{key}"
    if document.return_of(key) is not None:
        actor.promise(PromiseKind.RETURNED, subject)
        return None
    if document.status != "CONFIRMED" or any(quantity > document.units(id_) for id_, quantity in lines):
        actor.promise(PromiseKind.NOT_RETURNED, subject)
        return None
    plan = ReturnPlan(
        reservation, document.user, document.status, len(document.returns), lines, key, _freed(document, lines)
    )
    if await give_back(actor, f"{actor.name}{tries}", plan) is ReturnFate.ENTERED:
        actor.promise(PromiseKind.RETURNED, subject)
        return None
    return Program(actor.name, return_purchase, (reservation, lines, key, tries - 1)) if tries > 1 else None


async def confirm_some(actor: ModelActor, reservation: str, lines: Lines, tries: int = 1) -> Program | None:
    """Buy these units of a hold: give the others back first, then confirm what is left."""
    now = await ReadClock()
    document = await ReadReservation(reservation)
    if document is None or document.status != "PENDING" or document.expires_at <= now:
        return Program(actor.name, confirm, (reservation,))
    bought = dict(lines)
    rest = tuple((id_, document.units(id_) - bought.get(id_, 0)) for id_, _ in document.lines)
    rest = tuple((id_, quantity) for id_, quantity in rest if quantity > 0)
    again = Program(actor.name, confirm_some, (reservation, lines, tries - 1)) if tries > 1 else None
    if rest:
        plan = ReturnPlan(
            reservation, document.user, "PENDING", len(document.returns), rest, None, _freed(document, rest)
        )
        if await give_back(actor, f"{actor.name}{tries}", plan) is not ReturnFate.ENTERED:
            return again
    try:
        await ConfirmHold(reservation, now)
    except ReplyLostError:
        return again
    after = await ReadReservation(reservation)
    if after is not None and after.status == "CONFIRMED":
        actor.promise(PromiseKind.BOUGHT, reservation, sum(after.units(id_) for id_, _ in after.lines))
    return None


def _freed(document: ReservationDoc, lines: Lines) -> tuple[str, ...]:
    """The claims of limits beyond the units that will be left, of each product that goes back."""
    freed: list[str] = []
    for product, quantity in lines:
        own = [claim for claim in document.limits if claim.startswith(f"limit:{product}:")]
        freed += own[document.units(product) - quantity :]
    return tuple(freed)
