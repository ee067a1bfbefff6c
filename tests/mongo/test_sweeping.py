"""Sweeps: one search finds many due holds, which are released in batches. Concurrent sweeps avoid each other."""

from collections.abc import Collection, Sequence

import pytest
from tests.contract.requests import assert_balanced, available, flush
from tests.core.examples import CUP, HAT, HOLD_MS, NOON, a_product, reserve, user_id
from tests.mongo.trouble import DriverTrouble, TroubledDatabase

from flashreserve.clock import SystemIds
from flashreserve.core import limits
from flashreserve.jobs.sweep import sweep_once
from flashreserve.stores.mongo import MongoStore, release_movement
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.port import Swept

pytestmark = pytest.mark.mongodb

HOLDS = 200
BIT = 20
LAPSED = NOON + HOLD_MS


@pytest.fixture
async def full(store: MongoStore, monkeypatch: pytest.MonkeyPatch) -> MongoStore:
    """A store with holds that are released in ten batches."""
    monkeypatch.setattr(limits, "SWEEP_MAX", BIT)
    await store.add_products([a_product(units=HOLDS)])
    await flush(store, *[reserve(number, user_id(number)) for number in range(HOLDS)])
    return store


async def test_what_is_due_is_looked_for_once(full: MongoStore, database: PymongoDatabase) -> None:
    looks: list[int] = []

    class LookRecorder(MongoStore):
        async def _due(self, now: int, most: int, tried: Collection[str] = ()) -> list[str]:
            looks.append(most)
            return await super()._due(now, most, tried)

    watched = LookRecorder(database, SystemIds())
    assert await sweep_once(watched, LAPSED) == HOLDS
    assert looks == [watched.sweep_max + 1]
    assert await available(full, CUP) == HOLDS
    await assert_balanced(full)


async def test_a_step_that_ends_in_the_middle_leaves_the_rest(full: MongoStore) -> None:
    assert await full.release_lapsed(LAPSED, 50) == Swept(50, more=True)
    assert await full.release_lapsed(LAPSED, HOLDS) == Swept(HOLDS - 50, more=False)
    await assert_balanced(full)


async def test_whoever_meets_another_sweep_goes_on_from_the_other_end(
    full: MongoStore, database: PymongoDatabase
) -> None:
    tried: list[Sequence[str]] = []

    class ExpireRecorder(MongoStore):
        async def _expire(self, due: Sequence[str], now: int) -> int:
            tried.append(due)
            return await super()._expire(due, now)

    late = ExpireRecorder(database, SystemIds())
    due = await late._due(LAPSED, HOLDS)
    bits = [due[start : start + BIT] for start in range(0, HOLDS, BIT)]
    await full.release_lapsed(LAPSED, BIT)
    assert await late._expire_in_turn(due, LAPSED) == HOLDS - BIT
    assert tried == [bits[0], *reversed(bits[1:])]
    assert await available(full, CUP) == HOLDS
    await assert_balanced(full)


async def test_what_others_released_meanwhile_costs_nothing_but_the_look(
    full: MongoStore, database: PymongoDatabase
) -> None:
    counted = TroubledDatabase(database, None, DriverTrouble.STOP_BEFORE)
    late = MongoStore(counted, SystemIds())
    due = await late._due(LAPSED, HOLDS)
    assert await sweep_once(full, LAPSED) == HOLDS
    calls = counted.calls
    assert await late._expire_in_turn(due, LAPSED) == 0
    assert counted.calls - calls == HOLDS // BIT, "one reading each"


async def test_a_product_without_room_for_a_release_neither_costs_much_nor_keeps_others(
    database: PymongoDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crashed process left the maximum of open movements on a product. Its due holds stay until recovery."""
    monkeypatch.setattr(release_movement, "RELEASE_INTENTS_MAX", 5)
    counted = TroubledDatabase(database, None, DriverTrouble.STOP_BEFORE)
    store = MongoStore(counted, SystemIds())
    await store.add_products([a_product(CUP, units=HOLDS), a_product(HAT, units=HOLDS)])
    products = [CUP, HAT]
    for place, product_id in enumerate(products):
        held = [reserve(number, user_id(number), of=product_id) for number in range(place * BIT, place * BIT + BIT)]
        await flush(store, *held, at=NOON + place)
    crashed = [
        {"f": f, "owner": f, "at": NOON, "kind": "release", "mode": "sweep", "ids": [], "cutoff": LAPSED}
        for f in "abcde"
    ]
    change = {"$push": {"intents": {"$each": crashed}}}
    await database.find_one_and_update("products", {"_id": CUP}, change, fields={"_id": 1})

    calls = counted.calls
    assert await sweep_once(store, LAPSED + 1, step_max=BIT) == BIT
    assert [await available(store, product_id) for product_id in products] == [HOLDS - BIT, HOLDS]
    assert counted.calls - calls <= 25, "two tries of the one, one of the other, two looks beside"

    assert await store.recover(LAPSED + 60_000, 100) == 5
    assert await sweep_once(store, LAPSED + 60_000) == BIT
    assert await available(store, CUP) == HOLDS
    await assert_balanced(store)
