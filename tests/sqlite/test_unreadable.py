"""Unreadable rows: each is set aside, named and counted, and all others are served as usual."""

from pathlib import Path

import apsw
import pytest
from tests.contract.requests import every, flush
from tests.core.examples import (
    ANN,
    CUP,
    HAT,
    HOLD_MS,
    NOON,
    a_key,
    a_product,
    confirm,
    give_back,
    reservation_id,
    reserve,
    reserve_basket,
)

from flashreserve.core.model import ProductDetails
from flashreserve.jobs.sweep import sweep_once
from flashreserve.stores.filters import ReservationFilter
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
    assert [held.id for held in await every(full)] == others
    assert [held.id for held in await every(full)] == others, "a page is filled up"
    assert [held.id for held in await every(full, ReservationFilter(product_id=CUP))] == others
    assert [held.id for held in await every(full, ReservationFilter(user_id=ANN), newest_first=True)] == others[::-1]
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


@pytest.mark.parametrize(
    "change", ["expires_at = 253402318799000", "created_at = -1", "scopes = '[\"x\"]'", "scopes = '['"]
)
async def test_a_key_that_cannot_be_read_is_left_out_and_can_be_revoked(
    store: SqliteStore, path: Path, change: str
) -> None:
    for number in (1, 2, 3):
        await store.add_key(a_key(number), 9)
    by_hand(path, f"UPDATE api_keys SET {change} WHERE id = ?", a_key(2).id)  # noqa: S608 - no user wrote it
    assert await store.keys() == [a_key(1), a_key(3)]
    assert [(each.kind, each.id) for each in store.set_aside()] == [("API key", a_key(2).id)]
    assert await store.revoke_key(a_key(2).id, 20)


ANOTHER_COUNT = "returned: expected the same units in the table lines, in lines and in returns"


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE reservations SET returns = 'nonsense' WHERE id = ?", "returns: expected a list of entries"),
        ("UPDATE reservations SET returns = '{}' WHERE id = ?", "returns: expected a list of entries"),
        ('UPDATE reservations SET returns = \'["nonsense", {"lines": [3]}]\' WHERE id = ?', ANOTHER_COUNT),
        ("UPDATE reservations SET returns = NULL WHERE id = ?", ANOTHER_COUNT),
        ("UPDATE reservations SET metadata = 'x' WHERE id = ?", "metadata: expected an object of texts"),
        ("UPDATE reservations SET metadata = '[]' WHERE id = ?", "metadata: expected an object of texts"),
        ("UPDATE reservations SET lines = replace(lines, '\"EUR\",1]', '\"EUR\",2]') WHERE id = ?", ANOTHER_COUNT),
        ("UPDATE reservations SET lines = replace(lines, ',1]', ']') WHERE id = ?", ANOTHER_COUNT),
        ("UPDATE lines SET returned = 2 WHERE reservation_id = ?", ANOTHER_COUNT),
    ],
)
@pytest.mark.parametrize("products", [(CUP,), (CUP, HAT)])
async def test_the_audit_names_a_reservation_with_unreadable_or_contradicting_values(
    full: SqliteStore, path: Path, sql: str, why: str, products: tuple[str, ...]
) -> None:
    basket = dict.fromkeys(products, 3)
    await flush(full, reserve_basket(100, basket), confirm(100), give_back(100, dict.fromkeys(products, 1)))
    assert (await full.audit()).set_aside == []
    by_hand(path, sql, reservation_id(100))
    assert [(each.id, each.why) for each in (await full.audit()).set_aside] == [(reservation_id(100), why)]


async def test_details_that_cannot_be_read_are_left_out_and_the_others_are_there(full: SqliteStore, path: Path) -> None:
    cup, hat = ProductDetails("A cup."), ProductDetails("A hat.", metadata={"size": "L"})
    await full.set_details({CUP: cup, HAT: hat})
    by_hand(path, "UPDATE product_details SET metadata = 'x' WHERE product_id = ?", CUP)
    assert await full.details([CUP, HAT]) == {HAT: hat}
