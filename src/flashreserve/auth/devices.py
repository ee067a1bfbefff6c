"""Device tokens: how a browser that its owner has signed in from is told from a stranger's.

A successful login leaves one in a cookie. It opens nothing; it only says that tries for this one account from this
browser are counted apart, so that a stranger who guesses at the account cannot lock its owner out.
After the OWASP article "Slow Down Online Guessing Attacks with Device Cookies".
"""

import re
from typing import Final

import msgspec

from flashreserve.auth.keys import KeyRing, TokenRefused
from flashreserve.auth.tokens import ISSUER, LEEWAY_MS
from flashreserve.decode_errors import DECODE_ERRORS

DEVICE_AUDIENCE: Final = "flashreserve-device"
"""Not the access tokens' audience: neither kind passes for the other."""

DEVICE_TTL_S: Final = 180 * 24 * 3600
"""Half a year; every login starts it anew."""

_DEVICE_ID = re.compile(r"[0-9a-f-]{36}")


class Device(msgspec.Struct, frozen=True, gc=False):
    """A browser that has signed in to the account before; `id` is the same through all renewals."""

    account_id: str
    id: str


class DeviceIssued(msgspec.Struct, frozen=True, gc=False):
    """A fresh device token and its end in UTC milliseconds."""

    token: str
    expires_at: int


class _DeviceClaims(msgspec.Struct, frozen=True, gc=False):
    iss: str
    aud: str
    sub: str
    jti: str
    exp: int
    nbf: int = 0
    iat: int = 0


class DeviceTokens:
    """Issues and reads device tokens."""

    def __init__(self, keys: KeyRing, *, ttl_s: int = DEVICE_TTL_S) -> None:
        self._keys = keys
        self._ttl_s = ttl_s
        self._decoder = msgspec.json.Decoder(_DeviceClaims)

    def issue(self, device: Device, now_ms: int) -> DeviceIssued:
        """A token that says that `device` has signed in."""
        exp = now_ms // 1000 + self._ttl_s
        claims = _DeviceClaims(iss=ISSUER, aud=DEVICE_AUDIENCE, sub=device.account_id, jti=device.id, exp=exp)
        return DeviceIssued(token=self._keys.sign(msgspec.json.encode(claims)), expires_at=exp * 1000)

    def read(self, token: str, now_ms: int) -> Device | None:
        """The device, or None when the token isn't a valid one. It counts for `Device.account_id` only.

        No reason is given: whoever carries a bad one is a stranger like any other.
        """
        payload = self._keys.open(token)
        if isinstance(payload, TokenRefused):
            return None
        try:
            claims = self._decoder.decode(payload)
        except DECODE_ERRORS:
            return None
        ours = claims.iss == ISSUER and claims.aud == DEVICE_AUDIENCE and _DEVICE_ID.fullmatch(claims.jti) is not None
        latest_ms = now_ms + LEEWAY_MS
        if not ours or not now_ms < claims.exp * 1000 <= latest_ms + self._ttl_s * 1000:
            return None
        if max(claims.nbf, claims.iat) * 1000 > latest_ms:
            return None
        return Device(account_id=claims.sub, id=claims.jti)
