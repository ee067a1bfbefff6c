"""An HTTP/1.1 client for the crowd: one request at a time on a connection; connections are kept and reused.

aiohttp would do, but takes three to four times the processor time. That is as much as the shop itself takes for a
request (0.8 to 1.1 of it; this client: 0.4 to 0.6; measured by `python -m bench.clients`). A whole crowd takes 2.2
times as much with aiohttp. In a demo on a busy machine, its requests left up to 11 s late instead of 3 s, and
latencies count from when a request was due: the rehearsal would measure the crowd instead of the shop.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple, cast
from urllib.parse import SplitResult, urlsplit

import httptools
from typing_extensions import override

from flashreserve.host_names import check_resolvable

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
_IDLE_S: Final = 3.0
"""Idle connections are reused for this long: less than the 5 s after which common servers close them."""
_INTERIM: Final = 200


class Response(NamedTuple):
    """An answer. `headers` has the names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ConnectionLostError(Exception):
    """The connection could not be made, or ended before the answer did; the request may have been carried out."""


class Client:
    """A pool of connections to one address. Needs a running event loop; `close` ends it.

    Args:
        url: `http://host:port` or `https://host:port`; a path after it is put before every request's path.
        connections_max: how many connections may be open; further requests wait for one.

    Raises:
        ValueError: the URL is invalid.
    """

    def __init__(self, url: str, *, connections_max: int) -> None:
        parts = split_url(url)
        self.url = url.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._netloc = parts.netloc
        self._path = parts.path.rstrip("/")
        self._idle: list[_ClientConnection] = []
        self._slots = _FairSemaphore(connections_max)
        self._loop = asyncio.get_running_loop()

    def request(self, method: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
        """The bytes of a request. `headers` are lines that each end in CR LF."""
        length = "" if method == "GET" else f"Content-Length: {len(body)}\r\n"
        head = f"{method} {self._path}{path} HTTP/1.1\r\nHost: {self._netloc}\r\n{length}{headers}\r\n"
        return head.encode("latin-1") + body

    async def ask(self, request: bytes, timeout_s: float) -> Response:
        """Send the bytes of a request, and wait for its answer.

        Raises:
            TimeoutError: the answer was not complete in time; waiting for a connection to be free doesn't count.
            ConnectionLostError: the connection could not be made, or ended before the answer did.
        """
        async with self._slots, asyncio.timeout(timeout_s):
            connection = await self._connection()
            try:
                response = await connection.ask(request)
            except BaseException:
                connection.close()
                raise
            if connection.reusable:
                self._idle.append(connection)
            else:
                connection.close()
            return response

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self) -> "_ClientConnection":
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and self._loop.time() - connection.used_s < _IDLE_S:
                return connection
            connection.close()
        try:
            _, connection = await self._loop.create_connection(_ClientConnection, self._host, self._port, ssl=self._tls)
        except OSError as error:
            raise ConnectionLostError(f"{self.url}: {error}") from error
        return connection


def split_url(url: str) -> SplitResult:
    """The parts of a URL that `Client` can connect to.

    Raises:
        ValueError: the URL is invalid.
    """
    try:
        parts = urlsplit(url)
        check_resolvable(parts.hostname or "")
        proper = parts.scheme in {"http", "https"} and parts.hostname and not {"@", "?", "#", " "} & set(url)
        if proper and url.isascii() and (parts.port is None or parts.port > 0):
            return parts
    except ValueError:  # The port or the host is invalid.
        pass
    raise ValueError(f"url: expected http://host:port or https://host:port, got {url!r}")


class _FairSemaphore:
    """A semaphore, first come, first served.

    On each release, asyncio's searches past all waiters that it has woken in the same turn of the event loop. Where
    8,192 slots become free at once, that takes five to nine times the processor time of this one.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # It got its slot in the same moment; the next one takes it.
                self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class _ClientConnection(asyncio.Protocol):
    """One connection. An answer must state its length, by Content-Length or chunks, as servers of HTTP/1.1 do."""

    _transport: asyncio.Transport
    _parser: httptools.HttpResponseParser

    def __init__(self) -> None:
        self.reusable = True
        self.used_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Response] | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._bytes = 0

    async def ask(self, request: bytes) -> Response:
        """Send a request. Call it only after the last one was answered."""
        self._answer = self._loop.create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._body, self._bytes = {}, [], 0
        if not self.reusable:
            self._fail("closed")
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self.reusable = False
        self._transport.abort()

    # The event loop calls these.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._bytes += len(data)
        try:
            if self._answer is None or self._answer.done():
                self._fail("sent data that no request asked for")
            elif self._bytes > ANSWER_BYTES_MAX:
                self._fail(f"answered more than {ANSWER_BYTES_MAX} bytes")
            else:
                self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"sent invalid HTTP: {error}")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(str(exc or "closed before the answer was complete"))

    def _fail(self, why: str) -> None:
        self.reusable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionLostError(why))

    # The parser calls these.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < _INTERIM:
            self._headers, self._body = {}, []
            return
        self.reusable = self._parser.should_keep_alive()
        self.used_s = self._loop.time()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Response(status, self._headers, b"".join(self._body)))
