"""Access: who the sender of a request is, by tokens and API keys; and making and revoking these keys.

A process keeps the API keys, and the accounts that were signed out everywhere, in memory, and reads them again about
every second. So a key that was revoked is refused by all processes within seconds, and a request with a key waits for a
read only if the key isn't in the list, or if the list is too old.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Protocol

import msgspec
import structlog

from flashreserve.auth.api_keys import KeyIdentity, KeyList, is_api_key, new_secret
from flashreserve.auth.key_sources import KeySources
from flashreserve.auth.keys import Refusal, TokenRefused
from flashreserve.auth.outcomes import InvalidField
from flashreserve.auth.sign_outs import SignOuts
from flashreserve.auth.tokens import Identity, Tokens
from flashreserve.calls import CALL_S
from flashreserve.clock import Ids, SteadyClock
from flashreserve.core import limits
from flashreserve.core.events import BY_COMMAND_LINE
from flashreserve.core.model import ApiKey, Scope
from flashreserve.shared_read import SharedRead
from flashreserve.stores.port import AccountStore, KeyStore, StoreOutcomeUnknownError, StoreUnavailableError

REFRESH_EVERY_S: Final = 1.0
_STALE_AFTER_S: Final = 8.0
"""A list that wasn't read for this long is read again before an API key is accepted."""

_LOOK_UP_EVERY_S: Final = 0.2
"""How often, at most, the list is read because of keys that aren't in it. Such a key may be new."""

_MARGIN_S: Final = 60
"""How much longer than a token's life a sign-out is in the list: a token may be refreshed at the same time."""

_UNKNOWN_KEYS: Final = frozenset({Refusal.UNKNOWN_ISSUER_KEY, Refusal.NO_ISSUER_KEYS})
"""A token refused for these reasons may be valid once its issuer's keys were read again."""

_NOTE_EVERY_S: Final = 30.0
_log = structlog.get_logger(__name__)

Caller = Identity | KeyIdentity


class AccessStore(AccountStore, KeyStore, Protocol):
    """The part of a store that access needs."""


class KeyMade(msgspec.Struct, frozen=True, tag=True):
    """The key was made. `text` is the whole key, which nobody can read again."""

    key: ApiKey
    text: str

    def __repr__(self) -> str:
        """The representation without the key."""
        return f"KeyMade({self.key!r})"


class KeysFull(msgspec.Struct, frozen=True, tag=True):
    """There are as many keys as there may be."""

    most: int


