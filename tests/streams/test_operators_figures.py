"""Percentiles, reports of processes, and counts by second."""

import asyncio
from typing import Any, cast

import pytest
from msgspec.structs import replace
from tests.contract.requests import flush
from tests.core.examples import CUP, a_product, reserve

from flashreserve.core.monitoring import ProcessReport
from flashreserve.metrics import LATENCY_BOUNDS_S
from flashreserve.service.activity import SECONDS, Activity
from flashreserve.service.held_units import HeldUnits
from flashreserve.service.latency import percentile_s
from flashreserve.service.monitor import Monitor
from flashreserve.service.process_reports import GONE_AFTER_MS, HEARTBEAT_MS, ProcessReporter, ProcessRole
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import StoreUnavailableError

NOON = 1_796_126_400_000
REPORT = ProcessReport("one", "api", "host", 1, "0.1.0", NOON, NOON, {"refused:sold-out:cup": 10})


class TestPercentiles:
    def test_nothing_has_no_percentile(self) -> None:
        assert percentile_s(0.99, [0, 0, 0], [0.1, 0.2]) is None

    def test_within_a_bucket_latencies_are_taken_to_be_spread_evenly(self) -> None:
        assert percentile_s(0.5, [0, 100, 0], [0.1, 0.2]) == pytest.approx(0.15)
        assert percentile_s(0.99, [99, 1, 0], [0.1, 0.2]) == pytest.approx(0.1)

    def test_beyond_the_last_bound_the_bound_is_the_estimate(self) -> None:
        assert percentile_s(0.99, [1, 0, 99], [0.1, 0.2]) == 0.2

    def test_it_takes_the_buckets_of_the_metrics(self) -> None:
        counts = [0.0] * (len(LATENCY_BOUNDS_S) + 1)
        counts[2] = 4
        assert percentile_s(1.0, counts, LATENCY_BOUNDS_S) == LATENCY_BOUNDS_S[2]


class TestReports:
    def reporter(self) -> ProcessReporter:
        self.store, self.now, self.counts = MemoryStore(), NOON, {"queue": 0.0}
        role = ProcessRole("me", "worker", "host", 7, NOON)
        return ProcessReporter(self.store, role, lambda: self.counts, lambda: self.now)

    async def test_a_report_is_written_when_its_counts_change_or_the_last_one_is_old(self) -> None:
        reporter = self.reporter()
        await reporter.write()
        self.now += 2_000
        await reporter.write()
        assert [report.seen_at for report in await self.store.processes(0)] == [NOON]
        self.counts = {"queue": 1.0}
        await reporter.write()
        assert [report.seen_at for report in await self.store.processes(0)] == [NOON + 2_000]
        self.now += HEARTBEAT_MS
        await reporter.write()
        assert [report.seen_at for report in await self.store.processes(0)] == [self.now]

    async def test_a_process_that_leaves_is_gone_at_once(self) -> None:
        reporter = self.reporter()
        await reporter.write()
        await reporter.leave()
        assert await self.store.processes(self.now - GONE_AFTER_MS) == []

    async def test_a_process_that_never_reported_leaves_without_a_trace(self) -> None:
        await self.reporter().leave()
        assert await self.store.processes(0) == []


class TestRefusals:
    async def series(self, *looks: tuple[int, list[ProcessReport]]) -> list[int | None]:
        """The refusals of the last ten seconds before the last look, after these looks."""
        activity = Activity(MemoryStore())
        for now, reports in looks:
            await activity.look(now, reports)
        return activity.series(looks[-1][0], 10).refused

    async def test_before_the_first_look_they_are_unknown(self) -> None:
        assert await self.series((NOON, [REPORT])) == [None] * 10

    async def test_they_are_spread_over_the_time_between_two_reports_and_none_is_lost(self) -> None:
        later = replace(REPORT, seen_at=NOON + 3_000, counts={"refused:sold-out:cup": 17, "queue": 5})
        found = await self.series((NOON, [REPORT]), (NOON + 3_000, [later]))
        assert found[:7] == [None] * 7
        assert found[7:] == [2, 2, 3]

    async def test_a_process_that_ends_takes_nothing_away(self) -> None:
        other = replace(REPORT, id="two", counts={"refused:sold-out:cup": 500})
        later = replace(REPORT, seen_at=NOON + 1_000, counts={"refused:sold-out:cup": 12})
        found = await self.series((NOON, [REPORT, other]), (NOON + 1_000, [later]))
        assert found[-1] == 2

    async def test_the_series_has_the_last_quarter_of_an_hour(self) -> None:
        activity = Activity(MemoryStore())
        await activity.look(NOON, [])
        assert activity.series(NOON).start == NOON // 1000 - SECONDS


