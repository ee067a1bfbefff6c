"""Figures for operators, from the reservations in memory."""

from collections.abc import Iterator

from typing_extensions import override

from flashreserve.core.model import Line, Reservation, Status
from flashreserve.core.monitoring import COUNTS_MAX, AuditVerdict, Direction, Flows, HoldCount, ProcessReport
from flashreserve.core.returns import units_bought
from flashreserve.stores.filters import IDS_APART_MS, first_id_at
from flashreserve.stores.memory_accounts import refuse_used_ids
from flashreserve.stores.monitor import (
    FLOW_RESERVATIONS_MAX,
    PROCESSES_MAX,
    REPORTS_KEPT_MS,
    VERDICTS_KEPT,
    MonitorStore,
)
from flashreserve.stores.port import StoreDefectError


class MemoryMonitor(MonitorStore):
    """The reservations of `MemoryStore`, and its figures for operators."""

    def __init__(self) -> None:
        self._reservations: dict[str, Reservation] = {}
        self._processes: dict[str, ProcessReport] = {}
        self._verdicts: dict[str, AuditVerdict] = {}

    def _held(self) -> Iterator[Reservation]:
        return (held for held in self._reservations.values() if held.status is Status.PENDING)

    @override
    async def held_units(self) -> dict[str, int]:
        units: dict[str, int] = {}
        for line in [line for held in self._held() for line in held.lines if line.left]:
            units[line.product_id] = units.get(line.product_id, 0) + line.left
        return units

    @override
    async def lapses(self, now: int, bucket_ms: int, buckets: int) -> list[HoldCount]:
        counts = [HoldCount() for _ in range(buckets + 2)]
        for held in self._held():
            ended = -(-(held.expires_at - now) // bucket_ms)  # the buckets that have ended by then, rounded up
            place = min(max(0, ended), buckets + 1)
            before = counts[place]
            units = sum(line.left for line in held.lines)
            counts[place] = HoldCount(before.holds + 1, before.units + units)
        return counts

    @override
    async def flows(self, product_id: str, since: int, bucket_ms: int, buckets: int) -> Flows:
        flows = Flows.none(buckets)
        low = first_id_at(since - IDS_APART_MS)
        lines = [
            (held, line)
            for held in self._reservations.values()
            for line in held.lines
            if line.product_id == product_id and held.id > low
        ]
        for held, line in sorted(lines, key=_by_id, reverse=True)[:FLOW_RESERVATIONS_MAX]:
            for direction, at, units in _moves(held, line) if held.created_at >= since else ():
                if 0 <= (bucket := (at - since) // bucket_ms) < buckets:
                    flows.add(direction, bucket, units)
        return flows

    @override
    async def note_process(self, report: ProcessReport) -> None:
        if not report.is_bounded:
            raise StoreDefectError(f"a process's report has more than {COUNTS_MAX} counts")
        kept_since = report.seen_at - REPORTS_KEPT_MS
        kept = {id_: each for id_, each in self._processes.items() if each.seen_at >= kept_since}
        self._processes = kept | {report.id: report}

    @override
    async def processes(self, since: int) -> list[ProcessReport]:
        found = [report for report in self._processes.values() if report.seen_at >= since]
        return sorted(found, key=_by_start)[:PROCESSES_MAX]

    @override
    async def add_verdict(self, verdict: AuditVerdict) -> None:
        refuse_used_ids([verdict.id], self._verdicts)
        self._verdicts[verdict.id] = verdict.shortened()
        for id_ in sorted(self._verdicts, reverse=True)[VERDICTS_KEPT:]:
            del self._verdicts[id_]

    @override
    async def verdicts(self, most: int) -> list[AuditVerdict]:
        return [self._verdicts[id_] for id_ in sorted(self._verdicts, reverse=True)[:most]]


def _moves(held: Reservation, line: Line) -> Iterator[tuple[Direction, int, int]]:
    """The directions in which units of the line went, when, and how many."""
    yield "reserved", held.created_at, line.quantity
    if held.confirmed_at is not None:
        yield "bought", held.confirmed_at, units_bought(held).get(line.product_id, 0)
    if held.released_at is not None:
        yield "returned", held.released_at, line.left
    for entry in held.returns:
        for each in entry.lines:
            if each.product_id == line.product_id:
                yield "returned", entry.at, each.quantity


def _by_id(found: tuple[Reservation, Line]) -> str:
    return found[0].id


def _by_start(report: ProcessReport) -> tuple[int, str]:
    return report.started_at, report.id
