"""Figures for operators, from the database file."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

import apsw
from typing_extensions import override

from flashreserve.core.monitoring import COUNTS_MAX, AuditVerdict, Direction, Flows, HoldCount, ProcessReport
from flashreserve.stores.filters import IDS_APART_MS, first_id_at
from flashreserve.stores.monitor import (
    FLOW_RESERVATIONS_MAX,
    PROCESSES_MAX,
    REPORTS_KEPT_MS,
    VERDICTS_KEPT,
    MonitorStore,
)
from flashreserve.stores.port import StoreDefectError
from flashreserve.stores.sqlite.columns import PROCESSES, VERDICTS, Row, TableColumns
from flashreserve.stores.sqlite.transactions import SqliteTransactions
from flashreserve.stores.unreadable import UnreadableError

_PAGE: Final = 10_000
"""Reservations that one read sums up, so that other reads don't wait long for it."""

_LAST_ID: Final = "~"
"""It sorts after every id."""

# In a sale, most holds have equal lines. So they are counted by their lines, and the JSON of each is read only once.
# Values are read by paths from the whole JSON, which was checked: a bad one counts as nothing.
_COUNTED: Final = """
    SELECT {place} AS place, r.lines AS lines, count(*) AS holds
    FROM reservations AS r INDEXED BY reservations_due WHERE r.status = 'PENDING' GROUP BY 1, 2"""
_LINES: Final = "json_each(CASE WHEN json_valid(c.lines) THEN c.lines END) AS j"
_PRODUCT: Final = "json_extract(c.lines, j.fullkey || '[0]')"
_LEFT: Final = "json_extract(c.lines, j.fullkey || '[1]') - coalesce(json_extract(c.lines, j.fullkey || '[4]'), 0)"
SELECT_HELD_UNITS: Final = f"""
    SELECT {_PRODUCT} AS product_id, sum(c.holds * ({_LEFT})) AS units
    FROM ({_COUNTED.format(place="0")}) AS c, {_LINES}
    WHERE typeof({_PRODUCT}) = 'text' GROUP BY 1 HAVING units > 0"""  # noqa: S608
_PLACE: Final = "max(0, min((r.expires_at - :now + :bucket_ms - 1) / :bucket_ms, :buckets + 1))"
SELECT_LAPSES: Final = f"""
    SELECT c.place, sum(c.holds), sum(c.holds * (SELECT coalesce(sum({_LEFT}), 0) FROM {_LINES}))
    FROM ({_COUNTED.format(place=_PLACE)}) AS c GROUP BY 1"""  # noqa: S608

SELECT_PAGE: Final = """
    SELECT count(*), min(reservation_id) FROM (
        SELECT reservation_id FROM lines
        WHERE product_id = :product_id AND reservation_id > :low AND reservation_id < :high
        ORDER BY reservation_id DESC LIMIT :most
    )"""
# Entries without a key were made by confirmations of a part: their units were never bought.
_UNITS_OF_ENTRY: Final = "json_extract(r.returns, u.fullkey || '.quantity')"
_ENTRIES: Final = """
    json_each(CASE WHEN json_valid(r.returns) THEN r.returns END) AS e, json_each(r.returns, e.fullkey || '.lines') AS u
    WHERE json_extract(r.returns, u.fullkey || '.product_id') = :product_id"""
_NOT_BOUGHT: Final = f"""
    coalesce((SELECT sum({_UNITS_OF_ENTRY}) FROM {_ENTRIES}
              AND json_extract(r.returns, e.fullkey || '.key') IS NULL), 0)"""  # noqa: S608
SELECT_FLOWS: Final = f"""
    WITH r AS MATERIALIZED (
        SELECT l.quantity, l.returned, r.status, r.created_at, r.confirmed_at, r.released_at, r.returns
        FROM lines AS l CROSS JOIN reservations AS r ON r.id = l.reservation_id
        WHERE l.product_id = :product_id AND l.reservation_id >= :low AND l.reservation_id < :high
            AND r.created_at >= :since
    )
    SELECT direction, (at - :since) / :bucket_ms AS bucket, CAST(sum(units) AS INTEGER) FROM (
        SELECT 'reserved' AS direction, created_at AS at, quantity AS units FROM r
        UNION ALL
        SELECT 'bought', confirmed_at, CASE WHEN returns IS NULL THEN quantity ELSE max(0, quantity - {_NOT_BOUGHT}) END
        FROM r WHERE confirmed_at IS NOT NULL
        UNION ALL
        SELECT 'returned', released_at, quantity - returned FROM r WHERE released_at IS NOT NULL
        UNION ALL
        SELECT 'returned', json_extract(r.returns, e.fullkey || '.at'), {_UNITS_OF_ENTRY} FROM r, {_ENTRIES}
    )
    WHERE at >= :since AND at < :since + :buckets * :bucket_ms GROUP BY 1, 2"""  # noqa: S608

