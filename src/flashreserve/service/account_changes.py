"""Changes of accounts: passwords, tokens and rights."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, assert_never

from flashreserve.auth.address import address_groups, parties
from flashreserve.auth.emails import normalised_email
from flashreserve.auth.outcomes import (
    AccountChanged,
    AccountDisabled,
    AccountNotFound,
    Busy,
    ChangeOutcome,
    InvalidField,
    LastAdmin,
    PasswordChanged,
    PasswordOutcome,
    ResetCodeMade,
    ResetCodeOutcome,
    ResetOutcome,
    SessionOver,
    WrongCode,
)
from flashreserve.auth.passwords import Passwords, PasswordsBusy, new_password, normalised_password
from flashreserve.auth.throttle import Bucket, Throttle, TryRates, by_address
from flashreserve.auth.tokens import Identity, Issued, Tokens
from flashreserve.auth.weak_passwords import refusal_of_weak
from flashreserve.clock import Clock
from flashreserve.core.accounts import Restricted, Restriction
from flashreserve.core.events import BY_COMMAND_LINE
from flashreserve.core.model import Account, Role
from flashreserve.stores.outages import after_a_change
from flashreserve.stores.port import AccountStore

SESSION_S: Final = 12 * 3600
"""How long after signing in a token may be replaced by a fresh one."""

RESET_CODE_S: Final = 30 * 60
"""How long a reset code is good."""

_VERIFIED_MAX: Final = 3
"""How often one change of a password verifies the old one again, at most: only if its hash is replaced meanwhile."""

_WRONG_OLD: Final = InvalidField("oldPassword", "expected the account's present password")

_CODE_ALPHABET: Final = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_CODE_LENGTH: Final = 24
_CODE_GROUP: Final = 6


class AccountChanges:
    """Changes accounts for their owners and for admins. Outcomes are values; only a database outage raises."""

    def __init__(
        self,
        *,
        store: AccountStore,
        passwords: Passwords,
        tokens: Tokens,
        throttle: Throttle,
        rates: TryRates,
        clock: Clock,
        shop_names: Sequence[str],
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._tokens = tokens
        self._throttle = throttle
        self._rates = rates
        self._clock = clock
        self._shop_names = shop_names

    # For the owner.

    async def change_password(self, identity: Identity, old: str, new: str) -> PasswordOutcome:
        """Replace the password, and sign the account out everywhere. Tries are counted by account."""
        account_id = identity.user_id
        account = await self._store.account_by_id(account_id)
        if account is None:
            return AccountNotFound()
        if _is_out(identity, account):
            return SessionOver()
        known, chosen = normalised_password(old), self._chosen(new, account.email)
        if isinstance(known, InvalidField):
            return InvalidField("oldPassword", known.message)
        if isinstance(chosen, InvalidField):
            return InvalidField("newPassword", chosen.message)
        buckets = [Bucket(f"password account {account_id}", self._rates.login_account)]
        refused = await self._throttle.take(buckets)
        if refused is not None:
            return refused
        verification = await self._passwords.verify(account.password_hash, known, (account_id,))
        if isinstance(verification, PasswordsBusy):
            await self._throttle.give_back(buckets)
            return Busy()
        if not verification.ok:
            return _WRONG_OLD
        await self._throttle.give_back(buckets)
        password_hash = await self._passwords.hash(chosen, (account_id,))
        if isinstance(password_hash, PasswordsBusy):
            return Busy()
        return await self._replace_password(account, known, password_hash)

    async def _replace_password(self, account: Account, old: str, password_hash: str) -> PasswordOutcome:
        """Set the password of an account whose old one was verified.

        A sign-in replaces the hash when the cost of hashing has risen, and the password stays the same. So if the
        account has another hash meanwhile, the old password is verified again.
        """
        for _ in range(_VERIFIED_MAX):
            changed = await self._set_password(account, password_hash)
            if changed is not None:
                return changed
            found = await self._store.account_by_id(account.id)
            if found is None:
                return AccountNotFound()
            verification = await self._passwords.verify(found.password_hash, old, (account.id,))
            if isinstance(verification, PasswordsBusy):
                return Busy()
            if not verification.ok:
                return _WRONG_OLD
            account = found
        return Busy()

    async def reset_password(self, email: str, code: str, new: str, address: str | None) -> ResetOutcome:
        """Set a new password by a reset code, which is then used up, and sign the account out everywhere."""
        known_email = normalised_email(email)
        if isinstance(known_email, InvalidField):
            return known_email
        chosen = self._chosen(new, known_email)
        if isinstance(chosen, InvalidField):
            return InvalidField("newPassword", chosen.message)
        groups = address_groups(address)
        refused = await self._throttle.take(by_address("reset", groups, self._rates.login_address))
        if refused is not None:
            return refused
        account = await self._store.account_by_email(known_email)
        now_ms = self._clock.now_ms()
        if account is None or account.disabled_at is not None:
            return WrongCode()
        if not await self._store.has_reset_code(account.id, _hash(code), now_ms):
            return WrongCode()
        # Hashed before the code is used up: if that fails, the code can be used again.
        password_hash = await self._passwords.hash(chosen, parties(groups))
        if isinstance(password_hash, PasswordsBusy):
            return Busy()
        if not await self._store.use_reset_code(account.id, _hash(code), now_ms):
            return WrongCode()
        with after_a_change():  # The code is used up.
            return await self._set_password(account, password_hash) or WrongCode()

    async def refresh(self, identity: Identity) -> Issued | SessionOver | AccountNotFound:
        """A fresh token for the owner of one that is still valid, for some hours after signing in.

        It keeps the instant of signing in, so signing out refuses it too, even if it is issued at the same time.
        """
        now_ms = self._clock.now_ms()
        account = await self._store.account_by_id(identity.user_id)
        if account is None:
            return AccountNotFound()
        if _is_out(identity, account) or now_ms >= identity.signed_in_at + SESSION_S * 1000:
            return SessionOver()
        return self._tokens.issue(account.id, account.role, now_ms, _last_sign_out(account), identity.signed_in_at)

    async def sign_out_everywhere(self, account_id: str) -> ChangeOutcome:
        """Refuse all tokens of the account that were issued so far."""
        return await self._change(account_id, self._sign_out)

    # For admins. `by` is the name under which the change is recorded; see `core.events.actor_named`.

    async def make_reset_code(self, account_id: str) -> ResetCodeOutcome:
        """Make a code by which the account's owner can set a new password. It replaces an earlier one."""
        account = await self._store.account_by_id(account_id)
        if account is None:
            return AccountNotFound()
        if account.disabled_at is not None:
            return AccountDisabled()
        letters = "".join(secrets.choice(_CODE_ALPHABET) for _ in range(_CODE_LENGTH))
        groups = [letters[start : start + _CODE_GROUP] for start in range(0, _CODE_LENGTH, _CODE_GROUP)]
        code, expires_at = "-".join(groups), self._clock.now_ms() + RESET_CODE_S * 1000
        await self._store.set_reset_code(account_id, _hash(code), expires_at)
        return ResetCodeMade(code, expires_at)

    async def disable(self, account_id: str, by: str = BY_COMMAND_LINE) -> ChangeOutcome:
        """Let the account sign in no more, and refuse its tokens. The last admin's account is never disabled."""
        return await self._restrict(account_id, Restriction.DISABLED, by)

    async def enable(self, account_id: str, by: str = BY_COMMAND_LINE) -> ChangeOutcome:
        """Let a disabled account sign in again."""

        async def enable(account: Account) -> None:
            await self._store.enable(account.id, self._clock.now_ms(), by)

        return await self._change(account_id, enable)

    async def promote(self, account_id: str, by: str = BY_COMMAND_LINE) -> ChangeOutcome:
        """Make the account an admin's."""

        async def promote(account: Account) -> None:
            await self._store.set_role(account.id, Role.ADMIN, self._clock.now_ms(), by)

        return await self._change(account_id, promote)

    async def demote(self, account_id: str, by: str = BY_COMMAND_LINE) -> ChangeOutcome:
        """Make the account a customer's, and refuse its tokens. The last admin's account is never demoted."""
        return await self._restrict(account_id, Restriction.DEMOTED, by)

    async def account(self, account_id: str) -> Account | AccountNotFound:
        """The account as it is now."""
        return await self._store.account_by_id(account_id) or AccountNotFound()

    async def accounts(self, after: str | None, most: int) -> list[Account]:
        """A page of accounts, oldest first, with ids above `after`."""
        return await self._store.list_accounts(after, most)

    async def account_with(self, email: str) -> Account | AccountNotFound | InvalidField:
        """The account with this email, which is written in any way that its owner may sign in with."""
        known_email = normalised_email(email)
        if isinstance(known_email, InvalidField):
            return known_email
        return await self._store.account_by_email(known_email) or AccountNotFound()

    def _chosen(self, password: str, email: str) -> str | InvalidField:
        """The new password as it is hashed."""
        chosen = new_password(password)
        if isinstance(chosen, InvalidField):
            return chosen
        return refusal_of_weak(chosen, email, self._shop_names) or chosen

    async def _set_password(self, account: Account, password_hash: str) -> PasswordChanged | None:
        """Set the password and sign the account out. None: another request has changed the password meanwhile."""
        now_ms = self._clock.now_ms()
        if not await self._store.set_password(account.id, account.password_hash, password_hash, now_ms):
            return None
        now_ms = self._clock.now_ms()  # Before reading: a sign-out after the read then refuses the token.
        with after_a_change():
            after = await self._store.account_by_id(account.id)
        if after is None or after.disabled_at is not None or after.password_hash != password_hash:
            return PasswordChanged(after or account, None)
        return PasswordChanged(after, self._tokens.issue(after.id, after.role, now_ms, _last_sign_out(after)))

    async def _sign_out(self, account: Account) -> None:
        await self._store.sign_out(account.id, self._clock.now_ms())

    async def _change(self, account_id: str, change: Callable[[Account], Awaitable[None]]) -> ChangeOutcome:
        before = await self._store.account_by_id(account_id)
        if before is None:
            return AccountNotFound()
        await change(before)
        with after_a_change():
            after = await self._store.account_by_id(account_id)
        return AccountNotFound() if after is None else AccountChanged(after)

    async def _restrict(self, account_id: str, restriction: Restriction, by: str) -> ChangeOutcome:
        match await self._store.restrict(account_id, restriction, self._clock.now_ms(), by):
            case Restricted.DONE:
                with after_a_change():
                    account = await self._store.account_by_id(account_id)
                return AccountNotFound() if account is None else AccountChanged(account)
            case Restricted.LAST_ADMIN:
                return LastAdmin()
            case Restricted.NO_ACCOUNT:
                return AccountNotFound()
            case outcome:
                assert_never(outcome)


def _is_out(identity: Identity, account: Account) -> bool:
    """Whether the identity's session is over: the account is disabled, or was signed out since its sign-in."""
    return account.disabled_at is not None or identity.signed_in_at <= _last_sign_out(account)


def _last_sign_out(account: Account) -> int:
    return -1 if account.signed_out_at is None else account.signed_out_at


def _hash(code: str) -> str:
    """The hash of a reset code, which is typed by a person: case, spaces and dashes don't count.

    It has over 110 random bits, so a fast hash without salt is enough.
    """
    letters = "".join(letter for letter in code.upper() if letter.isalnum())
    return hashlib.sha256(letters.encode()).hexdigest()
