"""Foreign tokens: JWTs that the shop's own issuers have signed. They identify customers, never admins.

Source: RFC 7519, and RFC 8725 for what to refuse. The key is always one that the issuer's settings lead to. Headers
that bring a key along or name an address of one (`jwk`, `jku`, `x5u`, `x5c`) have no effect.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import jwt
import msgspec
from jwt.types import Options

from flashreserve.auth.issuers import Issuer
from flashreserve.auth.keys import Refusal, TokenRefused
from flashreserve.auth.public_keys import PublicKeys
from flashreserve.core.limits import CUSTOMER_ID_LENGTH_MAX
from flashreserve.decode_errors import DECODE_ERRORS

LEEWAY_S: Final = 30
"""How far `exp` may be in the past, and `nbf` and `iat` in the future: the issuer's clock may be wrong."""

FOREIGN_LENGTH_MAX: Final = 8192
"""Characters of a token. Longer ones are refused unread."""

_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_SUBJECT: Final = re.compile("[!-+.-~-]+")
_CHECKS: Final[Options] = {
    # The times are checked here, by the clock that the process goes by.
    "require": ["exp"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_sub": False,
}


class ForeignCustomer(msgspec.Struct, frozen=True):
    """The customer of a token, which is valid until before `expires_at` (UTC milliseconds)."""

    customer_id: str
    issuer: str
    issued_at: int
    expires_at: int


class _Recipients(msgspec.Struct):
    """What a token says of who has issued it, and for whom."""

    iss: str
    aud: str | list[str] = ""

    def fit(self, issuer: Issuer) -> bool:
        named = [self.aud] if isinstance(self.aud, str) else self.aud
        return issuer.issuer == self.iss and issuer.audience in named


class ForeignTokens:
    """Verifies tokens of these issuers. Their public keys are learned later, and again when they change."""

    def __init__(self, issuers: Sequence[Issuer] = ()) -> None:
        self._issuers = list(issuers)
        self._names = frozenset(issuer.issuer for issuer in issuers)
        self._keys: dict[str, PublicKeys] = {}
        self._recipients = msgspec.json.Decoder(_Recipients)
        self._jwt = jwt.PyJWT()
        self._forget: Callable[[str], None] = _nothing_cached

    def on_withdrawal(self, forget: Callable[[str], None]) -> None:
        """Call `forget` with the issuer's name when a key of its was withdrawn: verified tokens may be invalid."""
        self._forget = forget

    def learn(self, issuer: Issuer, keys: PublicKeys) -> None:
        """Replace the issuer's keys."""
        earlier = self._keys.get(issuer.name)
        self._keys[issuer.name] = keys
        if earlier is not None and not keys.has_all_of(earlier):
            self._forget(issuer.name)

    def issuer_of(self, token: str) -> Issuer | None:
        """The issuer that the token names, unverified; None if it is none of these, or for others than this service."""
        found = self._recipients_of(token)
        return None if found is None else next(filter(found.fit, self._issuers), None)

    def issuer_name(self, token: str) -> str | None:
        """The name of the issuer that the token names, unverified, for whomever it is; None if it is none of these."""
        found = self._recipients_of(token)
        named = [] if found is None else [each for each in self._issuers if each.issuer == found.iss]
        fitting = [each for each in named if found is not None and found.fit(each)]
        return next((each.name for each in fitting or named), None)

    def verify(self, token: str, now_ms: int) -> ForeignCustomer | TokenRefused | None:
        """The customer, or the reason for refusing the token. None: it names none of the issuers."""
        found = self._recipients_of(token)
        if found is None or found.iss not in self._names:
            return None
        issuer = next(filter(found.fit, self._issuers), None)
        if issuer is None:
            return TokenRefused(Refusal.WRONG_AUDIENCE)
        try:
            claims = self._claims(issuer, token)
        except jwt.InvalidSignatureError:
            return TokenRefused(Refusal.WRONG_SIGNATURE)
        except (jwt.MissingRequiredClaimError, jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            return TokenRefused(Refusal.WRONG_CLAIMS)
        except (jwt.PyJWTError, RecursionError):
            return TokenRefused(Refusal.MALFORMED)
        return claims if isinstance(claims, TokenRefused) else _customer(issuer, claims, now_ms)

    def _recipients_of(self, token: str) -> _Recipients | None:
        if not self._issuers or len(token) > FOREIGN_LENGTH_MAX or (parts := _TOKEN.fullmatch(token)) is None:
            return None
        try:
            return self._recipients.decode(_decoded(parts[1]))
        except (*DECODE_ERRORS, ValueError):
            return None

    def _claims(self, issuer: Issuer, token: str) -> Mapping[str, Any] | TokenRefused:
        header = jwt.get_unverified_header(token)
        algorithm = next((each for each in issuer.allowed if each == header.get("alg")), None)
        if algorithm is None:
            return TokenRefused(Refusal.WRONG_ALGORITHM)
        kind = header.get("typ", "jwt")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            return TokenRefused(Refusal.WRONG_TYPE)
        if not _is_canonical(token):
            return TokenRefused(Refusal.MALFORMED)
        key = self._key(issuer, header.get("kid"), algorithm)
        if isinstance(key, TokenRefused):
            return key
        claims: Mapping[str, Any] = self._jwt.decode(
            token, key, algorithms=[algorithm], audience=issuer.audience, issuer=issuer.issuer, options=_CHECKS
        )
        return claims

    def _key(self, issuer: Issuer, kid: object, algorithm: str) -> jwt.PyJWK | str | TokenRefused:
        if issuer.secret:
            return issuer.secret
        keys = self._keys.get(issuer.name)
        if keys is None:
            return TokenRefused(Refusal.NO_ISSUER_KEYS)
        key = keys.find(kid) if kid is None or isinstance(kid, str) else None
        if key is None:
            return TokenRefused(Refusal.UNKNOWN_ISSUER_KEY)
        return key if key.algorithm_name == algorithm else TokenRefused(Refusal.WRONG_ALGORITHM)


def _nothing_cached(_: str) -> None:
    """Nobody caches verified tokens."""


def _customer(issuer: Issuer, claims: Mapping[str, Any], now_ms: int) -> ForeignCustomer | TokenRefused:
    now_s = now_ms / 1000
    times = [claims["exp"], claims.get("nbf", 0), claims.get("iat", 0)]
    # A bool is a number in Python. NaN would fail no comparison.
    if not all(type(time) in {int, float} and 0 <= time < 2**53 for time in times):
        return TokenRefused(Refusal.WRONG_CLAIMS)
    expires_s, not_before_s, issued_s = times
    if expires_s + LEEWAY_S <= now_s:
        return TokenRefused(Refusal.EXPIRED)
    if max(not_before_s, issued_s) > now_s + LEEWAY_S:
        return TokenRefused(Refusal.NOT_YET_VALID)
    for claim, value in issuer.required_claims.items():
        # `True == 1` in Python.
        if type(claims.get(claim)) is not type(value) or claims[claim] != value:
            return TokenRefused(Refusal.WRONG_CLAIMS)
    subject = claims.get(issuer.subject_claim)
    text = str(subject) if type(subject) is int else subject
    if not isinstance(text, str) or _SUBJECT.fullmatch(text) is None:
        return TokenRefused(Refusal.WRONG_CLAIMS)
    customer_id = f"{issuer.name}:{text}"
    if len(customer_id) > CUSTOMER_ID_LENGTH_MAX:
        return TokenRefused(Refusal.WRONG_CLAIMS)
    return ForeignCustomer(customer_id, issuer.name, int(issued_s * 1000), int((expires_s + LEEWAY_S) * 1000))


def _is_canonical(token: str) -> bool:
    """Whether the signature has the one encoding without unused bits: else one token could fill the cache."""
    signature = token.rpartition(".")[2]
    try:
        return urlsafe_b64encode(_decoded(signature)).rstrip(b"=") == signature.encode()
    except ValueError:
        return False


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
