"""How a connection is opened, and what SQLite's errors mean here."""

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
"""How long to wait, about, for another process that writes: less than the combiner's deadline, so that whoever waited
in vain is told that nothing was taken."""
_BUSY_STEP_S: Final = 0.0005

_PREPARED_MAX: Final = 512
"""Statements that stay prepared: those that write many rows are one for each number of rows."""

Access = Literal["create", "write", "read"]

_FLAGS: dict[Access, int] = {
    "create": apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE,
    "write": apsw.SQLITE_OPEN_READWRITE,
    "read": apsw.SQLITE_OPEN_READONLY,
}


def connect(path: Path, access: Access, busy_wait_s: float = BUSY_WAIT_S) -> apsw.Connection:
    """Open the file; only `create` makes one that isn't there. Nothing in a file that is there changes.

    Raises:
        StoreUnavailableError: the file is missing, unreadable, or no database.
    """
    with store_errors(str(path)):
        connection = apsw.Connection(str(path), flags=_FLAGS[access], statementcachesize=_PREPARED_MAX)
        connection.set_busy_handler(partial(wait_while_busy, busy_wait_s))
        connection.pragma("synchronous", "FULL")
        connection.pragma("foreign_keys", "ON")
        connection.pragma("temp_store", "MEMORY")  # an INSERT of a hundred rows would keep its undo log in a file
        connection.pragma("cache_size", -65_536)  # KiB, since it is negative
        connection.pragma("mmap_size", 0)  # a truncated map would be a crash instead of an error
    return connection


def use_wal(connection: apsw.Connection, busy_wait_s: float) -> None:
    """Write to a log beside the file from now on, as every later connection will.

    Every commit is durable when it returns: with synchronous=FULL the log is synced before the commit returns.

    Raises:
        StoreUnavailableError: the file system can't share memory between processes, which the log needs.
        apsw.BusyError: another process kept the file to itself for about `busy_wait_s`, or twice as long.
    """
    until = time.monotonic() + busy_wait_s
    while True:
        try:
            mode = connection.pragma("journal_mode", "WAL")
        except apsw.BusyError:
            # Depending on what the other does, SQLite has asked the busy handler, which waits itself, or hasn't.
            if time.monotonic() >= until:
                raise
            _wait_a_step()
        else:
            break
    if mode != "wal":
        raise StoreUnavailableError("the database's file system doesn't support SQLite's write-ahead log")


def wait_while_busy(wait_s: float, tries: int) -> bool:
    """Look again soon, for as long as `wait_s`.

    SQLite's own handler sleeps longer and longer, up to 100 ms, and so starves beside a process that writes all the
    time.
    """
    _wait_a_step()
    return tries * _BUSY_STEP_S < wait_s


def _wait_a_step() -> None:
    select.select((), (), (), _BUSY_STEP_S)  # time.sleep fails where libfaketime sets the clock, as tests do


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Turn SQLite's errors into the port's: the database is away, locked, full or broken, or we made a mistake.

    Whatever is raised inside a transaction has rolled it back.
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
