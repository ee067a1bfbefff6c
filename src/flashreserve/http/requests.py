"""What routes read from requests. Whatever can't be meant is refused here, by name, before anything is done."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Protocol, TypeVar

from litestar import Request
from litestar.datastructures import State
from msgspec import Meta

from flashreserve.auth.keys import Refusal, TokenRefused
from flashreserve.auth.outcomes import TooManyTries
from flashreserve.auth.tokens import Identity
from flashreserve.core import limits
from flashreserve.core.model import Role
from flashreserve.http import reader, wire
from flashreserve.http.answers import CHALLENGE, RefusalError
from flashreserve.http.edge import context_of
from flashreserve.http.operations import OPERATIONS
from flashreserve.http.problems import FieldError
from flashreserve.http.services import Services
from flashreserve.http.site import COOKIES_TRIED_MAX, cookie_values
from flashreserve.stores.port import StoreUnavailableError
from flashreserve.suggestions import unknown

HttpRequest = Request[Any, Any, State]
Headers = Mapping[bytes, bytes]
"""A request's headers by their lower-case names, as the edge has merged them."""
T = TypeVar("T")

KEY_HEADER: Final = "Idempotency-Key"
_CUSTOMER: Final = Role.CUSTOMER
"""The same, without the look through the enumeration's properties that its name costs each time."""

_KEY_NAME: Final = KEY_HEADER.lower().encode()
_VISIBLE: Final = re.compile("[!-~]+").fullmatch
_EXPIRED: Final = "the token has expired; sign in again"
_INVALID: Final = "the token is invalid; sign in again"
"""For every other reason alike: which key ids exist, for one, is nobody's business."""
_Limit = Annotated[int, Meta(ge=1, le=limits.PAGE_MAX)]


def bad_request(field: str, message: str) -> RefusalError:
    """400 for one field."""
    return RefusalError("bad-request", f"{field}: {message}", errors=[FieldError(field, message)])


class Scoped(Protocol):
    """A request of the framework's, or an exchange of the edge's: whatever leads to the scope."""

    @property
    def scope(self) -> Mapping[str, Any]:
        """The ASGI scope."""


def header(request: Scoped, name: bytes) -> str | None:
    """A request header by its lower-case name."""
    return _text(context_of(request.scope).headers, name)


