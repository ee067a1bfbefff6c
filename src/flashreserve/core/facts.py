"""What the rules have to know before they can plan, and the claims by which it is found."""

from typing import TypeAlias

import msgspec

from flashreserve.core.model import Adjustment, Product, Reservation
from flashreserve.core.quotas import NO_QUOTAS, Quotas

Claim: TypeAlias = tuple[str, str]
"""A customer's id and a claim: a string that at most one of this customer's reservations carries."""


def idempotency_claim(key: str) -> str:
    """The claim that binds an idempotency key; kept for good."""
    return f"idem:{key}"


def limit_claim(product_id: str, unit: int) -> str:
    """The claim to the customer's unit number `unit` (from 0) of a limited product; given up on release."""
    return f"limit:{product_id}:{unit}"


def is_limit_claim(claim: str) -> bool:
    """Whether the claim is one to a unit of a limited product."""
    return claim.startswith("limit:")


class Facts(msgspec.Struct):
    """What `plan` may look at. Whatever isn't in here doesn't exist, as far as the plan is concerned.

    `claims` lead to the id of the reservation that holds them; that reservation, with all its claims and the
    products of its lines, is among the others. `reserved_product_ids` are those of the edited products that
    anybody ever reserved. `quotas` are the store's.
    """

    products: dict[str, Product]
    reservations: dict[str, Reservation]
    claims: dict[Claim, str]
    adjustments: dict[tuple[str, str], Adjustment] = {}
    reserved_product_ids: frozenset[str] = frozenset()
    quotas: Quotas = NO_QUOTAS
