"""Endpoints and deliveries in the database file."""

from collections.abc import Sequence
from typing import Any, Final

import apsw
from typing_extensions import override

from flashreserve.core.endpoints import (
    Delivery,
    DeliveryBacklog,
    DeliveryEnd,
    Endpoint,
    EndpointChange,
    GroupRaise,
    LoggedAttempt,
    added,
    enables,
    with_progress,
)
from flashreserve.stores.outbox import DeliveryStore
from flashreserve.stores.sqlite.columns import ATTEMPTS, ENDPOINTS
from flashreserve.stores.sqlite.events import record
from flashreserve.stores.sqlite.transactions import SqliteTransactions, execute_all

_COUNT: Final = "SELECT count(*) FROM endpoints WHERE removed_at IS NULL"
_INSERT: Final = ENDPOINTS.insert()
_UPDATE: Final = ENDPOINTS.update()
_SELECT: Final = (
    f"SELECT {ENDPOINTS.select('e')} FROM endpoints AS e WHERE e.removed_at IS NULL AND (?1 IS NULL OR e.id = ?1)"  # noqa: S608
    " ORDER BY e.id"
)
_NOTE_FAILURES: Final = """
    UPDATE endpoints SET failing_since = coalesce(failing_since, ?2), failures = failures + ?3 WHERE id = ?1"""
_NOTE_SUCCESS: Final = "UPDATE endpoints SET failing_since = NULL, failures = 0 WHERE id = ?1"
_SEE: Final = "UPDATE endpoints SET seen = ?3 WHERE id = ?1 AND seen = ?2 AND trail_n = ?4"

# ?1 endpoint, ?2 subject, ?3 first - 1, ?4 last, ?5 previous, ?6 now
_RAISE: Final = """
    INSERT INTO deliveries (endpoint_id, key, subject, done, upto, previous, next_at, at)
    VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6, ?6)
    ON CONFLICT DO UPDATE SET
        upto = max(upto, ?4),
        done = CASE WHEN next_at IS NULL THEN max(done, ?3) ELSE done END,
        next_at = CASE WHEN next_at IS NULL AND max(upto, ?4) > done THEN ?6 ELSE next_at END,
        at = ?6"""
_BEGIN_AGAIN: Final = """
    UPDATE deliveries SET
        done = min(done, ?3), previous = CASE WHEN done > ?3 THEN ?4 ELSE previous END,
        tries = 0, next_at = ?5, lease = NULL, leased_until = 0
    WHERE endpoint_id = ?1 AND key = ?2 AND (done > ?3 OR lease IS NOT NULL)"""
_SKIP: Final = """
    UPDATE deliveries SET done = upto, tries = 0, next_at = NULL, lease = NULL, leased_until = 0
    WHERE endpoint_id = ?1 AND key IN (
        SELECT key FROM deliveries WHERE endpoint_id = ?1 AND next_at IS NOT NULL AND at <= ?2 LIMIT ?3
    )"""
_RESEND: Final = """
    INSERT OR REPLACE INTO deliveries (endpoint_id, key, subject, done, previous, upto, tries, next_at, at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)"""
_CLAIM: Final = """
    UPDATE deliveries SET lease = ?4, leased_until = ?5
    WHERE endpoint_id = ?1 AND key IN (
        SELECT key FROM deliveries
        WHERE endpoint_id = ?1 AND next_at <= ?2 AND leased_until <= ?2 ORDER BY next_at, key LIMIT ?3
    )
    RETURNING endpoint_id, key, subject, done, previous, upto, tries"""
_END_TURN: Final = """
    UPDATE deliveries SET
        done = ?4, previous = ?5, tries = ?6, lease = NULL, leased_until = 0, at = ?8,
        next_at = CASE WHEN ?7 IS NOT NULL THEN ?7 WHEN upto > ?4 THEN ?8 END
    WHERE endpoint_id = ?1 AND key = ?2 AND lease = ?3"""
_INSERT_ATTEMPT: Final = ATTEMPTS.insert()
_SELECT_ATTEMPTS: Final = f"""
    SELECT {ATTEMPTS.select("a")} FROM attempts AS a
    WHERE a.endpoint_id = ?1 AND (?2 IS NULL OR a.id < ?2) ORDER BY a.id DESC LIMIT ?3"""  # noqa: S608
_BACKLOG: Final = "SELECT count(*), min(next_at) FROM deliveries WHERE endpoint_id = ? AND next_at IS NOT NULL"
_FORGET: Final = (
    """DELETE FROM attempts WHERE id IN (
        SELECT id FROM (SELECT id, at FROM attempts ORDER BY id LIMIT ?2) WHERE at < ?1
    )""",
    """DELETE FROM deliveries WHERE next_at IS NULL AND (endpoint_id, key) IN (
        SELECT endpoint_id, key FROM deliveries WHERE next_at IS NULL AND at < ?1 ORDER BY at LIMIT ?2
    )""",
    """DELETE FROM deliveries WHERE (endpoint_id, key) IN (
        SELECT d.endpoint_id, d.key FROM endpoints AS e JOIN deliveries AS d ON d.endpoint_id = e.id
        WHERE e.removed_at IS NOT NULL LIMIT ?2
    )""",
)
_STEP_MAX: Final = 1_000
"""Groups that one transaction skips, so that other writes don't wait long for it."""


