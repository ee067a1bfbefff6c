"""A pause is exact: once it is answered with `settling: 0`, no process takes another unit, whatever load there is.

Customers send 2,000 reserves a second to four processes, for `FAULT_SECONDS` in all. The sale of the product is paused
and resumed meanwhile, then that of all products.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import pytest
from tests.faults.deliveries import subscribe
from tests.faults.linked_shop import LinkedShop, clustered_shop, embedded_shop
from tests.faults.processes import SECRET_KEYS, audit
from tests.faults.products import a_product, hire
from tests.webhooks.receiver import ReceiverPlan
from tests.webhooks.receiver_process import ReceiverProcess

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.tokens import Tokens
from flashreserve.bootstrap import open_store_to_read
from flashreserve.clock import SystemClock, SystemIds
from flashreserve.core.model import Role
from flashreserve.rehearsal.client import Client
from flashreserve.settings import read_settings
from flashreserve.stores.port import Store

PROCESSES: Final = 4
RATE: Final = 2_000
SECONDS: Final = float(os.environ.get("FAULT_SECONDS", "10"))
CONNECTIONS: Final = 24
"""Connections to each process. Each is one to the database too, through a link in the process of the tests."""

UNITS: Final = 10_000_000
PATIENCE_S: Final = 30.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 2 * int(SECONDS))]


class ReserveAnswer(NamedTuple):
    """The answer to a reserve, with the times of both."""

    sent_s: float
    answered_s: float
    status: int


class ReserveLoad:
    """Customers who reserve one unit each, at a fixed rate, from the processes in turn."""

    def __init__(self, clients: Sequence[Client], product: str) -> None:
        self._clients = clients
        self._path = f"/reservations/{product}"
        self._tokens = Tokens(KeyRing.parse(SECRET_KEYS), ttl_s=3_600)
        self._open = 0
        self.answers: list[ReserveAnswer] = []

    async def send(self, until: asyncio.Event) -> None:
        """Send them until the event is set, and wait for the answers."""
        loop = asyncio.get_running_loop()
        begun, number = loop.time(), 0
        async with asyncio.TaskGroup() as tasks:
            while not until.is_set():
                due = int((loop.time() - begun) * RATE)
                # On a machine that is too slow for the rate, those that find no free connection are left out.
                for each in range(number, min(due, number + CONNECTIONS * len(self._clients) - self._open)):
                    self._open += 1
                    tasks.create_task(self._reserve(each))
                number = due
                await asyncio.sleep(0.005)

    async def _reserve(self, number: int) -> None:
        client = self._clients[number % len(self._clients)]
        headers = f"Authorization: {self.customer()}\r\nContent-Type: application/json\r\n"
        sent_s = time.monotonic()
        answer = await client.ask(client.request("POST", self._path, headers, b'{"quantity":1}'), PATIENCE_S)
        self._open -= 1
        self.answers.append(ReserveAnswer(sent_s, time.monotonic(), answer.status))

    def customer(self) -> str:
        """The header `Authorization` of a new customer."""
        return f"Bearer {self._tokens.issue(SystemIds().new(), Role.CUSTOMER, SystemClock().now_ms()).token}"

    def granted(self) -> list[ReserveAnswer]:
        return [each for each in self.answers if each.status == 201]


class PausedShop(NamedTuple):
    """A shop with one product under load, and an admin's requests to it. `store` is without the processes."""

    shop: LinkedShop
    store: Store
    http: aiohttp.ClientSession
    product: str
    load: ReserveLoad

    async def post(self, path: str, body: dict[str, Any] | None = None, *, by: str = "") -> dict[str, Any]:
        """Send a POST as the admin, or as the customer `by`."""
        headers = {"Authorization": by} if by else None
        async with self.http.post(self.shop.apis[0].url + path, json=body, headers=headers) as answer:
            assert answer.status in {200, 201}, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def taken(self) -> int:
        """Units that are held or sold, as the database has it."""
        product = await self.store.product(self.product)
        assert product is not None
        return UNITS - product.available

    async def granted_since(self, count: int) -> None:
        """Wait until the load has more grants than `count`."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.load.granted()) <= count:  # noqa: ASYNC110 - happens in other processes
                await asyncio.sleep(0.05)


@pytest.mark.mongodb
async def test_a_pause_is_exact_on_the_clustered_engine(tmp_path: Path) -> None:
    async with clustered_shop(tmp_path, random.Random(1), apis=PROCESSES, workers=1) as shop:
        await a_pause_is_exact(shop, tmp_path)


async def test_a_pause_is_exact_on_the_embedded_engine(tmp_path: Path) -> None:
    async with embedded_shop(tmp_path, random.Random(1), apis=PROCESSES) as shop:
        await a_pause_is_exact(shop, tmp_path)


async def a_pause_is_exact(shop: LinkedShop, directory: Path) -> None:
    with ReceiverProcess(directory / "received.jsonl") as receiver:
        secret = await asyncio.to_thread(subscribe, shop.settings, receiver)
        await asyncio.to_thread(receiver.take, ReceiverPlan(secrets=(secret,)))
        async with under_load(shop) as paused:
            customer = paused.load.customer()
            before = await paused.post(f"/reservations/{paused.product}", {"quantity": 1}, by=customer)
            await no_unit_is_taken_after(paused, f"/products/{paused.product}/pause")
            await paused.post(f"/checkout/{before['id']}", by=customer)
            await paused.post(f"/products/{paused.product}/resume")
            await paused.granted_since(len(paused.load.granted()))
            await no_unit_is_taken_after(paused, "/pause")
        # The events of the first pause went out although the sale is paused again.
        wanted = {before["id"], paused.product}
        await asyncio.to_thread(receiver.wait_for, lambda found: wanted <= {each.subject for each in found})
    assert (await asyncio.to_thread(audit, shop.settings))["clean"]
    answers = paused.load.answers
    lasted_s = max(each.answered_s for each in answers) - min(each.sent_s for each in answers)
    granted = len(paused.load.granted())
    print(f"{len(answers)} reserves, {len(answers) / lasted_s:.0f} a second, {granted} granted, the others refused")
    assert {each.status for each in answers} == {201, 403}


async def no_unit_is_taken_after(paused: PausedShop, path: str) -> None:
    """Pause by this path under load, and go on for a while."""
    await paused.granted_since(len(paused.load.granted()))
    await asyncio.sleep(SECONDS / 4)
    answer = await paused.post(path, {"reason": "the price is wrong"})
    answered_s = time.monotonic()
    taken = await paused.taken()
    assert answer == {"paused": True, "settling": 0}
    await asyncio.sleep(SECONDS / 4)
    assert await paused.taken() == taken
    later = [each for each in paused.load.answers if each.sent_s > answered_s]
    assert {each.status for each in later} == {403}
    late = sum(each.answered_s > answered_s for each in paused.load.granted())
    print(f"{path.rpartition('/')[2]}: {len(later)} reserves refused; {late} grants from before were answered after it")


@asynccontextmanager
async def under_load(shop: LinkedShop) -> AsyncIterator[PausedShop]:
    """A product that is reserved by a crowd within the context."""
    over = asyncio.Event()
    clients = [Client(api.url, connections_max=CONNECTIONS) for api in shop.apis]
    admin = {"Authorization": f"Bearer {await hire(shop.settings, shop.apis[0].url)}"}
    async with aiohttp.ClientSession(headers=admin) as http, asyncio.TaskGroup() as tasks:
        async with http.post(shop.apis[0].url + "/products", json=a_product(UNITS)) as answer:
            product = (await answer.json())["id"]
        own = {name: value for name, value in shop.settings.items() if name.startswith("FLASHRESERVE_")}
        store = await open_store_to_read(read_settings(own))
        made = PausedShop(shop, store, http, product, ReserveLoad(clients, product))
        tasks.create_task(made.load.send(over))
        try:
            yield made
        finally:
            over.set()
            await store.close()
    for client in clients:
        client.close()
