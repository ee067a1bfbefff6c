"""State that all connections of a process share."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from flashreserve.server.answer_head import header_lines
from flashreserve.server.application import Application
from flashreserve.server.flow import Flow
from flashreserve.server.limits import HttpLimits
from flashreserve.server.refusals import RefusalCode, encode_refusal
from flashreserve.server.room import Guest, Room, Unsent


class OpenConnection(Guest, Protocol):
    """A connection, as the process sees it. `deadline` is when `overdue` is called, in the loop's time."""

    flow: Flow
    deadline: float

    def overdue(self, now: float) -> None:
        """A deadline is over, its own or its flow's: close, or answer if there is something to answer."""
        ...

    def close_if_idle(self) -> None:
        """Close unless a request is being received or answered."""
        ...

    def unfinished(self) -> asyncio.Task[None] | None:
        """The task that answers a request of this connection now."""
        ...

    def give_up(self) -> None:
        """Have a request answered that is still with the express lane."""
        ...


class SharedState:
    """State that all connections of a process share.

    Args:
        address_of: The name under which a peer's connections are counted; None for those that aren't.
    """

    def __init__(
        self, application: Application, limits: HttpLimits, address_of: Callable[[str | None], str | None]
    ) -> None:
        loop = asyncio.get_running_loop()
        self.application = application
        self.limits = limits
        self.connections: set[OpenConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        """Those that answer clients who are gone."""
        self.room = Room(
            self.connections,
            most=limits.connections_max,
            each=limits.connections_per_address_max,
            address_of=address_of,
            now=loop.time,
        )
        self.unsent: Unsent[OpenConnection] = Unsent(limits.unsent_bytes_max, loop.time)
        self.usual_lines = header_lines(application.usual_headers)
        """Headers of nearly every answer, as they are written."""
        self.draining = False
        """Whether the server stops."""
        self.date_line = b""
        """The Date header, made anew each second."""
        self.done: asyncio.Future[None] = loop.create_future()
        """A future that is over."""
        self.done.set_result(None)

    def refusal(self, code: RefusalCode, instance: str, detail: str = "") -> bytes:
        """A whole answer that refuses and closes the connection; without a detail, in the code's own words."""
        return encode_refusal(self.application.refuse(code, detail, instance), self.date_line)
