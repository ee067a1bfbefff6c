"""Serves an ASGI application over HTTP/1.1 in one process, from the first connection to the last answer.

uvicorn brings the lifespan, the parser and the protocol that `connection.py` builds on; the loop is the caller's
(`uvloop.run`).
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from types import FrameType
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from uvicorn.config import Config
from uvicorn.lifespan.on import LifespanOn

from flashreserve.auth.address import throttled_as
from flashreserve.http.connection import Connection, ListenerState
from flashreserve.http.edge import App, Edge, RequestIds
from flashreserve.http.limits import SOCKETS_PER_CONNECTION, HttpLimits

FILES_BESIDE_CONNECTIONS: Final = 256
"""Open files that a process needs for other things than connections."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

SYSTEM_UNSENT_BYTES: Final = 128 * 1024
"""What the system takes of an answer before the network does; without it, megabytes for each slow reader."""

HURRY_S: Final = 0.8
"""How long a process may take to end after a second Ctrl-C."""

INTERRUPTED: Final = 130
"""The exit code of a process that didn't: as shells have it after Ctrl-C."""


class ServerError(Exception):
    """The server could not start. The message says why, for the operator."""


class Hooks(msgspec.Struct, frozen=True):
    """What the server tells the rest of the service.

    Attributes:
        ready: Called once, when connections are accepted.
        draining: Called when the server is asked to stop, before anything else is done.
        count_refused: Called with the status of each answer that the server gave by itself.
    """

    ready: Callable[[], None]
    draining: Callable[[], None]
    count_refused: Callable[[int], None]


