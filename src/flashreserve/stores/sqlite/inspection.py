"""Inspection of a database file, without changing it."""

from pathlib import Path
from typing import Final

import apsw
import msgspec

from flashreserve.stores.sqlite import rows
from flashreserve.stores.sqlite.admission import admitted_to_read
from flashreserve.stores.sqlite.connection import connect, store_errors
from flashreserve.stores.sqlite.schema import MIGRATIONS, version_of

FAULTS_MAX: Final = 10
"""Faults of a file that are reported."""

SAFE_SQLITE: Final = 3_051_003
"""The first version of SQLite (3.51.3) whose log is safe when several processes write."""


class FileInspection(msgspec.Struct, frozen=True):
    """A database file's state.

    `version` is the version of its tables, `newest_version` the one that this program writes. `faults` are the findings
    of SQLite's quick check. `newest_at` is when the newest reservation was made, in UTC milliseconds. `unreadable` are
    the ids of some reservations that can't be read or released.
    """

    version: int
    newest_version: int
    journal_mode: str
    faults: list[str]
    newest_at: int | None
    unreadable: list[str]


def sqlite_version() -> tuple[str, bool]:
    """SQLite's version, and whether it is safe to use."""
    return apsw.sqlite_lib_version(), apsw.SQLITE_VERSION_NUMBER >= SAFE_SQLITE


def inspect_sqlite(path: Path) -> FileInspection:
    """Inspect the file, which reads all of it.

    Raises:
        StoreUnavailableError: the file is missing, empty, unreadable, another application's, or of a newer version.
    """
    with admitted_to_read(path):
        connection = connect(path, "read")
    try:
        with store_errors(str(path)):
            version = version_of(connection)
            found = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({FAULTS_MAX})")]
            return FileInspection(
                version=version,
                newest_version=len(MIGRATIONS),
                journal_mode=str(connection.pragma("journal_mode")),
                faults=[] if found == ["ok"] else found,
                newest_at=_newest_at(connection) if version else None,
                unreadable=_unreadable(connection) if version else [],
            )
    finally:
        connection.close()


def _newest_at(connection: apsw.Connection) -> int | None:
    row = connection.execute("SELECT created_at FROM reservations ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else int(row[0])


def _unreadable(connection: apsw.Connection) -> list[str]:
    return [str(id_) for id_, _ in connection.execute(rows.SELECT_UNREADABLE, (FAULTS_MAX,))]
