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
    LabelEffect,
    ReleaseEffect,
    ReserveEffect,
    RestockEffect,
    ReturnEffect,
)
from flashreserve.core.facts import Facts, is_limit_claim
from flashreserve.core.model import Product, Reservation
from flashreserve.stores.sqlite.columns import ACCOUNTS, ADJUSTMENTS, DETAILS, KEYS, PRODUCTS, RESERVATIONS, insert

_PRODUCT_COLUMNS: Final = PRODUCTS.select("p")
_RESERVATION_COLUMNS: Final = RESERVATIONS.select("r")
_ACCOUNT_COLUMNS: Final = ACCOUNTS.select("a")

SELECT_PRODUCTS: Final = (
    f"SELECT {_PRODUCT_COLUMNS} FROM json_each(?) AS wanted CROSS JOIN products AS p ON p.id = wanted.value"  # noqa: S608
)
SELECT_RESERVATIONS: Final = (
    f"SELECT {_RESERVATION_COLUMNS} FROM json_each(?) AS wanted"  # noqa: S608
    " CROSS JOIN reservations AS r ON r.id = wanted.value"
)


def has_lapsed(now: str) -> str:
    """`core.holds.has_lapsed` as a condition on `expires_at`, with the parameter `now`."""
    return f"expires_at <= {now}"


_HAS_LAPSED: Final = has_lapsed("?")
"""`core.holds.has_lapsed` in SQL. Its parameter is the time now."""
SELECT_DUE: Final = (
    f"SELECT id FROM reservations WHERE status = 'PENDING' AND {_HAS_LAPSED} ORDER BY expires_at, id LIMIT ?"  # noqa: S608
)
SELECT_OLDEST_DUE: Final = f"SELECT min(expires_at) FROM reservations WHERE status = 'PENDING' AND {_HAS_LAPSED}"  # noqa: S608
# They read by paths from the whole JSON, which was checked. So a bad value inside it is NULL; read by itself, it would
# end the statement.
_RETURNED_IN_JSON: Final = """
    CASE WHEN json_array_length(r.lines) = 1 AND r.lines ->> '$[0][0]' = l.product_id
        THEN coalesce(r.lines ->> '$[0][4]', 0)
        ELSE (SELECT coalesce(json_extract(r.lines, j.fullkey || '[4]'), 0) FROM json_each(r.lines) AS j
              WHERE json_extract(r.lines, j.fullkey || '[0]') = l.product_id) END"""
_RETURNED_BY_ENTRIES: Final = """
    coalesce((SELECT sum(json_extract(r.returns, u.fullkey || '.quantity'))
              FROM json_each(r.returns) AS e, json_each(r.returns, e.fullkey || '.lines') AS u
              WHERE json_extract(r.returns, u.fullkey || '.product_id') = l.product_id), 0)"""
# Reservations that no list can show, that no sweep can release, or whose returned units contradict each other.
_UNREADABLE: Final = f"""
    SELECT r.id, CASE
        WHEN NOT json_valid(r.lines) OR json_type(r.lines) <> 'array' OR json_array_length(r.lines) = 0
            THEN 'lines: expected a list of [product, quantity, price, currency, returned]'
        WHEN r.returns IS NOT NULL AND (NOT json_valid(r.returns) OR json_type(r.returns) <> 'array')
            THEN 'returns: expected a list of entries'
        WHEN r.metadata IS NOT NULL AND (NOT json_valid(r.metadata) OR json_type(r.metadata) <> 'object')
            THEN 'metadata: expected an object of texts' END AS why
    FROM reservations AS r WHERE why IS NOT NULL
    UNION
    SELECT l.reservation_id, CASE WHEN p.id IS NULL THEN 'its product ' || l.product_id || ' isn''t there'
        ELSE 'returned: expected the same units in the table lines, in lines and in returns' END
    FROM lines AS l JOIN reservations AS r ON r.id = l.reservation_id AND r.status IN ('PENDING', 'CONFIRMED')
    LEFT JOIN products AS p ON p.id = l.product_id
    WHERE p.id IS NULL
        OR CASE WHEN json_valid(r.lines) THEN l.returned IS NOT ({_RETURNED_IN_JSON}) END
        OR CASE WHEN r.returns IS NULL THEN l.returned <> 0
            WHEN json_valid(r.returns) AND json_type(r.returns) = 'array'
                THEN l.returned <> {_RETURNED_BY_ENTRIES} END"""  # noqa: S608
