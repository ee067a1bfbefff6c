"""The express lane, as the server sees it: a way past ASGI for requests that came whole."""

from typing import Protocol

from flashreserve.server.exchange import Exchange, PromisedAnswer


class Express(Protocol):
    """Takes some requests by the express lane."""

    def may_take(self, exchange: Exchange, /) -> bool:
        """Whether the request, whose body may still be on its way, is one for the lane by its line."""
        ...

    def take(self, exchange: Exchange, /) -> PromisedAnswer | None:
        """Serve a request that came whole, now or later, by `exchange.answer`.

        With None, nothing was done, and the request is to go ASGI's way.
        """
        ...
