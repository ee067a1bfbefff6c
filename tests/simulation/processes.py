"""Simulated processes: the real services, combiner, stock view, store and jobs, on loops and clocks of their own."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from tests.simulation.script import EPOCH_MS, Options
from tests.simulation.world import ProcessLoop, World

from flashreserve.bootstrap.work import COMPARE_EVERY_S
from flashreserve.clock import LASTING_MS, Sighting, SteadyClock
from flashreserve.combiner import Combiner
from flashreserve.jobs.job_list import JOBS, Job
from flashreserve.jobs.loop import repeat
from flashreserve.jobs.recovery import recover_once
from flashreserve.service.catalogue import CatalogueService
from flashreserve.service.reservations import ReservationService
from flashreserve.siblings import FRESH_MS
from flashreserve.stock_view import StockView
from flashreserve.stores.port import Store, StoreUnavailableError

RESTART_S: Final = 0.2
APART_S: Final = 6.0
"""From the end of a moment's jump to the next one of the same clock: two in a row would be one that lasts."""


class SimulatedClock:
    """Virtual time, and a time of day that is off by so much, and for a moment by more."""

    def __init__(self, world: World, offset_ms: int) -> None:
        self._world = world
        self.offset_ms = offset_ms
        self._jump_ms = 0
        self._next_jump_s = 0.0

    def now_ms(self) -> int:
        return EPOCH_MS + self.elapsed_ms() + self.offset_ms + self._jump_ms

    def monotonic(self) -> float:
        return self._world.now

    def elapsed_ms(self) -> int:
        return int(self._world.now * 1_000)

    def jump(self, by_ms: int, seconds: float) -> None:
        """Be off by so much more: for good, or for a moment that is too short for it to be adopted."""
        if seconds * 1_000 >= LASTING_MS:
            self.offset_ms += by_ms
        elif self._world.now >= self._next_jump_s:
            self._jump_ms = by_ms
            self._next_jump_s = self._world.now + seconds + APART_S
            self._world.after(seconds, self.be_right)

    def be_right(self) -> None:
        """The moment is over."""
        self._jump_ms = 0


Board = dict[str, tuple[float, Sighting]]
"""What the processes on one file have told, by process, and when."""


class SimulatedSiblings:
    """See `flashreserve.clock.Siblings`."""

    def __init__(self, world: World, board: Board, name: str) -> None:
        self._world = world
        self._board = board
        self._name = name

    async def others(self) -> Sequence[Sighting]:
        since = self._world.now - FRESH_MS / 1_000
        return [sighting for name, (at, sighting) in self._board.items() if name != self._name and at >= since]

    async def tell(self, sighting: Sighting) -> None:
        self._board[self._name] = self._world.now, sighting

    async def close(self) -> None:
        self._board.pop(self._name, None)


class SimulatedIds:
    """Ids that nobody else makes, and that grow."""

    def __init__(self, world: World, maker: str) -> None:
        self._world = world
        self._maker = maker
        self._made = 0

    def new(self) -> str:
        self._made += 1
        return f"{int(self._world.now * 1_000):08d}-{self._maker}-{self._made:04d}"


Connect = Callable[["SimulatedProcess", SimulatedIds], Store]


class SimulatedProcess:
    """One process, through all of its lives."""

    def __init__(self, world: World, number: int, options: Options, connect: Connect, board: Board) -> None:
        self.world = world
        self.number = number
        self.is_worker = number >= options.apis
        self.name = f"worker-{number}" if self.is_worker else f"api-{number}"
        self.machine = SimulatedClock(world, options.offsets_ms[number])
        self._board = board
        self.lives = 0
        self.on_end: Callable[[SimulatedProcess], None] = lambda _process: None
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
        # It may begin by a machine's clock that is wrong just then: that isn't told from one that is right.
        self.machine.be_right()
        self.clock = SteadyClock(
            self.machine, SimulatedSiblings(self.world, self._board, self.name) if self._options.siblings else None
        )
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
        self._begin(self._keep_time())

    async def _keep_time(self) -> None:
        """Go by the database's clock, or the machine's where that is asked for, from before the first request on."""
        while not await self._began():  # noqa: ASYNC110 - what is waited for may be in another process
            await asyncio.sleep(0.01)
        self._open_up()
        await repeat("clock", self._compare, every_s=COMPARE_EVERY_S, jitter=self.world.random.random)

    async def _began(self) -> bool:
        with suppress(StoreUnavailableError):
            return await self.clock.compare(self._database_now_ms)
        return False

    async def _compare(self) -> int:
        await self.clock.compare(self._database_now_ms)
        await self.clock.tell_siblings()
        return 0

    async def _database_now_ms(self) -> int | None:
        return await self.store.database_now_ms() if self._options.shared_clock else None

    def _open_up(self) -> None:
        self._open = True
        if self.is_worker:
            self._work()
        elif self._options.refreshing and not self._healed():
            self._refreshing = self._begin(self.view.keep_fresh())

    def _work(self) -> None:
        jitter = self.world.random.random
        for job in JOBS:
            self._begin(repeat(job.name, partial(self._run, job), every_s=job.every_s, jitter=jitter))
        eager_s = self._options.eager_recovery_s
        if eager_s is not None and self._options.store == "mongo":
            self._begin(repeat("recover eagerly", self._recover_eagerly, every_s=eager_s, jitter=jitter))

    async def _run(self, job: Job) -> int:
        return await job.run_once(self.store, self.combiner.now())

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
        self._board.pop(self.name, None)
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
