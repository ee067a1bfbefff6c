"""Simulated processes: the real services, combiner, stock view, store and jobs, each with its own loop and clock."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from tests.proof.records import ToldEvent  # noqa: TC002 - evaluated at run time, too
from tests.simulation.histories import told
from tests.simulation.receivers import KEYS, SimulatedReceivers, encode
from tests.simulation.script import EPOCH_MS, Options
from tests.simulation.world import ProcessLoop, World
from typing_extensions import override

from flashreserve.bootstrap.work import COMPARE_EVERY_S
from flashreserve.clock import LASTING_MS, Clock, Ids, Siblings, Sighting, SteadyClock
from flashreserve.combiner import Combiner
from flashreserve.jobs.job_list import JOBS, Job
from flashreserve.jobs.loop import repeat
from flashreserve.jobs.recovery import recover_once
from flashreserve.service.catalogue import CatalogueService
from flashreserve.service.deliveries import DeliveryService
from flashreserve.service.fan_out import fan_out
from flashreserve.service.pauses import PauseService
from flashreserve.service.reservations import ReservationService
from flashreserve.siblings import FRESH_MS
from flashreserve.stock_view import StockView
from flashreserve.stores.filters import ALL_EVENTS
from flashreserve.stores.port import Store, StoreUnavailableError

_READ_EVERY_S: Final = 0.9
_READ_AT_ONCE: Final = 7
RESTART_S: Final = 0.2
APART_S: Final = 6.0
"""Pause between two short jumps of one clock: without it, two in a row would be one jump that lasts."""


class SimulatedClock(Clock):
    """Virtual time. The time of day is off by `offset_ms`, and by more during a short jump."""

    def __init__(self, world: World, offset_ms: int) -> None:
        self._world = world
        self.offset_ms = offset_ms
        self._jump_ms = 0
        self._next_jump_s = 0.0

    @override
    def now_ms(self) -> int:
        return EPOCH_MS + self.elapsed_ms() + self.offset_ms + self._jump_ms

    @override
    def monotonic(self) -> float:
        return self._world.now

    @override
    def elapsed_ms(self) -> int:
        return int(self._world.now * 1_000)

    def jump(self, by_ms: int, seconds: float) -> None:
        """Be off by `by_ms` more: for good, or for a time that is too short for the step to be adopted."""
        if seconds * 1_000 >= LASTING_MS:
            self.offset_ms += by_ms
        elif self._world.now >= self._next_jump_s:
            self._jump_ms = by_ms
            self._next_jump_s = self._world.now + seconds + APART_S
            self._world.after(seconds, self.be_right)

    def be_right(self) -> None:
        """End a short jump."""
        self._jump_ms = 0


Board = dict[str, tuple[float, Sighting]]
"""By process on one database file: when it last told its sighting, and the sighting."""


class SimulatedSiblings(Siblings):
    """Siblings that share a board in place of files."""

    def __init__(self, world: World, board: Board, name: str) -> None:
        self._world = world
        self._board = board
        self._name = name

    @override
    async def others(self) -> Sequence[Sighting]:
        since = self._world.now - FRESH_MS / 1_000
        return [sighting for name, (at, sighting) in self._board.items() if name != self._name and at >= since]

    @override
    async def tell(self, sighting: Sighting) -> None:
        self._board[self._name] = self._world.now, sighting

    @override
    async def close(self) -> None:
        self._board.pop(self._name, None)


class SimulatedIds(Ids):
    """Unique ids, in ascending order."""

    def __init__(self, world: World, maker: str) -> None:
        self._world = world
        self._maker = maker
        self._made = 0

    @override
    def new(self) -> str:
        self._made += 1
        return f"{int(self._world.now * 1_000):08d}-{self._maker}-{self._made:04d}"


Connect = Callable[["SimulatedProcess", SimulatedIds], Store]


class SimulatedProcess:
    """One process, through all its restarts."""

    def __init__(
        self,
        world: World,
        number: int,
        options: Options,
        connect: Connect,
        board: Board,
        receivers: SimulatedReceivers | None = None,
    ) -> None:
        self.world = world
        self.number = number
        self.is_worker = number >= options.apis
        self.name = f"worker-{number}" if self.is_worker else f"api-{number}"
        self.machine = SimulatedClock(world, options.offsets_ms[number])
        self._board = board
        self.lives = 0
        self.on_end: Callable[[SimulatedProcess], None] = lambda _process: None
        self.on_takeover: Callable[[float], None] = lambda _began: None
        """Called with the start time of an eager recovery that finished movements which may have been in progress."""
        self.read: list[ToldEvent] = []
        """The log as a reader has read it through this process, page after page, through all its lives."""
        self._read_to = 0
        self.receivers = receivers
        self._options = options
        self._connect = connect
        self._loops: list[ProcessLoop] = []
        self._jobs: list[asyncio.Task[Any]] = []
        self.start()

    @property
    def up(self) -> bool:
        """Whether it takes requests. A frozen process is up too: it answers when it wakes up."""
        return not self.loop.dead and self._open

    def start(self) -> None:
        """Start, with nothing kept from before the last end."""
        self.lives += 1
        self._open = False
        self.loop = ProcessLoop(self.world)  # type: ignore[abstract]  # methods of asyncio that nothing here uses
        self._loops.append(self.loop)
        ids = SimulatedIds(self.world, f"{self.number}_{self.lives}")
        store = self._connect(self, ids)
        self.store = store
        # A starting process can't tell a wrong clock from a right one: so a short jump ends here.
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
        self.pauses = PauseService(store, self.combiner, self.clock)
        if self.receivers is not None:
            self._deliveries = DeliveryService(
                store=store,
                sender=self.receivers,
                keys=KEYS,
                encode=encode,
                clock=self.clock,
                ids=ids,
                draw=self.world.random.random,
            )
        self._jobs.clear()
        self._refreshing: asyncio.Task[None] | None = None
        self._begin(self._keep_time())

    async def _keep_time(self) -> None:
        """Follow the database's clock, or the machine's if the options say so, from before the first request on."""
        while not await self._began():  # noqa: ASYNC110 - it may wait for another process
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
        self._begin(repeat("read the log", self._read_log, every_s=_READ_EVERY_S, jitter=self.world.random.random))
        if self.is_worker:
            self._work()
            if self.receivers is not None:
                self._begin(repeat("deliver", self._deliver, every_s=0.4, jitter=self.world.random.random))
        elif self._options.refreshing and not self._healed():
            self._refreshing = self._begin(self.view.keep_fresh())

    async def _deliver(self) -> int:
        await fan_out(self.store, self.combiner.now())
        return await self._deliveries.pass_on()

    async def _read_log(self) -> int:
        found = await self.store.events(ALL_EVENTS, self._read_to, _READ_AT_ONCE)
        if found.events and found.events[0].place <= self._read_to:
            raise RuntimeError("a page of the log begins before its place")
        self.read += map(told, found.events)
        self._read_to = found.looked_to
        return 0

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
        """Recover movements that may still be in progress: the 30 s before a recovery only save work."""
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

    # Faults

    def crash(self, seconds: float = RESTART_S) -> None:
        """Die, and restart after `seconds`."""
        if self.loop.dead:
            return
        self.loop.kill()
        self._board.pop(self.name, None)
        self.on_end(self)
        self.world.after(seconds, self.start)

    def freeze(self, seconds: float) -> None:
        """Sleep for `seconds`, in the middle of any work."""
        if self.loop.dead or self.loop.frozen:
            return
        self.loop.freeze()
        self.world.after(seconds, self.loop.thaw)

    def stop(self, seconds: float) -> None:
        """Shut down in order: answer the taken commands, close, and restart after `seconds`."""
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
        """Stop the refreshing of the stock view: after healing it only costs time."""
        if self._refreshing is not None:
            self.loop.call_soon(self._refreshing.cancel)

    def discard(self) -> None:
        """Drop everything: the play is over."""
        for loop in self._loops:
            loop.discard()
