"""The express lane's interface to the server: serves complete requests without ASGI."""

from typing import Protocol

from flashreserve.server.exchange import Exchange, PromisedAnswer


class Express(Protocol):
    """The application's side of the express lane."""

    def may_take(self, exchange: Exchange, /) -> bool:
        """Whether the request line is one that the lane serves. The body may still be incomplete."""
        ...

    def take(self, exchange: Exchange, /) -> PromisedAnswer | None:
        """Serve a complete request, now or later, by `exchange.answer`.

        If it returns None, it has done nothing, and ASGI must serve the request.
        """
        ...
