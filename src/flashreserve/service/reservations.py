"""Reserving, confirming, extending, cancelling and returning, and reading reservations."""

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from flashreserve.clock import Ids
from flashreserve.combiner import Combiner, Tell
from flashreserve.core import limits
from flashreserve.core.commands import Cancel, Confirm, Extend, Label, Reserve, Return
from flashreserve.core.holds import status_at
from flashreserve.core.model import BY_CUSTOMER, Reservation, Units
from flashreserve.core.outcomes import Invalid, NotFound, Outcome
from flashreserve.core.sale import basket
from flashreserve.stock_view import StockView
from flashreserve.stores.filters import ReservationFilter, ReservationsFound
from flashreserve.stores.port import ReservationStore

_NO_METADATA: Final[dict[str, str]] = {}


class ReservationService:
    """Makes, changes and reads reservations for customers and admins.

    Where `user_id` may be None, None stands for an admin or a key, who may act on anybody's reservation. `by` is the
    name under which the change is recorded; see `core.events.actor_named`.
    """

    def __init__(self, store: ReservationStore, combiner: Combiner, view: StockView, ids: Ids) -> None:
        self._store = store
        self._combiner = combiner
        self._view = view
        self._ids = ids

    async def reserve(
        self,
        user_id: str,
        lines: Iterable[Units],
        key: str | None,
        external_id: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Outcome:
        """Hold all lines or nothing. Lines of one product are summed. `key` is the customer's idempotency key."""
        asked = self._ask(user_id, basket(lines), key, external_id, metadata)
        return await self._combiner.submit(asked) if isinstance(asked, Reserve) else asked

    def reserve_soon(
        self,
        user_id: str,
        wanted: Units,
        key: str | None,
        tell: Tell,
        external_id: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> None:
        """Hold one line, for callers without a task that could wait. Calls `tell` with the outcome, perhaps at once."""
        asked = self._ask(user_id, (wanted,), key, external_id, metadata)
        if isinstance(asked, Reserve):
            self._combiner.submit_soon(asked, tell)
        else:
            tell(asked)

    def _ask(
        self,
        user_id: str,
        wanted: tuple[Units, ...],
        key: str | None,
        external_id: str | None,
        metadata: dict[str, str] | None,
    ) -> Reserve | Outcome:
        """The command, or a refusal that needs no database."""
        for line in wanted:
            if line.quantity > limits.QUANTITY_MAX:
                return Invalid("quantity", f"expected at most {limits.QUANTITY_MAX} units of a product")
        refusal = self._view.refuse(wanted, key, self._combiner.now())
        return refusal or Reserve(self._ids.new(), user_id, wanted, key, external_id, metadata or _NO_METADATA)

    async def confirm(
        self, user_id: str | None, reservation_id: str, lines: Iterable[Units] | None = None, by: str = BY_CUSTOMER
    ) -> Outcome:
        """Buy the customer's own hold, or only `lines` of it; then the rest is given back."""
        bought = None if lines is None else basket(lines)
        return await self._combiner.submit(Confirm(reservation_id, user_id, bought, by))

    async def extend(self, user_id: str | None, reservation_id: str, by: str = BY_CUSTOMER) -> Outcome:
        """Extend the customer's own hold by its hold time, counted from now."""
        return await self._combiner.submit(Extend(reservation_id, user_id, by))

    async def cancel(self, user_id: str | None, reservation_id: str, by: str = BY_CUSTOMER) -> Outcome:
        """Cancel the customer's own hold."""
        return await self._combiner.submit(Cancel(reservation_id, user_id, by))

    async def return_units(
        self, user_id: str | None, reservation_id: str, lines: Iterable[Units], *, key: str, by: str, reason: str | None
    ) -> Outcome:
        """Give back units of a purchase, once under the key."""
        return await self._combiner.submit(Return(reservation_id, user_id, basket(lines), key, by, reason))

    async def label(
        self,
        reservation_id: str,
        external_id: str | UnsetType | None = UNSET,
        metadata: dict[str, str] | UnsetType = UNSET,
    ) -> Outcome:
        """Change the shop's own id and metadata of anybody's reservation. Unset ones stay as they are."""
        return await self._combiner.submit(Label(reservation_id, None, external_id, metadata))

    async def reservation(self, user_id: str | None, reservation_id: str) -> Reservation | NotFound:
        """The customer's own reservation. Another customer's isn't found."""
        reservation = await self._store.reservation(reservation_id)
        if reservation is None or user_id not in {None, reservation.user_id}:
            return NotFound("reservation", reservation_id)
        return self._as_now(reservation)

    async def search(
        self, where: ReservationFilter, beyond: str | None, most: int, *, newest_first: bool = False
    ) -> ReservationsFound:
        """A page of the reservations that `where` allows now; see `ReservationStore.search_reservations`."""
        now = self._combiner.now()
        found = await self._store.search_reservations(where, beyond, most, now, newest_first=newest_first)
        return ReservationsFound([self._as_now(held) for held in found.reservations], found.beyond)

    def _as_now(self, reservation: Reservation) -> Reservation:
        """The reservation at this time: a lapsed hold reads as EXPIRED, even before a sweep has returned its stock."""
        status = status_at(reservation, self._combiner.now())
        return reservation if status is reservation.status else replace(reservation, status=status)