_NOTE_PROCESS: Final = PROCESSES.insert(verb="INSERT OR REPLACE")
_FORGET_PROCESSES: Final = "DELETE FROM processes WHERE seen_at < ?"
_SELECT_PROCESSES: Final = f"""
    SELECT {PROCESSES.select("p")} FROM processes AS p WHERE p.seen_at >= ?1
    ORDER BY p.started_at, p.id LIMIT ?2"""  # noqa: S608
_ADD_VERDICT: Final = VERDICTS.insert()
_FORGET_VERDICTS: Final = """
    DELETE FROM verdicts WHERE id NOT IN (SELECT id FROM verdicts ORDER BY id DESC LIMIT ?)"""
_SELECT_VERDICTS: Final = f"SELECT {VERDICTS.select('v')} FROM verdicts AS v ORDER BY v.id DESC LIMIT ?"  # noqa: S608


class SqliteMonitor(SqliteTransactions, MonitorStore):
    """Its methods are documented in `flashreserve.stores.monitor`."""

    @override
    async def held_units(self) -> dict[str, int]:
        found: list[Any] = await self._count(lambda connection: connection.execute(SELECT_HELD_UNITS).fetchall())
        return {product_id: int(units) for product_id, units in found}

    @override
    async def lapses(self, now: int, bucket_ms: int, buckets: int) -> list[HoldCount]:
        values = {"now": now, "bucket_ms": bucket_ms, "buckets": buckets}
        found: list[Any] = await self._count(lambda connection: connection.execute(SELECT_LAPSES, values).fetchall())
        counts = [HoldCount() for _ in range(buckets + 2)]
        for place, holds, units in found:
            counts[place] = HoldCount(holds, int(units))
        return counts

    @override
    async def flows(self, product_id: str, since: int, bucket_ms: int, buckets: int) -> Flows:
        """Sum the reservations up in pages, the newest first. Each page is one read."""
        flows = Flows.none(buckets)
        values = {"product_id": product_id, "since": since, "bucket_ms": bucket_ms, "buckets": buckets}
        values |= {"low": first_id_at(since - IDS_APART_MS), "high": _LAST_ID}
        for most in [min(_PAGE, FLOW_RESERVATIONS_MAX - done) for done in range(0, FLOW_RESERVATIONS_MAX, _PAGE)]:
            page = await self._count(partial(_summed_page, values={**values, "most": most}))
            for direction, bucket, units in page.sums:
                flows.add(direction, bucket, units)
            if page.reservations < most:
                break
            values["high"] = page.last
        return flows

    @override
    async def note_process(self, report: ProcessReport) -> None:
        if not report.is_bounded:
            raise StoreDefectError(f"a process's report has more than {COUNTS_MAX} counts")

        def note(connection: apsw.Connection) -> None:
            connection.execute(_NOTE_PROCESS, PROCESSES.values(report))
            connection.execute(_FORGET_PROCESSES, (report.seen_at - REPORTS_KEPT_MS,))

        await self._write(note)

    @override
    async def processes(self, since: int) -> list[ProcessReport]:
        values = (since, PROCESSES_MAX)
        return await self._read(lambda connection: _readable(PROCESSES, connection.execute(_SELECT_PROCESSES, values)))

    @override
    async def add_verdict(self, verdict: AuditVerdict) -> None:
        def add(connection: apsw.Connection) -> None:
            connection.execute(_ADD_VERDICT, VERDICTS.values(verdict.shortened()))
            connection.execute(_FORGET_VERDICTS, (VERDICTS_KEPT,))

        await self._write(add)

    @override
    async def verdicts(self, most: int) -> list[AuditVerdict]:
        return await self._read(lambda connection: _readable(VERDICTS, connection.execute(_SELECT_VERDICTS, (most,))))


def _readable(columns: TableColumns[Row], rows: Iterable[Any]) -> list[Row]:
    """The rows that can be read. The others are left out, as if they didn't exist."""
    found = []
    for row in rows:
        with suppress(UnreadableError):
            found.append(columns.struct(row))
    return found


class _SummedPage(NamedTuple):
    """The sums of a page by direction and bucket, the number of its reservations, and the lowest id of them."""

    sums: Sequence[tuple[Direction, int, int]]
    reservations: int
    last: str


def _summed_page(connection: apsw.Connection, values: Mapping[str, Any]) -> _SummedPage:
    with connection:  # One transaction: holds made between the two reads would be in the sums, but not in the page.
        number, last = connection.execute(SELECT_PAGE, values).fetchone() or (0, None)
        if last is None:
            return _SummedPage([], 0, "")
        found: list[Any] = connection.execute(SELECT_FLOWS, {**values, "low": last}).fetchall()
    return _SummedPage(found, int(number), str(last))
