"""One client's connection: answers its requests in order, enforces its deadlines, and closes it.

`states.py` has the states. `request_reader.py` reads, `exchange.py` answers, `flow.py` controls the flow in both
directions.

- Every refusal of invalid input is a problem document. It is sent after the answers to the requests before it.
- The deadlines of all connections are checked once a second. That is cheaper than a timer for each request.
- If the client is still sending when a connection ends, the server first closes its own side and reads on for a while.
  Closing at once would send a reset, and the client could lose the answer.
- A request to upgrade the protocol is served as a plain HTTP/1.1 request, body included.
- A complete request is offered to the express lane before a scope and a task are made for it.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from typing_extensions import override

from flashreserve.server.asgi import Header
from flashreserve.server.exchange import Exchange
from flashreserve.server.flow import HIGH_WATER_BYTES, NEVER, Flow
from flashreserve.server.refusals import RefusalCode
from flashreserve.server.request_reader import PIECE_BYTES, RequestReader
from flashreserve.server.shared import SharedState
from flashreserve.server.states import (
    ANSWER,
    ANSWERED,
    BODY,
    BODY_ENDS,
    BREAK_BODY,
    CLIENT_ENDS,
    CLOSE,
    COMPLETE,
    CONNECTION,
    DROP,
    IDLE,
    IN_BODY,
    IN_HEAD,
    LINGER,
    NOT_BEGUN,
    OPEN,
    QUEUED,
    REFUSE,
    SENDING,
    START,
    WHOLE,
    ConnectionState,
)

_INSTANCE_MAX: Final = 200
_SHORT_BODY: Final = 256
"""Longest body, in bytes, for which a request waits so that the express lane may take it; longer ones go to ASGI."""


class Connection(asyncio.Protocol):
    """The asyncio protocol of one connection.

    Attributes:
        latest: The exchange whose head was read last.
        active: The exchange that is being answered.
        queue: Exchanges that wait for the active one: their requests were pipelined.
        deadline: When `overdue` is called, in the loop's time.
    """

    state: ConnectionState = OPEN
    transport: asyncio.Transport
    flow: Flow
    server: tuple[str, int] | None = None
    client: tuple[str, int] | None = None

    def __init__(self, shared: SharedState, app_state: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        self.shared = shared
        self.app_state = app_state
        self.latest: Exchange | None = None
        self.active: Exchange | None = None
        self.queue: deque[Exchange] = deque()
        self.deadline = NEVER
        self._loop = loop
        self._reader = RequestReader(self, shared.limits)
        self._address: str | None = None
        self._refusal: bytes | None = None
        self._dropped = 0

    # Called by the transport.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the connection, or refuse it if there are too many."""
        shared, limits = self.shared, self.shared.limits
        self.transport = cast("asyncio.Transport", transport)
        self.flow = Flow(self.transport, limits)
        endpoint = transport.get_extra_info("socket")
        self.server = _address(endpoint.getsockname)
        self.client = _address(endpoint.getpeername)
        shared.connections.add(self)
        admitted, self._address = shared.room.enter(self, self.client[0] if self.client else None)
        if admitted:
            self.deadline = self._loop.time() + limits.head_timeout_s
        elif len(shared.connections) <= limits.sockets_max:
            self.refuse("unavailable", "the server has as many connections open as it can serve")
        else:
            self.transport.abort()

    @override
    def data_received(self, data: bytes) -> None:
        """Read the data. Data after the last answer is dropped."""
        if self.state != OPEN:
            self._drop(len(data))
        elif len(data) <= PIECE_BYTES:
            self._reader.feed(data)
        else:
            for start in range(0, len(data), PIECE_BYTES):
                self.data_received(data[start : start + PIECE_BYTES])

    @override
    def eof_received(self) -> bool:
        """Whether to stay open for writing: a client may close its side and still wait for its answers."""
        if (self.active is None and not self.queue) or self.latest is None or self.latest.more_body:
            return False
        if self.active is not None and self.active.stream is not None:
            return False  # A stream has no end that the client could wait for.
        self.state = CONNECTION[self.state][CLIENT_ENDS]
        self.latest.keep_alive = False
        return True

    @override
    def pause_writing(self) -> None:
        """The transport's buffer is full: the client reads more slowly than the server writes."""
        self.flow.pause_writing(self._loop.time())
        # Not during the write that filled the buffer, because counting may close this same connection.
        self._loop.call_soon(self._count_unsent)

    @override
    def resume_writing(self) -> None:
        """The buffer has room again: go on with requests that were waiting for it."""
        self.flow.resume_writing()
        self.shared.unsent.discard(self)
        if self.active is None and self.queue and self.state == OPEN:
            self._go_on()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the tasks that still answer that the client is gone."""
        self._leave()
        self.state = CONNECTION[self.state][CLOSE]
        self._hang_up()
        self.queue.clear()
        for exchange in (self.active, self.latest):
            if exchange is not None:
                self._keep_task(exchange)
        self.latest = self.active = None
        self.flow.resume_writing()
        self._reader.close()

    # Called by the reader.

    def head_read(self, method: str, version: str, url: bytes, headers: list[Header], keep_alive: bool) -> None:  # noqa: FBT001 positional for speed
        """A request's head is complete. The request is answered now, or after those before it."""
        exchange = Exchange(self, method, version, url, headers, keep_alive=keep_alive)
        self.latest = exchange
        self.deadline = NEVER
        if self.active is None and not self.flow.write_paused:
            # Started once its body is complete, or at the latest when this piece of data has been read.
            self.active = exchange
        else:
            self.flow.pause_reading()
            self.queue.append(exchange)

    def body_read(self, body: bytes) -> None:
        """Part of the latest request's body."""
        exchange = self.latest
        if exchange is None or exchange.answer_state == ANSWERED:
            return
        exchange.body = exchange.body + body if exchange.body else body
        if len(exchange.body) > HIGH_WATER_BYTES:
            self.flow.pause_reading()
        if exchange.answer_state not in NOT_BEGUN:
            exchange.wake()

    def trailers_read(self, keep_alive: bool) -> None:  # noqa: FBT001 a callback with one argument
        """Trailers ended the latest request's body."""
        if self.latest is not None and not keep_alive:
            self.latest.keep_alive = False

    def request_read(self) -> None:
        """The latest request is complete."""
        exchange = self.latest
        if exchange is None:
            return
        exchange.body_state = BODY[exchange.body_state][BODY_ENDS]
        if exchange.answer_state == ANSWERED:
            if exchange.keep_alive:
                self._go_on()
            else:
                self._close()
            return
        self.deadline = NEVER
        if exchange.answer_state == QUEUED and exchange is self.active:
            self._start(exchange)
        else:
            exchange.wake()

    def head_begun(self) -> None:
        """A head is incomplete: limit its time."""
        self.deadline = self._loop.time() + self.shared.limits.head_timeout_s

    def body_open(self) -> None:
        """A body is incomplete: limit its time, and start the request unless the rest is short."""
        if self.deadline == NEVER:
            self.deadline = self._loop.time() + self.shared.limits.body_timeout_s
        exchange = self.active
        if exchange is None or exchange is not self.latest or exchange.answer_state != QUEUED:
            return
        if not self._waits_for_rest(exchange):
            self._start(exchange)

    def refuse(self, code: RefusalCode, detail: str) -> None:
        """Refuse an invalid request after the requests before it are answered, then end the connection."""
        self.state = CONNECTION[self.state][REFUSE]
        self.deadline = NEVER
        instance = self._reader.url.partition(b"?")[0].decode("ascii", "replace")
        self._refusal = self.shared.refusal(code, instance[:_INSTANCE_MAX] or "/", self._reader.headers, detail)
        if self.latest is not None and self.latest.more_body:
            self._abandon(self.latest)
        if self.active is None and not self.queue:
            self._write_refusal()

    # Called by exchanges.

    def is_last(self, exchange: Exchange) -> bool:
        """Whether the server is stopping, and this is the last request that it accepted from this connection."""
        return self.shared.draining and exchange is self.latest and self._reader.reading != IN_HEAD

    def answered(self, exchange: Exchange) -> None:
        """An answer is complete: go on with the next request, wait for one, or end."""
        self.active = None
        if self.transport.is_closing():
            return
        if exchange.keep_alive:
            self._go_on()
        else:
            self._end(linger=exchange.more_body)

    def unanswered(self, exchange: Exchange, code: RefusalCode) -> None:
        """The application returned without an answer, or with an incomplete one."""
        if exchange.over or self.transport.is_closing():
            return
        cut_short = exchange.answer_state == SENDING
        self.active = None
        exchange.answer_state = ANSWER[exchange.answer_state][COMPLETE]
        self.queue.clear()
        if cut_short:
            self._close()
        else:
            self._refusal = self._refusal or self.shared.refusal(code, exchange.path, exchange.headers)
            self._write_refusal()

    # Called by the process.

    def overdue(self, now: float) -> None:
        """The deadline has passed: close, or answer if an answer is due."""
        exchange = self.latest
        if self.flow.deadline <= now:
            if self.flow.stalls(now):
                self.abort()
        elif self.state != OPEN:
            self.abort()
        elif self._reader.reading == IN_HEAD:
            self.refuse("request-timeout", "the headers were not sent in time")
        elif exchange is None or self._reader.reading == IDLE:
            self._close()
        elif exchange.answer_state == ANSWERED:
            self.abort()
        else:
            exchange.late = True
            self.deadline = NEVER
            if exchange is self.active and exchange.answer_state == QUEUED:
                self._start(exchange)
            exchange.wake()

    def waits_since(self) -> float | None:
        """When the server began to wait for the client, in the loop's time; None while it is the server's turn."""
        limits = self.shared.limits
        if self.flow.deadline != NEVER:
            return self.flow.waits_since()
        if self.deadline == NEVER or (self.active is not None and not self.active.more_body):
            return None
        if self.state != OPEN:
            return self.deadline - limits.linger_timeout_s
        if self._reader.reading == IN_HEAD or self.latest is None:
            return self.deadline - limits.head_timeout_s
        return self.deadline - (limits.body_timeout_s if self._reader.reading == IN_BODY else limits.idle_timeout_s)

    def make_way(self) -> bool:
        """Close at once and leave the `Room`, unless the client has sent something meanwhile.

        Returns whether it closed.
        """
        if self.state == OPEN and self.flow.has_unread():
            return False
        self._leave()
        self.abort()
        return True

    def unsent(self) -> int:
        """Bytes in the process's buffer that the client hasn't taken."""
        return self.flow.unsent()

    def untaken(self) -> int:
        """Bytes that the client hasn't acknowledged, those in the system's buffers included."""
        return self.flow.untaken()

    def close_if_idle(self) -> None:
        """Close unless a request is being received or answered. A streamed answer is ended."""
        if self.active is not None and self.active.stream is not None:
            self.active.stream.end()
        answered = self.latest is None or self.latest.answer_state == ANSWERED
        if answered and self._reader.reading == IDLE and self.state == OPEN:
            self._close()

    def unfinished(self) -> asyncio.Task[None] | None:
        """The task that is answering a request of this connection."""
        return None if self.active is None else self.active.task

    def give_up(self) -> None:
        """Answer a request that is still with the express lane. Its outcome is unknown."""
        if self.active is not None and self.active.promised is not None:
            self.active.promised.give_up()

    def abort(self) -> None:
        """Close at once, and drop everything that isn't sent yet."""
        self.state = CONNECTION[self.state][CLOSE]
        self._hang_up()
        self.transport.abort()

    # The order of answers.

    def _go_on(self) -> None:
        """Answer the next request, or wait for one."""
        if self.queue:
            # While the client takes nothing, its next request is not answered, so that answers don't pile up.
            if not self.flow.write_paused:
                self._start(self.queue.popleft())
        elif self._refusal is not None:
            self._write_refusal()
        elif self._reader.reading == IDLE:
            self.deadline = self._loop.time() + self.shared.limits.idle_timeout_s
        if self.flow.read_paused and not self.queue and not self.transport.is_closing():
            self.flow.resume_reading()

    def _start(self, exchange: Exchange) -> None:
        """Answer the request by the express lane or, if that doesn't take it, by ASGI in a task."""
        self.active = exchange
        exchange.answer_state = ANSWER[exchange.answer_state][START]
        application = self.shared.application
        # If the client isn't taking its answers, use ASGI: only ASGI waits for it.
        if application.express is not None and exchange.body_state == WHOLE and not self.flow.write_paused:
            promised = application.express.take(exchange)
            if promised is not None:
                # An answer that was given at once isn't kept: it and its exchange would refer to each other for good.
                exchange.promised = None if promised.over else promised
                return
        exchange.task = self._loop.create_task(exchange.run(application.asgi))

    def _waits_for_rest(self, exchange: Exchange) -> bool:
        """Whether to wait for the rest of a short body, so that the express lane may take the request.

        Some clients send the head and the body apart, even if the body is a few bytes.
        """
        express = self.shared.application.express
        if express is None or not express.may_take(exchange):
            return False
        headers = dict(exchange.headers)
        length = headers.get(b"content-length")
        return length is not None and int(length) <= _SHORT_BODY and b"expect" not in headers

    def _abandon(self, exchange: Exchange) -> None:
        """Drop a request whose body is malformed, unless it already had an effect."""
        if exchange in self.queue:
            self.queue.remove(exchange)
            exchange.answer_state = ANSWER[exchange.answer_state][DROP]
        elif exchange.answer_state in NOT_BEGUN:
            if exchange.task is not None:
                exchange.task.cancel()
            exchange.answer_state = ANSWER[exchange.answer_state][DROP]
            self.active = None
        else:
            exchange.body_state = BODY[exchange.body_state][BREAK_BODY]
            exchange.wake()

    # Ending.

    def _write_refusal(self) -> None:
        if self._refusal is not None:
            self.transport.write(self._refusal)
        self._end(linger=True)

    def _end(self, *, linger: bool) -> None:
        """Close the connection. While the client is still sending, close only the server's side."""
        if not linger or not self.transport.can_write_eof():
            self._close()
            return
        self.state = CONNECTION[self.state][LINGER]
        with contextlib.suppress(OSError):  # the client may have gone meanwhile
            self.transport.write_eof()
        self.flow.resume_reading()
        self.deadline = self._loop.time() + self.shared.limits.linger_timeout_s

    def _close(self) -> None:
        self.state = CONNECTION[self.state][CLOSE]
        self.transport.close()
        # Time for a client that hasn't taken the last bytes yet.
        self.deadline = self._loop.time() + self.shared.limits.linger_timeout_s

    def _drop(self, received: int) -> None:
        self._dropped += received
        if self._dropped > self.shared.limits.linger_bytes_max:
            self.abort()

    def _leave(self) -> None:
        self.shared.room.leave(self, self._address)
        self.shared.unsent.discard(self)

    def _count_unsent(self) -> None:
        if self.flow.write_paused and not self.transport.is_closing():
            self.shared.unsent.add(self)

    def _hang_up(self) -> None:
        """Tell those that answer, or wait for a body, that the client is gone."""
        for exchange in (self.active, self.latest):
            if exchange is not None and exchange.answer_state != ANSWERED:
                exchange.leave()

    def _keep_task(self, exchange: Exchange) -> None:
        """Keep the task of a client that has gone: its request is finished, and awaited when the server stops."""
        if exchange.task is not None and not exchange.task.done():
            self.shared.tasks.add(exchange.task)
            exchange.task.add_done_callback(self.shared.tasks.discard)


def _address(of: Callable[[], Any]) -> tuple[str, int] | None:
    """Host and port of one end of a TCP connection; None for a Unix socket, or if the client is gone already."""
    try:
        found = of()
    except OSError:
        return None
    return (str(found[0]), int(found[1])) if isinstance(found, tuple) else None
