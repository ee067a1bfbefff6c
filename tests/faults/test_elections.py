"""The clustered engine under load while its database is lost and comes back repeatedly, as in elections.

The test's database server is one node, so elections are imitated: it is killed and started again, or hangs for a while.
Writes meanwhile get no reply, and acknowledged ones must be there afterwards. `FAULT_SECONDS` is for how long (by
default 16; `make faults FOR=600` takes ten minutes).
"""

import asyncio
import os
import random
from pathlib import Path

import pytest
from tests.faults.cluster import FaultCluster, cluster
from tests.faults.products import a_product
from tests.faults.test_cluster_faults import a_crowd
from tests.faults.test_database_outage import hanging, seconds_until_ended

from flashreserve.bootstrap.watchdog import EXIT_STUCK, STOP_GRACE_S

SECONDS = float(os.environ.get("FAULT_SECONDS", "16"))
AWAY_S_MAX = 4.0
HANGS_S_MAX = 8.0
PAUSE_S_MAX = 10.0
KILLED_OF_TEN = 3
"""In this many of ten turns, a process is also killed and started again."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400 + 4 * int(SECONDS))]


async def test_elections_lose_no_acknowledged_reservation_and_hang_no_process(tmp_path: Path) -> None:
    async with cluster(tmp_path, apis=3, workers=2) as shop:
        crowd = await a_crowd(shop, a_product(1_000_000), a_product(400, holdSeconds=3), a_product(50))
        rush = asyncio.create_task(crowd.rush(SECONDS))
        turns = await elect(shop, random.Random(11))
        await rush
        assert all(process.runs for process in shop.processes), [each.exit_code for each in shop.processes]
        for api in shop.apis:
            await api.wait_until_ready()
        await shop.recovered()
        await crowd.retry_unanswered(shop.urls[0])
        await shop.recovered()
        assert crowd.strange == []
        await crowd.check_promises(shop.urls[1])
        said = await asyncio.to_thread(shop.audit)
        assert said["reservations"] == len(crowd.promised), "a reservation was never acknowledged"
        ended_s = [await seconds_until_ended(process) for process in shop.processes]
        print(f"{turns}; {len(crowd.promised)} reservations, {crowd.refused_503} refused for a while; ended {ended_s}")
        assert max(ended_s) < STOP_GRACE_S


async def elect(shop: FaultCluster, chance: random.Random) -> dict[str, int]:
    """Lose the database and bring it back, repeatedly; the counts of all faults."""
    turns = {"process started again": 0, "database killed": 0, "database hung": 0, "process killed": 0}
    end = asyncio.get_running_loop().time() + SECONDS
    while asyncio.get_running_loop().time() < end:
        if chance.randrange(10) < KILLED_OF_TEN:
            chance.choice(shop.processes).kill()
            turns["process killed"] += 1
        if chance.random() < 0.5:
            turns["database killed"] += 1
            await asyncio.to_thread(shop.database.kill)
            await asyncio.sleep(chance.uniform(0, AWAY_S_MAX))
            await asyncio.to_thread(shop.database.resume)
        else:
            turns["database hung"] += 1
            with hanging(shop.database):
                await asyncio.sleep(chance.uniform(0, HANGS_S_MAX))
        await start_again(shop, turns)
        await asyncio.sleep(chance.uniform(1, PAUSE_S_MAX))
    await start_again(shop, turns)
    return turns


async def start_again(shop: FaultCluster, turns: dict[str, int]) -> None:
    """Start the processes that have ended, as a supervisor does: a start without a database fails."""
    for process in shop.processes:
        if not process.runs:
            assert process.exit_code != EXIT_STUCK, "a watchdog had to end it"
            turns["process started again"] += 1
            await process.start()
