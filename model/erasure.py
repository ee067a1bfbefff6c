"""Erasing a customer: each of the customer's reservations becomes a pseudonym's, unless a movement names it."""

import contextlib
from typing import assert_never

from model.documents import PSEUDONYM, Intent, ReleaseIntent, ReserveIntent, ReturnIntent
from model.processes import ModelActor, Program
from model.steps import PutPseudonym, ReadIntentsNow, ReadReservation, ReplyLostError


async def erase(actor: ModelActor, reservation: str, tries: int = 1) -> Program | None:
    """Put the pseudonym in place of the customer; if that wasn't seen to be done, perhaps try again."""
    document = await ReadReservation(reservation)
    if document is None or document.user == PSEUDONYM:
        return None
    again = Program(actor.name, erase, (reservation, tries - 1)) if tries > 1 else None
    intents = [intent for product, _ in document.lines for intent in await ReadIntentsNow(product)]
    if any(reservation in _named_in(intent) for intent in intents):
        return again
    with contextlib.suppress(ReplyLostError):
        await PutPseudonym(document, PSEUDONYM)
    return again


def _named_in(intent: Intent) -> tuple[str, ...]:
    match intent:
        case ReserveIntent():
            return tuple(item.reservation for item in intent.items)
        case ReleaseIntent():
            return intent.reservations
        case ReturnIntent():
            return (intent.plan.reservation,)
        case _:
            assert_never(intent)
