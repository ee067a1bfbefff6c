"""Real processes in a hostile network, judged by the auditor that judges the simulation.

`FAULT_SECONDS` says how long the weather is bad (16 by default; `make faults FOR=600` makes more than a thousand
faults). Not here: slow and full disks, and clocks that are set wrong while a process runs.
"""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.faults.processes import SECRET_KEYS, FlashReserve, audit
from tests.faults.products import make_products
from tests.hostile.customers import Customers, completed
from tests.hostile.link import BAD
from tests.hostile.shop import HostileShop, hostile_shop
from tests.proof import auditor
from tests.proof.records import Ended, Goods, Healed, Held, Left, Terms, Trouble

from flashreserve.bootstrap import open_store_to_read
from flashreserve.core.model import Reservation
from flashreserve.settings import read_settings

SECONDS = float(os.environ.get("FAULT_SECONDS", "16"))
SEED = int(os.environ.get("FAULT_SEED", "1"))
FAULT_EVERY_S = 0.3
OFFSET_MS_MAX = 150.0
"""By how much a process may misjudge the database's clock over a bad link."""

pytestmark = [pytest.mark.slow, pytest.mark.mongodb, pytest.mark.timeout(300 + 2 * int(SECONDS))]

PRODUCTS: list[dict[str, Any]] = [
    {"name": "plenty", "price": "1.00", "stockQuantity": 100_000, "holdSeconds": 600, "maxExtensions": 2},
    {"name": "short", "price": "1.00", "stockQuantity": 200, "holdSeconds": 3, "maxExtensions": 1},
    {"name": "few", "price": "1.00", "stockQuantity": 30, "holdSeconds": 5},
    {"name": "limited", "price": "1.00", "stockQuantity": 10_000, "holdSeconds": 4, "perCustomerLimit": 3},
]


async def test_no_promise_is_broken_however_bad_the_weather(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    async with hostile_shop(tmp_path, chance, apis=3, workers=2) as shop:
        ids = await make_products(shop.settings, shop.apis[0].url, *PRODUCTS)
        customers = Customers(shop.urls, ids, size=24, secret_keys=SECRET_KEYS, chance=chance)
        over = asyncio.Event()
        shopping = asyncio.create_task(customers.shop(over))
        faults = await bad_weather(shop, customers, chance)
        over.set()
        await shopping
        await heal(shop)
        customers.history.append(Healed(customers.now()))
        await shop.at_rest()
        ended = await what_is_left(shop, customers.now())
    goods = tuple(_goods(id_, product) for id_, product in zip(ids, PRODUCTS, strict=True))
    terms = Terms(goods, customers.epoch_ms, OFFSET_MS_MAX, answer_ms=60_000.0)
    history = completed([*customers.history, ended], ended.reservations)
    violations = auditor.audit(history, terms)
    print(
        f"{sum(faults.values())} faults: {dict(faults)}; {len(history)} records, {len(ended.reservations)} reservations"
    )
    assert violations == [], f"seed {SEED}"


async def bad_weather(shop: HostileShop, customers: Customers, chance: random.Random) -> Counter[str]:
    """Something bad every third of a second; how often what."""
    faults: Counter[str] = Counter()
    ends: set[asyncio.Task[None]] = set()
    end = customers.now() + SECONDS * 1_000
    while customers.now() < end:
        kind, for_s, task = _one_fault(shop, chance)
        faults[kind] += 1
        customers.history.append(Trouble(customers.now(), customers.now() + for_s * 1_000, kind, ""))
        ends.add(task)
        task.add_done_callback(ends.discard)
        await asyncio.sleep(chance.uniform(0, 2 * FAULT_EVERY_S))
    await asyncio.gather(*ends)
    return faults


def _one_fault(shop: HostileShop, chance: random.Random) -> tuple[str, float, "asyncio.Task[None]"]:
    drawn = chance.random()
    if drawn < 0.8:
        label, weather, for_s = chance.choice(list(shop.links)), chance.choice(BAD), chance.uniform(0.2, 3)

        async def blow() -> None:
            shop.links[label].change(weather)
            await asyncio.sleep(for_s)
            shop.links[label].change("calm")

        return weather, for_s, asyncio.create_task(blow())
    victim = chance.choice(shop.processes)
    if drawn < 0.88:
        return "kill", 2.0, asyncio.create_task(_kill(victim))
    if drawn < 0.96:
        for_s = chance.uniform(0.5, 6)
        return "freeze", for_s, asyncio.create_task(_freeze(victim, for_s))
    if drawn < 0.99:
        return "queue killed", 2.0, asyncio.create_task(_kill_queue(shop))
    return "database killed", 5.0, asyncio.create_task(_kill_database(shop))


async def _kill(victim: FlashReserve) -> None:
    victim.kill()
    await FlashReserve.start(victim)


async def _freeze(victim: FlashReserve, for_s: float) -> None:
    if victim.runs:
        victim.freeze()
        await asyncio.sleep(for_s)
        victim.thaw()


async def _kill_queue(shop: HostileShop) -> None:
    shop.queue.kill()
    await asyncio.sleep(1)
    await asyncio.to_thread(shop.queue.start)


async def _kill_database(shop: HostileShop) -> None:
    await asyncio.to_thread(shop.database.kill)
    await asyncio.sleep(1)
    await asyncio.to_thread(shop.database.resume)


async def heal(shop: HostileShop) -> None:
    for link in shop.links.values():
        link.change("calm")
    for process in shop.processes:
        process.thaw()
        if not process.runs:  # It found no database when it was started.
            await FlashReserve.start(process)
    for api in shop.apis:
        await api.wait_until_ready()


async def what_is_left(shop: HostileShop, now: float) -> Ended:
    books = await asyncio.to_thread(audit, shop.settings)
    names = ("FLASHRESERVE_STORE", "FLASHRESERVE_REDIS_URL", "FLASHRESERVE_SECRET_KEYS")
    store = await open_store_to_read(read_settings({name: shop.settings[name] for name in names}))
    try:
        products = await store.list_products(None, 100)
        reservations: list[Held] = []
        after: str | None = None
        while page := await store.all_reservations(after, 1_000):
            reservations += map(_held, page)
            after = page[-1].id
    finally:
        await store.close()
    left = tuple(Left(each.id, each.stocked, each.available, 0) for each in products)
    return Ended(now, left, tuple(reservations), books_balance=books["clean"])


def _held(reservation: Reservation) -> Held:
    return Held(
        id=reservation.id,
        user=reservation.user_id,
        status=reservation.status.value,
        lines=tuple((line.product_id, line.quantity) for line in reservation.lines),
        created_at=reservation.created_at,
        expires_at=reservation.expires_at,
        hold_ms=reservation.hold_s * 1_000,
        extensions=reservation.extensions,
        confirmed_at=reservation.confirmed_at,
        released_at=reservation.released_at,
        key=reservation.key,
    )


def _goods(id_: str, product: dict[str, Any]) -> Goods:
    return Goods(
        id=id_,
        units=product["stockQuantity"],
        limit=product.get("perCustomerLimit"),
        hold_ms=product["holdSeconds"] * 1_000,
        extensions_max=product.get("maxExtensions", 0),
        sale_starts_at=None,
        sale_ends_at=None,
    )
