"""The effects of a plan, which a store writes. Each one's docstring has the guard under which it may be applied alone.

A store that loads, plans and applies in one transaction needs no guard, because the facts are still true. Any other
store makes the guard a condition of the write, and checks whether the write was carried out. The same write records the
effect's event (`trail.event_of`), under the name `by`.
"""

import msgspec

from flashreserve.core.model import Adjustment, Product, Reservation, ReturnEntry


class ReserveEffect(msgspec.Struct, frozen=True, gc=False):
    """Insert the reservation with its claims, and take its lines from the products.

    Guard: each product has the rules planned on (`rev`) and enough units, and each claim is free.
    """

    reservation: Reservation
    claims: tuple[str, ...]


class ExtendEffect(msgspec.Struct, frozen=True, gc=False):
    """Set `expires_at` and `extensions` to those of `after`.

    Guard: PENDING, not lapsed, `expires_at` before the new one, one extension fewer.
    """

    after: Reservation
    by: str
    at: int


class ConfirmEffect(msgspec.Struct, frozen=True, gc=False):
    """Set CONFIRMED and `confirmed_at`, and give up `claims`, the claims of an open hold.

    Guard: PENDING, `expires_at` after `confirmed_at`, and each line has as many units left as planned.
    """

    after: Reservation
    claims: tuple[str, ...]
    by: str


class ReleaseEffect(msgspec.Struct, frozen=True, gc=False):
    """Set EXPIRED or CANCELLED and `released_at`, give up `claims` (of limits and of an open hold), return the units.

    Guard: PENDING; for EXPIRED also `expires_at` not after `released_at`.
    """

    after: Reservation
    claims: tuple[str, ...]
    by: str


class ReturnEffect(msgspec.Struct, frozen=True, gc=False):
    """Add `entry` to the reservation's returns, raise its lines' `returned`, give up `claims`, return the units.

    Guard: the status is that of `after`, each line has as many units left as planned, and the entry's key is unused.
    """

    after: Reservation
    entry: ReturnEntry
    claims: tuple[str, ...]


class LabelEffect(msgspec.Struct, frozen=True, gc=False):
    """Set `external_id` and `metadata` to those of `after`. Guard: both are those of `before`."""

    after: Reservation
    before: Reservation


class RestockEffect(msgspec.Struct, frozen=True, gc=False):
    """Add `change` to `stocked` and `available`, and keep the adjustment.

    Guard: the key is unused, neither figure gets below 0, and `stocked` stays within `limits.STOCK_MAX`.
    """

    adjustment: Adjustment
    after: Product


class EditEffect(msgspec.Struct, frozen=True, gc=False):
    """Write the product's name, price and rules, not its stock. Guard: `rev` is that of `before`."""

    after: Product
    before: Product
    by: str
    at: int


Effect = (
    ReserveEffect
    | ExtendEffect
    | ConfirmEffect
    | ReleaseEffect
    | ReturnEffect
    | LabelEffect
    | RestockEffect
    | EditEffect
)
