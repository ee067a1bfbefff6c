"""A server in the test's own process around a small application, and a client that can send any bytes."""

import asyncio
import contextlib
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import structlog
from structlog.testing import LogCapture

from flashreserve.auth.address import TrustedProxies, throttled_as
from flashreserve.http.edge import Edge
from flashreserve.http.request_ids import RequestIds
from flashreserve.http.site import Cookies, Hosts, Site
from flashreserve.metrics import Metrics, render
from flashreserve.server.application import Application
from flashreserve.server.asgi import App, Receive, Scope, Send
from flashreserve.server.limits import HttpLimits
from flashreserve.server.process import Hooks, serve
from flashreserve.server.sockets import bind

HOST = "127.0.0.1"
EVERY_HOST = Site(Cookies.named(production=False), Hosts([], all_names=True), TrustedProxies())
TIMEOUT_S = 10.0
PROBLEM = "application/problem+json"


@dataclass
class RawReply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, self.headers
        return values[0] if values else None

    @property
    def code(self) -> str:
        """The problem's code. The reply must be a complete problem document."""
        assert self.header("content-type") == PROBLEM, self
        assert self.header("x-request-id"), self
        assert self.header("x-content-type-options") == "nosniff", self
        assert self.header("cache-control") == "no-store", self
        problem = json.loads(self.body)
        assert problem["status"] == self.status
        assert problem["type"] == f"/problems/{problem['code']}"
        return str(problem["code"])

    @property
    def problem(self) -> Any:
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        return self.header("connection") == "close"


class RawClient:
    """One connection. Bytes are sent unchanged; replies are read one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *parts: bytes | str) -> Self:
        for part in parts:
            self._writer.write(part if isinstance(part, bytes) else part.encode())
        await asyncio.wait_for(self._writer.drain(), TIMEOUT_S)
        return self

    async def get(self, path: str = "/", *headers: str, method: str = "GET") -> RawReply:
        await self.send(head(method, path, *headers))
        return await self.reply(bodiless=method == "HEAD")

    async def post(self, path: str, body: bytes, *headers: str) -> RawReply:
        await self.send(head("POST", path, f"Content-Length: {len(body)}", *headers), body)
        return await self.reply()

    async def reply(self, *, bodiless: bool = False) -> RawReply:
        return await asyncio.wait_for(self._reply(bodiless=bodiless), TIMEOUT_S)

    async def ended(self) -> bytes:
        """The remaining bytes until the server ends the connection; a reset counts as an end."""
        try:
            return await asyncio.wait_for(self._reader.read(), TIMEOUT_S)
        except ConnectionError:
            return b""

    def read_nothing(self) -> None:
        """Stop reading, so that the system's buffers fill up."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def read_on(self) -> None:
        """Read again after `read_nothing`."""
        self._writer.transport.resume_reading()  # type: ignore[attr-defined]

    async def read_some(self) -> None:
        """Read for a few turns of the loop only, after `read_nothing`."""
        self.read_on()
        await asyncio.sleep(0.01)
        self.read_nothing()
        await asyncio.sleep(0.05)

    def finish(self) -> None:
        """Close the sending side, and go on reading."""
        self._writer.write_eof()

    def shut(self) -> None:
        self._writer.close()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(self._writer.wait_closed(), TIMEOUT_S)

    def abort(self) -> None:
        self._writer.transport.abort()

    async def _reply(self, *, bodiless: bool) -> RawReply:
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, status, *_ = lines[0].split(" ")
        assert version == "HTTP/1.1"
        headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines[1:-2])]
        reply = RawReply(int(status), headers, b"")
        if not bodiless and reply.status >= 200 and reply.status not in {204, 304}:
            reply.body = await self._body(reply)
        return reply

    async def _body(self, reply: RawReply) -> bytes:
        if reply.header("transfer-encoding") == "chunked":
            return await self._chunks()
        length = reply.header("content-length")
        return await self._reader.read() if length is None else await self._reader.readexactly(int(length))

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return body


def head(method: str, path: str, *headers: str, host: bool = True) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(["Host: shop.test"] if host else []), *headers, "", ""]
    return "\r\n".join(lines).encode()


@dataclass
class Served:
    """A running server."""

    port: int
    edge: Edge
    stop: asyncio.Event
    metrics: Metrics
    logged: list[Any]
    over: "asyncio.Task[None]"
    clients: list[RawClient] = field(default_factory=list)

    async def connect(self, address: str = HOST) -> RawClient:
        """A connection from this local address, which may be any in 127.0.0.0/8."""
        reader, writer = await asyncio.open_connection(HOST, self.port, limit=2**22, local_addr=(address, 0))
        client = RawClient(reader, writer)
        self.clients.append(client)
        return client

    def metric(self, line: str) -> float:
        """The value of one line of the metrics; 0 if there is no such line."""
        for found in render(self.metrics.families()).decode().splitlines():
            if found.rpartition(" ")[0] == line:
                return float(found.rpartition(" ")[2])
        return 0.0


@asynccontextmanager
async def serving(
    app: App,
    *,
    limits: HttpLimits | None = None,
    bare: bool = False,
    shutdown_timeout_s: float = 5.0,
    idle_grace_s: float = 0.05,
    log_every_request: bool = False,
    strict_transport: bool = False,
    site: Site | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    address_of: Callable[[str | None], str | None] = throttled_as,
    listener: socket.socket | None = None,
) -> AsyncIterator[Served]:
    """Serve `app` behind the edge, or `bare`, on a free port or on `listener`."""
    limits = limits or HttpLimits()
    capture = LogCapture()
    metrics = Metrics()
    edge = Edge(
        app,
        metrics=metrics,
        log=structlog.wrap_logger(
            None, processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG)
        ),
        monotonic=monotonic,
        request_ids=RequestIds("edge"),
        limits=limits,
        site=site or EVERY_HOST,
        log_every_request=log_every_request,
        strict_transport=strict_transport,
    )
    application = edge.application()
    listener = listener or bind(HOST, 0, backlog=limits.backlog)
    port = listener.getsockname()[1] if listener.family == socket.AF_INET else 0
    ready, stop = asyncio.Event(), asyncio.Event()
    over = asyncio.create_task(
        serve(
            Application(app, application.refuse) if bare else application,
            listener=listener,
            limits=limits,
            address_of=address_of,
            wall_clock_s=lambda: 1_795_168_800.0,
            hooks=Hooks(ready=ready.set, draining=edge.drain),
            stop=stop,
            shutdown_timeout_s=shutdown_timeout_s,
            idle_grace_s=idle_grace_s,
        )
    )
    await asyncio.wait((over, asyncio.ensure_future(ready.wait())), return_when=asyncio.FIRST_COMPLETED)
    if over.done():
        await over
    served = Served(port, edge, stop, metrics, capture.entries, over)
    try:
        yield served
    finally:
        for client in served.clients:
            await client.close()
        stop.set()
        await asyncio.wait_for(over, TIMEOUT_S)


async def lifespan(receive: Receive, send: Send) -> None:
    """The lifespan of an application without start-up or shutdown."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def answer(
    send: Send, body: bytes = b"ok", status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def read(receive: Receive) -> bytes:
    """The whole body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client went away")
        body += message["body"]
        more = message["more_body"]
    return body


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers with the request's contents."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    body = await read(receive)
    await answer(send, b"%b %b %b" % (scope["method"].encode(), scope["raw_path"], body))
