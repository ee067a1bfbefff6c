"""Counting a customer's holds for quotas: every process counts those in the customer index and the unindexed ones."""

from collections.abc import Callable
from pathlib import Path

import apsw
from tests.contract.requests import do
from tests.core.examples import (
    ANN,
    CUP,
    HOLD_MS,
    NOON,
    a_product,
    cancel,
    confirm,
    extend,
    granted,
    reservation_id,
    reserve,
    user_id,
)

from flashreserve.core.outcomes import HourlyHoldsReached, OpenHoldsReached
from flashreserve.core.quotas import HOUR_MS, Quotas
from flashreserve.stores.sqlite import SqliteStore, schema, unindexed
from flashreserve.stores.sqlite.connection import connect
from flashreserve.stores.sqlite.customer_index import CustomerIndexer
from flashreserve.stores.sqlite.header import APPLICATION_ID

Opened = Callable[..., SqliteStore]
QUOTAS = Quotas(open_holds_max=3, holds_per_hour_max=5)


class IndexedQuotas:
    """A store with quotas that indexes on demand, by making reservations for customers who come only once."""

    def __init__(self, store: SqliteStore, connection: apsw.Connection) -> None:
        self.store = store
        self.connection = connection
        self.indexer = store._indexer = CustomerIndexer(at_least=1, step=3)
        self._number = 10_000

    async def file_all(self) -> None:
        """Index all reservations that exist now. The last row of `fresh` stays, so it must be another customer's."""
        await self._come_once()
        self.indexer.prepare(self.connection)
        while self.indexer.busy:
            await self._come_once()

    async def _come_once(self) -> None:
        self._number += 1
        await self.store.flush([reserve(self._number, user_id(self._number))], NOON)

    def unfiled(self) -> list[str]:
        """The customers of unindexed reservations."""
        return [user for (user,) in self.connection.execute("SELECT DISTINCT user_id FROM fresh")]


async def test_filed_holds_count_like_those_that_are_not(opened: Opened, path: Path) -> None:
    filed = IndexedQuotas(opened(quotas=QUOTAS), connect(path, "write"))
    await filed.store.add_products([a_product(units=10_000)])
    for number in (1, 2):
        granted(await do(filed.store, reserve(number)))
    await filed.file_all()
    assert ANN not in filed.unfiled()
    filed.store._unindexed = unindexed.UnindexedReservations(counts=True)
    granted(await do(filed.store, reserve(3)))
    assert await do(filed.store, reserve(4)) == OpenHoldsReached(3, HOLD_MS // 1000)
    await do(filed.store, confirm(1))
    await do(filed.store, cancel(2))
    await filed.file_all()
    for number in (5, 6):
        granted(await do(filed.store, reserve(number)))
    assert await do(filed.store, reserve(7)) == HourlyHoldsReached(5, HOUR_MS // 1000)
    filed.connection.close()


async def test_a_hold_counts_as_open_for_as_long_as_it_may_be_extended(opened: Opened, path: Path) -> None:
    """A hold counts hours after its grant, indexed or not."""
    filed = IndexedQuotas(opened(quotas=Quotas(open_holds_max=1)), connect(path, "write"))
    hold_s = 2 * HOUR_MS // 1000
    await filed.store.add_products([a_product(units=10_000, hold_s=hold_s, extensions_max=3)])
    granted(await do(filed.store, reserve(1)))
    now = NOON
    for _ in range(3):
        now += hold_s * 1000 - 1
        await do(filed.store, extend(1), at=now)
        assert isinstance(await do(filed.store, reserve(2), at=now), OpenHoldsReached)
        await filed.file_all()
        assert isinstance(await do(filed.store, reserve(2), at=now + hold_s * 1000 - 1), OpenHoldsReached)
    granted(await do(filed.store, reserve(2), at=now + hold_s * 1000))
    filed.connection.close()


async def test_another_process_counts_what_this_one_granted_without_a_key(opened: Opened) -> None:
    one, other = opened(quotas=QUOTAS), opened(quotas=QUOTAS)
    await one.add_products([a_product()])
    granted(await do(other, reserve(0, user_id(2))))
    for number in (1, 2, 3):
        granted(await do(one, reserve(number)))
    assert isinstance(await do(other, reserve(4)), OpenHoldsReached)


async def test_what_is_no_longer_kept_in_memory_is_found_in_the_file(opened: Opened, path: Path) -> None:
    filed = IndexedQuotas(opened(quotas=QUOTAS), connect(path, "write"))
    await filed.store.add_products([a_product(units=10_000)])
    for number in (1, 2, 3):
        granted(await do(filed.store, reserve(number)))
    await filed.file_all()
    filed.store._unindexed._forget_at = 1
    assert isinstance(await do(filed.store, reserve(4)), OpenHoldsReached)
    assert ANN not in filed.store._unindexed._by_customer
    filed.connection.close()


async def test_the_holds_of_an_older_file_count(opened: Opened, path: Path) -> None:
    connection = connect(path, "create")
    connection.execute(schema._VERSION_1)
    connection.pragma("application_id", APPLICATION_ID)
    connection.pragma("user_version", 1)
    connection.execute(
        "INSERT INTO products VALUES (?, 'Cup', 1250, 'EUR', 10, 7, NULL, NULL, NULL, 600, 0, ?, ?, 1)",
        (CUP, NOON, NOON),
    )
    lines = f'[["{CUP}",1,1250,"EUR"]]'
    for number in (1, 2, 3):
        connection.execute(
            "INSERT INTO reservations VALUES (?, ?, 'PENDING', ?, ?, ?, 600, 3, 0, NULL, NULL, NULL)",
            (reservation_id(number), ANN, lines, NOON, NOON + HOLD_MS),
        )
    connection.execute("INSERT INTO filed SELECT user_id, reservation_id FROM fresh WHERE place <= 2")
    connection.execute("DELETE FROM fresh WHERE place <= 2")
    connection.close()
    store = opened(quotas=QUOTAS)
    assert isinstance(await do(store, reserve(4)), OpenHoldsReached)
    await do(store, confirm(1))
    granted(await do(store, reserve(5)))
    assert isinstance(await do(store, reserve(6)), OpenHoldsReached)
