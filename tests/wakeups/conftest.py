import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from bullmq import Job as QueueJob  # type: ignore[import-untyped]
from bullmq import Queue
from tests.servers.valkey import ValkeyProcess, own_valkey, valkey, valkey_of_session

from flashreserve.clock import SystemClock
from flashreserve.jobs import bullmq
from flashreserve.jobs.bullmq import QUEUE, BullMQWakeups, run_worker
from flashreserve.jobs.job_list import Job
from flashreserve.redis_server import connect, disconnect
from flashreserve.side_by_side import end_all
from flashreserve.stores.port import Store

__all__ = ["own_valkey", "valkey", "valkey_of_session"]

NEVER_S = 3600.0
"""The interval for a worker whose own sweeps must not be mistaken for those after wake-ups."""

PATIENCE_S = 20.0


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - the change is in another process, or inside the library
            await asyncio.sleep(0.01)


class Sweeps:
    """Counts sweeps, including the one with which each worker begins.

    With `held`, they wait until a test releases them.
    """

    def __init__(self, *, held: bool = False) -> None:
        self.count = 0
        self.ended = 0
        self.error: Exception | None = None
        self.go_on = asyncio.Event()
        if not held:
            self.go_on.set()

    async def run(self, _job: Job) -> int:
        self.count += 1
        await self.go_on.wait()
        self.ended += 1
        if self.error is not None:
            raise self.error
        return self.count


async def nothing(_store: Store, _now: int) -> int:
    """The pass of a job whose passes are counted elsewhere."""
    return 0


def a_job(name: str = "sweep", *, every_s: float = NEVER_S, on_wakeup: bool = True) -> Job:
    return Job(
        name=name, run_once=nothing, every_s=every_s, on_wakeup=on_wakeup, purpose="Try.", result=("Tried", "thing")
    )


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the pause before Redis is tried again."""
    monkeypatch.setattr(bullmq, "RETRY_AFTER_S", 0.1)
    monkeypatch.setattr(bullmq, "_RETRY_AFTER_MS", 100)


Wakeups = Callable[..., BullMQWakeups]
StartWorker = Callable[..., Awaitable["asyncio.Task[None]"]]


@pytest.fixture
async def wakeups() -> AsyncIterator[Wakeups]:
    """Opens wake-ups on a server, each as another process would, and closes them at the end."""
    opened: list[BullMQWakeups] = []

    def make(server: ValkeyProcess, **limits: int) -> BullMQWakeups:
        opened.append(BullMQWakeups(server.url, SystemClock(), **limits))
        return opened[-1]

    yield make
    for each in opened:
        await each.close()


@pytest.fixture
async def start_worker() -> AsyncIterator[StartWorker]:
    """Starts workers, and ends them after the test."""
    tasks: list[asyncio.Task[None]] = []

    async def make(server: ValkeyProcess, sweeps: Sweeps, *, every_s: float = NEVER_S) -> "asyncio.Task[None]":
        begun = sweeps.count
        work = run_worker(server.url, [a_job(every_s=every_s)], sweeps.run, clock=SystemClock(), jitter=lambda: 0.0)
        tasks.append(asyncio.create_task(work))
        await until(lambda: sweeps.count > begun)
        return tasks[-1]

    yield make
    await end_all(*tasks)


async def jobs(server: ValkeyProcess) -> list[QueueJob]:
    """All jobs in any state, as BullMQ itself reads them."""
    redis = connect(server.url, timeout_s=10, connections_max=1)
    queue = Queue(QUEUE, {"connection": redis})
    found: list[QueueJob] = await queue.getJobs(["delayed", "waiting", "active", "completed", "failed"])
    await disconnect(redis)
    return found


async def job_ids(server: ValkeyProcess) -> set[str]:
    return {job.id for job in await jobs(server)}