class AccessService:
    """Tells senders apart, and manages API keys."""

    def __init__(
        self, store: AccessStore, tokens: Tokens, sources: KeySources, clock: SteadyClock, ids: Ids, *, token_s: int
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._sources = sources
        self._clock = clock
        self._ids = ids
        self._token_s = token_s
        self._keys = KeyList()
        self._key_look_ups = SharedRead(self._read_current_keys, _LOOK_UP_EVERY_S, clock.monotonic)
        self._sign_outs = SignOuts()
        self._keys_began_at = self._sign_outs_began_at = float("-inf")
        """When the read of each list began, in seconds of the monotonic clock."""
        self._noted_at = 0.0

    def seen(self, bearer: str) -> Caller | TokenRefused | None:
        """The sender with this token or key, or why it is refused. None: only `look_up` can tell."""
        now_ms = self._clock.now_ms()
        if is_api_key(bearer):
            if self._is_stale():
                return None
            return self._keys.find(bearer, now_ms)
        found = self._tokens.verify(bearer, now_ms)
        if isinstance(found, TokenRefused):
            return None if found.reason in _UNKNOWN_KEYS else found
        refused = self._sign_outs.refuse(found)
        return None if refused is None else TokenRefused(Refusal.SIGNED_OUT) if refused else found

    async def look_up(self, bearer: str) -> Caller | TokenRefused:
        """The same, after reading what the process doesn't know yet.

        A key counts as unknown only if a read that began after this call didn't find it.

        Raises:
            StoreUnavailableError: the keys, or a sign-out that isn't in the list, can't be read now.
        """
        found = self.seen(bearer)
        if found is not None:
            return found
        if not is_api_key(bearer):
            return await self._look_up_token(bearer)
        try:
            async with asyncio.timeout(CALL_S):
                await self._key_look_ups.read_anew()
        except TimeoutError:
            raise StoreUnavailableError(f"the API keys can't be read within {CALL_S:g} s") from None
        found = self.seen(bearer)
        if found is None and self._is_stale():
            raise StoreUnavailableError("the API keys were read too long ago")  # The process was frozen meanwhile.
        return found or TokenRefused(Refusal.UNKNOWN_API_KEY)

    def issuer_name(self, bearer: str) -> str | None:
        """The name of the shop's issuer that the token names, unverified; None if it names none of them."""
        return self._tokens.issuer_name(bearer)

    def _is_stale(self) -> bool:
        return self._clock.monotonic() - self._keys_began_at > _STALE_AFTER_S

    async def _look_up_token(self, token: str) -> Identity | TokenRefused:
        found = self._tokens.verify(token, self._clock.now_ms())
        if isinstance(found, TokenRefused) and found.reason in _UNKNOWN_KEYS:
            is_read = await self._read_issuer_keys(token)
            found = self._tokens.verify(token, self._clock.now_ms())
            if isinstance(found, TokenRefused) and found.reason in _UNKNOWN_KEYS and not is_read:
                return TokenRefused(Refusal.ISSUER_KEYS_UNREADABLE)
        if isinstance(found, TokenRefused):
            return found
        return TokenRefused(Refusal.SIGNED_OUT) if await self.is_signed_out(found) else found

    async def is_signed_out(self, identity: Identity) -> bool:
        """Whether the identity's account was signed out everywhere, or erased, since it signed in.

        Raises:
            StoreUnavailableError: a sign-out that isn't in the list can't be read now.
        """
        if self._sign_outs.refuse(identity) is None:
            self._sign_outs.note(identity.user_id, await self._store.signed_out_at(identity.user_id))
        return self._sign_outs.refuse(identity) is not False

    async def _read_issuer_keys(self, token: str) -> bool:
        """Whether the keys of the token's issuer could be read now."""
        try:
            async with asyncio.timeout(CALL_S):
                return await self._sources.look_up(token)
        except TimeoutError:
            return False

    async def refresh(self) -> int:
        """Read the lists again. Returns 0: nothing is done that is worth a line in the log."""
        await self._read_sign_outs()
        await self._read_keys()
        if self._keys_began_at - self._noted_at >= _NOTE_EVERY_S:
            self._noted_at = self._keys_began_at
            await self._note_uses()
        return 0

    async def learn_sign_outs(self) -> None:
        """Read the sign-outs after one was made, so that this process refuses tokens at once.

        If that fails, `refresh` does it within seconds: the sign-out itself is made.
        """
        await _unless_away(self._read_sign_outs)

    async def close(self) -> None:
        """Stop reading."""
        await self._key_look_ups.close()

    async def _read_sign_outs(self) -> None:
        began = self._clock.monotonic()
        since = self._clock.now_ms() - (self._token_s + _MARGIN_S) * 1000
        most = limits.SIGN_OUTS_MAX
        sign_outs = await self._store.signed_out_since(since, most)
        if began >= self._sign_outs_began_at:  # Otherwise a read that began later was faster, and knows more.
            self._sign_outs.learn(sign_outs, most)
            self._sign_outs_began_at = began

    async def _read_current_keys(self) -> None:
        """Read the keys for a request, which needs a key that was made or revoked before it."""
        await self._read_keys(current=True)

    async def _read_keys(self, *, current: bool = False) -> None:
        began = self._clock.monotonic()
        keys = await self._store.keys(current=current)
        if began >= self._keys_began_at:
            self._keys.learn(keys)
            self._keys_began_at = began

    async def _note_uses(self) -> None:
        uses = self._keys.uses()
        if not uses:
            return
        try:
            await self._store.touch_keys(uses)
        except (StoreUnavailableError, StoreOutcomeUnknownError) as error:
            _log.info("uses of API keys not noted", error=str(error))

    async def create_key(
        self, name: str, scopes: Collection[Scope], expires_at: int | None, created_by: str | None
    ) -> KeyMade | InvalidField | KeysFull:
        """Make a key. `created_by` is the admin; None for the command line."""
        now_ms = self._clock.now_ms()
        if not scopes:
            return InvalidField("scopes", "expected at least one of " + ", ".join(Scope))
        if expires_at is not None and expires_at <= now_ms:
            return InvalidField("expiresAt", "expected an instant in the future")
        if expires_at is not None and expires_at > limits.INSTANT_MAX_MS:
            return InvalidField("expiresAt", "expected an instant up to the year 9999, in UTC")
        key_id = self._ids.new().replace("-", "")
        secret = new_secret(key_id)
        ordered = tuple(scope for scope in Scope if scope in scopes)
        key = ApiKey(key_id, name, ordered, secret.secret_hash, now_ms, created_by, expires_at)
        if not await self._store.add_key(key, limits.API_KEYS_MAX):
            return KeysFull(limits.API_KEYS_MAX)
        await _unless_away(self._read_current_keys)
        return KeyMade(key, secret.text)

    async def revoke_key(self, key_id: str, by: str = BY_COMMAND_LINE) -> bool:
        """Revoke a key: the processes refuse it within seconds, this one at once if it can read the list.

        False: there is no such key.
        """
        found = await self._store.revoke_key(key_id, self._clock.now_ms(), by)
        await _unless_away(self._read_current_keys)
        return found

    async def keys(self) -> list[ApiKey]:
        """All keys, oldest first; of the revoked ones the latest."""
        return await self._store.keys(current=True)


async def _unless_away(read: Callable[[], Awaitable[None]]) -> None:
    """Read a list again after a change. A failure is only logged, since the change is made."""
    try:
        await read()
    except StoreUnavailableError as error:
        _log.warning("API keys or sign-outs not read after a change", error=str(error))