def _text(headers: Headers, name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def device_tokens(request: Scoped, services: Services) -> Sequence[str]:
    """The device cookies of the request; a Cookie header that can't be read holds none."""
    return cookie_values(context_of(request.scope).headers.get(b"cookie"), services.cookies.device)


_REFUSED: Final = re.compile(r";q=0(\.0*)?$")
"""A weight of 0 means that this kind is not wanted (RFC 9110, 12.4.2)."""


def knows(request: Scoped, tag: str) -> bool:
    """Whether If-None-Match names the tag; tags compare weakly (RFC 9110, 13.1.2)."""
    return knows_by(context_of(request.scope).headers, tag)


def knows_by(headers: Headers, tag: str) -> bool:
    """See `knows`."""
    sent = _text(headers, b"if-none-match")
    if sent is None:
        return False
    names = {name.strip().removeprefix("W/") for name in sent.split(",")}
    return "*" in names or tag.removeprefix("W/") in names


def wants_html(request: Scoped) -> bool:
    """Whether the Accept header names HTML, as browsers' do; `*/*` does not."""
    accepted = _text(context_of(request.scope).headers, b"accept") or ""
    ranges = [each.replace(" ", "").lower() for each in accepted.split(",")]
    return any(each.partition(";")[0] == "text/html" and not _REFUSED.search(each) for each in ranges)


def signed_in(request: Scoped, services: Services) -> Identity:
    """Whoever sent the request, by bearer token or, without one, by cookie."""
    return _signed_in(context_of(request.scope).headers, services)


def _signed_in(headers: Headers, services: Services) -> Identity:
    authorization = headers.get(b"authorization")
    if authorization is None:
        return _signed_in_by_cookie(headers, services)
    token = bearer_token(authorization)
    if token is None:
        raise _unauthenticated("expected Authorization: Bearer followed by a token")
    return _verified(token, services)


def bearer_token(authorization: bytes) -> str | None:
    """The token of an Authorization header; None for another scheme. Schemes ignore case (RFC 9110, 11.1)."""
    scheme, _, token = authorization.partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else None


def _signed_in_by_cookie(headers: Headers, services: Services) -> Identity:
    """Of several cookies, the one that verifies counts. Two accounts in one request are nobody: one may be planted."""
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


def customer(request: Scoped, services: Services) -> Identity:
    """The customer who sent the request."""
    return customer_by(context_of(request.scope).headers, services)


def customer_by(headers: Headers, services: Services) -> Identity:
    """See `customer`."""
    identity = _signed_in(headers, services)
    if identity.role is not _CUSTOMER:
        raise RefusalError("forbidden", "only customers may reserve")
    return identity


async def admin(request: HttpRequest, services: Services) -> Identity:
    """The admin who sent the request. The token's word isn't enough: the database must still say so."""
    identity = signed_in(request, services)
    if identity.role is not Role.ADMIN or not await services.accounts.is_admin(identity.user_id):
        raise RefusalError("forbidden", "only admins may do this")
    return identity


async def operator(request: HttpRequest, services: Services) -> None:
    """In production, docs and metrics are for admins and whoever has the metrics token; elsewhere for all."""
    if not services.production:
        return
    sent = bearer_token(context_of(request.scope).headers.get(b"authorization", b"")) or ""
    # Somebody who is signed in guesses at nothing.
    if not isinstance(services.tokens.verify(sent, services.clock.now_ms()), Identity):
        admitted = await services.metrics_token.admits(sent, client_address(request, services))
        if isinstance(admitted, TooManyTries):
            after_s = str(admitted.retry_after_s)
            raise RefusalError("too-many-tries", f"try again in {after_s} s", headers=(("retry-after", after_s),))
        if admitted:
            return
    await admin(request, services)


async def is_operator(request: HttpRequest, services: Services) -> bool:
    """Whether `operator` lets the request pass; without a database, only the metrics token can say so."""
    try:
        await operator(request, services)
    except (RefusalError, StoreUnavailableError):
        return False
    return True


def _unauthenticated(detail: str) -> RefusalError:
    name, challenge = CHALLENGE
    return RefusalError("unauthenticated", detail, headers=((name, challenge + ', error="invalid_token"'),))


def client_address(request: HttpRequest, services: Services) -> str | None:
    """The address that the request came from, through trusted proxies only."""
    peer = request.scope.get("client")
    return services.proxies.client_address(peer[0] if peer else None, header(request, b"x-forwarded-for") or "")


async def body(request: HttpRequest, read: Callable[[bytes], T | FieldError], *, empty: T | None = None) -> T:
    """The decoded body. `empty` stands for no body, where that is allowed."""
    raw = await request.body()
    if not raw and empty is not None:
        return empty
    media_type = (header(request, b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise RefusalError("unsupported-media-type", "expected Content-Type: application/json")
    value = read(raw)
    if isinstance(value, FieldError):
        raise bad_request(value.field, value.message)
    return value


async def no_body(request: HttpRequest) -> None:
    """Refuse what a request asks for beyond its address. An empty object, which some clients send, is nothing."""
    if (await request.body()).strip() not in {b"", b"{}"}:
        raise bad_request("body", "expected no body")


def path_id(text: str, field: str) -> str:
    """An id from the path, in its one spelling."""
    value = reader.convert(text, wire.Id, field)
    if isinstance(value, FieldError):
        raise bad_request(field, value.message)
    return value.lower()


def idempotency_key(request: Scoped) -> str | None:
    """The Idempotency-Key header: 1 to 255 visible ASCII characters."""
    return key_by(context_of(request.scope).headers)


def key_by(headers: Headers) -> str | None:
    """See `idempotency_key`."""
    sent = headers.get(_KEY_NAME)
    if sent is None:
        return None
    key = sent.decode("latin-1")
    if not _VISIBLE(key) or len(key) > limits.KEY_LENGTH_MAX:
        raise bad_request(KEY_HEADER, f"expected 1 to {limits.KEY_LENGTH_MAX} visible ASCII characters")
    return key


def page(request: HttpRequest) -> tuple[str | None, int]:
    """The `cursor` (None for the first page) and `limit` of a list."""
    query = request.query_params
    cursor = query.get("cursor")
    if cursor is not None:
        cursor = path_id(cursor, "cursor")
    digits = query.get("limit", str(limits.PAGE_DEFAULT))
    limit = reader.convert(digits, _Limit, "limit")
    if isinstance(limit, FieldError) or not digits.isdigit():
        raise bad_request("limit", f"expected a whole number from 1 to {limits.PAGE_MAX}")
    return cursor, limit


def flag(request: HttpRequest, name: str) -> bool:
    """Whether the query has this parameter."""
    value = request.query_params.get(name)
    if value not in {None, "", "true"}:
        raise bad_request(name, "expected nothing, or true")
    return value is not None


def check_parameters(request: HttpRequest) -> None:
    """Refuse query parameters that the operation doesn't have, or that are given twice: none is passed over."""
    if not request.scope["query_string"]:
        return
    method = request.scope["method"].lower()
    known = _PARAMETERS.get(("get" if method == "head" else method, request.scope["path_template"]), ())
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            raise bad_request(name[:_NAME_SHOWN_MAX], unknown("parameter", name, known))
        if name in seen:
            raise bad_request(name, "expected once")
        seen.add(name)


_NAME_SHOWN_MAX: Final = 100
_PARAMETERS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    (operation.method, operation.path): tuple(each.name for each in operation.parameters if each.place == "query")
    for operation in OPERATIONS
}
"""The query parameters of each operation, as the OpenAPI document lists them."""
