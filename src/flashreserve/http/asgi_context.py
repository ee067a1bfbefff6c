"""The context of a request that is served by ASGI."""

from collections.abc import Awaitable, Sequence
from typing import Any, Final

from msgspec import UNSET, UnsetType

from flashreserve.http.added_headers import over_tls, with_added_headers
from flashreserve.http.admission import CLOSE, AdmissionRefusal
from flashreserve.http.context import RequestContext
from flashreserve.http.edge_rules import EdgeRules
from flashreserve.http.places import without_prefix
from flashreserve.http.problems import CONTENT_TYPE, KINDS, Code, encode
from flashreserve.server.asgi import TIMED_OUT, Header, Message, Receive, Scope, Send

_NO_CONTENT: Final = 204


class AsgiContext(RequestContext):
    """The context of a request that is served by ASGI; `receive` and `send` are the ones given to the application.

    Attributes:
        status: The answer's status; 0 before there is one.
        took_s: Seconds from the request's head to the answer's.
        gone: Whether the client is gone, or will be disconnected after the answer.
    """

    status = 0
    took_s = -1.0
    gone = False
    _received = 0

    def __init__(self, rules: EdgeRules, scope: Scope, receive: Receive, send: Send) -> None:
        self.started_at = rules.monotonic()
        self.prefix = prefix = rules.prefix
        self.scope = scope = _without_prefix(scope, prefix) if prefix else scope
        self.method = scope["method"]
        self.path = scope["path"]
        self.client = scope.get("client")
        self.headers = dict(scope["headers"])
        self._rules = rules
        self._receive = receive
        self._send = send

    def refusal(self) -> AdmissionRefusal | None:
        """The reason why no route may see the request, or None. Sets the request's id, and merges repeated headers."""
        scope = self.scope
        self.id = self._rules.request_ids.of(self.headers)
        return self._rules.admission.refusal(
            self.headers, scope["headers"], self.method, scope["http_version"], self.client
        )

    async def receive(self) -> Message:
        """The application's `receive`: ends the request if the body is too large or too slow."""
        if self.over:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received <= self._rules.admission.body_bytes_max:
                return message
            await self._cut_off("too-large", self._rules.admission.too_large)
        elif TIMED_OUT in message:
            await self._cut_off("request-timeout", "the body was not sent in time")
        else:
            self.gone = True
        return {"type": "http.disconnect"}

    # Not a coroutine: returning the server's own awaitable saves a frame for each message.
    def send(self, message: Message) -> Awaitable[None]:
        """The application's `send`: adds headers, and drops everything after an answer by the edge."""
        if self.over:
            return _nothing()
        if message["type"] == "http.response.start":
            message = self._with_added_headers(message)
        return self._send(message)

    async def refuse(self, code: Code, detail: str, *headers: Header, retry_after_s: int | UnsetType = UNSET) -> None:
        """Answer in place of the application. Everything that the application sends later is dropped."""
        self.over = True
        body = encode(code, detail, self.place, retry_after_seconds=retry_after_s)
        if retry_after_s is not UNSET:
            headers = (*headers, (b"retry-after", b"%d" % retry_after_s))
        start = {
            "type": "http.response.start",
            "status": KINDS[code].status,
            "headers": [
                (b"content-type", CONTENT_TYPE.encode()),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
        await self._send(self._with_added_headers(start))
        await self._send({"type": "http.response.body", "body": body})

    async def answer_empty(self, headers: Sequence[Header]) -> None:
        """Answer 204 in place of the application."""
        self.over = True
        await self._send(
            self._with_added_headers({"type": "http.response.start", "status": _NO_CONTENT, "headers": headers})
        )
        await self._send({"type": "http.response.body"})

    async def _cut_off(self, code: Code, detail: str) -> None:
        if self.status:
            # The answer has begun already; the server closes the connection after it.
            self.gone = True
        else:
            await self.refuse(code, detail, CLOSE)

    def _with_added_headers(self, message: Message) -> dict[str, Any]:
        rules = self._rules
        self.status = message["status"]
        self.took_s = rules.monotonic() - self.started_at
        strict = rules.strict_transport and over_tls(self.scope.get("scheme", "http"), self.headers)
        headers = with_added_headers(message.get("headers", ()), self.id, self.path, strict=strict)
        headers += rules.origins.headers(self.headers)
        # A copy, because the application may reuse one message for many requests.
        return {**message, "headers": headers}


def _without_prefix(scope: Scope, prefix: str) -> Scope:
    path = without_prefix(scope["path"], prefix)
    if path == scope["path"]:
        return scope
    raw = scope["raw_path"].decode("latin-1")
    return {**scope, "path": path, "raw_path": without_prefix(raw, prefix).encode("latin-1")}


async def _nothing() -> None:
    """Send nothing."""
