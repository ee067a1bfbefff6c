"""The store's errors when the database is busy, full, or fails."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import apsw
import pytest
from tests.contract.requests import assert_balanced, available, do, everything, flush
from tests.core.examples import CUP, NOON, a_product, an_account, granted, reserve, user_id

from flashreserve.core import limits
from flashreserve.stores.port import StoreDefectError, StoreOutcomeUnknownError, StoreUnavailableError
from flashreserve.stores.sqlite import SqliteStore
from flashreserve.stores.sqlite.connection import store_errors

Opened = Callable[..., SqliteStore]


@pytest.fixture
def other_process(store: SqliteStore, path: Path) -> Iterator[apsw.Connection]:
    """Another connection to the store's file, with a transaction of its own that is about to write."""
    connection = apsw.Connection(str(path))
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


class TestBusy:
    async def test_a_write_waits_for_another_process_to_finish_its_own(
        self, opened: Opened, other_process: apsw.Connection
    ) -> None:
        store = opened()
        other_process.execute("ROLLBACK")
        await store.add_products([a_product()])
        other_process.execute("BEGIN IMMEDIATE")
        other_process.execute("UPDATE products SET stocked = 11, available = 11")
        waiting = asyncio.create_task(do(store, reserve(1)))
        assert await available(store, CUP) == 10  # Reads work meanwhile, and see committed data.
        assert not waiting.done()
        other_process.execute("COMMIT")
        granted(await waiting)
        assert await available(store, CUP) == 10

    async def test_it_gives_up_at_its_bound_and_nothing_is_written(
        self, opened: Opened, other_process: apsw.Connection
    ) -> None:
        store = opened(busy_wait_s=0.1)
        other_process.execute("ROLLBACK")
        await store.add_products([a_product(per_customer_limit=1)])
        other_process.execute("BEGIN IMMEDIATE")
        before = await everything(store)
        started = monotonic()
        with pytest.raises(StoreUnavailableError, match="locked"):
            await do(store, reserve(1, key="k"))
        assert monotonic() - started >= 0.1
        with pytest.raises(StoreUnavailableError, match="locked"):
            await store.add_account(an_account())
        assert await everything(store) == before
        other_process.execute("ROLLBACK")
        granted(await do(store, reserve(1, key="k")))
        assert await store.add_account(an_account()) is True

    async def test_opening_waits_too(self, opened: Opened, path: Path) -> None:
        connection = apsw.Connection(str(path))
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locked"):
            opened(busy_wait_s=0.05)
        connection.close()
        await opened(busy_wait_s=0.05).check_writable()

    async def test_opening_waits_once_for_who_reads_a_database_without_a_log(
        self, store: SqliteStore, opened: Opened, path: Path
    ) -> None:
        """Changing to WAL mode needs an exclusive lock. If SQLite calls the busy handler, it waits its full time."""
        await store.close()
        reader = apsw.Connection(str(path))
        assert reader.pragma("journal_mode", "DELETE") == "delete"
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM products").fetchall()
        started = monotonic()
        with pytest.raises(StoreUnavailableError, match="locked"):
            opened(busy_wait_s=0.1)
        assert monotonic() - started < 5, "a wait for each of the tries would be 20 s"
        reader.close()
        await opened(busy_wait_s=0.1).check_writable()


class TestFull:
    async def test_a_full_disk_refuses_what_does_not_fit_whole_and_what_fits_goes_on(self, store: SqliteStore) -> None:
        await store.add_products([a_product(units=100_000)])
        granted(await do(store, reserve(0, key="k")))
        pages = await store._writer.run(lambda connection: int(connection.pragma("page_count")))
        await store._writer.run(lambda connection: connection.pragma("max_page_count", pages + 4))
        before = await everything(store)
        too_much = [reserve(n, user_id(n), key="k" * limits.KEY_LENGTH_MAX) for n in range(1, 500)]
        with pytest.raises(StoreUnavailableError, match="full"):
            await flush(store, *too_much)
        assert await everything(store) == before
        granted(await do(store, reserve(1)))
        await store._writer.run(lambda connection: connection.pragma("max_page_count", 1_000_000))
        for outcome in await flush(store, *too_much[1:]):
            granted(outcome)
        await assert_balanced(store)


class TestCommitsThatFail:
    async def test_what_became_of_it_is_said_to_be_unknown_and_the_next_write_goes_on(self, store: SqliteStore) -> None:
        await store.add_products([a_product()])
        await store._writer.run(lambda connection: connection.set_commit_hook(lambda: True))
        with pytest.raises(StoreOutcomeUnknownError):
            await do(store, reserve(1))
        await store._writer.run(lambda connection: connection.set_commit_hook(None))
        granted(await do(store, reserve(2)))
        await assert_balanced(store)


class TestErrors:
    """The store translates all exceptions of the driver."""

    @pytest.mark.parametrize(
        "error",
        [
            *(apsw.BusyError, apsw.CantOpenError, apsw.ConnectionClosedError, apsw.CorruptError, apsw.FullError),
            *(apsw.IOError, apsw.LockedError, apsw.NotADBError, apsw.PermissionsError, apsw.ProtocolError),
            apsw.ReadOnlyError,
        ],
    )
    def test_a_database_that_is_away_is_unavailable(self, error: type[apsw.Error]) -> None:
        with pytest.raises(StoreUnavailableError, match="reading: why"), store_errors("reading"):
            raise error("why")

    @pytest.mark.parametrize("error", [apsw.ConstraintError, apsw.MismatchError, apsw.SQLError, apsw.TooBigError])
    def test_what_we_did_wrong_is_a_defect(self, error: type[apsw.Error]) -> None:
        with pytest.raises(StoreDefectError, match="writing: why"), store_errors("writing"):
            raise error("why")

    async def test_stock_below_zero_is_refused_by_the_database_itself(self, store: SqliteStore) -> None:
        with pytest.raises(StoreDefectError, match="CHECK constraint"):
            await store.add_products([a_product(units=5, available=-1)])
        with pytest.raises(StoreDefectError, match="CHECK constraint"):
            await store.add_products([a_product(units=5, available=6)])

    async def test_nothing_can_be_asked_of_a_closed_store(self, opened: Opened) -> None:
        store = opened()
        await store.close()
        with pytest.raises(StoreUnavailableError, match="closed"):
            await store.check_writable()
        with pytest.raises(StoreUnavailableError, match="closed"):
            await store.flush([reserve(1)], NOON)
