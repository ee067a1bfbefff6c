"""The generation: a counter in the database header that tells which log belongs to which file.

SQLite's write-ahead log doesn't name its database. A backup that is copied over the database while an old log lies
beside it gets the log's pages all the same, and the books are corrupt. So the header counts generations, in the same
32-bit field as the version of the tables (`PRAGMA user_version`): a write advances it when `Pulse` says so, at most
twice a second. A log begins at most one generation after its file and ends at most at its own last generation, so a
file outside that range isn't the log's (`opening.py`).
"""

from typing import Final

import apsw

_VERSIONS: Final = 1 << 7
"""The lower 7 bits of the field are the version of the tables."""

GENERATIONS: Final = 1 << 24
"""Generations are counted modulo this: two a second last for 97 days."""


def version_in(field: int) -> int:
    """The version of the tables in the field."""
    return field % _VERSIONS


def generation_in(field: int) -> int:
    """The generation in the field."""
    return field // _VERSIONS % GENERATIONS


def field_of(version: int, generation: int) -> int:
    """Both in one field."""
    return generation % GENERATIONS * _VERSIONS + version


def lies_within(generation: int, first: int, last: int) -> bool:
    """Whether it is one of the generations from `first` to `last`."""
    return (generation - first) % GENERATIONS <= (last - first) % GENERATIONS


class Pulse:
    """When the next generation begins: with the first write after `due` was set by a clock, a failure or a new log.

    A store whose pulse isn't due has written since the clock last set it. One writer uses it; any thread may set `due`.
    """

    def __init__(self) -> None:
        self.due = True
        self._advanced = False
        self._log_is_home = False

    def begin(self) -> None:
        """A transaction begins."""
        self._advanced = self._log_is_home = False

    def note_log_is_home(self) -> None:
        """All of the log is in the file: the next commit begins it anew, and has to say which file it is of."""
        self._log_is_home = self.due = True

    def advance(self, connection: apsw.Connection) -> None:
        """Begin a generation within a transaction. It writes the file's first page and no table."""
        field = int(connection.pragma("user_version"))
        connection.pragma("user_version", field_of(version_in(field), generation_in(field) + 1))
        self._advanced = True

    def committed(self) -> None:
        """The transaction is durable."""
        if self._advanced:
            self.due = self._log_is_home
