"""The generation: a counter in the database header that tells which log belongs to which file.

SQLite's write-ahead log doesn't name its database. If a backup is copied over the database while an old log lies beside
it, SQLite applies the log's pages to the backup and corrupts it. So the header has a generation, in the same 32-bit
field as the version of the tables (`PRAGMA user_version`). A write advances it when `Pulse` is due, at most twice a
second. A log's first generation is at most one after that of its file, and the file is never ahead of the log's last
generation. So a file outside that range belongs to another log (`admission.py`).
"""

from typing import Final

import apsw

from flashreserve.stores.port import StoreUnavailableError

_VERSIONS: Final = 1 << 7
"""The lower 7 bits of the field are the version of the tables."""

GENERATIONS: Final = 1 << 24
"""Generations are counted modulo this number. At two a second they repeat after 97 days."""


def version_in(field: int) -> int:
    """The version of the tables in the field."""
    return field % _VERSIONS


def generation_in(field: int) -> int:
    """The generation in the field."""
    return field // _VERSIONS % GENERATIONS


def field_of(version: int, generation: int) -> int:
    """The field that has both."""
    return generation % GENERATIONS * _VERSIONS + version


def lies_within(generation: int, first: int, last: int) -> bool:
    """Whether `generation` is one of those from `first` to `last`."""
    return (generation - first) % GENERATIONS <= (last - first) % GENERATIONS


class Pulse:
    """Decides when the next generation begins: with the first write after `due` was set.

    The maintenance thread sets `due` at each tick; a failed write and a new log set it too. So if `due` isn't set, the
    store has written successfully since the last tick. One writer uses the pulse; any thread may set `due`.

    `version` is the version of the tables that this program knows. Advancing reads the field anyway, so it also refuses
    a file that a newer program has migrated meanwhile. After that, every write is refused, because `due` stays set.
    """

    def __init__(self, version: int) -> None:
        self._version = version
        self.due = True
        self._advanced = False
        self._log_is_copied = False

    def begin(self) -> None:
        """Begin a transaction."""
        self._advanced = self._log_is_copied = False

    def note_log_is_copied(self) -> None:
        """Note that the whole log is in the file. The next commit restarts the log, so it must begin a generation."""
        self._log_is_copied = self.due = True

    def advance(self, connection: apsw.Connection) -> None:
        """Begin a generation, within a transaction. It writes the file's first page and no table.

        Raises:
            StoreUnavailableError: the tables have another version. The transaction must be rolled back.
        """
        field = int(connection.pragma("user_version"))
        if version_in(field) != self._version:
            raise StoreUnavailableError(
                f"the database was brought up to version {version_in(field)} meanwhile, and this process knows"
                f" {self._version}: stop it, and start the newer FlashReserve"
            )
        connection.pragma("user_version", field_of(version_in(field), generation_in(field) + 1))
        self._advanced = True

    def committed(self) -> None:
        """Note that the transaction is durable."""
        if self._advanced:
            self.due = self._log_is_copied
