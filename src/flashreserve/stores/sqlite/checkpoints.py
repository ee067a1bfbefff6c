"""Bringing the log home: pages of SQLite's write-ahead log are copied into the database file beside the writer.

SQLite by itself does it within the commit that makes the log a thousand pages long, and everybody who waits for that
commit waits for two more syncs and thousands of small writes. Here a thread with a connection of its own does nearly
all of it, and less often, so that a page that changes again and again is copied once. The log begins anew only when all
of it is home at the instant of a commit; under load there is always a bit more, so the last bit is the writer's.
"""

import threading
from typing import Final

import apsw
import structlog

from flashreserve.stores.sqlite.connection import store_errors

PAGES: Final = 8_000
"""Copy when the log has so many pages (32 MiB)."""
PAGES_MAX: Final = 32_000
"""The writer does it all by itself when the log has so many, because the thread doesn't keep up, or can't."""

_REST_MAX: Final = 500
"""Leave no more than so many pages to the writer."""
_PASSES_MAX: Final = 5

_log = structlog.get_logger(__name__)


class Checkpoints:
    """Watches the log of `writer`, and copies it with `helper`, which nobody else may use, on a thread of its own.

    Closing it closes `helper`.
    """

    def __init__(self, writer: apsw.Connection, helper: apsw.Connection) -> None:
        self._helper = helper
        self._wanted = threading.Event()
        self._nearly_done = False
        self._closed = False
        writer.set_wal_hook(self._after_commit)
        self._thread = threading.Thread(target=self._serve, name="sqlite-checkpoints", daemon=True)
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
        if self._nearly_done or pages >= PAGES_MAX:
            self._nearly_done = False
            self._copy(writer)
        else:
            self._wanted.set()
        return apsw.SQLITE_OK

    def _serve(self) -> None:
        while self._wanted.wait() and not self._closed:
            self._wanted.clear()
            if not self._nearly_done:
                self._nearly_done = self._copy_nearly_all()
        self._helper.close()

    def _copy_nearly_all(self) -> bool:
        """Whether there is little left. Each pass copies what was written during the last."""
        for _ in range(_PASSES_MAX):
            rest = self._copy(self._helper)
            if rest is None or self._closed:
                return False
            if rest <= _REST_MAX:
                return True
        return False

    def _copy(self, connection: apsw.Connection) -> int | None:
        """Copy what can be copied without waiting for anybody; how many pages are left, None where another copies."""
        try:
            with store_errors("copying the log"):
                pages, copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except Exception as error:  # noqa: BLE001 - nothing is lost by a longer log
            _log.debug("log not copied", error=str(error))
            return None
        return int(pages - copied)
