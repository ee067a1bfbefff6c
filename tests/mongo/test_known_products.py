"""Planning on cached products: no read before the write, and no harm if the cache is stale."""

import itertools

import pytest
from tests.contract.requests import assert_balanced, available, do
from tests.core.examples import (
    ANN,
    BEN,
    CUP,
    HAT,
    NOON,
    a_product,
    edit,
    granted,
    reservation_id,
    reserve,
    reserve_basket,
    user_id,
)
from tests.mongo.trouble import DriverTrouble, TroubledDatabase

from flashreserve.clock import SystemIds
from flashreserve.core.outcomes import LimitReached, NotOnSale, Replayed, SoldOut
from flashreserve.core.quotas import Quotas
from flashreserve.stores.mongo import MongoStore, intents
from flashreserve.stores.mongo.chunks import PART_MIN, parts
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.known_products import PRODUCTS_MAX, KnownProducts

pytestmark = pytest.mark.mongodb

TAKE_INSERT_SETTLE = 3


@pytest.fixture
def counted(database: PymongoDatabase) -> TroubledDatabase:
    """A database that counts the calls."""
    return TroubledDatabase(database, None, DriverTrouble.STOP_BEFORE)


@pytest.fixture
async def knowing(store: MongoStore, counted: TroubledDatabase) -> MongoStore:
    """A store that has reserved cups (ten units) and hats (limited) before."""
    await store.add_products([a_product(CUP), a_product(HAT, per_customer_limit=1)])
    knowing = MongoStore(counted, SystemIds())
    granted(await do(knowing, reserve_basket(1, {CUP: 1, HAT: 1}, ANN, key="k")))
    await knowing._late.finish()
    counted.calls = 0
    return knowing


@pytest.mark.parametrize("of", [CUP, HAT])
async def test_reserving_a_known_product_takes_three_calls(
    knowing: MongoStore, counted: TroubledDatabase, of: str
) -> None:
    keys = [None, "some", "other"]
    await knowing.flush([reserve(n, user_id(n), of=of, key=key) for n, key in enumerate(keys, 2)], NOON)
    await knowing._late.finish()
    assert counted.calls == TAKE_INSERT_SETTLE
    await assert_balanced(knowing)


async def test_a_product_that_was_only_read_is_known_as_well(store: MongoStore, counted: TroubledDatabase) -> None:
    await store.add_products([a_product(CUP)])
    knowing = MongoStore(counted, SystemIds())
    await knowing.products([CUP])
    counted.calls = 0
    granted(await do(knowing, reserve(1)))
    await knowing._late.finish()
    assert counted.calls == TAKE_INSERT_SETTLE


async def test_settlements_ride_on_the_next_flush(
    store: MongoStore,
    database: PymongoDatabase,
    knowing: MongoStore,
    counted: TroubledDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intents, "_RIDE_S", 60.0)
    for number in range(2, 6):
        granted(await do(knowing, reserve(number, BEN)))
    assert counted.calls == 4 * (TAKE_INSERT_SETTLE - 1)
    assert len((await database.find("products", {"_id": CUP}))[0]["intents"]) == 1
    await assert_balanced(store)
    await knowing._late.finish()
    assert (await database.find("products", {"_id": CUP}))[0]["intents"] == []
    await assert_balanced(store)


async def test_one_that_nothing_follows_is_settled_by_itself(database: PymongoDatabase, knowing: MongoStore) -> None:
    granted(await do(knowing, reserve(2, BEN)))
    while (await database.find("products", {"_id": CUP}))[0]["intents"]:
        pass
    await assert_balanced(knowing)


async def test_what_another_store_has_sold_is_not_sold_again(store: MongoStore, knowing: MongoStore) -> None:
    granted(await do(store, reserve(2, BEN, 8)))
    assert await do(knowing, reserve(3, BEN, 2)) == SoldOut(CUP, 1)
    granted(await do(knowing, reserve(4, BEN, 1)))
    await assert_balanced(store)


