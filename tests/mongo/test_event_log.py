"""The log of events, and pauses of all sales, where processes meet in the worst order. The models found these."""

import asyncio

import pytest
from tests.contract.groups import an_endpoint, claim, delivered, raised
from tests.contract.requests import do, flush
from tests.core.examples import (
    ADMIN,
    CUP,
    NOON,
    a_product,
    confirm,
    edit,
    give_back,
    product_id,
    reservation_id,
    reserve,
    restock,
)
from tests.mongo.trouble import DriverTrouble, TroubledDatabase

from flashreserve.clock import SystemIds
from flashreserve.core.endpoints import GroupRaise
from flashreserve.core.events import EventType
from flashreserve.core.outcomes import Edited, Reserved, SalePaused
from flashreserve.stores.filters import ALL_EVENTS
from flashreserve.stores.mongo import MongoStore, pauses
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.product_import import new_document
from flashreserve.stores.port import StoreOutcomeUnknownError

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
    listed = {"$set": {"ship_at": NOON}, "$unset": {"shipped": ""}}
    await database.find_one_and_update("reservations", {"_id": reservation_id(1)}, listed)
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


async def test_an_end_of_a_pause_that_arrives_late_starts_no_sale(store: MongoStore, database: PymongoDatabase) -> None:
    await store.add_products([a_product()])
    await do(store, edit(pause_reason="a fault"))
    dying = TroubledDatabase(database, "find_one_and_update", DriverTrouble.LOST_LATE)
    resuming = asyncio.ensure_future(do(MongoStore(dying, SystemIds()), edit(pause_reason=None)))
    await dying.met.wait()
    resuming.cancel()
    await asyncio.wait([resuming])
    assert isinstance(await do(store, edit(pause_reason="a fault")), Edited)
    await dying.go_on()
    assert await do(store, reserve(1)) == SalePaused(CUP, "a fault")


async def test_an_end_of_all_pauses_that_arrives_late_starts_no_sale(
    store: MongoStore, database: PymongoDatabase
) -> None:
    await store.pause_all("an outage", ADMIN, NOON)
    losing = TroubledDatabase(database, "find_one_and_update", DriverTrouble.LOST_LATE)
    with pytest.raises(StoreOutcomeUnknownError):
        await MongoStore(losing, SystemIds()).resume_all(ADMIN, NOON)
    await store.pause_all("an outage", ADMIN, NOON)
    await losing.go_on()
    await store.add_products([a_product()])
    assert await do(store, reserve(1)) == SalePaused(CUP, "an outage")


async def test_an_event_that_was_deleted_from_the_log_is_not_logged_again(store: MongoStore) -> None:
    await store.add_products([a_product()])
    await do(store, reserve(1))
    await do(store, confirm(1))
    await store.relay(NOON, 10)
    assert await store.forget_events(NOON + 1, 10) == 2
    await do(store, give_back(1, {CUP: 1}), at=NOON + 1)
    await store.relay(NOON + 1, 10)
    assert [logged.event.id for logged in (await store.events(ALL_EVENTS, 0, 10)).events] == [f"{reservation_id(1)}-3"]


async def test_a_group_that_is_deleted_while_it_is_raised_is_made_anew(
    store: MongoStore, database: PymongoDatabase
) -> None:
    """Groups that were idle for as long as events are kept are deleted, maybe just when their subject has a new one."""
    await store.add_endpoint(an_endpoint(), 9)
    await raised(store, GroupRaise(CUP, 1, 1))
    (group,) = await claim(store, "a")
    await store.end_turns([delivered(group, 1)], "a", NOON)
    stopping = TroubledDatabase(database, "insert_many", DriverTrouble.STOP_AFTER)
    raising = asyncio.ensure_future(raised(MongoStore(stopping, SystemIds()), GroupRaise(CUP, 2, 2)))
    await stopping.stopped.wait()
    assert await store.forget_deliveries(NOON + 1, 10) == 1
    await stopping.go_on()
    await raising
    assert [(each.done, each.upto) for each in await claim(store, "b")] == [(1, 2)]


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