SELECT_UNREADABLE: Final = f"SELECT id, why FROM ({_UNREADABLE}) LIMIT ?"  # noqa: S608
SELECT_BOOKS: Final = """
    SELECT p.id, p.stocked, p.available, coalesce(sum(l.quantity - l.returned), 0), (SELECT count(*) FROM reservations)
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


SELECT_SHOP_PAUSE: Final = "SELECT pause_reason FROM shop WHERE id = 1"
UPDATE_SHOP_PAUSE: Final = """
    UPDATE shop SET pause_reason = ?, pause_version = pause_version + 1 WHERE id = 1 RETURNING pause_version"""
SELECT_PAUSE_VERSION: Final = "SELECT pause_version FROM shop WHERE id = 1"
SELECT_OTHERWISE_PAUSED: Final = f"""
    SELECT {_PRODUCT_COLUMNS} FROM products AS p
    WHERE p.id > ?1 AND p.shop_pause_reason IS NOT ?2 ORDER BY p.id LIMIT ?3"""  # noqa: S608
INSERT_PRODUCT: Final = PRODUCTS.insert()
INSERT_PRODUCT_UNLESS_TAKEN: Final = (
    f"{PRODUCTS.insert()} ON CONFLICT (external_id) WHERE external_id IS NOT NULL DO NOTHING"
)
SELECT_BY_EXTERNAL_ID: Final = (
    f"SELECT {_PRODUCT_COLUMNS} FROM json_each(?) AS wanted"  # noqa: S608
    " CROSS JOIN products AS p ON p.external_id = wanted.value AND p.external_id IS NOT NULL"
)
SELECT_DETAILS: Final = (
    f"SELECT d.product_id, {DETAILS.select('d')} FROM json_each(?) AS wanted"  # noqa: S608
    " CROSS JOIN product_details AS d ON d.product_id = wanted.value"
)
REPLACE_DETAILS: Final = insert(DETAILS.table, ("product_id", *DETAILS.names), 1, "INSERT OR REPLACE")
UPDATE_PRODUCT: Final = PRODUCTS.update()
DELETE_CLAIM: Final = "DELETE FROM claims WHERE user_id = ? AND claim = ?"
INSERT_ADJUSTMENT: Final = ADJUSTMENTS.insert()
PROLONG: Final = "UPDATE reservations SET expires_at = ?2, extensions = ?3, trail_n = ?4 WHERE id = ?1"
CONFIRM: Final = "UPDATE reservations SET status = 'CONFIRMED', confirmed_at = ?2, trail_n = ?3 WHERE id = ?1"
RELEASE: Final = "UPDATE reservations SET status = ?2, released_at = ?3, trail_n = ?4 WHERE id = ?1"
UPDATE_RETURNS: Final = "UPDATE reservations SET lines = ?2, returns = ?3, trail_n = ?4 WHERE id = ?1"
UPDATE_LABELS: Final = "UPDATE reservations SET external_id = ?2, metadata = ?3 WHERE id = ?1"
UPDATE_RETURNED: Final = "UPDATE lines SET returned = ?3 WHERE product_id = ?1 AND reservation_id = ?2"
INSERT_ACCOUNT: Final = f"{ACCOUNTS.insert()} ON CONFLICT (email) DO NOTHING"
UPDATE_PASSWORD_HASH: Final = "UPDATE accounts SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2"  # noqa: S105
UPDATE_ROLE: Final = "UPDATE accounts SET role = ?2 WHERE id = ?1"
ENABLE: Final = "UPDATE accounts SET disabled_at = NULL WHERE id = ?1"
COUNT_ACCOUNT_EVENTS: Final = "UPDATE accounts SET trail_n = ?2 WHERE id = ?1"
_SIGNED_OUT: Final = "max(?2, coalesce((signed_out_at / 1000 + 1) * 1000, 0))"
"""`core.accounts.signed_out_at` of the instant ?2."""

SET_PASSWORD: Final = f"""
    UPDATE accounts SET password_hash = ?4, signed_out_at = {_SIGNED_OUT}
    WHERE id = ?1 AND password_hash = ?3"""  # noqa: S608
UPDATE_SIGNED_OUT: Final = f"UPDATE accounts SET signed_out_at = {_SIGNED_OUT} WHERE id = ?1"  # noqa: S608
_STAYS_ADMINISTRABLE: Final = """(
    role <> 'admin' OR disabled_at IS NOT NULL OR EXISTS (
        SELECT 1 FROM accounts AS other WHERE other.role = 'admin' AND other.disabled_at IS NULL AND other.id <> ?1
    )
)"""
"""Whether some admin's account that isn't disabled is left without the account ?1."""

DEMOTE: Final = (
    f"UPDATE accounts SET role = 'customer', signed_out_at = {_SIGNED_OUT} WHERE id = ?1 AND {_STAYS_ADMINISTRABLE}"  # noqa: S608
)
DISABLE: Final = f"""
    UPDATE accounts SET disabled_at = coalesce(disabled_at, ?2), signed_out_at = {_SIGNED_OUT}
    WHERE id = ?1 AND {_STAYS_ADMINISTRABLE}"""  # noqa: S608
SELECT_ACCOUNTS: Final = (
    f"SELECT {_ACCOUNT_COLUMNS} FROM json_each(?) AS wanted CROSS JOIN accounts AS a ON a.id = wanted.value"  # noqa: S608
)
SELECT_ACCOUNT_PAGE: Final = f"SELECT {_ACCOUNT_COLUMNS} FROM accounts AS a WHERE a.id > ? ORDER BY a.id LIMIT ?"  # noqa: S608
SELECT_SIGNED_OUT: Final = """
    SELECT id, signed_out_at AS at FROM accounts WHERE signed_out_at >= ?
    UNION ALL SELECT id, at FROM erasures
    ORDER BY at DESC LIMIT ?"""
SELECT_SIGNED_OUT_AT: Final = """
    SELECT max(at) FROM (
        SELECT signed_out_at AS at FROM accounts WHERE id = ? UNION ALL SELECT at FROM erasures WHERE id = ?
    )"""

SET_RESET_CODE: Final = "INSERT OR REPLACE INTO reset_codes (account_id, code_hash, expires_at) VALUES (?, ?, ?)"
HAS_RESET_CODE: Final = "SELECT count(*) FROM reset_codes WHERE account_id = ? AND code_hash = ? AND expires_at > ?"
DELETE_RESET_CODE: Final = "DELETE FROM reset_codes WHERE account_id = ?"
USE_RESET_CODE: Final = "DELETE FROM reset_codes WHERE account_id = ?1 AND code_hash = ?2 AND expires_at > ?3"

INSERT_KEY: Final = KEYS.insert()
COUNT_KEYS: Final = "SELECT count(*) FROM api_keys WHERE revoked_at IS NULL"
SELECT_KEYS: Final = f"""
    SELECT {KEYS.select("k")} FROM api_keys AS k
    WHERE k.id IN (
        SELECT id FROM api_keys WHERE revoked_at IS NULL
        UNION ALL SELECT id FROM (
            SELECT id FROM api_keys WHERE revoked_at IS NOT NULL ORDER BY revoked_at DESC, id DESC LIMIT ?
        )
    )
    ORDER BY k.id"""  # noqa: S608
HAS_KEY: Final = "SELECT count(*) FROM api_keys WHERE id = ?"
REVOKE_KEY: Final = """
    UPDATE api_keys SET revoked_at = ?2, trail_n = trail_n + 1 WHERE id = ?1 AND revoked_at IS NULL
    RETURNING name, trail_n"""
TOUCH_KEY: Final = "UPDATE api_keys SET last_used_at = max(?2, coalesce(last_used_at, 0)) WHERE id = ?1"

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
        case ReturnEffect():
            _write_returns(connection, cast("Sequence[ReturnEffect]", effects))
        case LabelEffect():
            _write_labels(connection, cast("Sequence[LabelEffect]", effects))
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
    connection.executemany(
        PROLONG, [(e.after.id, e.after.expires_at, e.after.extensions, e.after.trail_n) for e in effects]
    )


def _write_confirmations(connection: apsw.Connection, effects: Sequence[ConfirmEffect]) -> None:
    connection.executemany(CONFIRM, [(e.after.id, e.after.confirmed_at, e.after.trail_n) for e in effects])


def _write_releases(connection: apsw.Connection, effects: Sequence[ReleaseEffect]) -> None:
    connection.executemany(
        RELEASE, [(e.after.id, e.after.status.value, e.after.released_at, e.after.trail_n) for e in effects]
    )
    _delete_limit_claims(connection, effects)


def _write_labels(connection: apsw.Connection, effects: Sequence[LabelEffect]) -> None:
    rows = [_row(e.after) for e in effects]
    connection.executemany(UPDATE_LABELS, [(row["id"], row["external_id"], row["metadata"]) for row in rows])


def _row(reservation: Reservation) -> dict[str, Any]:
    return dict(zip(RESERVATIONS.names, RESERVATIONS.values(reservation), strict=True))


def _write_returns(connection: apsw.Connection, effects: Sequence[ReturnEffect]) -> None:
    rows = [_row(e.after) for e in effects]
    connection.executemany(UPDATE_RETURNS, [(row["id"], row["lines"], row["returns"], row["trail_n"]) for row in rows])
    returned = [(line.product_id, e.after.id, line.returned) for e in effects for line in e.after.lines]
    connection.executemany(UPDATE_RETURNED, returned)
    _delete_limit_claims(connection, effects)


def _delete_limit_claims(connection: apsw.Connection, effects: Sequence[ReleaseEffect | ReturnEffect]) -> None:
    claims = [(e.after.user_id, claim) for e in effects for claim in e.claims if is_limit_claim(claim)]
    if claims:
        connection.executemany(DELETE_CLAIM, claims)


def _write_adjustments(connection: apsw.Connection, effects: Sequence[RestockEffect]) -> None:
    connection.executemany(INSERT_ADJUSTMENT, [ADJUSTMENTS.values(e.adjustment) for e in effects])
