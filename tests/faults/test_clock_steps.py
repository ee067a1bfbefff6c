"""Clock steps of an hour, for a moment and for good, on machines whose servers sell."""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from tests.faults.linked_shop import clustered_shop
from tests.faults.machine_clock import MachineClock, clear_shared_memory, require_libfaketime
from tests.faults.processes import SECRET_KEYS, Environment, ServerProcess, audit, embedded
from tests.faults.products import make_products

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.tokens import Tokens
from flashreserve.clock import LASTING_MS, SystemIds
from flashreserve.core.instants import format_instant
from flashreserve.core.model import Role

HOUR_S: Final = 3_600.0
HALF_AN_HOUR_S: Final = 1_800.0
MOMENT_S: Final = 1.5
SHORT_S: Final = 3
SLACK_S: Final = 0.3
"""The most by which a server's clock may differ from the test's."""

PATIENCE_S: Final = 60.0
"""How long a test waits for an expected change: the machine may be busy."""

ATTEMPTS: Final = 10
STOCK: Final = 1_000_000
"""More than is ever sold: a fast machine sells a thousand units while a clock is wrong for a moment."""

TOKEN_S: Final = 18_000
TOKEN_S_DEFAULT: Final = 3_600

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

Check = dict[str, Any]


class SteppedServer:
    """A server on a machine with its own clock."""

    def __init__(
        self, process: ServerProcess, clock: MachineClock, http: aiohttp.ClientSession, token_s: int = TOKEN_S
    ) -> None:
        self.process = process
        self.clock = clock
        self._http = http
        self._token_s = token_s
        self._tokens = Tokens(KeyRing.parse(SECRET_KEYS), ttl_s=token_s)

    async def ask(self, method: str, path: str, user: str) -> tuple[int, Any]:
        # If tokens live long enough, this one is also valid by a clock that is an hour off.
        token = self._tokens.issue(user, Role.CUSTOMER, int((time.time() - self._token_s / 2) * 1000)).token
        headers = {"Authorization": f"Bearer {token}"}
        async with self._http.request(method, self.process.url + path, headers=headers) as answer:
            return answer.status, await answer.json()

    async def refusal(self, product: str) -> int:
        """The status of an attempt to reserve."""
        return (await self.ask("POST", f"/reservations/{product}", SystemIds().new()))[0]

    async def hold(self, product: str) -> "TimedHold":
        user, sent_s = SystemIds().new(), time.time()
        status, body = await self.ask("POST", f"/reservations/{product}", user)
        assert status == 201, body
        return TimedHold(user, body, sent_s)

    async def available(self, product: str) -> int:
        async with self._http.get(self.process.url + f"/products/{product}") as answer:
            return int((await answer.json())["available"])

    async def check(self) -> tuple[int, Check]:
        """The status of `/readyz`, and its check of the clock."""
        async with self._http.get(self.process.url + "/readyz?verbose") as answer:
            body = await answer.json()
            return answer.status, next(check for check in body["checks"] if check["name"] == "clock")

    async def until(self, *, ok: bool) -> None:
        """Wait until the check of the clock has this result."""
        async with asyncio.timeout(PATIENCE_S):
            while (await self.check())[1]["ok"] is not ok:  # noqa: ASYNC110 - happens in another process
                await asyncio.sleep(0.05)

    async def count(self, name: str) -> float:
        """A value of `/metrics`."""
        async with self._http.get(self.process.url + "/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))

    async def until_adopted(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while await self.count("flashreserve_clock_steps_adopted_total") < times:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)


class TimedHold:
    """A hold, and when it was requested and granted, by the true time."""

    def __init__(self, user: str, told: Any, sent_s: float) -> None:
        self.user = user
        self.id: str = told["id"]
        self.expires_s = datetime.fromisoformat(told["expiresAt"]).timestamp()
        self._created_s = datetime.fromisoformat(told["createdAt"]).timestamp()
        self._sent_s, self._told_s = sent_s, time.time()

    def is_short_and_stamped(self, ahead_s: float) -> None:
        """Check that it lasts three seconds from its request, by a clock that is this far ahead."""
        assert round(self.expires_s - self._created_s, 3) == SHORT_S
        assert self._sent_s - SLACK_S <= self._created_s - ahead_s <= self._told_s + SLACK_S

    async def status_at(self, server: SteppedServer) -> str:
        status, body = await server.ask("GET", f"/reservations/{self.id}", self.user)
        assert status == 200, body
        return str(body["status"])

    async def confirm_at(self, server: SteppedServer) -> int:
        return (await server.ask("POST", f"/reservations/confirm/{self.id}", self.user))[0]

    async def ends_in_time(self, server: SteppedServer, ahead_s: float = 0.0) -> None:
        """Check that it is PENDING until its three seconds are over, and EXPIRED from then on."""
        self.is_short_and_stamped(ahead_s)
        end_s = self.expires_s - ahead_s
        status = ""
        while status != "EXPIRED":
            await asyncio.sleep(0.05 if status else 0)
            sent_s = time.time()
            status = await self.status_at(server)
            if time.time() < end_s - SLACK_S:
                assert status == "PENDING"
            if sent_s > end_s + SLACK_S:
                assert status == "EXPIRED"


@asynccontextmanager
async def servers(directory: Path, settings: Sequence[Environment]) -> AsyncIterator[list[SteppedServer]]:
    """Servers that are ready, each on a machine with its own clock."""
    library = require_libfaketime(directory)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        running = []
        for number, own in enumerate(settings):
            clock = MachineClock(library, directory / f"clock of {number}")
            process = ServerProcess(own | clock.environment)
            stack.callback(lambda process=process: clear_shared_memory(process.pids))  # type: ignore[misc]
            running.append(SteppedServer(await stack.enter_async_context(process), clock, http))
        yield running


@asynccontextmanager
async def on_one_file(
    directory: Path, count: int = 2
) -> AsyncIterator[tuple[SteppedServer, SteppedServer, "SteppedGoods"]]:
    """The first and the last of `count` servers on one SQLite file, and their products."""
    settings = embedded(directory / "data") | {"FLASHRESERVE_TOKEN_SECONDS": str(TOKEN_S)}
    async with servers(directory, [settings] * count) as running:
        yield running[0], running[-1], await goods(settings, running[0])
    audit(settings)


class SteppedGoods:
    """Products: one held for three seconds, one for ten minutes, one on sale later, one on sale for a while."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.short, self.long, self.later, self.already = ids


async def goods(settings: Environment, server: SteppedServer) -> SteppedGoods:
    now_s = time.time()
    rules: list[dict[str, Any]] = [
        {"holdSeconds": SHORT_S},
        {"holdSeconds": 600},
        {"saleStartsAt": format_instant(int((now_s + HALF_AN_HOUR_S) * 1000))},
        {
            "saleStartsAt": format_instant(int((now_s - HALF_AN_HOUR_S) * 1000)),
            "saleEndsAt": format_instant(int((now_s + HALF_AN_HOUR_S) * 1000)),
        },
    ]
    products = [{"name": "hot", "price": "1.00", "stockQuantity": STOCK, **own} for own in rules]
    return SteppedGoods(await make_products(settings, server.process.url, *products))


async def sells_by_the_true_time(server: SteppedServer, sold: SteppedGoods) -> TimedHold:
    """Check that products on sale are sold, and others are not; returns a short hold."""
    assert await server.refusal(sold.later) == 403
    await server.hold(sold.already)
    held = await server.hold(sold.short)
    held.is_short_and_stamped(0.0)
    return held


async def for_a_moment(
    stepping: Sequence[SteppedServer], selling: Sequence[SteppedServer], sold: SteppedGoods, by_s: float
) -> list[TimedHold]:
    """Set the clocks wrong for a moment, and sell meanwhile; the short holds.

    Raises:
        _VoidError: a process didn't notice, or the moment lasted so long that the step may have been adopted.
    """
    over, held = asyncio.Event(), []

    async def sell() -> None:
        for server in itertools.cycle(selling):
            held.append(await sells_by_the_true_time(server, sold))
            if over.is_set():
                return

    async def seen() -> list[float]:
        return [await server.count("flashreserve_clock_steps_total") for server in stepping]

    before, began_s = await seen(), time.monotonic()
    shopping = asyncio.create_task(sell())
    for server in stepping:
        server.clock.set(by_s)
    await asyncio.sleep(MOMENT_S)
    for server in stepping:
        server.clock.set(0.0)
    # A process sees each of the two steps up to a second later.
    lasted_s = time.monotonic() - began_s + 1.0
    await asyncio.sleep(MOMENT_S)
    over.set()
    await asyncio.wait({shopping})
    after = await seen()
    if lasted_s * 1000 > LASTING_MS - 500 or not all(now > then for now, then in zip(after, before, strict=True)):
        raise _VoidError
    shopping.result()
    return held


class _VoidError(Exception):
    """The machine was too busy, so this attempt is void."""


@pytest.mark.parametrize(("by_s", "count"), [(HOUR_S, 1), (HOUR_S, 2), (-HOUR_S, 2)])
async def test_a_moment_s_step_opens_no_sale_and_locks_no_stock(tmp_path: Path, by_s: float, count: int) -> None:
    for attempt in range(ATTEMPTS):
        directory = tmp_path / str(attempt)
        directory.mkdir()
        async with on_one_file(directory, count) as (one, other, sold):
            both = list(dict.fromkeys((one, other)))
            kept = [await one.hold(sold.long), await other.hold(sold.long)]
            try:
                held = await for_a_moment(both, both, sold, by_s)
            except _VoidError:
                continue
            for each in held:
                await each.ends_in_time(one)
            for server in both:
                await server.until(ok=True)
                assert await server.count("flashreserve_clock_steps_adopted_total") == 0
            assert [await each.confirm_at(other) for each in kept] == [200, 200]
            return
    pytest.fail("the machine is too busy to set a clock wrong for a moment only")


async def test_a_step_ahead_for_good_is_adopted_by_all_processes_on_a_file(tmp_path: Path) -> None:
    async with on_one_file(tmp_path) as (one, other, sold):
        kept = await one.hold(sold.long)
        for server in (one, other):
            server.clock.set(HOUR_S)
        assert await other.refusal(sold.later) == 403
        for server in (one, other):
            await server.until_adopted(1)
            assert (await server.check())[0] == 200
            await server.hold(sold.later)
            await (await server.hold(sold.short)).ends_in_time(other, HOUR_S)
        # By the adopted time, its ten minutes ended fifty minutes ago.
        assert await kept.confirm_at(one) == 410


async def test_a_step_back_for_good_is_adopted_by_all_processes_on_a_file(tmp_path: Path) -> None:
    async with on_one_file(tmp_path) as (one, other, sold):
        kept = await one.hold(sold.long)
        for server in (one, other):
            server.clock.set(-HOUR_S)
        await other.hold(sold.already)
        for server in (one, other):
            await server.until_adopted(1)
            assert (await server.check())[0] == 200
            assert await server.refusal(sold.already) == 403
            await (await server.hold(sold.short)).ends_in_time(other, -HOUR_S)
        assert await kept.confirm_at(one) == 200


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
async def test_one_process_of_two_whose_clock_stays_wrong_goes_by_the_other_s_and_is_not_ready(
    tmp_path: Path, by_s: float
) -> None:
    async with on_one_file(tmp_path) as (one, other, sold):
        kept = await other.hold(sold.long)
        one.clock.set(by_s)
        async with asyncio.timeout(PATIENCE_S):
            while (await one.check())[0] != 503:  # noqa: ASYNC110 - happens in another process
                await asyncio.sleep(0.05)
        assert "other processes on this database see another time" in (await one.check())[1]["detail"]
        await (await sells_by_the_true_time(one, sold)).ends_in_time(other)
        assert (await other.check())[0] == 200
        assert await kept.confirm_at(one) == 200
        assert await one.count("flashreserve_clock_steps_adopted_total") == 0
        one.clock.set(0.0)
        await one.until(ok=True)


async def test_a_process_that_starts_while_its_clock_is_wrong_goes_by_the_other_s(tmp_path: Path) -> None:
    async with on_one_file(tmp_path) as (one, other, sold):
        kept = await other.hold(sold.long)
        one.process.kill()
        one.clock.set(HOUR_S)
        await one.process.start()
        await (await sells_by_the_true_time(one, sold)).ends_in_time(other)
        one.clock.set(0.0)
        await one.until(ok=True)
        assert await kept.confirm_at(one) == 200


@pytest.mark.mongodb
@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
async def test_machines_of_a_cluster_whose_clock_is_wrong_go_by_the_database_s(tmp_path: Path, by_s: float) -> None:
    faketime = require_libfaketime(tmp_path)
    async with (
        clustered_shop(tmp_path, random.Random(1), apis=2, workers=1, faketime=faketime) as shop,
        aiohttp.ClientSession() as http,
    ):
        wrong, right = (
            SteppedServer(api, clock, http, TOKEN_S_DEFAULT)
            for api, clock in zip(shop.apis, shop.clocks[:2], strict=True)
        )
        sold = await goods(shop.settings, right)
        kept = await right.hold(sold.long)
        before = await right.available(sold.short)
        for clock in (shop.clocks[0], shop.clocks[2]):  # The worker, which sweeps for all, has a wrong clock as well.
            clock.set(by_s)
        await wrong.until(ok=False)
        for server in (wrong, right):
            held = await sells_by_the_true_time(server, sold)
            await held.ends_in_time(right if server is wrong else wrong)
        assert [(await server.check())[0] for server in (wrong, right)] == [503, 200]
        async with asyncio.timeout(PATIENCE_S):
            while await right.available(sold.short) != before:  # noqa: ASYNC110 - the worker sweeps
                await asyncio.sleep(0.1)
        assert await kept.status_at(wrong) == "PENDING"
        for clock in shop.clocks:
            clock.set(0.0)
        await wrong.until(ok=True)
        assert await kept.confirm_at(wrong) == 200
        audit(shop.settings)
