"""The log of events in the database file.

An event is written in the transaction of its transition. There is one writer at a time, so places are committed in
their order, and a reader who goes on after the last place that it saw misses nothing.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import apsw
import msgspec
from typing_extensions import override

from flashreserve.core.events import Actor, ActorKind, Event, EventData, EventType, data_of
from flashreserve.stores.filters import SEARCHED_MAX, EventFilter, EventsFound, LoggedCounts, LoggedEvent
from flashreserve.stores.outbox import EventStore
from flashreserve.stores.sqlite.columns import insert
from flashreserve.stores.sqlite.transactions import SqliteTransactions

_COLUMNS: Final = ("subject", "n", "type", "at", "actor", "actor_id", "data", "external_id")
_SELECTED: Final = f"place, {', '.join(_COLUMNS)}"
_ROWS_MAX: Final = 128
"""Rows in one statement, at most."""

_OF_SUBJECT: Final = f"""
    SELECT {_SELECTED} FROM events WHERE subject = :subject AND place > :beyond ORDER BY n LIMIT :searched"""  # noqa: S608
_OF_ALL: Final = f"SELECT {_SELECTED} FROM events WHERE place > :beyond ORDER BY place LIMIT :searched"  # noqa: S608
_ALLOWED: Final = """
    (:actor IS NULL OR actor_id = :actor)
    AND (:types IS NULL OR type IN (SELECT value FROM json_each(:types)))
    AND (:since IS NULL OR at >= :since)"""
_COUNTS: Final = """
    SELECT at / 1000, type, count(*), max(place)
    FROM (SELECT place, type, at FROM events WHERE place > ? ORDER BY place LIMIT ?)
    GROUP BY at / 1000, type"""
_OF_SUBJECTS: Final = f"""
    SELECT e.place, {", ".join(f"e.{name}" for name in _COLUMNS)} FROM json_each(?) AS wanted
    CROSS JOIN events AS e ON e.subject = wanted.value ->> 0 AND e.n > wanted.value ->> 1 AND e.n <= wanted.value ->> 2
    ORDER BY e.subject, e.n"""  # noqa: S608
# The sequence keeps the last place even when the events are deleted.
_LAST: Final = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"
_NEXT: Final = "SELECT place, at FROM events WHERE place > ? ORDER BY place LIMIT 1"
_FIRST_SINCE: Final = f"SELECT coalesce(min(place) - 1, ({_LAST})) FROM events WHERE place > ? AND at >= ?"  # noqa: S608
_LATE_MS_MAX: Final = 3_600_000
"""How long after its time an event is logged, at most: processes may sleep, and clocks differ."""

_FORGET: Final = """
    DELETE FROM events WHERE place IN (
        SELECT place FROM (SELECT place, at FROM events ORDER BY place LIMIT ?2) WHERE at < ?1
    )"""
_RENAME: Final = """
    UPDATE events SET
        actor_id = CASE WHEN actor = 'customer' AND actor_id = ?1 THEN ?2 ELSE actor_id END,
        data = CASE WHEN data ->> '$.customer_id' = ?1 THEN json_set(data, '$.customer_id', ?2) ELSE data END,
        external_id = NULL
    WHERE subject IN (SELECT value FROM json_each(?3))"""

_to_json = msgspec.json.Encoder().encode


class SqliteEvents(SqliteTransactions, EventStore):
    """Its methods are documented in `flashreserve.stores.port`."""

    @override
    async def events(self, where: EventFilter, beyond: int, most: int) -> EventsFound:
        return await self._read(lambda connection: search(connection, where, beyond, most))

    @override
    async def logged_counts(self, beyond: int, most: int) -> LoggedCounts:
        rows: list[Any] = await self._read(lambda connection: connection.execute(_COUNTS, (beyond, most)).fetchall())
        counts = {(second, EventType(type_)): count for second, type_, count, _ in rows}
        return LoggedCounts(max((place for *_, place in rows), default=beyond), counts)

    @override
    async def last_place(self) -> int:
        place: int = await self._read(lambda connection: connection.execute(_LAST).get)
        return place

    @override
    async def place_before(self, at: int) -> int:
        return await self._read(lambda connection: _place_before(connection, at))

    @override
    async def subject_events(self, wanted: Sequence[tuple[str, int, int]]) -> list[Event]:
        values = (_to_json(wanted).decode(),)
        found = await self._read(lambda connection: connection.execute(_OF_SUBJECTS, values).fetchall())
        return [_logged(row).event for row in found]

    @override
    async def relay(self, now: int, most: int) -> int:
        return 0

    @override
    async def forget_events(self, before: int, most: int) -> int:
        def forget(connection: apsw.Connection) -> int:
            connection.execute(_FORGET, (before, most))
            return connection.changes()

        return await self._write(forget)


def record(connection: apsw.Connection, events: Sequence[Event]) -> None:
    """Add the events to the log, in the transaction of their transitions."""
    for start in range(0, len(events), _ROWS_MAX):
        some = events[start : start + _ROWS_MAX]
        connection.execute(insert("events", _COLUMNS, len(some)), list(chain.from_iterable(map(_row, some))))


def rename(connection: apsw.Connection, customer_id: str, pseudonym: str, subject_ids: str) -> None:
    """Put the pseudonym in the customer's place, in the events of these reservations (a JSON list of their ids)."""
    connection.execute(_RENAME, (customer_id, pseudonym, subject_ids))


