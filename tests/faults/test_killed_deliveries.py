"""Every event is delivered in order although processes are killed again and again, and the receiver refuses a third.

`FAULT_SECONDS` is how long processes are killed in each test of all processes (by default 10; `make faults` makes it
three minutes). In the tests of those that relay and deliver, it says how many transitions and kills there are: 10,000
and 100 in three minutes.
"""

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest
from tests.faults.cancelled_holds import cancel_holds
from tests.faults.deliveries import compare, subscribe, whole_log
from tests.faults.linked_shop import LinkedShop, clustered_shop, embedded_shop
from tests.faults.processes import SECRET_KEYS, FlashReserve, audit
from tests.faults.products import make_key, make_products
from tests.faults.recorded_customers import RecordedCustomers
from tests.faults.test_promises import PRODUCTS, heal
from tests.proof.records import ToldEvent
from tests.webhooks.receiver import ReceiverPlan
from tests.webhooks.receiver_process import ReceiverProcess

from flashreserve.bootstrap import open_store_to_read
from flashreserve.settings import read_settings
from flashreserve.stores.port import Store

SECONDS: Final = float(os.environ.get("FAULT_SECONDS", "10"))
SEED: Final = int(os.environ.get("FAULT_SEED", "1"))
KILL_EVERY_S: Final = 2.0
TRANSITIONS: Final = round(SECONDS / 180 * 10_000)
KILLS: Final = round(SECONDS / 180 * 100)
WORK_S: Final = 2.5
"""How long a process runs before another one is killed: it works for most of that time."""

DELIVERED_S: Final = 240.0
"""The longest wait for the last delivery: the leases of killed processes have to end."""

