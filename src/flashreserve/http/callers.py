"""Identifies the sender of a request, and refuses senders who lack the permission."""

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from flashreserve.auth.api_keys import KeyIdentity, is_api_key
from flashreserve.auth.keys import Refusal, TokenRefused
from flashreserve.auth.outcomes import TooManyTries
from flashreserve.auth.token_forms import may_be_metrics_token
from flashreserve.auth.tokens import Identity
from flashreserve.core.events import BY_KEY
from flashreserve.core.model import BY_CUSTOMER, Role, Scope
from flashreserve.http.answers import CHALLENGE, RefusalError, bad_request
from flashreserve.http.headers import CUSTOMER_HEADER, CUSTOMER_HEADER_NAME, RequestHeaders, bearer_token, on_behalf_of
from flashreserve.http.services import Services
from flashreserve.http.site import COOKIES_TRIED_MAX, cookie_values
from flashreserve.service.access import Caller
from flashreserve.stores.port import StoreUnavailableError

# Cached: looking up an enumeration's member runs Python code, here for every reservation.
_CUSTOMER: Final = Role.CUSTOMER
_CUSTOMERS: Final = Scope.CUSTOMERS

_EXPIRED: Final = "the token has expired; sign in again"
_NO_KEYS: Final = "the keys of the token's issuer can't be read now"
_INVALID: Final = "the token is invalid; sign in again"
"""The same text for every reason, so that a stranger can't learn, for example, which key ids exist."""

_INVALID_KEY: Final = "the API key is unknown, revoked or expired"
"""The same for every text that begins like an API key."""

_log = structlog.get_logger(__name__)


class ActingFor(msgspec.Struct, frozen=True):
    """Somebody who acts on reservations: `owner` on those of this customer, or on any if it is None.

    Changes are recorded under the name `by`.
    """

    owner: str | None
    by: str


def customer_seen(headers: RequestHeaders, services: Services) -> str | None:
    """The customer for whom the request reserves, without reading anything; None if that isn't known at once.

    It is also None for a token that is refused: `customer` says so, and logs why.

    Raises:
        RefusalError: As for `customer`.
    """
    found = _seen(headers, services)
    if found is None or isinstance(found, TokenRefused):
        return None
    # Nearly all requests of a sale are one of these two. The last line would give the same, and takes longer.
    if isinstance(found, Identity):
        if found.role is _CUSTOMER and CUSTOMER_HEADER_NAME not in headers:
            return found.user_id
    elif _CUSTOMERS in found.scopes and (customer_id := on_behalf_of(headers)) is not None:
        return customer_id
    return _customer_of(_for_customer(found, headers))


async def caller(headers: RequestHeaders, services: Services) -> Caller:
    """The sender of the request, by bearer token or API key or, without an Authorization header, by cookie.

    Raises:
        RefusalError: Nobody is signed in, or a header is invalid.
    """
    found = _seen(headers, services)
    if found is None:
        found = await _looked_up(headers, services)
    if isinstance(found, TokenRefused):
        raise _refused(found.reason, bearer_token(headers) or "", services)
    return _for_customer(found, headers)


async def customer(headers: RequestHeaders, services: Services) -> str:
    """The customer for whom the request reserves.

    Raises:
        RefusalError: Nobody is signed in, or the sender may not reserve.
    """
    return _customer_of(await caller(headers, services))


async def actor(headers: RequestHeaders, services: Services, *scopes: Scope) -> ActingFor:
    """The sender of a request about reservations. Of an API key, one of the scopes is needed.

    Raises:
        RefusalError: Nobody is signed in, or the sender may not do this.
    """
    match await caller(headers, services):
        case Identity(user_id, role) if role is _CUSTOMER:
            return ActingFor(user_id, BY_CUSTOMER)
        case Identity() as identity:
            return ActingFor(None, await _checked_admin(identity, services, scopes))
        case KeyIdentity() as key:
            return ActingFor(key.customer_id, _checked_key(key, scopes))


async def manager(headers: RequestHeaders, services: Services, *scopes: Scope) -> str:
    """The admin or API key that sent the request: the name under which its changes are recorded.

    An admin's account must still have that role in the database. An API key must have one of the scopes.

    Raises:
        RefusalError: Nobody is signed in, or the sender may not do this.
    """
    match await caller(headers, services):
        case Identity() as identity:
            return await _checked_admin(identity, services, scopes)
        case KeyIdentity() as key:
            if key.customer_id is not None:
                raise bad_request(CUSTOMER_HEADER, "expected none: this isn't done for a customer")
            return _checked_key(key, scopes)


async def account(headers: RequestHeaders, services: Services) -> Identity:
    """The sender, who has to be signed in with an account of this service.

    Raises:
        RefusalError: Nobody is signed in, or by an API key or a token of the shop's.
    """
    found = await caller(headers, services)
    if isinstance(found, KeyIdentity):
        raise RefusalError("forbidden", "an API key has no account; sign in instead")
    if found.issuer:
        raise RefusalError("forbidden", f"the account is one of {found.issuer}'s, not of this service")
    return found


async def is_shop(headers: RequestHeaders, services: Services) -> bool:
    """Whether a program of the shop's sent a request that needs no caller, by an API key with the scope `customers`.

    A token that isn't an API key has no effect: a page may send an expired one with the request to sign in again.

    Raises:
        RefusalError: The API key is invalid, lacks the scope, or acts for a customer.
    """
    if not is_api_key(bearer_token(headers) or ""):
        return False
    await manager(headers, services, _CUSTOMERS)
    return True


