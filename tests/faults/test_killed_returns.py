"""A process that returns five units is killed by `kill -9` at each of its calls to the database.

Stock 115, of which an order has 15. Afterwards 100 or 105 are available, and nothing else; and the same request with
the same key makes it 105.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from tests.contract.factories import SqliteFactory
from tests.contract.requests import assert_balanced, available, do
from tests.core.examples import ANN, NOON, a_product, confirm, granted, product_id, reservation_id, reserve
from tests.faults.dying import return_of
from tests.faults.dying_processes import CALLS_MAX, KILLED, DyingProcesses, place_of
from tests.mongo.factory import MongoFactory

from flashreserve.core.outcomes import Confirmed, Returned
from flashreserve.stores.port import Store

RECOVERY_MS: Final = 31_000


class ReturnScene:
    """A database with orders, a store on it, and processes that return units of them."""

    def __init__(self, store: Store, place: str) -> None:
        self.store = store
        self._dying = DyingProcesses(place)

    async def order(self, number: int) -> None:
        """Make a product of which 15 of 115 units are bought."""
        await self.store.add_products([a_product(product_id(number), 115)])
        granted(await do(self.store, reserve(number, ANN, 15, of=product_id(number))))
        assert isinstance(await do(self.store, confirm(number)), Confirmed)

    async def die(self, number: int, call: int, moment: str) -> int:
        """Let a process return five units and die at the call; its exit code."""
        return await self._dying.die(call, moment, f"return {reservation_id(number)} {product_id(number)} 5")

    async def return_again(self, number: int) -> Returned:
        outcome = await do(self.store, return_of(reservation_id(number), product_id(number), 5))
        assert isinstance(outcome, Returned), outcome
        return outcome

    def close(self) -> None:
        self._dying.close()


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongodb)])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ReturnScene]:
    factory = MongoFactory(tmp_path) if request.param == "mongodb" else SqliteFactory(tmp_path)
    store = await factory.open()
    made = ReturnScene(store, place_of(factory))
    yield made
    await asyncio.to_thread(made.close)
    await factory.discard()


@pytest.mark.timeout(300)
async def test_kill_9_at_any_call_of_a_return_leaves_all_or_nothing(scene: ReturnScene) -> None:
    left: dict[int, int] = {}
    for number in range(2 * CALLS_MAX):
        call, moment = number // 2, ("before", "after")[number % 2]
        await scene.order(number)
        code = await scene.die(number, call, moment)
        await assert_balanced(scene.store)
        await recover(scene.store)
        left[number] = await available(scene.store, product_id(number))
        assert left[number] in {100, 105}, f"killed {moment} call {call}"
        again = await scene.return_again(number)
        assert again.replayed == (left[number] == 105)
        assert len(again.reservation.returns) == 1
        assert await available(scene.store, product_id(number)) == 105
        if code == 0:
            break
        assert code == KILLED
    else:
        pytest.fail("the return never ends")
    await assert_balanced(scene.store)
    # The first process dies before it did anything, the last one after it did everything.
    assert (left[0], left[number - 1], left[number]) == (100, 105, 105)


async def recover(store: Store) -> None:
    at = NOON + RECOVERY_MS
    while await store.recover(at, 100):
        at += RECOVERY_MS
