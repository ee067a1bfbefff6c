"""The one layer around everything that is served over HTTP. It does what every request needs.

It gives each request its id, refuses requests that no route should see (`admission.py`), adds the security headers
(`added_headers.py`), turns errors inside into problem documents, counts, and logs (`request_log.py`).

A request comes in by one of two ways. `Edge.__call__` is ASGI's. `Edge.take` is the express lane's: for a request that
came whole, and that the lane understands, it spares the task, the scope and the messages, each of which costs as much
as a reservation does. Both ways refuse, add, count and log by the same functions.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, cast, runtime_checkable

from structlog.typing import FilteringBoundLogger

from flashreserve.http.added_headers import USUAL_HEADERS
from flashreserve.http.admission import CLOSE, Admission
from flashreserve.http.asgi_context import AsgiContext
from flashreserve.http.edge_rules import EdgeRules
from flashreserve.http.lane_context import LaneContext
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
"""The status under which a request is counted whose client went away before it was answered."""


@runtime_checkable
class ExpressApp(Protocol):
    """An application that takes some requests by the express lane, and all by ASGI."""

    def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> Awaitable[None]:
        """Serve one request or the lifespan."""
        ...

    def may_take(self, exchange: Exchange, /) -> bool:
        """Whether a request with this line is for the lane; its headers and body aren't looked at."""
        ...

    def take(self, context: LaneContext, /) -> bool:
        """Answer the request, now or later, by `context.answer`; or return False and leave it alone."""
        ...


def context_of(scope: Mapping[str, Any]) -> AsgiContext:
    """The context of the request with this scope. It is there until the application has returned."""
    return cast("AsgiContext", scope["context"])


class Edge:
    """The layer itself: an ASGI application around another.

    Args:
        app: Serves the requests that are let through.
        metrics: Where they are counted.
        log: Where those that went wrong are logged, and with `log_every_request` all of them, at debug level.
        monotonic: Seconds that never go back.
        request_ids: Makes the ids of requests that bring no valid one of their own.
        limits: Of the network.
        site: The shop's hosts and cookies.
        log_every_request: Costs much time: only for looking closely.
        strict_transport: Whether browsers that came over TLS are told to stay there (HSTS).
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
    ) -> None:
        self._app = app
        self._express = app if isinstance(app, ExpressApp) else None
        self._log = RequestLog(metrics, log, monotonic, every_request=log_every_request)
        self._rules = EdgeRules(
            monotonic, self._log, request_ids, Admission(site, limits.body_bytes_max), strict_transport
        )
        self.draining = False
        """Whether the server is about to stop: /readyz says so, that no more is sent here."""

    @property
    def in_flight(self) -> int:
        """Requests that are being answered now."""
        return self._log.in_flight

    def application(self) -> Application:
        """This layer and what is behind it, as the server takes it."""
        refuse = server_refusals(self._rules.request_ids, self._log.refused)
        return Application(self, refuse, None if self._express is None else self, USUAL_HEADERS)

    def drain(self) -> None:
        """From now on say that the server is not ready; requests are still answered."""
        self.draining = True

    # ASGI's way.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; everything else but the lifespan is refused."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        context = AsgiContext(self._rules, scope, receive, send)
        self._log.begun()
        try:
            await self._admit(context)
            if not context.status and not context.gone:
                raise RuntimeError("the application returned without an answer")  # noqa: TRY301 it is the same to us
        except asyncio.CancelledError:
            # Only a server that stops cancels, when its patience is over: what the request did is not known.
            if not context.over:
                await _answer_broken(context, "outcome-unknown", (b"retry-after", b"1"), CLOSE)
        except Exception as error:  # noqa: BLE001 whatever went wrong inside ends here
            await self._broken(context, error)
        finally:
            # Each holds the other; left so, every request would be garbage that only the collector finds.
            scope.pop("context", None)
            took_s = context.took_s if context.took_s >= 0.0 else self._rules.monotonic() - context.started_at
            self._log.answered(context, context.status or DISCONNECTED, took_s)

    # Not a coroutine itself, as `AsgiContext.send`.
    def _admit(self, context: AsgiContext) -> Awaitable[None]:
        """Hand the request to the application, or refuse it."""
        refusal = context.refusal()
        if refusal is not None:
            return context.refuse(*refusal)
        scope = context.scope
        scope["context"] = context
        if scope["method"] == "HEAD":
            # Every GET can be asked as HEAD; the server leaves out the body by its own scope.
            scope = {**scope, "method": "GET"}
        return self._app(scope, context.receive, context.send)

    async def _broken(self, context: AsgiContext, error: Exception) -> None:
        if context.gone or context.over:
            # Frameworks raise when the rest of a body doesn't come; nobody waits for their answer.
            self._log.ended_early(context)
            return
        self._log.broken(context, error)
        await _answer_broken(context, "internal")

    # The express lane's way.

    def may_take(self, exchange: Exchange) -> bool:
        """Whether the request, whose body may still be on its way, is one for the express lane by its line."""
        return self._express is not None and self._express.may_take(exchange)

    def take(self, exchange: Exchange) -> LaneContext | None:
        """Serve a request that came whole by the express lane, if that takes it. The context is there to be given up.

        With None, nothing was done, and the request is to be served by ASGI's way.
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


async def _answer_broken(context: AsgiContext, code: Code, *headers: Header) -> None:
    """Answer if nothing was sent yet. Else the server closes the connection, and the client sees it cut short."""
    with contextlib.suppress(RuntimeError):
        await context.refuse(code, KINDS[code].meaning, *headers)
