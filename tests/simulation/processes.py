"""Simulated processes: the real services, combiner, stock view, store and jobs, on loops and clocks of their own."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from tests.simulation.script import EPOCH_MS, Options
from tests.simulation.world import ProcessLoop, World

from flashreserve.clock import DatabaseClock
from flashreserve.combiner import Combiner
from flashreserve.jobs.loop import SWEEP_EVERY_S, repeat
from flashreserve.jobs.sweep import recover_once, sweep_once
from flashreserve.service.catalogue import CatalogueService
from flashreserve.service.reservations import ReservationService
from flashreserve.stock_view import StockView
from flashreserve.stores.port import Store, StoreUnavailableError

RESTART_S: Final = 0.2
COMPARE_EVERY_S: Final = 10.0


class SimulatedClock:
    """Virtual time, and a time of day that is off by so much."""

    def __init__(self, world: World, offset_ms: int) -> None:
        self._world = world
        self.offset_ms = offset_ms

    def now_ms(self) -> int:
        return EPOCH_MS + int(self._world.now * 1_000) + self.offset_ms

    def monotonic(self) -> float:
        return self._world.now


class SimulatedIds:
    """Ids that nobody else makes, and that grow."""

    def __init__(self, world: World, maker: str) -> None:
        self._world = world
        self._maker = maker
        self._made = 0

    def new(self) -> str:
        self._made += 1
        return f"{int(self._world.now * 1_000):08d}-{self._maker}-{self._made:04d}"


Connect = Callable[["Process", SimulatedIds], Store]


class Process:
    """One process, through all of its lives."""

    def __init__(self, world: World, number: int, options: Options, connect: Connect) -> None:
        self.world = world
        self.number = number
        self.is_worker = number >= options.apis
        self.name = f"worker-{number}" if self.is_worker else f"api-{number}"
        self.machine = SimulatedClock(world, options.offsets_ms[number])
        self.lives = 0
        self.on_end: Callable[[Process], None] = lambda _process: None
        self.on_takeover: Callable[[float], None] = lambda _began: None
        """Told when a movement was recovered that may have been under way, and since when it was looked for."""
        self._options = options
        self._connect = connect
        self._loops: list[ProcessLoop] = []
        self._jobs: list[asyncio.Task[Any]] = []
        self.start()

    @property
    def up(self) -> bool:
        """Whether it takes requests, if perhaps only once it wakes up."""
        return not self.loop.dead and self._open

    def start(self) -> None:
        """Begin a new life, with nothing kept from the last one."""
        self.lives += 1
        self._open = False
        self.loop = ProcessLoop(self.world)  # type: ignore[abstract]  # what of asyncio nothing here asks for
        self._loops.append(self.loop)
        ids = SimulatedIds(self.world, f"{self.number}.{self.lives}")
        store = self._connect(self, ids)
        self.store = store
        self.clock = DatabaseClock(self.machine)
        self.view = StockView(store, self.clock)
        self.combiner = Combiner(
            store,
            self.clock,
            self.view.learn,
            flush_max=self._options.flush_max,
            queue_max=self._options.queue_max,
        )
        self.reservations = ReservationService(store, self.combiner, self.view, ids)
        self.catalogue = CatalogueService(store, self.combiner, self.view, ids)
        self._jobs.clear()
        self._refreshing: asyncio.Task[None] | None = None
        if self._options.shared_clock:
            self._begin(self._keep_time())
        else:
            self._open_up()

    async def _keep_time(self) -> None:
        """Go by the database's clock, from before the first request on."""
        while not self.clock.offset_ms:  # In these worlds every machine's clock is wrong.
            with suppress(StoreUnavailableError):
                await self.clock.compare(self.store.database_now_ms)
            await asyncio.sleep(0.01)
        self._open_up()
        await repeat("clock", self._compare, every_s=COMPARE_EVERY_S, jitter=self.world.random.random)

    async def _compare(self) -> int:
        await self.clock.compare(self.store.database_now_ms)
        return 0

    def _open_up(self) -> None:
        self._open = True
        if self.is_worker:
            self._work()
        elif self._options.refreshing and not self._healed():
            self._refreshing = self._begin(self.view.keep_fresh())

    def _work(self) -> None:
        jitter = self.world.random.random
        self._begin(repeat("sweep", self._sweep, every_s=SWEEP_EVERY_S, jitter=jitter))
        self._begin(repeat("recover", self._recover, every_s=SWEEP_EVERY_S, jitter=jitter))
        eager_s = self._options.eager_recovery_s
        if eager_s is not None and self._options.store == "mongo":
            self._begin(repeat("recover eagerly", self._recover_eagerly, every_s=eager_s, jitter=jitter))

    async def _sweep(self) -> int:
        return await sweep_once(self.store, self.combiner.now())

    async def _recover(self) -> int:
        return await recover_once(self.store, self.combiner.now())

    async def _recover_eagerly(self) -> int:
        """Recover what may be in the middle of it: when a movement counts as abandoned is a matter of economy."""
        if self._healed():
            return 0
        began, done = self.world.now, 1
        try:
            done = await recover_once(self.store, self.combiner.now() + 30_001)
        finally:
            if done:
                self.on_takeover(began)
        return done

    def _healed(self) -> bool:
        return self.world.now > self._options.healed_at

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        job = self.loop.create_task(work)
        self._jobs.append(job)
        return job

    # What happens to it

    def crash(self, seconds: float = RESTART_S) -> None:
        """Die, and be away for so long."""
        if self.loop.dead:
            return
        self.loop.kill()
        self.on_end(self)
        self.world.after(seconds, self.start)

    def freeze(self, seconds: float) -> None:
        """Sleep for so long, in the middle of whatever it does."""
        if self.loop.dead or self.loop.frozen:
            return
        self.loop.freeze()
        self.world.after(seconds, self.loop.thaw)

    def stop(self, seconds: float) -> None:
        """End in order: answer what was taken, close, and be started again later."""
        if self.up and not self.loop.frozen:
            self._open = False
            self.loop.create_task(self._close(seconds))

    async def _close(self, seconds: float) -> None:
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        await self.combiner.close()
        await self.store.close()
        await asyncio.sleep(0)  # The answers go out before the process ends.
        self.world.after(0.0, self._end, self.loop, seconds)

    def _end(self, loop: ProcessLoop, seconds: float) -> None:
        if loop is self.loop:
            self.crash(max(seconds, 0.001))

    def heal(self) -> None:
        """Leave out what only costs time once nothing goes wrong any more."""
        if self._refreshing is not None:
            self.loop.call_soon(self._refreshing.cancel)

    def discard(self) -> None:
        """Let go of everything. The world is over."""
        for loop in self._loops:
            loop.discard()
