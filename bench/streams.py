"""The section `streams`: reservations at a fixed rate beside many open streams of the reserved product.

Each reservation changes the stock, so every stream gets an event four times a second: nothing can be more work for the
process. The same rate without any stream stands beside it. The age of an event is the time from the state that it tells
to its arrival at a client.
"""

from contextlib import ExitStack
from typing import Final
from urllib.parse import urlsplit

from bench.backends import Servers
from bench.figures import CaseFigures, Section
from bench.followers import FollowedStreams, following
from bench.load import Load, Result, run
from bench.sections import RATE_CONNECTIONS, BenchPlan, begin
from bench.shops import BenchShop

from bench import machine, shops

STREAMS: Final = 5_000
RATE: Final = 300
"""Reservations a second: far more than one flash sale needs, and few enough that two cores also do the rest."""

ALONE: Final = "no stream"
BESIDE: Final = "5,000 streams"
EVENTS: Final = "events, 5,000 streams"
CASES: Final = (ALONE, BESIDE, EVENTS)

_SECONDS_MIN: Final = 10.0


def measure_streams(plan: BenchPlan, servers: Servers) -> Section:
    """The latency of reservations with and without streams, and the age of the events."""
    del servers
    plan = plan._replace(seconds=max(_SECONDS_MIN, plan.seconds))
    section = begin(plan)
    section.conditions |= {"reservations a second": f"{RATE:,}", "streams": f"{STREAMS:,}"}
    directory = plan.directory / "streams"
    directory.mkdir()
    with ExitStack() as stack:
        shop = stack.enter_context(shops.embedded(directory))
        for name in CASES:
            section.cases[name] = CaseFigures("SQLite", RATE_CONNECTIONS, rounds=[])
        for _ in range(plan.rounds):
            section.cases[ALONE].rounds.append(_reserve(shop, plan.seconds))
            reserved, seen = _beside_streams(shop, plan.seconds)
            section.cases[BESIDE].rounds.append(reserved)
            section.cases[EVENTS].rounds.append(_as_result(seen, plan.seconds))
        books = shop.audit() if shop.audit is not None else None
        if books is not None:
            section.audits["SQLite"] = books.summary
            for case in section.cases.values():
                case.void = "" if books.clean else f"the audit is not clean: {books.summary}"
    return section


def _reserve(shop: BenchShop, seconds: float) -> Result:
    """Reserve at the fixed rate. The server's processor time is for each reservation, that of its streams included."""
    spent_s = machine.processor_s(shop.pid)
    load = Load(shop.base, shop.posts[:1], shop.tokens, RATE_CONNECTIONS, seconds, rate=RATE)
    loaded = run(load)
    spent_s = machine.processor_s(shop.pid) - spent_s
    return loaded._replace(server_us=spent_s / max(1, loaded.answers) * 1e6)


def _beside_streams(shop: BenchShop, seconds: float) -> tuple[Result, FollowedStreams]:
    address = urlsplit(shop.base)
    path = shop.stock.removesuffix("/stock") + "/events"
    with following(address.hostname or "", address.port or 0, path, STREAMS) as followers:
        reserved = _reserve(shop, seconds)
        return reserved, followers.measured()


def _as_result(seen: FollowedStreams, seconds: float) -> Result:
    """The events as a result: `answers` counts them, `errors` the streams that were lost."""
    return Result(seen.events / seconds, seen.p50_ms, seen.p99_ms, seen.events, refused=0, errors=seen.ended)
