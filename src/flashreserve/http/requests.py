"""Reads the framework's request for routes. Invalid values are refused by name before the route does anything."""

from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

from litestar import Request
from litestar.datastructures import State

from flashreserve.core import limits
from flashreserve.core.events import EventType
from flashreserve.core.model import Status
from flashreserve.http import fields, reader
from flashreserve.http.answers import RefusalError, bad_request
from flashreserve.http.edge import context_of
from flashreserve.http.headers import RequestHeaders, text_of
from flashreserve.http.operations import OPERATIONS
from flashreserve.http.places import Place
from flashreserve.http.problems import FieldError
from flashreserve.http.services import Services
from flashreserve.stores.filters import EventFilter, ReservationFilter
from flashreserve.suggestions import unknown

HttpRequest = Request[Any, Any, State]
T = TypeVar("T")


def headers_of(request: HttpRequest) -> RequestHeaders:
    """The request's headers, in the form that `headers` and `callers` use."""
    return context_of(request.scope).headers


def place_of(request: HttpRequest) -> Place:
    """The request's path and prefix."""
    return context_of(request.scope).place


def client_address(request: HttpRequest, services: Services) -> str | None:
    """The client's address. X-Forwarded-For counts only if a trusted proxy wrote it."""
    peer = request.scope.get("client")
    forwarded = text_of(headers_of(request), b"x-forwarded-for") or ""
    return services.proxies.client_address(peer[0] if peer else None, forwarded)


