"""The types of ASGI, and the one key that this server adds to its messages."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]

TIMED_OUT: Final = "flashreserve.timed_out"
"""The key in an `http.disconnect` message that says the body wasn't sent in time."""


class App(Protocol):
    """An ASGI application."""

    def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> Awaitable[None]:
        """Serve one request or the lifespan."""
        ...
