"""What is done beside the writer, so that nobody waits: bringing the log home, and piling up what is to be filed.

SQLite by itself copies the pages of its write-ahead log into the database file within the commit that makes the log a
thousand pages long, and everybody who waits for that commit waits for two more syncs and thousands of small writes.
Here it is done by a thread with a connection of its own, and less often, so that a page that changes again and again is
copied once. The log begins anew only when all of it is home at the instant of a commit; under load there is always a
bit more, so the last bit is the writer's.
"""

import threading
from typing import Final

import apsw
import structlog

from flashreserve.stores.sqlite.connection import store_errors
from flashreserve.stores.sqlite.customer_index import CustomerIndexer
from flashreserve.stores.sqlite.files import DatabaseFiles
from flashreserve.stores.sqlite.generation import Pulse

PAGES: Final = 2_000
"""Look after things when the log has so many (8 MiB). With more, syncs take so long that commits have to wait."""
PAGES_MAX: Final = 16_000
"""The writer copies the log by itself when it has so many, because the thread doesn't keep up, or can't."""

TICK_S: Final = 0.5
"""How often to look whether the files are still there, and how often the pulse becomes due."""

_REST_MAX: Final = 250
"""Leave no more pages than so many to the writer."""
_PASSES_MAX: Final = 5

_log = structlog.get_logger(__name__)


class Maintenance:
    """Watches the log of `writer`, and works with `own`, a connection that nobody else uses, on a thread of its own.

    Closing it closes `own`.
    """

    def __init__(
        self,
        writer: apsw.Connection,
        own: apsw.Connection,
        indexer: CustomerIndexer,
        pulse: Pulse,
        files: DatabaseFiles,
    ) -> None:
        self._own = own
        self._indexer = indexer
        self._pulse = pulse
        self._files = files
        self._pages = 0
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
        if pages < self._pages:  # The log began anew, and another process had copied it.
            self._pulse.due = True
        self._pages = pages
        if pages < PAGES:
            return apsw.SQLITE_OK
        if self._nearly_copied or pages >= PAGES_MAX:
            self._nearly_copied = False
            self._copy(writer)
        else:
            self._wanted.set()
        return apsw.SQLITE_OK

    def _serve(self) -> None:
        while True:
            wanted = self._wanted.wait(TICK_S)
            self._wanted.clear()  # before the look at what was set before it
            if self._closed:
                break
            self._pulse.due = True
            self._files.look()
            if wanted and not self._nearly_copied and not self._files.lost:
                self._prepare_filing()
                self._nearly_copied = self._copy_nearly_all()
        self._own.close()

    def _prepare_filing(self) -> None:
        try:
            with store_errors("filing"):
                self._indexer.prepare(self._own)
        except Exception as error:  # noqa: BLE001 - nothing is lost by filing later
            _log.warning("reservations not filed by customer", error=str(error))

    def _copy_nearly_all(self) -> bool:
        """Whether there is little left. Each pass copies what was written during the last."""
        for _ in range(_PASSES_MAX):
            rest = self._copy(self._own)
            if rest is None or self._closed:
                return False
            if rest <= _REST_MAX:
                return True
        return False

    def _copy(self, connection: apsw.Connection) -> int | None:
        rest = copy_log(connection)
        if rest == 0:
            self._pulse.note_log_is_home()
        return rest


def copy_log(connection: apsw.Connection) -> int | None:
    """Copy what can be copied without waiting for anybody; how many pages are left, None where another copies."""
    try:
        with store_errors("copying the log"):
            pages, copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except Exception as error:  # noqa: BLE001 - nothing is lost by a longer log
        _log.debug("log not copied", error=str(error))
        return None
    return int(pages - copied)