async def body(request: HttpRequest, read: Callable[[bytes], T | FieldError], *, empty: T | None = None) -> T:
    """The decoded body. `empty` is the result for a request without a body; without it, a body is required.

    Raises:
        RefusalError: The body is invalid, or isn't declared as JSON.
    """
    raw = await request.body()
    if not raw and empty is not None:
        return empty
    media_type = (text_of(headers_of(request), b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise RefusalError("unsupported-media-type", "expected Content-Type: application/json")
    value = read(raw)
    if isinstance(value, FieldError):
        raise bad_request(value.field, value.message)
    return value


async def body_if_any(request: HttpRequest, read: Callable[[bytes], T | FieldError]) -> T | None:
    """The decoded body, or None without one. An empty object, which some clients send, counts as none.

    Raises:
        RefusalError: The body is invalid, or isn't declared as JSON.
    """
    return None if await _has_no_body(request) else await body(request, read)


async def no_body(request: HttpRequest) -> None:
    """Refuse a body. An empty object counts as none."""
    if not await _has_no_body(request):
        raise bad_request("body", "expected no body")


async def _has_no_body(request: HttpRequest) -> bool:
    return (await request.body()).strip() in {b"", b"{}"}


def path_id(text: str, field: str) -> str:
    """An id from the path, in lower case. Refusals name it as `field`."""
    value = reader.convert(text, fields.Id, field)
    if isinstance(value, FieldError):
        raise bad_request(field, value.message)
    return value.lower()


def product_id(text: str, field: str = "id") -> str:
    """A product's id from the path, in lower case. Refusals say where to find it, in case the shop's own was sent."""
    value = reader.convert(text, fields.Id, field)
    if isinstance(value, FieldError):
        raise bad_request(field, f"{value.message}; GET /products?externalId= finds a product by the shop's own id")
    return value.lower()


def event_id(text: str) -> str:
    """An event's id from the path, in lower case."""
    value = reader.convert(text, fields.EventId, "eventId")
    if isinstance(value, FieldError):
        raise bad_request("eventId", value.message)
    return value.lower()


def rest_of_path(request: HttpRequest, prefix: str, kind: Any, field: str) -> str:
    """The path after `prefix` as a value of this kind, with slashes in it if there are any. Refusals name `field`."""
    try:
        unquote_to_bytes(request.scope["raw_path"]).decode()
    except UnicodeDecodeError:
        raise bad_request(field, "expected UTF-8, percent-encoded") from None
    # The decoded path, because that one was matched: an address has many encodings. The router may change its own copy.
    value: Any = reader.convert(place_of(request).path.removeprefix(prefix), kind, field)
    if isinstance(value, FieldError):
        raise bad_request(field, value.message)
    return str(value)


def page(request: HttpRequest) -> tuple[str | None, int]:
    """The `cursor` (None for the first page) and `limit` of a list."""
    cursor = request.query_params.get("cursor")
    if cursor is not None:
        cursor = path_id(cursor, "cursor")
    return cursor, _limit(request)


def _limit(request: HttpRequest) -> int:
    digits = request.query_params.get("limit", str(fields.PAGE_DEFAULT))
    limit = reader.convert(digits, fields.PageLimit, "limit")
    if isinstance(limit, FieldError) or not digits.isdigit():
        raise bad_request("limit", f"expected a whole number from 1 to {limits.PAGE_MAX}")
    return limit


def parameter(request: HttpRequest, name: str, kind: Any) -> Any:
    """The query parameter as this kind; None if it isn't sent."""
    return _read(request, name, lambda sent: reader.convert(sent, kind, name))


def _read(request: HttpRequest, name: str, read: Callable[[str], T | FieldError]) -> T | None:
    """What `read` makes of the query parameter; None if it isn't sent."""
    sent = request.query_params.get(name)
    if sent is None:
        return None
    value = read(sent)
    if isinstance(value, FieldError):
        raise bad_request(name, value.message)
    return value


def switch(request: HttpRequest, name: str) -> bool | None:
    """Whether the query parameter is `true` or `false`; None if it isn't sent."""
    sent = request.query_params.get(name)
    if sent not in {None, "true", "false"}:
        raise bad_request(name, "expected true or false")
    return None if sent is None else sent == "true"


def reservation_filter(request: HttpRequest) -> ReservationFilter:
    """The filter in the query of a list of reservations."""
    since, before = _instant(request, "from"), _instant(request, "to")
    product_id = parameter(request, "productId", fields.Id)
    return ReservationFilter(
        user_id=parameter(request, "customerId", fields.CustomerId),
        product_id=None if product_id is None else product_id.lower(),
        external_id=parameter(request, "externalId", fields.ExternalId),
        status=parameter(request, "status", Status),
        since=since,
        before=before,
    )


def _instant(request: HttpRequest, name: str) -> int | None:
    return _read(request, name, lambda sent: reader.instant(sent, name))


def event_filter(request: HttpRequest) -> EventFilter:
    """The filter in the query of a list of events."""
    subject_id = parameter(request, "subject", fields.SubjectId)
    types = parameter(request, "type", fields.EventTypes)
    return EventFilter(
        subject_id=None if subject_id is None else subject_id.lower(),
        actor_id=parameter(request, "actor", fields.CustomerId),
        types=None if types is None else frozenset(map(EventType, types.split(","))),
        since=_instant(request, "from"),
    )


def event_page(request: HttpRequest, cursor: str) -> tuple[int | None, int]:
    """The place in the query parameter `cursor` (None for the first page) and the `limit` of a list of events."""
    place = parameter(request, cursor, fields.Place)
    return None if place is None else int(place), _limit(request)


def flag(request: HttpRequest, name: str) -> bool:
    """Whether the query has this parameter."""
    value = request.query_params.get(name)
    if value not in {None, "", "true"}:
        raise bad_request(name, "expected true, or no value")
    return value is not None


def check_parameters(request: HttpRequest) -> None:
    """Refuse query parameters that are unknown to the operation, or repeated."""
    if not request.scope["query_string"] or request.scope["path_template"] in _WEB_PAGES:
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
"""The query parameters of each operation, from the same table as the OpenAPI document."""
_WEB_PAGES: Final = frozenset(operation.path for operation in OPERATIONS if operation.web_page)
"""Addresses whose query is for the script of the page."""
