"""Identifies the sender of a request, and refuses senders who lack the permission."""

from collections.abc import Sequence
from typing import Final

from flashreserve.auth.keys import Refusal, TokenRefused
from flashreserve.auth.outcomes import TooManyTries
from flashreserve.auth.tokens import Identity
from flashreserve.core.model import Role
from flashreserve.http.answers import CHALLENGE, RefusalError
from flashreserve.http.headers import RequestHeaders, bearer_token
from flashreserve.http.services import Services
from flashreserve.http.site import COOKIES_TRIED_MAX, cookie_values
from flashreserve.stores.port import StoreUnavailableError

_CUSTOMER: Final = Role.CUSTOMER
"""`Role.CUSTOMER`, cached: looking up an enumeration's member runs Python code, here for every reservation."""

_EXPIRED: Final = "the token has expired; sign in again"
_INVALID: Final = "the token is invalid; sign in again"
"""The same text for every reason, so that a stranger can't learn, for example, which key ids exist."""


def signed_in(headers: RequestHeaders, services: Services) -> Identity:
    """The sender of the request, by bearer token or, without an Authorization header, by cookie.

    Raises:
        RefusalError: Nobody is signed in.
    """
    if b"authorization" not in headers:
        return _signed_in_by_cookie(headers, services)
    token = bearer_token(headers)
    if token is None:
        raise _unauthenticated("expected Authorization: Bearer followed by a token")
    return _verified(token, services)


def customer(headers: RequestHeaders, services: Services) -> Identity:
    """The customer who sent the request.

    Raises:
        RefusalError: Nobody is signed in, or the sender is not a customer.
    """
    identity = signed_in(headers, services)
    if identity.role is not _CUSTOMER:
        raise RefusalError("forbidden", "only customers may reserve")
    return identity


async def admin(headers: RequestHeaders, services: Services) -> Identity:
    """The admin who sent the request. Besides the token, the account's role in the database must still be admin.

    Raises:
        RefusalError: Nobody is signed in, or the sender is not an admin.
    """
    identity = signed_in(headers, services)
    if identity.role is not Role.ADMIN or not await services.accounts.is_admin(identity.user_id):
        raise RefusalError("forbidden", "only admins may do this")
    return identity


async def check_operator(headers: RequestHeaders, address: str | None, services: Services) -> None:
    """Allow operators only: in production, admins and holders of the metrics token; in development, everybody.

    `address` is the client's. Wrong metrics tokens are counted by it.

    Raises:
        RefusalError: The sender is not an operator, or has tried too many tokens.
    """
    if not services.production:
        return
    sent = bearer_token(headers) or ""
    # A valid access token isn't counted as a wrong metrics token.
    if not isinstance(services.tokens.verify(sent, services.clock.now_ms()), Identity):
        admitted = await services.metrics_token.admits(sent, address)
        if isinstance(admitted, TooManyTries):
            after_s = str(admitted.retry_after_s)
            raise RefusalError("too-many-tries", f"try again in {after_s} s", headers=(("retry-after", after_s),))
        if admitted:
            return
    await admin(headers, services)


async def is_operator(headers: RequestHeaders, address: str | None, services: Services) -> bool:
    """Whether `check_operator` allows the sender. During a database outage, only the metrics token is accepted."""
    try:
        await check_operator(headers, address, services)
    except (RefusalError, StoreUnavailableError):
        return False
    return True


def device_tokens(headers: RequestHeaders, services: Services) -> Sequence[str]:
    """The device cookies of the request; none if its Cookie header is invalid."""
    return cookie_values(headers.get(b"cookie"), services.cookies.device)


def _signed_in_by_cookie(headers: RequestHeaders, services: Services) -> Identity:
    """Sign in by the cookie whose token is valid. Valid cookies of two accounts are refused: one may be planted."""
    tokens = cookie_values(headers.get(b"cookie"), services.cookies.token)
    if not tokens:
        raise RefusalError("unauthenticated", "sign in first", headers=(CHALLENGE,))
    if len(tokens) == 1:
        return _verified(tokens[0], services)
    if len(tokens) > COOKIES_TRIED_MAX:
        raise _unauthenticated(f"expected at most {COOKIES_TRIED_MAX} different cookies named {services.cookies.token}")
    now_ms = services.clock.now_ms()
    found = [identity for token in tokens if isinstance(identity := services.tokens.verify(token, now_ms), Identity)]
    if not found:
        raise _unauthenticated(_INVALID)
    if any(identity.user_id != found[0].user_id for identity in found):
        raise _unauthenticated("the cookies belong to different accounts; sign in again")
    return found[0]


def _verified(token: str, services: Services) -> Identity:
    identity = services.tokens.verify(token, services.clock.now_ms())
    if isinstance(identity, TokenRefused):
        raise _unauthenticated(_EXPIRED if identity.reason is Refusal.EXPIRED else _INVALID)
    return identity


def _unauthenticated(detail: str) -> RefusalError:
    name, challenge = CHALLENGE
    return RefusalError("unauthenticated", detail, headers=((name, challenge + ', error="invalid_token"'),))
