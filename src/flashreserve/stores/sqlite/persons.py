"""Erasing a person from the database file."""

from typing import Any, Final

import apsw
from typing_extensions import override

from flashreserve.core import limits
from flashreserve.core.customers import hashed_id
from flashreserve.core.returns import without_person
from flashreserve.stores.port import PersonStore
from flashreserve.stores.sqlite import rows
from flashreserve.stores.sqlite.columns import decode_returns, encode_returns
from flashreserve.stores.sqlite.events import rename
from flashreserve.stores.sqlite.transactions import SqliteTransactions, execute_all
from flashreserve.stores.unreadable import UnreadableError

_NOTE: Final = "INSERT INTO erasures (id, at) VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)"
_FORGET: Final = "DELETE FROM erasures WHERE at < ?"
_HAS_ONE: Final = "SELECT EXISTS (SELECT 1 FROM reservations WHERE user_id = ?)"
_IS_ADMIN: Final = "SELECT count(*) FROM accounts WHERE id = ? AND role = 'admin'"
_DELETE_ACCOUNT: Final = "DELETE FROM accounts WHERE id = ?"

_IDS: Final = """
    SELECT id FROM reservations
    WHERE id IN (
        SELECT reservation_id FROM filed WHERE user_id = ?1
        UNION SELECT reservation_id FROM fresh WHERE user_id = ?1
    ) AND status <> 'PENDING'
    ORDER BY id LIMIT ?2"""
_RETURNS: Final = """
    SELECT r.id, CAST(r.returns AS BLOB) FROM json_each(?) AS wanted
    CROSS JOIN reservations AS r ON r.id = wanted.value AND r.returns IS NOT NULL"""
_SET_RETURNS: Final = "UPDATE reservations SET returns = ?2 WHERE id = ?1"
_AMONG: Final = "IN (SELECT value FROM json_each(?3))"
# Each has the customer's id, the pseudonym, and the reservations' ids as JSON.
_REWRITE: Final = (
    f"""UPDATE reservations SET user_id = ?2, idem_key = NULL, external_id = NULL, metadata = NULL
    WHERE user_id = ?1 AND id {_AMONG}""",  # noqa: S608
    f"UPDATE fresh SET user_id = ?2, idem_key = NULL WHERE user_id = ?1 AND reservation_id {_AMONG}",  # noqa: S608
    f"UPDATE filed SET user_id = ?2 WHERE user_id = ?1 AND reservation_id {_AMONG}",  # noqa: S608
    f"DELETE FROM claims WHERE user_id = ?1 AND claim LIKE 'idem:%' AND reservation_id {_AMONG}",  # noqa: S608
    f"UPDATE claims SET user_id = ?2 WHERE user_id = ?1 AND reservation_id {_AMONG}",  # noqa: S608
)


class SqlitePersons(SqliteTransactions, PersonStore):
    """Its methods are documented in `flashreserve.stores.port`."""

    @override
    async def begin_erasure(self, customer_id: str, at: int) -> bool:
        def begin(connection: apsw.Connection) -> bool:
            if connection.execute(_IS_ADMIN, (customer_id,)).get:
                return False
            connection.execute(_NOTE, (hashed_id(customer_id), at))
            connection.execute(_FORGET, (at - limits.ERASURES_KEPT_S * 1000,))
            connection.execute(rows.DELETE_RESET_CODE, (customer_id,))
            connection.execute(_DELETE_ACCOUNT, (customer_id,))
            return True

        return await self._write(begin)

    @override
    async def has_reservations(self, customer_id: str) -> bool:
        return bool(await self._read(lambda connection: connection.execute(_HAS_ONE, (customer_id,)).get))

    @override
    async def erase_reservations(self, customer_id: str, pseudonym: str, most: int) -> int:
        def erase(connection: apsw.Connection) -> int:
            found: list[Any] = connection.execute(_IDS, (customer_id, most)).fetchall()
            ids = rows.to_json([id_ for (id_,) in found])
            entries: list[Any] = connection.execute(_RETURNS, (ids,)).fetchall()
            rewritten = [(id_, _without_person(kept)) for id_, kept in entries]
            execute_all(connection, _SET_RETURNS, rewritten)
            for statement in _REWRITE:
                connection.execute(statement, (customer_id, pseudonym, ids))
            rename(connection, customer_id, pseudonym, ids)
            return len(found)

        return await self._write(erase)


def _without_person(kept: bytes) -> str | None:
    """The returns as they are stored afterwards. Invalid ones are dropped: the units are in the lines too."""
    try:
        entries = [without_person(entry) for entry in decode_returns(kept)]
    except UnreadableError:
        return None
    return encode_returns(tuple(entries))
