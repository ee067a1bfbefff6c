"""Filing: whose a reservation and its key are is noted in the order of arrival, and filed by customer later.

An index by customer costs each reservation a page of its own, in the log and in the file, more than all the rest of it
does. So it is noted in `fresh`, and twenty thousand at a time are sorted by customer, so that those who come often cost
one page for all that they did, and filed in `filed` and `claims`, some with each flush: nobody waits for more than a
few of them. Only when all are filed are they taken out of `fresh`, some with each flush as well.
"""

from typing import Any, Final

import apsw

FRESH: Final = 20_000
"""File reservations when so many aren't."""
STEP: Final = 256
"""So many are filed, or forgotten, at once."""
_PACE: Final = 3
"""For each reservation made, so many are filed or forgotten: each has to be both, and it mustn't fall behind."""

_COUNT: Final = "SELECT coalesce((SELECT max(place) FROM fresh) - (SELECT min(place) FROM fresh) + 1, 0)"
# Sorted by SQLite: outside the interpreter's lock, which requests need.
_SELECT: Final = """
    SELECT json_group_array(place), count(idem_key), min(place), max(place)
    FROM (
        SELECT place, idem_key, (row_number() OVER (ORDER BY user_id, reservation_id) - 1) / ? AS part FROM fresh
    )
    GROUP BY part ORDER BY part"""
_FILE: Final = """
    INSERT OR IGNORE INTO filed (user_id, reservation_id, counts_until)
    SELECT user_id, reservation_id, counts_until
    FROM json_each(?) AS part CROSS JOIN fresh ON fresh.place = part.value"""
_FILE_KEYS: Final = """
    INSERT OR IGNORE INTO claims (user_id, claim, reservation_id)
    SELECT user_id, 'idem:' || idem_key, reservation_id
    FROM json_each(?) AS part CROSS JOIN fresh ON fresh.place = part.value WHERE idem_key IS NOT NULL"""
_FORGET: Final = "DELETE FROM fresh WHERE place < ?"


class _Pile:
    """What is being filed: `parts` are places as JSON, and how many of them have keys; so many of them are `filed`.

    The places from `forgotten` to `last` have still to be forgotten.
    """

    __slots__ = ("filed", "forgotten", "last", "parts")

    def __init__(self, parts: list[tuple[str, int]], first: int, last: int) -> None:
        self.parts = parts
        self.filed = 0
        self.forgotten = first
        self.last = last

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.filed >= len(self.parts) and self.forgotten >= self.last


class CustomerIndexer:
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
            found: list[Any] = connection.execute(_SELECT, (self._step,)).fetchall()
            firsts, lasts = zip(*((first, last) for _, _, first, last in found), strict=True)
            self._pile = _Pile([(text, keys) for text, keys, _, _ in found], min(firsts), max(lasts))

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
            if filed < len(pile.parts):
                text, keys = pile.parts[filed]
                connection.execute(_FILE, (text,))
                if keys:
                    connection.execute(_FILE_KEYS, (text,))
                filed += 1
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
