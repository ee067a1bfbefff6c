"""Reads requests from a client's bytes, with limits on everything that a client may send.

httptools (llhttp) parses the syntax. This module adds the limits that it lacks: on the head, the target, the number of
headers and of pipelined requests, on empty lines between requests, and on framing (chunk sizes, chunk extensions and
trailers). Trailers never become headers (RFC 9110, 6.5.1): they are dropped.
"""

from collections.abc import Iterable, Sized
from typing import Final, Protocol

import httptools

from flashreserve.server.asgi import Header
from flashreserve.server.limits import HttpLimits
from flashreserve.server.refusals import RefusalCode
from flashreserve.server.states import (
    HEAD_BEGINS,
    HEAD_ENDS,
    IDLE,
    IN_BODY,
    IN_HEAD,
    OPEN,
    READING,
    REQUEST_ENDS,
    ConnectionState,
    Reading,
)

PIECE_BYTES: Final = 4096
"""The parser gets at most this many bytes at once, so that limits are checked in the middle of a large read."""

_VERSIONS: Final = frozenset({"1.1", "1.0"})


class RequestSink(Protocol):
    """The part of a connection that the reader uses."""

    @property
    def state(self) -> ConnectionState:
        """The connection's state, which says whether bytes are read."""
        ...

    @property
    def queue(self) -> Sized:
        """Requests that wait for an earlier one's answer."""
        ...

    def data_received(self, data: bytes, /) -> None:
        """Read the data."""
        ...

    def head_read(self, method: str, version: str, url: bytes, headers: list[Header], keep_alive: bool, /) -> None:  # noqa: FBT001 positional for speed
        """A head is complete."""
        ...

    def body_read(self, body: bytes, /) -> None:
        """Part of the latest request's body was read."""
        ...

    def trailers_read(self, keep_alive: bool, /) -> None:  # noqa: FBT001 as above
        """Trailers were read; they may ask to close the connection."""
        ...

    def request_read(self) -> None:
        """The latest request is complete."""
        ...

    def head_begun(self) -> None:
        """A piece of data has been read, and a head that began in it is incomplete."""
        ...

    def body_open(self) -> None:
        """A piece of data has been read, and a request's body is incomplete."""
        ...

    def refuse(self, code: RefusalCode, detail: str, /) -> None:
        """The data is not a valid request, or exceeds a limit."""
        ...


