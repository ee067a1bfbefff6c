"""Unreadable rows: each is set aside, named and counted, and all others are served as usual."""

from pathlib import Path

import apsw
import pytest
from tests.contract.requests import flush
from tests.core.examples import ANN, CUP, HAT, HOLD_MS, NOON, a_product, reservation_id, reserve

from flashreserve.jobs.sweep import sweep_once
from flashreserve.stores.port import Swept
from flashreserve.stores.sqlite import SqliteStore
from flashreserve.stores.unreadable import RETRY_AFTER_MS

LAPSED = NOON + HOLD_MS
HOLDS = 6
BAD = reservation_id(3)


def by_hand(path: Path, sql: str, *values: str | bytes) -> None:
    """Change the file like another program that doesn't check foreign keys."""
    connection = apsw.Connection(str(path))
    connection.execute(sql, values)
    connection.close()


@pytest.fixture
async def full(store: SqliteStore) -> SqliteStore:
    """A store with some holds of one customer."""
    await store.add_products([a_product(units=100), a_product(HAT)])
    await flush(store, *[reserve(number) for number in range(HOLDS)])
    return store


@pytest.mark.parametrize(
    "lines", ["", "[", "{}", "[]", '[["x", "2", 1, "EUR"]]', '[["x", -2, 1, "EUR"]]', b'[["x\xff", 2, 1, "EUR"]]']
)
async def test_a_reservation_that_cannot_be_read_is_left_out_and_the_others_go_on(
    full: SqliteStore, path: Path, lines: str | bytes
) -> None:
    by_hand(path, "UPDATE reservations SET lines = CAST(? AS TEXT) WHERE id = ?", lines, BAD)
    others = [reservation_id(number) for number in range(HOLDS) if number != 3]
    assert [held.id for held in await full.all_reservations(None, 100)] == others
    assert [held.id for held in await full.all_reservations(None, 5)] == others, "a page is filled up"
    assert [held.id for held in await full.reservations_of_product(CUP, None, 100)] == others
    assert [held.id for held in await full.reservations_of_user(ANN, None, 100)] == others[::-1]
    assert await full.reservation(BAD) is None
    assert await sweep_once(full, LAPSED) == HOLDS - 1
    assert await full.oldest_due(LAPSED) == LAPSED
    assert [(each.kind, each.id) for each in full.set_aside()] == [("reservation", BAD)]


async def test_a_lapsed_hold_of_a_deleted_product_is_set_aside_and_released_once_that_is_back(
    full: SqliteStore, path: Path
) -> None:
    await flush(full, reserve(100, of=HAT), at=NOON - 1)
    by_hand(path, "CREATE TABLE kept AS SELECT * FROM products WHERE id = ?", HAT)
    by_hand(path, "DELETE FROM products WHERE id = ?", HAT)
    assert await full.release_lapsed(LAPSED, 2) == Swept(2, more=True), "the oldest is the bad one"
    assert await sweep_once(full, LAPSED) == HOLDS - 2
    (aside,) = full.set_aside()
    assert (aside.id, aside.why) == (reservation_id(100), f"its product {HAT} isn't there")
    audit = await full.audit()
    assert (audit.differences, audit.unreadable, audit.set_aside) == ([], 1, [aside])
    by_hand(path, "INSERT INTO products SELECT * FROM kept")
    assert await full.release_lapsed(LAPSED + RETRY_AFTER_MS - 1, 100) == Swept(0, more=False)
    assert await full.release_lapsed(LAPSED + RETRY_AFTER_MS, 100) == Swept(1, more=False)
    assert full.set_aside() == []


async def test_the_audit_names_lines_that_are_no_json(full: SqliteStore, path: Path) -> None:
    by_hand(path, "UPDATE reservations SET lines = '[' WHERE id = ?", BAD)
    audit = await full.audit()
    assert (audit.unreadable, [each.id for each in audit.set_aside]) == (1, [BAD])
