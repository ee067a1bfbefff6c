"""The section `batches`: the gain of large flushes, on both stores, through the combiner and without HTTP.

At the end, as many callers as may wait in one process reserve the same product of the clustered engine. Meanwhile the
size of its document is measured, since the document lists the intents of open flushes.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final, NamedTuple

import bson
import uvloop
from bench.backends import MissingError, Servers
from bench.figures import CaseFigures, Section
from bench.load import Result, timed
from bench.sections import BenchPlan, begin

from bench import shops
from flashreserve.bootstrap import open_store
from flashreserve.clock import SystemClock, SystemIds
from flashreserve.combiner import QUEUE_MAX, Combiner
from flashreserve.core import limits
from flashreserve.core.commands import Reserve
from flashreserve.core.model import Product, Units
from flashreserve.core.outcomes import Reserved
from flashreserve.settings import read_settings
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.port import Store

BATCHES: Final = (1, 8, 64, 512)
CALLERS: Final = 512
WAITING: Final = QUEUE_MAX
_LOOK_EVERY_S: Final = 0.02


class ClosedLoop(NamedTuple):
    """Callers that reserve again as soon as they are answered, for `seconds`; at most `flush_max` in one flush."""

    callers: int
    seconds: float
    flush_max: int = limits.FLUSH_MAX
    keys: bool = False


def measure_batches(plan: BenchPlan, servers: Servers) -> Section:
    """Reservations per second by the size of a flush, and the largest size of the hot product's document."""
    section = begin(plan)
    directory = plan.directory / "batches"
    directory.mkdir()
    environments = {"SQLite": shops.environment(directory)}
    try:
        environments["MongoDB"] = shops.clustered_environment(directory, servers)
    except MissingError as error:
        section.missing = {f"MongoDB, {size}": str(error) for size in BATCHES}
    uvloop.run(_measure(plan, environments, section))  # as the service does
    section.conditions |= servers.versions
    return section


async def _measure(plan: BenchPlan, environments: dict[str, dict[str, str]], section: Section) -> None:
    async with open_stores(environments) as stores:
        granted = dict.fromkeys(stores, 0)
        section.cases = {
            f"{name}, {size}": CaseFigures(name, CALLERS, rounds=[]) for size in BATCHES for name in stores
        }
        for _ in range(plan.rounds):
            for size in BATCHES:
                for name, store in stores.items():
                    hot = await new_products(store, 1)
                    result = await closed_loop(store, hot, ClosedLoop(CALLERS, plan.seconds, size))
                    section.cases[f"{name}, {size}"].rounds.append(result)
                    granted[name] += result.answers - result.refused
        if "MongoDB" in stores:
            url = environments["MongoDB"]["FLASHRESERVE_STORE"]
            granted["MongoDB"] += await _measure_document(stores["MongoDB"], url, plan.seconds, section)
        for name, store in stores.items():
            await audit_into(section, name, store, granted[name])


@asynccontextmanager
async def open_stores(environments: Mapping[str, Mapping[str, str]]) -> AsyncIterator[dict[str, Store]]:
    """A new store for each environment, by the environment's name."""
    async with AsyncExitStack() as stack:
        stores: dict[str, Store] = {}
        for name, env in environments.items():
            stores[name] = await open_store(read_settings(env), create=True)
            stack.push_async_callback(stores[name].close)
        yield stores


async def new_products(store: Store, count: int, hold_s: int = shops.HOLD_S) -> list[str]:
    """The ids of new products with more stock than a run can reserve."""
    ids, now = SystemIds(), SystemClock().now_ms()
    products = [
        Product(ids.new(), f"product {n}", 100, "USD", shops.STOCK, shops.STOCK, None, None, None, hold_s, 0, now, now)
        for n in range(count)
    ]
    await store.add_products(products)
    return [product.id for product in products]


async def closed_loop(store: Store, product_ids: Sequence[str], loop: ClosedLoop) -> Result:
    """Let each caller reserve one unit at a time, of the products in turn."""
    ids, clock = SystemIds(), SystemClock()
    combiner = Combiner(store, clock, lambda _products, _at: None, flush_max=loop.flush_max)
    turn = itertools.cycle(product_ids)
    took_s: list[float] = []
    refused = 0
    begun = time.perf_counter()
    until = begun + loop.seconds

    async def call() -> None:
        nonlocal refused
        user = ids.new()
        while (sent := time.perf_counter()) < until:
            key = ids.new() if loop.keys else None
            outcome = await combiner.submit(Reserve(ids.new(), user, (Units(next(turn), 1),), key))
            took_s.append(time.perf_counter() - sent)
            refused += type(outcome) is not Reserved

    await asyncio.gather(*[call() for _ in range(loop.callers)])
    seconds = time.perf_counter() - begun
    await combiner.close()
    return timed(took_s, seconds, len(took_s), refused)


async def _measure_document(store: Store, url: str, seconds: float, section: Section) -> int:
    """Record the sizes of the hot product's document under the longest queue; the number of reservations made."""
    (hot,) = await new_products(store, 1)
    database = PymongoDatabase(url)
    sizes: list[int] = []

    async def look() -> None:
        while True:
            sizes.append(await _size(database, hot))
            await asyncio.sleep(_LOOK_EVERY_S)

    at_rest = await _size(database, hot)
    looking = asyncio.create_task(look())
    result = await closed_loop(store, [hot], ClosedLoop(WAITING, seconds))
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking
    await database.close()
    section.kib["MongoDB, the hot product's document at rest"] = at_rest / 1024
    section.kib[f"MongoDB, the same at most, {WAITING:,} waiting"] = max(sizes) / 1024
    return result.answers - result.refused


async def _size(database: PymongoDatabase, product_id: str) -> int:
    (document,) = await database.find("products", {"_id": product_id})
    return len(bson.encode(document))


async def audit_into(section: Section, name: str, store: Store, granted: int) -> None:
    """Record the audit of the store. If its books don't balance, or lack granted reservations, its figures are void."""
    audit = await store.audit()
    differ = len(audit.differences)
    section.audits[name] = f"{audit.reservations:,} reservations, {differ} differ; {granted:,} granted"
    if differ or not audit.complete or audit.reservations < granted:
        section.kib.clear()
        for measured in section.cases.values():
            if measured.shop == name:
                measured.void = f"the audit is not clean: {section.audits[name]}"
