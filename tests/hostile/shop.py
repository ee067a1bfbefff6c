"""A cluster of real processes, each of whose connections goes over a link of its own."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient
from tests.faults.processes import Environment, FlashReserve, ServerProcess, environment
from tests.hostile.link import Link
from tests.servers.mongodb import MISSING, MongoServer, start_server
from tests.servers.valkey import ValkeyProcess

RECOVERED_S = 90.0


class HostileShop:
    """API processes and workers, and the links from customers to them and from them to database and queue."""

    def __init__(self, settings: Environment, database: MongoServer, queue: ValkeyProcess, name: str) -> None:
        self.settings = settings
        """For commands, past all links."""
        self.database = database
        self.queue = queue
        self.name = name
        self.apis: list[ServerProcess] = []
        self.workers: list[FlashReserve] = []
        self.links: dict[str, Link] = {}

    @property
    def urls(self) -> list[str]:
        """Where customers go, over their links."""
        return [f"http://127.0.0.1:{self.links[f'customers to api {n}'].port}" for n in range(len(self.apis))]

    @property
    def processes(self) -> list[FlashReserve]:
        return [*self.apis, *self.workers]

    async def at_rest(self) -> None:
        """Return once no movement is open and no lapsed hold is left."""
        end = time.monotonic() + RECOVERED_S
        while left := await asyncio.to_thread(self._unfinished):
            assert time.monotonic() < end, f"{left} movements and lapsed holds are left"
            await asyncio.sleep(0.5)

    def _unfinished(self) -> int:
        with MongoClient[dict[str, Any]](self.database.url) as client:
            database = client[self.name]
            open_ = database.products.count_documents({"intents.f": {"$exists": True}})
            now = int(time.time() * 1000) - 2_500
            return open_ + database.reservations.count_documents({"status": "PENDING", "expires_at": {"$lte": now}})


@asynccontextmanager
async def hostile_shop(
    directory: Path, chance: random.Random, *, apis: int, workers: int
) -> AsyncIterator[HostileShop]:
    """A shop that is ready, in calm weather."""
    name = f"hostile{os.getpid()}"
    database = await asyncio.to_thread(start_server, name)
    if database is None:
        pytest.skip(MISSING)
    async with AsyncExitStack() as stack:
        stack.callback(database.stop)
        queue = ValkeyProcess(directory)
        queue.start()
        stack.callback(queue.stop)
        shop = HostileShop(_settings(directory, database.url + name, queue.url), database, queue, name)
        ports = urlsplit(database.url).port or 27_017, queue.port

        async def link(label: str, port: int) -> int:
            shop.links[label] = Link(port, chance)
            await shop.links[label].open()
            stack.push_async_callback(shop.links[label].close)
            return shop.links[label].port

        async def linked(part: str) -> Environment:
            to_database, to_queue = (
                await link(f"{part} to database", ports[0]),
                await link(f"{part} to queue", ports[1]),
            )
            return _settings(directory, f"mongodb://127.0.0.1:{to_database}/{name}", f"redis://127.0.0.1:{to_queue}/0")

        for number in range(apis):
            api = ServerProcess(await linked(f"api {number}"), "--role", "api")
            await link(f"customers to api {number}", api.port)
            shop.apis.append(api)
        shop.workers += [FlashReserve(await linked(f"worker {number}"), "worker") for number in range(workers)]
        for process in shop.processes:
            await stack.enter_async_context(process)
        yield shop


def _settings(directory: Path, store: str, redis_url: str) -> Environment:
    return environment(FLASHRESERVE_STORE=store, FLASHRESERVE_REDIS_URL=redis_url, FLASHRESERVE_DATA_DIR=str(directory))
