"""Recovering: V0 take a movement over, V1 undo a reserve, V2 finish a release, V3 finish or end a return.

Any process may recover, at any time. The code waits until a movement is 30 s old. The model doesn't: a recoverer may
come at once, so that no time is safe.
"""

from collections.abc import Sequence
from typing import assert_never

from model.documents import Intent, IntentItem, ReleaseIntent, ReserveIntent, ReturnIntent
from model.movements import settle
from model.processes import ModelActor, Program
from model.release_movement import is_final, release, release_under, units_released
from model.reservation_insert import InsertFate, decide, make_it_so
from model.return_movement import enter_under, give_back, is_over, read_reservation
from model.steps import MovementKey, ReadIntents, ReadReservation, ReplyLostError, TakeOver


async def recover(actor: ModelActor, products: tuple[str, ...], passes: int = 1, turn: int = 0) -> Program | None:
    """Look at each product in turn, and finish or undo every movement that is open on it."""
    if turn == len(products):
        return Program(actor.name, recover, (products, passes - 1)) if passes > 1 else None
    intents = await ReadIntents(products[turn])
    return Program(actor.name, _recover_each, (products, passes, turn, intents))


async def _recover_each(
    actor: ModelActor, products: tuple[str, ...], passes: int, turn: int, intents: tuple[Intent, ...]
) -> Program:
    if not intents:
        return Program(actor.name, recover, (products, passes, turn + 1))
    first, *others = intents
    await _recover_one(actor, products[turn], first, actor.owner(f"{passes}{products[turn]}{first.f}"))
    return Program(actor.name, _recover_each, (products, passes, turn, tuple(others)))


async def _recover_one(actor: ModelActor, product: str, intent: Intent, token: str) -> None:
    """V0; then V1 or V2, and settle. A movement whose count stays unknown is left to the next recoverer."""
    if actor.fences.owner_guard:
        try:
            if not await TakeOver(product, intent.f, intent.owner, token):
                return
        except ReplyLostError:
            return
    match intent:
        case ReserveIntent(f, _, items):
            units = await _undo_reserve(actor, f, product, items)
        case ReleaseIntent():
            units = await _finish_release(actor, product, intent, token)
        case ReturnIntent():
            units = await _finish_return(actor, product, intent, token)
        case _:
            assert_never(intent)
    if units is not None:
        await settle(actor, product, MovementKey(intent.f, token), units)


async def _undo_reserve(actor: ModelActor, f: str, product: str, items: Sequence[IntentItem]) -> int | None:
    """V1: put a VOID where a reservation is missing. Exactly the units of what was not reserved go back."""
    units = 0
    for item in items:
        back = actor.fences.rolls_back
        match await (decide(f, item.reservation, item.user) if back else make_it_so(f, product, item)):
            case InsertFate.NOT_MADE:
                units += item.quantity
            case InsertFate.UNKNOWN:
                return None
            case InsertFate.GRANTED:
                pass
    return units


async def _finish_release(actor: ModelActor, product: str, intent: ReleaseIntent, token: str) -> int | None:
    """V2: L2 under the old id for those of a single product, a whole release under a fresh id for baskets.

    Never L2 on a basket under another's id: not all of its products may carry that.
    """
    mode, cutoff = intent.mode, intent.cutoff
    documents = [await ReadReservation(id_) for id_ in intent.reservations]
    found = [document for document in documents if document is not None]
    if len(found) < len(documents):
        return None  # A stale read: every reservation that a release names exists.
    is_basket = {document.id: len(document.lines) > 1 and actor.fences.baskets_released_afresh for document in found}
    singles = [document.id for document in found if not is_basket[document.id]]
    counted = await release_under(actor, intent.f, singles, mode, cutoff)
    if counted is None:
        return None
    baskets = [document for document in found if is_basket[document.id]]
    open_ones = [document for document in baskets if document.may_be_released(mode, cutoff)]
    if open_ones:
        await release(actor, f"{token}>{product}", open_ones, mode, cutoff)
    after = [await ReadReservation(document.id) for document in baskets]
    there = [document for document in after if document is not None]
    if not is_final(there, len(baskets), mode, cutoff):
        return None
    return units_released([*counted, *there], intent.f, product)


async def _finish_return(actor: ModelActor, product: str, intent: ReturnIntent, token: str) -> int | None:
    """V3: G2 under the old id for a return of a single product, a whole return under a fresh id for a basket's.

    Never G2 on a basket's under another's id: not all of its products may carry that.
    """
    plan = intent.plan
    if len(plan.products) == 1 or not actor.fences.baskets_returned_afresh:
        document = await enter_under(actor, intent.f, plan)
        return None if document is None else document.units_returned(intent.f, product)
    document = await read_reservation(actor, plan)
    if document is not None and not is_over(actor, document, plan):
        await give_back(actor, f"{token}>{product}", plan)
        document = await read_reservation(actor, plan)
    if document is None or not is_over(actor, document, plan):
        return None
    return document.units_returned(intent.f, product)
