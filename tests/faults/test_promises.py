"""Real processes under faults of network, disks, clocks and servers, judged by the simulation's auditor.

`FAULT_SECONDS` is how long faults go on in each test (by default 10; `make faults FOR=100` makes more than a thousand
faults in all).
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.disk import require_strace
from tests.faults.fault_source import CLOCKS, DISKS, NETWORK, SERVERS, FaultSource
from tests.faults.linked_shop import LinkedShop, clustered_shop, embedded_shop
from tests.faults.machine_clock import require_libfaketime
from tests.faults.processes import SECRET_KEYS, audit
from tests.faults.products import make_key, make_products
from tests.faults.recorded_customers import RecordedCustomers, completed
from tests.proof import auditor
from tests.proof.records import Answered, Asked, Ended, FinalProduct, Goods, Healed, Terms, Trouble
from tests.simulation.histories import held

SECONDS = float(os.environ.get("FAULT_SECONDS", "10"))
SEED = int(os.environ.get("FAULT_SEED", "1"))
FAULT_EVERY_S = 0.3
OFFSET_MS_MAX = 150.0
"""The most by which a process may misjudge the database's clock through a bad link."""

HEALED_S = 90.0
CALM_S = 1.5
ANSWERED_MS = 5_250.0

WITHIN_S = 0.85
"""The most by which a clock may be wrong while its process is still ready."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 2 * int(SECONDS))]

PRODUCTS: list[dict[str, Any]] = [
    {"name": "plenty", "price": "1.00", "stockQuantity": 100_000, "holdSeconds": 600, "maxExtensions": 2},
    {"name": "short", "price": "1.00", "stockQuantity": 200, "holdSeconds": 3, "maxExtensions": 1},
    {"name": "few", "price": "1.00", "stockQuantity": 30, "holdSeconds": 5},
    {"name": "limited", "price": "1.00", "stockQuantity": 10_000, "holdSeconds": 4, "perCustomerLimit": 3},
]


@pytest.fixture(autouse=True)
def no_process_breaks(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Check that no process ends by an unhandled error during the faults."""
    yield
    assert "a fault of FlashReserve" not in capfd.readouterr().err


@pytest.mark.mongodb
async def test_no_promise_is_broken_however_bad_the_weather(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    async with clustered_shop(tmp_path, chance, apis=3, workers=2) as shop:
        await no_promise_is_broken(shop, FaultSource(shop, NETWORK | SERVERS, chance), chance)


@pytest.mark.mongodb
async def test_no_promise_is_broken_on_bad_disks_by_clocks_that_differ_a_little(tmp_path: Path) -> None:
    require_strace()
    chance = random.Random(SEED + 1)
    async with clustered_shop(tmp_path, chance, apis=3, workers=2, faketime=require_libfaketime(tmp_path)) as shop:
        for clock in shop.clocks:
            clock.set(chance.uniform(-WITHIN_S, WITHIN_S))
        for process in shop.processes:  # Each compares its clock with the database's when it starts.
            process.kill()
            await process.start()
        await no_promise_is_broken(shop, FaultSource(shop, NETWORK | SERVERS | DISKS, chance), chance)


@pytest.mark.mongodb
async def test_no_promise_is_broken_whatever_time_the_machines_think_it_is(tmp_path: Path) -> None:
    chance = random.Random(SEED + 2)
    async with clustered_shop(tmp_path, chance, apis=3, workers=2, faketime=require_libfaketime(tmp_path)) as shop:
        await no_promise_is_broken(shop, FaultSource(shop, NETWORK | SERVERS | CLOCKS, chance), chance)


async def test_the_embedded_engine_breaks_no_promise_either(tmp_path: Path) -> None:
    require_strace()
    chance = random.Random(SEED + 3)
    async with embedded_shop(tmp_path, chance, apis=2) as shop:
        await no_promise_is_broken(shop, FaultSource(shop, NETWORK | DISKS, chance), chance)


async def no_promise_is_broken(shop: LinkedShop, faults: FaultSource, chance: random.Random) -> None:
    """Let customers shop during faults, then heal the shop, and audit the history."""
    ids = await make_products(shop.settings, shop.apis[0].url, *PRODUCTS)
    backend = make_key(shop.settings, "customers")
    customers = RecordedCustomers(shop.urls, ids, size=24, secret_keys=SECRET_KEYS, chance=chance, backend=backend)
    over = asyncio.Event()
    shopping = asyncio.create_task(customers.shop(over))
    counts = await bad_times(faults, customers, chance)
    over.set()
    await shopping
    await heal(shop)
    customers.history.append(Healed(customers.now()))
    await shop.at_rest()
    await all_are_answered_in_time(customers)
    await shop.at_rest()
    ended = await what_is_left(shop, customers.now())
    goods = tuple(_goods(id_, product) for id_, product in zip(ids, PRODUCTS, strict=True))
    terms = Terms(goods, customers.epoch_ms, OFFSET_MS_MAX, answer_ms=60_000.0)
    history = completed([*customers.history, ended], ended.reservations)
    violations = auditor.audit(history, terms)
    print(f"{counts.total()} faults: {dict(counts)}; {len(history)} records, {len(ended.reservations)} reservations")
    assert violations == [], f"seed {SEED}: {violations}"


async def bad_times(faults: FaultSource, customers: RecordedCustomers, chance: random.Random) -> Counter[str]:
    """Make a fault every third of a second; the counts of all faults."""
    counts: Counter[str] = Counter()
    end = customers.now() + SECONDS * 1_000
    async with asyncio.TaskGroup() as under_way:
        while customers.now() < end:
            kind, for_s, work = faults.draw()
            counts[kind] += 1
            customers.history.append(Trouble(customers.now(), customers.now() + for_s * 1_000, kind, ""))
            under_way.create_task(work())
            await asyncio.sleep(chance.uniform(0, 2 * FAULT_EVERY_S))
    return counts


async def heal(shop: LinkedShop) -> None:
    for link in shop.links.values():
        link.change("calm")
    for process in shop.processes:
        process.thaw()
    async with asyncio.timeout(HEALED_S):
        while not await shop.revived():  # noqa: ASYNC110 - happens in other processes
            await asyncio.sleep(0.2)


async def all_are_answered_in_time(customers: RecordedCustomers) -> None:
    """Check that after the faults every request is answered definitely, and in time."""
    before, customers.vanish = len(customers.history), 0.0
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(CALM_S, over.set)
    await customers.shop(over)
    asked = {record.number: record.at for record in customers.history[before:] if isinstance(record, Asked)}
    answers = [record for record in customers.history[before:] if isinstance(record, Answered)]
    assert len(answers) == len(asked)
    assert not [answer for answer in answers if answer.answer in {"unavailable", "outcome-unknown"}]
    assert max(answer.at - asked[answer.number] for answer in answers) < ANSWERED_MS


async def what_is_left(shop: LinkedShop, now: float) -> Ended:
    books = await asyncio.to_thread(audit, shop.settings)
    products, reservations = await shop.kept()
    left = tuple(FinalProduct(each.id, each.stocked, each.available, 0) for each in products)
    return Ended(now, left, tuple(map(held, reservations)), books_balance=books["clean"])


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
