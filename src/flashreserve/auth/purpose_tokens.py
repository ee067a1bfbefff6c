"""Tokens for one purpose, such as opening a stream: short-lived, and of no use for anything else."""

from typing import Final

import msgspec

from flashreserve.auth.issuers import OWN_ISSUER
from flashreserve.auth.keys import KeyRing, TokenRefused
from flashreserve.auth.tokens import LEEWAY_MS
from flashreserve.decode_errors import DECODE_ERRORS

PURPOSE_TOKEN_LENGTH_MAX: Final = 500
"""Characters; they have about 260, and 350 with the longest key id. They stand in addresses, which may not be long."""


class PurposeToken(msgspec.Struct, frozen=True, gc=False):
    """A token, and its end in UTC milliseconds."""

    text: str
    expires_at: int


class PurposeSubject(msgspec.Struct, frozen=True, gc=False):
    """Who a token was issued for, such as an account's id, and when: the whole second, in UTC milliseconds."""

    name: str
    issued_at: int


class _PurposeClaims(msgspec.Struct, frozen=True, gc=False):
    iss: str
    aud: str
    sub: str
    exp: int


class PurposeTokens:
    """Issues and reads the tokens for one purpose, which is their audience. So no other kind is accepted in its place.

    They are good for `ttl_s` seconds, as often as they are used.
    """

    def __init__(self, keys: KeyRing, purpose: str, *, ttl_s: int) -> None:
        self._keys = keys
        self._audience = f"flashreserve-{purpose}"
        self._ttl_s = ttl_s
        self._decoder = msgspec.json.Decoder(_PurposeClaims)

    def issue(self, subject: str, now_ms: int) -> PurposeToken:
        """A token for `subject`, such as an account's id."""
        exp = now_ms // 1000 + self._ttl_s
        claims = _PurposeClaims(iss=OWN_ISSUER, aud=self._audience, sub=subject, exp=exp)
        return PurposeToken(self._keys.sign(msgspec.json.encode(claims)), exp * 1000)

    def read(self, token: str, now_ms: int) -> PurposeSubject | None:
        """The subject, or None if the token is invalid or too old. No reason is given."""
        payload = self._keys.open(token)
        if isinstance(payload, TokenRefused):
            return None
        try:
            claims = self._decoder.decode(payload)
        except DECODE_ERRORS:
            return None
        if claims.iss != OWN_ISSUER or claims.aud != self._audience:
            return None
        within = now_ms < claims.exp * 1000 <= now_ms + self._ttl_s * 1000 + LEEWAY_MS
        return PurposeSubject(claims.sub, (claims.exp - self._ttl_s) * 1000) if within else None
