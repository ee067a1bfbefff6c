"""The one layer around everything that is served over HTTP: what must see every request stands here and nowhere else.

It gives each request its id, refuses what no route should see (a body too large, a cookie request from another site),
adds the security headers, turns whatever breaks inside into a problem document, counts, and logs.

A request comes in by one of two ways. `Edge.__call__` is ASGI's. `Edge.take` is the express lane's: for a request that
came whole, and that the lane understands, it spares the task, the scope and the messages, each of which costs as much
as a reservation does. What is refused, added, counted and logged is the same, by the same functions.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, cast, runtime_checkable

from structlog.typing import FilteringBoundLogger

from flashreserve.http.added_headers import USUAL_HEADERS, over_tls, with_added_headers, with_added_lines
from flashreserve.http.answers import Answer
from flashreserve.http.problems import CONTENT_TYPE, KINDS, Code, encode
from flashreserve.http.refusals import server_refusals
from flashreserve.http.request_ids import RequestIds
from flashreserve.http.site import Site
from flashreserve.metrics import CELLS_MAX, Cell, Distribution, Metrics
from flashreserve.server.application import Application
from flashreserve.server.asgi import TIMED_OUT, App, Header, Message, Receive, Scope, Send
from flashreserve.server.express import WholeRequest
from flashreserve.server.limits import HttpLimits

UNKNOWN_ROUTE: Final = "other"
DISCONNECTED: Final = 499
"""The status under which a request is counted whose client went away before it was answered."""

CLOSE: Final[Header] = (b"connection", b"close")

SLOW_S: Final = 1.0
"""A request that takes this long is logged whatever the level of detail."""

LOG_LINES_MAX: Final = 20
"""Of requests that went wrong, each second; more are counted and said to have been left out."""

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_COUNTED_METHODS: Final = _SAFE_METHODS | {"POST", "PUT", "PATCH", "DELETE"}
_ONCE_ONLY: Final = frozenset(
    {b"host", b"authorization", b"content-type", b"content-encoding", b"idempotency-key", b"origin", b"sec-fetch-site"}
)
_NO_HOST: Final = "the header host is missing; HTTP/1.1 requires it"
_NOT_SERVED: Final = "the header host names none of the hosts served here; expected one of FLASHRESERVE_HOSTS"
_SERVER_ERROR: Final = 500
_UNAVAILABLE: Final = 503
_NOT_MODIFIED: Final = 304


@runtime_checkable
class ExpressApp(Protocol):
    """An application that takes some requests by the express lane, and all by ASGI."""

    def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> Awaitable[None]:
        """Serve one request or the lifespan."""
        ...

    def may_take(self, request: WholeRequest, /) -> bool:
        """Whether a request with this line is for the lane; its headers and body aren't looked at."""
        ...

    def take(self, passage: "Passage", /) -> bool:
        """Answer the request, now or later, by `passage.answer`; or return False and leave it alone."""
        ...


