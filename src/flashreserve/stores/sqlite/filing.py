"""Filing: whose a reservation and its key are is noted in the order of arrival, and filed by customer later.

An index by customer costs each reservation a page of its own, in the log and in the file, more than all the rest of it
does. So it is noted in `fresh`, and ten thousand at a time are sorted by customer, so that those who come often cost
one page for all that they did, and filed in `filed` and `claims`, some with each flush: nobody waits for more than a
few of them. Only when all are filed are they taken out of `fresh`, some with each flush as well.
"""

from typing import Final

import apsw
import msgspec

FRESH: Final = 10_000
"""File reservations when so many aren't."""
STEP: Final = 256
"""So many are filed, or forgotten, at once."""
_PACE: Final = 3
"""For each reservation made, so many are filed or forgotten: each has to be both, and it mustn't fall behind."""

_COUNT: Final = "SELECT coalesce((SELECT max(place) FROM fresh) - (SELECT min(place) FROM fresh) + 1, 0)"
_SELECT: Final = """
    SELECT json_group_array(json_array(user_id, reservation_id, idem_key)), min(place), max(place) FROM fresh"""
_FILE: Final = "INSERT OR IGNORE INTO filed SELECT value ->> 0, value ->> 1 FROM json_each(?)"
_FILE_KEYS: Final = """
    INSERT OR IGNORE INTO claims SELECT value ->> 0, 'idem:' || (value ->> 2), value ->> 1 FROM json_each(?)
    WHERE value ->> 2 IS NOT NULL"""
_FORGET: Final = "DELETE FROM fresh WHERE place < ?"

Row = tuple[str, str, str | None]
_decode = msgspec.json.Decoder(list[Row]).decode


class _Pile:
    """What is being filed: rows by customer, those filed so far, and the places from `forgotten` to `last`."""

    __slots__ = ("filed", "forgotten", "last", "rows")

    def __init__(self, rows: list[Row], first: int, last: int) -> None:
        self.rows = rows
        self.filed = 0
        self.forgotten = first
        self.last = last

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.filed >= len(self.rows) and self.forgotten >= self.last


class Filing:
    """One process's filing. `prepare` is for any thread and a connection of its own; the rest is the writer's.

    Whatever was begun may be begun again, after a crash or by another process at the same time: a reservation that is
    filed twice, or both filed and fresh, means nothing.
    """

    def __init__(self, *, at_least: int = FRESH, step: int = STEP) -> None:
        self._at_least = at_least
        self._step = step
        self._pile: _Pile | None = None
        self._after: tuple[int, int] | None = None
        self._owed = 0

    @property
    def busy(self) -> bool:
        """Whether something is being filed."""
        return self._pile is not None

    def prepare(self, connection: apsw.Connection) -> None:
        """Pile up what isn't filed, if that is much and nothing is being filed."""
        if self._pile is None and connection.execute(_COUNT).get >= self._at_least:
            text, first, last = connection.execute(_SELECT).get
            rows = _decode(text)
            rows.sort(key=_by_customer)
            self._pile = _Pile(rows, first, last)

    def begin(self) -> None:
        """A transaction begins: what an earlier one did that didn't come to its end doesn't count."""
        self._after = None

    def go_on(self, connection: apsw.Connection, made: int) -> None:
        """Within a transaction that made so many reservations, file or forget some; `committed` makes it count."""
        pile = self._pile
        if pile is None:
            return
        self._owed += _PACE * made
        filed, forgotten = pile.filed, pile.forgotten
        while self._owed >= self._step:
            self._owed -= self._step
            if filed < len(pile.rows):
                _file(connection, pile.rows[filed : filed + self._step])
                filed += self._step
            elif forgotten < pile.last:
                # Never the last one: its place must not be used again.
                forgotten = min(forgotten + self._step, pile.last)
                connection.execute(_FORGET, (forgotten,))
        self._after = (filed, forgotten)

    def committed(self) -> None:
        """The transaction is durable."""
        if self._after is None or self._pile is None:
            return
        self._pile.filed, self._pile.forgotten = self._after
        self._after = None
        if self._pile.over:
            self._pile = None


def _file(connection: apsw.Connection, some: list[Row]) -> None:
    text = msgspec.json.encode(some).decode()
    connection.execute(_FILE, (text,))
    if any(key is not None for _, _, key in some):
        connection.execute(_FILE_KEYS, (text,))


def _by_customer(row: Row) -> tuple[str, str]:
    return row[0], row[1]
