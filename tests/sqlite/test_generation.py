"""Generations, which tell which log belongs to which file. They advance only with writes."""

from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from tests.contract.requests import do
from tests.core.examples import NOON, a_product, granted, reservation_id, reserve

from flashreserve.stores.port import StoreDefectError, StoreReadOnlyError, StoreUnavailableError
from flashreserve.stores.sqlite import SqliteStore, maintenance
from flashreserve.stores.sqlite.connection import connect
from flashreserve.stores.sqlite.generation import GENERATIONS, field_of, generation_in, lies_within, version_in
from flashreserve.stores.sqlite.header import log_of, read_log
from flashreserve.stores.sqlite.schema import MIGRATIONS

Opened = Callable[..., SqliteStore]


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "TICK_S", 3_600.0)


def generation(path: Path) -> int:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return generation_in(int(connection.pragma("user_version")))
    finally:
        connection.close()


def log_bytes(path: Path) -> int:
    return Path(f"{path}-wal").stat().st_size


def is_due(store: SqliteStore) -> bool:
    return store._pulse.due


def test_version_and_generation_share_a_field_that_sqlite_holds() -> None:
    for version in (0, 1, 127):
        for number in (0, 1, GENERATIONS - 1):
            field = field_of(version, number)
            assert 0 <= field < 2**31
            assert (version_in(field), generation_in(field)) == (version, number)


def test_a_range_of_generations_may_pass_over_the_highest() -> None:
    assert lies_within(5, 5, 5)
    assert not lies_within(4, 5, 7)
    assert not lies_within(8, 5, 7)
    assert lies_within(0, GENERATIONS - 1, 2)
    assert not lies_within(3, GENERATIONS - 1, 2)


async def test_the_first_write_after_the_pulse_advances_it_and_no_other(store: SqliteStore, path: Path) -> None:
    await store.add_products([a_product()])
    first = generation(path)
    granted(await do(store, reserve(1)))
    assert generation(path) == first
    store._pulse.due = True
    granted(await do(store, reserve(2)))
    granted(await do(store, reserve(3)))
    assert generation(path) == first + 1


async def test_nothing_is_written_where_nothing_changes(store: SqliteStore, path: Path) -> None:
    await store.add_products([a_product()])
    first, store._pulse.due = generation(path), True
    log = log_bytes(path)
    await store.release_lapsed(0, 10)
    await store.flush([], 0)
    assert (generation(path), log_bytes(path)) == (first, log)
    assert is_due(store)


async def test_a_write_that_fails_leaves_the_pulse_due(store: SqliteStore, path: Path) -> None:
    await store.add_products([a_product()])
    assert not is_due(store)
    first = generation(path)
    with pytest.raises(StoreDefectError):
        await store.add_products([a_product()])
    assert is_due(store)
    assert generation(path) == first


async def test_asking_whether_writing_works_writes_once_and_not_again_before_the_pulse(
    store: SqliteStore, path: Path
) -> None:
    first = generation(path)
    await store.check_writable()
    await store.check_writable()
    assert generation(path) == first + 1
    store._pulse.due = True
    await store.check_writable()
    assert generation(path) == first + 2


async def test_several_processes_count_on_from_each_other(opened: Opened, path: Path) -> None:
    one, other = opened(), opened()
    first = generation(path)
    for store in (one, other, one):
        store._pulse.due = True
        await store.check_writable()
    assert generation(path) == first + 3


async def test_a_log_that_begins_anew_makes_the_pulse_due(store: SqliteStore) -> None:
    await store.add_products([a_product(units=10_000)])
    granted(await do(store, reserve(1)))
    assert not is_due(store)
    await store._writer.run(lambda connection: connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART))
    granted(await do(store, reserve(2)))
    assert is_due(store)


async def test_the_first_commit_of_a_log_says_which_file_it_is_of(
    monkeypatch: pytest.MonkeyPatch, opened: Opened, path: Path
) -> None:
    monkeypatch.setattr(maintenance, "PAGES", 20)
    monkeypatch.setattr(maintenance, "PAGES_MAX", 20)
    store = opened()
    await store.add_products([a_product(units=10_000)])
    generations = set()
    for number in range(200):
        store._pulse.due = number % 3 == 0 or store._pulse.due
        granted(await do(store, reserve(number)))
        span = read_log(log_of(path))
        assert span is not None
        assert span.first is not None, number
        generations.add(span.first)
    assert len(generations) > 5, "the log began anew"


async def test_a_process_writes_no_more_once_a_newer_program_has_migrated_the_file(
    store: SqliteStore, path: Path
) -> None:
    await store.add_products([a_product()])
    newer = connect(path, "write")
    newer.pragma("user_version", field_of(len(MIGRATIONS) + 1, generation(path)))
    newer.close()
    store._pulse.due = True
    for _ in range(3):
        with pytest.raises(StoreUnavailableError, match="brought up to version"):
            await store.flush([reserve(1)], NOON)
    with pytest.raises(StoreReadOnlyError):
        await store.check_writable()
    assert await store.reservation(reservation_id(1)) is None
