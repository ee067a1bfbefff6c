"""The express lane, as the server sees it: a way past ASGI for requests that came whole."""

from typing import Protocol

from flashreserve.server.asgi import Header


class WholeRequest(Protocol):
    """A request that has come completely, body included, as the server holds it. Names are those of ASGI's scope."""

    method: str
    http_version: str
    path: str
    query_string: bytes
    headers: list[Header]
    body: bytes

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        ...

    @property
    def client(self) -> tuple[str, int] | None:
        """Who sent it: address and port."""
        ...

    def answer(self, status: int, lines: bytes, body: bytes, *, close: bool) -> None:
        """Write the answer: `lines` are its headers, each with its end of line. With `close`, it is the last one."""
        ...


class PromisedAnswer(Protocol):
    """The answer to a request that the express lane has taken."""

    @property
    def over(self) -> bool:
        """Whether it was given."""
        ...

    def give_up(self) -> None:
        """Give it at once, whatever became of the request: the server waits no longer."""
        ...


class Express(Protocol):
    """Takes some requests by the express lane."""

    def may_take(self, request: WholeRequest, /) -> bool:
        """Whether the request, whose body may still be on its way, is one for the lane by its line."""
        ...

    def take(self, request: WholeRequest, /) -> PromisedAnswer | None:
        """Serve a request that came whole, now or later. With None, nothing was done, and it is to go ASGI's way."""
        ...