def _for_customer(found: Caller, headers: RequestHeaders) -> Caller:
    """The sender, with the customer that an API key's request names."""
    customer_id = on_behalf_of(headers)
    if customer_id is None:
        return found
    if not isinstance(found, KeyIdentity) or _CUSTOMERS not in found.scopes:
        raise RefusalError("forbidden", f"{CUSTOMER_HEADER} needs an API key with the scope {_CUSTOMERS}")
    return KeyIdentity(found.key_id, found.scopes, customer_id)


def _customer_of(found: Caller) -> str:
    match found:
        case Identity(user_id, role):
            if role is not _CUSTOMER:
                raise RefusalError("forbidden", "only customers may reserve")
            return user_id
        case KeyIdentity(_, scopes, customer_id):
            if _CUSTOMERS not in scopes:
                raise RefusalError("forbidden", f"the API key needs the scope {_CUSTOMERS}")
            if customer_id is None:
                raise bad_request(CUSTOMER_HEADER, "expected this header: the customer for whom to reserve")
            return customer_id


async def _checked_admin(identity: Identity, services: Services, scopes: Sequence[Scope]) -> str:
    if identity.role is not Role.ADMIN or not await services.accounts.is_admin(identity.user_id):
        keys = f" and API keys with the scope {' or '.join(scopes)}" if scopes else ""
        raise RefusalError("forbidden", f"only admins{keys} may do this")
    return identity.user_id


def _checked_key(key: KeyIdentity, scopes: Sequence[Scope]) -> str:
    if not scopes:
        raise RefusalError("forbidden", "no API key may do this; sign in as an admin")
    if key.scopes.isdisjoint(scopes):
        raise RefusalError("forbidden", f"the API key needs the scope {' or '.join(scopes)}")
    return BY_KEY + key.key_id


async def check_operator(headers: RequestHeaders, address: str | None, services: Services) -> None:
    """Allow operators only: in production, admins and holders of the metrics token; in development, everybody.

    `address` is the client's. Wrong metrics tokens are counted by it.

    Raises:
        RefusalError: The sender is not an operator, or has tried too many tokens.
    """
    if not services.production:
        return
    sent = bearer_token(headers) or ""
    if may_be_metrics_token(sent):
        admitted = await services.metrics_token.admits(sent, address)
        if isinstance(admitted, TooManyTries):
            after_s = admitted.retry_after_s
            raise RefusalError("too-many-tries", f"try again in {after_s} s", retry_after_s=after_s)
        if admitted:
            return
    await manager(headers, services, Scope.READ)


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


def _seen(headers: RequestHeaders, services: Services) -> Caller | TokenRefused | None:
    """The sender, as far as this process knows, or why the token is refused; None if only `_looked_up` can tell.

    Raises:
        RefusalError: Nobody is signed in.
    """
    if b"authorization" not in headers:
        seen = [services.access.seen(token) for token in _cookie_tokens(headers, services)]
        known = [each for each in seen if each is not None]
        return _signed_in_by_cookie(known) if len(known) == len(seen) else None
    return services.access.seen(_bearer(headers))


async def _looked_up(headers: RequestHeaders, services: Services) -> Caller | TokenRefused:
    """The same, after looking up an API key, an issuer's key or a sign-out that this process doesn't know."""
    if b"authorization" not in headers:
        tokens = _cookie_tokens(headers, services)
        return _signed_in_by_cookie([await services.access.look_up(token) for token in tokens])
    return await services.access.look_up(_bearer(headers))


def _bearer(headers: RequestHeaders) -> str:
    token = bearer_token(headers)
    if token is None:
        raise _unauthenticated("expected Authorization: Bearer followed by a token")
    return token


def _cookie_tokens(headers: RequestHeaders, services: Services) -> Sequence[str]:
    """The tokens in cookies. API keys there don't count."""
    tokens = cookie_values(headers.get(b"cookie"), services.cookies.token)
    if not tokens:
        raise RefusalError("unauthenticated", "sign in first", headers=(CHALLENGE,))
    if len(tokens) > COOKIES_TRIED_MAX:
        raise _unauthenticated(f"expected at most {COOKIES_TRIED_MAX} different cookies named {services.cookies.token}")
    return [token for token in tokens if not is_api_key(token)]


def _signed_in_by_cookie(tried: Sequence[Caller | TokenRefused]) -> Identity | TokenRefused:
    """Sign in by the cookie whose token is valid. Valid cookies of two accounts are refused: one may be planted."""
    found = [identity for identity in tried if isinstance(identity, Identity) and not identity.issuer]
    if not found:
        # A cookie has own tokens only: an API key or an issuer's token in it is malformed, whether it is valid or not.
        only = tried[0] if len(tried) == 1 else None
        return only if isinstance(only, TokenRefused) else TokenRefused(Refusal.MALFORMED)
    if any(identity.user_id != found[0].user_id for identity in found):
        raise _unauthenticated("the cookies belong to different accounts; sign in again")
    return found[0]


def _refused(reason: Refusal, bearer: str, services: Services) -> RefusalError:
    """The refusal of a token, which is empty if it came in a cookie. The reason is for the log only."""
    _log.debug("token refused", reason=reason, issuer=services.access.issuer_name(bearer))
    if reason in {Refusal.NO_ISSUER_KEYS, Refusal.ISSUER_KEYS_UNREADABLE}:
        return RefusalError("unavailable", _NO_KEYS, retry_after_s=5)
    if is_api_key(bearer):
        return _unauthenticated(_INVALID_KEY)
    return _unauthenticated(_EXPIRED if reason is Refusal.EXPIRED else _INVALID)


def _unauthenticated(detail: str) -> RefusalError:
    name, challenge = CHALLENGE
    return RefusalError("unauthenticated", detail, headers=((name, challenge + ', error="invalid_token"'),))
