"""A shop for Schemathesis to test: products and reservations in all states.

Their ids are those of `schemathesis.toml` and of the examples in the OpenAPI document.
"""

from dataclasses import dataclass
from typing import Final

from tests.http.shop import HttpShop

from flashreserve.auth.throttle import Rate, TryRates
from flashreserve.core.commands import Cancel, Confirm, Reserve
from flashreserve.core.endpoints import Endpoint
from flashreserve.core.model import Account, Product, Role, Units
from flashreserve.http.operations.examples import EMAIL, ENDPOINT_ID, PASSWORD, PRODUCT_ID, RESERVATION_ID, USER_ID

ON_SALE: Final = PRODUCT_ID
SOLD_OUT: Final = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d01"
NOT_YET: Final = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d02"
NOT_ANY_MORE: Final = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d03"
LIMITED: Final = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d04"
UNTOUCHED: Final = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d05"
PRODUCT_IDS: Final = [ON_SALE, SOLD_OUT, NOT_YET, NOT_ANY_MORE, LIMITED, UNTOUCHED]

HELD: Final = RESERVATION_ID
CONFIRMED: Final = "0199f3a2-9e10-7b52-8c3f-5a7d9e2b4c01"
CANCELLED: Final = "0199f3a2-9e10-7b52-8c3f-5a7d9e2b4c02"
EXPIRED: Final = "0199f3a2-9e10-7b52-8c3f-5a7d9e2b4c03"
ANOTHERS: Final = "0199f3a2-9e10-7b52-8c3f-5a7d9e2b4c04"
RESERVATION_IDS: Final = [HELD, CONFIRMED, CANCELLED, EXPIRED, ANOTHERS]

ADMIN_ID: Final = "0199f3a1-2c40-7a63-b84d-6e1f0a3c5d01"
ANOTHER_ID: Final = "0199f3a1-2c40-7a63-b84d-6e1f0a3c5d02"

DAY_MS: Final = 24 * 3600 * 1000

_UNHINDERED: Final = Rate(burst=1_000_000, every_ms=1)
UNHINDERED: Final = TryRates(
    login_account=_UNHINDERED,
    login_device=_UNHINDERED,
    login_address=_UNHINDERED,
    register_address=_UNHINDERED,
)
"""Rates high enough for Schemathesis, which tries many passwords a minute: 429 would hide other findings."""


@dataclass(frozen=True)
class SceneTokens:
    admin: str
    customer: str
    another: str


async def prepare(shop: HttpShop) -> SceneTokens:
    """Fill the shop. Returns the tokens of an admin and two customers."""
    now = shop.clock.now_ms()
    await shop.store.add_products(_products(now))
    await _admit(shop, now)
    await _reserve(shop, now)
    await _subscribe(shop, now)
    issue = shop.core.tokens.issue
    return SceneTokens(
        admin=issue(ADMIN_ID, Role.ADMIN, now).token,
        customer=issue(USER_ID, Role.CUSTOMER, now).token,
        another=issue(ANOTHER_ID, Role.CUSTOMER, now).token,
    )


def _products(now: int) -> list[Product]:
    return [
        _product(ON_SALE, now),
        _product(SOLD_OUT, now, stocked=0),
        _product(NOT_YET, now, sale_starts_at=now + DAY_MS),
        _product(NOT_ANY_MORE, now, sale_ends_at=now - 1),
        _product(LIMITED, now, per_customer_limit=3),
        _product(UNTOUCHED, now),
    ]


def _product(
    id_: str,
    now: int,
    *,
    stocked: int = 1_000_000,
    sale_starts_at: int | None = None,
    sale_ends_at: int | None = None,
    per_customer_limit: int | None = None,
) -> Product:
    return Product(
        id=id_,
        name="a thing",
        price=99_999,
        currency="USD",
        stocked=stocked,
        available=stocked,
        sale_starts_at=sale_starts_at,
        sale_ends_at=sale_ends_at,
        per_customer_limit=per_customer_limit,
        hold_s=600,
        extensions_max=100,
        created_at=now,
        updated_at=now,
    )


async def _admit(shop: HttpShop, now: int) -> None:
    """Add the accounts, and register the customer of the document's examples."""
    await shop.core.accounts.register(EMAIL, PASSWORD, None)
    for id_, email, role in (
        (USER_ID, "customer@example.com", Role.CUSTOMER),
        (ANOTHER_ID, "another@example.com", Role.CUSTOMER),
        (ADMIN_ID, "admin@example.com", Role.ADMIN),
    ):
        assert await shop.store.add_account(Account(id_, email, role, "-", now))


async def _reserve(shop: HttpShop, now: int) -> None:
    """Make one customer's reservations in every state, and one of another customer."""
    lines = (Units(ON_SALE, 1),)
    held = [Reserve(id_, USER_ID, lines) for id_ in (HELD, CONFIRMED, CANCELLED)]
    await shop.store.flush([Reserve(EXPIRED, USER_ID, lines)], now - DAY_MS)
    await shop.store.flush([*held, Reserve(ANOTHERS, ANOTHER_ID, lines)], now)
    await shop.store.flush([Confirm(CONFIRMED, USER_ID), Cancel(CANCELLED, USER_ID)], now)


async def _subscribe(shop: HttpShop, now: int) -> None:
    """Add an endpoint whose address may not be called, so that nothing is sent."""
    kid = shop.core.keys.kids[0]
    endpoint = Endpoint(ENDPOINT_ID, "https://127.0.0.1/hooks", (), kid, 1, created_at=now, created_by=ADMIN_ID)
    assert await shop.store.add_endpoint(endpoint, 1)
