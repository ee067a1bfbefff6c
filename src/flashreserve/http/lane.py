"""The express lane: serves the hottest requests without the framework, when it understands everything about them.

It decides from the request line and the headers, answers by the same functions as the routes, and leaves everything
else to the application behind it. Switching it off changes only speed.
"""

import re
from collections.abc import Awaitable
from functools import lru_cache, partial
from typing import Final

from flashreserve.core.commands import Wanted
from flashreserve.core.outcomes import Outcome
from flashreserve.http import answers, bodies, callers, reader
from flashreserve.http.answers import RefusalError
from flashreserve.http.edge import App, Passage, Receive, Scope, Send, WholeRequest
from flashreserve.http.headers import idempotency_key, names_tag
from flashreserve.http.services import Services

_UUID: Final = "([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
# A crowd asks for few products.
_RESERVE: Final = lru_cache(maxsize=4096)(re.compile(f"/reservations/{_UUID}").fullmatch)
_STOCK: Final = lru_cache(maxsize=4096)(re.compile(f"/products/{_UUID}/stock").fullmatch)
_RESERVE_ROUTE: Final = "/reservations/{id}"
_STOCK_ROUTE: Final = "/products/{id}/stock"
_read_quantity: Final = reader.decoder(bodies.QuantityBody)


class Lane:
    """Takes the requests that are for the lane (see `edge.ExpressApp`); all that come by ASGI are the application's."""

    def __init__(self, app: App, services: Services) -> None:
        self._app = app
        self._services = services

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Hand the request on."""
        return self._app(scope, receive, send)

    def may_take(self, request: WholeRequest) -> bool:
        """Whether the request's line is that of a reservation; polls have no body to wait for."""
        return request.method == "POST" and not request.query_string and _RESERVE(request.path) is not None

    def take(self, passage: Passage) -> bool:
        """Serve the request, or leave it alone."""
        request = passage.request
        if request.query_string:
            return False
        if request.method == "POST" and (found := _RESERVE(request.path)):
            passage.route, serve = _RESERVE_ROUTE, self._reserve
        elif request.method == "GET" and not request.body and (found := _STOCK(request.path)):
            passage.route, serve = _STOCK_ROUTE, self._stock
        else:
            return False
        return passage.admitted() and serve(passage, found[1])

    def _reserve(self, passage: Passage, product_id: str) -> bool:
        headers = passage.headers
        try:
            identity = callers.customer(headers, self._services)
            key = idempotency_key(headers)
        except RefusalError:
            return False
        quantity = 1
        if body := passage.request.body:
            if headers.get(b"content-type") != b"application/json":
                return False
            asked = _read_quantity(body)
            if not isinstance(asked, bodies.QuantityBody):
                return False
            quantity = asked.quantity
        wanted = Wanted(product_id, quantity)
        self._services.reservations.reserve_soon(identity.user_id, wanted, key, partial(_tell, passage))
        return True

    def _stock(self, passage: Passage, product_id: str) -> bool:
        sight = self._services.catalogue.stock_seen(product_id)
        if sight is None:
            return False
        known = names_tag(passage.headers, answers.stock_tag(sight))
        passage.answer(answers.from_sight(sight, known=known))
        return True


def _tell(passage: Passage, outcome: Outcome) -> None:
    try:
        passage.answer(answers.from_outcome(outcome, passage.request.path))
    except Exception as error:  # noqa: BLE001 nobody above could answer for it
        passage.broken(error)
