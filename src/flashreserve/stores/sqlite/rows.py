"""SQL statements, and writing effects as rows. All of it runs inside a transaction that the store began."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, groupby
from typing import Any, Final, assert_never, cast

import apsw
import msgspec
from msgspec.structs import replace

from flashreserve.core.effects import (
    ConfirmEffect,
    EditEffect,
    Effect,
    ExtendEffect,
    ReleaseEffect,
    ReserveEffect,
    RestockEffect,
)
from flashreserve.core.facts import Facts, is_limit_claim
from flashreserve.core.model import Product
from flashreserve.stores.sqlite.columns import ACCOUNTS, ADJUSTMENTS, PRODUCTS, RESERVATIONS, insert

_PRODUCT_COLUMNS: Final = PRODUCTS.select("p")
_RESERVATION_COLUMNS: Final = RESERVATIONS.select("r")
_ACCOUNT_COLUMNS: Final = ACCOUNTS.select("a")

SELECT_PRODUCTS: Final = (
    f"SELECT {_PRODUCT_COLUMNS} FROM json_each(?) AS wanted CROSS JOIN products AS p ON p.id = wanted.value"  # noqa: S608
)
SELECT_PRODUCT_PAGE: Final = f"SELECT {_PRODUCT_COLUMNS} FROM products AS p WHERE p.id > ? ORDER BY p.id LIMIT ?"  # noqa: S608
SELECT_RESERVATIONS: Final = (
    f"SELECT {_RESERVATION_COLUMNS} FROM json_each(?) AS wanted"  # noqa: S608
    " CROSS JOIN reservations AS r ON r.id = wanted.value"
)
SELECT_RESERVATION_PAGE: Final = (
    f"SELECT {_RESERVATION_COLUMNS} FROM reservations AS r WHERE r.id > ? ORDER BY r.id LIMIT ?"  # noqa: S608
)
SELECT_PAGE_OF_USER: Final = f"""
    WITH mine (id) AS (
        SELECT id FROM (
            SELECT reservation_id AS id FROM filed
            WHERE user_id = ?1 AND reservation_id < ?2 ORDER BY reservation_id DESC LIMIT ?3
        )
        UNION SELECT reservation_id FROM fresh WHERE user_id = ?1 AND reservation_id < ?2
    )
    SELECT {_RESERVATION_COLUMNS} FROM mine CROSS JOIN reservations AS r USING (id) ORDER BY r.id DESC LIMIT ?3"""  # noqa: S608
"""Reads all of `fresh`, which is short: see `customer_index.py`."""
SELECT_PAGE_OF_PRODUCT: Final = (
    f"SELECT {_RESERVATION_COLUMNS} FROM lines AS l JOIN reservations AS r ON r.id = l.reservation_id"  # noqa: S608
    " WHERE l.product_id = ? AND l.reservation_id > ? ORDER BY l.reservation_id LIMIT ?"
)
_HAS_LAPSED: Final = "expires_at <= ?"
"""`core.holds.has_lapsed` in SQL. Its parameter is the time now."""
SELECT_DUE: Final = (
    f"SELECT id FROM reservations WHERE status = 'PENDING' AND {_HAS_LAPSED} ORDER BY expires_at, id LIMIT ?"  # noqa: S608
)
SELECT_OLDEST_DUE: Final = f"SELECT min(expires_at) FROM reservations WHERE status = 'PENDING' AND {_HAS_LAPSED}"  # noqa: S608
# Reservations that no list can show, or that no sweep can release.
_UNREADABLE: Final = """
    SELECT r.id, 'lines: expected a list of [product, quantity, price, currency]' AS why FROM reservations AS r
    WHERE NOT json_valid(r.lines) OR json_type(r.lines) <> 'array' OR json_array_length(r.lines) = 0
    UNION ALL
    SELECT l.reservation_id, 'its product ' || l.product_id || ' isn''t there'
    FROM lines AS l JOIN reservations AS r ON r.id = l.reservation_id AND r.status IN ('PENDING', 'CONFIRMED')
    LEFT JOIN products AS p ON p.id = l.product_id WHERE p.id IS NULL"""
SELECT_UNREADABLE: Final = f"SELECT id, why FROM ({_UNREADABLE}) LIMIT ?"  # noqa: S608
COUNT_UNREADABLE: Final = f"SELECT count(*) FROM ({_UNREADABLE})"  # noqa: S608
SELECT_BOOKS: Final = """
    SELECT p.id, p.stocked, p.available, coalesce(sum(l.quantity), 0), (SELECT count(*) FROM reservations)
    FROM products AS p
    LEFT JOIN (lines AS l JOIN reservations AS r ON r.id = l.reservation_id AND r.status IN ('PENDING', 'CONFIRMED'))
        ON l.product_id = p.id
    GROUP BY p.id"""
SELECT_CLAIMS: Final = """
    SELECT c.user_id, c.claim, c.reservation_id
    FROM json_each(?) AS wanted
    CROSS JOIN claims AS c ON c.user_id = wanted.value ->> 0 AND c.claim = wanted.value ->> 1"""
# All facts of most flushes in one row, because each step of a statement releases the interpreter's lock.
SELECT_FOR_FLUSH: Final = f"""
    SELECT
        (SELECT json_group_array(json_array({_PRODUCT_COLUMNS}))
         FROM json_each(?1) AS wanted CROSS JOIN products AS p ON p.id = wanted.value),
        (SELECT json_group_array(json_array(c.user_id, c.claim, c.reservation_id))
         FROM json_each(?2) AS wanted
         CROSS JOIN claims AS c ON c.user_id = wanted.value ->> 0 AND c.claim = wanted.value ->> 1),
        (SELECT json_group_array(json_array(place, user_id, idem_key, reservation_id, counts_until))
         FROM fresh WHERE place > ?3 AND (?4 OR idem_key IS NOT NULL)),
        (SELECT json_group_array(json_array(f.user_id, f.reservation_id))
         FROM json_each(?5) AS wanted CROSS JOIN filed AS f ON f.user_id = wanted.value WHERE f.counts_until > ?6),
        (SELECT min(place) FROM fresh), (SELECT max(place) FROM fresh)"""  # noqa: S608
SELECT_ADJUSTMENTS: Final = f"""
    SELECT {ADJUSTMENTS.select("a")}
    FROM json_each(?) AS wanted
    CROSS JOIN adjustments AS a ON a.product_id = wanted.value ->> 0 AND a.key = wanted.value ->> 1"""  # noqa: S608
SELECT_RESERVED: Final = """
    SELECT wanted.value FROM json_each(?) AS wanted
    WHERE EXISTS (SELECT 1 FROM lines AS l WHERE l.product_id = wanted.value)"""
SELECT_ACCOUNT_BY_EMAIL: Final = f"SELECT {_ACCOUNT_COLUMNS} FROM accounts AS a WHERE a.email = ?"  # noqa: S608
SELECT_ACCOUNT_BY_ID: Final = f"SELECT {_ACCOUNT_COLUMNS} FROM accounts AS a WHERE a.id = ?"  # noqa: S608

INSERT_PRODUCT: Final = PRODUCTS.insert()
UPDATE_PRODUCT: Final = PRODUCTS.update()
DELETE_CLAIM: Final = "DELETE FROM claims WHERE user_id = ? AND claim = ?"
INSERT_ADJUSTMENT: Final = ADJUSTMENTS.insert()
PROLONG: Final = "UPDATE reservations SET expires_at = ?2, extensions = ?3 WHERE id = ?1"
CONFIRM: Final = "UPDATE reservations SET status = 'CONFIRMED', confirmed_at = ?2 WHERE id = ?1"
RELEASE: Final = "UPDATE reservations SET status = ?2, released_at = ?3 WHERE id = ?1"
INSERT_ACCOUNT: Final = f"{ACCOUNTS.insert()} ON CONFLICT (email) DO NOTHING"
UPDATE_PASSWORD_HASH: Final = "UPDATE accounts SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2"  # noqa: S105
UPDATE_ROLE: Final = "UPDATE accounts SET role = ?2 WHERE id = ?1"

ROWS_MAX: Final = 128
"""Rows in one statement, at most."""


@lru_cache(maxsize=ROWS_MAX)
def _stock_sql(count: int) -> str:
    rows = ", ".join(["(?, ?)"] * count)
    return (
        f"WITH moved (id, available) AS (VALUES {rows}) "  # noqa: S608
        "UPDATE products SET available = moved.available FROM moved WHERE products.id = moved.id"
    )


_INSERT: Final = "INSERT OR ROLLBACK"
"""With OR ROLLBACK a failure rolls the whole transaction back, as the store would do anyway. Without it, SQLite copies
each page that the statement touches, to be able to undo only the statement."""
_LINE_COLUMNS: Final = ("product_id", "reservation_id", "quantity")
_CLAIM_COLUMNS: Final = ("user_id", "claim", "reservation_id")

_encode = msgspec.json.Encoder().encode


def to_json(values: object) -> str:
    """A list of values as JSON text for `json_each`."""
    return _encode(values).decode()


def apply(connection: apsw.Connection, effects: Sequence[Effect], before: Facts, after: dict[str, Product]) -> None:
    """Write the effects in their order, then the products as the plan left them.

    `after` includes edits and stock movements, so `EditEffect` writes nothing itself.
    """
    for _, run in groupby(effects, type):
        _write(connection, list(run))
    changed = [(before.products[id_], product) for id_, product in after.items() if product is not before.products[id_]]
    moved = [now for was, now in changed if replace(was, available=now.available) == now]
    _write_stock(connection, moved)
    if len(moved) < len(changed):
        connection.executemany(UPDATE_PRODUCT, [PRODUCTS.values(now) for _, now in changed])


def _write(connection: apsw.Connection, effects: Sequence[Effect]) -> None:
    """Write effects that are all of one type, many in one statement."""
    match effects[0]:
        case ReserveEffect():
            _write_holds(connection, cast("Sequence[ReserveEffect]", effects))
        case ExtendEffect():
            _write_extensions(connection, cast("Sequence[ExtendEffect]", effects))
        case ConfirmEffect():
            _write_confirmations(connection, cast("Sequence[ConfirmEffect]", effects))
        case ReleaseEffect():
            _write_releases(connection, cast("Sequence[ReleaseEffect]", effects))
        case RestockEffect():
            _write_adjustments(connection, cast("Sequence[RestockEffect]", effects))
        case EditEffect():
            pass  # `apply` writes the edited product.
        case _:
            assert_never(effects[0])


def _write_stock(connection: apsw.Connection, moved: Sequence[Product]) -> None:
    """Write `available` of products of which nothing else has changed, many in one statement."""
    for start in range(0, len(moved), ROWS_MAX):
        some = moved[start : start + ROWS_MAX]
        values = [value for product in some for value in (product.id, product.available)]
        connection.execute(_stock_sql(len(some)), values)


def _write_holds(connection: apsw.Connection, holds: Sequence[ReserveEffect]) -> None:
    _insert(
        connection, RESERVATIONS.table, RESERVATIONS.names, [RESERVATIONS.values(hold.reservation) for hold in holds]
    )
    _insert(
        connection,
        "lines",
        _LINE_COLUMNS,
        [(line.product_id, hold.reservation.id, line.quantity) for hold in holds for line in hold.reservation.lines],
    )
    _insert(
        connection,
        "claims",
        _CLAIM_COLUMNS,
        # A trigger on `reservations` writes the claims of keys to `fresh`. Quotas are counted, not stored.
        [
            (hold.reservation.user_id, claim, hold.reservation.id)
            for hold in holds
            for claim in hold.claims
            if is_limit_claim(claim)
        ],
    )


def _insert(connection: apsw.Connection, table: str, names: tuple[str, ...], values: Sequence[Sequence[Any]]) -> None:
    """Insert rows, many in one statement.

    Each step of a statement releases the interpreter's lock, and while the event loop is busy it takes time to get it
    back. Row by row, a flush would spend most of its time waiting. The statements, one for each number of rows, stay
    prepared.
    """
    for start in range(0, len(values), ROWS_MAX):
        some = values[start : start + ROWS_MAX]
        connection.execute(insert(table, names, len(some), _INSERT), list(chain.from_iterable(some)))


def _write_extensions(connection: apsw.Connection, effects: Sequence[ExtendEffect]) -> None:
    connection.executemany(PROLONG, [(e.after.id, e.after.expires_at, e.after.extensions) for e in effects])


def _write_confirmations(connection: apsw.Connection, effects: Sequence[ConfirmEffect]) -> None:
    connection.executemany(CONFIRM, [(e.after.id, e.after.confirmed_at) for e in effects])


def _write_releases(connection: apsw.Connection, effects: Sequence[ReleaseEffect]) -> None:
    connection.executemany(RELEASE, [(e.after.id, e.after.status.value, e.after.released_at) for e in effects])
    claims = [(e.after.user_id, claim) for e in effects for claim in e.claims if is_limit_claim(claim)]
    if claims:
        connection.executemany(DELETE_CLAIM, claims)


def _write_adjustments(connection: apsw.Connection, effects: Sequence[RestockEffect]) -> None:
    connection.executemany(INSERT_ADJUSTMENT, [ADJUSTMENTS.values(e.adjustment) for e in effects])