async def test_rules_that_another_store_has_changed_hold(store: MongoStore, knowing: MongoStore) -> None:
    await do(store, edit(price=7))
    assert granted(await do(knowing, reserve(2, BEN))).lines[0].unit_price == 7
    await do(store, edit(sale_ends_at=NOON))
    assert await do(knowing, reserve(3, BEN)) == NotOnSale(CUP, None, NOON)
    await assert_balanced(store)


async def test_a_key_that_was_used_is_replayed_and_takes_nothing(knowing: MongoStore) -> None:
    earlier = await knowing.reservation(reservation_id(1))
    assert earlier is not None
    outcomes = (
        await knowing.flush([reserve(2, BEN), reserve_basket(3, {CUP: 1, HAT: 1}, ANN, key="k")], NOON)
    ).outcomes
    assert granted(outcomes[0]).id == reservation_id(2)
    assert outcomes[1] == Replayed(earlier)
    assert await available(knowing, CUP) == 8
    await assert_balanced(knowing)


async def test_a_limit_that_was_used_up_holds(knowing: MongoStore) -> None:
    assert await do(knowing, reserve(2, ANN, of=HAT)) == LimitReached(HAT, 1)
    assert await available(knowing, HAT) == 9
    await assert_balanced(knowing)


async def test_an_id_used_twice_gets_a_hold_of_its_own(knowing: MongoStore) -> None:
    held = granted(await do(knowing, reserve(2, ANN)))
    other = granted(await do(knowing, reserve(2, BEN)))
    same_again = granted(await do(knowing, reserve(2, ANN)))
    assert len({held.id, other.id, same_again.id}) == 3
    assert await knowing.reservation(held.id) == held
    assert await available(knowing, CUP) == 6
    await assert_balanced(knowing)


async def test_where_few_are_left_keys_are_looked_up_first(knowing: MongoStore, counted: TroubledDatabase) -> None:
    granted(await do(knowing, reserve(2, BEN, 8)))
    await knowing._late.finish()
    counted.calls = 0
    granted(await do(knowing, reserve(3, BEN, key="new")))
    await knowing._late.finish()
    assert counted.calls > TAKE_INSERT_SETTLE


async def test_quotas_are_counted_first_while_the_same_customers_come_again(
    store: MongoStore, counted: TroubledDatabase
) -> None:
    await store.add_products([a_product(CUP, 1_000)])
    knowing = MongoStore(counted, SystemIds(), Quotas(open_holds_max=9, holds_per_hour_max=9, lapses_per_hour_max=9))
    await knowing.products([CUP])
    numbers = itertools.count(1)
    calls = []
    for customers in [range(8), range(8), range(8), range(8, 16), range(16, 24)]:
        counted.calls = 0
        commands = [reserve(next(numbers), user_id(customer)) for customer in customers]
        for outcome in (await knowing.flush(commands, NOON)).outcomes:
            granted(outcome)
        await knowing._late.finish()
        calls.append(counted.calls)
    first, surprised, counting, still_counting, trusting = calls
    assert first == trusting == TAKE_INSERT_SETTLE
    assert counting == still_counting
    assert TAKE_INSERT_SETTLE < counting < surprised
    await assert_balanced(knowing)


def test_so_many_products_are_remembered_and_those_seen_last() -> None:
    known = KnownProducts()
    products = [a_product(f"product {n}") for n in range(PRODUCTS_MAX + 1)]
    known.learn(products[:-1])
    known.learn([products[0]])
    known.learn([products[-1]])
    assert len(known.products) == PRODUCTS_MAX
    assert products[0].id in known.products
    assert products[1].id not in known.products


@pytest.mark.parametrize("count", [0, 1, 2 * PART_MIN - 1, 2 * PART_MIN, 513])
def test_parts_are_all_of_it_in_order(count: int) -> None:
    split = parts(range(count))
    assert [each for part in split for each in part] == list(range(count))
    assert len(split) == (2 if count >= 2 * PART_MIN else 1)
