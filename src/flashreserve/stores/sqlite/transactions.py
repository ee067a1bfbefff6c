"""Transactions of one process: those that write, on the writer's thread, and reads on the reader's."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import apsw

from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError
from flashreserve.stores.sqlite.connection import store_errors
from flashreserve.stores.sqlite.customer_index import CustomerIndexer
from flashreserve.stores.sqlite.files import DatabaseFiles
from flashreserve.stores.sqlite.generation import Pulse
from flashreserve.stores.sqlite.writer import Writer

T = TypeVar("T")


class SqliteTransactions:
    """The base of the store's parts.

    `counter` is a second reader, for figures whose reads take long: they would hold up all other reads.

    Each call of `_write` is one transaction. A `_read` of one statement is one too; a read of several begins its own.
    """

    def __init__(
        self,
        writer: Writer,
        reader: Writer,
        counter: Writer,
        indexer: CustomerIndexer,
        pulse: Pulse,
        files: DatabaseFiles | None,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._counter = counter
        self._indexer = indexer
        self._pulse = pulse
        self._files = files

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        def beat(connection: apsw.Connection) -> T:
            before = connection.total_changes()
            written = work(connection)
            if self._pulse.due and connection.total_changes() != before:
                self._pulse.advance(connection)
            return written

        def write(connection: apsw.Connection) -> T:
            self._require_files()
            self._indexer.begin()
            self._pulse.begin()
            try:
                written = _in_transaction(connection, beat)
            except BaseException:
                self._pulse.due = True
                raise
            self._pulse.committed()
            self._indexer.committed()
            return written

        return await self._writer.run(write)

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        return await self._read_by(self._reader, work)

    async def _count(self, work: Callable[[apsw.Connection], T]) -> T:
        """Read something that may take long, beside all other reads."""
        return await self._read_by(self._counter, work)

    async def _read_by(self, reader: Writer, work: Callable[[apsw.Connection], T]) -> T:
        def read(connection: apsw.Connection) -> T:
            self._require_files()
            with store_errors("reading"):
                return work(connection)

        return await reader.run(read)

    def _require_files(self) -> None:
        if self._files is not None:
            self._files.require()

    async def _change_one(self, sql: str, *values: str | int | None) -> bool:
        def change(connection: apsw.Connection) -> bool:
            connection.execute(sql, values)
            return connection.changes() == 1

        return await self._write(change)


def execute_all(connection: apsw.Connection, sql: str, values: Sequence[Sequence[str | int | None]]) -> None:
    """Execute the statement with each of the rows of values."""
    connection.executemany(sql, values)


def _in_transaction(connection: apsw.Connection, work: Callable[[apsw.Connection], T]) -> T:
    """Run `work` in one transaction. An error before the commit means that nothing was written.

    A commit that fails because the database is busy or the disk is full wrote nothing. After any other failure the
    commit may be on disk, so the outcome is unknown until the data is read again.
    """
    with store_errors("writing"):
        connection.execute("BEGIN IMMEDIATE")
    try:
        with store_errors("writing"):
            result = work(connection)
    except BaseException:
        _roll_back(connection)
        raise
    try:
        connection.execute("COMMIT")
    except (apsw.BusyError, apsw.FullError) as error:  # The log has no commit record.
        _roll_back(connection)
        raise StoreUnavailableError(f"commit: {error}") from error
    except apsw.Error as error:
        _roll_back(connection)
        raise StoreOutcomeUnknownError(f"commit: {error}") from error
    return result


def _roll_back(connection: apsw.Connection) -> None:
    # If the rollback fails, closing the connection ends the transaction. The first error says more than this one.
    with suppress(apsw.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
