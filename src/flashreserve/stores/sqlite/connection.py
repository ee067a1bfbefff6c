"""Opening a connection, and translating SQLite's errors to the port's."""

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Literal

import apsw

from flashreserve.stores.port import StoreDefectError, StoreUnavailableError

BUSY_WAIT_S: Final = 2.5
"""About how long to wait for the write lock. It is less than the combiner's deadline, so that a caller who didn't get
the lock is told that nothing was taken."""
_BUSY_STEP_S: Final = 0.0005

_PREPARED_MAX: Final = 512
"""Size of the cache of prepared statements. A statement that writes many rows has one entry for each number of rows."""

Access = Literal["create", "write", "read"]

_FLAGS: dict[Access, int] = {
    "create": apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE,
    "write": apsw.SQLITE_OPEN_READWRITE,
    "read": apsw.SQLITE_OPEN_READONLY,
}


def connect(path: Path, access: Access, busy_wait_s: float = BUSY_WAIT_S) -> apsw.Connection:
    """Open the file; only `create` creates a missing one. An existing file isn't changed.

    Raises:
        StoreUnavailableError: the file is missing, unreadable, or no database.
    """
    with store_errors(str(path)):
        connection = apsw.Connection(str(path), flags=_FLAGS[access], statementcachesize=_PREPARED_MAX)
        connection.set_busy_handler(partial(wait_while_busy, busy_wait_s))
        connection.pragma("synchronous", "FULL")
        connection.pragma("foreign_keys", "ON")
        connection.pragma("temp_store", "MEMORY")  # otherwise an INSERT of a hundred rows writes its undo log to a file
        connection.pragma("cache_size", -65_536)  # negative, so in KiB
        # Overwrites what is deleted, in pages that are written anyway: persons who are erased leave no copy behind.
        connection.pragma("secure_delete", "FAST")
        connection.pragma("mmap_size", 0)  # with a map, a truncated file is a crash, not an error
    return connection


def use_wal(connection: apsw.Connection, busy_wait_s: float) -> None:
    """Switch the file to SQLite's write-ahead log, for this connection and all later ones.

    Every commit is durable when it returns: with synchronous=FULL the log is synced first.

    Raises:
        StoreUnavailableError: the file system can't share memory between processes, which the log needs.
        apsw.BusyError: another process kept the file locked for about `busy_wait_s`, or twice as long.
    """
    until = time.monotonic() + busy_wait_s
    while True:
        try:
            mode = connection.pragma("journal_mode", "WAL")
        except apsw.BusyError:
            # SQLite calls the busy handler, which waits, for some locks of the other process but not for all.
            if time.monotonic() >= until:
                raise
            _wait_a_step()
        else:
            break
    if mode != "wal":
        raise StoreUnavailableError("the database's file system doesn't support SQLite's write-ahead log")


def wait_while_busy(wait_s: float, tries: int) -> bool:
    """Busy handler: sleep for a short step, and return whether to retry. It retries for about `wait_s`.

    SQLite's own handler sleeps longer each time, up to 100 ms, so it starves while another process writes all the time.
    """
    _wait_a_step()
    return tries * _BUSY_STEP_S < wait_s


def _wait_a_step() -> None:
    select.select((), (), (), _BUSY_STEP_S)  # unlike time.sleep, it works under libfaketime, which tests use


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Translate SQLite's errors to the port's.

    A database that is missing, locked, full or corrupt is `StoreUnavailableError`; a mistake of ours is
    `StoreDefectError`. An error inside a transaction rolls the transaction back.
    """
    try:
        yield
    except (
        apsw.BusyError,
        apsw.CantOpenError,
        apsw.ConnectionClosedError,
        apsw.CorruptError,
        apsw.FullError,
        apsw.IOError,
        apsw.LockedError,
        apsw.NotADBError,
        apsw.PermissionsError,
        apsw.ProtocolError,
        apsw.ReadOnlyError,
    ) as error:
        raise StoreUnavailableError(f"{what}: {error}") from error
    except apsw.Error as error:
        raise StoreDefectError(f"{what}: {error}") from error
