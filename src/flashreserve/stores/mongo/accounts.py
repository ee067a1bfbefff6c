"""Accounts and API keys on the MongoDB server."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec
from typing_extensions import override

from flashreserve.core import limits
from flashreserve.core.accounts import Restricted, Restriction
from flashreserve.core.customers import hashed_id
from flashreserve.core.events import BY_COMMAND_LINE, AccessChange, EventType, RoleChange
from flashreserve.core.model import Account, ApiKey, Role
from flashreserve.core.trail import key_made_event
from flashreserve.stores.mongo import admin_guard
from flashreserve.stores.mongo.admin_guard import signed_out
from flashreserve.stores.mongo.database import Database, Document, Fields, Query
from flashreserve.stores.mongo.documents import (
    account_document,
    account_from,
    id_of,
    key_document,
    key_from,
)
from flashreserve.stores.mongo.trail import entry, entry_of, made, recording
from flashreserve.stores.port import AccountStore, KeyStore, StoreDefectError
from flashreserve.stores.unreadable import UnreadableItems

_ID: Final[Fields] = {"_id": 1}


class MongoAccounts(AccountStore):
    """Its methods are documented in `flashreserve.stores.port`."""

    def __init__(self, database: Database, aside: UnreadableItems) -> None:
        self._database = database
        self._aside = aside

    @override
    async def add_account(self, account: Account) -> bool:
        if not await self._database.insert_many("accounts", [account_document(account)]):
            return True
        if await self._database.find("accounts", {"email": account.email}, fields={"_id": 1}, most=1, current=True):
            return False
        raise StoreDefectError("an id that should be new is in use")

    @override
    async def account_by_email(self, email: str) -> Account | None:
        return await self._account({"email": email})

    @override
    async def account_by_id(self, account_id: str) -> Account | None:
        return await self._account({"_id": account_id})

    async def _account(self, query: Mapping[str, Any]) -> Account | None:
        found = await self._database.find("accounts", query, most=1, current=True)
        return next(iter(self._aside.readable("account", found, id_of, account_from)), None)

    @override
    async def has_admin(self) -> bool:
        admins = {"role": Role.ADMIN.value}
        return bool(await self._database.find("accounts", admins, fields={"_id": 1}, most=1, current=True))

    @override
    async def replace_password_hash(self, account_id: str, old: str, new: str) -> bool:
        return await self._change_account({"_id": account_id, "password_hash": old}, {"password_hash": new})

    @override
    async def set_password(self, account_id: str, old: str, new: str, at: int) -> bool:
        query = {"_id": account_id, "password_hash": old}
        # Literally: a hash begins with a dollar sign, like the name of a field.
        change = {"password_hash": {"$literal": new}, "signed_out_at": signed_out(at), "reset_code": None}
        return await self._database.find_one_and_update("accounts", query, [{"$set": change}], fields=_ID) is not None

    @override
    async def restrict(
        self, account_id: str, restriction: Restriction, at: int, by: str = BY_COMMAND_LINE
    ) -> Restricted:
        return await admin_guard.restrict(self._database, account_id, restriction, at, by)

    @override
    async def set_role(self, account_id: str, role: Role, at: int, by: str = BY_COMMAND_LINE) -> bool:
        (before,) = (each for each in Role if each is not role)
        change = RoleChange(before, role)
        changed = entry(EventType.ACCOUNT_ROLE_CHANGED, at, by, data=msgspec.to_builtins(change))
        return await self._change_rights(account_id, {"role": {"$ne": role.value}}, {"role": role.value}, changed)

    @override
    async def enable(self, account_id: str, at: int, by: str = BY_COMMAND_LINE) -> bool:
        enabled = entry(EventType.ACCOUNT_ENABLED, at, by, data=msgspec.to_builtins(AccessChange(enabled=True)))
        return await self._change_rights(account_id, {"disabled_at": {"$ne": None}}, {"disabled_at": None}, enabled)

    async def _change_rights(self, account_id: str, before: Document, after: Document, added: Document) -> bool:
        """Change the account if it is as `before`. False: there is no such account."""
        change = recording({"$set": after}, added)
        if await self._database.find_one_and_update("accounts", {"_id": account_id, **before}, change, fields=_ID):
            return True
        return bool(await self._database.find("accounts", {"_id": account_id}, fields=_ID, current=True))

    @override
    async def sign_out(self, account_id: str, at: int) -> bool:
        change = [{"$set": {"signed_out_at": signed_out(at)}}]
        return await self._database.find_one_and_update("accounts", {"_id": account_id}, change, fields=_ID) is not None

    @override
    async def accounts(self, account_ids: Sequence[str]) -> list[Account]:
        found = await self._database.find("accounts", {"_id": {"$in": sorted(set(account_ids))}})
        return self._aside.readable("account", found, id_of, account_from)

    @override
    async def list_accounts(self, after: str | None, most: int) -> list[Account]:
        query = {"_id": {"$gt": after or ""}}
        found = await self._database.find("accounts", query, order=[("_id", 1)], most=most)
        return self._aside.readable("account", found, id_of, account_from)

    @override
    async def set_reset_code(self, account_id: str, code_hash: str, expires_at: int) -> None:
        await self._change_account({"_id": account_id}, {"reset_code": {"hash": code_hash, "expires_at": expires_at}})

    @override
    async def has_reset_code(self, account_id: str, code_hash: str, now: int) -> bool:
        query = _good(account_id, code_hash, now)
        return bool(await self._database.find("accounts", query, fields=_ID, most=1, current=True))

    @override
    async def use_reset_code(self, account_id: str, code_hash: str, now: int) -> bool:
        return await self._change_account(_good(account_id, code_hash, now), {"reset_code": None})

    @override
    async def signed_out_since(self, since: int, most: int) -> dict[str, int]:
        query = {"signed_out_at": {"$gte": since, "$type": "number"}}
        order = [("signed_out_at", -1)]
        found = await self._database.find("accounts", query, fields={"signed_out_at": 1}, order=order, most=most)
        erased = await self._database.find("erasures", {}, order=[("at", -1)], most=most)
        until = {document["_id"]: document["signed_out_at"] for document in found}
        until |= {document["_id"]: document["at"] for document in erased}
        return dict(sorted(until.items(), key=_instant, reverse=True)[:most])

    @override
    async def signed_out_at(self, customer_id: str) -> int | None:
        one: Query = {"_id": customer_id}
        accounts = await self._database.find("accounts", one, fields={"signed_out_at": 1}, current=True)
        erasures = await self._database.find("erasures", {"_id": hashed_id(customer_id)}, current=True)
        found = [each.get("signed_out_at") for each in accounts] + [each["at"] for each in erasures]
        return max((int(at) for at in found if isinstance(at, int | float)), default=None)

    async def _change_account(self, query: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
        found = await self._database.find_one_and_update("accounts", query, {"$set": change}, fields={"_id": 1})
        return found is not None


class MongoKeys(KeyStore):
    """Its methods are documented in `flashreserve.stores.port`. Several keys made at once may exceed `most`."""

    _database: Database
    _aside: UnreadableItems

    @override
    async def add_key(self, key: ApiKey, most: int) -> bool:
        valid = await self._database.find("keys", {"revoked_at": None}, fields={"_id": 1}, most=most, current=True)
        if len(valid) >= most:
            return False
        document = made(key_document(key), entry_of(key_made_event(key), key.created_by or BY_COMMAND_LINE))
        if await self._database.insert_many("keys", [document]):
            raise StoreDefectError("an id that should be new is in use")
        return True

    @override
    async def keys(self, *, current: bool = False) -> list[ApiKey]:
        valid = await self._database.find("keys", {"revoked_at": None}, current=current)
        order = [("revoked_at", -1), ("_id", -1)]
        revoked = await self._database.find(
            "keys", {"revoked_at": {"$ne": None}}, order=order, most=limits.API_KEYS_MAX, current=current
        )
        return sorted(self._aside.readable("API key", [*valid, *revoked], id_of, key_from), key=attrgetter("id"))

    @override
    async def revoke_key(self, key_id: str, at: int, by: str = BY_COMMAND_LINE) -> bool:
        found = await self._database.find("keys", {"_id": key_id}, current=True)
        for document in found:
            end = entry(EventType.KEY_REVOKED, at, by, data={"name": str(document.get("name"))})
            change = recording({"$set": {"revoked_at": at}}, end)
            valid = {"_id": key_id, "revoked_at": None}
            await self._database.find_one_and_update("keys", valid, change, fields=_ID)
        return bool(found)

    @override
    async def touch_keys(self, used: Mapping[str, int]) -> None:
        changes = [({"_id": key_id}, {"$max": {"last_used_at": at}}) for key_id, at in used.items()]
        if changes:
            await self._database.bulk_update("keys", changes)


def _good(account_id: str, code_hash: str, now: int) -> Query:
    """The account, if its reset code has this hash and is good at `now`."""
    return {"_id": account_id, "reset_code.hash": code_hash, "reset_code.expires_at": {"$gt": now}}


def _instant(signed_out: tuple[str, int]) -> int:
    return signed_out[1]
