"""API keys: how they are written, and the list of them that a process keeps in memory.

A key is `frk_<id>_<secret>`. The id finds it in the list. The secret has 256 random bits, so its SHA-256, which is what
the database has, needs no salt and no slow hash.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from flashreserve.auth.keys import Refusal, TokenRefused
from flashreserve.auth.token_forms import API_KEY_PREFIX
from flashreserve.core.model import ApiKey, Scope

_PARTS: Final = 3
_SECRET_BYTES: Final = 32
_TEXT_LENGTH_MAX: Final = 128
_MINUTE_MS: Final = 60_000


class KeyIdentity(msgspec.Struct, frozen=True, gc=False):
    """A program of the shop's, by its API key. It acts for `customer_id`, if its request names one."""

    key_id: str
    scopes: frozenset[Scope]
    customer_id: str | None = None


class NewSecret(msgspec.Struct, frozen=True):
    """A new key's secret: the whole key, which is shown once, and the hash that is stored."""

    text: str
    secret_hash: str

    def __repr__(self) -> str:
        """The representation without the key."""
        return "NewSecret()"


def new_secret(key_id: str, random: Callable[[int], str] = secrets.token_urlsafe) -> NewSecret:
    """A secret for the key with this id, which has no underscore."""
    secret = random(_SECRET_BYTES)
    return NewSecret(f"{API_KEY_PREFIX}{key_id}_{secret}", _hash(secret))


def is_api_key(text: str) -> bool:
    """Whether a bearer token is written as an API key."""
    return text.startswith(API_KEY_PREFIX)


class KeyList:
    """The keys that a process knows, and when they were used."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[ApiKey, KeyIdentity]] = {}
        self._proven: dict[str, tuple[ApiKey, KeyIdentity]] = {}
        """By its whole text, each key whose secret was found to be right."""
        self._used: dict[str, int] = {}

    def learn(self, keys: Iterable[ApiKey]) -> None:
        """Replace all keys."""
        self._keys = {key.id: (key, KeyIdentity(key.id, frozenset(key.scopes))) for key in keys}
        self._proven = {}

    def find(self, text: str, now_ms: int) -> KeyIdentity | TokenRefused | None:
        """The program whose key this is, or why it is refused. None: no key with its id is known."""
        known = self._proven.get(text) or self._prove(text)
        if not isinstance(known, tuple):
            return known
        key, identity = known
        if key.revoked_at is not None:
            return TokenRefused(Refusal.REVOKED_API_KEY)
        if key.expires_at is not None and key.expires_at <= now_ms:
            return TokenRefused(Refusal.EXPIRED)
        self._used[key.id] = now_ms
        return identity

    def _prove(self, text: str) -> tuple[ApiKey, KeyIdentity] | TokenRefused | None:
        parts = text.split("_", _PARTS - 1)
        if len(parts) < _PARTS or len(text) > _TEXT_LENGTH_MAX:
            return TokenRefused(Refusal.MALFORMED)
        _, key_id, secret = parts
        known = self._keys.get(key_id)
        if known is None:
            return None
        if not hmac.compare_digest(_hash(secret), known[0].secret_hash):
            return TokenRefused(Refusal.WRONG_SIGNATURE)
        self._proven[text] = known
        return known

    def uses(self) -> dict[str, int]:
        """By id, when keys were used since the last call, in whole minutes (UTC milliseconds)."""
        used, self._used = self._used, {}
        return {key_id: at - at % _MINUTE_MS for key_id, at in used.items()}


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
