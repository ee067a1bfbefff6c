"""The sections and their cases. The cases of a section take turns, so that a slow minute affects all of them."""

import datetime as dt
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

from bench.backends import MissingError, Servers
from bench.callers import CALLERS, Caller, plugged_in, sent_by
from bench.figures import CaseFigures, Section, per_second
from bench.fill import fill
from bench.load import Load, Result, run
from bench.shops import BenchShop, ShopError
from bench.webhooks import GRANTS_ON

from bench import machine, peer_shops, shops, webhooks

Asks = Literal["reserve", "keys", "sold out", "stock"]

CONNECTIONS: Final = (1, 16, 64, 256, 1024)
PRODUCTS: Final = (1, 10, 1000)
SHARES: Final = (0.3, 0.5, 0.7, 0.9)
RATE_CONNECTIONS: Final = 512
"""Enough connections that one is free whenever the schedule has a request to send."""

_WARM_UP_S: Final = 1.0


_TOLD: Final = ("", ", endpoint", ", endpoint, grants on")
"""No endpoint; one that is subscribed to all events; the same, and each reservation makes an event."""


class Case(NamedTuple):
    """A load on a shop.

    Attributes:
        share, of: a fixed rate, as this share of the requests per second of the case `of`.
        caller: the sender of the requests.
    """

    name: str
    shop: str
    connections: int = 64
    asks: Asks = "reserve"
    products: int = 1
    share: float = 0.0
    of: str = ""
    caller: Caller = "own token"


class BenchPlan(NamedTuple):
    """Seconds per round, rounds per case, the directory of the databases, and the rows of the filled one."""

    seconds: float
    rounds: int
    directory: Path
    rows: int


def _latency(shop: str, connections: int) -> tuple[Case, ...]:
    most = Case(f"{shop}, as much as it takes", shop, connections)
    return (
        most,
        *(Case(f"{shop} at {share:.0%}", shop, RATE_CONNECTIONS, share=share, of=most.name) for share in SHARES),
    )


SECTIONS: Final[dict[str, tuple[Case, ...]]] = {
    "hot": (
        Case("bare", "bare"),
        Case("SQLite", "SQLite"),
        Case("SQLite, keys", "SQLite", asks="keys"),
        Case("SQLite, lane off", "SQLite, lane off"),
        Case("SQLite, sold out", "SQLite", asks="sold out"),
        Case("bare GET", "bare", asks="stock"),
        Case("SQLite, stock poll", "SQLite", asks="stock"),
    ),
    "products": tuple(
        Case(f"{shop}, {count}", shop, products=count) for shop in ("SQLite", "MongoDB") for count in PRODUCTS
    ),
    "connections": tuple(
        Case(f"{shop}, {count}", shop, connections=count)
        for count in CONNECTIONS
        for shop in ("bare", "SQLite", "MongoDB")
    ),
    "processes": tuple(
        Case(f"{shop} x{count}, {connections}", f"{shop} x{count}" if count > 1 else shop, connections)
        for connections in (64, 256)
        for shop in ("bare", "SQLite", "MongoDB")
        for count in (1, 2)
    ),
    "mongodb": (
        Case("bare, 64", "bare"),
        Case("MongoDB, 64", "MongoDB"),
        Case("MongoDB, keys, 64", "MongoDB", asks="keys"),
        Case("Express, 64", "Express"),
        Case("bare, 256", "bare", connections=256),
        Case("MongoDB, 256", "MongoDB", connections=256),
        Case("Express, 256", "Express", connections=256),
    ),
    "peers": (
        Case("SQLite", "SQLite"),
        Case("FastAPI + asyncpg", "FastAPI + asyncpg"),
        Case("FastAPI + Redis Lua", "FastAPI + Redis Lua"),
    ),
    "latency": _latency("SQLite", 64) + _latency("MongoDB", 256),
    "callers": tuple(Case(caller, "SQLite, plugged in", caller=caller) for caller in CALLERS),
    "events": (
        *(Case(f"SQLite{told}", f"SQLite{told}") for told in _TOLD),
        *(Case(f"MongoDB{told}", f"MongoDB{told}") for told in _TOLD),
    ),
    "growth": (
        Case("empty", "SQLite"),
        Case("filled", "SQLite, filled"),
        Case("empty, keys", "SQLite", asks="keys"),
        Case("filled, keys", "SQLite, filled", asks="keys"),
    ),
}


def begin(plan: BenchPlan) -> Section:
    """An empty section that begins now."""
    begun = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return Section(begun, plan.seconds, plan.rounds, machine.conditions(plan.directory))


def measure(name: str, plan: BenchPlan, servers: Servers) -> Section:
    """Measure the cases of a section, in turn and repeatedly, then audit each shop."""
    cases = SECTIONS[name]
    section = begin(plan)
    with ExitStack() as stack:
        opened = _open_all(cases, plan, servers, stack, section)
        present = [case for case in cases if case.shop in opened]
        granted = {shop: _warm_up(opened[shop]) for shop in opened}
        section.cases = {
            case.name: CaseFigures(case.shop, case.connections, refusing=case.asks == "sold out", rounds=[])
            for case in present
        }
        for number in range(plan.rounds):
            for case in _turns(present, number):
                result = _run(_load(case, opened[case.shop], plan.seconds, section), opened[case.shop].pid)
                section.cases[case.name].rounds.append(result)
                if (rest := opened[case.shop].rest) is not None:
                    rest()
                granted[case.shop] += _granted(case, result)
                _tell(f"{name} {number + 1}/{plan.rounds}  {case.name:28} {result.per_second:9,.0f}/s")
        for shop, running in opened.items():
            _audit(shop, running, granted[shop], section)
    section.conditions |= servers.versions
    if name == "growth":
        section.conditions["reservations in the filled database"] = f"{plan.rows:,}"
    return section


