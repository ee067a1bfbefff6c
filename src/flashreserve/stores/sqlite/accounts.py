"""Accounts and API keys in the database file."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw
from typing_extensions import override

from flashreserve.core import limits
from flashreserve.core.accounts import Restricted, Restriction
from flashreserve.core.customers import hashed_id
from flashreserve.core.events import BY_COMMAND_LINE
from flashreserve.core.model import Account, ApiKey, Role
from flashreserve.core.trail import account_events, key_made_event, revocation_event
from flashreserve.stores.port import AccountStore, KeyStore
from flashreserve.stores.sqlite import rows
from flashreserve.stores.sqlite.columns import ACCOUNTS, KEYS
from flashreserve.stores.sqlite.events import record
from flashreserve.stores.sqlite.transactions import SqliteTransactions, execute_all
from flashreserve.stores.unreadable import UnreadableItems, checked_key

_HAS_ADMIN: Final = "SELECT EXISTS (SELECT 1 FROM accounts WHERE role = 'admin')"
_RESTRICTIONS: Final = {Restriction.DEMOTED: rows.DEMOTE, Restriction.DISABLED: rows.DISABLE}


class SqliteAccounts(SqliteTransactions, AccountStore):
    """Its methods are documented in `flashreserve.stores.port`."""

    @override
    async def add_account(self, account: Account) -> bool:
        return await self._change_one(rows.INSERT_ACCOUNT, *ACCOUNTS.values(account))

    @override
    async def account_by_email(self, email: str) -> Account | None:
        return await self._read_account(rows.SELECT_ACCOUNT_BY_EMAIL, email)

    @override
    async def account_by_id(self, account_id: str) -> Account | None:
        return await self._read_account(rows.SELECT_ACCOUNT_BY_ID, account_id)

    @override
    async def has_admin(self) -> bool:
        found: int = await self._read(lambda connection: connection.execute(_HAS_ADMIN).get)
        return bool(found)

    @override
    async def replace_password_hash(self, account_id: str, old: str, new: str) -> bool:
        return await self._change_one(rows.UPDATE_PASSWORD_HASH, account_id, old, new)

    @override
    async def set_password(self, account_id: str, old: str, new: str, at: int) -> bool:
        def change(connection: apsw.Connection) -> bool:
            connection.execute(rows.SET_PASSWORD, (account_id, at, old, new))
            changed = connection.changes() == 1
            if changed:
                connection.execute(rows.DELETE_RESET_CODE, (account_id,))
            return changed

        return await self._write(change)

    @override
    async def restrict(
        self, account_id: str, restriction: Restriction, at: int, by: str = BY_COMMAND_LINE
    ) -> Restricted:
        def change(connection: apsw.Connection) -> Restricted:
            before = _account(connection, account_id)
            if before is None:
                return Restricted.NO_ACCOUNT
            connection.execute(_RESTRICTIONS[restriction], (account_id, at))
            if not connection.changes():
                return Restricted.LAST_ADMIN
            if restriction is Restriction.DISABLED:
                connection.execute(rows.DELETE_RESET_CODE, (account_id,))
            _record_change(connection, before, at, by)
            return Restricted.DONE

        return await self._write(change)

    @override
    async def set_role(self, account_id: str, role: Role, at: int, by: str = BY_COMMAND_LINE) -> bool:
        return await self._change_rights(account_id, at, by, rows.UPDATE_ROLE, role)

    @override
    async def enable(self, account_id: str, at: int, by: str = BY_COMMAND_LINE) -> bool:
        return await self._change_rights(account_id, at, by, rows.ENABLE)

    async def _change_rights(self, account_id: str, at: int, by: str, sql: str, *values: str) -> bool:
        def change(connection: apsw.Connection) -> bool:
            before = _account(connection, account_id)
            if before is None:
                return False
            connection.execute(sql, (account_id, *values))
            _record_change(connection, before, at, by)
            return True

        return await self._write(change)

    @override
    async def sign_out(self, account_id: str, at: int) -> bool:
        return await self._change_one(rows.UPDATE_SIGNED_OUT, account_id, at)

    @override
    async def accounts(self, account_ids: Sequence[str]) -> list[Account]:
        wanted = rows.to_json(sorted(set(account_ids)))
        found = await self._read(lambda connection: connection.execute(rows.SELECT_ACCOUNTS, (wanted,)).fetchall())
        return [ACCOUNTS.struct(row) for row in found]

    @override
    async def list_accounts(self, after: str | None, most: int) -> list[Account]:
        found = await self._read(
            lambda connection: connection.execute(rows.SELECT_ACCOUNT_PAGE, (after or "", most)).fetchall()
        )
        return [ACCOUNTS.struct(row) for row in found]

    @override
    async def set_reset_code(self, account_id: str, code_hash: str, expires_at: int) -> None:
        await self._change_one(rows.SET_RESET_CODE, account_id, code_hash, expires_at)

    @override
    async def has_reset_code(self, account_id: str, code_hash: str, now: int) -> bool:
        values = (account_id, code_hash, now)
        return bool(await self._read(lambda connection: connection.execute(rows.HAS_RESET_CODE, values).get))

    @override
    async def use_reset_code(self, account_id: str, code_hash: str, now: int) -> bool:
        return await self._change_one(rows.USE_RESET_CODE, account_id, code_hash, now)

    @override
    async def signed_out_since(self, since: int, most: int) -> dict[str, int]:
        found: list[Any] = await self._read(
            lambda connection: connection.execute(rows.SELECT_SIGNED_OUT, (since, most)).fetchall()
        )
        return dict(found)

    @override
    async def signed_out_at(self, customer_id: str) -> int | None:
        ids = (customer_id, hashed_id(customer_id))
        at: int | None = await self._read(lambda connection: connection.execute(rows.SELECT_SIGNED_OUT_AT, ids).get)
        return at

    async def _read_account(self, sql: str, value: str) -> Account | None:
        return await self._read(lambda connection: _account(connection, value, sql))


def _account(connection: apsw.Connection, value: str, sql: str = rows.SELECT_ACCOUNT_BY_ID) -> Account | None:
    row = connection.execute(sql, (value,)).fetchone()
    return None if row is None else ACCOUNTS.struct(row)


def _record_change(connection: apsw.Connection, before: Account, at: int, by: str) -> None:
    """Record the events of what the transaction has changed in the account so far."""
    after = _account(connection, before.id)
    if after is not None:
        counted, events = account_events(before, after, at, by)
        connection.execute(rows.COUNT_ACCOUNT_EVENTS, (counted.id, counted.trail_n))
        record(connection, events)


class SqliteKeys(SqliteTransactions, KeyStore):
    """Its methods are documented in `flashreserve.stores.port`."""

    _aside: UnreadableItems

    @override
    async def add_key(self, key: ApiKey, most: int) -> bool:
        def add(connection: apsw.Connection) -> bool:
            if connection.execute(rows.COUNT_KEYS).get >= most:
                return False
            connection.execute(rows.INSERT_KEY, KEYS.values(key))
            record(connection, [key_made_event(key)])
            return True

        return await self._write(add)

    @override
    async def keys(self, *, current: bool = False) -> list[ApiKey]:
        found = await self._read(
            lambda connection: connection.execute(rows.SELECT_KEYS, (limits.API_KEYS_MAX,)).fetchall()
        )
        return self._aside.readable("API key", found, _id_of, _key)

    @override
    async def revoke_key(self, key_id: str, at: int, by: str = BY_COMMAND_LINE) -> bool:
        def revoke(connection: apsw.Connection) -> bool:
            valid = connection.execute(rows.REVOKE_KEY, (key_id, at)).fetchone()
            if valid is not None:
                name, trail_n = valid
                record(connection, [revocation_event(key_id, name, trail_n, at, by)])
            return valid is not None or bool(connection.execute(rows.HAS_KEY, (key_id,)).get)

        return await self._write(revoke)

    @override
    async def touch_keys(self, used: Mapping[str, int]) -> None:
        await self._write(lambda connection: execute_all(connection, rows.TOUCH_KEY, list(used.items())))


def _id_of(row: Sequence[Any]) -> str:
    return str(row[0])


def _key(row: Sequence[Any]) -> ApiKey:
    return checked_key(KEYS.struct(row))