class RequestReader:
    """The parser of one connection, its callbacks, and the counters for its limits.

    `url` and `headers` are those of the latest head, as much of it as was read.
    """

    reading: Reading = IDLE

    def __init__(self, sink: RequestSink, limits: HttpLimits) -> None:
        self._sink = sink
        self._limits = limits
        self._parser = _parser(self)
        self.url = b""
        self.headers: list[Header] = []
        self._fault: tuple[RefusalCode, str] | None = None
        self._body_head: bytes | None = None
        # Bytes of the current head in its first piece of data, in those between, and in this one.
        self._begun = False
        self._head_first = 0
        self._head_more = 0
        self._fed = 0
        # Framing bytes since the latest head. Those in the piece of data that ended the head aren't counted.
        self._beside_body = 0
        self._has_trailers = False
        # Bytes since the latest request that don't belong to the next one.
        self._between = 0

    def feed(self, data: bytes) -> None:
        """Read a piece of data, and report its contents to the connection."""
        self._fed = len(data)
        self._begun = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._resume_after_upgrade()
            self._sink.data_received(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            if self._sink.state == OPEN:
                self._sink.refuse(*(self._fault or ("bad-request", "the request is not valid HTTP/1.1")))
        else:
            if self.reading == IN_HEAD:
                self._bound_head()
            elif self.reading == IN_BODY:
                self._bound_body()
            elif not self._begun and self._sink.state == OPEN:
                self._bound_empty_lines()

    def close(self) -> None:
        """Stop reading."""
        # The parser and the reader refer to each other. Without this, only the garbage collector could free them.
        del self._parser, self._sink

    # Called by the parser.

    def on_message_begin(self) -> None:
        """A request begins. The connection may just have sent its last answer."""
        if self._sink.state != OPEN:
            raise _StopError
        self.reading = READING[self.reading][HEAD_BEGINS]
        self.url = b""
        self.headers = []
        self._begun = True
        self._head_first = self._fed
        self._head_more = 0
        self._between = 0

    def on_url(self, url: bytes) -> None:
        """Part of the target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or a trailer, which is dropped."""
        if self.reading == IN_HEAD:
            self.headers.append((name.lower(), value))
        else:
            self._has_trailers = True

    def on_headers_complete(self) -> None:
        """A request's head is complete."""
        self.reading = READING[self.reading][HEAD_ENDS]
        parser, headers = self._parser, self.headers
        version = parser.get_http_version()
        self._fault = self._head_fault(version)
        if self._fault is not None:
            raise _StopError
        self._beside_body = -self._fed
        self._sink.head_read(
            parser.get_method().decode("ascii"),
            version,
            self.url,
            headers,
            version != "1.0" and parser.should_keep_alive(),
        )
        if parser.should_upgrade():
            self._body_head = _body_head(headers)

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self._beside_body -= len(body)
        self._sink.body_read(body)

    def on_message_complete(self) -> None:
        """The request is complete. If it asked to upgrade, the parser hasn't read its body yet."""
        if self._body_head is not None:
            return
        self.reading = READING[self.reading][REQUEST_ENDS]
        if self._has_trailers:
            self._has_trailers = False
            # The parser obeys `Connection: close` in a trailer too, and would then swallow the next request.
            self._sink.trailers_read(self._parser.should_keep_alive())
        self._sink.request_read()

    # Limits.

    def _bound_head(self) -> None:
        if self._begun:
            self._sink.head_begun()
            return
        self._head_more += self._fed
        if self._head_more > self._limits.head_bytes_max:
            self._sink.refuse("headers-too-large", _head_too_large(self._limits))

    def _bound_body(self) -> None:
        self._beside_body = max(0, self._beside_body + self._fed)
        if self._beside_body > self._limits.head_bytes_max:
            self._sink.refuse("headers-too-large", _too_much_beside_body(self._limits))
        else:
            self._sink.body_open()

    def _bound_empty_lines(self) -> None:
        """Limit the line ends between requests, which the parser skips. The end of a body may count once."""
        most = self._limits.head_bytes_max
        self._between += self._fed
        if self._between > most:
            self._sink.refuse("bad-request", f"empty lines may have at most {most} bytes together")

    def _head_fault(self, version: str) -> tuple[RefusalCode, str] | None:
        """The reason why the head just read can't be served, or None."""
        limits = self._limits
        # An upper bound that is cheap to compute; the exact size is computed only if this exceeds the limit.
        size = self._fed if self._begun else self._head_first + self._head_more + self._fed
        if len(self.url) > limits.url_bytes_max:
            return "uri-too-long", f"the address may have at most {limits.url_bytes_max} bytes"
        if len(self.headers) > limits.headers_max:
            return "headers-too-large", f"a request may have at most {limits.headers_max} headers"
        if size > limits.head_bytes_max and self._head_size() > limits.head_bytes_max:
            return "headers-too-large", _head_too_large(limits)
        if len(self._sink.queue) >= limits.pipelined_max:
            return "unavailable", f"at most {limits.pipelined_max} requests may be sent ahead on a connection"
        if version not in _VERSIONS:
            return "bad-request", f"the server speaks HTTP/1.1, not HTTP/{version}"
        return None

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)

    def _resume_after_upgrade(self) -> None:
        """Read on after a request that asked to upgrade to another protocol.

        The parser treats the following bytes as that protocol's. So a new parser takes over. It first gets a made-up
        head that announces the body still to come; the callbacks for this head are ignored.
        """
        if self._body_head is None:
            self._parser = _parser(self)
            return
        head, self._body_head = self._body_head, None
        self._parser = _parser(_CallbacksAfterHead(self))
        self._parser.feed_data(head)


class _CallbacksAfterHead:
    """Passes a new parser's callbacks on to the reader, except those for the made-up head."""

    def __init__(self, reader: RequestReader) -> None:
        self._reader = reader
        self._skips = True
        self.on_body = reader.on_body
        self.on_message_complete = reader.on_message_complete

    def on_message_begin(self) -> None:
        if not self._skips:
            self._reader.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._skips:
            self._reader.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._skips:
            self._reader.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._skips:
            self._skips = False
        else:
            self._reader.on_headers_complete()


class _StopError(Exception):
    """Stops the parser."""


def _parser(callbacks: object) -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(callbacks)
    # Pipelined requests after one that asks to close are still read: it is the server that closes, after the answer.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def _body_head(headers: Iterable[Header]) -> bytes | None:
    """A head that announces the same body as these headers; None if they announce no body."""
    framing = [b"%b: %b\r\n" % header for header in headers if header[0] in {b"content-length", b"transfer-encoding"}]
    return b"".join((b"POST / HTTP/1.1\r\n", *framing, b"\r\n")) if framing else None


def _head_too_large(limits: HttpLimits) -> str:
    return f"request line and headers may have at most {limits.head_bytes_max} bytes together"


def _too_much_beside_body(limits: HttpLimits) -> str:
    return f"chunk sizes, chunk extensions and trailers may have at most {limits.head_bytes_max} bytes together"
