"""Every event is delivered in order although each process is killed again and again, and the receiver refuses a third.

`FAULT_SECONDS` is how long processes are killed in each test (by default 10; `make faults` makes it three minutes).
"""

import asyncio
import os
import random
import re
from pathlib import Path
from typing import Final

import pytest
from tests.faults.linked_shop import LinkedShop, clustered_shop, embedded_shop
from tests.faults.processes import SECRET_KEYS, FlashReserve, audit, command
from tests.faults.products import make_key, make_products
from tests.faults.recorded_customers import RecordedCustomers
from tests.faults.test_promises import PRODUCTS, heal
from tests.proof import deliveries
from tests.proof.facts import HistoryFacts
from tests.proof.records import Ended, Received, Subscription, Terms, ToldEvent
from tests.simulation.histories import told
from tests.webhooks.receiver import ReceiverPlan
from tests.webhooks.receiver_process import ReceiverProcess

from flashreserve.bootstrap import open_store_to_read
from flashreserve.settings import read_settings
from flashreserve.stores.filters import ALL_EVENTS
from flashreserve.stores.port import Store

SECONDS: Final = float(os.environ.get("FAULT_SECONDS", "10"))
SEED: Final = int(os.environ.get("FAULT_SEED", "1"))
KILL_EVERY_S: Final = 2.0
DELIVERED_S: Final = 240.0
"""The longest wait for the last delivery: the lease of a killed process lasts a minute."""

SHORT_WAITS: Final = """
try:
    import flashreserve.webhooks.backoff
except ModuleNotFoundError:
    pass  # Another program's Python, of a server.
else:
    flashreserve.webhooks.backoff.WAITS_MS = (0, 100, 200, 300, 500, 500, 1_000, 1_000, 2_000, 2_000)
"""
"""A start file of Python's: the real waits between tries add up to days."""

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
        added = command(shop.settings, "webhooks", "add", receiver.url)
        assert added.returncode == 0, added.stderr
        secret = re.search(r"whsec_\S+", added.stdout)
        assert secret is not None
        await asyncio.to_thread(receiver.take, ReceiverPlan(secrets=(secret[0],), fail_share=0.3, seed=SEED))
        customers = RecordedCustomers(shop.urls, ids, size=24, secret_keys=SECRET_KEYS, chance=chance, backend=backend)
        over = asyncio.Event()
        shopping = asyncio.create_task(customers.shop(over))
        kills = await kill_in_turn(shop.processes)
        over.set()
        await shopping
        await heal(shop)
        await shop.at_rest()
        log = await delivered(shop)
        received = [
            Received(
                receiver.url,
                each.id,
                each.subject or "",
                each.sequence or 0,
                each.previous,
                each.sha256,
                each.status,
                signed=each.verified == 0,
            )
            for each in receiver.receipts()
        ]
    # The products were made before the endpoint was there.
    of_sale = tuple(event for event in log if event.subject not in ids and event.type.startswith("reservation."))
    subjects = {event.subject for event in of_sale}
    told_of = tuple(each for each in received if each.subject in subjects)
    books = await asyncio.to_thread(audit, shop.settings)
    ended = Ended(0, (), (), books["clean"], of_sale, (), (Subscription(receiver.url, ()),), told_of)
    violations = list(deliveries.check(HistoryFacts([ended], Terms((), 0, 0))))
    refused = sum(each.status != 204 for each in told_of)
    print(f"{kills} kills; {len(of_sale)} events; {len(told_of)} deliveries, {refused} of them refused")
    assert violations == [], f"seed {SEED}: {violations[:5]}"
    assert len(of_sale) > SECONDS


async def kill_in_turn(processes: list[FlashReserve]) -> int:
    """Kill one process every two seconds, and start it again at once. Returns how often."""
    kills = 0
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    while loop.time() < end:
        victim = processes[kills % len(processes)]
        victim.kill()
        await FlashReserve.start(victim)
        kills += 1
        await asyncio.sleep(KILL_EVERY_S)
    return kills


async def delivered(shop: LinkedShop) -> tuple[ToldEvent, ...]:
    """The log, once all of it is delivered."""
    own = {name: value for name, value in shop.settings.items() if name.startswith("FLASHRESERVE_")}
    store = await open_store_to_read(read_settings(own))
    try:
        async with asyncio.timeout(DELIVERED_S):
            while not await _is_delivered(store):  # noqa: ASYNC110 - happens in other processes
                await asyncio.sleep(0.5)
        found, log = await store.events(ALL_EVENTS, 0, 500), list[ToldEvent]()
        while found.events:
            log += map(told, found.events)
            found = await store.events(ALL_EVENTS, found.looked_to, 500)
        return tuple(log)
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
