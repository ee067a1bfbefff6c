"""The section `deliveries`: how long events take to an endpoint, at a fixed rate of events.

Reservations are sent at that rate, with `FLASHRESERVE_EVENTS_GRANTS=on`: each makes an event. A delivery takes from its
event's timestamp to its last byte at the receiver, which is a process on the same machine.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Final

from bench.backends import MissingError, Servers
from bench.figures import CaseFigures, Section
from bench.load import Load, Result, run
from bench.sections import RATE_CONNECTIONS, BenchPlan, begin
from bench.webhooks import GRANTS_ON, ListenedShop
from tests.webhooks.receiver import Receipt
from tests.webhooks.receiver_process import ReceiverProcess

from bench import machine, shops, webhooks

RATE: Final = 1_000
"""Events a second."""

CASES: Final = ("SQLite", "MongoDB")

_SECONDS_MIN: Final = 10.0
"""A 99th percentile needs some thousand deliveries."""

_DELIVERED_S: Final = 60.0
_PAUSE_S: Final = 0.1


def measure_deliveries(plan: BenchPlan, servers: Servers) -> Section:
    """The time from events to their endpoint, at `RATE` events a second, on each engine."""
    plan = plan._replace(seconds=max(_SECONDS_MIN, plan.seconds))
    section = begin(plan)
    section.conditions["events a second"] = f"{RATE:,}"
    directories = {name: plan.directory / name for name in CASES}
    openers: dict[str, Callable[[], AbstractContextManager[ListenedShop]]] = {
        "SQLite": lambda: webhooks.embedded(directories["SQLite"], GRANTS_ON),
        "MongoDB": lambda: webhooks.clustered(directories["MongoDB"], servers, GRANTS_ON),
    }
    with ExitStack() as stack:
        opened: dict[str, ListenedShop] = {}
        for name, opener in openers.items():
            directories[name].mkdir()
            try:
                opened[name] = stack.enter_context(opener())
            except (MissingError, shops.ShopError) as error:
                section.missing[name] = str(error)
            else:
                section.cases[name] = CaseFigures(name, RATE_CONNECTIONS, rounds=[])
        for _ in range(plan.rounds):
            for name, listened in opened.items():
                section.cases[name].rounds.append(_round(listened, plan.seconds))
        for name, listened in opened.items():
            _audit(name, listened, section)
    section.conditions |= servers.versions
    return section


def _round(listened: ListenedShop, seconds: float) -> Result:
    """Reserve at the fixed rate, and measure the deliveries. The server's processor time is for each delivery."""
    shop, receiver = listened
    before = len(receiver.receipts())
    spent_s = machine.processor_s(shop.pid)
    load = Load(shop.base, shop.posts[:1], shop.tokens, RATE_CONNECTIONS, seconds, rate=RATE)
    loaded = run(load)
    events = loaded.answers - loaded.refused
    received = _received(receiver, before, events)
    spent_s = machine.processor_s(shop.pid) - spent_s
    return _timed(received, events, loaded.late_share, spent_s)


def _received(receiver: ReceiverProcess, before: int, events: int) -> Sequence[Receipt]:
    """The receipts after the first `before`, once there is one for each event."""
    until_s = time.monotonic() + _DELIVERED_S
    received = receiver.receipts()[before:]
    while len(received) < events and time.monotonic() < until_s:
        time.sleep(_PAUSE_S)
        received = receiver.receipts()[before:]
    return received


def _timed(received: Sequence[Receipt], events: int, late_share: float, spent_s: float) -> Result:
    """The result: an event that wasn't received counts as an error, one received wrongly signed as refused."""
    first = {each.id: each for each in reversed(received)}.values()
    took_ms = sorted(each.at_ms - each.told_ms for each in first if each.told_ms is not None) or [0]
    begun_ms, ended_ms = (of(each.at_ms for each in first) if first else 0 for of in (min, max))
    return Result(
        per_second=len(first) / max(0.001, (ended_ms - begun_ms) / 1000),
        p50_ms=took_ms[len(took_ms) // 2],
        p99_ms=took_ms[len(took_ms) * 99 // 100],
        answers=len(first),
        refused=sum(each.verified is None or not each.fresh for each in first),
        errors=max(0, events - len(first)),
        late_share=late_share,
        server_us=spent_s / max(1, len(first)) * 1e6,
    )


def _audit(name: str, listened: ListenedShop, section: Section) -> None:
    books = listened.shop.audit() if listened.shop.audit is not None else None
    if books is not None:
        section.audits[name] = books.summary
        section.cases[name].void = "" if books.clean else f"the audit is not clean: {books.summary}"
