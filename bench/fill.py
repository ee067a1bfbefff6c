"""Fills a SQLite database with any number of reservations, in the form that the service would have written."""

import time
from pathlib import Path
from typing import Final

import apsw

from flashreserve.stores.sqlite.schema import COUNTS_UNTIL

_CHUNK: Final = 500_000
_HOLD_MS: Final = 6 * 3600 * 1000
_SPAN_MS: Final = 30 * 24 * 3600 * 1000
"""The reservations are spread over this time, up to now."""

_SHELF: Final = """
    CREATE TEMP TABLE shelf AS
    SELECT row_number() OVER (ORDER BY id) - 1 AS place, id FROM products WHERE available >= ?"""

# Ids ascend with time, as UUIDv7 does. Customers come in random order, and half of them reserve the hot product. Seven
# in ten reservations are confirmed, one in a thousand is held, the others have expired.
_ROWS: Final = f"""
    WITH RECURSIVE numbers(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < :end),
    came AS (
        SELECT i, :now - {_SPAN_MS} + i * {_SPAN_MS} / :rows AS at, (i * 2654435761) % 4294967296 AS scatter,
            CASE WHEN i % 2 THEN 0 ELSE i / 2 % (SELECT count(*) FROM shelf) END AS place,
            CASE WHEN i % 1000 = 9 THEN 'PENDING' WHEN i % 10 < 7 THEN 'CONFIRMED' ELSE 'EXPIRED' END AS status
        FROM numbers
    )
    SELECT printf('%08x-%04x-7000-8000-%012x', at >> 16, at & 65535, i) AS id,
        printf('%08x-0000-7000-8000-%012x', scatter, scatter) AS user_id, status, shelf.id AS product_id, at, i
    FROM came JOIN temp.shelf USING (place)"""  # noqa: S608 - the number is our own
_RESERVATIONS: Final = f"""
    INSERT INTO reservations (id, user_id, status, lines, created_at, expires_at, hold_s, extensions_max, extensions,
        confirmed_at, released_at, idem_key)
    SELECT id, user_id, status, json_array(json_array(product_id, 1, 999, 'USD')), at,
        CASE status WHEN 'PENDING' THEN :now + {_HOLD_MS} ELSE at + 600000 END, 600, 0, 0,
        CASE status WHEN 'CONFIRMED' THEN at + 60000 END, CASE status WHEN 'EXPIRED' THEN at + 600000 END,
        printf('key-%d', i)
    FROM ({_ROWS})"""  # noqa: S608 - the same
_LINES: Final = f"""
    INSERT INTO lines (product_id, reservation_id, quantity)
    SELECT product_id, id, 1 FROM ({_ROWS}) ORDER BY product_id, id"""  # noqa: S608 - the same
_FILED: Final = f"INSERT INTO filed SELECT user_id, id, {COUNTS_UNTIL} FROM reservations AS r ORDER BY user_id, id"  # noqa: S608 - the same
_CLAIMS: Final = "INSERT INTO claims SELECT user_id, 'idem:' || idem_key, id FROM reservations ORDER BY user_id"
_STOCK: Final = """
    UPDATE products SET available = available - (
        SELECT count(*) FROM lines AS l JOIN reservations AS r ON r.id = l.reservation_id
        WHERE l.product_id = products.id AND r.status <> 'EXPIRED')"""


def fill(path: Path, rows: int) -> int:
    """Add `rows` reservations of one unit, each with an idempotency key, to the products with enough stock.

    No process may have the database open. Ten million take some minutes, and 5 GB.

    Returns:
        `rows`.
    """
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "OFF")  # The server switches the log on again when it opens the file.
    connection.pragma("synchronous", "OFF")
    connection.execute(_SHELF, (rows,))
    connection.execute("CREATE UNIQUE INDEX temp.shelf_place ON shelf (place)")
    name, trigger = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").get
    connection.execute(f"DROP TRIGGER {name}")
    now_ms = int(time.time() * 1000)
    for first in range(0, rows, _CHUNK):
        span = {"first": first, "end": min(first + _CHUNK, rows), "rows": rows, "now": now_ms}
        for statement in (_RESERVATIONS, _LINES):
            connection.execute(statement, span)
    for statement in (_FILED, _CLAIMS, _STOCK, trigger):
        connection.execute(statement)
    connection.close()
    return rows
