"""The book of a plan: the facts as the plan has changed them so far, and the effects of these changes."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from flashreserve.core import quotas
from flashreserve.core.effects import (
    ConfirmEffect,
    Effect,
    ExtendEffect,
    LabelEffect,
    ReleaseEffect,
    ReserveEffect,
    ReturnEffect,
)
from flashreserve.core.events import BY_SYSTEM
from flashreserve.core.facts import Facts, is_limit_claim, limit_claims_of
from flashreserve.core.model import Line, Reservation, ReturnEntry, Status
from flashreserve.core.outcomes import NotFound


class Book:
    """The facts as this plan has changed them so far, and the effects of these changes."""

    __slots__ = (
        "_claims_of",
        "adjustments",
        "claims",
        "effects",
        "facts",
        "now",
        "products",
        "reservations",
        "units_returned",
    )

    def __init__(self, facts: Facts, now: int) -> None:
        self.facts = facts
        self.now = now
        self.products = dict(facts.products)
        self.reservations = dict(facts.reservations)
        self.claims = dict(facts.claims)
        self._claims_of: dict[str, list[str]] | None = None
        self.adjustments = dict(facts.adjustments)
        self.effects: list[Effect] = []
        self.units_returned = False

    def owned(self, reservation_id: str, user_id: str | None) -> Reservation | NotFound:
        """The customer's reservation, or anybody's if `user_id` is None.

        Another customer's is NotFound, so that an id doesn't reveal that it exists.
        """
        reservation = self.reservations.get(reservation_id)
        if reservation is None or user_id not in {None, reservation.user_id}:
            return NotFound("reservation", reservation_id)
        return reservation

    def reserve(self, reservation: Reservation, claims: tuple[str, ...]) -> None:
        """Add a hold with its claims, and take its units."""
        self._move(reservation, -1)
        for claim in claims:
            self.claims[reservation.user_id, claim] = reservation.id
        if self._claims_of is not None:
            self._claims_of[reservation.id] = list(claims)
        self.reservations[reservation.id] = reservation
        self.effects.append(ReserveEffect(reservation, claims))

    def extend(self, before: Reservation, expires_at: int, by: str) -> Reservation:
        """Let a hold end later."""
        after = replace(before, expires_at=expires_at, extensions=before.extensions + 1, trail_n=before.trail_n + 1)
        self.reservations[after.id] = after
        self.effects.append(ExtendEffect(after, by, self.now))
        return after

    def release(self, before: Reservation, status: Status, by: str = BY_SYSTEM) -> Reservation:
        """End a hold as EXPIRED or CANCELLED. Its units, limit claims and open claim become free."""
        after = replace(before, status=status, released_at=self.now, trail_n=before.trail_n + 1)
        self._move(before, +1)
        claims = self._give_up(before, lambda claim: is_limit_claim(claim) or quotas.is_open_claim(claim))
        self.reservations[before.id] = after
        self.effects.append(ReleaseEffect(after, claims, by))
        self.units_returned = True
        return after

    def confirm(self, before: Reservation, by: str) -> Reservation:
        """Make a hold a purchase. Its open claim becomes free."""
        after = replace(before, status=Status.CONFIRMED, confirmed_at=self.now, trail_n=before.trail_n + 1)
        claims = self._give_up(before, quotas.is_open_claim)
        self.reservations[after.id] = after
        self.effects.append(ConfirmEffect(after, claims, by))
        return after

    def label(self, before: Reservation, after: Reservation) -> Reservation:
        """Give the reservation the labels of `after`, which differ from the present ones."""
        self.reservations[before.id] = after
        self.effects.append(LabelEffect(after, before))
        return after

    def give_back(self, before: Reservation, entry: ReturnEntry) -> Reservation:
        """Return the units of `entry.lines`. So many limit claims of their products become free."""
        units = {line.product_id: line.quantity for line in entry.lines}
        lines = tuple(replace(line, returned=line.returned + units.get(line.product_id, 0)) for line in before.lines)
        after = replace(before, lines=lines, returns=(*before.returns, entry), trail_n=before.trail_n + 1)
        surplus = self._surplus_claims(before, lines)
        claims = self._give_up(before, surplus.__contains__)
        for product_id, quantity in units.items():
            self._put_back(product_id, quantity)
        self.reservations[before.id] = after
        self.effects.append(ReturnEffect(after, entry, claims))
        self.units_returned = True
        return after

    def _surplus_claims(self, reservation: Reservation, lines: Sequence[Line]) -> set[str]:
        """Limit claims of the reservation beyond the units that `lines` have left, those of the highest units.

        It goes by the reservation's claims, not by the product's limit: a product that was read before its limit was
        raised would hide some.
        """
        own = self._own_claims(reservation)
        return {claim for line in lines for claim in limit_claims_of(line.product_id, own)[line.left :]}

    def _move(self, reservation: Reservation, sign: int) -> None:
        for line in reservation.lines:
            self._put_back(line.product_id, sign * line.left)

    def _put_back(self, product_id: str, units: int) -> None:
        product = self.products[product_id]
        self.products[product_id] = replace(product, available=product.available + units)

    def _give_up(self, reservation: Reservation, is_given_up: Callable[[str], bool]) -> tuple[str, ...]:
        """Free those of the reservation's claims for which `is_given_up` holds, and return them."""
        own = self._own_claims(reservation)
        claims = tuple(filter(is_given_up, own))
        for claim in claims:
            own.remove(claim)
            del self.claims[reservation.user_id, claim]
        return claims

    def _own_claims(self, reservation: Reservation) -> list[str]:
        """The reservation's claims now. The first call makes the index of claims by reservation."""
        if self._claims_of is None:
            self._claims_of = {}
            for (_, claim), holder in self.claims.items():
                self._claims_of.setdefault(holder, []).append(claim)
        return self._claims_of.get(reservation.id, [])
