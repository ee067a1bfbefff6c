"""An idempotency key is found whether its reservation is filed by customer or not, by every process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from tests.core.examples import ANN, CUP, NOON, a_product, reserve

from flashreserve.core.outcomes import Replayed, Reserved
from flashreserve.stores.sqlite import SqliteStore, fresh
from flashreserve.stores.sqlite.connection import connect
from flashreserve.stores.sqlite.upkeep import file_fresh

Opened = Callable[..., SqliteStore]


@pytest.fixture
def beside(store: SqliteStore, path: Path) -> Iterator[apsw.Connection]:
    """A connection beside the store's own."""
    connection = connect(path, "write")
    yield connection
    connection.close()


def file_all(connection: apsw.Connection) -> None:
    file_fresh(connection, lambda: False, at_least=1)


async def outcomes_of(store: SqliteStore, *numbers: tuple[int, int]) -> list[type]:
    flushed = await store.flush([reserve(number, ANN, key=f"k{key}") for number, key in numbers], NOON)
    return [type(outcome) for outcome in flushed.outcomes]


async def test_a_key_is_found_before_and_after_filing(store: SqliteStore, beside: apsw.Connection) -> None:
    await store.add_products([a_product(units=10)])
    assert await outcomes_of(store, (1, 1), (2, 1), (3, 2)) == [Reserved, Replayed, Reserved]
    assert await outcomes_of(store, (4, 1), (5, 2)) == [Replayed, Replayed]
    file_all(beside)
    assert await outcomes_of(store, (6, 1), (7, 2), (8, 3)) == [Replayed, Replayed, Reserved]
    file_all(beside)
    assert await outcomes_of(store, (9, 1), (10, 3)) == [Replayed, Replayed]


async def test_another_process_finds_it_whenever_it_looks(
    store: SqliteStore, opened: Opened, beside: apsw.Connection
) -> None:
    other = opened()
    await store.add_products([a_product(units=10)])
    for key in range(6):
        first, second = (store, other) if key % 2 else (other, store)
        assert await outcomes_of(first, (2 * key, key)) == [Reserved]
        if key % 3 == 1:
            file_all(beside)
        assert await outcomes_of(second, (2 * key + 1, key)) == [Replayed]
    late = opened()
    assert await outcomes_of(late, *((100 + key, key) for key in range(6))) == [Replayed] * 6


async def test_no_place_is_used_again_after_filing(store: SqliteStore, opened: Opened, beside: apsw.Connection) -> None:
    other = opened()
    await store.add_products([a_product(units=10)])
    assert await outcomes_of(store, (1, 1), (2, 2)) == [Reserved, Reserved]
    assert await outcomes_of(other, (3, 1)) == [Replayed]
    file_all(beside)
    assert await outcomes_of(store, (4, 3)) == [Reserved]
    assert await outcomes_of(other, (5, 3)) == [Replayed]


async def test_a_key_whose_flush_failed_binds_nobody(store: SqliteStore) -> None:
    await store.add_products([a_product(units=10)])
    assert await outcomes_of(store, (1, 1)) == [Reserved]

    def fail(connection: apsw.Connection) -> None:
        connection.execute("INSERT INTO fresh (user_id, idem_key, reservation_id) VALUES (?, 'k2', 'x')", (ANN,))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store._write(fail)
    assert await outcomes_of(store, (2, 2)) == [Reserved]


async def test_what_is_filed_is_forgotten_and_what_is_not_is_kept(
    store: SqliteStore, beside: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh, "FORGET_AT", 20)
    store._fresh = fresh.FreshKeys()
    await store.add_products([a_product(units=1_000)])
    for start in range(0, 100, 5):
        await outcomes_of(store, *((number, number) for number in range(start, start + 5)))
        if start == 50:
            file_all(beside)
    assert 40 <= len(store._fresh._holders) < 100
    assert await outcomes_of(store, *((1_000 + number, number) for number in range(100))) == [Replayed] * 100
    found = await store.product(CUP)
    assert found is not None
    assert found.available == 900
