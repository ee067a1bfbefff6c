"""Confirming and extending: one guarded write on the reservation alone."""

from model.processes import ModelActor, Program, PromiseKind
from model.release_movement import release, tell_status
from model.steps import ConfirmHold, ExtendHold, ReadClock, ReadReservation, ReplyLostError


async def confirm(actor: ModelActor, reservation: str, tries: int = 1) -> Program | None:
    """Confirm a hold; if the reply is lost, perhaps try again.

    A hold that has lapsed is released first, and called over then. A late copy of a confirmation could still arrive.
    """
    now = await ReadClock()
    try:
        await ConfirmHold(reservation, now)
    except ReplyLostError:
        return Program(actor.name, confirm, (reservation, tries - 1)) if tries > 1 else None
    document = await ReadReservation(reservation)
    if document is None or document.status != "PENDING":
        tell_status(actor, document)
    elif document.expires_at <= now:
        if not actor.fences.over_when_released:
            actor.promise(PromiseKind.OVER, reservation)
            return None
        await release(actor, f"{actor.name}{tries}", [document], "sweep", now)
        tell_status(actor, await ReadReservation(reservation))
    return None


async def extend(actor: ModelActor, reservation: str, by: int, times: int = 1) -> Program | None:
    """Extend a hold, so that it lasts `by` from now on; if the reply is lost, look whether it was extended just so."""
    now = await ReadClock()
    document = await ReadReservation(reservation)
    if document is None or document.status != "PENDING" or document.expires_at <= now:
        return None
    until = now + by
    step = ExtendHold(reservation, now, until, document.extensions, actor.fences.extensions_grow)
    try:
        extended = await step
    except ReplyLostError:
        after = await ReadReservation(reservation)
        expected = (until, document.extensions + 1)
        extended = after is not None and (after.expires_at, after.extensions) == expected
    if extended:
        actor.promise(PromiseKind.EXTENDED, reservation, until)
    return Program(actor.name, extend, (reservation, by, times - 1)) if times > 1 else None
