"""A process that relays and delivers events is killed by `kill -9` at each of its calls. No event is missing.

Its calls are those to the database and the requests to the endpoint. Another process takes over after its lease.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.factories import SqliteFactory
from tests.contract.requests import do
from tests.core.examples import ANN, a_product, cancel, confirm, granted, product_id, reserve, restock
from tests.faults.deliveries import compare, whole_log
from tests.faults.dying_processes import CALLS_MAX, KILLED, DyingProcesses, place_of
from tests.mongo.factory import MongoFactory
from tests.moving_clock import START_MS, MovingClock
from tests.webhooks.delivery_shop import DeliveryShop
from tests.webhooks.receiver import ReceiverPlan
from tests.webhooks.receiver_process import ReceiverProcess

from flashreserve.core.outcomes import Confirmed
from flashreserve.service.deliveries import LEASE_MS
from flashreserve.stores.port import Store


class DeliveryScene:
    """A shop with one endpoint, and processes that deliver to it."""

    def __init__(self, store: Store, place: str, receiver: ReceiverProcess) -> None:
        self.store = store
        self.clock = MovingClock()
        self.shop = DeliveryShop(store, self.clock)
        self._receiver = receiver
        self._dying = DyingProcesses(place)

    async def open(self) -> None:
        made = await self.shop.subscribe(self._receiver.url)
        await asyncio.to_thread(self._receiver.take, ReceiverPlan(secrets=(made.secret,)))

    async def happen(self, number: int) -> None:
        """Make events of a product and of two reservations."""
        at, product = self.clock.now_ms(), product_id(number)
        await self.store.add_products([a_product(product, 115, created_at=at)])
        for hold in (2 * number, 2 * number + 1):
            granted(await do(self.store, reserve(hold, ANN, 1, of=product), at=at))
        assert isinstance(await do(self.store, confirm(2 * number), at=at), Confirmed)
        await do(self.store, cancel(2 * number + 1), at=at)
        await do(self.store, restock(5, f"r{number}", of=product), at=at)

    async def die(self, call: int, moment: str) -> int:
        """Let a process deliver all events and die at the call; its exit code."""
        return await self._dying.die(call, moment, f"deliver {(self.clock.now_ms() - START_MS) / 1000}")

    async def take_over(self) -> None:
        """Deliver what the process left, when its lease is over."""
        self.clock.advance(LEASE_MS / 1000 + 1)
        await self.shop.deliver()

    async def violations(self) -> list[str]:
        return compare(await whole_log(self.store), self._receiver.receipts(), self._receiver.url).violations

    async def close(self) -> None:
        await asyncio.to_thread(self._dying.close)
        await self.shop.close()


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongodb)])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DeliveryScene]:
    factory = MongoFactory(tmp_path) if request.param == "mongodb" else SqliteFactory(tmp_path)
    with ReceiverProcess(tmp_path / "received.jsonl") as receiver:
        made = DeliveryScene(await factory.open(), place_of(factory), receiver)
        await made.open()
        yield made
        await made.close()
        await factory.discard()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_kill_9_at_any_call_of_relay_and_delivery_loses_no_event(scene: DeliveryScene) -> None:
    for number in range(2 * CALLS_MAX):
        call, moment = number // 2, ("before", "after")[number % 2]
        await scene.happen(number)
        code = await scene.die(call, moment)
        await scene.take_over()
        assert await scene.violations() == [], f"killed {moment} call {call}"
        if code == 0:
            break
        assert code == KILLED
    else:
        pytest.fail("the delivery never ends")
    # Neither engine delivers with fewer calls: those of the relay, of the fan-out, and of each turn.
    assert number > 2 * 10
