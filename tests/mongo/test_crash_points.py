"""A process stops before and after each of its database calls in turn, or a reply is lost; another one recovers.

After recovery the books balance and everything acknowledged is there; and still when the sleeper wakes up and goes on,
or the lost message arrives after all. Recovery itself is stopped at each of its calls as well.
"""

import asyncio
from typing import Final

import pytest
from tests.mongo.scenes import LAPSED, RECOVERY_MS, SCENES, STOCK, Cast, Scene, set_stage
from tests.mongo.trouble import LOSSES, STOPS, Trouble, TroubledDatabase

from flashreserve.clock import SystemIds
from flashreserve.core.model import Reservation, Status
from flashreserve.core.outcomes import (
    Confirmed,
    Expired,
    Outcome,
    OutcomeUnknown,
    Released,
    Reserved,
    Restocked,
    Unavailable,
)
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

pytestmark = pytest.mark.mongodb

CALLS_MAX: Final = 60
_ALL: Final = 10_000
_scenes = pytest.mark.parametrize("scene", [pytest.param(scene, id=scene.name) for scene in SCENES])


class Performance:
    """One scene, played once by a process in trouble, with another one that looks on and recovers."""

    def __init__(self, database: PymongoDatabase, store: MongoStore, scene: Scene, number: int) -> None:
        self.database = database
        self.store = store
        self.scene = scene
        self.cast = Cast(number)
        self.outcomes: list[Outcome] | None = None
        self._earlier: set[str] = set()

    async def prepare(self) -> None:
        await set_stage(self.database, self.cast)
        if self.scene.prepare is not None:
            await self.scene.prepare(self.store, self.cast)
        await self.store._late.finish()
        self._earlier = {held.id for held in await self._reservations()}

    def begin(self, troubled: TroubledDatabase) -> "asyncio.Task[None]":
        return asyncio.create_task(self._perform(MongoStore(troubled, SystemIds())))

    async def _perform(self, store: MongoStore) -> None:
        try:
            self.outcomes = list(await self.scene.perform(store, self.cast))
        except (StoreOutcomeUnknownError, StoreUnavailableError) as error:
            unknown = isinstance(error, StoreOutcomeUnknownError)
            self.outcomes = [OutcomeUnknown() if unknown else Unavailable("away")]
        await store._late.finish()

    async def recover(self, at: int) -> None:
        while await self.store.recover(at, 100):
            at += RECOVERY_MS

    async def assert_balanced(self) -> None:
        audit = await self.store.audit()
        assert audit.complete
        assert audit.differences == []

    async def assert_over(self) -> None:
        """Nothing is left open, the books balance, and what was told is so."""
        assert await self.database.find("products", {"intents.0": {"$exists": True}}, fields={"_id": 1}) == []
        await self.assert_balanced()
        held = {each.id: each for each in await self._reservations()}
        for outcome in self.outcomes or ():
            await self._assert_true(outcome, held)
        if self.outcomes is not None:
            told = sum(isinstance(outcome, Reserved) for outcome in self.outcomes)
            unknown = sum(isinstance(outcome, OutcomeUnknown) for outcome in self.outcomes)
            assert told <= len(held.keys() - self._earlier) <= told + unknown

    async def _assert_true(self, outcome: Outcome, held: dict[str, Reservation]) -> None:
        match outcome:
            case Reserved(reservation):
                assert reservation.id in held
            case Confirmed(reservation):
                assert held[reservation.id].status is Status.CONFIRMED
            case Released(reservation):
                assert held[reservation.id].status in {Status.CANCELLED, Status.EXPIRED}
            case Expired(reservation_id, _):
                assert held[reservation_id].status is Status.EXPIRED
            case Restocked(adjustment):
                product = await self.store.product(adjustment.product_id)
                assert product is not None
                assert product.stocked == STOCK + adjustment.change
            case _:
                pass

    async def _reservations(self) -> list[Reservation]:
        found = [await self.store.reservations_of_product(self.cast.product(place), None, _ALL) for place in (1, 2)]
        return [held for each in found for held in each]


@pytest.mark.parametrize("trouble", STOPS)
@_scenes
async def test_who_stops_at_any_call_and_wakes_up_later_does_no_harm(
    database: PymongoDatabase, store: MongoStore, scene: Scene, trouble: Trouble
) -> None:
    for call in range(CALLS_MAX):
        performance = Performance(database, store, scene, call)
        await performance.prepare()
        troubled = TroubledDatabase(database, call, trouble)
        task = performance.begin(troubled)
        if not await _meets(task, troubled):
            break
        await performance.assert_balanced()  # in the middle, too
        await performance.recover(scene.at + RECOVERY_MS)
        await performance.assert_over()
        await store.release_lapsed(LAPSED + 1, 100)
        troubled.wake()
        await task
        await performance.recover(LAPSED + 10 * RECOVERY_MS)
        await performance.assert_over()
    else:
        pytest.fail("the scene never ends")
    assert call > 1, "the scene makes no calls"


@pytest.mark.parametrize("trouble", LOSSES)
@_scenes
async def test_a_reply_lost_at_any_write_does_no_harm(
    database: PymongoDatabase, store: MongoStore, scene: Scene, trouble: Trouble
) -> None:
    for call in range(CALLS_MAX):
        for recovered_before in (False, True) if trouble in {Trouble.LOST_LATE, Trouble.LOST_HALF} else (False,):
            performance = Performance(database, store, scene, 2 * call + recovered_before)
            await performance.prepare()
            troubled = TroubledDatabase(database, call, trouble)
            await performance.begin(troubled)
            met = troubled.met.is_set()
            await performance.assert_balanced()
            if recovered_before:
                await performance.recover(scene.at + RECOVERY_MS)
                await performance.assert_over()
            await troubled.deliver()
            await performance.recover(LAPSED + 10 * RECOVERY_MS)
            await performance.assert_over()
        if not met:
            break
    else:
        pytest.fail("the scene never ends")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("trouble", STOPS)
@_scenes
async def test_recovery_may_itself_stop_at_any_call(
    database: PymongoDatabase, store: MongoStore, scene: Scene, trouble: Trouble
) -> None:
    number = 0
    for call in range(CALLS_MAX):
        for recovery_call in range(CALLS_MAX):
            number += 1
            performance = Performance(database, store, scene, number)
            await performance.prepare()
            troubled = TroubledDatabase(database, call, trouble)
            task = performance.begin(troubled)
            stopped = await _meets(task, troubled)
            recovering = TroubledDatabase(database, recovery_call, trouble)
            recovery = asyncio.create_task(MongoStore(recovering, SystemIds()).recover(scene.at + RECOVERY_MS, 100))
            recovery_stopped = await _meets(recovery, recovering)
            await performance.assert_balanced()
            await performance.recover(scene.at + 2 * RECOVERY_MS)
            await performance.assert_over()
            for sleeper in (recovering, troubled) if number % 2 else (troubled, recovering):
                sleeper.wake()
            await asyncio.gather(task, recovery)
            await performance.recover(LAPSED + 10 * RECOVERY_MS)
            await performance.assert_over()
            if not recovery_stopped:
                break
        if not stopped:
            break


async def _meets(task: "asyncio.Task[object]", troubled: TroubledDatabase) -> bool:
    """Whether the task gets into trouble, rather than to its end."""
    met = asyncio.create_task(troubled.met.wait())
    await asyncio.wait([task, met], return_when=asyncio.FIRST_COMPLETED)
    met.cancel()
    if task.done():
        await task
    return troubled.met.is_set()
