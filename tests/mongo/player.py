"""Playing a scene with a process in trouble, while another one recovers, perhaps in trouble as well."""

import asyncio
from typing import Final, assert_never

import msgspec
from tests.contract.requests import every
from tests.mongo.scenes import LAPSED, RECOVERY_MS, STOCK, Cast, Scene, set_stage
from tests.mongo.trouble import DriverTrouble, TroubledDatabase

from flashreserve.clock import SystemIds
from flashreserve.core.model import Reservation, Status
from flashreserve.core.outcomes import (
    Confirmed,
    Edited,
    Expired,
    Extended,
    ExternalIdTaken,
    Failed,
    Labelled,
    Outcome,
    OutcomeUnknown,
    Refused,
    Released,
    Replayed,
    Reserved,
    Restocked,
    Returned,
    Unavailable,
)
from flashreserve.stores.filters import ReservationFilter
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

_ALL: Final = 10_000


class Point(msgspec.Struct, frozen=True):
    """The points at which the processes get into trouble, and the kinds of trouble.

    The process meets `trouble` at its call number `call`. It continues (or its message arrives) before or after another
    process recovers. That one meets `recovery_trouble` at its call number `recovery_call`, or no trouble.
    """

    call: int | None
    trouble: DriverTrouble
    before_recovery: bool = False
    recovery_call: int | None = None
    recovery_trouble: DriverTrouble = DriverTrouble.STOP_BEFORE


class PlayedScene(msgspec.Struct, frozen=True):
    """The calls that the process and the recovery made until they ended or met trouble, and whether they met it."""

    calls: int
    recovery_calls: int
    met: bool


async def play(database: PymongoDatabase, store: MongoStore, scene: Scene, number: int, point: Point) -> PlayedScene:
    """Play the scene with a cast of its own.

    The books must balance and all answers must be true at three moments: in the middle, after the recovery, and after
    all processes have continued and the rest was recovered.
    """
    performance = Performance(database, store, scene, number)
    await performance.prepare()
    troubled = TroubledDatabase(database, point.call, point.trouble)
    acting = MongoStore(troubled, SystemIds())
    if scene.knowing:
        acting._known.learn(await store.products([performance.cast.product(1), performance.cast.product(2)]))
    task = asyncio.create_task(performance.perform(acting))
    await _until_stopped_or_over(task, troubled)
    await performance.assert_balanced()
    if point.before_recovery:
        await troubled.go_on()
        await task
    recovering = TroubledDatabase(database, point.recovery_call, point.recovery_trouble)
    recovery = asyncio.create_task(_recover(MongoStore(recovering, SystemIds()), scene.at + RECOVERY_MS))
    await _until_stopped_or_over(recovery, recovering)
    played = PlayedScene(troubled.calls, recovering.calls, troubled.met.is_set())
    if recovering.met.is_set():
        await performance.assert_balanced()
    await performance.recover(scene.at + 2 * RECOVERY_MS)
    await performance.assert_over()
    await store.release_lapsed(LAPSED + 1, 100)
    for late in (recovering, troubled) if number % 2 else (troubled, recovering):
        await late.go_on()
    await asyncio.gather(task, recovery)
    await performance.recover(LAPSED + 10 * RECOVERY_MS)
    await performance.assert_over()
    return played


async def _recover(store: MongoStore, at: int) -> None:
    """One pass of recovery, like a worker's: a failure is retried in the next pass."""
    try:
        await store.recover(at, 100)
    except (StoreOutcomeUnknownError, StoreUnavailableError):
        return


async def _until_stopped_or_over(task: "asyncio.Task[None]", troubled: TroubledDatabase) -> None:
    """Wait until the task stops in trouble or ends. A lost reply doesn't stop it."""
    stopped = asyncio.create_task(troubled.stopped.wait())
    await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        await task


class Performance:
    """One scene, played once."""

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

    async def perform(self, store: MongoStore) -> None:
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
        """Check that nothing is left open, the books balance, and all answers are true."""
        assert await self.database.find("products", {"intents.0": {"$exists": True}}, fields={"_id": 1}) == []
        await self.assert_balanced()
        held = {each.id: each for each in await self._reservations()}
        for outcome in self.outcomes or ():
            await self._assert_true(outcome, held)
        if self.outcomes is not None:
            told = sum(isinstance(outcome, Reserved) for outcome in self.outcomes)
            unknown = sum(isinstance(outcome, OutcomeUnknown) for outcome in self.outcomes)
            assert told <= len(held.keys() - self._earlier) <= told + unknown
        if self.scene.check is not None:
            await self.scene.check(self.store, self.cast, self.outcomes)

    async def _assert_true(self, outcome: Outcome, held: dict[str, Reservation]) -> None:
        if isinstance(outcome, Refused):
            return
        match outcome:
            case Reserved(reservation):
                assert reservation.id in held
            case Confirmed(reservation) | Released(reservation):
                assert held[reservation.id].status is reservation.status
            case Extended(reservation):
                assert held[reservation.id].extensions == reservation.extensions
            case Expired(reservation_id, _):
                assert held[reservation_id].status is Status.EXPIRED
            case Restocked(adjustment):
                product = await self.store.product(adjustment.product_id)
                assert product is not None
                assert product.stocked == STOCK + adjustment.change
            case Returned(reservation, _):
                assert held[reservation.id].returns[: len(reservation.returns)] == reservation.returns
            case Labelled(reservation):
                assert held[reservation.id].external_id == reservation.external_id
            case Replayed() | Edited() | ExternalIdTaken() | Unavailable() | OutcomeUnknown() | Failed():
                pass
            case _:
                assert_never(outcome)

    async def _reservations(self) -> list[Reservation]:
        found = [await every(self.store, ReservationFilter(product_id=self.cast.product(place))) for place in (1, 2)]
        return [held for each in found for held in each]
