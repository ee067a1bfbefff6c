"""Accounts and API keys in memory."""

from collections.abc import Container, Mapping, Sequence

from msgspec.structs import replace
from typing_extensions import override

from flashreserve.core import limits
from flashreserve.core.accounts import Restricted, Restriction, is_able_admin, restricted, signed_out_at
from flashreserve.core.customers import hashed_id
from flashreserve.core.events import BY_COMMAND_LINE
from flashreserve.core.model import Account, ApiKey, Role
from flashreserve.core.trail import account_events, key_made_event, revocation_event
from flashreserve.stores.memory_events import MemoryEvents
from flashreserve.stores.port import AccountStore, KeyStore, StoreDefectError


class MemoryAccounts(AccountStore, KeyStore, MemoryEvents):
    """The accounts and API keys of `MemoryStore`."""

    def __init__(self) -> None:
        MemoryEvents.__init__(self)
        self._accounts: dict[str, Account] = {}
        self._keys: dict[str, ApiKey] = {}
        self._reset_codes: dict[str, tuple[str, int]] = {}
        self._erasures: dict[str, int] = {}

    @override
    async def add_account(self, account: Account) -> bool:
        if await self.account_by_email(account.email) is not None:
            return False
        refuse_used_ids([account.id], self._accounts)
        self._accounts[account.id] = account
        return True

    @override
    async def account_by_email(self, email: str) -> Account | None:
        return next((account for account in self._accounts.values() if account.email == email), None)

    @override
    async def account_by_id(self, account_id: str) -> Account | None:
        return self._accounts.get(account_id)

    @override
    async def has_admin(self) -> bool:
        return any(account.role is Role.ADMIN for account in self._accounts.values())

    @override
    async def replace_password_hash(self, account_id: str, old: str, new: str) -> bool:
        account = self._accounts.get(account_id)
        if account is None or account.password_hash != old:
            return False
        self._accounts[account_id] = replace(account, password_hash=new)
        return True

    @override
    async def set_password(self, account_id: str, old: str, new: str, at: int) -> bool:
        changed = await self.replace_password_hash(account_id, old, new) and await self.sign_out(account_id, at)
        if changed:
            self._reset_codes.pop(account_id, None)
        return changed

    @override
    async def restrict(
        self, account_id: str, restriction: Restriction, at: int, by: str = BY_COMMAND_LINE
    ) -> Restricted:
        account = self._accounts.get(account_id)
        if account is None:
            return Restricted.NO_ACCOUNT
        if [each.id for each in self._accounts.values() if is_able_admin(each)] == [account_id]:
            return Restricted.LAST_ADMIN
        if restriction is Restriction.DISABLED:
            self._reset_codes.pop(account_id, None)
        self._change(account, restricted(account, restriction, at), at, by)
        return Restricted.DONE

    @override
    async def set_role(self, account_id: str, role: Role, at: int, by: str = BY_COMMAND_LINE) -> bool:
        before = self._accounts.get(account_id)
        if before is not None:
            self._change(before, replace(before, role=role), at, by)
        return before is not None

    @override
    async def enable(self, account_id: str, at: int, by: str = BY_COMMAND_LINE) -> bool:
        before = self._accounts.get(account_id)
        if before is not None:
            self._change(before, replace(before, disabled_at=None), at, by)
        return before is not None

    def _change(self, before: Account, after: Account, at: int, by: str) -> None:
        changed, events = account_events(before, after, at, by)
        self._accounts[after.id] = changed
        self._record(events)

    @override
    async def sign_out(self, account_id: str, at: int) -> bool:
        before = self._accounts.get(account_id)
        return before is not None and self._change_account(
            account_id, signed_out_at=signed_out_at(at, before.signed_out_at)
        )

    def _change_account(self, account_id: str, **fields: int | Role | None) -> bool:
        account = self._accounts.get(account_id)
        if account is None:
            return False
        self._accounts[account_id] = replace(account, **fields)
        return True

    @override
    async def accounts(self, account_ids: Sequence[str]) -> list[Account]:
        return [self._accounts[id_] for id_ in set(account_ids) if id_ in self._accounts]

    @override
    async def list_accounts(self, after: str | None, most: int) -> list[Account]:
        return [self._accounts[id_] for id_ in sorted(self._accounts) if not after or id_ > after][:most]

    @override
    async def set_reset_code(self, account_id: str, code_hash: str, expires_at: int) -> None:
        self._reset_codes[account_id] = (code_hash, expires_at)

    @override
    async def has_reset_code(self, account_id: str, code_hash: str, now: int) -> bool:
        known, expires_at = self._reset_codes.get(account_id, ("", 0))
        return known == code_hash and now < expires_at

    @override
    async def use_reset_code(self, account_id: str, code_hash: str, now: int) -> bool:
        good = await self.has_reset_code(account_id, code_hash, now)
        if good:
            del self._reset_codes[account_id]
        return good

    @override
    async def signed_out_since(self, since: int, most: int) -> dict[str, int]:
        found = [(each.signed_out_at, each.id) for each in self._accounts.values() if each.signed_out_at is not None]
        found = [(at, id_) for at, id_ in found if at >= since]
        found += [(at, id_) for id_, at in self._erasures.items()]
        return {id_: at for at, id_ in sorted(found, reverse=True)[:most]}

    @override
    async def signed_out_at(self, customer_id: str) -> int | None:
        account = self._accounts.get(customer_id)
        found = (account.signed_out_at if account else None, self._erasures.get(hashed_id(customer_id)))
        return max((at for at in found if at is not None), default=None)

    @override
    async def add_key(self, key: ApiKey, most: int) -> bool:
        if sum(each.revoked_at is None for each in self._keys.values()) >= most:
            return False
        refuse_used_ids([key.id], self._keys)
        self._keys[key.id] = key
        self._record([key_made_event(key)])
        return True

    @override
    async def keys(self, *, current: bool = False) -> list[ApiKey]:
        revoked = sorted((each.revoked_at, id_) for id_, each in self._keys.items() if each.revoked_at is not None)
        left_out = {id_ for _, id_ in revoked[: -limits.API_KEYS_MAX]}
        return [self._keys[id_] for id_ in sorted(self._keys.keys() - left_out)]

    @override
    async def revoke_key(self, key_id: str, at: int, by: str = BY_COMMAND_LINE) -> bool:
        key = self._keys.get(key_id)
        if key is not None and key.revoked_at is None:
            revoked = replace(key, revoked_at=at, trail_n=key.trail_n + 1)
            self._keys[key_id] = revoked
            self._record([revocation_event(key_id, key.name, revoked.trail_n, at, by)])
        return key is not None

    @override
    async def touch_keys(self, used: Mapping[str, int]) -> None:
        for key_id, at in used.items():
            key = self._keys[key_id]
            self._keys[key_id] = replace(key, last_used_at=max(at, key.last_used_at or 0))


def refuse_used_ids(new_ids: Sequence[str], used_ids: Container[str]) -> None:
    """Refuse ids that are given twice, or in use.

    Raises:
        StoreDefectError: there is one.
    """
    if len(set(new_ids)) < len(new_ids) or any(id_ in used_ids for id_ in new_ids):
        raise StoreDefectError("an id that should be new is in use")
