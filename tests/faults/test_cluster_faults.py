"""The clustered engine under load while its processes, its queue and its database are killed or frozen.

`FAULT_SECONDS` is how long faults go on (by default 16; `make faults FOR=180` is the full size).
"""

import asyncio
import os
import random
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest
from tests.faults.cluster import FaultCluster, cluster
from tests.faults.crowd import FaultCrowd
from tests.faults.processes import SECRET_KEYS, FlashReserve
from tests.faults.products import a_product, make_products

SECONDS = float(os.environ.get("FAULT_SECONDS", "16"))
HARM_EVERY_S = 2.0
SLEEP_S_MAX = 40.0
AWAY = (503, "the database is away")
AWAY_S = 20.0
RETURN_S = 2.5
"""The latest return of stock, after the last hold's time is over."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 3 * int(SECONDS))]


async def test_killed_and_sleeping_processes_lose_no_acknowledged_reservation(tmp_path: Path) -> None:
    async with cluster(tmp_path, apis=3, workers=2) as shop:
        crowd = await a_crowd(shop, a_product(1_000_000), a_product(400, holdSeconds=3), a_product(50))
        rush = asyncio.create_task(crowd.rush(SECONDS + HARM_EVERY_S))
        killed, slept = await harm(shop, random.Random(7))
        await rush
        await shop.recovered()  # Before that, the outcome of a key's first request may still be unknown.
        await crowd.retry_unanswered(shop.urls[0])
        await shop.recovered()
        assert crowd.strange == []
        await crowd.check_promises(shop.urls[1])
        said = shop.audit()
        # Every request was answered in the end, so every reservation was acknowledged.
        assert said["reservations"] == len(crowd.promised)
        print(f"{killed} killed, {slept} put to sleep; {len(crowd.promised)} reservations, none missing")


async def harm(shop: FaultCluster, chance: random.Random) -> tuple[int, int]:
    """Every two seconds, kill a random process and start it again, or freeze it for a while; the counts of both."""
    sleeping: dict[FlashReserve, asyncio.Task[None]] = {}
    killed = slept = 0
    end = asyncio.get_running_loop().time() + SECONDS
    while (left_s := end - asyncio.get_running_loop().time()) > 0:
        victim = chance.choice([process for process in shop.processes if process not in sleeping])
        if chance.random() < 0.5 or len(sleeping) >= len(shop.processes) - 2:
            victim.kill()
            killed += 1
            await FlashReserve.start(victim)
        else:
            slept += 1
            victim.freeze()
            nap_s = min(chance.uniform(1, SLEEP_S_MAX), left_s)
            sleeping[victim] = asyncio.create_task(wake(victim, nap_s, sleeping))
        await asyncio.sleep(HARM_EVERY_S)
    await asyncio.gather(*list(sleeping.values()))
    for api in shop.apis:
        await api.wait_until_ready()
    return killed, slept


async def wake(process: FlashReserve, after_s: float, sleeping: dict[FlashReserve, asyncio.Task[None]]) -> None:
    await asyncio.sleep(after_s)
    process.thaw()
    del sleeping[process]


async def test_holds_lapse_in_time_though_redis_forgets_everything_and_dies(tmp_path: Path) -> None:
    async with cluster(tmp_path, apis=2, workers=2) as shop:
        units, hold_s = 200, 6
        (product,) = await make_products(shop.settings, shop.urls[0], a_product(units, holdSeconds=hold_s))
        crowd = FaultCrowd(shop.urls, [product], size=units, secret_keys=SECRET_KEYS, seed=3)
        async with aiohttp.ClientSession() as http:
            answers = await asyncio.gather(*(hold_one(http, crowd, user) for user in crowd.users))
            shop.queue.flush()
            shop.queue.kill()
            assert await available(http, shop.urls[1], product) == 0
            lapsed = max(datetime.fromisoformat(each).timestamp() for each in answers)
            late_s = await seconds_until_back(http, shop.urls[1], product, units, lapsed)
        assert late_s < RETURN_S
        print(f"all {units} units were back {late_s:.2f} s after the last hold's time")
        shop.audit()


async def hold_one(http: aiohttp.ClientSession, crowd: FaultCrowd, user: str) -> str:
    """Take a hold; when it ends."""
    url, product = crowd.urls[len(user) % 2], crowd.products[0]
    async with http.post(f"{url}/reservations/{product}", headers=crowd.headers(user)) as answer:
        body = await answer.json()
        assert answer.status == 201, body
        return str(body["expiresAt"])


async def available(http: aiohttp.ClientSession, url: str, product: str) -> int:
    async with http.get(f"{url}/products/{product}/stock") as answer:
        return int((await answer.json())["available"])


async def seconds_until_back(http: aiohttp.ClientSession, url: str, product: str, units: int, lapsed: float) -> float:
    """Seconds from the instant `lapsed` until all units were on sale again."""
    async with asyncio.timeout(60):
        while await available(http, url, product) < units:  # noqa: ASYNC110 - there is no event; this is measured
            await asyncio.sleep(0.02)
    return datetime.now().astimezone().timestamp() - lapsed


async def test_a_killed_database_costs_503s_and_nothing_else(tmp_path: Path) -> None:
    async with cluster(tmp_path, apis=2, workers=1) as shop:
        crowd = await a_crowd(shop, a_product(1_000_000), a_product(300))
        rush = asyncio.create_task(crowd.rush(12))
        await asyncio.sleep(3)
        before = len(crowd.promised)
        assert before > 0, "the load has not begun"
        await asyncio.to_thread(shop.database.kill)
        await until_away(shop.urls[0])
        # Once noticed, the outage is reported until its end.
        assert [await readiness(shop.urls[0]) for _ in range(3)] == [AWAY] * 3
        away = len(crowd.promised)
        await asyncio.to_thread(shop.database.resume)
        await rush
        for api in shop.apis:
            await api.wait_until_ready()
        await crowd.rush(2)
        assert len(crowd.promised) > away, "the shop didn't recover by itself"
        await shop.recovered()  # Before that, the outcome of a key's first request may still be unknown.
        await crowd.retry_unanswered(shop.urls[0])
        await shop.recovered()
        assert crowd.strange == []
        assert crowd.refused_503 > 0
        await crowd.check_promises(shop.urls[1])
        assert shop.audit()["reservations"] == len(crowd.promised)


async def until_away(url: str) -> None:
    """Wait until the outage is noticed: the first requests after the kill may wait on an open connection."""
    async with asyncio.timeout(AWAY_S):
        while await readiness(url) != AWAY:  # noqa: ASYNC110 - happens in another process
            await asyncio.sleep(0.05)


async def readiness(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(url + "/readyz") as answer:
        return answer.status, str((await answer.json())["detail"])


async def a_crowd(shop: FaultCluster, *products: dict[str, object]) -> FaultCrowd:
    made = await make_products(shop.settings, shop.urls[0], *products)
    return FaultCrowd(shop.urls, made, size=32, secret_keys=SECRET_KEYS, seed=1)
