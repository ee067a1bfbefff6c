"""What a plan wants written. Each effect says under which guard it may be applied on its own.

A store that loads, plans and applies in one transaction needs no guard: the facts were true. One that doesn't
renders the guard into the write and looks at whether it took.
"""

import msgspec

from flashreserve.core.model import Adjustment, Product, Reservation


class ReserveEffect(msgspec.Struct, frozen=True, gc=False):
    """Insert the reservation with its claims, and take its lines from the products.

    Guard: each product's rules are those planned on (`rev`) and has the units; each claim is free.
    """

    reservation: Reservation
    claims: tuple[str, ...]


class ExtendEffect(msgspec.Struct, frozen=True, gc=False):
    """Set `expires_at` and `extensions` to those of `after`.

    Guard: PENDING, not lapsed, `expires_at` before the new one, one extension fewer.
    """

    after: Reservation


class ConfirmEffect(msgspec.Struct, frozen=True, gc=False):
    """Set CONFIRMED and `confirmed_at`, give up the open hold's claims `claims`.

    Guard: PENDING and `expires_at` after `confirmed_at`.
    """

    after: Reservation
    claims: tuple[str, ...] = ()


class ReleaseEffect(msgspec.Struct, frozen=True, gc=False):
    """Set EXPIRED or CANCELLED and `released_at`, give up the limit and open claims `claims`, return the units.

    Guard: PENDING; for EXPIRED also `expires_at` not after `released_at`.
    """

    after: Reservation
    claims: tuple[str, ...]


class RestockEffect(msgspec.Struct, frozen=True, gc=False):
    """Add `change` to `stocked` and `available`, and keep the adjustment. Guard: key unused, none below zero."""

    adjustment: Adjustment


class EditEffect(msgspec.Struct, frozen=True, gc=False):
    """Write the product's description and rules, not its stock. Guard: `rev` is `rev_before`."""

    after: Product
    rev_before: int


Effect = ReserveEffect | ExtendEffect | ConfirmEffect | ReleaseEffect | RestockEffect | EditEffect
