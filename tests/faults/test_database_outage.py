"""A database outage or hang: requests end in time, processes recover by themselves, and end on SIGTERM."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from tests.faults.cluster import FaultCluster, cluster
from tests.faults.crowd import FaultCrowd
from tests.faults.processes import SECRET_KEYS, FlashReserve
from tests.faults.products import a_product, make_products

from flashreserve.bootstrap.watchdog import STOP_GRACE_S
from flashreserve.calls import CALL_S
from flashreserve.rehearsal.servers.mongodb import MongoServer

READS = 500
AT_ONCE = 100
SPREAD_S = 2.5
BACK_S = 2.0
"""The longest time from the database's return until a process answers again."""
SLACK_S = 3.0
"""Additional time for a busy machine."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def test_after_500_cancelled_reads_a_process_answers_again_and_ends_when_asked(tmp_path: Path) -> None:
    async with cluster(tmp_path, apis=1, workers=1) as shop:
        (product,) = await make_products(shop.settings, shop.urls[0], a_product(1_000))
        await asyncio.to_thread(shop.database.kill)
        await cancel_reads(shop.urls[0], product, random.Random(55))
        await asyncio.to_thread(shop.database.resume)
        back_s = await seconds_until_it_answers(shop.urls[0], product)
        ended_s = [await seconds_until_ended(process) for process in shop.processes]
        print(f"answers {back_s:.2f} s after the database's return; ended after {ended_s} s")
        assert back_s < BACK_S + SLACK_S
        assert max(ended_s) < STOP_GRACE_S


async def test_with_a_database_that_hangs_every_request_is_answered_in_time_and_processes_end(tmp_path: Path) -> None:
    async with cluster(tmp_path, apis=1, workers=1) as shop:
        (product,) = await make_products(shop.settings, shop.urls[0], a_product(1_000))
        crowd = FaultCrowd(shop.urls, [product], size=1, secret_keys=SECRET_KEYS, seed=1)
        reservation = await reserve(shop, crowd, product)
        with hanging(shop.database) as thaw:
            answers = await ask_everything(shop, crowd, product, reservation)
            thaw()
            assert await seconds_until_it_answers(shop.urls[0], product) < BACK_S + SLACK_S
        print(answers)
        for request, (status, took_s) in answers.items():
            assert status == 503 or request.endswith("/stock"), request  # stock is cached for a quarter of a second
            assert took_s < CALL_S + SLACK_S, request
        with hanging(shop.database):
            ended_s = [await seconds_until_ended(process) for process in shop.processes]
        print(f"ended after {ended_s} s")
        assert max(ended_s) < STOP_GRACE_S


async def cancel_reads(url: str, product: str, chance: random.Random) -> None:
    """Cancel reads: `/readyz` gives up after 2 s, about when the driver does; other clients leave without an answer."""
    paths = ["/readyz"] * (READS - READS // 5) + [f"/products/{product}"] * (READS // 5)
    chance.shuffle(paths)
    async with aiohttp.ClientSession() as http:

        async def read(path: str) -> None:
            await asyncio.sleep(chance.uniform(0, SPREAD_S))
            if path == "/readyz":
                async with http.get(url + path) as answer:
                    assert answer.status == 503
                return
            try:
                async with http.get(url + path, timeout=aiohttp.ClientTimeout(total=chance.uniform(0.1, 2))) as answer:
                    assert answer.status == 503
            except TimeoutError:
                pass

        for start in range(0, READS, AT_ONCE):
            await asyncio.gather(*(read(path) for path in paths[start : start + AT_ONCE]))


async def seconds_until_it_answers(url: str, product: str) -> float:
    """Seconds until a read and `/readyz` are answered with 200."""
    began = time.monotonic()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
        for path in (f"/products/{product}", "/readyz"):
            while time.monotonic() - began < 30:
                async with http.get(url + path) as answer:
                    if answer.status == 200:
                        break
                await asyncio.sleep(0.02)
    return time.monotonic() - began


async def seconds_until_ended(process: FlashReserve) -> float:
    """Seconds that the process takes to end after SIGTERM."""
    assert process.pid is not None
    began = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    while process.runs and time.monotonic() - began < 2 * STOP_GRACE_S:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.02)
    return round(time.monotonic() - began, 2)


@contextmanager
def hanging(database: MongoServer) -> Iterator[Callable[[], None]]:
    """Freeze the database's processes, until the context ends or the yielded function is called."""
    pids = database.pids()

    def send(number: signal.Signals) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):  # Some end by themselves meanwhile.
                os.kill(pid, number)

    def thaw() -> None:
        send(signal.SIGCONT)

    try:
        send(signal.SIGSTOP)
        yield thaw
    finally:
        thaw()


async def reserve(shop: FaultCluster, crowd: FaultCrowd, product: str) -> str:
    """Reserve for the crowd's only customer; the reservation's id."""
    url, headers = f"{shop.urls[0]}/reservations/{product}", crowd.headers(crowd.users[0])
    async with aiohttp.ClientSession() as http, http.post(url, headers=headers) as answer:
        assert answer.status == 201
        return str((await answer.json())["id"])


async def ask_everything(
    shop: FaultCluster, crowd: FaultCrowd, product: str, reservation: str
) -> dict[str, tuple[int, float]]:
    """Send each kind of request that needs the database, all at once; their statuses, and seconds."""
    credentials = {"email": "ann@example.com", "password": "correct horse battery"}
    requests: list[tuple[str, str, dict[str, str] | None]] = [
        ("GET", "/readyz", None),
        ("GET", "/products", None),
        ("GET", f"/products/{product}", None),
        ("GET", f"/products/{product}/stock", None),
        ("GET", "/reservations", None),
        ("GET", f"/reservations/{reservation}", None),
        ("GET", "/auth/me", None),
        ("POST", "/auth/login", credentials),
        ("POST", "/auth/register", credentials),
        ("POST", f"/reservations/{product}", None),
        ("POST", f"/checkout/{reservation}", None),
        ("DELETE", f"/reservations/{reservation}", None),
    ]
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout, headers=crowd.headers(crowd.users[0])) as http:

        async def ask(method: str, path: str, body: dict[str, str] | None) -> tuple[int, float]:
            began = time.monotonic()
            async with http.request(method, shop.urls[0] + path, json=body) as answer:
                await answer.read()
                return answer.status, round(time.monotonic() - began, 2)

        answers = await asyncio.gather(*(ask(*request) for request in requests))
    return {f"{method} {path}": answer for (method, path, _), answer in zip(requests, answers, strict=True)}
