"""Endpoints and the groups of their deliveries, as tests of stores use them."""

from typing import Any

from msgspec.structs import replace
from tests.core.examples import ADMIN, CUP, NOON

from flashreserve.core.endpoints import Delivery, DeliveryEnd, Endpoint, GroupRaise
from flashreserve.stores.port import Store

ONE = "0199c0de-0000-7000-8005-000000000001"
TWO = "0199c0de-0000-7000-8005-000000000002"
LEASE_MS = 60_000


def an_endpoint(id_: str = ONE, **changes: Any) -> Endpoint:
    endpoint = Endpoint(id_, "https://shop.example/hook?token=x", (), "k1", 1, NOON, ADMIN)
    return replace(endpoint, **changes)


async def current(store: Store, id_: str = ONE) -> Endpoint:
    found = await store.endpoint(id_)
    assert found is not None
    return found


async def raised(store: Store, *raises: GroupRaise, now: int = NOON, id_: str = ONE) -> None:
    endpoint = await current(store, id_)
    assert await store.raise_groups(endpoint, raises, endpoint.seen + 1, now)


async def claim(store: Store, lease: str, now: int = NOON, most: int = 10, id_: str = ONE) -> list[Delivery]:
    return await store.claim(id_, now, most, lease, now + LEASE_MS)


def a_delivery(subject: str = CUP, **changes: Any) -> Delivery:
    return replace(Delivery(ONE, subject, subject, 0, None, 1, 0), **changes)


def delivered(delivery: Delivery, n: int) -> DeliveryEnd:
    return DeliveryEnd(delivery, n, n, 0, None)
