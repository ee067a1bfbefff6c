"""One client's connection: uvicorn's HTTP/1.1 protocol with bounds on all that a client can send, withhold or not take.

What differs from uvicorn's own:

- Every answer to what is no valid request is a problem document, and comes after the answers to the requests before it.
- Bounds on the head, the address, the number of headers, of requests sent ahead and of connections, and on what
  follows a head without being body: chunk sizes, chunk extensions, trailers.
- Trailers never become headers (RFC 9110, 6.5.1): they are read and dropped.
- One periodic look at all connections' deadlines in place of timers for each request (which also is cheaper).
- A connection that ends while the client still sends is closed for writing first and read for a while, because a
  reset would take the answer away from the client.
- A request to upgrade the protocol is served as the plain request that it also is, body included.
- A request that came whole is offered to the express lane before a scope and a task are made for it.
"""

import asyncio
import contextlib
import fcntl
import logging
import re
import sys
import termios
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools
from typing_extensions import override

from flashreserve.server.application import Application
from flashreserve.server.asgi import TIMED_OUT, App, Header, Message, Scope
from flashreserve.server.express import PromisedAnswer
from flashreserve.server.flow import HIGH_WATER_BYTES, Flow
from flashreserve.server.lifespan import ASGI_VERSION
from flashreserve.server.limits import HttpLimits
from flashreserve.server.refusals import STATUS_LINES, RefusalCode, encode_refusal
from flashreserve.server.room import Room, Unsent

NEVER: Final = float("inf")
NO_LENGTH: Final = float("inf")

_log: Final = logging.getLogger("flashreserve.http")
_VERSIONS: Final = frozenset({"1.1", "1.0"})
_INSTANCE_MAX: Final = 200
_SHORT_BODY: Final = 256
"""Bytes of a body that the express lane waits for, before a request is started."""
_PIECE_BYTES: Final = 4096
"""The parser gets at most this many bytes at once, so that the bounds are checked while a large read is parsed."""
_BODILESS: Final = frozenset({204, 304})
_CONTROL: Final = bytes({*range(0x20), 0x7F} - {0x09})
"""What no header may hold, as it would end it or break it; tabs are allowed."""

# Applications use few names.
_NAME: Final = lru_cache(maxsize=1024)(re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+").fullmatch)
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})


class ListenerState:
    """What all connections of a process share."""

    def __init__(
        self, application: Application, limits: HttpLimits, address_of: Callable[[str | None], str | None]
    ) -> None:
        loop = asyncio.get_running_loop()
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        """Those that answer clients who are gone."""
        self.room = Room(
            self.connections,  # type: ignore[arg-type]  # a set takes what its guests are
            most=limits.connections_max,
            each=limits.connections_per_address_max,
            address_of=address_of,
            now=loop.time,
        )
        self.unsent = Unsent(limits.unsent_bytes_max, loop.time)
        self.application = application
        self.express = application.express
        self.usual_lines = {header: b"%b: %b\r\n" % header for header in application.usual_headers}
        """Headers of nearly every answer, as they are written."""
        self.limits = limits
        self.draining = False
        self.date_line = b""
        """The Date header, made anew each second."""
        self.done = loop.create_future()
        """What is over at once."""
        self.done.set_result(None)

    def refusal(self, code: RefusalCode, instance: str, detail: str = "") -> bytes:
        """A whole answer that refuses and closes the connection; without a detail, in the code's own words."""
        return encode_refusal(self.application.refuse(code, detail, instance), self.date_line)


