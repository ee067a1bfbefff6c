"""Customers' ids are opaque: every visible ASCII character may be in them, and no two customers are mixed up."""

from typing import Final

import pytest
from tests.contract.requests import assert_balanced, do, every, flush
from tests.core.examples import CUP, a_product, confirm, granted, reservation_id, reserve

from flashreserve.core.model import Status
from flashreserve.core.outcomes import Confirmed, LimitReached, NotFound, Replayed, Reserved
from flashreserve.stores.filters import ReservationFilter
from flashreserve.stores.port import Store

STRANGE: Final = ("shop:1", "shop:%31", "a'b\"c", "$where", "{}[],", "x.y", "%", "limit:", "0" * 128)


@pytest.mark.parametrize("user", STRANGE)
async def test_a_customer_of_any_id_reserves_confirms_and_lists(store: Store, user: str) -> None:
    await store.add_products([a_product(per_customer_limit=2)])
    first = granted(await do(store, reserve(1, user, key="k")))
    assert await do(store, reserve(2, user, key="k")) == Replayed(first)
    granted(await do(store, reserve(3, user)))
    assert await do(store, reserve(4, user)) == LimitReached(CUP, 2)
    assert isinstance(await do(store, confirm(1, user)), Confirmed)
    assert [held.user_id for held in await every(store, ReservationFilter(user_id=user), newest_first=True)] == [
        user,
        user,
    ]
    await assert_balanced(store)


async def test_ids_and_keys_that_look_alike_together_are_different(store: Store) -> None:
    """Stored as one text, `shop` with the key `1:k` and `shop:1` with the key `k` must not be the same."""
    await store.add_products([a_product(per_customer_limit=1)])
    users_and_keys = [("shop", "1:k"), ("shop:1", "k"), ("shop%3A1", "k"), ("shop%3a1", "k"), ("SHOP:1", "k")]
    commands = [reserve(number, user, key=key) for number, (user, key) in enumerate(users_and_keys, start=1)]
    assert {type(outcome) for outcome in await flush(store, *commands)} == {Reserved}
    for number, (user, key) in enumerate(users_and_keys, start=1):
        replayed = await do(store, reserve(number + 10, user, key=key))
        assert isinstance(replayed, Replayed)
        assert replayed.reservation.id == reservation_id(number)
        own = await every(store, ReservationFilter(user_id=user), newest_first=True)
        assert [(held.id, held.status) for held in own] == [(reservation_id(number), Status.PENDING)]
    assert await do(store, confirm(1, "shop:1")) == NotFound("reservation", reservation_id(1))
