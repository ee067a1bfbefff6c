"""The edge: the one layer around all of HTTP, for the work that every request needs.

It gives each request its id, refuses invalid requests before they reach a route (`admission.py`), adds the security
headers (`added_headers.py`), turns errors into problem documents, counts, and logs (`request_log.py`).

A request arrives in one of two ways. `Edge.__call__` serves it by ASGI. `Edge.take` offers it to the express lane if it
is complete. The lane needs no task, scope or messages, each of which costs as much time as a reservation. Both ways
refuse, add headers, count and log by the same functions.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, cast, runtime_checkable

from msgspec import UNSET, UnsetType
from structlog.typing import FilteringBoundLogger

from flashreserve.http.added_headers import USUAL_HEADERS
from flashreserve.http.admission import CLOSE, Admission
from flashreserve.http.asgi_context import AsgiContext
from flashreserve.http.edge_rules import EdgeRules
from flashreserve.http.lane_context import LaneContext
from flashreserve.http.places import without_prefix
from flashreserve.http.problems import KINDS, Code
from flashreserve.http.refusals import server_refusals
from flashreserve.http.request_ids import RequestIds
from flashreserve.http.request_log import RequestLog
from flashreserve.http.site import Site
from flashreserve.metrics import Metrics
from flashreserve.server.application import Application
from flashreserve.server.asgi import App, Header, Receive, Scope, Send
from flashreserve.server.exchange import Exchange
from flashreserve.server.limits import HttpLimits

DISCONNECTED: Final = 499
"""The status under which a request is counted if its client went away before the answer."""


@runtime_checkable
class ExpressApp(Protocol):
    """An application that serves some requests by the express lane, and any request by ASGI."""

    def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> Awaitable[None]:
        """Serve one request or the lifespan."""
        ...

    def may_take(self, exchange: Exchange, path: str, /) -> bool:
        """Whether the lane serves requests with this request line; headers and body are ignored."""
        ...

    def take(self, context: LaneContext, /) -> bool:
        """Answer the request, now or later, by `context.answer`; or do nothing and return False."""
        ...


def context_of(scope: Mapping[str, Any]) -> AsgiContext:
    """The context of the request with this scope. It exists until the application has returned."""
    return cast("AsgiContext", scope["context"])


class Edge:
    """The edge: an ASGI application that wraps another one.

    Args:
        app: Serves the requests that the edge doesn't refuse.
        metrics: Count the requests.
        log: Gets the failed requests; with `log_every_request` all requests, at debug level.
        monotonic: Seconds that never go back.
        request_ids: Makes ids for requests that have no valid one.
        limits: Limits on what clients may send.
        site: The shop's hosts and cookies.
        log_every_request: Logs all requests. Slow: use it for debugging only.
        strict_transport: Whether browsers that came over TLS are told to always use it (HSTS).
        on_drain: Called when the server is about to stop; ends what would otherwise stay open.
    """

    def __init__(
        self,
        app: App,
        *,
        metrics: Metrics,
        log: FilteringBoundLogger,
        monotonic: Callable[[], float],
        request_ids: RequestIds,
        limits: HttpLimits,
        site: Site,
        log_every_request: bool = False,
        strict_transport: bool = False,
        on_drain: Callable[[], None] | None = None,
    ) -> None:
        self._app = app
        self._on_drain = on_drain
        self._express = app if isinstance(app, ExpressApp) else None
        self._log = RequestLog(metrics, log, monotonic, every_request=log_every_request)
        self._rules = EdgeRules(
            monotonic=monotonic,
            log=self._log,
            request_ids=request_ids,
            admission=Admission(site, limits.body_bytes_max),
            strict_transport=strict_transport,
            origins=site.origins,
            prefix=site.prefix,
        )
        self.draining = False
        """Whether the server is about to stop. /readyz then reports it, so that balancers send no more requests."""

    @property
    def in_flight(self) -> int:
        """Requests that are being answered now."""
        return self._log.in_flight

    def application(self) -> Application:
        """This layer and the application in it, in the form that the server takes."""
        refuse = server_refusals(self._rules.request_ids, self._log.refused, self._rules.prefix, self._rules.origins)
        return Application(self, refuse, None if self._express is None else self, USUAL_HEADERS)

    def drain(self) -> None:
        """Report from now on that the server is not ready; requests are still answered."""
        self.draining = True
        if self._on_drain is not None:
            self._on_drain()

    # Requests by ASGI.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or the lifespan; other kinds of scope are refused."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        context = AsgiContext(self._rules, scope, receive, send)
        self._log.begun()
        try:
            await self._admit(context)
            if not context.status and not context.gone:
                raise RuntimeError("the application returned without an answer")  # noqa: TRY301 handled as others
        except asyncio.CancelledError:
            # Only the server cancels, when it stops and its time limit is over. The request's outcome is unknown.
            if not context.over:
                await _answer_broken(context, "outcome-unknown", CLOSE, retry_after_s=1)
        except Exception as error:  # noqa: BLE001 every error must be answered
            await self._broken(context, error)
        finally:
            # Scope and context refer to each other. Without this, only the garbage collector could free every request.
            context.scope.pop("context", None)
            took_s = context.took_s if context.took_s >= 0.0 else self._rules.monotonic() - context.started_at
            self._log.answered(context, context.status or DISCONNECTED, took_s)

    # Not a coroutine, for the reason at `AsgiContext.send`.
    def _admit(self, context: AsgiContext) -> Awaitable[None]:
        """Pass the request to the application, or refuse it."""
        refusal = context.refusal()
        if refusal is not None:
            return context.refuse(*refusal)
        preflight = self._rules.origins.preflight(context.method, context.headers)
        if preflight is not None:
            return context.answer_empty(preflight)
        scope = context.scope
        scope["context"] = context
        if scope["method"] == "HEAD":
            # HEAD works wherever GET does. The server still has the original scope, and leaves out the body.
            scope = {**scope, "method": "GET"}
        return self._app(scope, context.receive, context.send)

    async def _broken(self, context: AsgiContext, error: Exception) -> None:
        if context.gone or context.over:
            # Frameworks raise an error if the body ends early. The client is gone, so no answer is needed.
            self._log.ended_early(context)
            return
        self._log.broken(context, error)
        await _answer_broken(context, "internal")

    # Requests on the express lane.

    def may_take(self, exchange: Exchange) -> bool:
        """Whether the request line is one that the express lane serves. The body may still be incomplete."""
        return self._express is not None and self._express.may_take(
            exchange, without_prefix(exchange.path, self._rules.prefix)
        )

    def take(self, exchange: Exchange) -> LaneContext | None:
        """Serve a complete request by the express lane. Returns its context, by which the server can give up waiting.

        If it returns None, it has done nothing, and the request must be served by ASGI.
        """
        if self._express is None:
            return None
        context = LaneContext(self._rules, exchange)
        self._log.begun()
        try:
            if self._express.take(context):
                return context
        except Exception as error:  # noqa: BLE001 as in `__call__`
            context.id = context.id or self._rules.request_ids.new()
            context.broken(error)
            return context
        self._log.left_alone()
        return None


async def _answer_broken(
    context: AsgiContext, code: Code, *headers: Header, retry_after_s: int | UnsetType = UNSET
) -> None:
    """Answer if nothing was sent yet.

    Otherwise the server closes the connection, so the client sees a cut-off answer.
    """
    with contextlib.suppress(RuntimeError):
        await context.refuse(code, KINDS[code].meaning, *headers, retry_after_s=retry_after_s)
