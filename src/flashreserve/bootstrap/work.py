"""The background work of a process: the jobs of `jobs.job_list`, and keeping the clock right."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Final, Literal

import structlog

from flashreserve.auth.keys import KeyRing
from flashreserve.bootstrap.keys import key_ring
from flashreserve.bootstrap.services import open_books, steady_clock
from flashreserve.bootstrap.stores import open_store
from flashreserve.bootstrap.watchdog import Watchdog
from flashreserve.bootstrap.webhooks import DELIVER_EVERY_S, Webhooks, open_webhooks
from flashreserve.clock import SteadyClock, SystemIds
from flashreserve.jobs.bullmq import run_worker
from flashreserve.jobs.job_list import JOBS, Job
from flashreserve.jobs.loop import repeat
from flashreserve.metrics import Metrics
from flashreserve.redis_server import check_redis
from flashreserve.service.process_reports import REPORT_EVERY_S, ProcessReporter, ProcessRole
from flashreserve.settings import Settings, SettingsError
from flashreserve.side_by_side import end_all
from flashreserve.stores.monitor import MonitorStore
from flashreserve.stores.port import Store, StoreOutcomeUnknownError, StoreUnavailableError

COMPARE_EVERY_S: Final = 1.0
"""How often a process compares its clock with the database's, or the machine's."""

_log = structlog.get_logger(__name__)

Start = Callable[[Coroutine[None, None, None]], None]
Run = Callable[[Job], Awaitable[int]]
"""A function that makes one pass of a job, and returns its count."""


@asynccontextmanager
async def open_worker(settings: Settings, watchdog: Watchdog) -> AsyncIterator[None]:
    """Run the jobs as long as the context lasts. On exit, a step that has begun is finished.

    Without keys the worker can't sign deliveries, so it leaves them to others, and does everything else.
    `watchdog` watches the store from when it is open.

    Raises:
        SettingsError: a setting is invalid, other than the keys.
        StoreUnavailableError: the database can't be used.
    """
    store = await open_store(settings, create=settings.clustered)
    keys = _keys_for_deliveries(settings)
    async with AsyncExitStack() as stack:
        books = await stack.enter_async_context(open_books(store, clock=steady_clock(settings)))
        webhooks = None
        if keys is not None:
            webhooks = await stack.enter_async_context(open_webhooks(settings, store, keys, books.clock))
        start = await stack.enter_async_context(background())
        start_jobs(settings, books.clock, start, passes(store, books.combiner.now, settings))
        if webhooks is not None:
            start_deliveries(webhooks, books.combiner.now, start)
        keep_time(store, books.clock, start)
        reporter = process_reporter(store, "worker", books.combiner.now, dict)
        start(repeat("process report", reporter.write, every_s=REPORT_EVERY_S, jitter=random.random))
        stack.push_async_callback(leave, reporter)
        watchdog.watch(store.beat)
        yield


def _keys_for_deliveries(settings: Settings) -> KeyRing | None:
    """The keys that sign deliveries; None, and a warning, if they are missing or invalid."""
    try:
        return key_ring(settings, create=False)
    except SettingsError as error:
        _log.warning(
            "this worker delivers no webhooks, because it has no keys to sign them: set FLASHRESERVE_SECRET_KEYS to"
            " those of the servers",
            error=str(error),
        )
        return None


def passes(store: Store, now: Callable[[], int], settings: Settings) -> Run:
    """A function that makes passes over `store` by the settings, each as of the time `now()` at its start."""
    return lambda job: job.pass_by(settings)(store, now())


def counted(run: Run, metrics: Metrics) -> Run:
    """A function that does the same as `run`, and adds the counts to the jobs' counters in the metrics."""
    cells = {
        job.name: metrics.counter(job.counter.name, job.counter.documentation).cell()
        for job in JOBS
        if job.counter is not None
    }

    async def counting(job: Job) -> int:
        count = await run(job)
        if job.name in cells:
            cells[job.name].count += count
        return count

    return counting


def start_jobs(settings: Settings, clock: SteadyClock, start: Start, run: Run) -> None:
    """Repeat all jobs, each at its own interval; where there is a queue, run some at its wake-ups as well.

    Raises:
        SettingsError: the Redis URL is invalid.
    """
    if not settings.redis_url:
        for job in JOBS:
            start(repeat(job.name, partial(run, job), every_s=job.every_s, jitter=random.random, often=job.often))
        return
    start(run_worker(settings.redis_url, JOBS, run, clock=clock, jitter=random.random))
    start(_look_at_redis(settings.redis_url))


def start_deliveries(webhooks: Webhooks, now: Callable[[], int], start: Start) -> None:
    """Deliver events to the webhook endpoints, again and again."""

    async def deliver() -> int:
        return await webhooks.deliver(now())

    start(repeat("deliver", deliver, every_s=DELIVER_EVERY_S, jitter=random.random, often=True))


def process_reporter(
    store: MonitorStore,
    role: Literal["all", "api", "worker"],
    now: Callable[[], int],
    counts: Callable[[], Mapping[str, float]],
) -> ProcessReporter:
    """The reporter of this process, which starts now in this role."""
    return ProcessReporter(store, ProcessRole.here(SystemIds().new(), role, os.getpid(), now()), counts, now)


async def leave(reporter: ProcessReporter) -> None:
    """Report that this process has ended. In an outage, the others notice it by its silence."""
    with suppress(StoreUnavailableError, StoreOutcomeUnknownError):
        await reporter.leave()


def keep_time(store: Store, clock: SteadyClock, start: Start) -> None:
    """Compare the clock with its reference every second, and tell the other processes."""

    async def compare() -> int:
        await clock.compare(store.database_now_ms)
        await clock.tell_siblings()
        return 0

    start(repeat("clock", compare, every_s=COMPARE_EVERY_S, jitter=random.random))


async def _look_at_redis(redis_url: str) -> None:
    """Log what is wrong with the server's configuration. It is checked at the start only."""
    for finding in await check_redis(redis_url):
        if finding.level == "fault":
            _log.warning("redis", seen=finding.seen, advice=finding.advice)
        elif finding.level == "advice":
            _log.info("redis", seen=finding.seen, advice=finding.advice)


@asynccontextmanager
async def background() -> AsyncIterator[Start]:
    """Yields a function that starts a task. The tasks run as long as the context lasts."""
    tasks: list[asyncio.Task[None]] = []

    def start(work: Coroutine[None, None, None]) -> None:
        tasks.append(asyncio.create_task(work))

    try:
        yield start
    finally:
        await end_all(*tasks)
