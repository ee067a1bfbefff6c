"""Device tokens: they mark browsers in which an account's owner has signed in before.

A successful login sets one as a cookie. It grants no access. Tries for this account from this browser are counted
separately, so a stranger who guesses passwords can't lock the owner out.
Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".
"""

import re
from typing import Final

import msgspec

from flashreserve.auth.issuers import OWN_ISSUER
from flashreserve.auth.keys import KeyRing, TokenRefused
from flashreserve.auth.tokens import LEEWAY_MS
from flashreserve.decode_errors import DECODE_ERRORS

DEVICE_AUDIENCE: Final = "flashreserve-device"
"""Differs from the access tokens' audience, so neither kind is accepted as the other."""

DEVICE_TTL_S: Final = 180 * 24 * 3600
"""Half a year, in seconds; every login renews it."""

_DEVICE_ID = re.compile(r"[0-9a-f-]{36}")


class Device(msgspec.Struct, frozen=True, gc=False):
    """A browser that has signed in to the account before. Renewals keep its `id`."""

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
        """A token for a device that has signed in."""
        exp = now_ms // 1000 + self._ttl_s
        claims = _DeviceClaims(iss=OWN_ISSUER, aud=DEVICE_AUDIENCE, sub=device.account_id, jti=device.id, exp=exp)
        return DeviceIssued(token=self._keys.sign(msgspec.json.encode(claims)), expires_at=exp * 1000)

    def read(self, token: str, now_ms: int) -> Device | None:
        """The device, or None if the token is invalid. It counts for `Device.account_id` only.

        No reason is given: a browser with an invalid token is treated like one without.
        """
        payload = self._keys.open(token)
        if isinstance(payload, TokenRefused):
            return None
        try:
            claims = self._decoder.decode(payload)
        except DECODE_ERRORS:
            return None
        ours = (
            claims.iss == OWN_ISSUER and claims.aud == DEVICE_AUDIENCE and _DEVICE_ID.fullmatch(claims.jti) is not None
        )
        latest_ms = now_ms + LEEWAY_MS
        if not ours or not now_ms < claims.exp * 1000 <= latest_ms + self._ttl_s * 1000:
            return None
        if max(claims.nbf, claims.iat) * 1000 > latest_ms:
            return None
        return Device(account_id=claims.sub, id=claims.jti)
