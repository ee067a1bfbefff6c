"""The store on one SQLite file. Each process has one connection that writes and one that reads."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
from typing_extensions import override

from flashreserve.core import limits, rules
from flashreserve.core.commands import Command, Expire
from flashreserve.core.effects import ReserveEffect
from flashreserve.core.model import Account, Product, Reservation, Role
from flashreserve.core.quotas import NO_QUOTAS, Quotas
from flashreserve.stores.port import (
    Audit,
    Flushed,
    Progress,
    SetAside,
    Store,
    StoreDefectError,
    StoreOutcomeUnknownError,
    StoreReadOnlyError,
    StoreUnavailableError,
    Swept,
    Take,
)
from flashreserve.stores.sqlite import rows
from flashreserve.stores.sqlite.admission import admitted, admitted_to_read
from flashreserve.stores.sqlite.books import sum_up
from flashreserve.stores.sqlite.columns import ACCOUNTS, PRODUCTS, RESERVATIONS
from flashreserve.stores.sqlite.connection import BUSY_WAIT_S, connect, store_errors
from flashreserve.stores.sqlite.customer_index import CustomerIndexer
from flashreserve.stores.sqlite.facts import load
from flashreserve.stores.sqlite.files import DatabaseFiles
from flashreserve.stores.sqlite.generation import Pulse
from flashreserve.stores.sqlite.maintenance import Maintenance
from flashreserve.stores.sqlite.schema import check, migrate
from flashreserve.stores.sqlite.unindexed import UnindexedReservations
from flashreserve.stores.sqlite.writer import ThreadWriter, Writer
from flashreserve.stores.unreadable import UnreadableError, UnreadableItems

T = TypeVar("T")
_LAST_ID: Final = "~"
"""Sorts after every id."""


def open_sqlite(
    path: Path, *, create: bool, busy_wait_s: float = BUSY_WAIT_S, quotas: Quotas = NO_QUOTAS
) -> "SqliteStore":
    """Open the file with a writer thread and a reader thread, and migrate its tables.

    With `create` false, a missing or empty file is refused and not changed. A write waits for other processes' writes,
    at most about `busy_wait_s` seconds.

    Raises:
        StoreReadOnlyError: the file or its directory can't be written.
        StoreUnavailableError: the file is missing, empty, unreadable, another application's, or of a newer version; or
            its log is another file's.
    """
    with admitted(path, busy_wait_s, create=create), ExitStack() as stack:
        writer = connect(path, "create" if create else "write", busy_wait_s)
        stack.callback(writer.close)
        with store_errors(str(path)):
            migrate(writer, busy_wait_s)
        reader = connect(path, "read", busy_wait_s)
        stack.callback(reader.close)
        own = connect(path, "write", busy_wait_s)
        stack.callback(own.close)
        files, indexer, pulse = DatabaseFiles(path), CustomerIndexer(), Pulse()
        stack.pop_all()
    upkeep = Maintenance(writer, own, indexer, pulse, files)

    def before_close() -> None:
        upkeep.close()
        files.look()
        if files.database_lost:  # Keep the log, and don't copy it into the file that may lie there now.
            writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)

    return SqliteStore(
        ThreadWriter(writer, "sqlite-writer", before_close),
        ThreadWriter(reader, "sqlite-reader"),
        indexer,
        pulse,
        quotas,
        files,
    )


def open_sqlite_to_read(path: Path) -> "SqliteStore":
    """Open the file for reading only. Nothing is created, migrated or written.

    Raises:
        StoreUnavailableError: as for `open_sqlite`, or the file has to be migrated first.
    """
    with admitted_to_read(path):
        connection = connect(path, "read")
    try:
        with store_errors(str(path)):
            check(connection)
    except BaseException:
        connection.close()
        raise
    reader = ThreadWriter(connection, "sqlite-reader")
    return SqliteStore(reader, reader)


class SqliteStore(Store):
    """Its methods are documented in `flashreserve.stores.port`."""

    flushes_ahead = 1
    sweep_max = limits.SWEEP_MAX

    def __init__(
        self,
        writer: Writer,
        reader: Writer,
        indexer: CustomerIndexer | None = None,
        pulse: Pulse | None = None,
        quotas: Quotas = NO_QUOTAS,
        files: DatabaseFiles | None = None,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._pulse = pulse or Pulse()
        self._files = files
        self._quotas = quotas
        self._unindexed = UnindexedReservations(counts=quotas.some)
        self._indexer = indexer or CustomerIndexer()
        self._aside = UnreadableItems()

    @override
    async def flush_late(self, take: Take) -> Flushed:
        """Take the commands once this process has the write lock."""

        def flush(connection: apsw.Connection) -> Flushed:
            taken = take()
            return self._flush(connection, taken.commands, taken.now)

        return await self._write(flush)

    @override
    async def flush(self, commands: Sequence[Command], now: int) -> Flushed:
        return await self._write(lambda connection: self._flush(connection, commands, now))

    @override
    async def release_lapsed(self, now: int, most: int) -> Swept:
        try:
            return await self._write(lambda connection: self._sweep(connection, now, most))
        except (StoreUnavailableError, StoreOutcomeUnknownError, StoreDefectError):
            raise
        except Exception:  # noqa: BLE001 - a fault of one hold; the others must be released
            await self._write(lambda connection: self._set_unreleasable_aside(connection, now, most))
            return await self._write(lambda connection: self._sweep(connection, now, most))

    def _sweep(self, connection: apsw.Connection, now: int, most: int) -> Swept:
        due = self._due(connection, now, most + 1)
        self._flush(connection, [Expire(id_) for id_ in due[:most]], now)
        return Swept(released=len(due[:most]), more=len(due) > most)

    def _due(self, connection: apsw.Connection, now: int, most: int) -> list[str]:
        postponed = self._aside.postponed("reservation", now)
        found = connection.execute(rows.SELECT_DUE, (now, most + len(postponed)))
        return [id_ for (id_,) in found if id_ not in postponed][:most]

    def _set_unreleasable_aside(self, connection: apsw.Connection, now: int, most: int) -> None:
        """Plan the release of each hold by itself, without writing, and set aside those that fail."""
        for id_ in self._due(connection, now, most + 1):
            commands = [Expire(id_)]
            try:
                rules.plan(load(connection, self._unindexed, commands, self._quotas, now), commands, now)
            except UnreadableError as error:
                self._aside.postpone("reservation", id_, str(error), now)
            except KeyError as error:
                self._aside.postpone("reservation", id_, f"its product {error.args[0]} isn't there", now)

    @override
    async def recover(self, now: int, most: int) -> int:
        del now, most
        return 0

    @override
    async def reservation(self, reservation_id: str) -> Reservation | None:
        wanted = (rows.to_json([reservation_id]),)
        found = await self._read(
            lambda connection: self._readable(connection.execute(rows.SELECT_RESERVATIONS, wanted))
        )
        return found[0] if found else None

    @override
    async def reservations_of_user(self, user_id: str, before: str | None, most: int) -> list[Reservation]:
        return await self._read_page(rows.SELECT_PAGE_OF_USER, (user_id,), before or _LAST_ID, most)

    @override
    async def reservations_of_product(self, product_id: str, after: str | None, most: int) -> list[Reservation]:
        return await self._read_page(rows.SELECT_PAGE_OF_PRODUCT, (product_id,), after or "", most)

    @override
    async def all_reservations(self, after: str | None, most: int) -> list[Reservation]:
        return await self._read_page(rows.SELECT_RESERVATION_PAGE, (), after or "", most)

    @override
    async def oldest_due(self, now: int) -> int | None:
        return await self._read(lambda connection: connection.execute(rows.SELECT_OLDEST_DUE, (now,)).get)

    @override
    async def audit(self, progress: Progress | None = None) -> Audit:
        audit = await self._read(sum_up)
        if progress is not None:
            progress(audit.reservations)
        return audit

    @override
    async def add_products(self, products: Sequence[Product]) -> None:
        values = [PRODUCTS.values(product) for product in products]
        await self._write(lambda connection: _execute_all(connection, rows.INSERT_PRODUCT, values))

    @override
    async def product(self, product_id: str) -> Product | None:
        found = await self.products([product_id])
        return found[0] if found else None

    @override
    async def products(self, product_ids: Sequence[str]) -> list[Product]:
        return await self._read_products(rows.SELECT_PRODUCTS, rows.to_json(product_ids))

    @override
    async def list_products(self, after: str | None, most: int) -> list[Product]:
        return await self._read_products(rows.SELECT_PRODUCT_PAGE, after or "", most)

    @override
    async def add_account(self, account: Account) -> bool:
        return await self._change_one(rows.INSERT_ACCOUNT, *ACCOUNTS.values(account))

    @override
    async def account_by_email(self, email: str) -> Account | None:
        return await self._read_account(rows.SELECT_ACCOUNT_BY_EMAIL, email)

    @override
    async def account_by_id(self, account_id: str) -> Account | None:
        return await self._read_account(rows.SELECT_ACCOUNT_BY_ID, account_id)

    @override
    async def replace_password_hash(self, account_id: str, old: str, new: str) -> bool:
        return await self._change_one(rows.UPDATE_PASSWORD_HASH, account_id, old, new)

    @override
    async def set_role(self, account_id: str, role: Role) -> bool:
        return await self._change_one(rows.UPDATE_ROLE, account_id, role)

    @override
    async def check_writable(self) -> None:
        """Write a new generation, unless one was written since the last tick of the pulse."""

        def answer(connection: apsw.Connection) -> None:
            if self._files is not None:
                self._files.look()
                self._files.require()
            connection.execute("SELECT 1 FROM products LIMIT 1").fetchall()

        await self._read(answer)
        try:
            if self._pulse.due:
                await self._write(self._pulse.advance)
        except (StoreUnavailableError, StoreOutcomeUnknownError) as error:
            raise StoreReadOnlyError(str(error)) from error

    @override
    async def database_now_ms(self) -> int | None:
        return None

    @override
    def set_aside(self) -> Sequence[SetAside]:
        return self._aside.all()

    @override
    def beat(self) -> str:
        return ""

    @override
    async def close(self) -> None:
        await self._reader.close()
        if self._writer is not self._reader:
            await self._writer.close()
        if self._files is not None:
            self._files.close()
            self._files = None

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
        def read(connection: apsw.Connection) -> T:
            self._require_files()
            with store_errors("reading"):
                return work(connection)

        return await self._reader.run(read)

    def _require_files(self) -> None:
        if self._files is not None:
            self._files.require()

    def _flush(self, connection: apsw.Connection, commands: Sequence[Command], now: int) -> Flushed:
        facts = load(connection, self._unindexed, commands, self._quotas, now)
        plan = rules.plan(facts, commands, now)
        rows.apply(connection, plan.effects, facts, plan.products)
        self._indexer.go_on(connection, sum(type(effect) is ReserveEffect for effect in plan.effects))
        return Flushed(plan.outcomes, list(plan.products.values()))

    async def _read_page(self, sql: str, of: tuple[str, ...], after: str, most: int) -> list[Reservation]:
        """A page of reservations. Rows that can't be read are skipped, and the next ones fill the page."""

        def read(connection: apsw.Connection) -> list[Reservation]:
            page: list[Reservation] = []
            beyond = after
            while (wanted := most - len(page)) > 0:
                found = connection.execute(sql, (*of, beyond, wanted)).fetchall()
                page += self._readable(found)
                if len(found) < wanted:
                    break
                beyond = str(found[-1][0])
            return page

        return await self._read(read)

    def _readable(self, found: Iterable[Sequence[Any]]) -> list[Reservation]:
        return self._aside.readable("reservation", found, _id_of, RESERVATIONS.struct)

    async def _read_products(self, sql: str, *values: str | int) -> list[Product]:
        return await self._read(lambda connection: [PRODUCTS.struct(row) for row in connection.execute(sql, values)])

    async def _read_account(self, sql: str, value: str) -> Account | None:
        def read(connection: apsw.Connection) -> Account | None:
            row = connection.execute(sql, (value,)).fetchone()
            return None if row is None else ACCOUNTS.struct(row)

        return await self._read(read)

    async def _change_one(self, sql: str, *values: str | int) -> bool:
        def change(connection: apsw.Connection) -> bool:
            connection.execute(sql, values)
            return connection.changes() == 1

        return await self._write(change)


def _id_of(row: Sequence[Any]) -> str:
    return str(row[0])


def _execute_all(connection: apsw.Connection, sql: str, values: Sequence[Sequence[str | int | None]]) -> None:
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
