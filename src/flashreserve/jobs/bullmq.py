"""Wake-ups by BullMQ: a delayed job in its queue for each second in which holds lapse, and the worker that takes them.

BullMQ is a queue on Redis or Valkey that Node's BullMQ and its dashboards understand too. The queue only makes releases
prompt. It may fail or lose entries, because each worker also repeats every background job by the clock.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

import structlog
from bullmq import Job as QueueJob  # type: ignore[import-untyped]
from bullmq import Queue, Worker
from redis.asyncio import Redis

from flashreserve.calls import Calls
from flashreserve.clock import Clock
from flashreserve.core.instants import format_instant
from flashreserve.jobs.job_list import Job
from flashreserve.jobs.loop import repeat, run_shielded
from flashreserve.redis_server import REDIS_ERRORS, Presence, connect, disconnect
from flashreserve.side_by_side import HEARD_AFTER_S, all_ended, end_all

QUEUE: Final = "flashreserve-sweeps"
JOB: Final = "sweep"

WAITING_MAX: Final = 4_096
"""Seconds whose jobs wait to be added, in one process. Further ones are left to the sweeps by the clock."""

ADDED_MAX: Final = 65_536
"""Seconds whose jobs a process remembers to have added (some 8 MB). Adding one again only costs a round trip."""

ADDED_AT_ONCE_MAX: Final = 256
ADD_TIMEOUT_S: Final = 2.0
RETRY_AFTER_S: Final = 1.0
CLOSE_TIMEOUT_S: Final = 1.0

# BullMQ wants whole milliseconds.
_RETRY_AFTER_MS: Final = 1_000

# BullMQ waits for jobs in a blocking call of 10 s at most. Its own connections time out after 5 s and retry silently,
# so that a single delayed job is never taken. Ours wait longer, and raise their errors.
_WORKER_TIMEOUT_S: Final = 30.0

# Finished jobs are kept for dashboards. An id that is kept can't be added again. That is harmless, because no wake-up
# is needed for a second that has passed.
_KEPT: Final = {"count": 100, "age": 3_600}

# How often a worker searches for jobs whose worker died.
_STALLED_EVERY_MS: Final = 30_000

_log = structlog.get_logger(__name__)


class BullMQWakeups:
    """Adds a job to the queue for each second in which holds lapse.

    Must be made inside a running event loop. Redis may be away then, and at any later time.
    """

    def __init__(
        self, redis_url: str, clock: Clock, *, waiting_max: int = WAITING_MAX, added_max: int = ADDED_MAX
    ) -> None:
        self._clock = clock
        self._waiting_max = waiting_max
        self._added_max = added_max
        self._redis = connect(redis_url, timeout_s=ADD_TIMEOUT_S, connections_max=2)
        self._queue = Queue(QUEUE, {"connection": self._redis})
        self._calls = Calls("redis")
        self._presence = Presence(clock, "wake-ups", "sweeps find what has lapsed")
        # Both in the order of arrival, the oldest first.
        self._pending: dict[int, None] = {}
        self._added: dict[int, None] = {}
        self._arrived = asyncio.Event()
        self._adding = asyncio.create_task(self._add_what_arrives(), name="wakeups")

    def expect(self, instants: Iterable[int]) -> None:
        """Note that holds lapse at these instants (UTC milliseconds).

        Returns at once, never raises, and promises nothing.
        """
        for second in {instant // 1000 for instant in instants}:
            if second in self._added or second in self._pending:
                continue
            if len(self._pending) >= self._waiting_max:
                return
            self._pending[second] = None
            self._arrived.set()

    async def close(self) -> None:
        """Close the connection, within two seconds. Wake-ups that were not added yet are lost."""
        await end_all(self._adding)
        await _let_go(self._redis)

    async def _add_what_arrives(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._pending:
                await self._add_some()

    async def _add_some(self) -> None:
        """Add a batch and remember it. If Redis fails, drop all that is pending, and pause."""
        seconds = list(self._pending)[:ADDED_AT_ONCE_MAX]
        try:
            call = self._queue.addBulk(_jobs(seconds, self._clock.now_ms()))
            await self._calls.run("adding wake-ups", call, limit_s=ADD_TIMEOUT_S)
        except REDIS_ERRORS as error:
            self._presence.missed(error)
        except Exception:  # noqa: BLE001 - a bug in one batch must not end all later ones
            _log.exception("wake-ups not added", seconds=len(seconds))
        else:
            self._presence.seen()
            self._remember(seconds)
            return
        self._pending.clear()
        await asyncio.sleep(RETRY_AFTER_S)

    def _remember(self, seconds: Sequence[int]) -> None:
        for second in seconds:
            del self._pending[second]
            self._added[second] = None
        while len(self._added) > self._added_max:
            del self._added[next(iter(self._added))]


def open_wakeups(redis_url: str, clock: Clock) -> BullMQWakeups:
    """Open the wake-ups on this server, which may be away. Needs a running event loop.

    Raises:
        ValueError: the URL is invalid.
    """
    return BullMQWakeups(redis_url, clock)


def _jobs(seconds: Sequence[int], now: int) -> list[dict[str, Any]]:
    """One job for each second (since 1970), due when it is over. BullMQ allows no colon in an id."""
    jobs = []
    for second in seconds:
        due = (second + 1) * 1000
        options = {
            "jobId": f"sweep-{second}",
            "timestamp": now,
            "delay": max(due - now, 0),
            "removeOnComplete": _KEPT,
            "removeOnFail": _KEPT,
        }
        jobs.append({"name": JOB, "data": {"second": second, "due": format_instant(due)}, "opts": options})
    return jobs


async def run_worker(
    redis_url: str,
    jobs: Sequence[Job],
    run: Callable[[Job], Awaitable[int]],
    *,
    clock: Clock,
    jitter: Callable[[], float],
) -> None:
    """Repeat the jobs, each at its own interval, and run those with `on_wakeup` at every wake-up, until cancelled.

    Redis may be away at the start and at any later time. After a cancellation (further ones change nothing), a pass
    that has begun has a second to end, and the whole clean-up takes some four seconds at most.

    Args:
        redis_url: where the queue is.
        jobs: the jobs to run.
        run: makes one pass of a job; returns its count. Passes of one job never overlap.
        clock: for telling how long Redis has been away.
        jitter: see `repeat`.

    Raises:
        ValueError: the URL is invalid.
    """
    redis = connect(redis_url, timeout_s=_WORKER_TIMEOUT_S, connections_max=8)
    passes = [(job, _Passes(partial(run, job))) for job in jobs]
    woken = [each for job, each in passes if job.on_wakeup]
    meanwhile = ", ".join(f"{job.name} runs every {job.every_s:g} s" for job in jobs if job.on_wakeup)
    reaching, working = Presence(clock, "reaching the queue", meanwhile), Presence(clock, "taking wake-ups", meanwhile)
    tasks = [
        *(
            asyncio.create_task(repeat(job.name, each.run, every_s=job.every_s, jitter=jitter, often=job.often))
            for job, each in passes
        ),
        asyncio.create_task(_listen(redis, partial(_run_all, woken), reaching, working)),
    ]
    try:
        # Not `gather`, which would pass our cancellation on to the tasks. `end` would then interrupt their clean-up.
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        await run_shielded(_clean_up(tasks, [each for _, each in passes], redis))


async def _clean_up(tasks: Iterable["asyncio.Task[None]"], passes: Iterable["_Passes"], redis: Redis) -> None:
    await end_all(*tasks)  # from here on, no pass begins
    await asyncio.gather(*(each.finish() for each in passes))
    await _let_go(redis)


class _Passes:
    """The passes of one job, which never overlap. A caller who comes during one gets a pass of its own after it.

    A pass goes on when its caller is cancelled, so that no movement is left unfinished for other processes.
    """

    def __init__(self, once: Callable[[], Awaitable[int]]) -> None:
        self._once = once
        self._turn = asyncio.Lock()
        self._running: asyncio.Future[int] | None = None

    async def run(self) -> int:
        async with self._turn:
            self._running = asyncio.ensure_future(self._once())
            await asyncio.wait({self._running})
            return self._running.result()

    async def finish(self) -> None:
        """If a pass is running, give it a moment to end; then cancel it."""
        if self._running is not None:
            await asyncio.wait({self._running}, timeout=CLOSE_TIMEOUT_S)
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)


async def _run_all(passes: Sequence[_Passes]) -> int:
    """Run a pass of each job, and return the sum of their counts; one that fails doesn't keep the others from running.

    Raises:
        Exception: the first failure, once all have ended.
    """
    return sum(await all_ended([each.run() for each in passes]))


async def _listen(redis: Redis, wake: Callable[[], Awaitable[int]], reaching: Presence, working: Presence) -> None:
    """Call `wake` at each wake-up, until cancelled. When the library gives up because Redis is away, start it again."""
    while True:
        worker = _worker(redis, wake, working)
        watching = asyncio.create_task(_watch(redis, reaching))
        taking = asyncio.create_task(_take_jobs(worker))
        try:
            await asyncio.wait({taking})
        finally:
            await run_shielded(_end_taking(worker, watching, taking))
        error = None if taking.cancelled() else taking.exception()
        if isinstance(error, REDIS_ERRORS):
            reaching.missed(error)
        else:
            _log.error("worker starts again", exc_info=error)
        await asyncio.sleep(RETRY_AFTER_S)


async def _end_taking(worker: Worker, watching: "asyncio.Task[None]", taking: "asyncio.Task[None]") -> None:
    await end_all(watching)
    await _close(worker)
    await end_all(taking)


async def _watch(redis: Redis, reaching: Presence) -> None:
    """Log when Redis goes away and comes back, because the library retries silently."""
    calls = Calls("redis")
    while True:
        try:
            await calls.run("looking at it", redis.ping(), limit_s=ADD_TIMEOUT_S)
        except REDIS_ERRORS as error:
            reaching.missed(error)
        else:
            reaching.seen()
        await asyncio.sleep(RETRY_AFTER_S)


def _worker(redis: Redis, wake: Callable[[], Awaitable[int]], working: Presence) -> Worker:
    async def process(_job: QueueJob, _token: str) -> int:
        return await wake()

    options = {
        "connection": redis,
        "autorun": False,
        "concurrency": 1,
        "runRetryDelay": _RETRY_AFTER_MS,
        "stalledInterval": _STALLED_EVERY_MS,
    }
    worker = Worker(QUEUE, process, options)
    worker.on("failed", lambda job, error: _log.warning("wake-up failed", job=job.id, error=str(error)))
    worker.on("completed", lambda *_: working.seen())
    # Called ten times a second while Redis refuses commands, such as when it is full.
    worker.on("error", lambda error, *_: working.missed(error))
    return worker


async def _take_jobs(worker: Worker) -> None:
    # With the server's version known, the library's wait is precise to the millisecond instead of the second.
    await worker.blockingRedisConnection.getRedisVersion()
    await worker.run()


async def _close(worker: Worker) -> None:
    """Close the worker, by force if it waits for a Redis that is away.

    The library cancels its wait for a job once. That cancellation is lost if the wait begins a moment later, or if
    redis-py swallows it. So it is repeated until the worker has ended.
    """
    closing = asyncio.ensure_future(worker.close())
    end_s = asyncio.get_running_loop().time() + CLOSE_TIMEOUT_S
    while not closing.done() and asyncio.get_running_loop().time() < end_s:
        await asyncio.wait({closing}, timeout=HEARD_AFTER_S)
        if worker.waiting is not None:
            worker.waiting.cancel()
    if not closing.done():
        await asyncio.wait({closing, asyncio.ensure_future(worker.close(force=True))}, timeout=CLOSE_TIMEOUT_S)


async def _let_go(redis: Redis) -> None:
    try:
        await Calls("redis").run("closing", disconnect(redis), limit_s=CLOSE_TIMEOUT_S)
    except REDIS_ERRORS as error:
        _log.debug("redis closed badly", error=str(error))
