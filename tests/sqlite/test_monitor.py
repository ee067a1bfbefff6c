"""Figures for operators: they are read along indexes, and a row that can't be read doesn't hide the others."""

import asyncio
import threading
from pathlib import Path

import apsw
import pytest
from tests.contract.requests import flush
from tests.core.examples import ANN, CUP, HOLD_MS, NOON, a_product, confirm_some, reservation_id, reserve

from flashreserve.core.monitoring import Flows, HoldCount
from flashreserve.stores.sqlite import SqliteStore, monitor

LAPSED = NOON + HOLD_MS
BAD = reservation_id(2)
IDS_FROM = 0x0199C0DE0000
"""The time in the ids of the tests' reservations."""


def steps(path: Path, sql: str) -> list[str]:
    """The steps of the statement's query plan that read `reservations` or `lines`."""
    names = ("now", "bucket_ms", "buckets", "product_id", "since", "low", "high", "most")
    connection = apsw.Connection(str(path))
    plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", dict.fromkeys(names, 1))]
    connection.close()
    return [step for step in plan if any(word in step for word in ("INDEX", "PRIMARY KEY")) and "VIRTUAL" not in step]


@pytest.mark.parametrize("sql", [monitor.SELECT_HELD_UNITS, monitor.SELECT_LAPSES], ids=["held units", "lapses"])
def test_only_open_holds_are_read(store: SqliteStore, path: Path, sql: str) -> None:
    assert steps(path, sql) == ["SCAN r USING INDEX reservations_due"]


def test_flows_are_read_along_the_product_and_the_ids(store: SqliteStore, path: Path) -> None:
    between = "(product_id=? AND reservation_id>? AND reservation_id<?)"
    assert steps(path, monitor.SELECT_PAGE) == [f"SEARCH lines USING PRIMARY KEY {between}"]
    assert steps(path, monitor.SELECT_FLOWS) == [
        f"SEARCH l USING PRIMARY KEY {between}",
        "SEARCH r USING PRIMARY KEY (id=?)",
    ]


@pytest.mark.parametrize("lines", ["", "[", "{}", "[]", "[7]", '[["x", "much", 1, "EUR"]]', '[[1, 2, 1, "EUR"]]'])
async def test_lines_that_cannot_be_read_do_not_hide_the_other_holds(
    store: SqliteStore, path: Path, lines: str
) -> None:
    await store.add_products([a_product()])
    await flush(store, reserve(1), reserve(2), reserve(3, quantity=2))
    by_hand(path, "UPDATE reservations SET lines = ? WHERE id = ?", lines, BAD)
    assert (await store.held_units())[CUP] == 3
    (lapsed, *_) = await store.lapses(LAPSED, 1_000, 1)
    assert lapsed.holds == 3
    assert lapsed.units >= 3


@pytest.mark.parametrize("returns", ["", "[", "{}", "[7]", '[{"lines": 7}]', '[{"at": "noon", "lines": [{}]}]'])
async def test_returns_that_cannot_be_read_do_not_hide_the_other_flows(
    store: SqliteStore, path: Path, returns: str
) -> None:
    await store.add_products([a_product()])
    await flush(store, reserve(1, quantity=2), reserve(2, quantity=2))
    await flush(store, confirm_some(1, {CUP: 1}, ANN), confirm_some(2, {CUP: 1}, ANN))
    by_hand(path, "UPDATE reservations SET returns = ? WHERE id = ?", returns, BAD)
    assert await store.flows(CUP, IDS_FROM, NOON + 1 - IDS_FROM, 1) == Flows([4], [3], [1])


async def test_units_that_a_hold_has_given_back_are_not_held(store: SqliteStore, path: Path) -> None:
    await store.add_products([a_product()])
    await flush(store, reserve(1, quantity=3), reserve(2))
    by_hand(path, "UPDATE reservations SET lines = ? WHERE id = ?", f'[["{CUP}", 3, 1, "EUR", 2]]', reservation_id(1))
    assert await store.held_units() == {CUP: 2}
    assert (await store.lapses(LAPSED, 1_000, 1))[0] == HoldCount(2, 2)


async def test_holds_without_lines_have_no_units(store: SqliteStore, path: Path) -> None:
    await store.add_products([a_product()])
    await flush(store, reserve(1))
    by_hand(path, "UPDATE reservations SET lines = '[]'")
    assert await store.lapses(LAPSED, 1_000, 1) == [HoldCount(1, 0), HoldCount(0, 0), HoldCount(0, 0)]


def by_hand(path: Path, sql: str, *values: str) -> None:
    """Change the file like another program."""
    connection = apsw.Connection(str(path))
    connection.execute(sql, values)
    connection.close()


async def test_other_reads_do_not_wait_for_a_count_of_all_holds(store: SqliteStore) -> None:
    await store.add_products([a_product()])
    gate = threading.Event()
    long_count = asyncio.create_task(store._counter.run(lambda _: gate.wait(10)))
    counts = [asyncio.create_task(read) for read in (store.held_units(), store.lapses(NOON, 1_000, 1))]
    flows = asyncio.create_task(store.flows(CUP, NOON, 1_000, 1))
    try:
        async with asyncio.timeout(5):
            assert await store.product(CUP) is not None
        assert not any(each.done() for each in (*counts, flows))
    finally:
        gate.set()
        await asyncio.gather(long_count, *counts, flows)