class Exchange:
    """One request and its answer, as the edge sees them. Found in the scope by `exchange_of`.

    `headers` are the request's by lower-case name; those that came several times are joined. `route` is for
    the application to set to the template of the route that answers (`/products/{id}`): it is the label under which
    the request is counted.
    """

    # What most requests never change stands on the class: that spares its assignment for each of them.
    route = UNKNOWN_ROUTE
    status = 0
    took_s = -1.0
    gone = False
    over = False
    _received = 0

    def __init__(self, edge: "Edge", scope: Scope, receive: Receive, send: Send, started_at: float) -> None:
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.id = b""
        self.started_at = started_at
        self._edge = edge
        self._receive = receive
        self._send = send

    @property
    def request_id(self) -> str:
        """The id under which this request stands in the log and in the answer's X-Request-Id."""
        return self.id.decode("ascii")

    async def receive(self) -> Message:
        """The application's receive: ends the request where the body is too large or comes too slowly."""
        if self.over:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received <= self._edge.limits.body_bytes_max:
                return message
            await self._cut_off("too-large", _too_large(self._edge.limits))
        elif TIMED_OUT in message:
            await self._cut_off("request-timeout", "the body was not sent in time")
        else:
            self.gone = True
        return {"type": "http.disconnect"}

    # Not a coroutine itself: it hands back the server's own, and spares a frame for each message.
    def send(self, message: Message) -> Awaitable[None]:
        """The application's send: dresses the answer's start, and drops what comes after the edge's own answer."""
        if self.over:
            return _nothing()
        if message["type"] == "http.response.start":
            message = self._dressed(message)
        return self._send(message)

    async def refuse(self, code: Code, detail: str, *headers: Header) -> None:
        """Answer in the application's place; whatever it sends from now on is dropped."""
        self.over = True
        body = encode(code, detail, self.scope["path"])
        start = {
            "type": "http.response.start",
            "status": KINDS[code].status,
            "headers": [
                (b"content-type", CONTENT_TYPE.encode()),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
        await self._send(self._dressed(start))
        await self._send({"type": "http.response.body", "body": body})

    async def _cut_off(self, code: Code, detail: str) -> None:
        if self.status:
            # The answer is on its way already; after it the server closes the connection.
            self.gone = True
        else:
            await self.refuse(code, detail, CLOSE)

    def log_fields(self) -> dict[str, Any]:
        """What the log says of the request."""
        return _log_fields(self.id, self.scope["method"], self.scope["path"], self.scope.get("client"))

    def _dressed(self, message: Message) -> Message:
        edge = self._edge
        self.status = message["status"]
        self.took_s = edge.monotonic() - self.started_at
        strict = edge.strict_transport and over_tls(self.scope.get("scheme", "http"), self.headers)
        headers = with_added_headers(message.get("headers", ()), self.id, self.scope["path"], strict=strict)
        # A new message: the application may send one and the same for many requests.
        return {**message, "headers": headers}


class Passage:
    """A request and its answer on the express lane: what an `Exchange` is to ASGI.

    `admitted` first, then exactly one `answer`. `route` is as in `Exchange`.
    """

    __slots__ = ("_edge", "headers", "id", "over", "request", "route", "started_at")

    def __init__(self, edge: "Edge", request: WholeRequest, started_at: float) -> None:
        self.request = request
        self.started_at = started_at
        self.headers: dict[bytes, bytes] = {}
        self.id = b""
        self.route = UNKNOWN_ROUTE
        self.over = False
        self._edge = edge

    def admitted(self) -> bool:
        """Whether the edge lets the request through; then `headers` are filled in. If not, ASGI's way will say why."""
        request = self.request
        self.headers = dict(request.headers)
        self.id = self._edge.ids.of(self.headers)
        refusal = self._edge.refusal(
            self.headers, request.headers, request.method, request.http_version, request.client
        )
        return refusal is None

    def answer(self, answer: Answer, *, close: bool = False) -> None:
        """Send the answer, dressed as all are, and count it. Only the first one is sent."""
        if not self.over:
            self.over = True
            self._edge.send_express(self, answer, close=close)

    def broken(self, error: Exception) -> None:
        """Log what broke, and answer for it."""
        self._edge.log_broken(self, error)
        self._refuse("internal")

    def give_up(self) -> None:
        """Answer for the application: the server stops, its patience is over, and what the request did is not known."""
        self._refuse("outcome-unknown", ("retry-after", "1"), close=True)

    def log_fields(self) -> dict[str, Any]:
        """What the log says of the request."""
        return _log_fields(self.id, self.request.method, self.request.path, self.request.client)

    def _refuse(self, code: Code, *headers: tuple[str, str], close: bool = False) -> None:
        body = encode(code, KINDS[code].meaning, self.request.path)
        self.answer(Answer(KINDS[code].status, body, CONTENT_TYPE, headers), close=close)


def exchange_of(scope: Mapping[str, Any]) -> Exchange:
    """The exchange that a request's scope belongs to. It is there until the application has returned."""
    return cast("Exchange", scope["exchange"])


class Edge:
    """The layer itself: an ASGI application around another.

    Args:
        app: What serves the requests that are let through.
        metrics: Where they are counted.
        log: Where those that went wrong are logged, and with `log_every_request` all of them, at debug level.
        monotonic: Seconds that never go back.
        request_ids: Makes the ids of requests that bring no sane one of their own.
        limits: See there.
        site: The shop's hosts and cookies.
        log_every_request: Dear: only for looking closely.
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
        self.ids = request_ids
        self.limits = limits
        self._site = site
        self._serves_all_hosts = site.hosts.all_names
        self.monotonic = monotonic
        self.strict_transport = strict_transport
        self.draining = False
        """Whether the server is about to stop: /readyz says so, that no more is sent here."""
        self.in_flight = 0
        """Requests that are being answered now."""
        self._log = log
        self._log_every_request = log_every_request
        self._log_lines = _LogLines(monotonic)
        self._requests = metrics.counter(
            "flashreserve_http_requests", "Requests answered", ("method", "route", "status")
        )
        self._latency = metrics.histogram(
            "flashreserve_http_request_seconds", "From a request's headers to its answer's", ("method", "route")
        )
        metrics.gauge("flashreserve_http_in_flight", "Requests being answered", lambda: self.in_flight, of_all="sum")
        self._cells: dict[tuple[str, str, int], tuple[Cell, Distribution]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; everything else but the lifespan is refused."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        exchange = Exchange(self, scope, receive, send, self.monotonic())
        self.in_flight += 1
        try:
            await self._admit(exchange)
            if not exchange.status and not exchange.gone:
                raise RuntimeError("the application returned without an answer")  # noqa: TRY301 it is the same to us
        except asyncio.CancelledError:
            # Only a server that stops cancels, when its patience is over: what the request did is not known.
            if not exchange.over:
                await self._answer_broken(exchange, "outcome-unknown", (b"retry-after", b"1"), CLOSE)
        except Exception as error:  # noqa: BLE001 this is where whatever went wrong inside ends
            await self._broken(exchange, error)
        finally:
            self.in_flight -= 1
            # Each holds the other; left so, every request would be garbage that only the collector finds.
            scope.pop("exchange", None)
            self._finished(exchange)

    def application(self) -> Application:
        """This layer and what is behind it, as the server takes it."""
        refuse = server_refusals(self.ids, self._count_refused)
        return Application(self, refuse, None if self._express is None else self, USUAL_HEADERS)

    def may_take(self, request: WholeRequest) -> bool:
        """Whether the request, whose body may still be on its way, is one for the express lane by its line."""
        return self._express is not None and self._express.may_take(request)

    def take(self, request: WholeRequest) -> Passage | None:
        """Serve a request that came whole by the express lane, if that takes it. The passage is there to be given up.

        With None, nothing was done, and the request is to be served by ASGI's way.
        """
        if self._express is None:
            return None
        passage = Passage(self, request, self.monotonic())
        self.in_flight += 1
        try:
            if self._express.take(passage):
                return passage
        except Exception as error:  # noqa: BLE001 as in `__call__`
            passage.id = passage.id or self.ids.new()
            passage.broken(error)
            return passage
        self.in_flight -= 1
        return None

    def send_express(self, passage: Passage, answer: Answer, *, close: bool) -> None:
        """Write an answer of the express lane, and count it."""
        took_s = self.monotonic() - passage.started_at
        request = passage.request
        request.answer(answer.status, self._lines(passage, answer), answer.body, close=close)
        self.in_flight -= 1
        self._count(passage, request.method, answer.status, took_s)

    def drain(self) -> None:
        """From now on say that the server is not ready; requests are still answered."""
        self.draining = True

    def _count_refused(self, status: int) -> None:
        """Count what the server refused before there was a request that the edge could see."""
        self._requests.cell("other", UNKNOWN_ROUTE, str(status)).count += 1

    # Not a coroutine itself, as `Exchange.send`.
    def _admit(self, exchange: Exchange) -> Awaitable[None]:
        """Hand the request to the application, or refuse it."""
        scope = exchange.scope
        exchange.id = self.ids.of(exchange.headers)
        refusal = self.refusal(
            exchange.headers, scope["headers"], scope["method"], scope["http_version"], scope.get("client")
        )
        if refusal is not None:
            return exchange.refuse(*refusal)
        scope["exchange"] = exchange
        if scope["method"] == "HEAD":
            # Every GET can be asked as HEAD; the server leaves out the body by its own scope.
            scope = {**scope, "method": "GET"}
        return self._app(scope, exchange.receive, exchange.send)

    def refusal(
        self,
        headers: dict[bytes, bytes],
        sent: list[Header],
        method: str,
        http_version: str,
        peer: tuple[str, int] | None,
    ) -> tuple[Code, str] | tuple[Code, str, Header] | None:
        """Why no route may see this request, if so. Merges into `headers` what was `sent` more than once."""
        if len(headers) != len(sent):
            twice = _merge_repeated(headers, sent)
            if twice is not None:
                return "bad-request", f"the header {twice} was sent more than once; expected once"
        wrong_host = self._wrong_host(headers.get(b"host"), http_version)
        if wrong_host:
            return "bad-request", wrong_host
        length = headers.get(b"content-length")
        if length is not None and int(length) > self.limits.body_bytes_max:
            return "too-large", _too_large(self.limits), CLOSE
        if b"transfer-encoding" in headers and headers[b"transfer-encoding"].lower() != b"chunked":
            return "bad-request", "the header transfer-encoding names a coding other than chunked", CLOSE
        if b"cookie" in headers and method not in _SAFE_METHODS and self._site.is_foreign(headers, peer):
            return "cross-site", "a change by cookie must be asked for by a page of this site"
        return None

    def _wrong_host(self, host: bytes | None, http_version: str) -> str:
        """Why requests with this Host header aren't served; empty if they are."""
        if host is None:
            return _NO_HOST if http_version == "1.1" else ""
        return "" if self._serves_all_hosts or self._site.hosts.serves(host) else _NOT_SERVED

    async def _broken(self, exchange: Exchange, error: Exception) -> None:
        if exchange.gone or exchange.over:
            # Frameworks raise when the rest of a body doesn't come; nobody waits for their answer.
            self._log.debug("request ended early", request_id=exchange.request_id, path=exchange.scope["path"])
            return
        self.log_broken(exchange, error)
        await self._answer_broken(exchange, "internal")

    def log_broken(self, way: Exchange | Passage, error: Exception) -> None:
        """Log what broke in the application."""
        if self._log_lines.take(self._log):
            asked = way.log_fields()
            self._log.error(
                "unhandled error",
                request_id=asked["request_id"],
                method=asked["method"],
                path=asked["path"],
                exc_info=error,
            )

    async def _answer_broken(self, exchange: Exchange, code: Code, *headers: Header) -> None:
        """Answer if nothing was sent yet. Else the server closes the connection, and the client sees it cut short."""
        with contextlib.suppress(RuntimeError):
            await exchange.refuse(code, KINDS[code].meaning, *headers)

    def _lines(self, passage: Passage, answer: Answer) -> bytes:
        """An answer's headers as `Exchange.send` would dress them, as lines."""
        own = ""
        for name, value in answer.headers:
            own += f"{name}: {value}\r\n"
        if answer.status != _NOT_MODIFIED:
            own += f"content-type: {answer.content_type}\r\ncontent-length: {len(answer.body)}\r\n"
        strict = self.strict_transport and over_tls(passage.request.scheme, passage.headers)
        return with_added_lines(own, passage.id, strict=strict)

    def _finished(self, exchange: Exchange) -> None:
        took_s = exchange.took_s
        if took_s < 0.0:
            took_s = self.monotonic() - exchange.started_at
        self._count(exchange, exchange.scope["method"], exchange.status or DISCONNECTED, took_s)

    def _count(self, way: Exchange | Passage, method: str, status: int, took_s: float) -> None:
        key = (method, way.route, status)
        cells = self._cells.get(key) or self._new_cells(*key)
        cells[0].count += 1
        cells[1].observe(took_s)
        if self._log_every_request:
            self._log.debug("request", **_answered_fields(way, status, took_s))
        elif ((status >= _SERVER_ERROR and status != _UNAVAILABLE) or took_s >= SLOW_S) and self._log_lines.take(
            self._log
        ):
            self._log.warning("request", **_answered_fields(way, status, took_s))

    def _new_cells(self, method: str, route: str, status: int) -> tuple[Cell, Distribution]:
        key = (method, route, status)
        if method not in _COUNTED_METHODS:
            method = "other"
        cells = self._requests.cell(method, route, str(status)), self._latency.cell(method, route)
        if len(self._cells) < CELLS_MAX:
            self._cells[key] = cells
        return cells


class _LogLines:
    """Keeps the log readable, and the disk free, when everything goes wrong at once."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._second = 0
        self._lines = 0

    def take(self, log: FilteringBoundLogger) -> bool:
        """Whether one more line may be logged in this second."""
        second = int(self._monotonic())
        if second != self._second:
            if self._lines > LOG_LINES_MAX:
                log.warning("requests left out of the log", lines=self._lines - LOG_LINES_MAX)
            self._second = second
            self._lines = 0
        self._lines += 1
        return self._lines <= LOG_LINES_MAX


def _merge_repeated(merged: dict[bytes, bytes], headers: list[Header]) -> str | None:
    """Join the values of a header that came several times, in their order (RFC 9110, 5.3; cookies by their own sign).

    Returns the name of a header that may come once only and came more often.
    """
    values_of: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values_of.setdefault(name, []).append(value)
    for name, values in values_of.items():
        if len(values) > 1:
            if name in _ONCE_ONLY:
                return name.decode("ascii")
            merged[name] = (b"; " if name == b"cookie" else b", ").join(values)
    return None


def _too_large(limits: HttpLimits) -> str:
    return f"the body may have at most {limits.body_bytes_max} bytes"


def _answered_fields(way: Exchange | Passage, status: int, took_s: float) -> dict[str, Any]:
    """What the log says of an answered request."""
    asked = way.log_fields()
    client = asked.pop("client")
    return {**asked, "route": way.route, "status": status, "took_ms": round(took_s * 1_000, 1), "client": client}


def _log_fields(id_: bytes, method: str, path: str, client: Sequence[Any] | None) -> dict[str, Any]:
    """What the log says of a request; never its query or headers, which may hold secrets."""
    return {
        "request_id": id_.decode("ascii"),
        "method": method,
        "path": path,
        "client": client[0] if client else None,
    }


async def _nothing() -> None:
    """Send nothing."""