def _row(event: Event) -> tuple[str | int | None, ...]:
    return (
        event.subject_id,
        event.n,
        event.type.value,
        event.at,
        event.actor.kind.value,
        event.actor.id,
        _to_json(event.data).decode(),
        event.external_id,
    )


def _logged(row: Sequence[Any]) -> LoggedEvent:
    place, subject_id, n, type_name, at, actor, actor_id, kept, external_id = row
    type_ = EventType(type_name)
    data: EventData = msgspec.json.decode(kept, type=data_of(type_))
    return LoggedEvent(place, Event(subject_id, n, type_, at, Actor(ActorKind(actor), actor_id), data, external_id))


def search(connection: apsw.Connection, where: EventFilter, beyond: int, most: int) -> EventsFound:
    """A page of the log, as `EventStore.events` gives it."""
    looked_at = _OF_ALL if where.subject_id is None else _OF_SUBJECT
    values = {
        "beyond": beyond,
        "searched": SEARCHED_MAX,
        "subject": where.subject_id,
        "actor": where.actor_id,
        "types": None if where.types is None else _to_json(sorted(where.types)).decode(),
        "since": where.since,
        "most": most + 1,
    }
    if not where.leaves_out:
        rows = connection.execute(looked_at, {**values, "searched": most + 1}).fetchall()
        found = [_logged(row) for row in rows[:most]]
        return EventsFound(found, found[-1].place if found else beyond, more=len(rows) > most)
    with connection:  # One transaction: events logged between the two reads would shift the places that it looks at.
        rows = connection.execute(f"SELECT * FROM ({looked_at}) WHERE {_ALLOWED} LIMIT :most", values).fetchall()  # noqa: S608
        edge = connection.execute(f"SELECT count(*), max(place) FROM ({looked_at})", values).fetchone()  # noqa: S608
    found = [_logged(row) for row in rows[:most]]
    if len(rows) > most:
        return EventsFound(found, found[-1].place, more=True)
    number, last = edge or (0, None)
    return EventsFound(found, last or beyond, more=number == SEARCHED_MAX)


def _place_before(connection: apsw.Connection, at: int) -> int:
    """Bisect the log for events that are so much older that none from `at` on comes before; from there on, look."""
    low, high = 0, int(connection.execute(_LAST).get)
    while low < high:
        middle = (low + high) // 2
        later: Any = connection.execute(_NEXT, (middle,)).fetchone()
        if later is None or later[1] >= at - _LATE_MS_MAX:
            high = middle
        else:
            low = later[0]
    return int(connection.execute(_FIRST_SINCE, (low, at)).get)
