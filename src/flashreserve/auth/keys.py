"""The keys that sign tokens. All tokens are JWS (RFC 7515) with HS256.

A key has an id (`kid`), which every token names in its header. The first key signs; all keys are accepted. To replace a
key, append the new one on all processes, then move it to the front on all, and remove the old one once the last token
that it signed has expired. If the new key were in front at once, it would sign tokens that other processes refuse.
"""

import hmac
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Self

import jwt
import msgspec

from flashreserve.auth.secret_strength import is_repetitive

SECRET_BYTES_MIN: Final = 32
"""HS256 needs a key at least as long as its 256-bit digest (RFC 7518, section 3.2)."""

KEYS_MAX: Final = 16

TOKEN_LENGTH_MAX: Final = 4096
"""Characters of a token. Longer ones are refused unread. Our own have about 350."""

_ALGORITHM: Final = "HS256"
_TYPE: Final = "jwt"
_PURPOSE = re.compile(rb"[a-z]+:")
_KID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Every token has exactly one valid form: no padding, and no unused bits set in the signature's last character (43
# characters carry two bits more than a digest has). Otherwise one token could take many places in a cache.
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


class Refusal(StrEnum):
    """Why a token is refused. For logs and metrics only: its sender is not told the reason."""

    TOO_LONG = "too-long"
    MALFORMED = "malformed"
    WRONG_ALGORITHM = "wrong-algorithm"
    WRONG_TYPE = "wrong-type"
    UNKNOWN_KEY = "unknown-key"
    WRONG_SIGNATURE = "wrong-signature"
    WRONG_CLAIMS = "wrong-claims"
    WRONG_ISSUER = "wrong-issuer"
    WRONG_AUDIENCE = "wrong-audience"
    NOT_YET_VALID = "not-yet-valid"
    TOO_LONG_LIVED = "too-long-lived"
    EXPIRED = "expired"
    SIGNED_OUT = "signed-out"
    UNKNOWN_API_KEY = "unknown-api-key"
    REVOKED_API_KEY = "revoked-api-key"
    UNKNOWN_ISSUER_KEY = "unknown-issuer-key"
    NO_ISSUER_KEYS = "no-issuer-keys"
    ISSUER_KEYS_UNREADABLE = "issuer-keys-unreadable"