class TestHeldUnitsCache:
    class CountedStore(MemoryStore):
        asked = 0

        async def held_units(self) -> dict[str, int]:
            self.asked += 1
            return {"cup": 3}

    async def test_they_are_counted_only_while_somebody_looks(self) -> None:
        store, now_s = self.CountedStore(), 0.0
        held = HeldUnits(store, lambda: now_s)
        await held.refresh()
        assert (store.asked, held.of("cup")) == (0, None)
        held.want()
        await held.refresh()
        assert (store.asked, held.of("cup"), held.of("hat")) == (1, 3, 0)
        now_s = 60.0
        await held.refresh()
        assert (store.asked, held.of("cup")) == (1, None)

    async def test_a_count_that_takes_long_is_made_seldom(self) -> None:
        times = iter([0.0, 0.0, 0.0, 0.1, 1.0, 1.0, 3.0, 3.0, 3.1])
        store = self.CountedStore()
        held = HeldUnits(store, lambda: next(times))
        held.want()  # at 0 s
        await held.refresh()  # from 0 to 0.1 s: the next one not before 2 s
        assert store.asked == 1

    async def test_two_who_ask_at_once_share_one_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        store, counts = MemoryStore(), 0

        async def count() -> dict[str, int]:
            nonlocal counts
            counts += 1
            await asyncio.sleep(0.01)
            return {}

        monkeypatch.setattr(store, "held_units", count)
        held = HeldUnits(store, asyncio.get_running_loop().time)
        held.want()
        await asyncio.gather(held.refresh(), held.refresh())
        assert counts == 1


async def test_in_an_outage_all_who_look_wait_for_one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    store, tries = MemoryStore(), 0

    async def away(_: int) -> list[ProcessReport]:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0.01)
        raise StoreUnavailableError("away")

    monkeypatch.setattr(store, "processes", away)
    reporter = ProcessReporter(store, ProcessRole("one", "api", "host", 1, NOON), dict, lambda: NOON)
    unused = cast("Any", None)
    monitor = Monitor(store, unused, reporter, unused, lambda: NOON, asyncio.get_running_loop().time, unused)
    outcomes = await asyncio.gather(*[monitor.overview() for _ in range(8)], return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailableError] * 8
    assert tries == 1


async def test_units_reserved_since_the_last_count_of_holds_are_not_shown_as_sold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counting a hundred thousand holds takes a second, so it is done every twenty seconds."""
    store, passed = MemoryStore(), 0.0
    await store.add_products([a_product(CUP, 10)])
    count = store.held_units

    async def slow_count() -> dict[str, int]:
        nonlocal passed
        passed += 1.0
        return await count()

    monkeypatch.setattr(store, "held_units", slow_count)
    reporter = ProcessReporter(store, ProcessRole("one", "api", "host", 1, NOON), dict, lambda: NOON)
    unused = cast("Any", None)
    held = HeldUnits(store, lambda: passed)
    monitor = Monitor(store, held, reporter, unused, lambda: NOON, lambda: passed, unused)
    await monitor.overview()
    await flush(store, reserve(1, quantity=4))
    passed += 2.0
    (sale,) = (await monitor.overview()).sales
    assert (sale.product.available, sale.held, sale.sold) == (6, 4, 0)
