"""Bugs from the trackers of other shops, checked on our stores. Each command has a flush of its own, concurrently."""

import asyncio
import random

from tests.contract.requests import (
    assert_balanced,
    available,
    counted,
    do,
    do_until_available,
    every,
    everything,
    flush,
    reservation,
)
from tests.core.examples import (
    ANN,
    CUP,
    HAT,
    HOLD_MS,
    NOON,
    a_product,
    cancel,
    confirm,
    expire,
    extend,
    granted,
    reserve,
    reserve_basket,
    user_id,
)

from flashreserve.core import limits
from flashreserve.core.commands import Cancel, Command
from flashreserve.core.model import Status
from flashreserve.core.outcomes import ExtensionsUsedUp, KeyReused, LimitReached, Outcome
from flashreserve.stores.filters import ReservationFilter
from flashreserve.stores.port import Store

LAPSED = NOON + HOLD_MS


async def at_once(store: Store, commands: list[Command]) -> list[Outcome]:
    return await asyncio.gather(*[do_until_available(store, command) for command in commands])


async def test_stock_1_and_500_customers_is_one_grant(store: Store) -> None:
    await store.add_products([a_product(units=1)])
    outcomes = await at_once(store, [reserve(n, user_id(n)) for n in range(500)])
    assert counted(outcomes) == {"Reserved": 1, "SoldOut": 499}
    assert await available(store, CUP) == 0
    await assert_balanced(store)


async def test_200_baskets_each_way_on_200_each_are_200_grants_and_none_hangs(store: Store) -> None:
    await store.add_products([a_product(CUP, 200), a_product(HAT, 200)])
    orders = ({CUP: 1, HAT: 1}, {HAT: 1, CUP: 1})
    outcomes = await at_once(store, [reserve_basket(n, orders[n % 2], user_id(n)) for n in range(400)])
    assert counted(outcomes) == {"Reserved": 200, "SoldOut": 200}
    assert (await available(store, CUP), await available(store, HAT)) == (0, 0)
    await assert_balanced(store)


async def test_confirm_and_expire_within_5_ms_on_1000_holds_have_one_end_each(store: Store) -> None:
    await store.add_products([a_product(units=1_000)])
    for start in (0, 500):
        await flush(store, *[reserve(n) for n in range(start, start + 500)])
    confirmed_at = [random.Random(number).randint(-5, 5) for number in range(1_000)]
    for moment in range(-5, 6):
        due = [confirm(n) for n, at in enumerate(confirmed_at) if at == moment]
        now = LAPSED + moment
        await asyncio.gather(flush(store, *due, at=now), store.release_lapsed(now, 50))
    await store.release_lapsed(LAPSED + 5, 1_000)
    found = await every(store)
    in_time = [Status.CONFIRMED if at < 0 else Status.EXPIRED for at in confirmed_at]
    assert [held.status for held in found] == in_time
    assert await available(store, CUP) == in_time.count(Status.EXPIRED)
    await assert_balanced(store)


async def test_cancelled_twice_and_expired_three_times_the_stock_comes_back_once(store: Store) -> None:
    await store.add_products([a_product()])
    granted(await do(store, reserve(1, quantity=4)))
    await at_once(store, [cancel(1), cancel(1)])
    for _ in range(3):
        await do(store, expire(1), at=LAPSED)
        await store.release_lapsed(LAPSED, 10)
    assert await available(store, CUP) == 10
    assert (await reservation(store, 1)).status is Status.CANCELLED


async def test_reserving_goes_on_while_nobody_sweeps_and_a_late_sweep_gets_all(store: Store) -> None:
    await store.add_products([a_product(units=100)])
    for second in range(20):
        granted(await do(store, reserve(second), at=NOON + second * 1_000))
    late = LAPSED + 10_000
    granted(await do(store, reserve(99), at=late))
    swept = await store.release_lapsed(late, 1_000)
    assert swept.released == 11
    left = [held for held in await every(store) if held.status is Status.PENDING]
    assert all(held.expires_at > late for held in left)
    assert len(left) == 10


async def test_one_key_and_20_requests_is_one_hold_and_another_body_is_refused(store: Store) -> None:
    await store.add_products([a_product()])
    outcomes = await at_once(store, [reserve(n, key="k") for n in range(20)])
    assert counted(outcomes) == {"Reserved": 1, "Replayed": 19}
    shown = [getattr(outcome, "reservation", None) for outcome in outcomes]
    assert shown == [shown[0]] * 20
    assert await do(store, reserve(99, quantity=2, key="k")) == KeyReused("k")
    assert await available(store, CUP) == 9


async def test_two_keys_with_limit_1_are_one_hold(store: Store) -> None:
    await store.add_products([a_product(per_customer_limit=1)])
    outcomes = await at_once(store, [reserve(1, key="k1"), reserve(2, key="k2")])
    assert counted(outcomes) == {"Reserved": 1, "LimitReached": 1}


async def test_limit_10_refuses_200_and_gives_exactly_10_of_20_singles(store: Store) -> None:
    await store.add_products([a_product(units=1_000, per_customer_limit=10)])
    assert await do(store, reserve(500, quantity=200)) == LimitReached(CUP, 10)
    outcomes = await at_once(store, [reserve(n) for n in range(20)])
    assert counted(outcomes) == {"Reserved": 10, "LimitReached": 10}
    assert await available(store, CUP) == 990


async def test_a_failed_reserve_moves_no_hold_and_the_fourth_extension_of_three_is_refused(store: Store) -> None:
    await store.add_products([a_product(units=1, extensions_max=3)])
    granted(await do(store, reserve(1)))
    before = await everything(store)
    await do(store, reserve(2), at=NOON + 50)
    assert await everything(store) == before
    outcomes = [await do(store, extend(1), at=NOON + n) for n in range(4)]
    assert [type(outcome).__name__ for outcome in outcomes] == ["Extended"] * 3 + ["ExtensionsUsedUp"]
    assert isinstance(outcomes[3], ExtensionsUsedUp)


async def test_cancelling_everything_gives_stock_and_allowance_back(store: Store) -> None:
    await store.add_products([a_product(CUP, 20, per_customer_limit=20), a_product(HAT, 20, per_customer_limit=20)])
    for _ in range(2):
        start = len(await every(store))
        baskets = [reserve_basket(start + n, {CUP: 1, HAT: 1}) for n in range(20)]
        held = [granted(each) for each in await asyncio.gather(*[do_until_available(store, one) for one in baskets])]
        assert (await available(store, CUP), await available(store, HAT)) == (0, 0)
        cancels: list[Command] = [Cancel(each.id, each.user_id) for each in held]
        assert counted(await at_once(store, cancels)) == {"Released": 20}
        assert (await available(store, CUP), await available(store, HAT)) == (20, 20)


async def test_1000_units_and_5000_customers_are_1000_grants(store: Store) -> None:
    await store.add_products([a_product(units=1_000)])
    outcomes: list[Outcome] = []
    for start in range(0, 5_000, limits.FLUSH_MAX):
        customers = range(start, min(start + limits.FLUSH_MAX, 5_000))
        outcomes += await flush(store, *[reserve(n, user_id(n)) for n in customers])
    assert counted(outcomes) == {"Reserved": 1_000, "SoldOut": 4_000}
    assert await available(store, CUP) == 0
    assert len(await every(store, ReservationFilter(user_id=ANN), newest_first=True)) == 1
    await assert_balanced(store)
