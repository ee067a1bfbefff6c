"""Public keys of an issuer, by their ids (JWKS, RFC 7517)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from flashreserve.auth.issuers import Algorithm
from flashreserve.decode_errors import DECODE_ERRORS

JWKS_BYTES_MAX: Final = 256 * 1024
KEYS_MAX: Final = 100
RSA_BITS_MIN: Final = 2048
"""RS256 needs a key of this length at least (RFC 7518, section 3.3)."""


_KID_SHOWN_MAX: Final = 64
_PUBLIC: Final = (RSAPublicKey, EllipticCurvePublicKey, Ed25519PublicKey, Ed448PublicKey)


class _InvalidKeyError(Exception):
    """A key can't be used; the message says why."""


class _Jwks(msgspec.Struct):
    keys: list[dict[str, Any]]


class PublicKeys:
    """The keys of one set that tokens may be signed by, by their ids; also by None if there is only one.

    `skipped` says of each invalid key why it was left out.
    """

    def __init__(self, keys: Mapping[str | None, jwt.PyJWK], skipped: Sequence[str] = ()) -> None:
        self.by_id = keys
        self.skipped = skipped

    @classmethod
    def parse(cls, body: bytes, algorithms: Sequence[Algorithm]) -> "PublicKeys":
        """Reads a JWKS document. Keys for another purpose or algorithm, and invalid ones, are left out.

        Raises:
            ValueError: what was expected.
        """
        if len(body) > JWKS_BYTES_MAX:
            raise ValueError(f"expected at most {JWKS_BYTES_MAX} bytes")
        try:
            documents = msgspec.json.decode(body, type=_Jwks).keys
        except DECODE_ERRORS:
            raise ValueError('expected a JWKS document, such as {"keys": [{"kty": "RSA", …}]}') from None
        if len(documents) > KEYS_MAX:
            raise ValueError(f"expected at most {KEYS_MAX} keys, not {len(documents)}")
        found: list[jwt.PyJWK] = []
        skipped: list[str] = []
        for document in documents:
            try:
                key = _usable(document, algorithms)
            except _InvalidKeyError as error:
                skipped.append(f"{_shown(document)}: {error}")
            else:
                found += [] if key is None else [key]
        if not found:
            expected = f"expected at least one key for signatures by {' or '.join(algorithms)}"
            raise ValueError("; ".join([expected, *skipped]))
        keys: dict[str | None, jwt.PyJWK] = {key.key_id: key for key in found}
        if len(found) == 1:
            keys[None] = found[0]
        return cls(keys, skipped)

    def find(self, kid: str | None) -> jwt.PyJWK | None:
        """The key with this id. A token that names none can only be signed by the only key."""
        return self.by_id.get(kid)

    def has_all_of(self, earlier: "PublicKeys") -> bool:
        """Whether every key of an earlier set is in this one, under the same id and for the same algorithm."""
        return all(_is_same(self.by_id.get(kid), key) for kid, key in earlier.by_id.items())


def _is_same(key: jwt.PyJWK | None, earlier: jwt.PyJWK) -> bool:
    return key is not None and key.algorithm_name == earlier.algorithm_name and bool(key.key == earlier.key)


def _shown(document: Mapping[str, Any]) -> str:
    kid = document.get("kid")
    return f"key {kid[:_KID_SHOWN_MAX]!r}" if isinstance(kid, str) else "a key without kid"


def _usable(document: Mapping[str, Any], algorithms: Sequence[Algorithm]) -> jwt.PyJWK | None:
    """The key, or None if it is for another purpose or algorithm.

    Raises:
        _InvalidKeyError: why the key can't be used.
    """
    # Some programs write null, or an empty list, for a member that they don't have.
    stated = {member: value for member, value in document.items() if value is not None}
    for member in ("kty", "kid", "use", "alg"):
        if not isinstance(stated.get(member, ""), str):
            raise _InvalidKeyError(f"{member}: expected text")
    uses = stated.get("key_ops") or ["verify"]
    if not isinstance(uses, list):
        raise _InvalidKeyError("key_ops: expected a list")
    # With a secret in a public document, everybody could sign.
    if stated.get("kty") == "oct":
        raise _InvalidKeyError("it is a shared secret")
    if stated.get("use", "sig") != "sig" or "verify" not in uses:
        return None
    try:
        key = jwt.PyJWK(stated)
    except Exception:  # noqa: BLE001 - PyJWT and what is below it raise many kinds of errors for wrong members
        raise _InvalidKeyError("it can't be read") from None
    if key.algorithm_name not in algorithms:
        return None
    if not isinstance(key.key, _PUBLIC):
        raise _InvalidKeyError("it is private: whoever has read it can sign in as anybody")
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < RSA_BITS_MIN:
        raise _InvalidKeyError(f"it has {key.key.key_size} bits, expected at least {RSA_BITS_MIN}")
    return key
