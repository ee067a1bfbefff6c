"""Measure the MongoDB store through the combiner, without HTTP: reservations per second, or releases of lapsed holds.

It starts a test server of its own (see tests/servers/mongodb.py), or uses the one at TESTS_MONGODB_URL, and works on a
new database. The figures count only if the audit at the end is clean.
"""

import argparse
import itertools
import statistics
import time
import uuid
from typing import NamedTuple

import uvloop
from bench.batches import ClosedLoop, closed_loop, new_products
from bench.shops import STOCK, log_to_stderr
from pymongo import AsyncMongoClient
from tests.servers.mongodb import require_mongodb

from flashreserve.clock import SystemClock, SystemIds
from flashreserve.core import limits
from flashreserve.core.commands import Reserve
from flashreserve.core.model import Units
from flashreserve.jobs.sweep import sweep_once
from flashreserve.stores.mongo import MongoStore, open_mongo

_SWEEP_HOLD_S = 1


class StoreLoad(NamedTuple):
    """The work: `callers` that each reserve one of `products` products at a time, or `holds` to release."""

    callers: int
    products: int
    seconds: float
    keys: bool
    holds: int


def main() -> None:
    """Measure, audit and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.mongo_store", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--callers", type=int, default=256, help="callers that reserve at once (default: 256)")
    parser.add_argument("--products", type=int, default=1, help="products that they reserve in turn (default: 1)")
    parser.add_argument("--seconds", type=float, default=5, help="duration of a round (default: 5)")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (default: 3)")
    parser.add_argument("--keys", action="store_true", help="send an idempotency key with each reservation")
    parser.add_argument("--holds", type=int, default=0, help="release this many lapsed holds instead")
    asked = parser.parse_args()
    log_to_stderr()
    url = f"{require_mongodb()}bench-{uuid.uuid4().hex}"
    work = StoreLoad(asked.callers, asked.products, asked.seconds, asked.keys, asked.holds)
    uvloop.run(measure(url, work, asked.rounds))  # as the service does


async def measure(url: str, asked: StoreLoad, rounds: int) -> None:
    """Measure the rounds, each on new products."""
    store = await open_mongo(url, SystemIds(), create=True)
    try:
        figures = [await (release if asked.holds else load)(store, asked) for _ in range(rounds)]
        audit = await store.audit()
    finally:
        await store.close()
        async with AsyncMongoClient[dict[str, object]](url) as client:
            await client.drop_database(url.rpartition("/")[2])
    unit = f"s to release {asked.holds} holds" if asked.holds else "reservations/s"
    print(f"median {statistics.median(figures):.2f} {unit} of {[round(each, 2) for each in figures]}")
    print(f"audit: {audit.reservations} reservations, complete: {audit.complete}, differences: {audit.differences}")


async def load(store: MongoStore, asked: StoreLoad) -> float:
    """Reservations per second of a closed loop of callers."""
    product_ids = await new_products(store, asked.products)
    used = time.process_time()
    result = await closed_loop(store, product_ids, ClosedLoop(asked.callers, asked.seconds, keys=asked.keys))
    used = time.process_time() - used
    print(
        f"{result.per_second:8.0f}/s, p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms, "
        f"this process busy {used / asked.seconds:.0%}, {result.refused} refused"
    )
    return result.per_second


async def release(store: MongoStore, asked: StoreLoad) -> float:
    """Seconds until a sweep, in the steps of the worker's, has released all holds, which lapse at once."""
    ids, now = SystemIds(), SystemClock().now_ms()
    products = await new_products(store, asked.products, _SWEEP_HOLD_S)
    turn = itertools.cycle(products)
    for start in range(0, asked.holds, limits.FLUSH_MAX):
        size = min(limits.FLUSH_MAX, asked.holds - start)
        await store.flush([Reserve(ids.new(), ids.new(), (Units(next(turn), 1),)) for _ in range(size)], now)
    begun = time.perf_counter()
    released = await sweep_once(store, now + _SWEEP_HOLD_S * 1000)
    took = time.perf_counter() - begun
    available = sum(product.available for product in await store.products(products))
    print(f"{released} holds released in {took:.2f} s; all back: {available == asked.products * STOCK}")
    return took


if __name__ == "__main__":
    main()
