"""Background work for the SQLite writer: WAL checkpoints, and preparing batches for the deferred customer index.

By default, SQLite runs a checkpoint within the commit that makes its write-ahead log 1,000 pages long. All requests of
that commit then wait for two more syncs and thousands of small writes. Here a thread with a connection of its own runs
the checkpoints, so that no request waits, and less often, so that a page that changes many times is copied once. SQLite
restarts the log only if all of it is in the database file at the instant of a commit. Under load new pages always come,
so the writer itself copies the last ones.
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
"""Pages in the log (8 MiB) at which the thread starts work. With more, syncs take so long that commits have to wait."""
PAGES_MAX: Final = 16_000
"""Pages in the log at which the writer runs a checkpoint itself, because the thread is too slow or fails."""

TICK_S: Final = 0.5
"""How often the files are checked, and how often the pulse becomes due."""

_REST_MAX: Final = 250
"""Pages that may be left to the writer."""
_PASSES_MAX: Final = 5

_log = structlog.get_logger(__name__)


class Maintenance:
    """Watches the log of `writer`, and works on a thread of its own with `own`, a connection that nothing else uses.

    `close` closes `own`.
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
        """Stop the thread, and wait until it has ended."""
        self._closed = True
        self._wanted.set()
        self._thread.join()

    def _after_commit(self, writer: apsw.Connection, _database: str, pages: int) -> int:
        """Runs on the writer's thread after each commit. A failure here is retried and doesn't fail the commit."""
        if pages < self._pages:  # The log was restarted, after a checkpoint by another process.
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
            self._wanted.clear()  # cleared before the state is read, so that no later signal is lost
            if self._closed:
                break
            self._pulse.due = True
            self._files.look()
            if wanted and not self._nearly_copied and not self._files.lost:
                self._prepare_index()
                self._nearly_copied = self._copy_nearly_all()
        self._own.close()

    def _prepare_index(self) -> None:
        try:
            with store_errors("indexing reservations by customer"):
                self._indexer.prepare(self._own)
        except Exception as error:  # noqa: BLE001 - rows can be indexed later
            _log.warning("reservations not indexed by customer", error=str(error))

    def _copy_nearly_all(self) -> bool:
        """Whether few pages are left. Each pass copies the pages that were written during the pass before."""
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
            self._pulse.note_log_is_copied()
        return rest


def copy_log(connection: apsw.Connection) -> int | None:
    """Run a passive checkpoint, which waits for nobody. Returns how many pages are left; None if it failed."""
    try:
        with store_errors("copying the log"):
            pages, copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except Exception as error:  # noqa: BLE001 - a longer log does no harm
        _log.debug("log not copied", error=str(error))
        return None
    return int(pages - copied)
