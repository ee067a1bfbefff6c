"""The programs of the processes: flush commands, sweep, recover, audit, import."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias, assert_never

from tests.modelcheck import store_seam
from tests.modelcheck.calls import FAR
from tests.modelcheck.promises import (
    AuditPromise,
    CodePromise,
    ExtensionPromise,
    GrantPromise,
    ImportPromise,
    NotCancelled,
    NothingTaken,
    NotRestocked,
    RestockPromise,
    ReturnPromise,
    StatusPromise,
)
from tests.modelcheck.setting import Seat

from flashreserve.core.commands import Cancel, Command, Reserve, Restock, Return
from flashreserve.core.customers import PSEUDONYM
from flashreserve.core.model import Product
from flashreserve.core.outcomes import (
    AlreadyCancelled,
    AlreadyConfirmed,
    Confirmed,
    Edited,
    Expired,
    Extended,
    ExternalIdTaken,
    Failed,
    Labelled,
    Outcome,
    OutcomeUnknown,
    Refused,
    Released,
    Replayed,
    Reserved,
    Restocked,
    Returned,
    StockTaken,
    Unavailable,
)
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

ProcessRun: TypeAlias = Callable[[Seat], Coroutine[Any, Any, None]]
Others: TypeAlias = Mapping[str, int]
"""By customer, the number of reservations by other requests of the customer. A refusal doesn't deny these."""

NO_OTHERS: Final[Others] = {}
TROUBLE: Final = (StoreOutcomeUnknownError, StoreUnavailableError)


def flush(
    *commands: Command,
    known: Sequence[Product] = (),
    now: int | None = None,
    others: Others = NO_OTHERS,
    then: Sequence[Sequence[Command]] = (),
) -> ProcessRun:
    """A flush, then the other flushes of the process, one by one. Without `now`, each reads the clock."""

    async def run(seat: Seat) -> None:
        store = store_seam.new_store(seat.database, seat.ids, seat.setting.quotas, known)
        for each in (commands, *then):
            at = await seat.clock() if now is None else now
            try:
                flushed = await store.flush(each, at)
            except StoreOutcomeUnknownError:
                continue
            except StoreUnavailableError:
                outcomes: Sequence[Outcome] = [Unavailable("away")] * len(each)
            else:
                outcomes = flushed.outcomes
            for command, outcome in zip(each, outcomes, strict=True):
                tell(seat, command, outcome, others)

    return run


def ask_again(first: Command, second: Command, known: Sequence[Product] = ()) -> ProcessRun:
    """A request, and if its outcome is unknown, the same again with the same key. The second outcome is checked."""

    async def run(seat: Seat) -> None:
        store = store_seam.new_store(seat.database, seat.ids, seat.setting.quotas, known)
        outcome: Outcome
        try:
            (outcome,) = (await store.flush([first], 0)).outcomes
        except StoreOutcomeUnknownError:
            outcome = OutcomeUnknown()
        except StoreUnavailableError:
            return
        if not isinstance(outcome, OutcomeUnknown):
            tell(seat, first, outcome, NO_OTHERS)
            return
        with suppress(*TROUBLE):
            (outcome,) = (await store.flush([second], 0)).outcomes
            if not isinstance(outcome, Unavailable):
                tell(seat, second, outcome, NO_OTHERS)

    return run


def sweep(now: int | None = None) -> ProcessRun:
    """Release all due holds."""

    async def run(seat: Seat) -> None:
        store = store_seam.new_store(seat.database, seat.ids, seat.setting.quotas, ())
        at = await seat.clock() if now is None else now
        with suppress(*TROUBLE):
            await store.release_lapsed(at, 100)

    return run


def expire(now: int | None = None) -> ProcessRun:
    """One step of a sweep: one search for due holds, and one flush (or two, in parts) for them."""

    async def run(seat: Seat) -> None:
        store = store_seam.new_store(seat.database, seat.ids, seat.setting.quotas, ())
        at = await seat.clock() if now is None else now
        with suppress(*TROUBLE):
            await store_seam.release_once(store, at, 100)

    return run


