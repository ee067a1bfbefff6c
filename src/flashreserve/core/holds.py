"""Confirming, extending, cancelling and expiring holds."""

from collections.abc import Iterable, Sequence

from flashreserve.core.book import Book
from flashreserve.core.commands import Cancel, Confirm, Expire, Extend
from flashreserve.core.model import LIVE, Reservation, ReturnEntry, Status, Units
from flashreserve.core.outcomes import (
    AlreadyCancelled,
    AlreadyConfirmed,
    CancelOutcome,
    Confirmed,
    ConfirmOutcome,
    Expired,
    ExpireOutcome,
    Extended,
    ExtendOutcome,
    ExtensionsUsedUp,
    NotDue,
    NotFound,
    Released,
)
from flashreserve.core.returns import refuse_entry, refuse_units, rest_of, units_bought


def has_lapsed(expires_at: int, now: int) -> bool:
    """Whether a hold is over. It is over at `expires_at`, not only after it."""
    return expires_at <= now


def status_at(reservation: Reservation, now: int) -> Status:
    """The status to show. A lapsed hold is EXPIRED, even if no sweep has released it yet."""
    if reservation.status is Status.PENDING and has_lapsed(reservation.expires_at, now):
        return Status.EXPIRED
    return reservation.status


def live_units(reservations: Iterable[Reservation], product_id: str) -> int:
    """The units of the product in live reservations, held or bought. Rule 1 subtracts them from `stocked`."""
    return sum(
        line.left
        for reservation in reservations
        if reservation.status in LIVE
        for line in reservation.lines
        if line.product_id == product_id
    )


def confirm(book: Book, command: Confirm) -> ConfirmOutcome:
    """Buy the held units, or some of them. A lapsed hold is released instead."""
    reservation = book.owned(command.reservation_id, command.user_id)
    if isinstance(reservation, NotFound):
        return reservation
    if reservation.status is Status.CANCELLED:
        return AlreadyCancelled(reservation.id)
    if reservation.status is Status.CONFIRMED and command.lines is None:
        return Confirmed(reservation)
    over = _over(book, reservation)
    if over is not None:
        return over
    if command.lines is None:
        return Confirmed(book.confirm(reservation, command.by))
    if reservation.status is Status.CONFIRMED:
        if units_bought(reservation) == {line.product_id: line.quantity for line in command.lines}:
            return Confirmed(reservation)
        return refuse_units(reservation, command.lines) or AlreadyConfirmed(reservation.id)
    return _confirm_some(book, reservation, command.lines, command.by)


def _confirm_some(book: Book, reservation: Reservation, lines: Sequence[Units], by: str) -> ConfirmOutcome:
    """Give back the units that `lines` don't name, then buy the others.

    A crash in between leaves a smaller hold. The same request, sent again, then has nothing to give back.
    """
    refusal = refuse_units(reservation, lines)
    if refusal is not None:
        return refusal
    rest = rest_of(reservation, lines)
    if rest:
        used_up = refuse_entry(reservation)
        if used_up is not None:
            return used_up
        reservation = book.give_back(reservation, ReturnEntry(rest, book.now, by))
    return Confirmed(book.confirm(reservation, by))


def extend(book: Book, command: Extend) -> ExtendOutcome:
    """Extend a hold by its hold time, counted from now. A lapsed hold is released instead."""
    reservation = book.owned(command.reservation_id, command.user_id)
    if isinstance(reservation, NotFound):
        return reservation
    if reservation.status is Status.CONFIRMED:
        return AlreadyConfirmed(reservation.id)
    if reservation.status is Status.CANCELLED:
        return AlreadyCancelled(reservation.id)
    over = _over(book, reservation)
    if over is not None:
        return over
    if reservation.extensions >= reservation.extensions_max:
        return ExtensionsUsedUp(reservation.id, reservation.extensions_max)
    # Always later than before, so that the guard refuses a late copy of an older extension.
    expires_at = max(book.now + reservation.hold_s * 1000, reservation.expires_at + 1)
    return Extended(book.extend(reservation, expires_at, command.by))


def cancel(book: Book, command: Cancel) -> CancelOutcome:
    """Release the held units. A hold that has ended already stays as it is."""
    reservation = book.owned(command.reservation_id, command.user_id)
    if isinstance(reservation, NotFound):
        return reservation
    if reservation.status is Status.CONFIRMED:
        return AlreadyConfirmed(reservation.id)
    if reservation.status is not Status.PENDING:
        return Released(reservation)
    if has_lapsed(reservation.expires_at, book.now):
        return Released(book.release(reservation, Status.EXPIRED))
    return Released(book.release(reservation, Status.CANCELLED, command.by))


def expire(book: Book, command: Expire) -> ExpireOutcome:
    """Release a hold if it has lapsed."""
    reservation = book.reservations.get(command.reservation_id)
    if reservation is None or reservation.status is not Status.PENDING:
        return NotDue(command.reservation_id)
    if not has_lapsed(reservation.expires_at, book.now):
        return NotDue(command.reservation_id)
    return Released(book.release(reservation, Status.EXPIRED))


def _over(book: Book, reservation: Reservation) -> Expired | None:
    """`Expired` if the hold has lapsed, after releasing it; None if it hasn't."""
    if status_at(reservation, book.now) is not Status.EXPIRED:
        return None
    if reservation.status is Status.PENDING:
        book.release(reservation, Status.EXPIRED)
    return Expired(reservation.id, reservation.expires_at)
