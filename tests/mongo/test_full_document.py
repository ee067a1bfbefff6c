"""A product whose document has reached its size limit, because it has thousands of crashed movements."""

from typing import Final

import bson
import pytest
from tests.contract.requests import assert_balanced, available, counted, flush
from tests.core.examples import CUP, NOON, a_product, reserve, user_id

from flashreserve.clock import SystemIds
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.database import Document

pytestmark = [pytest.mark.mongodb, pytest.mark.slow]

BYTES_MAX: Final = 16 * 2**20
UNITS: Final = 1_000_000
LONG_AGO: Final = NOON - 3_600_000


def crashed_flush(reservations: int) -> Document:
    """The intent of a flush whose process crashed after taking units."""
    ids = SystemIds()
    items = [{"id": ids.new(), "user_id": ids.new(), "quantity": 1} for _ in range(reservations)]
    return {"f": ids.new(), "owner": ids.new(), "at": LONG_AGO, "kind": "reserve", "items": items}


async def test_it_refuses_until_it_was_recovered(store: MongoStore, database: PymongoDatabase) -> None:
    await store.add_products([a_product(units=UNITS)])
    item_bytes = len(bson.encode(crashed_flush(7_000))) / 7_000  # about as many as each will have
    count, room_for = 20, 50
    intents = [crashed_flush(int((BYTES_MAX / item_bytes - room_for) / count)) for _ in range(count)]
    taken = sum(len(intent["items"]) for intent in intents)
    for half in (intents[::2], intents[1::2]):
        units = sum(len(intent["items"]) for intent in half)
        change = {"$inc": {"available": -units}, "$push": {"intents": {"$each": half}}}
        await database.find_one_and_update("products", {"_id": CUP}, change, fields={"_id": 1})

    crowd = [reserve(number, user_id(number)) for number in range(100)]
    refused = await flush(store, *crowd)
    assert counted(refused) == {"Unavailable": 100}
    assert await available(store, CUP) == UNITS - taken

    assert await store.recover(NOON, 100) == count
    assert counted(await flush(store, *crowd)) == {"Reserved": 100}
    assert await available(store, CUP) == UNITS - 100
    await assert_balanced(store)
