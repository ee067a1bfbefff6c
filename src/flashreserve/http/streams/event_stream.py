"""The form of server-sent events, and the answer that opens a stream of them.

Source: HTML Living Standard, "Server-sent events".
"""

from collections.abc import Mapping
from typing import Any, Final

from litestar.response.base import ASGIResponse
from typing_extensions import override

from flashreserve.http.answers import RefusalError
from flashreserve.server.asgi import Receive, Scope, Send
from flashreserve.server.open_stream import STREAMED, Begun

RETRY_MS: Final = 2_000
"""How long a browser waits before it connects again."""

COMMENT: Final = b":\n\n"
"""Sent while nothing happens, so that proxies and browsers don't take the connection for dead."""


def encode_event(name: str, event_id: str, data: bytes) -> bytes:
    """An event; `data` is one line of JSON."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id.encode("ascii"), name.encode("ascii"), data)


class EventStream(ASGIResponse):
    """The answer 200 that stays open. `begun` gets the stream once the head is written.

    Raises:
        RefusalError: when it is made for a request of a server that can't keep answers open.
    """

    def __init__(self, scope: Mapping[str, Any], begun: Begun) -> None:
        if STREAMED not in scope.get("extensions", {}):
            raise RefusalError("unavailable", "this server can't keep streams open", retry_after_s=60)
        self._begun = begun
        super().__init__()

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream"), *_UNBUFFERED],
                STREAMED: self._begun,
            }
        )


_UNBUFFERED: Final = ((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))
"""nginx would hold events back otherwise."""
