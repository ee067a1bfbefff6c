"""State that the processes of a cluster share: the time, wake-ups, and the throttle's counts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.clustered.conftest import Cluster
from tests.core.examples import a_product, user_id
from tests.http.shop import CHEAP_PASSWORDS
from tests.servers.valkey import ValkeyProcess

from flashreserve.auth.outcomes import TooManyTries
from flashreserve.bootstrap import Core, Seams, key_ring, open_core, open_edge, open_store
from flashreserve.clock import Clock, SystemClock
from flashreserve.core.model import Product, Units
from flashreserve.core.outcomes import Reserved
from flashreserve.http.edge import Edge
from flashreserve.server.limits import HttpLimits

pytestmark = pytest.mark.mongodb


class ShiftedClock:
    """The machine's clock, set wrong by some time."""

    def __init__(self, by_ms: int) -> None:
        self._by_ms = by_ms
        self._right = SystemClock()

    def now_ms(self) -> int:
        return self._right.now_ms() + self._by_ms

    def monotonic(self) -> float:
        return self._right.monotonic()

    def elapsed_ms(self) -> int:
        return self._right.elapsed_ms()


@asynccontextmanager
async def process(cluster: Cluster, clock: Clock | None = None) -> AsyncIterator[tuple[Core, Edge]]:
    """The parts of one process of the cluster, opened inside the test's own process."""
    settings = cluster.settings
    seams = Seams(clock=clock or SystemClock(), password_cost=CHEAP_PASSWORDS)
    store = await open_store(settings, create=True)
    async with (
        open_core(settings, store, key_ring(settings, create=False), seams) as core,
        open_edge(settings, core, sweeps=False, place=None, limits=HttpLimits()) as edge,
    ):
        yield core, edge


async def hot(core: Core, **rules: Any) -> Product:
    now = SystemClock().now_ms()
    product = a_product(**{"created_at": now, "updated_at": now, **rules})
    await core.books.store.add_products([product])
    return product


async def hold(core: Core, product: Product) -> Reserved:
    outcome = await core.books.reservations.reserve(user_id(1), (Units(product.id, 1),), None)
    assert isinstance(outcome, Reserved), outcome
    return outcome


async def readiness(edge: Edge) -> tuple[int, str]:
    sent: list[Any] = []
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/readyz",
        "raw_path": b"/readyz",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "http_version": "1.1",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "root_path": "",
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await edge(scope, receive, send)
    body = json.loads(b"".join(message.get("body", b"") for message in sent[1:]))
    return sent[0]["status"], body.get("detail", "")


@pytest.mark.parametrize("by_ms", [-7_000, 90_000])
async def test_a_process_whose_clock_is_wrong_goes_by_the_database_s_and_is_not_ready(
    cluster: Cluster, by_ms: int
) -> None:
    async with process(cluster, ShiftedClock(by_ms)) as (core, edge):
        held = (await hold(core, await hot(core))).reservation
        assert abs(held.created_at - SystemClock().now_ms()) < 1_000
        status, detail = await readiness(edge)
    side = "behind" if by_ms < 0 else "ahead of"
    assert (status, detail) == (503, f"this machine's clock is {abs(by_ms) / 1000:.1f} s {side} the database's")


async def test_a_process_whose_clock_is_right_is_ready(cluster: Cluster) -> None:
    async with process(cluster) as (_, edge):
        assert await readiness(edge) == (200, "")


async def test_a_hold_is_announced_for_the_second_in_which_it_lapses(cluster: Cluster, valkey: ValkeyProcess) -> None:
    async with process(cluster) as (core, _):
        held = (await hold(core, await hot(core))).reservation
        with valkey.client() as redis:
            async with asyncio.timeout(10):
                job = f"bull:flashreserve-sweeps:sweep-{held.expires_at // 1000}"
                while not redis.exists(job):  # noqa: ASYNC110 - another server adds it
                    await asyncio.sleep(0.01)


async def test_tries_are_counted_for_all_processes_together(cluster: Cluster) -> None:
    async with process(cluster) as (one, _), process(cluster) as (other, _):
        for number in range(10):
            core = (one, other)[number % 2]
            refused = await core.accounts.login("ann@example.com", "a wrong password", "192.0.2.1", ())
            assert not isinstance(refused, TooManyTries)
        last = await one.accounts.login("ann@example.com", "a wrong password", "192.0.2.1", ())
        assert isinstance(last, TooManyTries)
