"""State that all connections of a process share."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from flashreserve.server.answer_head import header_lines
from flashreserve.server.application import Application
from flashreserve.server.asgi import Header
from flashreserve.server.flow import Flow
from flashreserve.server.limits import HttpLimits
from flashreserve.server.refusals import RefusalCode, encode_refusal
from flashreserve.server.room import Guest, Room, Unsent


class OpenConnection(Guest, Protocol):
    """The part of a connection that the process uses. `deadline` is when `overdue` is called, in the loop's time."""

    flow: Flow
    deadline: float

    def overdue(self, now: float) -> None:
        """A deadline of the connection or its flow has passed: close, or answer if an answer is due."""
        ...

    def close_if_idle(self) -> None:
        """Close unless a request is being received or answered."""
        ...

    def unfinished(self) -> asyncio.Task[None] | None:
        """The task that is answering a request of this connection."""
        ...

    def give_up(self) -> None:
        """Answer a request that is still with the express lane."""
        ...


class SharedState:
    """State that all connections of a process share.

    Args:
        address_of: The name under which a peer's connections are counted; None if they aren't counted.
    """

    def __init__(
        self, application: Application, limits: HttpLimits, address_of: Callable[[str | None], str | None]
    ) -> None:
        loop = asyncio.get_running_loop()
        self.application = application
        self.limits = limits
        self.connections: set[OpenConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        """Tasks that answer clients who have gone."""
        self.room = Room(
            self.connections,
            most=limits.connections_max,
            each=limits.connections_per_address_max,
            address_of=address_of,
            now=loop.time,
        )
        self.unsent: Unsent[OpenConnection] = Unsent(limits.unsent_bytes_max, loop.time)
        self.usual_lines = header_lines(application.usual_headers)
        """Headers of nearly every answer, as bytes."""
        self.draining = False
        """Whether the server is stopping."""
        self.date_line = b""
        """The Date header, updated once a second."""
        self.done: asyncio.Future[None] = loop.create_future()
        """A finished future."""
        self.done.set_result(None)

    def refusal(self, code: RefusalCode, instance: str, headers: Iterable[Header], detail: str = "") -> bytes:
        """A whole answer that refuses and closes the connection. Without a detail, it has the code's own text."""
        return encode_refusal(self.application.refuse(code, detail, instance, headers), self.date_line)
