"""The facts that the rules need for planning, and the claims by which they are found."""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from flashreserve.core.model import Adjustment, Product, Reservation
from flashreserve.core.quotas import NO_QUOTAS, Quotas

Claim: TypeAlias = tuple[str, str]
"""A customer's id and a claim: a string that at most one of this customer's reservations carries."""


def idempotency_claim(key: str) -> str:
    """The claim of an idempotency key. It is kept for good."""
    return f"idem:{key}"


def limit_claim(product_id: str, unit: int) -> str:
    """The claim of the customer's unit number `unit` (from 0) of a limited product. It is given up on release."""
    return f"limit:{product_id}:{unit}"


def is_limit_claim(claim: str) -> bool:
    """Whether the claim is that of a unit of a limited product."""
    return claim.startswith("limit:")


def limit_claims_of(product_id: str, claims: Iterable[str]) -> list[str]:
    """Those of the claims that are of units of the product, in the order of the units."""
    prefix = limit_claim(product_id, 0)[:-1]
    return sorted((claim for claim in claims if claim.startswith(prefix)), key=lambda claim: int(claim[len(prefix) :]))


class Facts(msgspec.Struct):
    """All that `plan` knows: it treats everything that isn't here as nonexistent.

    `claims` lead to the id of the reservation that holds them. That reservation, all its claims and the products of its
    lines are in the facts too. `adjustments` are found by product id and key. `reserved_product_ids` are those edited
    products that were ever reserved. `quotas` are those that the store was opened with.
    """

    products: dict[str, Product]
    reservations: dict[str, Reservation]
    claims: dict[Claim, str]
    adjustments: dict[tuple[str, str], Adjustment] = {}
    reserved_product_ids: frozenset[str] = frozenset()
    quotas: Quotas = NO_QUOTAS
