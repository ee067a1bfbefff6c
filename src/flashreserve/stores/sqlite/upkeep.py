"""What is done beside the writer, so that nobody waits for it: bringing the log home, and filing new reservations.

**The log.** SQLite by itself copies the pages of its write-ahead log into the database file within the commit that
makes the log a thousand pages long, and everybody who waits for that commit waits for two more syncs and thousands of
small writes. Here it is done by a thread with a connection of its own, and less often, so that a page that changes
again and again is copied once. The log begins anew only when all of it is home at the instant of a commit; under load
there is always a bit more, so the last bit is the writer's.

**Filing.** An index by customer costs each reservation a page of its own, in the log and in the file, more than all the
rest of it does. So they are noted in the order of their arrival, and filed by customer many at a time.
"""

import threading
from collections.abc import Callable
from typing import Final

import apsw
import structlog

from flashreserve.stores.sqlite.connection import store_errors

PAGES: Final = 2000
"""Look after things when the log has so many (8 MiB). With more, syncs take so long that commits have to wait."""
PAGES_MAX: Final = 16_000
"""The writer copies the log by itself when it has so many, because the thread doesn't keep up, or can't."""

FRESH: Final = 10_000
"""File reservations when so many aren't."""
FILED_AT_ONCE: Final = 500

_REST_MAX: Final = 250
"""Leave no more pages than so many to the writer."""
_PASSES_MAX: Final = 5

_COUNT: Final = "SELECT coalesce((SELECT max(place) FROM fresh) - (SELECT min(place) FROM fresh) + 1, 0)"
# Sorted by SQLite, outside the interpreter's lock, which the requests need.
_SORT: Final = """
    CREATE TEMP TABLE pile AS
    SELECT user_id, reservation_id, idem_key, place FROM fresh ORDER BY user_id, reservation_id"""
_FILE: Final = (
    "INSERT OR IGNORE INTO filed SELECT user_id, reservation_id FROM temp.pile WHERE rowid BETWEEN ?1 AND ?2",
    """INSERT OR IGNORE INTO claims SELECT user_id, 'idem:' || idem_key, reservation_id FROM temp.pile
    WHERE rowid BETWEEN ?1 AND ?2 AND idem_key IS NOT NULL""",
)
_ENDS: Final = "SELECT min(place), max(place) FROM temp.pile"
_FORGET: Final = "DELETE FROM fresh WHERE place < ?"
_DROP: Final = "DROP TABLE IF EXISTS temp.pile"

_log = structlog.get_logger(__name__)


class Upkeep:
    """Watches the log of `writer`, and works with `own`, a connection that nobody else uses, on a thread of its own.

    Closing it closes `own`.
    """

    def __init__(self, writer: apsw.Connection, own: apsw.Connection) -> None:
        self._own = own
        self._wanted = threading.Event()
        self._nearly_copied = False
        self._closed = False
        own.pragma("wal_autocheckpoint", 0)
        writer.set_wal_hook(self._after_commit)
        self._thread = threading.Thread(target=self._serve, name="sqlite-upkeep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait until it has."""
        self._closed = True
        self._wanted.set()
        self._thread.join()

    def _after_commit(self, writer: apsw.Connection, _database: str, pages: int) -> int:
        """On the writer's thread, after each commit. What fails here is tried again, and is no fault of the commit."""
        if pages < PAGES:
            return apsw.SQLITE_OK
        if self._nearly_copied or pages >= PAGES_MAX:
            self._nearly_copied = False
            copy_log(writer)
        else:
            self._wanted.set()
        return apsw.SQLITE_OK

    def _serve(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()  # before the look at what was set before it
            if self._closed:
                break
            if not self._nearly_copied:
                file_fresh(self._own, lambda: self._closed)
                self._nearly_copied = self._copy_nearly_all()
        self._own.close()

    def _copy_nearly_all(self) -> bool:
        """Whether there is little left. Each pass copies what was written during the last."""
        for _ in range(_PASSES_MAX):
            rest = copy_log(self._own)
            if rest is None or self._closed:
                return False
            if rest <= _REST_MAX:
                return True
        return False


def copy_log(connection: apsw.Connection) -> int | None:
    """Copy what can be copied without waiting for anybody; how many pages are left, None where another copies."""
    try:
        with store_errors("copying the log"):
            pages, copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except Exception as error:  # noqa: BLE001 - nothing is lost by a longer log
        _log.debug("log not copied", error=str(error))
        return None
    return int(pages - copied)


def file_fresh(
    connection: apsw.Connection, stop: Callable[[], bool], *, at_least: int = FRESH, at_once: int = FILED_AT_ONCE
) -> int:
    """File the reservations that aren't, if there are as many as `at_least`; how many were.

    `at_once` of them in one transaction, for which flushes have to wait; after each, `stop` says whether to go on.
    By customer, so that those who come often cost one page for all that they did. A reservation may be filed twice, or
    be both filed and fresh, after a crash or by two processes at once: that means nothing.
    """
    filed = 0
    try:
        with store_errors("filing"):
            if connection.execute(_COUNT).get < at_least:
                return 0
            connection.execute(_DROP)
            connection.execute(_SORT)
            try:
                filed = _file_pile(connection, stop, at_once)
            finally:
                connection.execute(_DROP)
    except Exception as error:  # noqa: BLE001 - nothing is lost by filing later
        _log.warning("reservations not filed by customer", error=str(error))
    return filed


def _file_pile(connection: apsw.Connection, stop: Callable[[], bool], at_once: int) -> int:
    """File what was sorted, a bit at a time, and only when all of it is filed forget that it was fresh."""
    first, last = connection.execute(_ENDS).get
    total = connection.execute("SELECT max(rowid) FROM temp.pile").get
    for start in range(1, total + 1, at_once):
        if stop():
            return start - 1
        _file(connection, start, start + at_once - 1)
    for place in range(first, last, at_once):
        # Never the last one: its place must not be used again.
        connection.execute(_FORGET, (min(place + at_once, last),))
    return int(total)


def _file(connection: apsw.Connection, first: int, last: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _FILE:
            connection.execute(statement, (first, last))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
