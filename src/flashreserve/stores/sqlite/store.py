"""The store on one SQLite file. Each process has one connection that writes and one that reads."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
from typing_extensions import override

from flashreserve.core import limits, rules
from flashreserve.core.audits import Audit, SetAside
from flashreserve.core.commands import Command, Expire
from flashreserve.core.effects import ReserveEffect
from flashreserve.core.model import Reservation
from flashreserve.core.quotas import NO_QUOTAS, Quotas
from flashreserve.core.trail import events_of
from flashreserve.stores.filters import ReservationFilter, ReservationsFound, first_id_at
from flashreserve.stores.port import (
    Flushed,
    Progress,
    Store,
    StoreDefectError,
    StoreOutcomeUnknownError,
    StoreReadOnlyError,
    StoreUnavailableError,
    Swept,
    Take,
)
from flashreserve.stores.sqlite import rows, schema
from flashreserve.stores.sqlite.accounts import SqliteAccounts, SqliteKeys
from flashreserve.stores.sqlite.admission import admitted, admitted_to_read
from flashreserve.stores.sqlite.books import sum_up
from flashreserve.stores.sqlite.catalogue import SqliteCatalogue
from flashreserve.stores.sqlite.columns import RESERVATIONS
from flashreserve.stores.sqlite.connection import BUSY_WAIT_S, connect, store_errors
from flashreserve.stores.sqlite.customer_index import CustomerIndexer
from flashreserve.stores.sqlite.deliveries import SqliteDeliveries
from flashreserve.stores.sqlite.events import SqliteEvents, record
from flashreserve.stores.sqlite.facts import load
from flashreserve.stores.sqlite.files import DatabaseFiles
from flashreserve.stores.sqlite.generation import Pulse
from flashreserve.stores.sqlite.maintenance import Maintenance
from flashreserve.stores.sqlite.monitor import SqliteMonitor
from flashreserve.stores.sqlite.persons import SqlitePersons
from flashreserve.stores.sqlite.schema import check, migrate
from flashreserve.stores.sqlite.search import search
from flashreserve.stores.sqlite.unindexed import UnindexedReservations
from flashreserve.stores.sqlite.writer import ThreadWriter, Writer
from flashreserve.stores.unreadable import UnreadableError, UnreadableItems

T = TypeVar("T")

_GRANTS: Final = """
    SELECT created_at / 1000, count(*)
    FROM (SELECT created_at FROM reservations WHERE id >= ?1 ORDER BY id LIMIT ?2)
    WHERE created_at >= ?3 GROUP BY created_at / 1000"""


def open_sqlite(
    path: Path,
    *,
    create: bool,
    busy_wait_s: float = BUSY_WAIT_S,
    quotas: Quotas = NO_QUOTAS,
    logs_grants: bool = False,
) -> "SqliteStore":
    """Open the file with a writer thread and two reader threads, and migrate its tables.

    With `create` false, a missing or empty file is refused and not changed. A write waits for other processes' writes,
    at most about `busy_wait_s` seconds. With `logs_grants`, the grants of holds are in the log of events too.

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
        counter = connect(path, "read", busy_wait_s)
        stack.callback(counter.close)
        own = connect(path, "write", busy_wait_s)
        stack.callback(own.close)
        files, indexer, pulse = DatabaseFiles(path), CustomerIndexer(), Pulse(len(schema.MIGRATIONS))
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
        counter=ThreadWriter(counter, "sqlite-counter"),
        logs_grants=logs_grants,
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


class SqliteStore(
    SqliteCatalogue, SqliteAccounts, SqliteKeys, SqlitePersons, SqliteEvents, SqliteDeliveries, SqliteMonitor, Store
):
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
        *,
        counter: Writer | None = None,
        logs_grants: bool = False,
    ) -> None:
        pulse = pulse or Pulse(len(schema.MIGRATIONS))
        super().__init__(writer, reader, counter or reader, indexer or CustomerIndexer(), pulse, files)
        self._quotas = quotas
        self._logs_grants = logs_grants
        self._unindexed = UnindexedReservations(counts=quotas.some)
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
    async def search_reservations(
        self, where: ReservationFilter, beyond: str | None, most: int, now: int, *, newest_first: bool = False
    ) -> ReservationsFound:
        return await self._read(
            lambda connection: search(connection, where, beyond, most, now, self._readable, newest_first=newest_first)
        )

    @override
    async def grants(self, since: int, most: int) -> dict[int, int]:
        values = (first_id_at(since), most, since)
        found: list[Any] = await self._read(lambda open_: open_.execute(_GRANTS, values).fetchall())
        return dict(found)

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
        if self._counter is not self._reader:
            await self._counter.close()
        if self._writer is not self._reader:
            await self._writer.close()
        if self._files is not None:
            self._files.close()
            self._files = None

    def _flush(self, connection: apsw.Connection, commands: Sequence[Command], now: int) -> Flushed:
        facts = load(connection, self._unindexed, commands, self._quotas, now)
        plan = rules.plan(facts, commands, now)
        rows.apply(connection, plan.effects, facts, plan.products)
        record(connection, events_of(plan.effects, grants=self._logs_grants))
        self._indexer.go_on(connection, sum(type(effect) is ReserveEffect for effect in plan.effects))
        return Flushed(plan.outcomes, list(plan.products.values()))

    def _readable(self, found: Iterable[Sequence[Any]]) -> list[Reservation]:
        return self._aside.readable("reservation", found, _id_of, RESERVATIONS.struct)


def _id_of(row: Sequence[Any]) -> str:
    return str(row[0])
