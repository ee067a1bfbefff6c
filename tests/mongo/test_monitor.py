"""Figures for operators: a document that can't be read doesn't hide the others."""

import asyncio
from typing import Any

import pytest
from tests.contract.requests import flush
from tests.core.examples import ANN, CUP, HOLD_MS, NOON, a_product, confirm_some, reservation_id, reserve
from tests.mongo.trouble import DriverTrouble, TroubledDatabase

from flashreserve.clock import SystemIds
from flashreserve.core.monitoring import Flows, HoldCount
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.connection import PymongoDatabase

pytestmark = pytest.mark.mongodb

LAPSED = NOON + HOLD_MS
BAD = reservation_id(2)
IDS_FROM = 0x0199C0DE0000
"""The time in the ids of the tests' reservations."""

CHANGES: dict[str, Any] = {
    "no lines": {"$unset": {"lines": ""}},
    "empty lines": {"$set": {"lines": []}},
    "lines that are a text": {"$set": {"lines": "CUP"}},
    "lines of numbers": {"$set": {"lines": [7]}},
    "a quantity that is a text": {"$set": {"lines.0.quantity": "2"}},
    "returns that are a text": {"$set": {"returns": "2"}},
    "returns of numbers": {"$set": {"returns": [7]}},
    "an instant that is a text": {"$set": {"confirmed_at": "noon", "created_at": "noon", "returns.0.at": "noon"}},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_a_reservation_that_cannot_be_read_does_not_hide_the_others(
    store: MongoStore, database: PymongoDatabase, change: Any
) -> None:
    await store.add_products([a_product()])
    await flush(store, reserve(1, quantity=3), reserve(2, quantity=3), reserve(3))
    await flush(store, confirm_some(1, {CUP: 1}, ANN), confirm_some(2, {CUP: 1}, ANN))
    await database.update_many("reservations", {"_id": {"$in": [BAD, reservation_id(3)]}}, change)
    found = await store.flows(CUP, IDS_FROM, NOON + 1 - IDS_FROM, 1)
    assert found.reserved[0] >= 3
    assert found.bought[0] >= 1
    assert found.returned[0] >= 2
    assert (await store.held_units()).get(CUP, 0) <= 1
    assert sum(count.holds for count in await store.lapses(LAPSED, 1_000, 1)) == 1


async def test_units_that_an_unfinished_confirmation_has_given_back_are_returned_once(
    store: MongoStore, database: PymongoDatabase
) -> None:
    """A process dies when it has given two units back, and before it confirms the third. The hold lapses."""
    await store.add_products([a_product()])
    await flush(store, reserve(1, quantity=3))
    dying = TroubledDatabase(database, "update_many", DriverTrouble.STOP_BEFORE)
    buying = asyncio.ensure_future(flush(MongoStore(dying, SystemIds()), confirm_some(1, {CUP: 1}, ANN)))
    await dying.stopped.wait()
    buying.cancel()
    await asyncio.wait([buying])
    assert await store.held_units() == {CUP: 1}
    assert (await store.lapses(LAPSED, 1_000, 1))[0] == HoldCount(1, 1)
    await store.release_lapsed(LAPSED, 10)
    assert await store.flows(CUP, IDS_FROM, NOON + 2 * HOLD_MS - IDS_FROM, 1) == Flows([3], [0], [3])


async def test_reports_and_verdicts_that_cannot_be_read_are_left_out(
    store: MongoStore, database: PymongoDatabase
) -> None:
    await database.insert_many("processes", [{"_id": "a", "seen_at": 1}, {"_id": "b", "seen_at": 1, "counts": 7}])
    await database.insert_many("verdicts", [{"_id": "a"}])
    assert await store.processes(0) == []
    assert await store.verdicts(10) == []
