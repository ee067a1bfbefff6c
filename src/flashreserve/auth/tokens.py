"""Access tokens: signed statements of a user's id and role, valid for about an hour.

They are JWTs (RFC 7519) whose `iss`, `aud`, `sub`, `role`, `iat` and `exp` are all required and all checked; `nbf` is
checked if present. A token that claims to live longer than `ttl_s` is refused: no sign-in here has made it.
"""

import re
from collections import OrderedDict
from typing import Final

import msgspec

from flashreserve.auth.foreign_tokens import ForeignCustomer, ForeignTokens
from flashreserve.auth.issuers import OWN_ISSUER
from flashreserve.auth.keys import KeyRing, Refusal, TokenRefused
from flashreserve.core.model import Role
from flashreserve.decode_errors import DECODE_ERRORS

ACCESS_AUDIENCE: Final = "flashreserve-api"
LEEWAY_MS: Final = 30_000
"""How far `iat` and `nbf` may be in the future: machines' clocks differ, and clocks are set back."""

CACHED_MAX: Final = 100_000
CACHED_CHARACTERS_MAX: Final = 64 * 1024 * 1024
"""Verified tokens that a process caches, and their characters together: foreign tokens are longer than own ones."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Identity(msgspec.Struct, frozen=True, gc=False):
    """The user of a token, from `issued_at` until before `expires_at` (UTC milliseconds).

    `signed_in_at` is when the password was checked: a token may have been issued later, for an earlier one.

    `role` is the role at login. Permissions of admins are decided by the account's role in the database.
    """

    user_id: str
    role: Role
    expires_at: int
    issued_at: int
    signed_in_at: int
    issuer: str = ""
    """The name of the shop's issuer; empty for own accounts."""


class Issued(msgspec.Struct, frozen=True, gc=False):
    """A new token, and its expiry in UTC milliseconds."""

    token: str
    expires_at: int


class _TokenClaims(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The payload, with the types of RFC 7519; `iat`, `exp` and `nbf` are whole seconds."""

    iss: str
    aud: str
    sub: str
    role: Role
    iat: int
    exp: int
    nbf: int | None = None
    auth_time: int | None = None


class Tokens:
    """Issues and verifies access tokens that live for at most `ttl_s`. Each call takes the time as `now_ms`.

    `foreign` verifies the tokens of the shop's issuers, for which `ttl_s` is no bound.
    """

    def __init__(
        self,
        keys: KeyRing,
        *,
        ttl_s: int,
        audience: str = ACCESS_AUDIENCE,
        foreign: ForeignTokens | None = None,
        cached_max: int = CACHED_MAX,
        cached_characters_max: int = CACHED_CHARACTERS_MAX,
    ) -> None:
        if ttl_s < 1:
            raise ValueError(f"a token must be good for at least 1 second, not {ttl_s}")
        self._keys = keys
        self._ttl_s = ttl_s
        self._audience = audience
        self._foreign = foreign or ForeignTokens()
        self._cached_max = cached_max
        self._cached_characters_max = cached_characters_max
        self._cached_characters = 0
        self._decoder = msgspec.json.Decoder(_TokenClaims)
        # The least recently used first.
        self._verified: OrderedDict[str, Identity] = OrderedDict()
        self._foreign.on_withdrawal(self._forget)

    def issue(
        self, user_id: str, role: Role, now_ms: int, after_ms: int = -1, signed_in_at: int | None = None
    ) -> Issued:
        """A token for the account `user_id`, valid for `ttl_s` from the whole second that `now_ms` is in.

        It is issued after `after_ms`, where tokens of the account that are older are refused: perhaps as of the next
        second, because a token has whole seconds only. `signed_in_at` is kept in it if it isn't now.
        """
        iat = max(now_ms // 1000, after_ms // 1000 + 1)
        exp = iat + self._ttl_s
        auth_time = None if signed_in_at is None else signed_in_at // 1000
        claims = _TokenClaims(
            iss=OWN_ISSUER, aud=self._audience, sub=user_id, role=role, iat=iat, exp=exp, auth_time=auth_time
        )
        return Issued(token=self._keys.sign(msgspec.json.encode(claims)), expires_at=exp * 1000)

    def verify(self, token: str, now_ms: int) -> Identity | TokenRefused:
        """The user of the token, or the reason for refusing it.

        Every request is verified here, so verified tokens are cached.
        """
        known = self._verified.get(token)
        if known is None:
            return self._verify_unknown(token, now_ms)
        if known.expires_at <= now_ms:
            del self._verified[token]
            self._cached_characters -= len(token)
            return TokenRefused(Refusal.EXPIRED)
        self._verified.move_to_end(token)
        return known

    def issuer_name(self, token: str) -> str | None:
        """The name of the shop's issuer that the token names, unverified; None if it names none of them."""
        return self._foreign.issuer_name(token)

    def _verify_unknown(self, token: str, now_ms: int) -> Identity | TokenRefused:
        customer = self._foreign.verify(token, now_ms)
        found = self._verify_own(token, now_ms) if customer is None else customer
        if isinstance(found, ForeignCustomer):
            times = found.expires_at, found.issued_at, found.issued_at
            found = Identity(found.customer_id, Role.CUSTOMER, *times, issuer=found.issuer)
        if isinstance(found, Identity):
            self._remember(token, found)
        return found

    def _verify_own(self, token: str, now_ms: int) -> Identity | TokenRefused:
        payload = self._keys.open(token)
        if isinstance(payload, TokenRefused):
            return payload
        try:
            claims = self._decoder.decode(payload)
        except DECODE_ERRORS:
            return TokenRefused(Refusal.WRONG_CLAIMS)
        refusal = self._refusal(claims, now_ms)
        if refusal is not None:
            return TokenRefused(refusal)
        signed_in = claims.iat if claims.auth_time is None else claims.auth_time
        return Identity(claims.sub, claims.role, claims.exp * 1000, claims.iat * 1000, signed_in * 1000)

    def _refusal(self, claims: _TokenClaims, now_ms: int) -> Refusal | None:
        if claims.iss != OWN_ISSUER:
            return Refusal.WRONG_ISSUER
        if claims.aud != self._audience:
            return Refusal.WRONG_AUDIENCE
        if _UUID.fullmatch(claims.sub) is None:
            return Refusal.WRONG_CLAIMS
        return self._refusal_by_time(claims, now_ms)

    def _refusal_by_time(self, claims: _TokenClaims, now_ms: int) -> Refusal | None:
        if claims.exp * 1000 <= now_ms:
            return Refusal.EXPIRED
        if max(claims.iat, claims.iat if claims.nbf is None else claims.nbf) * 1000 > now_ms + LEEWAY_MS:
            return Refusal.NOT_YET_VALID
        if claims.exp - claims.iat > self._ttl_s:
            return Refusal.TOO_LONG_LIVED
        return None

    def _remember(self, token: str, identity: Identity) -> None:
        self._verified[token] = identity
        self._cached_characters += len(token)
        while len(self._verified) > self._cached_max or self._cached_characters > self._cached_characters_max:
            oldest, _ = self._verified.popitem(last=False)
            self._cached_characters -= len(oldest)

    def _forget(self, issuer: str) -> None:
        """Verify the issuer's tokens again. Done when a key is withdrawn, so that no lookup has to compare keys."""
        for token in [token for token, identity in self._verified.items() if identity.issuer == issuer]:
            del self._verified[token]
            self._cached_characters -= len(token)
