"""The combiner writes many waiting commands as one flush.

While one flush is in the database, arriving commands queue; when it returns, all waiting commands form the next flush.
There is no timer: a single command is sent at once, and batches grow by themselves under load. A store that writes on
a thread of its own gets the next flush ahead of time: it takes the waiting commands when it is ready, and doesn't wait
for the event loop, which is busy with answers.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

import structlog

from flashreserve.clock import Clock
from flashreserve.core import limits
from flashreserve.core.commands import Command
from flashreserve.core.model import Product
from flashreserve.core.outcomes import Extended, Failed, Outcome, OutcomeUnknown, Reserved, Unavailable
from flashreserve.metrics import Cell
from flashreserve.stores.port import Flushed, ReservationStore, StoreOutcomeUnknownError, StoreUnavailableError, Taken

QUEUE_MAX: Final = 10_000
"""Commands that wait for a flush, in one process."""

DEADLINE_S: Final = 5.0
"""The longest time that a command waits for its outcome."""

_WATCH_EVERY_S: Final = 0.1

_log = structlog.get_logger(__name__)

Tell = Callable[[Outcome], None]
"""Is called once with a command's outcome, on the event loop. An error in it is logged and affects no other command."""


class _Waiting:
    """A command, the function that takes its outcome, and the deadline of the caller (monotonic seconds)."""

    __slots__ = ("command", "deadline", "done", "tell")

    def __init__(self, command: Command, tell: Tell, deadline: float) -> None:
        self.command = command
        self.tell = tell
        self.deadline = deadline
        self.done = False
        """Whether the caller was told the outcome, or is gone."""

    def answer(self, outcome: Outcome) -> None:
        """Tell the caller, unless it is gone or was told before."""
        if self.done:
            return
        self.done = True
        try:
            self.tell(outcome)
        except Exception:  # noqa: BLE001 - the other callers of the flush must be told too
            _log.exception("an outcome could not be told", command=type(self.command).__name__)


class _Batch:
    """The commands of one flush, none before the store takes them. `sent_at` is when it did, in monotonic seconds."""

    __slots__ = ("sent_at", "taken", "waiting")

    def __init__(self) -> None:
        self.waiting: list[_Waiting] = []
        self.taken = False
        self.sent_at = 0.0


