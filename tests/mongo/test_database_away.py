"""Outages: the database server is killed during work, and starts again."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.contract.requests import every
from tests.core.examples import CUP, NOON, a_product, reserve, user_id
from tests.servers.mongodb import MISSING, MongoServer, start_server

from flashreserve.clock import SystemIds
from flashreserve.core.outcomes import Outcome, OutcomeUnknown, Reserved, Unavailable
from flashreserve.stores.mongo import MongoStore, open_mongo
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

pytestmark = pytest.mark.mongodb

LATER = NOON + 60_000


@pytest.fixture
async def server() -> AsyncIterator[MongoServer]:
    """A server that the test may kill."""
    server = await asyncio.to_thread(start_server, "killed")
    if server is None:
        pytest.skip(MISSING)
    yield server
    await asyncio.to_thread(server.stop)


async def _reserve_until(stop: asyncio.Event, store: MongoStore, lane: int) -> list[Outcome]:
    """The outcomes of reserves, made one after the other."""
    outcomes: list[Outcome] = []
    number = lane
    while not stop.is_set():
        number += 10
        try:
            outcomes += (await store.flush([reserve(number, user_id(number))], NOON)).outcomes
        except StoreUnavailableError as error:
            outcomes.append(Unavailable(str(error)))
        except StoreOutcomeUnknownError:
            outcomes.append(OutcomeUnknown())
        await asyncio.sleep(0)
    return outcomes


async def test_what_was_granted_before_the_kill_is_there_and_the_books_balance(server: MongoServer) -> None:
    store = await open_mongo(server.url + "shop", SystemIds(), create=True)
    await store.add_products([a_product(units=100_000)])
    stop = asyncio.Event()
    work = [asyncio.create_task(_reserve_until(stop, store, lane)) for lane in range(4)]
    while len(await every(store)) < 40:
        pass
    await asyncio.to_thread(server.kill)
    stop.set()
    outcomes = [outcome for each in await asyncio.gather(*work) for outcome in each]
    asked = (store.check_writable(), store.flush([reserve(1_000_000, user_id(1))], NOON))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailableError] * 2
    await asyncio.to_thread(server.resume)
    await store.check_writable()
    while await store.recover(LATER, 100):
        pass
    audit = await store.audit()
    assert audit.complete
    assert audit.differences == []
    granted = {outcome.reservation.id for outcome in outcomes if isinstance(outcome, Reserved)}
    there = {held.id for held in await every(store)}
    assert granted <= there
    assert len(there - granted) <= sum(isinstance(outcome, OutcomeUnknown) for outcome in outcomes)
    product = await store.product(CUP)
    assert product is not None
    assert product.available == 100_000 - len(there)
    await store.close()
