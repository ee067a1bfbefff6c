"""Many waiting commands become one flush.

While one flush is in the database, arriving commands queue; when it returns, all that wait go as the next one. There
is no timer: alone, a command waits for nobody; under load, batches grow by themselves.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import structlog

from flashreserve.clock import Clock
from flashreserve.core import limits
from flashreserve.core.commands import Command
from flashreserve.core.model import Product
from flashreserve.core.outcomes import Extended, Failed, Outcome, OutcomeUnknown, Reserved, Unavailable
from flashreserve.metrics import Cell
from flashreserve.stores.port import ReservationStore, StoreOutcomeUnknownError, StoreUnavailableError

DEADLINE_S: Final = 5.0
"""How long a command waits for its outcome, at most."""

_WATCH_EVERY_S: Final = 0.1

_log = structlog.get_logger(__name__)


class _Waiting:
    """A command, where its outcome goes, and until when (monotonic seconds) somebody waits for it."""

    __slots__ = ("command", "deadline", "future")

    def __init__(self, command: Command, future: "asyncio.Future[Outcome]", deadline: float) -> None:
        self.command = command
        self.future = future
        self.deadline = deadline

    def answer(self, outcome: Outcome) -> None:
        """Tell the caller, unless it is gone or was told before."""
        if not self.future.done():
            self.future.set_result(outcome)


class Combiner:
    """Feeds one store. At most `queue_max` commands wait, each for at most `deadline_s` seconds.

    A command past its deadline is answered: `Unavailable` if it still waits (then it is never sent),
    `OutcomeUnknown` if its flush is in the database. `learn` is told the products of each flush and the moment
    (monotonic seconds) at which it was sent; `expect`, if given, when the holds will lapse that a flush granted or
    extended (UTC milliseconds).
    """

    def __init__(
        self,
        store: ReservationStore,
        clock: Clock,
        learn: Callable[[Sequence[Product], float], None],
        *,
        expect: Callable[[Iterable[int]], None] | None = None,
        flush_max: int = limits.FLUSH_MAX,
        queue_max: int = limits.QUEUE_MAX,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._store = store
        self._clock = clock
        self._learn = learn
        self._expect = expect
        self._flush_max = flush_max
        self._queue_max = queue_max
        self._deadline_s = deadline_s
        self._queue: deque[_Waiting] = deque()
        self._in_flight: list[_Waiting] = []
        self._running: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._now = 0
        self._closed = False
        self._flushes, self._commands = Cell(), Cell()

    @property
    def waiting(self) -> int:
        """Commands that wait for a flush."""
        return len(self._queue)

    async def submit(self, command: Command) -> Outcome:
        """The command's outcome, durable when it is told. A caller that goes away changes nothing for the others."""
        if self._closed:
            return Unavailable("shutting down")
        if len(self._queue) >= self._queue_max:
            return Unavailable("too many requests are waiting")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(command, loop.create_future(), self._clock.monotonic() + self._deadline_s)
        self._queue.append(waiting)
        if self._running is None:
            self._running = loop.create_task(self._run(), name="combiner")
        if self._watch is None:
            self._watch = loop.call_later(_WATCH_EVERY_S, self._enforce_deadlines)
        return await waiting.future

    def count_in(self, flushes: Cell, commands: Cell) -> None:
        """Count the flushes that were written, and the commands in them, in these cells from now on."""
        self._flushes, self._commands = flushes, commands

    def now(self) -> int:
        """The time of day, UTC milliseconds; never goes back within this process."""
        self._now = max(self._now, self._clock.now_ms())
        return self._now

    async def close(self) -> None:
        """Take no more commands, and answer those that were taken."""
        self._closed = True
        if self._running is not None:
            await self._running
        if self._watch is not None:
            self._watch.cancel()

    async def _run(self) -> None:
        try:
            while self._queue:
                batch = self._next_batch()
                if batch:
                    self._in_flight = batch
                    await self._flush(batch)
                    self._in_flight = []
        finally:
            self._running = None

    def _next_batch(self) -> list[_Waiting]:
        """Take what waits, leaving out those that nobody waits for any more: they were never sent."""
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self._flush_max:
            waiting = self._queue.popleft()
            if not waiting.future.done():
                batch.append(waiting)
        return batch

    async def _flush(self, batch: list[_Waiting]) -> None:
        """Write the batch. Where it can't be written as a whole, halve it: a poison command fails alone."""
        sent_at = self._clock.monotonic()
        try:
            flushed = await self._store.flush([waiting.command for waiting in batch], self.now())
        except StoreUnavailableError as error:
            _log.warning("store unavailable", error=str(error), commands=len(batch))
            _answer_all(batch, Unavailable("the database is away"))
        except StoreOutcomeUnknownError as error:
            _log.error("outcome of a flush unknown", error=str(error), commands=len(batch))
            _answer_all(batch, OutcomeUnknown())
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing was written: that is the contract
            if len(batch) == 1:
                _log.exception("command failed", command=type(batch[0].command).__name__)
                batch[0].answer(Failed(type(error).__name__))
                return
            half = len(batch) // 2
            await self._flush(batch[:half])
            await self._flush(batch[half:])
        else:
            self._flushes.count += 1
            self._commands.count += len(batch)
            self._learn(flushed.products, sent_at)
            for waiting, outcome in zip(batch, flushed.outcomes, strict=True):
                waiting.answer(outcome)
            if self._expect is not None:
                self._expect(_lapses(flushed.outcomes))

    def _enforce_deadlines(self) -> None:
        """Answer whoever has waited too long; look again as long as anybody waits."""
        self._watch = None
        now = self._clock.monotonic()
        for waiting in self._queue:
            if waiting.deadline > now:
                break
            waiting.answer(Unavailable("the database is too slow"))
        while self._queue and self._queue[0].future.done():
            self._queue.popleft()
        for waiting in self._in_flight:
            if waiting.deadline <= now:
                waiting.answer(OutcomeUnknown())
        if self._queue or self._in_flight:
            self._watch = asyncio.get_running_loop().call_later(_WATCH_EVERY_S, self._enforce_deadlines)


def _lapses(outcomes: Iterable[Outcome]) -> Iterator[int]:
    """When the holds lapse that were granted or extended."""
    return (
        outcome.reservation.expires_at for outcome in outcomes if type(outcome) is Reserved or type(outcome) is Extended
    )


def _answer_all(batch: list[_Waiting], outcome: Outcome) -> None:
    for waiting in batch:
        waiting.answer(outcome)
