"""The deferred customer index: lookup from customer to reservations and idempotency keys.

If the index were filled at once, each reservation would write a page of its own, in the log and in the file. That costs
more than the rest of the reservation. So new rows are appended to the table `fresh` in arrival order. Once 20,000
are unindexed, they are sorted by customer, so that all rows of one customer share a page, and copied to the tables
`filed` and `claims`, a small batch with each flush. When all are copied, they are deleted from `fresh`, also in small
batches. So no flush takes long.
"""

from typing import Any, Final

import apsw

UNINDEXED_MIN: Final = 20_000
"""Index reservations by customer once this many are unindexed."""
STEP: Final = 256
"""Reservations in one batch that is indexed, or deleted from `fresh`."""
_PACE: Final = 3
"""Rows indexed or deleted for each new reservation. Each row needs both steps, so fewer than 2 would fall behind."""

_COUNT: Final = "SELECT coalesce((SELECT max(place) FROM fresh) - (SELECT min(place) FROM fresh) + 1, 0)"
# SQLite sorts, because it doesn't hold the interpreter's lock, which requests need.
_SELECT: Final = """
    SELECT json_group_array(place), count(idem_key), min(place), max(place)
    FROM (
        SELECT place, idem_key, (row_number() OVER (ORDER BY user_id, reservation_id) - 1) / ? AS part FROM fresh
    )
    GROUP BY part ORDER BY part"""
_INDEX: Final = """
    INSERT OR IGNORE INTO filed (user_id, reservation_id, counts_until)
    SELECT user_id, reservation_id, counts_until
    FROM json_each(?) AS part CROSS JOIN fresh ON fresh.place = part.value"""
_INDEX_KEYS: Final = """
    INSERT OR IGNORE INTO claims (user_id, claim, reservation_id)
    SELECT user_id, 'idem:' || idem_key, reservation_id
    FROM json_each(?) AS part CROSS JOIN fresh ON fresh.place = part.value WHERE idem_key IS NOT NULL"""
_DELETE: Final = "DELETE FROM fresh WHERE place < ?"


class _IndexRun:
    """The rows that are being indexed, in batches.

    Each of `parts` is one batch: its places in `fresh` as JSON, and how many of its rows have keys. The first `indexed`
    batches are in the index. The places from `deleted` to `last` have still to be deleted from `fresh`.
    """

    __slots__ = ("deleted", "indexed", "last", "parts")

    def __init__(self, parts: list[tuple[str, int]], first: int, last: int) -> None:
        self.parts = parts
        self.indexed = 0
        self.deleted = first
        self.last = last

    @property
    def over(self) -> bool:
        """Whether all rows are indexed and deleted."""
        return self.indexed >= len(self.parts) and self.deleted >= self.last


class CustomerIndexer:
    """Fills the customer index for one process.

    `prepare` may run on any thread, with a connection of its own. The other methods are for the writer's thread.

    Work may be repeated after a crash, or done by two processes at the same time: it does no harm if a reservation is
    indexed twice, or if a row is both in the index and in `fresh`.
    """

    def __init__(self, *, at_least: int = UNINDEXED_MIN, step: int = STEP) -> None:
        self._at_least = at_least
        self._step = step
        self._run: _IndexRun | None = None
        self._after: tuple[int, int] | None = None
        self._owed = 0

    @property
    def busy(self) -> bool:
        """Whether rows are being indexed."""
        return self._run is not None

    def prepare(self, connection: apsw.Connection) -> None:
        """Prepare the batches to index, if enough rows are unindexed and none are being indexed."""
        if self._run is None and connection.execute(_COUNT).get >= self._at_least:
            found: list[Any] = connection.execute(_SELECT, (self._step,)).fetchall()
            firsts, lasts = zip(*((first, last) for _, _, first, last in found), strict=True)
            self._run = _IndexRun([(text, keys) for text, keys, _, _ in found], min(firsts), max(lasts))

    def begin(self) -> None:
        """Begin a transaction. The progress of an earlier one that wasn't committed is dropped."""
        self._after = None

    def go_on(self, connection: apsw.Connection, made: int) -> None:
        """Index or delete some rows in a transaction that made `made` reservations; `committed` keeps the progress."""
        run = self._run
        if run is None:
            return
        self._owed += _PACE * made
        indexed, deleted = run.indexed, run.deleted
        while self._owed >= self._step:
            self._owed -= self._step
            if indexed < len(run.parts):
                text, keys = run.parts[indexed]
                connection.execute(_INDEX, (text,))
                if keys:
                    connection.execute(_INDEX_KEYS, (text,))
                indexed += 1
            elif deleted < run.last:
                # The last row stays, so that SQLite never assigns its place again.
                deleted = min(deleted + self._step, run.last)
                connection.execute(_DELETE, (deleted,))
        self._after = (indexed, deleted)

    def committed(self) -> None:
        """Record the progress: the transaction is durable."""
        if self._after is None or self._run is None:
            return
        self._run.indexed, self._run.deleted = self._after
        self._after = None
        if self._run.over:
            self._run = None
