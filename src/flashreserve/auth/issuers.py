"""Issuers: the shop's own sign-in services, whose tokens identify customers here.

An issuer's customers are called `<name>:<subject>`, so the customers of two issuers are never the same, and none is an
account of this service.
"""

import tomllib
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from flashreserve.auth.secret_strength import is_repetitive
from flashreserve.decode_errors import DECODE_ERRORS
from flashreserve.expectations import why_not

ISSUERS_MAX: Final = 16
OWN_ISSUER: Final = "flashreserve"
"""The `iss` of this service's own tokens."""

TEXT_BYTES_MAX: Final = 64 * 1024
SECRET_BYTES_MIN: Final = 32
"""HS256 needs a key at least as long as its 256-bit digest (RFC 7518, section 3.2)."""

Algorithm = Literal["RS256", "ES256", "EdDSA", "HS256"]
PUBLIC_KEY_ALGORITHMS: Final[tuple[Algorithm, ...]] = ("RS256", "ES256", "EdDSA")
SYMMETRIC_ALGORITHM: Final = "HS256"

_Text = Annotated[str, Meta(min_length=1, max_length=512)]
_NAME: Final = "1 to 32 lower-case letters, digits, - and _, the first one a letter or digit; not `erased`"
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Issuer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One issuer. Exactly one of `jwks_url`, `jwks_file` and `secret` is set.

    Attributes:
        name: Stands before the ids of its customers.
        issuer: The `iss` of its tokens.
        audience: This service's name in the `aud` of its tokens. Tokens for others are refused.
        algorithms: Those that its tokens may be signed by; empty for all that its keys can be used with.
        jwks_url: The address of its public keys (JWKS, RFC 7517).
        jwks_file: A file of the same.
        secret: A secret that it shares with this service alone, for tokens signed by HS256.
        subject_claim: The claim that has the customer's id: a text or a whole number.
        required_claims: Claims that a token must have, with their values.
    """

    name: Annotated[str, Meta(pattern="^(?!erased$)[a-z0-9][a-z0-9_-]{0,31}$", extra={"expected": _NAME})]
    issuer: _Text
    audience: _Text
    algorithms: tuple[Algorithm, ...] = ()
    jwks_url: str = ""
    jwks_file: str = ""
    secret: str = ""
    subject_claim: _Text = "sub"
    required_claims: dict[str, str | int | bool] = {}

    def __repr__(self) -> str:
        """The representation without the secret."""
        return f"Issuer({self.name!r}, {self.issuer!r})"

    @property
    def allowed(self) -> Sequence[Algorithm]:
        """The algorithms that its tokens may be signed by."""
        return self.algorithms or ((SYMMETRIC_ALGORITHM,) if self.secret else PUBLIC_KEY_ALGORITHMS)


class _Issuers(msgspec.Struct, forbid_unknown_fields=True):
    issuers: list[Issuer]


def read_issuers(text: str) -> list[Issuer]:
    """The issuers in this text, which is TOML or JSON with a list `issuers`.

    Raises:
        ValueError: the text says which entry breaks which rule, and shows no secret.
    """
    found = _converted(_decoded(text)).issuers
    if len(found) > ISSUERS_MAX:
        raise ValueError(f"issuers: expected at most {ISSUERS_MAX}, not {len(found)}")
    for number, issuer in enumerate(found):
        try:
            _check(issuer, found[:number])
        except ValueError as error:
            raise ValueError(f"issuers[{number}] ({issuer.name}): {error}") from None
    return found


def _decoded(text: str) -> Any:
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise ValueError(f"expected at most {TEXT_BYTES_MAX} bytes")
    # The decoders' own messages may quote the text, in which there are secrets.
    if text.lstrip().startswith("{"):
        try:
            return msgspec.json.decode(text)
        except DECODE_ERRORS:
            raise ValueError('expected JSON such as {"issuers": [{"name": "shop", …}]}') from None
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        raise ValueError('expected TOML such as [[issuers]] and, below it, name = "shop"') from None


def _converted(tree: Any) -> _Issuers:
    try:
        return msgspec.convert(tree, _Issuers)
    except msgspec.ValidationError:
        raise ValueError(why_not(tree, _Issuers)) from None


def _check(issuer: Issuer, earlier: Sequence[Issuer]) -> None:
    if any(issuer.name == other.name for other in earlier):
        raise ValueError("name: expected one that no other issuer has")
    if any(issuer.issuer == other.issuer and issuer.audience == other.audience for other in earlier):
        raise ValueError("issuer: expected one that no other entry has with the same audience")
    if issuer.issuer == OWN_ISSUER:
        raise ValueError(f"issuer: expected another one than {OWN_ISSUER}, which signs this service's own tokens")
    if sum(map(bool, (issuer.jwks_url, issuer.jwks_file, issuer.secret))) != 1:
        raise ValueError("expected exactly one of jwks_url, jwks_file and secret")
    possible = (SYMMETRIC_ALGORITHM,) if issuer.secret else PUBLIC_KEY_ALGORITHMS
    for algorithm in issuer.algorithms:
        if algorithm not in possible:
            kind = "a shared secret" if issuer.secret else "public keys"
            raise ValueError(f"algorithms: expected {' or '.join(possible)} with {kind}, not {algorithm}")
    if issuer.secret:
        _check_secret(issuer.secret.encode())
        # Each of the two could sign tokens of the other's customers.
        if any(issuer.secret == other.secret and issuer.issuer != other.issuer for other in earlier):
            raise ValueError("secret: expected one that no other issuer has")
    if issuer.jwks_url:
        _check_url(issuer.jwks_url)


def _check_secret(secret: bytes) -> None:
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"secret: expected at least {SECRET_BYTES_MIN} bytes, not {len(secret)}")
    if is_repetitive(secret):
        raise ValueError("secret: expected a random one, such as `openssl rand -base64 48` prints")


def _check_url(url: str) -> None:
    expected = "jwks_url: expected an https:// address, or an http:// one of this machine"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(expected) from None
    if not host or parts.username is not None or not url.isascii() or not url.isprintable():
        raise ValueError(expected)
    # Who can change the keys on their way here can sign in as anybody.
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOCAL):
        raise ValueError(expected)
