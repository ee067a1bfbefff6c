"""The express lane: serves the most frequent requests without the framework.

It takes a request only if it understands the request line and all headers, and answers by the same functions as the
routes. It leaves every other request to the application. Without the lane, only the speed changes.
"""

import re
from collections.abc import Awaitable
from functools import lru_cache, partial
from typing import Final

from flashreserve.core.model import Units
from flashreserve.core.outcomes import Outcome
from flashreserve.http import answers, bodies, callers, reader
from flashreserve.http.answers import RefusalError
from flashreserve.http.headers import idempotency_key, names_tag
from flashreserve.http.lane_context import LaneContext
from flashreserve.http.services import Services
from flashreserve.server.asgi import App, Receive, Scope, Send
from flashreserve.server.exchange import Exchange

_UUID: Final = "([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
# Cached: a crowd asks for few different products.
_RESERVE: Final = lru_cache(maxsize=4096)(re.compile(f"/products/{_UUID}/reservations").fullmatch)
_RESERVE_SHORT: Final = lru_cache(maxsize=4096)(re.compile(f"/reservations/{_UUID}").fullmatch)
_STOCK: Final = lru_cache(maxsize=4096)(re.compile(f"/products/{_UUID}/stock").fullmatch)
_RESERVE_ROUTE: Final = "/products/{id}/reservations"
_RESERVE_SHORT_ROUTE: Final = "/reservations/{id}"
_STOCK_ROUTE: Final = "/products/{id}/stock"
_read_reserve: Final = reader.decoder(bodies.ReserveBody)
_ONE_UNIT: Final = bodies.ReserveBody()


class Lane:
    """Serves the lane's requests (see `edge.ExpressApp`); requests by ASGI go to the application."""

    def __init__(self, app: App, services: Services) -> None:
        self._app = app
        self._services = services

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass the request to the application."""
        return self._app(scope, receive, send)

    def may_take(self, exchange: Exchange, path: str) -> bool:
        """Whether the request line is that of a reservation. Stock polls have no body to wait for."""
        if exchange.method != "POST" or exchange.query_string:
            return False
        return _RESERVE_SHORT(path) is not None or _RESERVE(path) is not None

    def take(self, context: LaneContext) -> bool:
        """Serve the request, or do nothing and return False."""
        exchange = context.exchange
        if exchange.query_string:
            return False
        if exchange.method == "POST" and (found := _RESERVE_SHORT(context.path)):
            context.route, serve = _RESERVE_SHORT_ROUTE, self._reserve
        elif exchange.method == "POST" and (found := _RESERVE(context.path)):
            context.route, serve = _RESERVE_ROUTE, self._reserve
        elif exchange.method == "GET" and not exchange.body and (found := _STOCK(context.path)):
            context.route, serve = _STOCK_ROUTE, self._stock
        else:
            return False
        return context.admitted() and serve(context, found[1])

    def _reserve(self, context: LaneContext, product_id: str) -> bool:
        headers = context.headers
        try:
            user_id = callers.customer_seen(headers, self._services)
            key = idempotency_key(headers)
        except RefusalError:
            return False
        if user_id is None:
            return False
        asked = _ONE_UNIT
        if body := context.exchange.body:
            if headers.get(b"content-type") != b"application/json":
                return False
            found = _read_reserve(body)
            if not isinstance(found, bodies.ReserveBody):
                return False
            asked = found
        wanted = Units(product_id, asked.quantity)
        self._services.reservations.reserve_soon(
            user_id, wanted, key, partial(self._tell, context), asked.external_id, asked.metadata
        )
        return True

    def _tell(self, context: LaneContext, outcome: Outcome) -> None:
        try:
            context.answer(answers.from_outcome(outcome, context.place))
        except Exception as error:  # noqa: BLE001 no caller could answer it
            context.broken(error)
        else:
            self._services.refusals.note(outcome)

    def _stock(self, context: LaneContext, product_id: str) -> bool:
        sight = self._services.catalogue.stock_seen(product_id)
        if sight is None:
            return False
        tag = answers.stock_tag(sight)
        context.answer(answers.from_sight(sight, tag, known=names_tag(context.headers, tag)))
        return True