class TokenRefused(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The token is invalid, for this reason."""

    reason: Refusal


class KeyRing:
    """The keys by their ids. The first one signs."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        if not secrets:
            raise ValueError("the key ring is empty: at least one kid:secret is needed")
        if len(secrets) > KEYS_MAX:
            raise ValueError(f"the key ring has {len(secrets)} keys, at most {KEYS_MAX} are allowed")
        for kid, secret in secrets.items():
            _check_key(kid, secret)
        _check_secrets_differ(secrets)
        self._secrets = dict(secrets)
        self._signing_kid = next(iter(self._secrets))
        self._dummy_secret = bytes(SECRET_BYTES_MIN)
        self._jws = jwt.PyJWS(algorithms=[_ALGORITHM])
        # The encoded headers of our own tokens. Recognising one saves decoding it, which would take half of the time
        # of a token's first check.
        self._secrets_by_header = {self._sign(b"", kid).partition(".")[0]: self._secrets[kid] for kid in self._secrets}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `kid:secret,kid:secret,…`; the first one signs.

        A secret is UTF-8 text without commas; it may have colons. Spaces around an entry are dropped.

        Raises:
            ValueError: the text says which key breaks which rule, and shows no secret.
        """
        entries = [entry.strip() for entry in text.split(",")] if text.strip() else []
        secrets: dict[str, bytes] = {}
        for number, entry in enumerate(entries, start=1):
            kid, colon, secret = entry.partition(":")
            if not colon:
                raise ValueError(f"key {number} of {len(entries)} must have the form kid:secret, but has no colon")
            if kid in secrets:
                raise ValueError(f"key {number} of {len(entries)} has the id of an earlier key; ids must differ")
            secrets[kid] = secret.encode()
        return cls(secrets)

    @property
    def kids(self) -> tuple[str, ...]:
        """The keys' ids, the signing key's first."""
        return tuple(self._secrets)

    def has(self, secret: bytes) -> bool:
        """Whether one of the keys has this secret."""
        return secret in self._secrets.values()

    def derive(self, kid: str, purpose: bytes) -> bytes | None:
        """A secret of 32 bytes for another purpose, by HMAC-SHA256 with the key `kid`; None if there is no such key.

        A purpose begins with a word and a colon. No token signs such a text, because tokens have no colons; so neither
        reveals the other.
        """
        if _PURPOSE.match(purpose) is None:
            raise ValueError("a purpose begins with a word and a colon")
        secret = self._secrets.get(kid)
        return None if secret is None else hmac.digest(secret, purpose, "sha256")

    def __repr__(self) -> str:
        return f"KeyRing(kids={self.kids!r})"

    def sign(self, payload: bytes) -> str:
        """A token with this payload, signed by the first key."""
        return self._sign(payload, self._signing_kid)

    def open(self, token: str) -> bytes | TokenRefused:
        """The payload of a token, if one of the keys has signed it."""
        if len(token) > TOKEN_LENGTH_MAX:
            return TokenRefused(Refusal.TOO_LONG)
        if _TOKEN.fullmatch(token) is None:
            return TokenRefused(Refusal.MALFORMED)
        try:
            secret = self._secrets_by_header.get(token.partition(".")[0])
            if secret is not None:
                try:
                    return bytes(self._jws.decode(token, secret, algorithms=[_ALGORITHM]))
                except jwt.InvalidSignatureError:
                    # Decode the header as for an unknown key id, so that the time taken reveals no key ids.
                    self._secret_of(token)
                    return TokenRefused(Refusal.WRONG_SIGNATURE)
            return self._open_by_header(token)
        except jwt.InvalidTokenError:
            return TokenRefused(Refusal.MALFORMED)

    def _open_by_header(self, token: str) -> bytes | TokenRefused:
        """The same as `open`, for a header in another form than ours."""
        secret = self._secret_of(token)
        if isinstance(secret, Refusal):
            return TokenRefused(secret)
        try:
            payload = bytes(self._jws.decode(token, secret, algorithms=[_ALGORITHM]))
        except jwt.InvalidSignatureError:
            payload = None
        if secret is self._dummy_secret:
            return TokenRefused(Refusal.UNKNOWN_KEY)
        return TokenRefused(Refusal.WRONG_SIGNATURE) if payload is None else payload

    def _sign(self, payload: bytes, kid: str) -> str:
        return self._jws.encode(payload, self._secrets[kid], algorithm=_ALGORITHM, headers={"kid": kid})

    def _secret_of(self, token: str) -> bytes | Refusal:
        header = self._jws.get_unverified_header(token)
        # The algorithm is fixed; the token's own is read only to give a clear reason.
        if header.get("alg") != _ALGORITHM:
            return Refusal.WRONG_ALGORITHM
        # The type is optional (RFC 7519, 5.1). Another type is a token for another purpose (RFC 8725, 3.11).
        kind = header.get("typ", _TYPE)
        if not (isinstance(kind, str) and kind.lower() == _TYPE):
            return Refusal.WRONG_TYPE
        # The signature is checked for an unknown key as well, so that the time taken reveals no key ids.
        return self._secrets.get(str(header.get("kid", "")), self._dummy_secret)


def _check_key(kid: str, secret: bytes) -> None:
    if _KID.fullmatch(kid) is None:
        # The id isn't printed: if the two parts are swapped, it is the secret.
        raise ValueError("a key's id must be 1 to 64 letters, digits, dots, dashes or underscores")
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"the secret of key {kid!r} has {len(secret)} bytes, at least {SECRET_BYTES_MIN} are needed")
    if is_repetitive(secret):
        raise ValueError(
            f"the secret of key {kid!r} repeats the same few characters; expected random ones, "
            "such as `openssl rand -base64 48` prints"
        )


def _check_secrets_differ(secrets: Mapping[str, bytes]) -> None:
    """Refuse two ids for one secret: such a rotation replaces nothing."""
    kids: dict[bytes, str] = {}
    for kid, secret in secrets.items():
        if secret in kids:
            raise ValueError(f"keys {kids[secret]!r} and {kid!r} have the same secret; secrets must differ")
        kids[secret] = kid