def bind(host: str, port: int, *, backlog: int) -> socket.socket:
    """A listening socket; with port 0 the system chooses one.

    Raises:
        ServerError: The address can't be had.
    """
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(address[0], socket.SOCK_STREAM)
    except OSError as error:
        raise ServerError(f"cannot listen on {host}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections have it from their listener.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, SYSTEM_UNSENT_BYTES)
        listener.bind(address[4])
        listener.listen(backlog)
        listener.setblocking(False)  # noqa: FBT003 the standard library's own
    except OSError as error:
        listener.close()
        raise ServerError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


async def serve(
    app: App,
    *,
    listener: socket.socket,
    limits: HttpLimits,
    request_ids: RequestIds,
    wall_clock_s: Callable[[], float],
    hooks: Hooks,
    stop: asyncio.Event,
    hurry: asyncio.Event | None = None,
    address_of: Callable[[str | None], str | None] = throttled_as,
    shutdown_timeout_s: float = 30.0,
    idle_grace_s: float = 0.2,
) -> None:
    """Serve until `stop` is set, answer what was accepted, and return.

    When it stops, it takes what waits to be accepted, accepts no more, gives clients with an open connection
    `idle_grace_s` for the request that may be on its way, and answers everything that came. Requests that aren't
    answered `shutdown_timeout_s` later, or when `hurry` is set, are cancelled (the edge answers 503 `outcome-unknown`).
    Then the application's lifespan ends. The listener is closed on return. `address_of` says under which name a peer's
    connections are counted; None for those that aren't.

    Raises:
        ServerError: The application's lifespan didn't start.
    """
    express = app if isinstance(app, Edge) and app.has_lane else None
    state = ListenerState(limits, request_ids, hooks.count_refused, express, address_of)
    server = Server(app, listener, state, wall_clock_s)
    await server.start()
    with _tuned_interpreter():
        hooks.ready()
        await server.tick_until(stop)
        hooks.draining()
        await server.stop(shutdown_timeout_s, idle_grace_s, hurry or asyncio.Event())


@contextlib.contextmanager
def stop_on_signals(stop: asyncio.Event, afterwards: Callable[[], None] = lambda: None) -> Iterator[asyncio.Event]:
    """Set `stop` on SIGTERM, SIGINT (Ctrl-C) or SIGHUP (the terminal was closed).

    On the way out they do again what they did before, unless `afterwards` sets something else. The loop's own handlers
    aren't used: removing one sets the system's default for a moment, which ends the process if another thread gets the
    signal then. The loop has to be uvloop's, which wakes up for a signal; asyncio's own sleeps on.

    Yields:
        The event that a SIGINT sets while the process stops already. The process then ends within a second, by itself
        if the caller doesn't return in time.
    """
    loop = asyncio.get_running_loop()
    hurry = asyncio.Event()

    def interrupted() -> None:
        if stop.is_set() and not hurry.is_set():
            hurry.set()
            end = threading.Timer(HURRY_S, os._exit, (INTERRUPTED,))
            end.daemon = True
            end.start()
        stop.set()

    # nohup sets SIGHUP to be ignored; whoever uses it wants the process to go on.
    heard = [n for n in _SIGNALS if n is not signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]

    def hear(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(interrupted if number == signal.SIGINT else stop.set)

    earlier = {number: signal.signal(number, hear) for number in heard}
    try:
        yield hurry
    finally:
        afterwards()
        for number, handler in earlier.items():
            if signal.getsignal(number) is hear:
                signal.signal(number, handler)


def stop_with_parent(stop: asyncio.Event, lifeline_fd: int) -> None:
    """Set `stop` when the process at the other end of the pipe is gone, however it went."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(lifeline_fd)
        stop.set()

    loop.add_reader(lifeline_fd, gone)


def allow_open_files(limits: HttpLimits) -> tuple[HttpLimits, int]:
    """Raise the process's limit of open files as far as it may.

    Returns:
        The limits with as many connections as the process then can hold, and how many open files all would need.
    """
    needed = files_needed(limits)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return limits, needed
    return within_files(limits, soft), needed


def files_needed(limits: HttpLimits) -> int:
    """How many open files a process needs for all connections that the limits allow."""
    return limits.sockets_max + FILES_BESIDE_CONNECTIONS


def within_files(limits: HttpLimits, files: int) -> HttpLimits:
    """The limits with no more connections than so many open files allow. Of few files, half are for connections."""
    sockets = max(files - FILES_BESIDE_CONNECTIONS, files // 2)
    connections = max(1, int(sockets / SOCKETS_PER_CONNECTION) - 1)
    each = min(limits.connections_per_address_max, max(1, connections // 2))
    return replace(limits, connections_max=connections, connections_per_address_max=each)


@contextlib.contextmanager
def _tuned_interpreter() -> Iterator[None]:
    """Let the garbage collector leave alone what was loaded, and look at the rest less often; let threads take turns.

    Requests leave next to no cycles behind, but with Python's own thresholds a collection comes every few dozen
    requests, and every so often it walks through all modules: a tenth of a request's time. And the thread that writes
    asks for the interpreter's lock several times a flush, while Python lets it wait for 5 ms each time.
    """
    before, turn_s = gc.get_threshold(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(turn_s)
        gc.set_threshold(*before)
        gc.unfreeze()


class Server:
    """One process's listening socket and the connections made on it."""

    def __init__(
        self, app: App, listener: socket.socket, state: ListenerState, wall_clock_s: Callable[[], float]
    ) -> None:
        self._state = state
        self._listener = listener
        self._wall_clock_s = wall_clock_s
        self._config = _config(app)
        self._config.load()
        self._lifespan = LifespanOn(self._config)
        self._accepting: asyncio.Server | None = None

    async def start(self) -> None:
        """Start the application and accept connections."""
        await self._lifespan.startup()
        if self._lifespan.should_exit:
            self._listener.close()
            raise ServerError("the application did not start; the log says why")
        loop = asyncio.get_running_loop()
        self._set_date()
        # A copy, because what waits in the socket's queue is fetched after the loop has closed its own.
        self._accepting = await loop.create_server(
            self._connection, sock=self._listener.dup(), backlog=self._state.limits.backlog
        )

    async def tick_until(self, stop: asyncio.Event) -> None:
        """Keep the date and the deadlines until `stop` is set."""
        while not stop.is_set():
            self._tick()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._tick_s())

    async def stop(self, timeout_s: float, idle_grace_s: float, hurry: asyncio.Event) -> None:
        """Answer what was accepted, close everything, end the application; don't wait once `hurry` is set."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        await self._accept_last()
        self._state.draining = True
        # Those just accepted become connections in the loop's next turns.
        await asyncio.sleep(_SETTLE_S)
        await self._tick_while(
            lambda: bool(self._state.connections) and not hurry.is_set(), loop.time() + min(idle_grace_s, timeout_s)
        )
        for connection in tuple(self._state.connections):
            connection.close_if_idle()
        await self._tick_while(
            lambda: bool(self._state.connections or self._state.tasks) and not hurry.is_set(), deadline
        )
        await self._cancel_rest()
        await self._lifespan.shutdown()

    def _connection(self) -> Connection:
        return Connection(self._config, self._state, self._lifespan.state, asyncio.get_running_loop())

    async def _accept_last(self) -> None:
        """Stop accepting, but take those in that have connected already."""
        if self._accepting is not None:
            self._accepting.close()
        with contextlib.suppress(OSError):  # BlockingIOError: nobody waits any more
            while True:
                client, _ = self._listener.accept()
                await asyncio.get_running_loop().connect_accepted_socket(self._connection, client)
        self._listener.close()

    async def _cancel_rest(self) -> None:
        unfinished = (connection.unfinished() for connection in self._state.connections)
        for connection in tuple(self._state.connections):
            connection.give_up()
        tasks = self._state.tasks.union(task for task in unfinished if task is not None)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL_TIMEOUT_S)
        # One turn of the loop for what was written just now.
        await asyncio.sleep(0)
        for connection in tuple(self._state.connections):
            connection.abort()

    async def _tick_while(self, condition: Callable[[], bool], deadline: float) -> None:
        loop = asyncio.get_running_loop()
        while condition() and loop.time() < deadline:
            self._tick()
            await asyncio.sleep(min(_DRAIN_TICK_S, max(0.0, deadline - loop.time())))

    def _tick(self) -> None:
        self._set_date()
        now = asyncio.get_running_loop().time()
        self._state.unsent.look(self._state.connections)
        late = [c for c in self._state.connections if c.deadline <= now or c.write_deadline <= now]
        for connection in late:
            connection.overdue(now)

    def _tick_s(self) -> float:
        limits = self._state.limits
        return min(1.0, limits.head_timeout_s / 2, limits.body_timeout_s / 2, limits.idle_timeout_s / 2)

    def _set_date(self) -> None:
        self._state.date_line = f"date: {formatdate(self._wall_clock_s(), usegmt=True)}\r\n".encode("ascii")


def _config(app: App) -> Config:
    """What uvicorn is told: nothing from the environment, no logging set up, no layers around the application."""
    settings: dict[str, Any] = {
        "http": Connection,
        "ws": "none",
        "lifespan": "on",
        "interface": "asgi3",
        "log_config": None,
        "access_log": False,
        "proxy_headers": False,
        "forwarded_allow_ips": "",
        "workers": 1,
    }
    return Config(app, **settings)


_COLLECT_AFTER: Final = 50_000
"""Objects made and not yet freed, when the collector looks at them."""

_TURN_S: Final = 0.0005
"""How long a thread may go on with the interpreter's lock while another wants it."""

_CANCEL_TIMEOUT_S: Final = 1.0
_DRAIN_TICK_S: Final = 0.02
_SETTLE_S: Final = 0.02
