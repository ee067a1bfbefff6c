"""A job that is added to the list runs in all places that run jobs, with no other change."""

import asyncio
import pkgutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest
from tests.contract.requests import listed
from tests.core.examples import a_product
from tests.http.shop import open_shop
from tests.servers.valkey import ValkeyProcess, valkey, valkey_of_session
from tests.simulation.play import play, quietly
from tests.simulation.script import draw

from flashreserve import jobs
from flashreserve.bootstrap import Watchdog, open_store, open_worker
from flashreserve.bootstrap.work import background, passes, start_jobs
from flashreserve.clock import SteadyClock, SystemClock
from flashreserve.jobs.bullmq import BullMQWakeups
from flashreserve.jobs.job_list import JOBS, Job, JobCounter
from flashreserve.settings import Settings
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import Store

__all__ = ["valkey", "valkey_of_session"]

NEVER_S: Final = 3_600.0
PATIENCE_S: Final = 20.0


class PretendedPasses:
    """Counts the passes of a third job. Each pass reports as many things done as there are products."""

    def __init__(self) -> None:
        self.count = 0
        self.overlapping = 0
        self._running = 0

    async def run_once(self, store: Store, now: int) -> int:
        assert now > 0
        self._running += 1
        self.overlapping = max(self.overlapping, self._running)
        await asyncio.sleep(0.001)
        self._running -= 1
        self.count += 1
        return len(await listed(store, 10))


def pretended(run_once: Callable[[Store, int], Awaitable[int]], *, every_s: float = 0.01) -> Job:
    return Job(
        name="tally",
        run_once=run_once,
        every_s=every_s,
        on_wakeup=True,
        purpose="Count the products, once.",
        result=("Counted", "product"),
        counter=JobCounter("flashreserve_tallied", "Products counted by the pretended job"),
    )


@pytest.fixture
def added() -> Iterator[PretendedPasses]:
    with_passes = PretendedPasses()
    JOBS.append(pretended(with_passes.run_once))
    yield with_passes
    JOBS.pop()


@pytest.fixture
def added_for_wakeups() -> Iterator[PretendedPasses]:
    """The only job. It runs once by the clock, so that every later pass must come from a wake-up."""
    with_passes, jobs = PretendedPasses(), list(JOBS)
    JOBS[:] = [pretended(with_passes.run_once, every_s=NEVER_S)]
    yield with_passes
    JOBS[:] = jobs


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - jobs set no event
            await asyncio.sleep(0.01)


def test_every_pass_is_in_the_list() -> None:
    modules = [import_module(f"{jobs.__name__}.{module.name}") for module in pkgutil.iter_modules(jobs.__path__)]
    passes = {name for module in modules for name in vars(module) if name.endswith("_once") and name != "run_once"}

    assert {job.run_once.__name__ for job in JOBS} == passes


async def test_it_runs_in_a_worker_without_a_queue(tmp_path: Path, added: PretendedPasses) -> None:
    settings = Settings(data_dir=tmp_path)
    await (await open_store(settings, create=True)).close()
    with Watchdog() as watchdog:
        async with open_worker(settings, watchdog):
            await until(lambda: added.count >= 3)
    assert added.overlapping == 1


async def test_it_runs_in_a_server_and_its_counter_is_among_the_metrics(tmp_path: Path, added: PretendedPasses) -> None:
    async with open_shop(tmp_path, SystemClock(), sweeps=True) as shop:
        await (await shop.hire()).product()
        began = added.count
        await until(lambda: added.count > began + 1)
        assert "flashreserve_tallied_total " in (await shop.ask("GET", "/metrics")).body.decode()


@asynccontextmanager
async def jobs_running(server: ValkeyProcess) -> AsyncIterator[None]:
    clock = SteadyClock(SystemClock())
    async with background() as start:
        settings = Settings(store="mongodb://nowhere/shop", redis_url=server.url)
        start_jobs(settings, clock, start, passes(MemoryStore(), clock.now_ms, settings))
        yield


async def test_it_runs_in_a_worker_with_a_queue(valkey: ValkeyProcess, added: PretendedPasses) -> None:
    async with jobs_running(valkey):
        await until(lambda: added.count >= 3)
    assert added.overlapping == 1


async def test_it_runs_at_a_wake_up(valkey: ValkeyProcess, added_for_wakeups: PretendedPasses) -> None:
    wakeups = BullMQWakeups(valkey.url, SystemClock())
    async with jobs_running(valkey):
        await until(lambda: added_for_wakeups.count == 1)
        wakeups.expect([time.time_ns() // 1_000_000])
        await until(lambda: added_for_wakeups.count == 2)
    await wakeups.close()


def test_it_is_a_command(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_WITH_A_THIRD_JOB)

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(program), *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    asyncio.run(_make_database(Settings(data_dir=tmp_path / "data")))
    ended = run("tally")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "Counted 1 product.\n", "")
    assert "Count the products, once." in run("--help").stdout
    assert "Count the products, once. A running server does so by itself." in run("tally", "--help").stdout


async def _make_database(settings: Settings) -> None:
    store = await open_store(settings, create=True)
    await store.add_products([a_product()])
    await store.close()


_WITH_A_THIRD_JOB: Final = """
from flashreserve.jobs.job_list import JOBS, Job
from flashreserve.stores.filters import ALL_PRODUCTS

async def run_once(store, now):
    return len((await store.search_products(ALL_PRODUCTS, None, 10)).products)

JOBS.append(
    Job(name="tally", run_once=run_once, every_s=1, purpose="Count the products, once.", result=("Counted", "product"))
)

from flashreserve.__main__ import main

main()
"""


def test_it_runs_in_a_simulated_process(added: PretendedPasses) -> None:
    with quietly():
        played = play(draw(1, "sqlite"))
    assert added.count > 0
    assert not played.violations