SHORT_WAITS: Final = """
try:
    import flashreserve.service.deliveries
    import flashreserve.webhooks.backoff
except ModuleNotFoundError:
    pass  # Another program's Python, of a server.
else:
    flashreserve.service.deliveries.LEASE_MS = 25_000
    flashreserve.webhooks.backoff.WAITS_MS = (0, 100, 200, 300, 500, 500, 1_000, 1_000, 2_000, 2_000)
"""
"""A start file of Python's: the real waits between tries add up to days, and a killed process's lease is a minute."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + 2 * int(SECONDS))]


@pytest.fixture(autouse=True)
def short_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "start"
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(SHORT_WAITS)
    monkeypatch.setenv("PYTHONPATH", str(directory))


@pytest.mark.mongodb
async def test_no_event_is_lost_on_the_clustered_engine(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    async with clustered_shop(tmp_path, chance, apis=2, workers=2) as shop:
        await every_event_is_delivered(shop, tmp_path, chance)


async def test_no_event_is_lost_on_the_embedded_engine(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    async with embedded_shop(tmp_path, chance, apis=2) as shop:
        await every_event_is_delivered(shop, tmp_path, chance)


async def every_event_is_delivered(shop: LinkedShop, directory: Path, chance: random.Random) -> None:
    """Let customers shop while processes are killed, and compare what was received with the log."""
    ids = await make_products(shop.settings, shop.apis[0].url, *PRODUCTS)
    backend = make_key(shop.settings, "customers")
    with ReceiverProcess(directory / "received.jsonl") as receiver:
        await asyncio.to_thread(subscribe_who_refuses, shop, receiver)
        customers = RecordedCustomers(shop.urls, ids, size=24, secret_keys=SECRET_KEYS, chance=chance, backend=backend)
        over = asyncio.Event()
        shopping = asyncio.create_task(customers.shop(over))
        end = asyncio.get_running_loop().time() + SECONDS
        kills = await kill_in_turn(
            shop.processes, KILL_EVERY_S, lambda _kills: asyncio.get_running_loop().time() >= end
        )
        over.set()
        await shopping
        await heal(shop)
        await shop.at_rest()
        log = await delivered(shop)
        found = compare(of_reservations(log), receiver.receipts(), receiver.url)
    await asyncio.to_thread(audit, shop.settings)
    print(f"{kills} kills; {found.events} events; {found.deliveries} deliveries, {found.refused} of them refused")
    assert found.violations == [], f"seed {SEED}: {found.violations[:5]}"
    assert found.events > SECONDS


def of_reservations(log: Sequence[ToldEvent]) -> list[ToldEvent]:
    """The events of reservations. The products were made before the endpoint was there."""
    return [event for event in log if event.type.startswith("reservation.")]


@pytest.mark.mongodb
async def test_relays_that_are_killed_lose_no_event_on_the_clustered_engine(tmp_path: Path) -> None:
    async with clustered_shop(tmp_path, random.Random(SEED), apis=1, workers=2) as shop:
        await every_transition_is_delivered(shop, shop.workers, tmp_path)


async def test_processes_that_deliver_and_are_killed_lose_no_event_on_the_embedded_engine(tmp_path: Path) -> None:
    async with embedded_shop(tmp_path, random.Random(SEED), apis=3) as shop:
        await every_transition_is_delivered(shop, shop.apis[1:], tmp_path)


async def every_transition_is_delivered(shop: LinkedShop, relays: Sequence[FlashReserve], directory: Path) -> None:
    """Make transitions while those who relay and deliver are killed, and compare what was received with the log."""
    (product,) = await make_products(shop.settings, shop.apis[0].url, PRODUCTS[0])
    with ReceiverProcess(directory / "received.jsonl") as receiver:
        await asyncio.to_thread(subscribe_who_refuses, shop, receiver)
        happening = asyncio.create_task(cancel_holds(shop.apis[0].url, product, TRANSITIONS, KILLS * WORK_S))
        kills = await kill_in_turn(relays, WORK_S, lambda kills: kills >= KILLS and happening.done())
        await happening
        log = await delivered(shop)
        found = compare(of_reservations(log), receiver.receipts(), receiver.url)
    await asyncio.to_thread(audit, shop.settings)
    print(f"{kills} kills; {found.events} events; {found.deliveries} deliveries, {found.refused} of them refused")
    assert found.violations == [], f"seed {SEED}: {found.violations[:5]}"
    assert found.events == TRANSITIONS


def subscribe_who_refuses(shop: LinkedShop, receiver: ReceiverProcess) -> None:
    """Add the receiver as an endpoint for all events. It verifies them, and refuses three of ten."""
    secret = subscribe(shop.settings, receiver)
    receiver.take(ReceiverPlan(secrets=(secret,), fail_share=0.3, seed=SEED))


async def kill_in_turn(processes: Sequence[FlashReserve], every_s: float, is_enough: Callable[[int], bool]) -> int:
    """Kill the processes in turn, start each again at once, and let it work for `every_s`; until so many are enough.

    Returns:
        How many were killed.
    """
    kills = 0
    while not is_enough(kills):
        victim = processes[kills % len(processes)]
        victim.kill()
        await FlashReserve.start(victim)
        kills += 1
        await asyncio.sleep(every_s)
    return kills


async def delivered(shop: LinkedShop) -> tuple[ToldEvent, ...]:
    """The log, once all of it is delivered."""
    own = {name: value for name, value in shop.settings.items() if name.startswith("FLASHRESERVE_")}
    store = await open_store_to_read(read_settings(own))
    try:
        async with asyncio.timeout(DELIVERED_S):
            while not await _is_delivered(store):  # noqa: ASYNC110 - happens in other processes
                await asyncio.sleep(0.5)
        return await whole_log(store)
    finally:
        await store.close()


async def _is_delivered(store: Store) -> bool:
    """Whether nothing is left to deliver, twice in a row: a relay may just have been at work."""
    last = -1
    for _ in range(2):
        (endpoint,) = await store.endpoints()
        before, last = last, await store.last_place()
        if (await store.backlog(endpoint.id)).groups or endpoint.seen < last:
            return False
        await asyncio.sleep(2.0)
    return before == last
