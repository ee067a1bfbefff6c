"""Checks before a database is opened: its files can be written, and its log is there and belongs to it.

SQLite applies the write-ahead log that lies beside a database file, even if the log was written for another file. After
a crash that is right, but it corrupts a backup that was copied over the database. The generations tell the two cases
apart (`generation.py`), provided that no other process has the database open. SQLite's exclusive locking mode shows
whether one has, without changing the file.
"""

import fcntl
import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from flashreserve.stores.port import StoreReadOnlyError, StoreUnavailableError
from flashreserve.stores.sqlite.books import sum_up
from flashreserve.stores.sqlite.connection import store_errors, wait_while_busy
from flashreserve.stores.sqlite.generation import lies_within, version_in
from flashreserve.stores.sqlite.header import APPLICATION_ID, LogSpan, log_of, read_header, read_log, shared_of
from flashreserve.stores.sqlite.schema import MIGRATIONS

OPENING_WAIT_S: Final = 10.0
"""How long to wait while another process opens the database."""
_STEP_S: Final = 0.005


@contextmanager
def admitted(path: Path, busy_wait_s: float, *, create: bool) -> Iterator[None]:
    """Context in which the database may be opened for writing. Only one process is inside at a time.

    It refuses a database that must not be opened. It admits a missing file, unless there is a log of it, and an empty
    file only with `create`.

    Raises:
        StoreReadOnlyError: the file, its log or its directory can't be written.
        StoreUnavailableError: the log is another file's, or is missing while other processes have the file open; or
            the file is empty.
    """
    with _one_at_a_time(path):
        _admit(path, busy_wait_s, create=create)
        yield


@contextmanager
def admitted_to_read(path: Path) -> Iterator[None]:
    """Context in which the database may be opened for reading. Only one process is inside at a time.

    It admits a database whose log can't be checked because this process may not write.

    Raises:
        StoreUnavailableError: the log is another file's, or the file is empty.
    """
    with _one_at_a_time(path):
        with _system_errors(path):
            if not _size_of(path):
                refuse_orphaned_log(path)
                _refuse_empty(path)
            elif _size_of(log_of(path)) and unwritable_of(path) is None:
                _check_alone(path)
        yield


def _admit(path: Path, busy_wait_s: float, *, create: bool) -> None:
    """Refuse a database that must not be opened for writing.

    Raises:
        StoreReadOnlyError: the file, its log or its directory can't be written.
        StoreUnavailableError: the log is another file's, or is missing while other processes have the file open; or
            the file is empty.
    """
    with _system_errors(path):
        if not _size_of(path):
            refuse_orphaned_log(path)
            if not create:
                _refuse_empty(path)
            return
        unwritable = unwritable_of(path)
        if unwritable is not None:
            raise StoreReadOnlyError(f"{unwritable} can't be written by the user that runs this")
        for tries in itertools.count():
            if _check_alone(path) or (log_of(path).exists() and shared_of(path).exists()):
                return
            if not wait_while_busy(busy_wait_s, tries):
                raise StoreUnavailableError(
                    f"other processes have {path} open, but its log (-wal) or shared memory (-shm) was removed:"
                    " stop them all in order, then start again"
                )


def unwritable_of(path: Path) -> Path | None:
    """The first of the database's files, then of its directory, that this process can't write; None if it can."""
    parts = [each for each in (path, log_of(path), shared_of(path)) if each.exists()]
    return next((each for each in (*parts, path.resolve().parent) if not os.access(each, os.W_OK)), None)


def refuse_orphaned_log(path: Path) -> None:
    """Refuse to create a database beside an old log: SQLite would delete the log and the reservations in it.

    Raises:
        StoreUnavailableError: there is such a log.
    """
    log = log_of(path)
    if read_log(log) is not None:
        raise StoreUnavailableError(
            f"there is a log, {log}, but not its database: put {path} back, or remove the log to begin anew"
        )


def _refuse_empty(path: Path) -> None:
    """Refuse a file of 0 bytes: SQLite would read it as a database without tables, but its content was lost."""
    if path.exists():
        raise StoreUnavailableError(
            f"{path.absolute()} is empty, so it is no database: put back the file that was there,"
            " or remove it, and let `flashreserve serve` make a new one"
        )


def _check_alone(path: Path) -> bool:
    """Check the log if no other process has the file open, and return whether none has. It doesn't wait.

    Raises:
        StoreUnavailableError: the log is another file's.
    """
    log = log_of(path)
    with store_errors(str(path)), _exclusive(path, keep_log=_size_of(log) > 0) as connection:
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").get  # noqa: B018 - takes the lock
        except apsw.BusyError:
            return False
        except apsw.CorruptError:
            _check_log(path, read_log(log), connection)  # Another file's log may have pages of the schema.
            raise
        _check_log(path, read_log(log), connection)
        return True


def _check_log(path: Path, span: LogSpan | None, connection: apsw.Connection) -> None:
    if span is None:
        return
    # Closing this descriptor drops all of this process's locks on the file (howtocorrupt.html, 2.2). The lock that
    # showed that no other process has the file open isn't needed any more.
    with path.open("rb") as file:
        header = read_header(file.fileno())
    if header is not None and header.application_id not in {0, APPLICATION_ID}:
        return  # `version_of` reports the other application.
    if header is None or header.page_bytes != span.page_bytes or not header.uses_log:
        raise StoreUnavailableError(_not_its_log(path))
    if span.first is None or span.last is None:
        _check_books(path, connection)
    elif not lies_within(header.generation, span.first - 1, span.last):
        generations = f"the file is of generation {header.generation}, the log of {span.first} to {span.last}"
        raise StoreUnavailableError(f"{_not_its_log(path)} ({generations})")


def _check_books(path: Path, connection: apsw.Connection) -> None:
    """Check the database with its log applied. For a log that is too short to have a generation."""
    faults = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)")]
    is_newest = version_in(int(connection.pragma("user_version"))) == len(MIGRATIONS)
    if faults != ["ok"] or (is_newest and sum_up(connection).differences):
        raise StoreUnavailableError(_not_its_log(path))


def _not_its_log(path: Path) -> str:
    log, shared = log_of(path).name, shared_of(path).name
    return (
        f"{log} is the log of another file than {path}: if that is a restored backup, remove {log} and {shared};"
        " if not, put back the file that the log belongs to"
    )


@contextmanager
def _exclusive(path: Path, *, keep_log: bool) -> Iterator[apsw.Connection]:
    """A connection in exclusive locking mode. With `keep_log`, closing it neither copies nor deletes the log."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(keep_log))
        # Set before the first read, so that SQLite keeps the index of the log in this process's memory, not in a file.
        connection.pragma("locking_mode", "EXCLUSIVE")
        yield connection
    finally:
        connection.close()


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Lock the database's directory, so that no other process opens the database meanwhile.

    So every process that has the file open went through these checks before. If the directory is missing or unreadable,
    no process can open the database, and nothing is locked.
    """
    try:
        directory = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        end_s = time.monotonic() + OPENING_WAIT_S
        while not _lock(directory):
            if time.monotonic() > end_s:
                raise StoreUnavailableError(f"another process has been opening {path} for {OPENING_WAIT_S:.0f} s")
            time.sleep(_STEP_S)
        yield
    finally:
        os.close(directory)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _system_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailableError(f"{path}: {error.strerror}") from error
