"""Measure 100,000 holds that lapse at once: the time until all units are available again, and the effect on requests.

The holds are made through our own store, all with the same end. A server (and on the clustered engine, workers) then
starts on the database, and a few connections reserve another product meanwhile. The run ends with an audit.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.backends import Servers
from bench.load import Load, Result, run
from bench.shops import (
    ADMIN,
    FLASHRESERVE,
    PASSWORD,
    clustered_environment,
    environment,
    flashreserve,
    log_to_stderr,
    make_admin,
    post,
    process,
    serving,
)

from flashreserve.bootstrap import open_store
from flashreserve.clock import SystemClock, SystemIds
from flashreserve.core import limits
from flashreserve.core.commands import Reserve
from flashreserve.core.model import Product, Units
from flashreserve.settings import read_settings

HOLD_S: Final = 30
_MEANWHILE_S: Final = 5


def main() -> None:
    """Prepare the holds, wait until they lapse, measure and audit."""
    parser = argparse.ArgumentParser(prog="python -m bench.expiry", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--engine", choices=["embedded", "clustered"], default="embedded", help="default: embedded")
    parser.add_argument("--holds", type=int, default=100_000, help="number of holds (default: 100000)")
    parser.add_argument(
        "--hold-seconds", type=int, default=HOLD_S, help="duration of the holds; preparing them must not take longer"
    )
    parser.add_argument("--connections", type=int, default=16, help="connections that reserve meanwhile (default: 16)")
    parser.add_argument("--workers", type=int, default=1, help="worker processes of the clustered engine (default: 1)")
    asked = parser.parse_args()
    log_to_stderr()
    with tempfile.TemporaryDirectory() as name, Servers() as servers:
        clustered = asked.engine == "clustered"
        env = clustered_environment(Path(name), servers) if clustered else environment(Path(name))
        make_admin(env)
        product, due_ms = asyncio.run(make_holds(env, asked.holds, asked.hold_seconds))
        with ExitStack() as stack:
            for _ in range(asked.workers if clustered else 0):
                stack.enter_context(process([*FLASHRESERVE, "worker"], None, env))
            base, _ = stack.enter_context(serving(env, "serve", "--role", "api" if clustered else "all"))
            measure(base, env, product, due_ms, asked.holds, asked.connections)
        print("audit:", flashreserve(env, "audit", "--json").strip())


async def make_holds(env: Mapping[str, str], count: int, hold_s: int) -> tuple[str, int]:
    """Make `count` holds of one unit on one product, all with one end.

    Returns the product's id and the end (UTC ms).
    """
    store = await open_store(read_settings(env), create=True)
    ids = SystemIds()
    now = SystemClock().now_ms()
    hot = Product(ids.new(), "hot", 100, "USD", count, count, None, None, None, hold_s, 0, now, now)
    await store.add_products([hot])
    for start in range(0, count, limits.FLUSH_MAX):
        size = min(limits.FLUSH_MAX, count - start)
        await store.flush([Reserve(ids.new(), ids.new(), (Units(hot.id, 1),)) for _ in range(size)], now)
    await store.close()
    return hot.id, now + hold_s * 1000


def measure(base: str, env: Mapping[str, str], product: str, due_ms: int, holds: int, connections: int) -> None:
    """Load the server before and after the holds lapse, and measure the time until the stock is back."""
    if time.time() * 1000 > due_ms:
        raise SystemExit("the holds lapsed before they were all prepared: use a longer --hold-seconds")
    admin = post(base + "/auth/login", {"email": ADMIN, "password": PASSWORD})["token"]
    other = post(base + "/products", {"name": "other", "price": 1, "stockQuantity": 10**9}, admin)["id"]
    token = flashreserve(env, "token", "--role", "customer", "--count", "1").strip()
    load = Load(base, (f"/reservations/{other}",), (token,), connections, _MEANWHILE_S)
    quiet = run(load)
    time.sleep(max(0.0, due_ms / 1000 - time.time()))
    busy, released_s = load_and_watch(load, f"{base}/products/{product}/stock", holds, due_ms)
    print(f"{sys.platform}, {connections} connections reserving meanwhile")
    print(f"{holds} holds lapsed at once: all units available again after {released_s:.2f} s")
    print(f"reservations before:    {quiet.per_second:8.0f}/s, p50 {quiet.p50_ms:.1f} ms, p99 {quiet.p99_ms:.1f} ms")
    print(f"reservations meanwhile: {busy.per_second:8.0f}/s, p50 {busy.p50_ms:.1f} ms, p99 {busy.p99_ms:.1f} ms")


def load_and_watch(load: Load, stock_url: str, holds: int, due_ms: int) -> tuple[Result, float]:
    """The load's result, and the seconds from `due_ms` until all units were available."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        loading = pool.submit(run, load)
        while available(stock_url) < holds:
            time.sleep(0.02)
        released_s = time.time() - due_ms / 1000
        return loading.result(), released_s


def available(url: str) -> int:
    """The units that are available now."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own server
        return int(json.load(answer)["available"])


if __name__ == "__main__":
    main()
