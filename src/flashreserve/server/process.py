"""Serves an ASGI application over HTTP/1.1 in one process.

The caller provides the event loop (`uvloop.run`).
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from email.utils import formatdate
from typing import Final

import msgspec

from flashreserve.server.application import Application
from flashreserve.server.connection import Connection
from flashreserve.server.interpreter import tuned_interpreter
from flashreserve.server.lifespan import Lifespan
from flashreserve.server.limits import HttpLimits
from flashreserve.server.shared import SharedState
from flashreserve.server.sockets import ServerError

_CANCEL_TIMEOUT_S: Final = 1.0
_DRAIN_TICK_S: Final = 0.02
_SETTLE_S: Final = 0.02


class Hooks(msgspec.Struct, frozen=True):
    """Callbacks by which the server informs the rest of the service.

    Attributes:
        ready: Called once, when connections are accepted.
        draining: Called when the server is asked to stop, before anything else.
    """

    ready: Callable[[], None]
    draining: Callable[[], None]


async def serve(
    application: Application,
    *,
    listener: socket.socket,
    limits: HttpLimits,
    address_of: Callable[[str | None], str | None],
    wall_clock_s: Callable[[], float],
    hooks: Hooks,
    stop: asyncio.Event,
    hurry: asyncio.Event | None = None,
    shutdown_timeout_s: float = 30.0,
    idle_grace_s: float = 0.2,
) -> None:
    """Serve until `stop` is set, answer the requests that were accepted, and return.

    When it stops, the server accepts the connections that are waiting and then no more. Clients with an open connection
    get `idle_grace_s` for a request that may be on its way, and every request that has arrived is answered. Requests
    still unanswered after `shutdown_timeout_s`, or when `hurry` is set, are cancelled (the edge answers 503
    `outcome-unknown`). Then the application's lifespan ends. The listener is closed on return. `address_of` gives the
    name under which a peer's connections are counted, or None if they aren't counted (those of a trusted proxy).

    Raises:
        ServerError: The application's lifespan didn't start.
    """
    shared = SharedState(application, limits, address_of)
    server = Server(listener, shared, wall_clock_s)
    await server.start()
    with tuned_interpreter():
        hooks.ready()
        await server.tick_until(stop)
        hooks.draining()
        await server.stop(shutdown_timeout_s, idle_grace_s, hurry or asyncio.Event())


class Server:
    """The listening socket of one process and its connections."""

    def __init__(self, listener: socket.socket, shared: SharedState, wall_clock_s: Callable[[], float]) -> None:
        self._shared = shared
        self._listener = listener
        self._wall_clock_s = wall_clock_s
        self._lifespan = Lifespan(shared.application.asgi)
        self._accepting: asyncio.Server | None = None

    async def start(self) -> None:
        """Start the application and accept connections."""
        if not await self._lifespan.start():
            self._listener.close()
            raise ServerError("the application did not start; the log says why")
        loop = asyncio.get_running_loop()
        self._set_date()
        # A duplicate, because the loop closes the socket it was given, and waiting connections are accepted after that.
        self._accepting = await loop.create_server(
            self._connection, sock=self._listener.dup(), backlog=self._shared.limits.backlog
        )

    async def tick_until(self, stop: asyncio.Event) -> None:
        """Update the date and check the deadlines until `stop` is set."""
        while not stop.is_set():
            self._tick()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._tick_s())

    async def stop(self, timeout_s: float, idle_grace_s: float, hurry: asyncio.Event) -> None:
        """Answer the accepted requests, close all connections, end the application. Don't wait once `hurry` is set."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        await self._accept_last()
        self._shared.draining = True
        # Connections just accepted start in the next turns of the loop.
        await asyncio.sleep(_SETTLE_S)
        await self._tick_while(
            lambda: bool(self._shared.connections) and not hurry.is_set(), loop.time() + min(idle_grace_s, timeout_s)
        )
        for connection in tuple(self._shared.connections):
            connection.close_if_idle()
        await self._tick_while(
            lambda: bool(self._shared.connections or self._shared.tasks) and not hurry.is_set(), deadline
        )
        await self._cancel_rest()
        await self._lifespan.end()

    def _connection(self) -> Connection:
        return Connection(self._shared, self._lifespan.state, asyncio.get_running_loop())

    async def _accept_last(self) -> None:
        """Stop accepting, except for clients that have connected already."""
        if self._accepting is not None:
            self._accepting.close()
        with contextlib.suppress(OSError):  # BlockingIOError: no more connections wait
            while True:
                client, _ = self._listener.accept()
                await asyncio.get_running_loop().connect_accepted_socket(self._connection, client)
        self._listener.close()

    async def _cancel_rest(self) -> None:
        unfinished = (connection.unfinished() for connection in self._shared.connections)
        for connection in tuple(self._shared.connections):
            connection.give_up()
        tasks = self._shared.tasks.union(task for task in unfinished if task is not None)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL_TIMEOUT_S)
        # One turn of the loop, so that data just written is sent.
        await asyncio.sleep(0)
        for connection in tuple(self._shared.connections):
            connection.abort()

    async def _tick_while(self, condition: Callable[[], bool], deadline: float) -> None:
        loop = asyncio.get_running_loop()
        while condition() and loop.time() < deadline:
            self._tick()
            await asyncio.sleep(min(_DRAIN_TICK_S, max(0.0, deadline - loop.time())))

    def _tick(self) -> None:
        self._set_date()
        now = asyncio.get_running_loop().time()
        self._shared.unsent.look(self._shared.connections)
        late = [c for c in self._shared.connections if c.deadline <= now or c.flow.deadline <= now]
        for connection in late:
            connection.overdue(now)

    def _tick_s(self) -> float:
        limits = self._shared.limits
        return min(1.0, limits.head_timeout_s / 2, limits.body_timeout_s / 2, limits.idle_timeout_s / 2)

    def _set_date(self) -> None:
        self._shared.date_line = f"date: {formatdate(self._wall_clock_s(), usegmt=True)}\r\n".encode("ascii")
