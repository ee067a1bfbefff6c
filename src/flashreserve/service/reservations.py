"""Reserving, confirming, extending and cancelling for a customer, and reading reservations."""

from collections.abc import Iterable

from msgspec.structs import replace

from flashreserve.clock import Ids
from flashreserve.combiner import Combiner, Tell
from flashreserve.core import limits
from flashreserve.core.commands import Cancel, Confirm, Extend, Reserve, Wanted
from flashreserve.core.holds import status_at
from flashreserve.core.model import Reservation
from flashreserve.core.outcomes import Invalid, NotFound, Outcome
from flashreserve.core.sale import basket
from flashreserve.stock_view import StockView
from flashreserve.stores.port import ReservationStore


class ReservationService:
    """Makes, changes and reads reservations for customers and admins."""

    def __init__(self, store: ReservationStore, combiner: Combiner, view: StockView, ids: Ids) -> None:
        self._store = store
        self._combiner = combiner
        self._view = view
        self._ids = ids

    async def reserve(self, user_id: str, lines: Iterable[Wanted], key: str | None) -> Outcome:
        """Hold all lines or nothing. Lines of one product are summed. `key` is the customer's idempotency key."""
        asked = self._ask(user_id, basket(lines), key)
        return await self._combiner.submit(asked) if isinstance(asked, Reserve) else asked

    def reserve_soon(self, user_id: str, wanted: Wanted, key: str | None, tell: Tell) -> None:
        """Hold one line, for callers without a task that could wait. Calls `tell` with the outcome, perhaps at once."""
        asked = self._ask(user_id, (wanted,), key)
        if isinstance(asked, Reserve):
            self._combiner.submit_soon(asked, tell)
        else:
            tell(asked)

    def _ask(self, user_id: str, wanted: tuple[Wanted, ...], key: str | None) -> Reserve | Outcome:
        """The command, or a refusal that needs no database."""
        for line in wanted:
            if line.quantity > limits.QUANTITY_MAX:
                return Invalid("quantity", f"expected at most {limits.QUANTITY_MAX} units of a product")
        refusal = self._view.refuse(wanted, key, self._combiner.now())
        return refusal or Reserve(self._ids.new(), user_id, wanted, key)

    async def confirm(self, user_id: str, reservation_id: str) -> Outcome:
        """Buy the customer's own hold."""
        return await self._combiner.submit(Confirm(reservation_id, user_id))

    async def extend(self, user_id: str, reservation_id: str) -> Outcome:
        """Extend the customer's own hold by its hold time, counted from now."""
        return await self._combiner.submit(Extend(reservation_id, user_id))

    async def cancel(self, user_id: str, reservation_id: str) -> Outcome:
        """Cancel the customer's own hold."""
        return await self._combiner.submit(Cancel(reservation_id, user_id))

    async def reservation(self, user_id: str, reservation_id: str) -> Reservation | NotFound:
        """The customer's own reservation. Another customer's isn't found."""
        reservation = await self._store.reservation(reservation_id)
        if reservation is None or reservation.user_id != user_id:
            return NotFound("reservation", reservation_id)
        return self._as_now(reservation)

    async def of_user(self, user_id: str, before: str | None, most: int) -> list[Reservation]:
        """A page of the customer's reservations, newest first, with ids below `before`."""
        return [self._as_now(held) for held in await self._store.reservations_of_user(user_id, before, most)]

    async def of_product(self, product_id: str, after: str | None, most: int) -> list[Reservation]:
        """A page of all reservations of a product, oldest first, with ids above `after`."""
        return [self._as_now(held) for held in await self._store.reservations_of_product(product_id, after, most)]

    async def every(self, after: str | None, most: int) -> list[Reservation]:
        """A page of all reservations, oldest first, with ids above `after`."""
        return [self._as_now(held) for held in await self._store.all_reservations(after, most)]

    def _as_now(self, reservation: Reservation) -> Reservation:
        """The reservation at this time: a lapsed hold reads as EXPIRED, even before a sweep has returned its stock."""
        status = status_at(reservation, self._combiner.now())
        return reservation if status is reservation.status else replace(reservation, status=status)
