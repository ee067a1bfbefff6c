"""Reads requests from a client's bytes, with bounds on everything that a client may send.

The syntax is httptools' business (llhttp). Here are the bounds that it doesn't have: on the head, the target, the
number of headers and of requests sent ahead; on empty lines between requests; and on what follows a head without being
body: chunk sizes, chunk extensions, trailers. Trailers never become headers (RFC 9110, 6.5.1): they are dropped.
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
    IN_BODY,
    IN_HEAD,
    OPEN,
    REQUEST_ENDS,
    ConnectionState,
    ReadingMachine,
)

PIECE_BYTES: Final = 4096
"""The reader gets at most this many bytes at once, so that the bounds are checked while a large read is parsed."""

_VERSIONS: Final = frozenset({"1.1", "1.0"})


class RequestSink(Protocol):
    """A connection, as the reader of its requests sees it."""

    @property
    def state(self) -> ConnectionState:
        """Whether bytes are read."""
        ...

    @property
    def queue(self) -> Sized:
        """Requests that wait for an earlier one's answer."""
        ...

    def data_received(self, data: bytes, /) -> None:
        """Read what came."""
        ...

    def head_read(self, method: str, version: str, url: bytes, headers: list[Header], keep_alive: bool, /) -> None:  # noqa: FBT001 once for each request
        """A head is complete."""
        ...

    def body_read(self, body: bytes, /) -> None:
        """A piece of the latest request's body came."""
        ...

    def trailers_read(self, keep_alive: bool, /) -> None:  # noqa: FBT001 as above
        """Trailers came, which may ask to close the connection."""
        ...

    def request_read(self) -> None:
        """The latest request is complete."""
        ...

    def head_begun(self) -> None:
        """A piece of data is read, at whose end a head that began in it was not complete."""
        ...

    def body_open(self) -> None:
        """A piece of data is read, at whose end a request's body was not complete."""
        ...

    def refuse(self, code: RefusalCode, detail: str, /) -> None:
        """What came is no valid request, or crosses a bound."""
        ...


class RequestReader(ReadingMachine):
    """The parser of one connection, its callbacks, and the counts that its bounds need."""

    def __init__(self, sink: RequestSink, limits: HttpLimits) -> None:
        self._sink = sink
        self._limits = limits
        self._parser = _parser(self)
        self.url = b""
        self._headers: list[Header] = []
        self._fault: tuple[RefusalCode, str] | None = None
        self._body_head: bytes | None = None
        # Of the head that is being read: how much came in the first, in middle and in this piece of data.
        self._begun = False
        self._head_first = 0
        self._head_more = 0
        self._fed = 0
        # Bytes after the latest head that were not body. The piece of data in which the head ended is left out.
        self._beside_body = 0
        self._has_trailers = False
        # Bytes since the latest request that were none of the next.
        self._between = 0

    def feed(self, data: bytes) -> None:
        """Read a piece of data. Tells the connection what was in it."""
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
        """Read nothing any more."""
        # Each holds the others; left so, all would be garbage that only the collector finds.
        del self._parser, self._sink

    # From the parser.

    def on_message_begin(self) -> None:
        """A request begins. The one before it may just have got the connection's last answer."""
        if self._sink.state != OPEN:
            raise _StopError
        self.read(HEAD_BEGINS)
        self.url = b""
        self._headers = []
        self._begun = True
        self._head_first = self._fed
        self._head_more = 0
        self._between = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; or a trailer, which is dropped."""
        if self.reading == IN_HEAD:
            self._headers.append((name.lower(), value))
        else:
            self._has_trailers = True

    def on_headers_complete(self) -> None:
        """A request's head is complete."""
        self.read(HEAD_ENDS)
        parser, headers = self._parser, self._headers
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
        """A piece of the body."""
        self._beside_body -= len(body)
        self._sink.body_read(body)

    def on_message_complete(self) -> None:
        """The request is complete, unless it asked to upgrade: then the parser hasn't seen its body."""
        if self._body_head is not None:
            return
        self.read(REQUEST_ENDS)
        if self._has_trailers:
            self._has_trailers = False
            # The parser obeys `Connection: close` in a trailer too: it would swallow the next request.
            self._sink.trailers_read(self._parser.should_keep_alive())
        self._sink.request_read()

    # Bounds.

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
        """The parser reads over line ends between requests. The end of a body may count once."""
        most = self._limits.head_bytes_max
        self._between += self._fed
        if self._between > most:
            self._sink.refuse("bad-request", f"empty lines may have at most {most} bytes together")

    def _head_fault(self, version: str) -> tuple[RefusalCode, str] | None:
        """Why the head that was just read can't be served, if so."""
        limits = self._limits
        # An upper bound that costs nothing; the sum is made only where it matters.
        size = self._fed if self._begun else self._head_first + self._head_more + self._fed
        if len(self.url) > limits.url_bytes_max:
            return "uri-too-long", f"the address may have at most {limits.url_bytes_max} bytes"
        if len(self._headers) > limits.headers_max:
            return "headers-too-large", f"a request may have at most {limits.headers_max} headers"
        if size > limits.head_bytes_max and self._head_size() > limits.head_bytes_max:
            return "headers-too-large", _head_too_large(limits)
        if len(self._sink.queue) >= limits.pipelined_max:
            return "unavailable", f"at most {limits.pipelined_max} requests may be sent ahead on a connection"
        if version not in _VERSIONS:
            return "bad-request", f"the server speaks HTTP/1.1, not HTTP/{version}"
        return None

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self._headers)

    def _resume_after_upgrade(self) -> None:
        """Read on after a request that asked for another protocol.

        The parser takes what follows for that protocol. A new one is told of the body that is still to come by a head
        made for it, whose callbacks are left out.
        """
        if self._body_head is None:
            self._parser = _parser(self)
            return
        head, self._body_head = self._body_head, None
        self._parser = _parser(_CallbacksAfterHead(self))
        self._parser.feed_data(head)


class _CallbacksAfterHead:
    """Hands a new parser's callbacks on to the reader, but for those of the first head."""

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
    # Requests sent ahead of an answer are read even after one that asks to close: it is the answer that closes.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def _body_head(headers: Iterable[Header]) -> bytes | None:
    """A head that announces the same body as these headers, or nothing where they announce none."""
    framing = [b"%b: %b\r\n" % header for header in headers if header[0] in {b"content-length", b"transfer-encoding"}]
    return b"".join((b"POST / HTTP/1.1\r\n", *framing, b"\r\n")) if framing else None


def _head_too_large(limits: HttpLimits) -> str:
    return f"request line and headers may have at most {limits.head_bytes_max} bytes together"


def _too_much_beside_body(limits: HttpLimits) -> str:
    return f"chunk sizes, chunk extensions and trailers may have at most {limits.head_bytes_max} bytes together"
