"""What a rehearsal needs of the shop under test, wherever it runs."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec

from flashreserve.decode_errors import DECODE_ERRORS


class RehearsalError(Exception):
    """The rehearsal could not take place; the text tells its operator why and what to do."""


class RehearsalInputError(RehearsalError):
    """The tokens or keys that were given are invalid; nothing was begun."""


class AuditReport(msgspec.Struct, frozen=True):
    """What the shop's own audit said. `clean` is None where no still picture could be had."""

    clean: bool | None
    report: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUnderTest:
    """A shop that answers, and the means to act in it.

    Attributes:
        urls: where customers go, round robin; the first is also used as admin.
        admin_token: signed token of an account that may create products.
        mint: makes signed customers' tokens, each of another user. May refuse by `RehearsalError`.
        audit: ends the shop and audits its data; None where that is out of reach.
    """

    urls: tuple[str, ...]
    admin_token: str
    mint: Callable[[int], Sequence[str]]
    audit: Callable[[], Awaitable[AuditReport]] | None = None


def listed_tokens(tokens: Sequence[str]) -> Callable[[int], Sequence[str]]:
    """A `mint` that hands out the tokens of a list."""

    def hand_out(count: int) -> Sequence[str]:
        if len(tokens) < count:
            raise RehearsalInputError(f"tokens: expected one for each of {count:,} customers, got {len(tokens):,}")
        return tokens[:count]

    return hand_out


class _SessionClaims(msgspec.Struct):
    sub: str


def subject_of(token: str) -> str | None:
    """The user id that a token carries, unverified; None if it isn't a JSON Web Token."""
    try:
        claims = token.split(".")[1]
        return msgspec.json.decode(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)), type=_SessionClaims).sub
    except (IndexError, binascii.Error, *DECODE_ERRORS):
        return None
