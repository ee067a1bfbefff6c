"""Access tokens: signed statements of a user's id and role, valid for about an hour.

They are JWTs (RFC 7519) whose `iss`, `aud`, `sub`, `role`, `iat` and `exp` are all required and all checked; `nbf` is
checked if present. A token that claims to live longer than `ttl_s` is refused: no sign-in here has made it.
"""

import re
from collections import OrderedDict
from typing import Final

import msgspec

from flashreserve.auth.keys import KeyRing, Refusal, TokenRefused
from flashreserve.core.model import Role
from flashreserve.decode_errors import DECODE_ERRORS

ISSUER: Final = "flashreserve"
ACCESS_AUDIENCE: Final = "flashreserve-api"
LEEWAY_MS: Final = 30_000
"""How far `iat` and `nbf` may be in the future: machines' clocks differ, and clocks are set back."""

CACHED_MAX: Final = 100_000
"""Verified tokens that a process caches."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Identity(msgspec.Struct, frozen=True, gc=False):
    """The user of a token, before `expires_at` (UTC milliseconds).

    `role` is the role at login. Permissions of admins are decided by the account's role in the database.
    """

    user_id: str
    role: Role
    expires_at: int


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


class Tokens:
    """Issues and verifies access tokens that live for at most `ttl_s`. Each call takes the time as `now_ms`."""

    def __init__(
        self, keys: KeyRing, *, ttl_s: int, audience: str = ACCESS_AUDIENCE, cached_max: int = CACHED_MAX
    ) -> None:
        if ttl_s < 1:
            raise ValueError(f"a token must be good for at least 1 second, not {ttl_s}")
        self._keys = keys
        self._ttl_s = ttl_s
        self._audience = audience
        self._cached_max = cached_max
        self._decoder = msgspec.json.Decoder(_TokenClaims)
        # The least recently used first.
        self._verified: OrderedDict[str, Identity] = OrderedDict()

    def issue(self, user_id: str, role: Role, now_ms: int) -> Issued:
        """A token for the account `user_id`, valid for `ttl_s` from the whole second that `now_ms` is in."""
        iat = now_ms // 1000
        exp = iat + self._ttl_s
        claims = _TokenClaims(iss=ISSUER, aud=self._audience, sub=user_id, role=role, iat=iat, exp=exp)
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
            return TokenRefused(Refusal.EXPIRED)
        self._verified.move_to_end(token)
        return known

    def _verify_unknown(self, token: str, now_ms: int) -> Identity | TokenRefused:
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
        identity = Identity(user_id=claims.sub, role=claims.role, expires_at=claims.exp * 1000)
        self._remember(token, identity)
        return identity

    def _refusal(self, claims: _TokenClaims, now_ms: int) -> Refusal | None:
        if claims.iss != ISSUER:
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
        if len(self._verified) > self._cached_max:
            self._verified.popitem(last=False)
