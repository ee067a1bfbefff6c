"""The express lane: serves the hottest requests without the framework, when it understands everything about them.

It decides from the request line and the headers, answers by the same functions as the routes, and hands everything
else on untouched; a body that it read is replayed. Switching it off changes only speed.
"""

import re
from typing import Final

from flashreserve.core.commands import Wanted
from flashreserve.core.outcomes import NotFound
from flashreserve.http import answers, requests, wire
from flashreserve.http.answers import Answer, RefusalError
from flashreserve.http.edge import App, Exchange, Message, Receive, Scope, Send, exchange_of
from flashreserve.http.services import Services
from flashreserve.stores.port import StoreUnavailableError

_RESERVE: Final = re.compile(r"/reservations/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})").fullmatch
_STOCK: Final = re.compile(r"/products/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/stock").fullmatch
_RESERVE_ROUTE: Final = "/reservations/{id}"
_STOCK_ROUTE: Final = "/products/{id}/stock"
_NOT_MODIFIED: Final = 304
_ONE: Final = wire.QuantityBody()
_read_quantity: Final = wire.decoder(wire.QuantityBody)


class Lane:
    """An ASGI application in front of another, which gets whatever isn't for the lane."""

    def __init__(self, app: App, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or hand it on."""
        if scope["type"] == "http" and not scope["query_string"]:
            method = scope["method"]
            if method == "POST" and (found := _RESERVE(scope["path"])):
                answer, receive = await self._reserve(exchange_of(scope), found[1], receive)
            elif method == "GET" and (found := _STOCK(scope["path"])):
                answer = await self._stock(exchange_of(scope), found[1])
            else:
                answer = None
            if answer is not None:
                await _send(answer, send)
                return
        await self._app(scope, receive, send)

    async def _reserve(self, exchange: Exchange, product_id: str, receive: Receive) -> tuple[Answer | None, Receive]:
        """The answer, or None and the `receive` that still has the whole body."""
        try:
            identity = requests.customer(exchange, self._services)
            key = requests.idempotency_key(exchange)
        except RefusalError:
            return None, receive
        asked = _ONE
        headers = exchange.headers
        if b"transfer-encoding" in headers:
            return None, receive
        if headers.get(b"content-length", b"0") != b"0":
            if headers.get(b"content-type") != b"application/json":
                return None, receive
            message = await receive()
            receive = _Replay(message, receive)
            if message["type"] != "http.request" or message.get("more_body"):
                return None, receive
            read = _read_quantity(message["body"])
            if not isinstance(read, wire.QuantityBody):
                return None, receive
            asked = read
        exchange.route = _RESERVE_ROUTE
        wanted = (Wanted(product_id, asked.quantity),)
        outcome = await self._services.reservations.reserve(identity.user_id, wanted, key)
        return answers.from_outcome(outcome, exchange.scope["path"]), receive

    async def _stock(self, exchange: Exchange, product_id: str) -> Answer | None:
        try:
            sight = await self._services.catalogue.stock(product_id)
        except StoreUnavailableError:
            return None
        if isinstance(sight, NotFound):
            return None
        exchange.route = _STOCK_ROUTE
        return answers.from_sight(sight, known=requests.knows(exchange, answers.stock_tag(sight)))


async def _send(answer: Answer, send: Send) -> None:
    """Send the answer as the framework would."""
    headers = [(name.encode(), value.encode()) for name, value in answer.headers]
    if answer.status != _NOT_MODIFIED:
        headers.append((b"content-type", answer.content_type.encode()))
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


class _Replay:
    """A `receive` that gives back what was taken from it."""

    __slots__ = ("_message", "_receive")

    def __init__(self, message: Message, receive: Receive) -> None:
        self._message: Message | None = message
        self._receive = receive

    async def __call__(self) -> Message:
        if self._message is not None:
            message, self._message = self._message, None
            return message
        return await self._receive()