class Combiner:
    """Sends commands to one store. At most `queue_max` commands wait, each for at most `deadline_s` seconds.

    A command past its deadline is answered by `Unavailable` if it still waits (then it is never sent), and by
    `OutcomeUnknown` if its flush is in the database. `learn` gets the products of each flush and the time (monotonic
    seconds) at which it was sent. `expect`, if given, gets the times (UTC milliseconds) at which the holds lapse that
    a flush granted or extended.
    """

    def __init__(
        self,
        store: ReservationStore,
        clock: Clock,
        learn: Callable[[Sequence[Product], float], None],
        *,
        expect: Callable[[Iterable[int]], None] | None = None,
        flush_max: int = limits.FLUSH_MAX,
        queue_max: int = QUEUE_MAX,
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
        self._taking = threading.Lock()
        """Guards the queue, because the store may take commands out of it on a thread of its own."""
        self._at_once_max = 1 + store.flushes_ahead
        self._running: dict[_Batch, asyncio.Task[None]] = {}
        self._orphans: list[_Waiting] = []
        """Commands that were sent, but whose flush failed by a defect. They are answered at their deadline."""
        self._late: list[_Waiting] = []
        """Commands that were past their deadline when the store took the others. They are never sent."""
        self._watch: asyncio.TimerHandle | None = None
        self._closed = False
        self._flushes, self._commands = Cell(), Cell()

    @property
    def waiting(self) -> int:
        """Commands that wait for a flush."""
        return len(self._queue)

    async def submit(self, command: Command) -> Outcome:
        """The command's outcome, durable when it is returned. A caller that disconnects doesn't affect the others."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiting = self._enter(command, partial(_set_result, future))
        if isinstance(waiting, Unavailable):
            return waiting
        try:
            return await future
        finally:
            waiting.done = True

    def submit_soon(self, command: Command, tell: Tell) -> None:
        """Like `submit`, but calls `tell` with the outcome. This saves a task and a future for each command."""
        waiting = self._enter(command, tell)
        if isinstance(waiting, Unavailable):
            tell(waiting)

    def count_in(self, flushes: Cell, commands: Cell) -> None:
        """From now on, count the flushes that are written, and the commands in them, in these cells."""
        self._flushes, self._commands = flushes, commands

    def now(self) -> int:
        """The time of day (UTC milliseconds) by which a command would be decided now."""
        return self._clock.now_ms()

    async def close(self) -> None:
        """Take no more commands, and answer those that were taken. A flush that takes too long is left to the store."""
        self._closed = True
        end_s = self._clock.monotonic() + 2 * _WATCH_EVERY_S + self._deadline_s
        while self._running and (left_s := end_s - self._clock.monotonic()) > 0:
            await asyncio.wait(self._running.values(), timeout=left_s)
        await asyncio.sleep(0)  # The last flush's outcomes are told in the next turn of the event loop.
        if self._watch is not None:
            self._watch.cancel()
        self._answer_late()

    def _enter(self, command: Command, tell: Tell) -> _Waiting | Unavailable:
        if self._closed:
            return Unavailable("shutting down")
        if len(self._queue) >= self._queue_max:
            return Unavailable("too many requests are waiting")
        waiting = _Waiting(command, tell, self._clock.monotonic() + self._deadline_s)
        self._queue.append(waiting)
        if len(self._running) < self._at_once_max:
            batch = _Batch()
            self._running[batch] = asyncio.get_running_loop().create_task(self._run(batch), name="combiner")
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(_WATCH_EVERY_S, self._enforce_deadlines)
        return waiting

    async def _run(self, batch: _Batch) -> None:
        """Flush as long as commands wait. `batch` is refilled each time; the deadline watch looks into it."""
        try:
            while self._queue:
                await self._flush_next(batch)
                batch.waiting, batch.taken = [], False
        finally:
            self._orphans += batch.waiting  # Only a defect leaves commands here. They are answered at their deadline.
            del self._running[batch]

    async def _flush_next(self, batch: _Batch) -> None:
        """Let the store take the waiting commands when it is about to write."""
        try:
            flushed = await self._store.flush_late(partial(self._take, batch))
        except Exception as error:  # noqa: BLE001 - `_failed` handles each as the port defines it
            sent = batch.taken
            if not sent:
                self._take(batch)
            if sent or isinstance(error, StoreUnavailableError):
                await self._failed(batch.waiting, error)
            elif batch.waiting:  # Nothing was sent, and none of these commands caused the error: send them.
                await self._flush(batch.waiting)
        else:
            self._told(batch.waiting, flushed, batch.sent_at)

    def _take(self, batch: _Batch) -> Taken:
        """Take the waiting commands, except those whose caller is gone or has given up: these are never sent."""
        with self._taking:
            taken = self._take_from(self._queue)
            batch.waiting, batch.taken = taken, True
        batch.sent_at = self._clock.monotonic()
        return self._taken(taken)

    def _take_from(self, queue: deque[_Waiting]) -> list[_Waiting]:
        """Remove the commands of one flush from `queue`. Returns those to be sent; those past their deadline are late.

        The caller has the lock `_taking`.
        """
        taken: list[_Waiting] = []
        now = self._clock.monotonic()
        while queue and len(taken) < self._flush_max:
            waiting = queue.popleft()
            if waiting.deadline <= now:
                self._late.append(waiting)
            elif not waiting.done:
                taken.append(waiting)
        return taken

    def _taken(self, taken: list[_Waiting]) -> Taken:
        return Taken(
            [waiting.command for waiting in taken],
            self.now(),
            lambda place: taken[place].deadline <= self._clock.monotonic(),
        )

    async def _flush(self, batch: list[_Waiting]) -> None:
        """Flush these commands, except those whose caller is gone or has given up when the store takes them."""
        sent_at = self._clock.monotonic()
        left: list[_Waiting] = []

        def take() -> Taken:
            with self._taking:
                left[:] = self._take_from(deque(batch))
            return self._taken(left)

        try:
            flushed = await self._store.flush_late(take)
        except Exception as error:  # noqa: BLE001 - as in `_flush_next`
            await self._failed(batch, error)
        else:
            self._told(left, flushed, sent_at)

    async def _failed(self, batch: list[_Waiting], error: Exception) -> None:
        """Answer a batch that couldn't be written, or halve it and send the halves: a poison command fails alone."""
        if isinstance(error, StoreUnavailableError):
            _log.warning("store unavailable", error=str(error), commands=len(batch))
            _answer_all(batch, Unavailable("the database is away"))
        elif isinstance(error, StoreOutcomeUnknownError):
            _log.error("outcome of a flush unknown", error=str(error), commands=len(batch))
            _answer_all(batch, OutcomeUnknown())
        elif len(batch) == 1:  # By the port, any other error means that nothing was written.
            _log.error("command failed", command=type(batch[0].command).__name__, exc_info=error)
            batch[0].answer(Failed(type(error).__name__))
        elif batch:
            half = len(batch) // 2
            await self._flush(batch[:half])
            await self._flush(batch[half:])

    def _told(self, batch: list[_Waiting], flushed: Flushed, sent_at: float) -> None:
        if not batch:
            return
        self._flushes.count += 1
        self._commands.count += len(batch)
        # Callers are told in the next turn of the event loop, after the next flush is sent, so that both run
        # concurrently.
        asyncio.get_running_loop().call_soon(_tell_all, batch, flushed.outcomes)
        self._learn(flushed.products, sent_at)
        if self._expect is not None:
            self._expect(_lapses(flushed.outcomes))

    def _enforce_deadlines(self) -> None:
        """Answer commands past their deadline. Runs again as long as any command waits."""
        self._answer_late()
        self._watch = None
        if self._queue or self._running or self._orphans:
            self._watch = asyncio.get_running_loop().call_later(_WATCH_EVERY_S, self._enforce_deadlines)

    def _answer_late(self) -> None:
        """Answer the commands past their deadline: those that wait, that are in flight, and that a defect left over.

        Commands at the head of the queue whose caller is gone are dropped.
        """
        now = self._clock.monotonic()
        with self._taking:  # Commands that leave the queue here are never sent.
            late, self._late = self._late, []
            while self._queue and (self._queue[0].done or self._queue[0].deadline <= now):
                late.append(self._queue.popleft())
            in_flight = [waiting for batch in self._running for waiting in batch.waiting] + self._orphans
        self._orphans = [waiting for waiting in self._orphans if not waiting.done and waiting.deadline > now]
        _answer_all(late, Unavailable("the database is too slow"))
        _answer_all([waiting for waiting in in_flight if waiting.deadline <= now], OutcomeUnknown())


def _lapses(outcomes: Iterable[Outcome]) -> Iterator[int]:
    """The times at which the holds lapse that the outcomes granted or extended."""
    return (
        outcome.reservation.expires_at for outcome in outcomes if type(outcome) is Reserved or type(outcome) is Extended
    )


def _set_result(future: "asyncio.Future[Outcome]", outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


def _tell_all(batch: list[_Waiting], outcomes: Sequence[Outcome]) -> None:
    for waiting, outcome in zip(batch, outcomes, strict=True):
        waiting.answer(outcome)


def _answer_all(batch: list[_Waiting], outcome: Outcome) -> None:
    for waiting in batch:
        waiting.answer(outcome)
