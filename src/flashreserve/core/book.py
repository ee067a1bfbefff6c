"""The book of a plan: the facts as the plan has changed them so far, and the effects of these changes."""

from collections.abc import Callable

from msgspec.structs import replace

from flashreserve.core import quotas
from flashreserve.core.effects import ConfirmEffect, Effect, ReleaseEffect, ReserveEffect
from flashreserve.core.facts import Facts, is_limit_claim
from flashreserve.core.model import Reservation, Status


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

    def reserve(self, reservation: Reservation, claims: tuple[str, ...]) -> None:
        """Add a hold with its claims, and take its units."""
        self._move(reservation, -1)
        for claim in claims:
            self.claims[reservation.user_id, claim] = reservation.id
        if self._claims_of is not None:
            self._claims_of[reservation.id] = list(claims)
        self.reservations[reservation.id] = reservation
        self.effects.append(ReserveEffect(reservation, claims))

    def release(self, before: Reservation, status: Status) -> Reservation:
        """End a hold as EXPIRED or CANCELLED. Its units, limit claims and open claim become free."""
        after = replace(before, status=status, released_at=self.now)
        self._move(before, +1)
        claims = self._give_up(before, lambda claim: is_limit_claim(claim) or quotas.is_open_claim(claim))
        self.reservations[before.id] = after
        self.effects.append(ReleaseEffect(after, claims))
        self.units_returned = True
        return after

    def confirm(self, before: Reservation) -> Reservation:
        """Make a hold a purchase. Its open claim becomes free."""
        after = replace(before, status=Status.CONFIRMED, confirmed_at=self.now)
        claims = self._give_up(before, quotas.is_open_claim)
        self.reservations[after.id] = after
        self.effects.append(ConfirmEffect(after, claims))
        return after

    def _move(self, reservation: Reservation, sign: int) -> None:
        for line in reservation.lines:
            product = self.products[line.product_id]
            self.products[product.id] = replace(product, available=product.available + sign * line.quantity)

    def _give_up(self, reservation: Reservation, is_given_up: Callable[[str], bool]) -> tuple[str, ...]:
        """Free those of the reservation's claims for which `is_given_up` holds, and return them.

        The first call makes the index of claims by reservation.
        """
        if self._claims_of is None:
            self._claims_of = {}
            for (_, claim), holder in self.claims.items():
                self._claims_of.setdefault(holder, []).append(claim)
        claims = tuple(filter(is_given_up, self._claims_of.get(reservation.id, ())))
        for claim in claims:
            self._claims_of[reservation.id].remove(claim)
            del self.claims[reservation.user_id, claim]
        return claims
