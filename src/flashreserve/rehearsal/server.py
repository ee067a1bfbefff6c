"""The shop under test, as a rehearsal needs it."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec

from flashreserve.decode_errors import DECODE_ERRORS
from flashreserve.rehearsal.watch import SignIn


class RehearsalError(Exception):
    """The rehearsal could not take place; the text tells the operator why, and what to do."""


class RehearsalInputError(RehearsalError):
    """The given tokens or keys are invalid; nothing was begun."""


class AuditReport(msgspec.Struct, frozen=True):
    """The result of the shop's own audit. `clean` is None if its books could not be read at one instant."""

    clean: bool | None
    report: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUnderTest:
    """A shop that is ready, and the credentials for it.

    Attributes:
        urls: its addresses, which customers use round robin; the admin uses the first one.
        admin_token: signed token of an account that may create products.
        mint: makes signed tokens, each for another customer. May raise `RehearsalError`.
        audit: ends the shop and audits its data; None if that isn't possible from here.
        sign_in: the admin's account of a fresh shop; None for a shop that runs already.
    """

    urls: tuple[str, ...]
    admin_token: str
    mint: Callable[[int], Sequence[str]]
    audit: Callable[[], Awaitable[AuditReport]] | None = None
    sign_in: SignIn | None = None


def listed_tokens(tokens: Sequence[str]) -> Callable[[int], Sequence[str]]:
    """A `ServerUnderTest.mint` that returns the tokens of a list."""

    def hand_out(count: int) -> Sequence[str]:
        if len(tokens) < count:
            raise RehearsalInputError(f"tokens: expected one for each of {count:,} customers, got {len(tokens):,}")
        return tokens[:count]

    return hand_out


class _SessionClaims(msgspec.Struct):
    sub: str


def subject_of(token: str) -> str | None:
    """The user id in a token, unverified; None if it isn't a JSON Web Token."""
    try:
        claims = token.split(".")[1]
        return msgspec.json.decode(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)), type=_SessionClaims).sub
    except (IndexError, binascii.Error, *DECODE_ERRORS):
        return None
