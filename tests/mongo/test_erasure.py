"""Erasing a customer whose reserve was left unfinished by a process that died."""

import asyncio

import pytest
from tests.contract.requests import assert_balanced, flush
from tests.core.examples import ANN, BEN, NOON, a_product, reservation_id, reserve
from tests.mongo.trouble import DriverTrouble, TroubledDatabase

from flashreserve.clock import SystemIds
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.connection import PymongoDatabase

pytestmark = pytest.mark.mongodb

PSEUDONYM = "erased:0123456789abcdef"


async def test_an_unfinished_reserve_counts_until_recovery_has_ended_it(
    store: MongoStore, database: PymongoDatabase
) -> None:
    await store.add_products([a_product()])
    dying = TroubledDatabase(database, "insert_many", DriverTrouble.STOP_BEFORE)
    reserving = asyncio.ensure_future(flush(MongoStore(dying, SystemIds()), reserve(1)))
    await dying.stopped.wait()
    reserving.cancel()
    await asyncio.wait([reserving])
    assert (await store.has_reservations(ANN), await store.has_reservations(BEN)) == (True, False)
    assert await store.erase_reservations(ANN, PSEUDONYM, 10) == 0

    await store.recover(NOON + 60_000, 10)

    assert await store.erase_reservations(ANN, PSEUDONYM, 10) == 1
    assert await store.has_reservations(ANN) is False
    (kept,) = await database.find("reservations", {})
    assert (kept["_id"], kept["user_id"], kept["status"]) == (reservation_id(1), PSEUDONYM, "VOID")
    await assert_balanced(store)
