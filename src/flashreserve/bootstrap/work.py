"""The jobs of a process: releasing what lapses, finishing what a crash left, and keeping the clock right."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Final

import structlog

from flashreserve.bootstrap.services import open_books, steady_clock
from flashreserve.bootstrap.stores import open_store
from flashreserve.bootstrap.watchdog import Watchdog
from flashreserve.clock import SteadyClock
from flashreserve.jobs.bullmq import run_worker
from flashreserve.jobs.loop import SWEEP_EVERY_S, end, repeat
from flashreserve.jobs.sweep import recover_once, sweep_once
from flashreserve.redis_server import check_redis
from flashreserve.settings import Settings
from flashreserve.stores.port import Store

COMPARE_EVERY_S: Final = 1.0
"""How often a process compares its clock with the database's, or the machine's."""

_log = structlog.get_logger(__name__)

Start = Callable[[Coroutine[None, None, None]], None]


@asynccontextmanager
async def open_worker(settings: Settings, watchdog: Watchdog) -> AsyncIterator[None]:
    """Only the jobs: they run as long as the context lasts, and a step that has begun is finished on the way out.

    `watchdog` watches the store from when it is open.

    Raises:
        SettingsError: a setting that can't be meant.
        StoreUnavailableError: the database can't be used.
    """
    store = await open_store(settings, create=settings.clustered)
    async with open_books(store, clock=steady_clock(settings)) as books, background() as start:
        start_jobs(settings, books.clock, start, *jobs(store, books.combiner.now))
        keep_time(store, books.clock, start)
        watchdog.watch(store.beat)
        yield


Job = Callable[[], Awaitable[int]]


def jobs(store: Store, now: Callable[[], int]) -> tuple[Job, Job]:
    """One pass each of sweeping and recovering, as of `now`."""
    return (lambda: sweep_once(store, now())), (lambda: recover_once(store, now()))


def start_jobs(settings: Settings, clock: SteadyClock, start: Start, sweep: Job, recover: Job) -> None:
    """Repeat the jobs every second; where there is a queue, sweep at its wake-ups as well.

    Raises:
        SettingsError: the Redis URL can't be meant.
    """
    if not settings.redis_url:
        start(repeat("sweep", sweep, every_s=SWEEP_EVERY_S, jitter=random.random))
        start(repeat("recover", recover, every_s=SWEEP_EVERY_S, jitter=random.random))
        return
    worker = run_worker(settings.redis_url, sweep=sweep, recover=recover, clock=clock, jitter=random.random)
    start(worker)
    start(_look_at_redis(settings.redis_url))


def keep_time(store: Store, clock: SteadyClock, start: Start) -> None:
    """Compare the clock with its reference every second, and tell the other processes."""

    async def compare() -> int:
        await clock.compare(store.database_now_ms)
        await clock.tell_siblings()
        return 0

    start(repeat("clock", compare, every_s=COMPARE_EVERY_S, jitter=random.random))


async def _look_at_redis(redis_url: str) -> None:
    """Say at the start what isn't well with the server: later nobody looks."""
    for finding in await check_redis(redis_url):
        if finding.level == "fault":
            _log.warning("redis", seen=finding.seen, advice=finding.advice)
        elif finding.level == "advice":
            _log.info("redis", seen=finding.seen, advice=finding.advice)


@asynccontextmanager
async def background() -> AsyncIterator[Start]:
    """Tasks that run as long as the context lasts."""
    tasks: list[asyncio.Task[None]] = []

    def start(work: Coroutine[None, None, None]) -> None:
        tasks.append(asyncio.create_task(work))

    try:
        yield start
    finally:
        await end(*tasks)
