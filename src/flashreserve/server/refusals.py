"""Answers by the server itself: to invalid input, and when the application gave no answer."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Final, Literal, NamedTuple, TypeAlias

from flashreserve.server.asgi import Header

RefusalCode: TypeAlias = Literal[
    "bad-request",
    "headers-too-large",
    "internal",
    "outcome-unknown",
    "request-timeout",
    "unavailable",
    "uri-too-long",
]

STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii") for status in HTTPStatus
}


class ServerRefusal(NamedTuple):
    """A refusal, with the text that the application's side gave it.

    Attributes:
        lines: All headers except Date and Connection, each with its end of line.
    """

    status: int
    lines: bytes
    body: bytes


Refuse: TypeAlias = Callable[[RefusalCode, str, str, Iterable[Header]], ServerRefusal]
"""Writes a refusal.

Takes its code, the detail (empty for the code's own meaning), the requested path, and those headers of the request that
were read before it was refused.
"""


def encode_refusal(refusal: ServerRefusal, date_line: bytes) -> bytes:
    """The whole answer. It is the last one on its connection."""
    return b"".join(
        (STATUS_LINES[refusal.status], date_line, refusal.lines, b"connection: close\r\n\r\n", refusal.body)
    )
