"""An exchange: one request on a connection and its answer, by ASGI or by the express lane."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, Final, Protocol

from flashreserve.server.answer_head import NO_LENGTH, encode_headers
from flashreserve.server.asgi import TIMED_OUT, App, Header, Message, Scope
from flashreserve.server.flow import Flow
from flashreserve.server.lifespan import ASGI_VERSION
from flashreserve.server.limits import HttpLimits
from flashreserve.server.open_stream import STREAMED, Begun, OpenStream
from flashreserve.server.refusals import STATUS_LINES, RefusalCode
from flashreserve.server.states import (
    ANSWER,
    ANSWERED,
    BODY,
    BROKEN,
    COMING,
    COMPLETE,
    GONE,
    HEAD_GIVEN,
    HELD,
    HOLD_HEAD,
    INCOMPLETE,
    LEAVE,
    OVER,
    QUEUED,
    RUN,
    RUNNING,
    SEND,
    STREAM,
    STREAMING,
    TAKE_BODY,
    WHOLE,
    AnswerState,
    BodyState,
)
from flashreserve.server.target import split_target

_SPEC_VERSION: Final = "2.3"
_EXTENSIONS: Final[Mapping[str, Mapping[str, Any]]] = {STREAMED: {}}
_BODILESS: Final = frozenset({204, 304})

_log: Final = logging.getLogger("flashreserve.server")


class PromisedAnswer(Protocol):
    """The answer that the express lane owes for a request that it has taken."""

    @property
    def over(self) -> bool:
        """Whether the answer was given."""
        ...

    def give_up(self) -> None:
        """Answer at once that the outcome is unknown, because the server waits no longer."""
        ...


class SharedByAnswers(Protocol):
    """State that the answers of all connections share; see `SharedState`."""

    limits: HttpLimits
    draining: bool
    date_line: bytes
    done: asyncio.Future[None]

    @property
    def usual_lines(self) -> Mapping[Header, bytes]:
        """Headers of nearly every answer, as bytes."""
        ...


class Channel(Protocol):
    """The part of a connection that its exchanges use."""

    transport: asyncio.Transport
    flow: Flow
    client: tuple[str, int] | None
    server: tuple[str, int] | None
    app_state: dict[str, Any]

    @property
    def shared(self) -> SharedByAnswers:
        """The state shared by all connections."""
        ...

    def is_last(self, exchange: "Exchange", /) -> bool:
        """Whether the server is stopping, and this is the last request that it accepted from this connection."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...

    def answered(self, exchange: "Exchange", /) -> None:
        """The answer is complete."""
        ...

    def unanswered(self, exchange: "Exchange", code: RefusalCode, /) -> None:
        """The application returned without an answer, or with an incomplete one."""
        ...


