"""Database files that are removed or replaced under an open store: no more grants, and no grant is lost."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from tests.contract.requests import do
from tests.core.examples import a_product, granted, reserve

from flashreserve.core.outcomes import Reserved
from flashreserve.stores.port import StoreUnavailableError
from flashreserve.stores.sqlite import SqliteStore, maintenance, open_sqlite

Opened = Callable[..., SqliteStore]
LOST = {
    "removed": "the database file was removed or renamed",
    "directory renamed": "the database file was removed or renamed",
    "replaced": "the database file was replaced by another file",
    "overwritten by an older copy": "the database file was overwritten",
    "overwritten by another application's": "the database file was overwritten",
    "emptied": "the database file was overwritten",
    "log removed": r"the database's log \(-wal\) was removed or renamed",
    "log replaced": r"the database's log \(-wal\) was replaced by another file",
    "shared memory removed": r"the database's shared memory \(-shm\) was removed or renamed",
}


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "TICK_S", 0.02)


def lose(path: Path, how: str) -> None:
    log, shared = Path(f"{path}-wal"), Path(f"{path}-shm")
    copy = path.parent / "copy"
    match how:
        case "removed":
            path.unlink()
        case "directory renamed":
            path.parent.rename(path.parent.with_name("renamed"))
        case "replaced":
            shutil.copy(path, copy)
            copy.replace(path)
        case "overwritten by an older copy":
            shutil.copy(path.parent / "older", path)
        case "overwritten by another application's":
            other = apsw.Connection(str(copy))
            other.execute("CREATE TABLE x (y)")
            other.pragma("application_id", 77)
            other.close()
            shutil.copy(copy, path)
        case "emptied":
            os.truncate(path, 0)
        case "log removed":
            log.unlink()
        case "log replaced":
            shutil.copy(log, copy)
            copy.replace(log)
        case "shared memory removed":
            shared.unlink()
        case _:
            raise AssertionError(how)


async def write_in_two_generations(store: SqliteStore, path: Path) -> None:
    """Write, so that an older copy of the file itself exists, not only one of its log."""
    await store.add_products([a_product(units=100_000)])
    store._pulse.due = True
    await store.check_writable()
    await store._writer.run(lambda connection: connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL))
    shutil.copy(path, path.parent / "older")
    for number in range(2):
        store._pulse.due = True
        granted(await do(store, reserve(500_000 + number)))
    await store._writer.run(lambda connection: connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL))
    await store.check_writable()  # checks the file


def content(path: Path) -> tuple[bytes, bytes]:
    return path.read_bytes(), Path(f"{path}-wal").read_bytes()


async def refused(store: SqliteStore) -> str:
    """Reserve until it is refused. Returns the reason."""
    end_s = time.monotonic() + 30
    number = 0
    while True:
        number += 1
        try:
            assert isinstance(await do(store, reserve(number)), Reserved)
        except StoreUnavailableError as error:
            return str(error)
        assert time.monotonic() < end_s


@pytest.mark.parametrize("how", LOST)
async def test_a_store_whose_files_go_away_refuses_reads_and_writes(opened: Opened, path: Path, how: str) -> None:
    store = opened()
    await write_in_two_generations(store, path)
    lose(path, how)
    reason = await refused(store)
    with pytest.raises(StoreUnavailableError, match=LOST[how]):
        raise StoreUnavailableError(reason)
    with pytest.raises(StoreUnavailableError, match=LOST[how]):
        await store.products(["x"])
    with pytest.raises(StoreUnavailableError, match=LOST[how]):
        await store.check_writable()


async def test_asking_whether_writing_works_looks_by_itself(
    monkeypatch: pytest.MonkeyPatch, opened: Opened, path: Path
) -> None:
    monkeypatch.setattr(maintenance, "TICK_S", 3_600.0)
    store = opened()
    await store.check_writable()
    lose(path, "removed")
    with pytest.raises(StoreUnavailableError, match="removed"):
        await store.check_writable()


async def test_a_directory_that_comes_back_is_used_again(opened: Opened, path: Path) -> None:
    store = opened()
    await store.add_products([a_product(units=100_000)])
    elsewhere = path.parent.with_name("elsewhere")
    path.parent.rename(elsewhere)
    await refused(store)
    elsewhere.rename(path.parent)
    await store.check_writable()
    granted(await do(store, reserve(500_000)))


@pytest.mark.parametrize("how", ["log removed", "shared memory removed", "log replaced"])
async def test_closing_saves_what_was_granted_into_a_log_that_was_removed(path: Path, how: str) -> None:
    store = open_sqlite(path, create=True)
    await store.add_products([a_product(units=100_000)])
    kept = granted(await do(store, reserve(500_000)))
    lose(path, how)
    await refused(store)
    await store.close()

    again = open_sqlite(path, create=False)
    assert await again.reservation(kept.id) == kept
    assert (await again.audit()).differences == []
    await again.close()


async def test_closing_leaves_alone_what_lies_in_the_place_of_the_database(path: Path, tmp_path: Path) -> None:
    store = open_sqlite(path, create=True)
    await store.add_products([a_product(units=100_000)])
    path.parent.rename(tmp_path / "old")
    path.parent.mkdir()
    other = open_sqlite(path, create=True)
    await other.add_products([a_product(units=7)])
    await refused(store)
    before = content(path)

    await store.close()

    assert content(path) == before
    granted(await do(other, reserve(1)))
    await other.close()


async def test_closing_copies_no_log_into_a_file_that_was_overwritten(path: Path) -> None:
    store = open_sqlite(path, create=True)
    await write_in_two_generations(store, path)
    store._pulse.due = True  # so that the restarted log has a generation
    granted(await do(store, reserve(600_000)))
    lose(path, "overwritten by an older copy")
    await refused(store)
    before = content(path)

    await store.close()

    assert content(path) == before
    with pytest.raises(StoreUnavailableError, match="is the log of another file"):
        open_sqlite(path, create=False)
