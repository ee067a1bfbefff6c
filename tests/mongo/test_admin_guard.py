"""The last admin stays when calls to the server interleave, or get lost, or their process stops: see `admin_guard`."""

import asyncio
from contextlib import suppress
from random import Random

import pytest
from tests.contract.test_last_admin import DEMOTED, DISABLED, IDS, able_admins, staff
from tests.core.examples import NOON
from tests.interleaving import Interleaving
from tests.mongo.trouble import LOSSES, STOPS, DriverTrouble, TroubledDatabase

from flashreserve.clock import SystemIds
from flashreserve.core.accounts import Restricted
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

pytestmark = pytest.mark.mongodb

LATER = NOON + 600_000
CALLS_MAX = 20


@pytest.mark.parametrize("seed", range(40))
async def test_one_is_left_whichever_process_makes_the_next_call(
    database: PymongoDatabase, store: MongoStore, seed: int
) -> None:
    random = Random(seed)
    order = Interleaving(random.randrange)
    admins = random.choice(["AB", "ABC"])
    asked = [(random.choice(admins), random.choice([DEMOTED, DISABLED])) for _ in range(random.choice([2, 3, 4]))]
    await staff(store, admins)

    outcomes = await order.run(
        [
            MongoStore(order.of(database), SystemIds()).restrict(IDS[name], restriction, at)
            for (name, restriction), at in zip(asked, random.choices([NOON, LATER], k=len(asked)), strict=True)
        ]
    )

    left = await able_admins(store)
    assert left, asked
    for (name, _), outcome in zip(asked, outcomes, strict=True):
        assert (name in left) is (outcome is Restricted.LAST_ADMIN), (asked, outcomes)


@pytest.mark.parametrize("at", [NOON, LATER])
@pytest.mark.parametrize("trouble", [*STOPS, *LOSSES])
async def test_one_is_left_after_trouble_at_any_call_and_nothing_is_locked(
    database: PymongoDatabase, store: MongoStore, trouble: DriverTrouble, at: int
) -> None:
    """A process gets into trouble while it demotes A. Another disables B, at once or later. Then the first goes on."""
    for call in range(CALLS_MAX):
        await staff(store, "AB")
        troubled = TroubledDatabase(database, call, trouble)
        first = asyncio.create_task(_restrict_a(troubled))
        await _until_met(troubled, first)

        outcome = await store.restrict(IDS["B"], DISABLED, at)

        left = await able_admins(store)
        assert left
        assert ("B" in left) is (outcome is Restricted.LAST_ADMIN)
        await troubled.go_on()
        await first
        assert await able_admins(store), (call, trouble)
        if not troubled.met.is_set():
            return
    raise AssertionError("the calls have no end")


async def _restrict_a(troubled: TroubledDatabase) -> None:
    with suppress(StoreUnavailableError, StoreOutcomeUnknownError):
        await MongoStore(troubled, SystemIds()).restrict(IDS["A"], DEMOTED, NOON)


async def _until_met(troubled: TroubledDatabase, task: "asyncio.Task[None]") -> None:
    """Wait until the process has stopped, or its restriction is over."""
    stopped = asyncio.create_task(troubled.stopped.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