def erase(customer: str) -> ProcessRun:
    """A step of erasing a customer: a pseudonym in place of the customer, where no movement names the reservation."""

    async def run(seat: Seat) -> None:
        store = store_seam.new_store(seat.database, seat.ids, seat.setting.quotas, ())
        with suppress(*TROUBLE):
            await store.erase_reservations(customer, f"{PSEUDONYM}{seat.name}", 100)

    return run


async def recover(seat: Seat) -> None:
    """One pass of recovery."""
    with suppress(*TROUBLE):
        await recover_undisturbed(seat)


async def recover_undisturbed(seat: Seat) -> None:
    """One pass of recovery, without faults."""
    await store_seam.recover_once(seat.database, seat.ids, FAR, imports=seat.setting.imports)


async def audit(seat: Seat) -> None:
    """An audit of the whole database."""
    seat.tell(AuditPromise(await store_seam.differences(seat.database)))


def import_all(*products: Product) -> ProcessRun:
    """An import of products."""

    async def run(seat: Seat) -> None:
        ids = tuple(product.id for product in products)
        try:
            await store_seam.import_products(seat.database, seat.ids, products)
        except StoreOutcomeUnknownError:
            return
        except StoreUnavailableError:
            seat.tell(ImportPromise(ids, imported=False))
        else:
            seat.tell(ImportPromise(ids, imported=True))

    return run


def tell(seat: Seat, command: Command, outcome: Outcome, others: Others) -> None:
    """Record the promise in the outcome of a command."""
    if isinstance(command, Return) and not isinstance(outcome, OutcomeUnknown | Unavailable):
        seat.tell(ReturnPromise(command.reservation_id, command.key, isinstance(outcome, Returned)))
        return
    promise = _promised(outcome) or _denied(seat, command, outcome, others)
    if promise is not None:
        seat.tell(promise)


def _promised(outcome: Outcome) -> CodePromise | None:
    """The promise in an outcome that says that something exists or was done; None for other outcomes."""
    if isinstance(outcome, Refused) and not isinstance(outcome, AlreadyCancelled | AlreadyConfirmed):
        return None
    match outcome:
        case Reserved(reservation) | Replayed(reservation):
            return GrantPromise(reservation.id)
        case Confirmed(reservation) | Released(reservation) | Returned(reservation, _) | Labelled(reservation):
            return StatusPromise(reservation.id, reservation.status.value)
        case Extended(reservation):
            return ExtensionPromise(reservation.id, reservation.extensions)
        case Expired(reservation_id, _):
            return StatusPromise(reservation_id, "EXPIRED")
        case AlreadyCancelled(reservation_id):
            return StatusPromise(reservation_id, "CANCELLED")
        case AlreadyConfirmed(reservation_id):
            return StatusPromise(reservation_id, "CONFIRMED")
        case Restocked(adjustment, _):
            return RestockPromise(adjustment.product_id, adjustment.key)
        case Edited() | ExternalIdTaken() | OutcomeUnknown() | Unavailable() | Failed():
            return None
        case _:
            assert_never(outcome)


def _denied(seat: Seat, command: Command, outcome: Outcome, others: Others) -> CodePromise | None:
    """The promise in an outcome that says that something didn't happen, and never will."""
    if isinstance(outcome, Edited | OutcomeUnknown):
        return None
    unavailable = isinstance(outcome, Unavailable)
    if isinstance(command, Reserve) and not (unavailable and command.key is not None):
        return NothingTaken(command.user_id, others.get(command.user_id, 0))
    if isinstance(command, Cancel) and unavailable and seat.setting.judge_cancel:
        return NotCancelled(command.reservation_id)
    if isinstance(command, Restock) and isinstance(outcome, StockTaken | Unavailable) and seat.setting.judge_restock:
        return NotRestocked(command.product_id, command.key)
    return None