class Cycle:
    """One request on a connection and the way of its answer: what ASGI's receive and send stand for."""

    # What most requests never change stands on the class: that spares its assignment for each of them.
    passage: PromisedAnswer | None = None
    task: asyncio.Task[None] | None = None
    started = False
    begun = False
    disconnected = False
    # The request's body: what came and wasn't taken yet, and why no more of it may come.
    body = b""
    more_body = True
    body_taken = False
    body_broken = False
    timed_out = False
    _told_to_go_on = False
    _event: asyncio.Event | None = None
    # The answer. Its head waits for the first piece of body: what breaks until then can still become a 500.
    response_started = False
    response_complete = False
    on_the_wire = False
    _head = b""
    _chunked = False
    _length_left = NO_LENGTH

    def __init__(self, connection: "Connection", method: str, http_version: str, *, keep_alive: bool) -> None:
        self._connection = connection
        self.method = method
        self.http_version = http_version
        self.path, self.raw_path, self.query_string = _split(connection.url)
        self.headers = connection.headers
        self.keep_alive = keep_alive
        self._bodiless = method == "HEAD"

    @property
    def scheme(self) -> str:
        """See `WholeRequest`."""
        return self._connection.scheme

    @property
    def client(self) -> tuple[str, int] | None:
        """See `WholeRequest`."""
        return self._connection.client

    def scope(self) -> Scope:
        """The request as ASGI has it."""
        connection = self._connection
        return {
            "type": "http",
            "asgi": {"version": ASGI_VERSION, "spec_version": "2.3"},
            "http_version": self.http_version,
            "server": connection.server,
            "client": connection.client,
            "scheme": self.scheme,
            "method": self.method,
            "root_path": "",
            "path": self.path,
            "raw_path": self.raw_path,
            "query_string": self.query_string,
            "headers": self.headers,
            "state": connection.app_state.copy(),
        }

    def answer(self, status: int, lines: bytes, body: bytes, *, close: bool) -> None:
        """See `WholeRequest`. Writes at once, past flow control: a connection has one request at a time in the lane."""
        self.passage = None
        if self.disconnected:
            return
        connection = self._connection
        head = STATUS_LINES[status] + connection.state.date_line + lines
        if close or not self.keep_alive or (connection.state.draining and connection.is_last(self)):
            self.keep_alive = False
            head += b"connection: close\r\n"
        self.response_started = self.on_the_wire = self.response_complete = True
        connection.transport.write(b"%b\r\n%b" % (head, body))
        connection.on_answered(self)

    async def run(self, app: App) -> None:
        """Let the application answer, and see to it that an answer there is."""
        self.begun = True
        try:
            await app(self.scope(), self.receive, self.send)
        except asyncio.CancelledError:
            self._connection.on_unanswered(self, "outcome-unknown")
        except Exception:  # noqa: BLE001 behind the edge nothing comes here; without it, everything ends here
            _log.exception("unhandled error")
            self._connection.on_unanswered(self, "internal")
        else:
            if not self.response_complete:
                self._connection.on_unanswered(self, "request-timeout" if self.timed_out else "internal")

    def wake(self) -> None:
        """Let a waiting `receive` look again."""
        if self._event is not None:
            self._event.set()

    async def receive(self) -> Message:
        """The next piece of the body; after the last one, waits for the client to go or the answer to be complete."""
        while True:
            if self.body or not (self.more_body or self.body_taken):
                body, self.body = self.body, b""
                self.body_taken = not self.more_body
                return {"type": "http.request", "body": body, "more_body": self.more_body}
            if self.disconnected or self.response_complete or self.body_broken:
                return {"type": "http.disconnect"}
            if self.timed_out:
                return {"type": "http.disconnect", TIMED_OUT: True}
            if self._waits_for_word() and not self.response_started:
                self._told_to_go_on = True
                self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self._woken()

    # Not a coroutine itself: what is written without waiting is as good as a future that is done, and costs less.
    def send(self, message: Message) -> Awaitable[None]:
        """Write the answer. Raises RuntimeError, before anything of it is written, where it breaks HTTP."""
        connection = self._connection
        if connection.flow.write_paused and not self.disconnected:
            return self._send_later(message)
        if self.disconnected:
            return connection.state.done
        kind = message["type"]
        if kind == "http.response.body" and self.response_started and not self.response_complete:
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
        elif kind == "http.response.start" and not self.response_started:
            self._head = self._encode_head(message["status"], message.get("headers", ()))
            self.response_started = True
        else:
            raise RuntimeError(f"the application sent {kind} out of order")
        return connection.state.done

    async def _send_later(self, message: Message) -> None:
        await self._connection.flow.drain()
        await self.send(message)

    async def _woken(self) -> None:
        if self._event is None:
            self._event = asyncio.Event()
        self._connection.flow.resume_reading()
        await self._event.wait()
        self._event.clear()

    def _encode_head(self, status: int, headers: Iterable[Header]) -> bytes:
        lines, closes = self._encode_headers(headers)
        parts = [STATUS_LINES[status], self._connection.state.date_line, lines]
        if closes or not self._stays_open():
            self.keep_alive = False
            parts.append(b"connection: close\r\n")
        if status in _BODILESS:
            self._bodiless = True
        elif self._length_left == NO_LENGTH and self.http_version != "1.0":
            self._chunked = True
            parts.append(b"transfer-encoding: chunked\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)

    def _encode_headers(self, headers: Iterable[Header]) -> tuple[bytes, bool]:
        """The application's headers but those that are the server's business, and whether they ask to close."""
        self._length_left = NO_LENGTH
        closes = False
        usual = self._connection.state.usual_lines
        parts = []
        for header in headers:
            line = usual.get(header)
            if line is None:
                name, value = header
                if name == b"content-length" and self._length_left == NO_LENGTH:
                    self._length_left = int(value)
                elif name in _FRAMING:
                    closes = closes or (name == b"connection" and b"close" in value.lower())
                    continue
                elif not _NAME(name):
                    raise RuntimeError(f"the header name {name!r} is not lower-case ASCII")
                line = b"%b: %b\r\n" % (name, value)
            parts.append(line)
        # One look at all of them: besides the ends of the lines there may be nothing that ends a line.
        lines = b"".join(parts)
        if len(lines) - len(lines.translate(None, _CONTROL)) != 2 * len(parts):
            raise RuntimeError("a header's value holds a control character")
        return lines, closes

    def _stays_open(self) -> bool:
        if not self.keep_alive or self.body_broken or self.timed_out or self._connection.is_last(self):
            return False
        if self._waits_for_word():
            # The client wasn't told to go on: whether its body will come, nobody knows.
            return False
        # What the client still sends of a body that nobody read must be waited for, before the next request comes.
        return not self.more_body or self._expected_length() <= self._connection.state.limits.body_bytes_max

    def _waits_for_word(self) -> bool:
        """Whether the client sends the body only when it is told to."""
        if self._told_to_go_on or not self.more_body or self.http_version == "1.0":
            return False
        return any(name == b"expect" and value.lower() == b"100-continue" for name, value in self.headers)

    def _expected_length(self) -> float:
        lengths = (int(value) for name, value in self.headers if name == b"content-length")
        return next(lengths, NO_LENGTH)

    def _send_body(self, body: bytes, *, more: bool) -> None:
        if self._bodiless:
            body = b""
        elif self._chunked:
            body = b"".join((b"%x\r\n" % len(body), body, b"\r\n")) if body else b""
            if not more:
                body += b"0\r\n\r\n"
        else:
            self._length_left -= len(body)
            if self._length_left < 0 or (self._length_left and not more and self._length_left != NO_LENGTH):
                raise RuntimeError("the answer's body has another length than its Content-Length says")
        if not self.on_the_wire:
            self.on_the_wire = True
            body = self._head + body
        self._connection.transport.write(body)
        if not more:
            self.response_complete = True
            self.wake()
            self._connection.on_answered(self)


class Connection(asyncio.Protocol):
    """The protocol of one connection.

    A request is `latest` when it is the last one whose head was read, `active` when it is being answered, and in
    `queue` when it was sent ahead. `deadline` is when `overdue` is called, in the loop's time.
    """

    transport: asyncio.Transport
    flow: Flow
    server: tuple[str, int] | None = None
    client: tuple[str, int] | None = None
    scheme = "http"

    def __init__(self, state: ListenerState, app_state: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        self.app = state.application.asgi
        self.state = state
        self.app_state = app_state
        self.loop = loop
        self.parser = _parser(self)
        self.url = b""
        self.headers: list[Header] = []
        self.latest: Cycle | None = None
        self.active: Cycle | None = None
        self.queue: deque[Cycle] = deque()
        self.deadline = NEVER
        self.write_deadline = NEVER
        self._refusal: bytes | None = None
        self._fault: tuple[RefusalCode, str] | None = None
        self._body_head: bytes | None = None
        self._deaf = False
        self._dropped = 0
        # Of the head that is being read: how much came in the first, in middle and in this piece of data.
        self._head_open = False
        self._head_begun = False
        self._head_first = 0
        self._head_more = 0
        self._fed = 0
        # Bytes after the latest head that were not body. The piece of data in which the head ended is left out.
        self._beside_body = 0
        self._has_trailers = False
        # Bytes since the latest request that were none of the next.
        self._between = 0
        self.address: str | None = None
        self._untaken = 0

    # From the transport.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or turn the client away where there are too many."""
        self.transport = cast("asyncio.Transport", transport)
        self.flow = Flow(self.transport)
        endpoint = transport.get_extra_info("socket")
        self.server = _address(endpoint.getsockname)
        self.client = _address(endpoint.getpeername)
        self.state.connections.add(self)
        limits = self.state.limits
        admitted, self.address = self.state.room.enter(self, self.client[0] if self.client else None)
        if admitted:
            self.deadline = self.loop.time() + limits.head_timeout_s
        elif len(self.state.connections) <= limits.sockets_max:
            self._refuse("unavailable", "the server has as many connections open as it can serve")
        else:
            self.transport.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Tell those that still answer that nobody listens."""
        self._leave()
        self._deaf = True
        self._hang_up()
        self.queue.clear()
        for cycle in (self.active, self.latest):
            if cycle is not None:
                self._keep_task(cycle)
        self.latest = self.active = None
        self.flow.resume_writing()
        # Each holds the other; left so, both would be garbage that only the collector finds.
        del self.parser

    @override
    def data_received(self, data: bytes) -> None:
        """Read what came; what comes after the last answer is dropped."""
        if self._deaf:
            self._drop(len(data))
            return
        if len(data) > _PIECE_BYTES:
            for start in range(0, len(data), _PIECE_BYTES):
                self.data_received(data[start : start + _PIECE_BYTES])
            return
        self._fed = len(data)
        self._head_begun = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._resume_after_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(*(self._fault or ("bad-request", "the request is not valid HTTP/1.1")))
        else:
            if self._head_open or (self.latest is not None and self.latest.more_body):
                self._look_at_what_is_open()
            elif not self._head_begun:
                self._count_empty_lines()

    @override
    def eof_received(self) -> bool:
        """Whether to stay open for writing: a client may close its side and still wait for its answers."""
        if (self.active is None and not self.queue) or self.latest is None or self.latest.more_body:
            return False
        self._deaf = True
        self.latest.keep_alive = False
        return True

    @override
    def pause_writing(self) -> None:
        """Give a client that takes little or nothing some time, not all of it."""
        self.flow.pause_writing()
        self.write_deadline = self.loop.time() + self.state.limits.write_timeout_s
        self._untaken = self.untaken()
        # Not within the write that has filled the buffer: it may be this very connection that is closed.
        self.loop.call_soon(self._count_unsent)

    @override
    def resume_writing(self) -> None:
        """The client takes what it gets: answer what it has asked meanwhile."""
        self.flow.resume_writing()
        self.write_deadline = NEVER
        self.state.unsent.discard(self)
        if self.active is None and self.queue and not self._deaf:
            self._go_on()

    # From the parser.

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; or a trailer, which is dropped."""
        if self._head_open:
            self.headers.append((name.lower(), value))
        else:
            self._has_trailers = True

    def on_message_begin(self) -> None:
        """A request begins."""
        self.url = b""
        self.headers = []
        self._head_open = True
        self._head_begun = True
        self._head_first = self._fed
        self._head_more = 0
        self._between = 0

    def on_headers_complete(self) -> None:
        """A request's head is complete: it is answered now, or after those before it."""
        self._head_open = False
        version = self.parser.get_http_version()
        self._fault = self._head_fault(version)
        if self._fault is not None:
            raise _FaultError
        cycle = Cycle(
            self,
            self.parser.get_method().decode("ascii"),
            version,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
        )
        if self.parser.should_upgrade():
            self._body_head = _body_head(self.headers)
        self.latest = cycle
        self.deadline = NEVER
        self._beside_body = -self._fed
        if self.active is None and not self.flow.write_paused:
            # Started when all of it is there, or else when all of this piece of data is read.
            self.active = cycle
        else:
            self.flow.pause_reading()
            self.queue.append(cycle)

    def on_body(self, body: bytes) -> None:
        """A piece of the latest request's body."""
        self._beside_body -= len(body)
        cycle = self.latest
        if cycle is None or cycle.response_complete:
            return
        cycle.body = cycle.body + body if cycle.body else body
        if len(cycle.body) > HIGH_WATER_BYTES:
            self.flow.pause_reading()
        cycle.wake()

    def on_message_complete(self) -> None:
        """The latest request is complete."""
        cycle = self.latest
        if cycle is None or self._body_head is not None:
            return
        cycle.more_body = False
        if self._has_trailers:
            self._has_trailers = False
            # The parser obeys `Connection: close` in a trailer too: it would swallow the next request.
            cycle.keep_alive = cycle.keep_alive and self.parser.should_keep_alive()
        if cycle.response_complete:
            if cycle.keep_alive:
                self._rest()
            else:
                self._close()
            return
        self.deadline = NEVER
        if cycle is self.active and not cycle.started:
            self._start(cycle)
        else:
            cycle.wake()

    # From the cycles.

    def is_last(self, cycle: Cycle) -> bool:
        """Whether the server stops, and this is the last request that it took from this connection."""
        return self.state.draining and cycle is self.latest and not self._head_open

    def on_answered(self, cycle: Cycle) -> None:
        """An answer is complete: go on with the next request, wait for one, or end."""
        self.active = None
        if self.transport.is_closing():
            return
        if not cycle.keep_alive:
            self._end(linger=cycle.more_body)
            return
        self._go_on()

    def on_unanswered(self, cycle: Cycle, code: RefusalCode) -> None:
        """The application is done with a request and hasn't answered it, or only in part."""
        if cycle.response_complete or cycle.disconnected or self.transport.is_closing():
            return
        self.active = None
        cycle.response_complete = True
        self.queue.clear()
        if cycle.on_the_wire:
            self._close()
        else:
            self._refusal = self._refusal or self.state.refusal(code, cycle.path)
            self._write_refusal()

    # From the server.

    def overdue(self, now: float) -> None:
        """A deadline is over: close, or answer if there is something to answer."""
        cycle = self.latest
        if self.write_deadline <= now:
            self._judge_reader(now)
        elif self._deaf:
            self.abort()
        elif self._head_open:
            self._refuse("request-timeout", "the headers were not sent in time")
        elif cycle is None or not cycle.more_body:
            self._close()
        elif cycle.response_complete:
            self.abort()
        else:
            cycle.timed_out = True
            self.deadline = NEVER
            if cycle is self.active and not cycle.started:
                self._start(cycle)
            cycle.wake()

    def abort(self) -> None:
        """Close at once, whatever is still to be sent."""
        self._deaf = True
        self._hang_up()
        self.transport.abort()

    def waits_since(self) -> float | None:
        """See `Guest`."""
        limits = self.state.limits
        if self.write_deadline != NEVER:
            return self.write_deadline - limits.write_timeout_s
        if self.deadline == NEVER or (self.active is not None and not self.active.more_body):
            return None
        if self._deaf:
            return self.deadline - limits.linger_timeout_s
        if self._head_open or self.latest is None:
            return self.deadline - limits.head_timeout_s
        return self.deadline - (limits.body_timeout_s if self.latest.more_body else limits.idle_timeout_s)

    def make_way(self) -> bool:
        """See `Guest`."""
        if not self._deaf and not self.flow.read_paused and _queued_bytes(self.transport, termios.FIONREAD):
            return False
        self._leave()
        self.abort()
        return True

    def unsent(self) -> int:
        """See `Guest`."""
        return self.transport.get_write_buffer_size()

    def untaken(self) -> int:
        """See `Guest`."""
        return self.unsent() + _queued_bytes(self.transport, termios.TIOCOUTQ)

    def close_if_idle(self) -> None:
        """Close unless a request is being received or answered."""
        cycle = self.latest
        idle = cycle is None or (cycle.response_complete and not cycle.more_body)
        if idle and not self._head_open and not self._deaf:
            self._close()

    def unfinished(self) -> asyncio.Task[None] | None:
        """The task that answers a request of this connection now."""
        return None if self.active is None else self.active.task

    def give_up(self) -> None:
        """Answer a request that is still with the express lane: nobody knows what it comes to."""
        if self.active is not None and self.active.passage is not None:
            self.active.passage.give_up()

    # Inside.

    def _leave(self) -> None:
        self.state.room.leave(self, self.address)
        self.state.unsent.discard(self)

    def _count_unsent(self) -> None:
        if self.flow.write_paused and not self.transport.is_closing():
            self.state.unsent.add(self)

    def _judge_reader(self, now: float) -> None:
        """Give a client that takes its answer, if slowly, another while; drop one that doesn't."""
        limits = self.state.limits
        untaken = self.untaken()
        if self._untaken - untaken < limits.write_bytes_min:
            self.abort()
        else:
            self._untaken = untaken
            self.write_deadline = now + limits.write_timeout_s

    def _go_on(self) -> None:
        """Answer the next request, or wait for one."""
        if self.queue:
            # Answers pile up nowhere: a client that takes none has the next request answered when it does.
            if not self.flow.write_paused:
                self._start(self.queue.popleft())
        elif self._refusal is not None:
            self._write_refusal()
        elif not self._head_open and self.latest is not None and not self.latest.more_body:
            self._rest()
        if self.flow.read_paused and not self.queue and not self.transport.is_closing():
            self.flow.resume_reading()

    def _start(self, cycle: Cycle) -> None:
        """Answer the request: by the express lane, or else by ASGI, in a task of its own."""
        self.active = cycle
        cycle.started = True
        # What a client doesn't take is waited for by ASGI's way only.
        express = self.state.express
        if express is not None and not cycle.more_body and not self.flow.write_paused:
            passage = express.take(cycle)
            if passage is not None:
                # One that was answered at once would hold, and be held by, its request for good.
                cycle.passage = None if passage.over else passage
                return
        cycle.task = self.loop.create_task(cycle.run(self.app))

    def _rest(self) -> None:
        self.deadline = self.loop.time() + self.state.limits.idle_timeout_s

    def _look_at_what_is_open(self) -> None:
        """Bound the time and size of what has begun and isn't complete."""
        limits = self.state.limits
        if self._head_open:
            if self._head_begun:
                self.deadline = self.loop.time() + limits.head_timeout_s
                return
            self._head_more += self._fed
            if self._head_more > limits.head_bytes_max:
                self._refuse("headers-too-large", _head_too_large(limits))
        elif self.latest is not None and self.latest.more_body:
            self._beside_body = max(0, self._beside_body + self._fed)
            if self._beside_body > limits.head_bytes_max:
                self._refuse("headers-too-large", _too_much_beside_body(limits))
                return
            if self.deadline == NEVER:
                self.deadline = self.loop.time() + limits.body_timeout_s
            if self.active is self.latest and not self.active.started and not self._waits_for_rest(self.active):
                self._start(self.active)

    def _count_empty_lines(self) -> None:
        """Bound what comes between requests: the parser reads over line ends. The end of a body may count once."""
        limits = self.state.limits
        self._between += self._fed
        if self._between > limits.head_bytes_max:
            self._refuse("bad-request", f"empty lines may have at most {limits.head_bytes_max} bytes together")

    def _waits_for_rest(self, cycle: Cycle) -> bool:
        """Whether the rest of a body is so short that the request may become one for the express lane.

        Some clients send the head and the body apart, even if the body is a few bytes.
        """
        if self.state.express is None or not self.state.express.may_take(cycle):
            return False
        headers = dict(cycle.headers)
        length = headers.get(b"content-length")
        return length is not None and int(length) <= _SHORT_BODY and b"expect" not in headers

    def _head_fault(self, version: str) -> tuple[RefusalCode, str] | None:
        """Why the head that was just read can't be served, if so."""
        limits = self.state.limits
        # An upper bound that costs nothing; the sum is made only where it matters.
        size = self._fed if self._head_begun else self._head_first + self._head_more + self._fed
        if len(self.url) > limits.url_bytes_max:
            return "uri-too-long", f"the address may have at most {limits.url_bytes_max} bytes"
        if len(self.headers) > limits.headers_max:
            return "headers-too-large", f"a request may have at most {limits.headers_max} headers"
        if size > limits.head_bytes_max and self._head_size() > limits.head_bytes_max:
            return "headers-too-large", _head_too_large(limits)
        if len(self.queue) >= limits.pipelined_max:
            return "unavailable", f"at most {limits.pipelined_max} requests may be sent ahead on a connection"
        if version not in _VERSIONS:
            return "bad-request", f"the server speaks HTTP/1.1, not HTTP/{version}"
        return None

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)

    def _resume_after_upgrade(self, rest: bytes) -> None:
        """Read on after a request that asked for another protocol.

        The parser takes what follows for that protocol. A new one is told of the body that is still to come by a head
        made for it, whose callbacks are left out.
        """
        self.parser = _parser(self if self._body_head is None else _SecondReading(self))
        if self._body_head is not None:
            head, self._body_head = self._body_head, None
            self.parser.feed_data(head)
        self.data_received(rest)

    def _refuse(self, code: RefusalCode, detail: str) -> None:
        """Answer what can't be served, after the requests before it, and end."""
        self._deaf = True
        self.deadline = NEVER
        instance = self.url.partition(b"?")[0].decode("ascii", "replace")
        self._refusal = self.state.refusal(code, instance[:_INSTANCE_MAX] or "/", detail)
        if self.latest is not None and self.latest.more_body:
            self._abandon(self.latest)
        if self.active is None and not self.queue:
            self._write_refusal()

    def _abandon(self, cycle: Cycle) -> None:
        """Let a request whose body is broken come to nothing, as far as it hasn't done anything yet."""
        if cycle in self.queue:
            self.queue.remove(cycle)
        elif cycle.begun:
            cycle.body_broken = True
            cycle.wake()
        elif cycle is self.active:
            if cycle.task is not None:
                cycle.task.cancel()
            self.active = None

    def _write_refusal(self) -> None:
        if self._refusal is not None:
            self.transport.write(self._refusal)
        self._end(linger=True)

    def _end(self, *, linger: bool) -> None:
        """Close; while the client still sends, for writing only."""
        if not linger or not self.transport.can_write_eof():
            self._close()
            return
        self._deaf = True
        with contextlib.suppress(OSError):  # the client may be gone just now
            self.transport.write_eof()
        self.flow.resume_reading()
        self.deadline = self.loop.time() + self.state.limits.linger_timeout_s

    def _close(self) -> None:
        self._deaf = True
        self.transport.close()
        # For a client that doesn't take the last bytes.
        self.deadline = self.loop.time() + self.state.limits.linger_timeout_s

    def _drop(self, received: int) -> None:
        self._dropped += received
        if self._dropped > self.state.limits.linger_bytes_max:
            self.abort()

    def _hang_up(self) -> None:
        """Tell those that answer, or wait for a body, that nobody is there."""
        for cycle in (self.active, self.latest):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.wake()

    def _keep_task(self, cycle: Cycle) -> None:
        """What a client began and doesn't wait for is finished all the same, and waited for when the server stops."""
        if cycle.task is not None and not cycle.task.done():
            self.state.tasks.add(cycle.task)
            cycle.task.add_done_callback(self.state.tasks.discard)


class _SecondReading:
    """Hands a new parser's callbacks on to the connection, but for those of the first head."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._skips = True
        self.on_body = connection.on_body
        self.on_message_complete = connection.on_message_complete

    def on_message_begin(self) -> None:
        if not self._skips:
            self._connection.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._skips:
            self._connection.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._skips:
            self._connection.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._skips:
            self._skips = False
        else:
            self._connection.on_headers_complete()


class _FaultError(Exception):
    """Stops the parser."""


def _parser(callbacks: object) -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(callbacks)
    # Requests sent ahead of an answer are read even after one that asks to close: it is the answer that closes.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def _address(of: Callable[[], Any]) -> tuple[str, int] | None:
    """Host and port of one end of a TCP connection."""
    try:
        host, port, *_ = of()
    except OSError:  # the client is gone already
        return None
    return str(host), int(port)


def _queued_bytes(transport: asyncio.Transport, which: int) -> int:
    """Bytes in the system's queues of this connection: FIONREAD those to be read, TIOCOUTQ those not acknowledged."""
    endpoint = transport.get_extra_info("socket")
    try:
        return int.from_bytes(fcntl.ioctl(endpoint.fileno(), which, bytes(4)), sys.byteorder)
    except OSError:  # The connection is closed, or the system doesn't count.
        return 0


# A crowd asks for few addresses.
@lru_cache(maxsize=1024)
def _split(url: bytes) -> tuple[str, bytes, bytes]:
    """A request's target: path, path as it was sent, query."""
    if url.startswith(b"/") and b"#" not in url:
        raw_path, _, query = url.partition(b"?")
    else:
        parsed = httptools.parse_url(url)
        raw_path, query = parsed.path or b"/", parsed.query or b""
    path = raw_path.decode("ascii")
    return unquote(path) if "%" in path else path, raw_path, query


def _body_head(headers: Iterable[Header]) -> bytes | None:
    """A head that announces the same body as these headers, or nothing where they announce none."""
    framing = [b"%b: %b\r\n" % header for header in headers if header[0] in {b"content-length", b"transfer-encoding"}]
    return b"".join((b"POST / HTTP/1.1\r\n", *framing, b"\r\n")) if framing else None


def _head_too_large(limits: HttpLimits) -> str:
    return f"request line and headers may have at most {limits.head_bytes_max} bytes together"


def _too_much_beside_body(limits: HttpLimits) -> str:
    return f"chunk sizes, chunk extensions and trailers may have at most {limits.head_bytes_max} bytes together"
