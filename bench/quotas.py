"""The section `quotas`: the cost of quotas. It flushes 128 reserves at a time, without quotas and with the defaults.

Counting is cheapest for customers who hold nothing yet, so customers with a hold in this hour are a case of their own.
"""

import time
from collections.abc import Mapping
from typing import Final

import uvloop
from bench.backends import MissingError, Servers
from bench.batches import audit_into, new_products, open_stores
from bench.figures import CaseFigures, Section
from bench.load import Result, timed
from bench.sections import BenchPlan, begin

from bench import shops
from flashreserve.clock import SystemClock, SystemIds
from flashreserve.core import limits
from flashreserve.core.commands import Reserve
from flashreserve.core.model import Units
from flashreserve.core.outcomes import Reserved
from flashreserve.stores.port import Store

CUSTOMERS: Final = 128
"""Customers of one flush, each with one reserve."""

WITH_A_HOLD: Final = "with a hold before"

CASES: Final = {"no quotas": "without", "new customers": "counting", WITH_A_HOLD: "counting"}
"""The cases, each with the name of its `_SETTINGS`."""

_GROUPS: Final = 16
_HOLDS_MAX: Final = limits.OPEN_HOLDS_DEFAULT - 1
"""Further holds that a customer with one hold may have before a quota refuses."""

_SETTINGS: Final[dict[str, dict[str, str]]] = {
    "without": {},
    "counting": {
        "FLASHRESERVE_OPEN_HOLDS_MAX": str(limits.OPEN_HOLDS_DEFAULT),
        "FLASHRESERVE_HOLDS_PER_HOUR_MAX": str(limits.HOLDS_PER_HOUR_DEFAULT),
        "FLASHRESERVE_LAPSES_PER_HOUR_MAX": str(limits.LAPSES_PER_HOUR_DEFAULT),
    },
}


def measure_quotas(plan: BenchPlan, servers: Servers) -> Section:
    """Reservations per second of each engine, by `CASES`."""
    section = begin(plan)
    environments: dict[str, dict[str, str]] = {}
    for name, settings in _SETTINGS.items():
        directory = plan.directory / name
        directory.mkdir()
        environments[f"SQLite {name}"] = shops.environment(directory, settings)
        try:
            environments[f"MongoDB {name}"] = shops.clustered_environment(directory, servers) | settings
        except MissingError as error:
            section.missing = {f"MongoDB, {case}": str(error) for case in CASES}
    uvloop.run(_measure(plan, environments, section))  # as the service does
    section.conditions |= servers.versions
    return section


async def _measure(plan: BenchPlan, environments: Mapping[str, Mapping[str, str]], section: Section) -> None:
    async with open_stores(environments) as stores:
        for engine in ("SQLite", "MongoDB"):
            for case, name in CASES.items():
                if f"{engine} {name}" in stores:
                    section.cases[f"{engine}, {case}"] = CaseFigures(f"{engine} {name}", 1, rounds=[])
        granted = dict.fromkeys(stores, 0)
        for _ in range(plan.rounds):
            for case, measured in section.cases.items():
                before = case.endswith(WITH_A_HOLD)
                result, held = await _round(stores[measured.shop], plan.seconds, hold_before=before)
                measured.rounds.append(result)
                granted[measured.shop] += held + result.answers - result.refused
        for name, store in stores.items():
            await audit_into(section, name, store, granted[name])


async def _round(store: Store, seconds: float, *, hold_before: bool) -> tuple[Result, int]:
    """Flush reserves of one product until the time or the customers are used up; the result, and the earlier holds."""
    ids, clock = SystemIds(), SystemClock()
    (hot,) = await new_products(store, 1)
    before = 0
    groups: list[list[str]] = []

    async def reserve(customers: list[str]) -> int:
        commands = [Reserve(ids.new(), customer, (Units(hot, 1),), None) for customer in customers]
        flushed = await store.flush(commands, clock.now_ms())
        return sum(type(outcome) is Reserved for outcome in flushed.outcomes)

    if hold_before:
        groups = [[ids.new() for _ in range(CUSTOMERS)] for _ in range(_GROUPS)]
        for group in groups:
            before += await reserve(group)
    took_s: list[float] = []
    granted = 0
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds and len(took_s) < _GROUPS * _HOLDS_MAX:
        group = groups[len(took_s) % _GROUPS] if groups else [ids.new() for _ in range(CUSTOMERS)]
        sent = time.perf_counter()
        granted += await reserve(group)
        took_s.append(time.perf_counter() - sent)
    lasted = time.perf_counter() - begun
    answers = len(took_s) * CUSTOMERS
    return timed(took_s, lasted, answers, answers - granted), before
