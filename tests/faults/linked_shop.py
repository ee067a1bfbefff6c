"""Shops of real processes in which each connection goes through its own link."""

import asyncio
import os
import random
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from tests.contract.requests import everything
from tests.faults.cluster import start_all
from tests.faults.link import TcpLink
from tests.faults.machine_clock import MachineClock, clear_shared_memory
from tests.faults.processes import Environment, FlashReserve, ServerProcess, environment
from tests.servers.mongodb import MISSING, MongoServer, start_server
from tests.servers.valkey import ValkeyProcess
from typing_extensions import override

from flashreserve.bootstrap import open_store_to_read
from flashreserve.core.model import Product, Reservation, Status
from flashreserve.settings import read_settings

RECOVERED_S: Final = 90.0
_SWEPT_MS: Final = 2_500
_ANSWERS_MS: Final = 5_000


class LinkedShop(ABC):
    """Processes, and the links between customers, processes and servers."""

    def __init__(self, settings: Environment) -> None:
        self.settings = settings
        """The environment of commands, which use no links."""
        self.apis: list[ServerProcess] = []
        self.workers: list[FlashReserve] = []
        self.links: dict[str, TcpLink] = {}
        self.clocks: list[MachineClock] = []
        """The clocks of the processes' machines, if they can be set wrong."""

    @property
    def urls(self) -> list[str]:
        """The addresses for customers, through their links."""
        return [f"http://127.0.0.1:{self.links[f'customers to api {n}'].port}" for n in range(len(self.apis))]

    @property
    def processes(self) -> list[FlashReserve]:
        return [*self.apis, *self.workers]

    @abstractmethod
    def disk_pids(self) -> list[int]:
        """The processes that write to the disk."""

    async def make_room(self) -> None:
        """Start processes again that ended because their disk was full."""
        return

    async def kept(self) -> tuple[list[Product], list[Reservation]]:
        """The products and reservations at one instant: they are read until nothing changes any more."""
        async with asyncio.timeout(RECOVERED_S):
            while True:
                kept = await self.read()
                if not await self.unfinished() and kept == await self.read():
                    return kept

    async def read(self) -> tuple[list[Product], list[Reservation]]:
        """The products, then the reservations, read without links."""
        own = {name: value for name, value in self.settings.items() if name.startswith("FLASHRESERVE_")}
        store = await open_store_to_read(read_settings(own))
        try:
            return await everything(store)
        finally:
            await store.close()

    async def revived(self) -> bool:
        """Start processes again that ended because they found no database at their start; whether all are ready."""
        ended = [process for process in self.processes if not process.runs]
        for process in ended:
            await FlashReserve.start(process)
        return not ended and all([await api.is_ready() for api in self.apis])

    async def at_rest(self) -> None:
        """Return once no movement is open, no lapsed hold is left, and all processes are ready."""
        end = time.monotonic() + RECOVERED_S
        while (left := await self.unfinished()) or not await self.revived():
            assert time.monotonic() < end, f"{left} movements and lapsed holds are left"
            await asyncio.sleep(0.5)

    @abstractmethod
    async def unfinished(self) -> int:
        """The number of open movements and lapsed holds."""

    async def link(self, label: str, port: int, chance: random.Random, stack: AsyncExitStack) -> int:
        """Make a link to a port; the link's port."""
        self.links[label] = link = TcpLink(port, chance)
        await link.open()
        stack.push_async_callback(link.close)
        return link.port


class ClusteredShop(LinkedShop):
    """API processes and workers over a database and a queue."""

    def __init__(self, settings: Environment, database: MongoServer, queue: ValkeyProcess, name: str) -> None:
        super().__init__(settings)
        self.database = database
        self.queue = queue
        self.name = name

    @override
    def disk_pids(self) -> list[int]:
        return self.database.pids()

    @override
    async def make_room(self) -> None:
        await asyncio.to_thread(self._make_room)

    def _make_room(self) -> None:
        try:
            with MongoClient[dict[str, Any]](self.database.url, timeoutMS=_ANSWERS_MS) as client:
                client[self.name].products.find_one()
        except PyMongoError:
            self.database.kill()
            self.database.resume()

    @override
    async def unfinished(self) -> int:
        return await asyncio.to_thread(self._unfinished)

    def _unfinished(self) -> int:
        with MongoClient[dict[str, Any]](self.database.url) as client:
            database = client[self.name]
            open_ = database.products.count_documents({"intents.f": {"$exists": True}})
            now = int(time.time() * 1000) - _SWEPT_MS
            return open_ + database.reservations.count_documents({"status": "PENDING", "expires_at": {"$lte": now}})


class EmbeddedShop(LinkedShop):
    """Processes that serve and sweep one SQLite file."""

    @override
    def disk_pids(self) -> list[int]:
        return [pid for process in self.processes if (pid := process.pid) is not None]

    @override
    async def unfinished(self) -> int:
        now = int(time.time() * 1000) - _SWEPT_MS
        _, reservations = await self.read()
        return sum(each.status is Status.PENDING and each.expires_at <= now for each in reservations)


@asynccontextmanager
async def clustered_shop(
    directory: Path, chance: random.Random, *, apis: int, workers: int, faketime: Path | None = None
) -> AsyncIterator[ClusteredShop]:
    """A shop that is ready, in calm weather. With `faketime`, each process's clock can be set wrong."""
    name = f"linked{os.getpid()}"
    database = await asyncio.to_thread(start_server, name)
    if database is None:
        pytest.skip(MISSING)
    async with AsyncExitStack() as stack:
        stack.callback(database.stop)
        queue = ValkeyProcess(directory)
        queue.start()
        stack.callback(queue.stop)
        shop = ClusteredShop(_clustered(directory, database.url + name, queue.url), database, queue, name)
        ports = urlsplit(database.url).port or 27_017, queue.port

        async def linked(part: str) -> Environment:
            to_database = await shop.link(f"{part} to database", ports[0], chance, stack)
            to_queue = await shop.link(f"{part} to queue", ports[1], chance, stack)
            store, redis = f"mongodb://127.0.0.1:{to_database}/{name}", f"redis://127.0.0.1:{to_queue}/0"
            own = _clustered(directory, store, redis)
            if faketime is not None:
                shop.clocks.append(MachineClock(faketime, directory / f"clock of {part}"))
                own |= shop.clocks[-1].environment
            return own

        for number in range(apis):
            api = ServerProcess(await linked(f"api {number}"), "--role", "api")
            await shop.link(f"customers to api {number}", api.port, chance, stack)
            shop.apis.append(api)
        shop.workers += [FlashReserve(await linked(f"worker {number}"), "worker") for number in range(workers)]
        stack.callback(lambda: clear_shared_memory(pid for process in shop.processes for pid in process.pids))
        await start_all(shop.apis, shop.workers, queue, stack)
        yield shop


@asynccontextmanager
async def embedded_shop(directory: Path, chance: random.Random, *, apis: int) -> AsyncIterator[EmbeddedShop]:
    """A shop on one SQLite file that is ready, in calm weather."""
    async with AsyncExitStack() as stack:
        shop = EmbeddedShop(environment(FLASHRESERVE_DATA_DIR=str(directory)))
        for number in range(apis):
            api = ServerProcess(shop.settings)
            await shop.link(f"customers to api {number}", api.port, chance, stack)
            shop.apis.append(await stack.enter_async_context(api))
        yield shop


def _clustered(directory: Path, store: str, redis_url: str) -> Environment:
    return environment(FLASHRESERVE_STORE=store, FLASHRESERVE_REDIS_URL=redis_url, FLASHRESERVE_DATA_DIR=str(directory))
