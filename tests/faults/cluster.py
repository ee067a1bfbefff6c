"""The clustered engine: real processes, on database and queue servers that the test starts."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from pymongo import MongoClient
from tests.faults.processes import READY_S, Environment, FlashReserve, ServerProcess, audit, environment
from tests.servers.mongodb import MISSING, MongoServer, start_server
from tests.servers.valkey import ValkeyProcess

RECOVERED_S = 60.0
"""Recovery finishes a movement at most 45 s after a crash; tests wait somewhat longer."""


TAKING: Final = "bzpopmin"
"""The Redis command in which a BullMQ worker waits for the next job."""


class FaultCluster:
    """API processes, workers, a database and a queue, which a test may kill or freeze."""

    def __init__(self, settings: Environment, database: MongoServer, queue: ValkeyProcess, name: str) -> None:
        self.settings = settings
        self.database = database
        self.queue = queue
        self.apis: list[ServerProcess] = []
        self.workers: list[FlashReserve] = []
        self._name = name

    @property
    def urls(self) -> list[str]:
        return [api.url for api in self.apis]

    @property
    def processes(self) -> list[FlashReserve]:
        return [*self.apis, *self.workers]

    async def recovered(self) -> None:
        """Return once no stock movement is open."""
        end = time.monotonic() + RECOVERED_S
        while left := await asyncio.to_thread(self._open_movements):
            assert time.monotonic() < end, f"{left} movements are still open"
            await asyncio.sleep(0.5)

    def _open_movements(self) -> int:
        with MongoClient[dict[str, Any]](self.database.url) as client:
            return client[self._name].products.count_documents({"intents.f": {"$exists": True}})

    def audit(self) -> dict[str, Any]:
        """The findings of `flashreserve audit`, which must be clean."""
        return audit(self.settings)


@asynccontextmanager
async def cluster(directory: Path, *, apis: int, workers: int) -> AsyncIterator[FaultCluster]:
    """A cluster that is ready, and runs as long as the context."""
    name = f"faults{os.getpid()}"
    database = await asyncio.to_thread(start_server, name)
    if database is None:
        pytest.skip(MISSING)
    async with AsyncExitStack() as stack:
        stack.callback(database.stop)
        queue = ValkeyProcess(directory)
        queue.start()
        stack.callback(queue.stop)
        settings = environment(
            FLASHRESERVE_STORE=database.url + name,
            FLASHRESERVE_REDIS_URL=queue.url,
            FLASHRESERVE_DATA_DIR=str(directory),
        )
        made = FaultCluster(settings, database, queue, name)
        made.apis += [ServerProcess(settings, "--role", "api") for _ in range(apis)]
        made.workers += [FlashReserve(settings, "worker") for _ in range(workers)]
        await start_all(made.apis, made.workers, queue, stack)
        yield made


async def start_all(
    apis: Sequence[ServerProcess], workers: Sequence[FlashReserve], queue: ValkeyProcess, stack: AsyncExitStack
) -> None:
    """Start processes together, which end with the stack; return when all of them are ready."""
    for process in (*apis, *workers):
        await FlashReserve.start(process)
        stack.push_async_exit(process)
    for api in apis:
        await api.wait_until_ready()
    await _wait_for_workers(workers, queue)


async def _wait_for_workers(workers: Sequence[FlashReserve], queue: ValkeyProcess) -> None:
    """Return once each worker waits for jobs; it has opened the database by then."""
    with queue.client() as client:
        async with asyncio.timeout(READY_S):
            while sum(each["cmd"] == TAKING for each in client.client_list()) < len(workers):
                assert all(each.runs for each in workers), "a worker ended before it was ready"
                await asyncio.sleep(0.02)