class Exchange:
    """One request and its answer. Names are those of ASGI's scope; `receive` and `send` are ASGI's.

    Attributes:
        client: The client's address and port.
        body: The part of the request's body that was read and not yet taken by the application.
        keep_alive: Whether the connection stays open after the answer.
        late: Whether the body wasn't sent in time.
        task: The task that runs the application.
        promised: The answer that the express lane owes, if any.
        stream: The rest of an answer that goes on after the application has returned, if any.
    """

    # Defaults that most requests never change are class attributes: this saves an assignment for each request.
    body_state: BodyState = COMING
    answer_state: AnswerState = QUEUED
    body = b""
    late = False
    task: asyncio.Task[None] | None = None
    promised: PromisedAnswer | None = None
    stream: OpenStream | None = None
    scheme: str = "http"
    _told_to_go_on = False
    _event: asyncio.Event | None = None
    _head = b""
    _chunked = False
    _length_left = NO_LENGTH

    def __init__(
        self, channel: Channel, method: str, http_version: str, url: bytes, headers: list[Header], *, keep_alive: bool
    ) -> None:
        self._channel = channel
        self.method = method
        self.http_version = http_version
        self.path, self.raw_path, self.query_string = split_target(url)
        self.headers = headers
        self.client = channel.client
        self.keep_alive = keep_alive
        self._bodiless = method == "HEAD"

    # For the express lane.

    def answer(self, status: int, lines: bytes, body: bytes, *, close: bool) -> None:
        """Write a whole answer. `lines` are its headers, each with its end of line. `close` makes it the last one.

        Writes at once, without flow control: a connection has only one request at a time in the lane.
        """
        self.promised = None
        if self.answer_state == GONE:
            return
        channel = self._channel
        shared = channel.shared
        head = STATUS_LINES[status] + shared.date_line + lines
        if close or not self.keep_alive or (shared.draining and channel.is_last(self)):
            self.keep_alive = False
            head += b"connection: close\r\n"
        self.answer_state = ANSWER[self.answer_state][COMPLETE]
        channel.transport.write(b"%b\r\n%b" % (head, body))
        channel.answered(self)

    # For ASGI.

    def scope(self) -> Scope:
        """The request as an ASGI scope."""
        channel = self._channel
        return {
            "type": "http",
            "asgi": {"version": ASGI_VERSION, "spec_version": _SPEC_VERSION},
            "http_version": self.http_version,
            "server": channel.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": self.method,
            "root_path": "",
            "path": self.path,
            "raw_path": self.raw_path,
            "query_string": self.query_string,
            "headers": self.headers,
            "state": channel.app_state.copy(),
            "extensions": _EXTENSIONS,
        }

    async def run(self, app: App) -> None:
        """Run the application, and make sure that there is an answer."""
        self.answer_state = ANSWER[self.answer_state][RUN]
        try:
            await app(self.scope(), self.receive, self.send)
        except asyncio.CancelledError:
            self._channel.unanswered(self, "outcome-unknown")
        except Exception:  # noqa: BLE001 the edge catches all errors; without an edge, this is the last handler
            _log.exception("unhandled error")
            self._channel.unanswered(self, "internal")
        else:
            if self.answer_state not in {ANSWERED, STREAMING}:
                self._channel.unanswered(self, "request-timeout" if self.late else "internal")

    async def receive(self) -> Message:
        """The next part of the body. After the last one, waits until the client has gone or the answer is complete."""
        while True:
            if self.body or self.body_state == WHOLE:
                body, self.body = self.body, b""
                if self.body_state == WHOLE:
                    self.body_state = BODY[self.body_state][TAKE_BODY]
                return {"type": "http.request", "body": body, "more_body": self.more_body}
            if self.over or self.body_state == BROKEN:
                return {"type": "http.disconnect"}
            if self.late:
                return {"type": "http.disconnect", TIMED_OUT: True}
            if self.answer_state == RUNNING and self._waits_for_word():
                self._told_to_go_on = True
                self._channel.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self._woken()

    # Not a coroutine: if nothing must be awaited, returning a finished future is cheaper.
    def send(self, message: Message) -> Awaitable[None]:
        """Write the answer. Raises RuntimeError, before any of it is written, if the message breaks HTTP."""
        channel = self._channel
        state = self.answer_state
        if state == GONE:
            return channel.shared.done
        if channel.flow.write_paused:
            return self._send_later(message)
        kind = message["type"]
        if kind == "http.response.body" and state in HEAD_GIVEN:
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
        elif kind == "http.response.start" and state == RUNNING:
            begun = message.get(STREAMED)
            if begun is not None:
                self._stream(message, begun)
                return channel.shared.done
            self._head = self._encode_head(message["status"], message.get("headers", ()))
            self.answer_state = ANSWER[self.answer_state][HOLD_HEAD]
        else:
            raise RuntimeError(f"the application sent {kind} out of order")
        return channel.shared.done

    def leave(self) -> None:
        """The client has gone: tell those that answer, or wait for a body."""
        self.answer_state = ANSWER[self.answer_state][LEAVE]
        self.wake()
        self._end_stream()

    # For `OpenStream`.

    def write_streamed(self, data: bytes) -> bool:
        """Write more of a streamed answer, unless the client isn't taking its data or the answer is over."""
        if self.answer_state != STREAMING or self._channel.flow.write_paused:
            return False
        self._channel.transport.write(data)
        return True

    def end_streamed(self) -> None:
        """Complete a streamed answer."""
        if self.answer_state == STREAMING:
            self.answer_state = ANSWER[self.answer_state][COMPLETE]
            self._end_stream()
            self._channel.answered(self)

    def drop_client(self) -> None:
        """Close the connection at once."""
        self._channel.abort()

    def untaken(self) -> int:
        """Bytes that the client hasn't acknowledged."""
        return self._channel.flow.untaken()

    def wake(self) -> None:
        """Wake up a waiting `receive`."""
        if self._event is not None:
            self._event.set()

    @property
    def over(self) -> bool:
        """Whether no more of the answer can be written."""
        return self.answer_state in OVER

    @property
    def more_body(self) -> bool:
        """Whether the request's body is incomplete."""
        return self.body_state in INCOMPLETE

    async def _send_later(self, message: Message) -> None:
        await self._channel.flow.writable()
        await self.send(message)

    async def _woken(self) -> None:
        if self._event is None:
            self._event = asyncio.Event()
        self._channel.flow.resume_reading()
        await self._event.wait()
        self._event.clear()

    def _stream(self, message: Message, begun: Begun) -> None:
        """Write the head of an answer that goes on after the application has returned. HEAD gets the head only."""
        head = self._encode_head(message["status"], message.get("headers", ()), until_close=True)
        self._channel.transport.write(head)
        if self._bodiless:
            self.answer_state = ANSWER[self.answer_state][COMPLETE]
            self._channel.answered(self)
            return
        self.answer_state = ANSWER[self.answer_state][STREAM]
        self.stream = OpenStream(self)
        begun(self.stream)

    def _end_stream(self) -> None:
        """Tell the owner of the stream, if there is one, that it is over."""
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.ended()

    def _encode_head(self, status: int, headers: Iterable[Header], *, until_close: bool = False) -> bytes:
        shared = self._channel.shared
        lines, self._length_left, closes = encode_headers(headers, shared.usual_lines)
        parts = [STATUS_LINES[status], shared.date_line, lines]
        if closes or until_close or not self._stays_open():
            self.keep_alive = False
            parts.append(b"connection: close\r\n")
        if status in _BODILESS:
            self._bodiless = True
        elif self._length_left == NO_LENGTH and self.http_version != "1.0" and not until_close:
            self._chunked = True
            parts.append(b"transfer-encoding: chunked\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)

    def _stays_open(self) -> bool:
        if not self.keep_alive or self.body_state == BROKEN or self.late or self._channel.is_last(self):
            return False
        if self._waits_for_word():
            # The client sent `Expect: 100-continue` and was not told to go on: it may or may not send its body.
            return False
        # The client may still be sending a body that the application didn't read. The next request comes only after it.
        return self.body_state != COMING or self._expected_length() <= self._channel.shared.limits.body_bytes_max

    def _waits_for_word(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body."""
        if self._told_to_go_on or self.body_state != COMING or self.http_version == "1.0":
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
        if self.answer_state == HELD:
            body = self._head + body
        self.answer_state = ANSWER[self.answer_state][SEND if more else COMPLETE]
        self._channel.transport.write(body)
        if not more:
            self.wake()
            self._channel.answered(self)