class SqliteDeliveries(SqliteTransactions, DeliveryStore):
    """Its methods are documented in `flashreserve.stores.outbox`."""

    @override
    async def add_endpoint(self, endpoint: Endpoint, most: int) -> bool:
        def add(connection: apsw.Connection) -> bool:
            if connection.execute(_COUNT).get >= most:
                return False
            connection.execute(_INSERT, ENDPOINTS.values(endpoint))
            record(connection, [added(endpoint)])
            return True

        return await self._write(add)

    @override
    async def endpoints(self) -> list[Endpoint]:
        return await self._read(lambda connection: _endpoints(connection, None))

    @override
    async def endpoint(self, endpoint_id: str) -> Endpoint | None:
        found = await self._read(lambda connection: _endpoints(connection, endpoint_id))
        return found[0] if found else None

    @override
    async def change_endpoint(self, before: Endpoint, change: EndpointChange, by: str) -> bool:
        def write(connection: apsw.Connection) -> bool:
            found = _endpoints(connection, before.id)
            if not found or found[0].trail_n != before.trail_n:
                return False
            after = change.after if enables(before, change.after) else with_progress(change.after, found[0])
            connection.execute(_UPDATE, ENDPOINTS.values(after))
            record(connection, change.events)
            return True

        return await self._write(write)

    @override
    async def note_failures(self, endpoint_id: str, at: int, count: int) -> None:
        await self._change_one(_NOTE_FAILURES, endpoint_id, at, count)

    @override
    async def note_success(self, endpoint_id: str) -> None:
        await self._change_one(_NOTE_SUCCESS, endpoint_id)

    @override
    async def raise_groups(self, endpoint: Endpoint, raises: Sequence[GroupRaise], seen: int, now: int) -> bool:
        def write(connection: apsw.Connection) -> bool:
            connection.execute(_SEE, (endpoint.id, endpoint.seen, seen, endpoint.trail_n))
            if not connection.changes():
                return False
            again = [each for each in raises if each.again]
            rows = [(endpoint.id, each.subject_id, each.first - 1, each.previous, now) for each in again]
            execute_all(connection, _BEGIN_AGAIN, rows)
            values = [(endpoint.id, each.subject_id, each.first - 1, each.last, each.previous, now) for each in raises]
            execute_all(connection, _RAISE, values)
            return True

        return await self._write(write)

    @override
    async def skip_groups(self, endpoint_id: str, now: int) -> None:
        def skip(connection: apsw.Connection) -> int:
            connection.execute(_SKIP, (endpoint_id, now, _STEP_MAX))
            return connection.changes()

        while await self._write(skip) == _STEP_MAX:
            pass

    @override
    async def resend(self, delivery: Delivery, now: int) -> None:
        await self._change_one(
            _RESEND,
            delivery.endpoint_id,
            delivery.key,
            delivery.subject_id,
            delivery.done,
            delivery.previous,
            delivery.upto,
            delivery.tries,
            now,
        )

    @override
    async def claim(self, endpoint_id: str, now: int, most: int, lease: str, until: int) -> list[Delivery]:
        values = (endpoint_id, now, most, lease, until)

        def claim(connection: apsw.Connection) -> list[Delivery]:
            found: list[Any] = connection.execute(_CLAIM, values).fetchall()
            return [Delivery(*row) for row in found]

        return await self._write(claim)

    @override
    async def end_turns(self, ends: Sequence[DeliveryEnd], lease: str, now: int) -> None:
        values = [
            (end.delivery.endpoint_id, end.delivery.key, lease, end.done, end.previous, end.tries, end.next_at, now)
            for end in ends
        ]
        await self._write(lambda connection: execute_all(connection, _END_TURN, values))

    @override
    async def log_attempts(self, attempts: Sequence[LoggedAttempt]) -> None:
        values = [ATTEMPTS.values(each) for each in attempts]
        await self._write(lambda connection: execute_all(connection, _INSERT_ATTEMPT, values))

    @override
    async def attempts(self, endpoint_id: str, beyond: str | None, most: int) -> list[LoggedAttempt]:
        values = (endpoint_id, beyond, most)
        return await self._read(
            lambda connection: [ATTEMPTS.struct(row) for row in connection.execute(_SELECT_ATTEMPTS, values)]
        )

    @override
    async def backlog(self, endpoint_id: str) -> DeliveryBacklog:
        row: Any = await self._read(lambda connection: connection.execute(_BACKLOG, (endpoint_id,)).fetchone())
        return DeliveryBacklog(*row)

    @override
    async def forget_deliveries(self, before: int, most: int) -> int:
        def forget(connection: apsw.Connection) -> int:
            deleted = 0
            for statement in _FORGET:
                connection.execute(statement, (before, most))
                deleted += connection.changes()
            return deleted

        return await self._write(forget)


def _endpoints(connection: apsw.Connection, endpoint_id: str | None) -> list[Endpoint]:
    return [ENDPOINTS.struct(row) for row in connection.execute(_SELECT, (endpoint_id,))]