def _turns(cases: list[Case], number: int) -> list[Case]:
    """The order of the cases in this round. Each round begins with another, so that none is always measured first."""
    first = number % max(1, len(cases))
    return cases[first:] + cases[:first]


def _open_all(
    cases: tuple[Case, ...], plan: BenchPlan, servers: Servers, stack: ExitStack, section: Section
) -> dict[str, BenchShop]:
    """Start the shops; for those that can't be started, the section's `missing` says why."""
    opened: dict[str, BenchShop] = {}
    faults: dict[str, str] = {}
    for case in cases:
        if case.shop not in opened and case.shop not in faults:
            _tell(f"starting {case.shop}")
            try:
                opened[case.shop] = stack.enter_context(_openers(plan, servers)[case.shop]())
            except (MissingError, ShopError) as error:
                faults[case.shop] = str(error)
                _tell(f"  {error}")
        if case.shop in faults:
            section.missing[case.name] = faults[case.shop]
    return opened


def _openers(plan: BenchPlan, servers: Servers) -> dict[str, Callable[[], AbstractContextManager[BenchShop]]]:
    """The function that starts each shop, by the shop's name."""

    def directory() -> Path:
        count = sum(1 for _ in plan.directory.iterdir())
        made = plan.directory / f"shop{count}"
        made.mkdir()
        return made

    return {
        "bare": shops.bare,
        "bare x2": partial(shops.bare, 2),
        "SQLite": lambda: shops.embedded(directory()),
        "SQLite x2": lambda: shops.embedded(directory(), processes=2),
        "SQLite, lane off": lambda: shops.embedded(directory(), lane="off"),
        "SQLite, filled": lambda: shops.embedded(directory(), fill=partial(fill, rows=plan.rows)),
        "SQLite, plugged in": lambda: plugged_in(directory()),
        "MongoDB": lambda: shops.clustered(directory(), servers),
        "SQLite, endpoint": lambda: webhooks.shop_of(webhooks.embedded(directory())),
        "SQLite, endpoint, grants on": lambda: webhooks.shop_of(webhooks.embedded(directory(), GRANTS_ON)),
        "MongoDB, endpoint": lambda: webhooks.shop_of(webhooks.clustered(directory(), servers)),
        "MongoDB, endpoint, grants on": lambda: webhooks.shop_of(webhooks.clustered(directory(), servers, GRANTS_ON)),
        "MongoDB x2": lambda: shops.clustered(directory(), servers, processes=2),
        "Express": lambda: peer_shops.express(servers),
        "FastAPI + asyncpg": lambda: peer_shops.fastapi_postgresql(servers),
        "FastAPI + Redis Lua": lambda: peer_shops.fastapi_redis(servers),
    }


def _load(case: Case, shop: BenchShop, seconds: float, section: Section) -> Load:
    paths = {"sold out": (shop.sold_out,), "stock": (shop.stock,)}.get(case.asks, shop.posts[: case.products])
    load = Load(
        base=shop.base,
        paths=paths,
        tokens=shop.tokens,
        connections=case.connections,
        seconds=seconds,
        method="GET" if case.asks == "stock" else "POST",
        keys=case.asks == "keys",
        rate=max(1.0, case.share * per_second(section.cases[case.of]).median) if case.share else None,
    )
    return sent_by(case.caller, load, shop.credentials)


def _run(load: Load, server_pid: int) -> Result:
    """Send the load, and measure the server's processor time too."""
    spent_s = machine.processor_s(server_pid)
    result = run(load)
    spent_s = machine.processor_s(server_pid) - spent_s
    return result._replace(server_us=spent_s / max(1, result.answers) * 1e6)


def _warm_up(shop: BenchShop) -> int:
    """Warm the shop up. Returns the number of reservations that it granted."""
    return run(Load(shop.base, shop.posts, shop.tokens, 64, _WARM_UP_S)).answers


def _granted(case: Case, result: Result) -> int:
    return result.answers - result.refused if case.asks in {"reserve", "keys"} else 0


def _audit(name: str, shop: BenchShop, granted: int, section: Section) -> None:
    """Void the shop's figures if its audit isn't clean, or if it has fewer reservations than it granted."""
    if shop.audit is None:
        return
    try:
        books = shop.audit()
    except ShopError as error:
        void = f"there is no audit: {error}"
    else:
        made = books.reservations - shop.reservations_before
        section.audits[name] = f"{books.summary}; {granted:,} granted"
        void = "" if books.clean else f"the audit is not clean: {books.summary}"
        if made < granted:
            void = f"{granted:,} reservations were granted, and {made:,} are there"
    if void:
        _tell(f"{name}: {void}")
    for measured in section.cases.values():
        if measured.shop == name:
            measured.void = void


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
