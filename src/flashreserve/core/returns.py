"""Returns: giving back some units of a purchase, or of a hold that is bought in part.

The reservation stays what it is. Its lines count the units that were returned, and each return is an entry in it.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from flashreserve.core import limits
from flashreserve.core.book import Book
from flashreserve.core.commands import Return
from flashreserve.core.model import Reservation, ReturnEntry, Status, Units
from flashreserve.core.outcomes import (
    AlreadyCancelled,
    Expired,
    Invalid,
    KeyReused,
    NotConfirmed,
    NotFound,
    Returned,
    ReturnOutcome,
    ReturnsUsedUp,
    TooMany,
)


def return_units(book: Book, command: Return) -> ReturnOutcome:
    """Give back units of a purchase. A repeated key is answered before any refusal except NotFound."""
    reservation = book.owned(command.reservation_id, command.user_id)
    if isinstance(reservation, NotFound):
        return reservation
    earlier = next((entry for entry in reservation.returns if entry.key == command.key), None)
    if earlier is not None:
        return Returned(reservation, replayed=True) if earlier.lines == command.lines else KeyReused(command.key)
    refusal = _refuse_status(reservation) or refuse_units(reservation, command.lines)
    if refusal is not None:
        return refusal
    entry = ReturnEntry(command.lines, book.now, command.by, command.key, command.reason)
    refused = refuse_entry(reservation)
    return refused or Returned(book.give_back(reservation, entry))


def rest_of(reservation: Reservation, bought: Sequence[Units]) -> tuple[Units, ...]:
    """The units to give back, so that only those of `bought` are left."""
    final = {line.product_id: line.quantity for line in bought}
    rest = ((line.product_id, line.left - final.get(line.product_id, 0)) for line in reservation.lines)
    return tuple(Units(product_id, units) for product_id, units in rest if units > 0)


def units_bought(reservation: Reservation) -> dict[str, int]:
    """The units by product that a purchase had when it was confirmed, before any of them were returned.

    Only the entries without a key were made before: by confirmations of a part.
    """
    units = {line.product_id: line.quantity for line in reservation.lines}
    for entry in reservation.returns:
        if entry.key is None:
            for line in entry.lines:
                units[line.product_id] -= line.quantity
    return {product_id: quantity for product_id, quantity in units.items() if quantity}


def refuse_units(reservation: Reservation, lines: Iterable[Units]) -> TooMany | Invalid | None:
    """Refuse lines of products that the reservation doesn't have, or of more units than it has left."""
    left = {line.product_id: line.left for line in reservation.lines}
    for line in lines:
        if line.product_id not in left:
            return Invalid("lines", f"expected products of the reservation; {line.product_id} isn't one")
        if line.quantity > left[line.product_id]:
            return TooMany(reservation.id, line.product_id, left[line.product_id])
    return None


def refuse_entry(reservation: Reservation) -> ReturnsUsedUp | None:
    """Refuse one more return of a reservation that has as many as it may have."""
    used_up = len(reservation.returns) >= limits.RETURNS_MAX
    return ReturnsUsedUp(reservation.id, limits.RETURNS_MAX) if used_up else None


def without_person(entry: ReturnEntry) -> ReturnEntry:
    """The entry of a customer who was erased: without the reason, a free text that may name the customer."""
    return replace(entry, reason=None)


def _refuse_status(reservation: Reservation) -> NotConfirmed | AlreadyCancelled | Expired | None:
    match reservation.status:
        case Status.CONFIRMED:
            return None
        case Status.PENDING:
            return NotConfirmed(reservation.id)
        case Status.CANCELLED:
            return AlreadyCancelled(reservation.id)
        case Status.EXPIRED:
            return Expired(reservation.id, reservation.expires_at)
