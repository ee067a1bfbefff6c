"""Finding idempotency keys: every process finds those in the customer index and the unindexed ones."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apsw
import pytest
from tests.core.examples import ANN, NOON, a_product, reserve, user_id

from flashreserve.core.model import Role
from flashreserve.core.outcomes import Replayed, Reserved
from flashreserve.stores.filters import ReservationFilter
from flashreserve.stores.sqlite import SqliteStore, unindexed
from flashreserve.stores.sqlite.connection import connect
from flashreserve.stores.sqlite.customer_index import CustomerIndexer

Opened = Callable[..., SqliteStore]


class IndexedStore:
    """A store on the file. Each reservation of another customer indexes a few more rows."""

    def __init__(self, store: SqliteStore, connection: apsw.Connection, indexer: CustomerIndexer) -> None:
        self.store = store
        self.connection = connection
        self.indexer = indexer
        self._number = 10_000

    async def file_some(self) -> None:
        """Index as many rows as one reservation does."""
        self._number += 1
        await self.store.flush([reserve(self._number, user_id(self._number))], NOON)

    async def file_all(self) -> None:
        """Index all rows that are unindexed now."""
        self.indexer.prepare(self.connection)
        while self.indexer.busy:
            await self.file_some()


@pytest.fixture
async def filed(store: SqliteStore, path: Path) -> AsyncIterator[IndexedStore]:
    """The store, which indexes three reservations for each that it makes."""
    await store.add_products([a_product(units=10_000)])
    connection = connect(path, "write")
    indexer = store._indexer = CustomerIndexer(at_least=1, step=3)
    yield IndexedStore(store, connection, indexer)
    connection.close()


async def listed(store: SqliteStore, user: str) -> list[str]:
    """The ids on all pages of the customer's list."""
    found: list[str] = []
    beyond: str | None = None
    while True:
        page = await store.search_reservations(ReservationFilter(user_id=user), beyond, 7, NOON, newest_first=True)
        found += [held.id for held in page.reservations]
        beyond = page.beyond
        if beyond is None:
            return found


async def held(store: SqliteStore, numbers: range) -> list[str]:
    """Make holds of three customers in turn. Returns those of the first one, newest first."""
    await store.flush([reserve(number, user_id(number % 3)) for number in numbers], NOON)
    return [reserve(number).reservation_id for number in reversed(numbers) if number % 3 == 0]


async def test_a_customers_list_is_the_same_before_in_the_middle_and_after(filed: IndexedStore) -> None:
    first = await held(filed.store, range(60))
    assert await listed(filed.store, user_id(0)) == first
    filed.indexer.prepare(filed.connection)
    while filed.indexer.busy:
        await filed.file_some()
        assert await listed(filed.store, user_id(0)) == first
    assert filed.connection.execute("SELECT count(*) FROM filed WHERE user_id = ?", (user_id(0),)).get == 20
    assert filed.connection.execute("SELECT min(place) FROM fresh").get == 60, "the last one keeps its place"
    later = await held(filed.store, range(60, 90))
    assert await listed(filed.store, user_id(0)) == later + first


async def test_few_are_left_as_they_are(store: SqliteStore, path: Path) -> None:
    await store.add_products([a_product(units=100)])
    connection = connect(path, "write")
    store._indexer = CustomerIndexer(at_least=31, step=3)
    await held(store, range(30))
    busy = []
    for number in (30, 31):
        store._indexer.prepare(connection)
        busy.append(store._indexer.busy)
        await held(store, range(number, number + 1))
    assert busy == [False, True]
    connection.close()


async def test_what_a_failed_flush_filed_is_filed_again(filed: IndexedStore) -> None:
    first = await held(filed.store, range(60))
    filed.indexer.prepare(filed.connection)

    def fail(connection: apsw.Connection) -> None:
        filed.indexer.go_on(connection, 30)
        raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await filed.store._write(fail)
        await filed.store.set_role("nobody", Role.ADMIN, at=1)
    await filed.file_all()
    assert filed.connection.execute("SELECT count(*) FROM filed WHERE user_id = ?", (user_id(0),)).get == 20
    assert await listed(filed.store, user_id(0)) == first


async def outcomes_of(store: SqliteStore, *numbers: tuple[int, int]) -> list[type]:
    flushed = await store.flush([reserve(number, ANN, key=f"k{key}") for number, key in numbers], NOON)
    return [type(outcome) for outcome in flushed.outcomes]


async def test_a_key_is_found_before_and_after_filing(filed: IndexedStore) -> None:
    store = filed.store
    assert await outcomes_of(store, (1, 1), (2, 1), (3, 2)) == [Reserved, Replayed, Reserved]
    assert await outcomes_of(store, (4, 1), (5, 2)) == [Replayed, Replayed]
    await filed.file_all()
    assert await outcomes_of(store, (6, 1), (7, 2), (8, 3)) == [Replayed, Replayed, Reserved]
    await filed.file_all()
    assert await outcomes_of(store, (9, 1), (10, 3)) == [Replayed, Replayed]


async def test_another_process_finds_it_whenever_it_looks(filed: IndexedStore, opened: Opened) -> None:
    store = filed.store
    other = opened()
    for key in range(6):
        first, second = (store, other) if key % 2 else (other, store)
        assert await outcomes_of(first, (2 * key, key)) == [Reserved]
        if key % 3 == 1:
            await filed.file_all()
        assert await outcomes_of(second, (2 * key + 1, key)) == [Replayed]
    late = opened()
    assert await outcomes_of(late, *((100 + key, key) for key in range(6))) == [Replayed] * 6


async def test_no_place_is_used_again_after_filing(filed: IndexedStore, opened: Opened) -> None:
    store, other = filed.store, opened()
    assert await outcomes_of(store, (1, 1), (2, 2)) == [Reserved, Reserved]
    assert await outcomes_of(other, (3, 1)) == [Replayed]
    await filed.file_all()
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
    filed: IndexedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filed.store
    monkeypatch.setattr(unindexed, "FORGET_AT", 20)
    store._unindexed = unindexed.UnindexedReservations()
    for start in range(0, 100, 5):
        await outcomes_of(store, *((number, number) for number in range(start, start + 5)))
        if start == 50:
            await filed.file_all()
    assert 40 <= len(store._unindexed._holders) < 100
    assert await outcomes_of(store, *((1_000 + number, number) for number in range(100))) == [Replayed] * 100
