"""Figures for operators: holds and when they lapse, flows of units, processes and audits."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from tests.contract.requests import do, flush
from tests.core.examples import (
    ANN,
    CUP,
    HAT,
    HOLD_MS,
    NOON,
    PEN,
    a_product,
    cancel,
    confirm,
    confirm_some,
    expire,
    extend,
    granted,
    reserve,
    reserve_basket,
    units,
)

from flashreserve.core.audits import Audit, Difference, SetAside
from flashreserve.core.commands import Cancel, Confirm, Reserve, Return
from flashreserve.core.monitoring import COUNTS_MAX, FINDINGS_MAX, AuditVerdict, Flows, HoldCount, ProcessReport
from flashreserve.stores.filters import first_id_at
from flashreserve.stores.monitor import PROCESSES_MAX, REPORTS_KEPT_MS, VERDICTS_KEPT
from flashreserve.stores.port import Store, StoreDefectError

MINUTE = 60_000
LAPSED = NOON + HOLD_MS
STORES = ("memory_monitor", "sqlite.monitor", "mongo.monitor")


@pytest.fixture(autouse=True)
async def _shop(store: Store) -> None:
    await store.add_products([a_product(CUP, 100), a_product(HAT, 100), a_product(PEN, 100)])


class TestHeldUnits:
    async def test_nothing_is_held_at_first(self, store: Store) -> None:
        assert await store.held_units() == {}

    async def test_units_of_open_holds_are_summed_by_product(self, store: Store) -> None:
        await flush(store, reserve(1, quantity=3), reserve(2, quantity=3), reserve_basket(3, {CUP: 1, HAT: 2}))
        assert await store.held_units() == {CUP: 7, HAT: 2}

    async def test_a_lapsed_hold_is_held_until_it_is_released(self, store: Store) -> None:
        await flush(store, reserve(1), reserve(2, of=HAT))
        await do(store, extend(2), at=LAPSED - 1)
        assert await store.held_units() == {CUP: 1, HAT: 1}
        await store.release_lapsed(LAPSED, 10)
        assert await store.held_units() == {HAT: 1}

    async def test_holds_that_were_bought_or_cancelled_are_not_held(self, store: Store) -> None:
        await flush(store, *[reserve(number) for number in range(1, 5)])
        await flush(store, confirm(1), cancel(2))
        await do(store, expire(3), at=LAPSED)
        assert await store.held_units() == {CUP: 1}

    async def test_of_a_hold_that_is_bought_in_part_nothing_is_held(self, store: Store) -> None:
        await do(store, reserve_basket(1, {CUP: 3, HAT: 2}))
        await do(store, confirm_some(1, {CUP: 1}))
        assert await store.held_units() == {}


class TestTimesOfLapsing:
    async def test_without_holds_all_entries_are_empty(self, store: Store) -> None:
        assert await store.lapses(NOON, MINUTE, 3) == [HoldCount(0, 0)] * 5

    async def test_holds_are_counted_in_the_bucket_in_which_they_lapse(self, store: Store) -> None:
        for number, at in enumerate([-1, 0, 1, MINUTE, MINUTE + 1, 3 * MINUTE, 3 * MINUTE + 1, 9 * MINUTE], start=1):
            granted(await do(store, reserve(number, quantity=number), at=NOON + at))
        assert await store.lapses(LAPSED, MINUTE, 3) == [
            HoldCount(2, 1 + 2),
            HoldCount(2, 3 + 4),
            HoldCount(1, 5),
            HoldCount(1, 6),
            HoldCount(2, 7 + 8),
        ]

    async def test_a_basket_is_one_hold_with_the_units_of_all_its_lines(self, store: Store) -> None:
        await flush(store, reserve_basket(1, {CUP: 1, HAT: 2, PEN: 4}), reserve_basket(2, {CUP: 1, HAT: 2, PEN: 4}))
        assert await store.lapses(LAPSED - 1, MINUTE, 1) == [HoldCount(0, 0), HoldCount(2, 14), HoldCount(0, 0)]

    async def test_an_extended_hold_is_counted_where_it_lapses_now(self, store: Store) -> None:
        await flush(store, reserve(1), reserve(2))
        await do(store, extend(2), at=LAPSED - 1)
        assert await store.lapses(LAPSED, HOLD_MS, 1) == [HoldCount(1, 1), HoldCount(1, 1), HoldCount(0, 0)]

    async def test_holds_that_have_ended_are_not_counted(self, store: Store) -> None:
        await flush(store, *[reserve(number, quantity=2) for number in range(1, 6)])
        await flush(store, confirm(1), cancel(2), confirm_some(3, {CUP: 1}))
        await do(store, expire(4), at=LAPSED)
        assert await store.lapses(NOON, MINUTE, 1) == [HoldCount(0, 0), HoldCount(0, 0), HoldCount(1, 2)]


class TestFlows:
    """The ids of these holds have the time of their grant, as those of the service do."""

    async def test_an_unknown_product_has_none(self, store: Store) -> None:
        await hold(store, 1, {CUP: 1})
        unknown = a_product().id.replace("8001", "8009")
        assert await store.flows(unknown, NOON, MINUTE, 2) == Flows([0, 0], [0, 0], [0, 0])

    async def test_units_are_counted_in_the_bucket_of_their_instant(self, store: Store) -> None:
        for number, at in enumerate([0, MINUTE - 1, MINUTE, 3 * MINUTE - 1, 3 * MINUTE], start=1):
            await hold(store, number, {CUP: number}, at=NOON + at)
        await flush(store, Confirm(id_at(NOON, 1), ANN), at=NOON + MINUTE)
        await flush(store, Cancel(id_at(NOON + MINUTE - 1, 2), ANN), at=NOON + 2 * MINUTE)
        await flush(store, Confirm(id_at(NOON + MINUTE, 3), ANN), at=NOON + 3 * MINUTE)
        assert await store.flows(CUP, NOON, MINUTE, 3) == Flows([3, 3, 4], [0, 1, 0], [0, 0, 2])

    async def test_of_a_basket_only_the_product_counts(self, store: Store) -> None:
        await hold(store, 1, {CUP: 1, HAT: 2, PEN: 4})
        await hold(store, 2, {CUP: 8, PEN: 16})
        await do(store, Confirm(id_at(NOON, 1), ANN))
        await do(store, Cancel(id_at(NOON, 2), ANN))
        assert await store.flows(CUP, NOON, MINUTE, 1) == Flows([9], [1], [8])
        assert await store.flows(HAT, NOON, MINUTE, 1) == Flows([2], [2], [0])

    async def test_a_lapsed_hold_is_returned_when_it_is_released(self, store: Store) -> None:
        await hold(store, 1, {CUP: 3})
        assert await store.flows(CUP, NOON, HOLD_MS, 2) == Flows([3, 0], [0, 0], [0, 0])
        await store.release_lapsed(LAPSED + 1, 10)
        assert await store.flows(CUP, NOON, HOLD_MS, 2) == Flows([3, 0], [0, 0], [0, 3])

    async def test_each_return_of_a_purchase_counts_at_its_time(self, store: Store) -> None:
        held = await hold(store, 1, {CUP: 5, HAT: 5})
        await do(store, Confirm(held, ANN))
        await do(store, Return(held, None, units({CUP: 1, HAT: 4}), "a", ANN), at=NOON + MINUTE)
        await do(store, Return(held, None, units({CUP: 2}), "b", ANN), at=NOON + 2 * MINUTE)
        assert await store.flows(CUP, NOON, MINUTE, 3) == Flows([5, 0, 0], [5, 0, 0], [0, 1, 2])

    async def test_units_left_out_of_a_purchase_are_returned_and_not_bought(self, store: Store) -> None:
        held = await hold(store, 1, {CUP: 5, HAT: 2})
        await do(store, Confirm(held, ANN, units({CUP: 3}), by=ANN), at=NOON + MINUTE)
        await do(store, Return(held, None, units({CUP: 1}), "a", ANN), at=NOON + 2 * MINUTE)
        assert await store.flows(CUP, NOON, MINUTE, 3) == Flows([5, 0, 0], [0, 3, 0], [0, 2, 1])
        assert await store.flows(HAT, NOON, MINUTE, 3) == Flows([2, 0, 0], [0, 0, 0], [0, 2, 0])

    async def test_reservations_made_before_do_not_count(self, store: Store) -> None:
        early = await hold(store, 1, {CUP: 1}, at=NOON - 1)
        await hold(store, 2, {CUP: 2})
        await do(store, Confirm(early, ANN))
        assert await store.flows(CUP, NOON, MINUTE, 1) == Flows([2], [0], [0])

    async def test_a_reservation_whose_id_has_an_earlier_time_counts_by_its_own(self, store: Store) -> None:
        granted(await do(store, Reserve(id_at(NOON - 60 * MINUTE, 1), ANN, units({CUP: 1}), None)))
        assert await store.flows(CUP, NOON, MINUTE, 1) == Flows([1], [0], [0])

    async def test_reservations_are_read_in_pages_and_only_the_newest(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await flush(store, *[Reserve(id_at(NOON, number), ANN, units({CUP: number}), None) for number in range(1, 8)])
        await hold(store, 9, {HAT: 1})
        for name in STORES[1:]:
            monkeypatch.setattr(f"flashreserve.stores.{name}._PAGE", 2)
        assert await store.flows(CUP, NOON, MINUTE, 1) == Flows([sum(range(1, 8))], [0], [0])
        for name in STORES:
            monkeypatch.setattr(f"flashreserve.stores.{name}.FLOW_RESERVATIONS_MAX", 5)
        assert await store.flows(CUP, NOON, MINUTE, 1) == Flows([7 + 6 + 5 + 4 + 3], [0], [0])


class TestProcesses:
    async def test_reports_are_in_the_order_of_their_start_and_then_of_ids(self, store: Store) -> None:
        reports = [a_report("b", started_at=2), a_report("a", started_at=2), a_report("c", started_at=1)]
        await note(store, reports)
        assert await store.processes(0) == [reports[2], reports[1], reports[0]]

    async def test_a_report_comes_back_as_it_was(self, store: Store) -> None:
        counts = {"requests": 12.0, "latency.0.005": 0.25, "refused:sold-out:$id": 3.0, "": 1e300}
        report = ProcessReport("a", "worker", 'höst "1"', 4_000_000_000, "0.1.0.dev1", NOON, NOON + 5, counts)
        await store.note_process(report)
        assert await store.processes(NOON) == [report]

    async def test_a_report_takes_the_place_of_the_earlier_one(self, store: Store) -> None:
        first = a_report("a", counts={"x": 1.0, "y": 1.0})
        later = replace(first, role="api", seen_at=NOON + 5, counts={"x": 2.0})
        await note(store, [first, a_report("b"), later])
        assert await store.processes(0) == [later, a_report("b")]

    async def test_only_those_seen_since_are_listed(self, store: Store) -> None:
        await note(store, [a_report("a", seen_at=NOON - 1), a_report("b", seen_at=NOON)])
        assert [report.id for report in await store.processes(NOON)] == ["b"]

    async def test_reports_older_than_a_day_are_forgotten(self, store: Store) -> None:
        await note(store, [a_report("a"), a_report("b", seen_at=NOON + 1)])
        await store.note_process(a_report("c", seen_at=NOON + REPORTS_KEPT_MS))
        assert [report.id for report in await store.processes(0)] == ["a", "b", "c"]
        await store.note_process(a_report("c", seen_at=NOON + REPORTS_KEPT_MS + 1))
        assert [report.id for report in await store.processes(0)] == ["b", "c"]

    async def test_the_list_is_bounded(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        assert PROCESSES_MAX == 500
        for name in STORES:
            monkeypatch.setattr(f"flashreserve.stores.{name}.PROCESSES_MAX", 2)
        await note(store, [a_report(id_) for id_ in "cab"])
        assert [report.id for report in await store.processes(0)] == ["a", "b"]

    async def test_a_report_with_too_many_counts_is_a_defect(self, store: Store) -> None:
        counts = {str(number): 1.0 for number in range(COUNTS_MAX)}
        await store.note_process(a_report("a", counts=counts))
        with pytest.raises(StoreDefectError, match="counts"):
            await store.note_process(a_report("a", counts=counts | {"more": 1.0}))
        assert [report.counts for report in await store.processes(0)] == [counts]


class TestVerdicts:
    async def test_there_are_none_at_first(self, store: Store) -> None:
        assert await store.verdicts(10) == []

    async def test_they_come_back_as_they_were_the_newest_first(self, store: Store) -> None:
        found = Audit(
            products=3,
            reservations=7,
            differences=[Difference(CUP, 10, 9, 2, 1), Difference(HAT, 1, 1, 1)],
            complete=False,
            unreadable=2,
            set_aside=[SetAside("reservation", "r1", "lines: «expected»")],
        )
        verdicts = [a_verdict(1), replace(a_verdict(2), audit=found), a_verdict(3)]
        for verdict in [verdicts[1], verdicts[0], verdicts[2]]:
            await store.add_verdict(verdict)
        assert await store.verdicts(10) == verdicts[::-1]
        assert await store.verdicts(2) == [verdicts[2], verdicts[1]]

    async def test_only_the_newest_are_kept(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        assert VERDICTS_KEPT == 100
        for name in STORES:
            monkeypatch.setattr(f"flashreserve.stores.{name}.VERDICTS_KEPT", 3)
        for number in (2, 5, 4, 3, 1):
            await store.add_verdict(a_verdict(number))
        assert await store.verdicts(10) == [a_verdict(5), a_verdict(4), a_verdict(3)]

    async def test_only_the_first_findings_are_kept(self, store: Store) -> None:
        differences = [Difference(f"p{number}", 1, 1, 1) for number in range(FINDINGS_MAX + 1)]
        set_aside = [SetAside("product", f"p{number}", "why") for number in range(FINDINGS_MAX + 1)]
        await store.add_verdict(replace(a_verdict(1), audit=Audit(1, 1, differences, set_aside=set_aside)))
        (kept,) = await store.verdicts(1)
        assert kept.audit == Audit(1, 1, differences[:FINDINGS_MAX], set_aside=set_aside[:FINDINGS_MAX])

    async def test_an_id_that_is_used_twice_is_a_defect(self, store: Store) -> None:
        await store.add_verdict(a_verdict(1))
        with pytest.raises(StoreDefectError):
            await store.add_verdict(replace(a_verdict(1), took_ms=99))
        assert await store.verdicts(10) == [a_verdict(1)]


def id_at(at: int, number: int) -> str:
    """A reservation's id with this time in it."""
    return f"{first_id_at(at)[:14]}7000-8002-{number:012x}"


async def hold(store: Store, number: int, lines: dict[str, int], at: int = NOON) -> str:
    """A hold that is granted at this time. Returns its id."""
    return granted(await do(store, Reserve(id_at(at, number), ANN, units(lines), None), at=at)).id


def a_report(
    id_: str, started_at: int = NOON, seen_at: int = NOON, counts: dict[str, float] | None = None
) -> ProcessReport:
    return ProcessReport(id_, "all", "host", 7, "0.1.0", started_at, seen_at, counts or {})


async def note(store: Store, reports: Sequence[ProcessReport]) -> None:
    for report in reports:
        await store.note_process(report)


def a_verdict(number: int) -> AuditVerdict:
    return AuditVerdict(id_at(NOON, number), NOON + number, 12, "an admin", Audit(number, 0, []))
