"""Servers on 127.0.0.1 that answer as no endpoint should, and name servers of the test's own."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

Answer = Callable[["OddConnection"], Awaitable[None]]
PART: Final = bytes(16 * 1024)


class OddConnection:
    """A connection to the server, after the head of the first request on it was read."""

    def __init__(self, server: "OddServer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self.reader = reader
        self._writer = writer

    async def send(self, *parts: bytes) -> None:
        """Send, as fast as the other side takes it."""
        for part in parts:
            self._writer.write(part)
            self._server.sent_bytes += len(part)
            await self._writer.drain()

    async def read_request(self) -> bytes:
        """The head of the next request; its body is `{}`."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert await self.reader.readexactly(2) == b"{}"
        async with self._server.requested:
            self._server.requests.append(head)
            self._server.requested.notify_all()
        return head


class OddServer:
    """What was seen: heads of requests, connections, bytes sent, and connections that the other side has ended."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.port = 0
        self.connections = 0
        self.sent_bytes = 0
        self.requests: list[bytes] = []
        self.requested = asyncio.Condition()
        self.left = asyncio.Event()

    @property
    def url(self) -> str:
        """A URL of the server."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def wait_for_requests(self, number: int) -> None:
        """Wait until so many requests were read."""
        async with self.requested:
            await self.requested.wait_for(lambda: len(self.requests) >= number)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        # A small buffer, so that the server can't get rid of what nobody reads.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        connection = OddConnection(self, reader, writer)
        try:
            await connection.read_request()
            await self._answer(connection)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            with suppress(ConnectionError):
                writer.close()
                await writer.wait_closed()


@asynccontextmanager
async def odd_server(answer: Answer) -> AsyncIterator[OddServer]:
    """A server that answers the first request of each connection by `answer`, and then closes it."""
    made = OddServer(answer)
    handling: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(made.handle(reader, writer))
        handling.add(task)
        task.add_done_callback(handling.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in tuple(handling):
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)
        await server.wait_closed()


def answers(*parts: bytes) -> Answer:
    """Sends these parts and closes the connection."""

    async def answer(connection: OddConnection) -> None:
        await connection.send(*parts)

    return answer


class ScriptedResolver(AbstractResolver):
    """Resolves every name to the next of the given lists of addresses; the last one is repeated."""

    def __init__(self, *results: Sequence[str]) -> None:
        self._results = list(results)
        self.asked = 0

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        addresses = self._results.pop(0) if len(self._results) > 1 else self._results[0]
        if not addresses:
            raise OSError(f"{host} has no address")
        return [
            ResolveResult(
                hostname=host,
                host=each,
                port=port,
                family=socket.AF_INET6 if ":" in each else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for each in addresses
        ]

    @override
    async def close(self) -> None:
        pass
