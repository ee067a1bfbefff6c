"""The Litestar application: its routes, and its errors as problem documents."""

from typing import Any, Final

import structlog
from litestar import Litestar, Response
from litestar.di import Provide
from litestar.exceptions import HTTPException

from flashreserve.http import problems
from flashreserve.http.answers import RefusalError, refusal
from flashreserve.http.edge import context_of
from flashreserve.http.problems import Code
from flashreserve.http.requests import HttpRequest, place_of
from flashreserve.http.routes.accounts import AccountRoutes
from flashreserve.http.routes.auth import AuthRoutes
from flashreserve.http.routes.customers import CustomerRoutes
from flashreserve.http.routes.docs import DocsRoutes
from flashreserve.http.routes.events import EventRoutes
from flashreserve.http.routes.keys import KeyRoutes
from flashreserve.http.routes.monitor import MonitorRoutes
from flashreserve.http.routes.ops import OpsRoutes
from flashreserve.http.routes.options import allow, before_route
from flashreserve.http.routes.pages import PageRoutes
from flashreserve.http.routes.pauses import PauseRoutes
from flashreserve.http.routes.products import ProductRoutes
from flashreserve.http.routes.replies import reply
from flashreserve.http.routes.reservations import ReservationRoutes
from flashreserve.http.routes.streams import StreamRoutes
from flashreserve.http.routes.time import TimeRoutes
from flashreserve.http.routes.webhooks import WebhookRoutes
from flashreserve.http.services import Services
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

_log = structlog.get_logger(__name__)


def create_app(services: Services) -> Litestar:
    """The application with all routes, which use `services`."""

    def provide() -> Services:
        return services

    return Litestar(
        route_handlers=[
            AuthRoutes,
            AccountRoutes,
            KeyRoutes,
            ProductRoutes,
            PauseRoutes,
            ReservationRoutes,
            EventRoutes,
            WebhookRoutes,
            OpsRoutes,
            DocsRoutes,
            PageRoutes,
            TimeRoutes,
            StreamRoutes,
            MonitorRoutes,
            CustomerRoutes,
        ],
        dependencies={"services": Provide(provide, sync_to_thread=False, use_cache=True)},
        exception_handlers={
            RefusalError: _refused,
            HTTPException: _framework_error,
            StoreUnavailableError: _store_unavailable,
            StoreOutcomeUnknownError: _store_outcome_unknown,
            Exception: _not_ours,
        },
        before_request=before_route,
        openapi_config=None,
        logging_config=None,
    )


_UNKNOWN_WITHOUT_KEY: Final = (
    "the request may or may not have been carried out; look at what it changes before you repeat it"
)

_CODES: Final[dict[int, Code]] = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
}


def _refused(request: HttpRequest, error: RefusalError) -> Response[bytes]:
    return reply(error.answer(place_of(request)))


def _framework_error(request: HttpRequest, error: HTTPException) -> Response[bytes]:
    code = _CODES.get(error.status_code)
    if code is None:
        raise error
    headers = tuple((error.headers or {}).items())
    if code == "method-not-allowed":
        headers = (("allow", allow((error.headers or {})["allow"].split(", "))),)
    detail = problems.KINDS[code].meaning if error.status_code in {404, 405} else error.detail
    return reply(refusal(code, detail, place_of(request), (), headers))


def _store_unavailable(request: HttpRequest, error: StoreUnavailableError) -> Response[bytes]:
    _log.warning("store unavailable", error=str(error), request_id=context_of(request.scope).request_id)
    detail = "the database is away; nothing was changed"
    return reply(refusal("unavailable", detail, place_of(request), retry_after_seconds=1))


def _store_outcome_unknown(request: HttpRequest, error: StoreOutcomeUnknownError) -> Response[bytes]:
    _log.error("outcome unknown", error=str(error), request_id=context_of(request.scope).request_id)
    keyed = "idempotency-key" in request.headers
    detail = problems.KINDS["outcome-unknown"].meaning if keyed else _UNKNOWN_WITHOUT_KEY
    return reply(refusal("outcome-unknown", detail, place_of(request), retry_after_seconds=1))


def _not_ours(_request: HttpRequest, error: Exception) -> Response[Any]:
    """Pass an unexpected error on to the edge, which answers and logs it."""
    raise error
