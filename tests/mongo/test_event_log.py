"""The log of events, and pauses of all sales, where processes meet in the worst order. The models found these."""

import asyncio

import pytest
from tests.contract.requests import do, flush
from tests.core.examples import ADMIN, CUP, NOON, a_product, confirm, product_id, reservation_id, reserve, restock

from flashreserve.core.events import EventType
from flashreserve.core.outcomes import Reserved, SalePaused
from flashreserve.stores.filters import ALL_EVENTS
from flashreserve.stores.mongo import MongoStore, pauses
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.product_import import new_document

pytestmark = pytest.mark.mongodb


async def test_a_batch_of_places_that_a_dead_process_left_open_is_closed_by_the_next(
    store: MongoStore, database: PymongoDatabase
) -> None:
    """Otherwise no reader would see its events until some later event comes."""
    await store.add_products([a_product()])
    await store.relay(NOON, 10)
    await do(store, reserve(1))
    await do(store, confirm(1))
    await store.relay(NOON, 10)
    event_id = f"{reservation_id(1)}-2"
    open_batch = {"next": 2, "batch": {"first": 2, "ids": [event_id]}}
    await database.find_one_and_update("meta", {"_id": "log"}, {"$set": open_batch})
    await database.find_one_and_update("reservations", {"_id": reservation_id(1)}, {"$set": {"ship_at": NOON}})
    assert (await store.events(ALL_EVENTS, 1, 10)).events == [], "the batch is open"
    await store.relay(NOON, 10)
    assert [logged.event.id for logged in (await store.events(ALL_EVENTS, 1, 10)).events] == [event_id]


async def test_an_older_end_of_a_pause_starts_no_product_that_is_being_made(
    store: MongoStore, database: PymongoDatabase
) -> None:
    """Version 1 resumes all sales, version 2 pauses them; then a product is added, and version 1 arrives late."""
    await store.resume_all(ADMIN, NOON)
    await store.pause_all("an outage", ADMIN, NOON)
    await database.insert_many("products", [new_document(a_product(), ADMIN)])
    await pauses._change_products(database, pauses.ShopPause(None, 1), ADMIN, NOON)
    assert isinstance(await do(store, reserve(1)), SalePaused)
    await pauses.start(database, [CUP])
    assert await do(store, reserve(1)) == SalePaused(CUP, "an outage")


async def test_a_product_whose_process_died_while_making_it_is_started_by_recovery(
    store: MongoStore, database: PymongoDatabase
) -> None:
    await database.insert_many("products", [new_document(a_product(), ADMIN)])
    assert isinstance(await do(store, reserve(1)), SalePaused)
    await store.recover(NOON + 60_000, 10)
    assert isinstance(await do(store, reserve(1)), Reserved)
    await store.relay(NOON, 10)
    found = await store.events(ALL_EVENTS, 0, 10)
    assert [logged.event.type for logged in found.events] == [EventType.PRODUCT_CREATED]


async def test_relays_beside_transitions_lose_no_event(store: MongoStore) -> None:
    """The server evaluates the guard of an update for each document anew, when it has waited for another write."""
    ids = [product_id(number) for number in range(20)]
    await store.add_products([a_product(each) for each in ids])
    over = asyncio.Event()

    async def relays() -> None:
        while not over.is_set():
            await store.relay(NOON, 1_000)

    relaying = [asyncio.create_task(relays()) for _ in range(2)]
    for number in range(30):
        await flush(store, *[restock(1, f"{each}-{number}", of=each) for each in ids])
    over.set()
    await asyncio.gather(*relaying)
    await store.relay(NOON, 1_000)
    logged = (await store.events(ALL_EVENTS, 0, 1_000)).events
    numbers = {each: [found.event.n for found in logged if found.event.subject_id == each] for each in ids}
    assert numbers == {each: list(range(1, 32)) for each in ids}
