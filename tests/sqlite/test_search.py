"""Searching reservations while another process makes holds."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.contract.requests import every, flush
from tests.core.examples import a_product, cancel, reservation_id, reserve

from flashreserve.core.model import Status
from flashreserve.stores.filters import ALL_RESERVATIONS, ProductFilter, ReservationFilter
from flashreserve.stores.sqlite import SqliteStore, search
from flashreserve.stores.sqlite.writer import ThreadWriter


@pytest.mark.parametrize("newest_first", [True, False])
async def test_no_row_is_lost_although_holds_are_made_between_the_reads_of_a_page(
    opened: Callable[..., SqliteStore],
    monkeypatch: pytest.MonkeyPatch,
    newest_first: bool,  # noqa: FBT001 - pytest's own
) -> None:
    monkeypatch.setattr(search, "SEARCHED_MAX", 4)
    store, other = opened(), opened()
    await store.add_products([a_product(units=100)])
    cancelled = [reservation_id(number) for number in range(10, 20)]
    await flush(store, *[reserve(number) for number in range(10, 20)])
    await flush(store, *[cancel(number) for number in range(10, 20)])
    selects: list[str] = []

    def make_holds(_cursor: apsw.Cursor, sql: str, _values: object) -> bool:
        if sql.startswith("SELECT"):
            selects.append(sql)
        if sql.startswith("SELECT") and len(selects) == 2:
            asyncio.run(other.flush([reserve(number) for number in (*range(7, 10), *range(20, 23))], 0))
        return True

    assert isinstance(store._reader, ThreadWriter)
    store._reader._connection.exec_trace = make_holds
    found = await every(store, ReservationFilter(status=Status.CANCELLED), newest_first=newest_first)
    assert len(selects) > 2
    assert [held.id for held in found] == (cancelled[::-1] if newest_first else cancelled)


async def plans(store: SqliteStore, path: Path, where: ReservationFilter | ProductFilter) -> list[str]:
    """The steps of the query plans of a search."""
    asked: list[tuple[str, Any]] = []

    def note(_cursor: apsw.Cursor, sql: str, values: Any) -> bool:
        asked.append((sql, values))
        return True

    assert isinstance(store._reader, ThreadWriter)
    store._reader._connection.exec_trace = note
    if isinstance(where, ProductFilter):
        await store.search_products(where, None, 5)
    else:
        await store.search_reservations(where, None, 5, 0)
    connection = apsw.Connection(str(path))
    selects = [(sql, values) for sql, values in asked if sql.startswith("SELECT")]
    steps = [str(row[3]) for sql, values in selects for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    connection.close()
    assert steps
    return steps


async def test_a_product_is_found_by_its_external_id_without_going_along_the_others(
    store: SqliteStore, path: Path
) -> None:
    steps = await plans(store, path, ProductFilter(external_id="sku-1", archived=False))
    assert [step for step in steps if "products" in step] == [
        "SEARCH products USING INDEX products_external (external_id=? AND id>?)"
    ]


@pytest.mark.parametrize(
    "where",
    [
        ALL_RESERVATIONS,
        ReservationFilter(product_id="p"),
        ReservationFilter(external_id="e"),
        ProductFilter(),
        ProductFilter(archived=True, on_sale_at=1),
    ],
)
async def test_a_page_is_read_in_the_order_of_an_index(
    store: SqliteStore, path: Path, where: ReservationFilter | ProductFilter
) -> None:
    assert [step for step in await plans(store, path, where) if "TEMP B-TREE" in step] == []
