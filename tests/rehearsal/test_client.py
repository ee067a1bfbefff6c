import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from flashreserve.rehearsal.client import Client, ConnectionLostError, split_url

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Colour: Red\r\n\r\nhi"


class ScriptedServer:
    """Answers by the function `answering`, and counts connections."""

    def __init__(self) -> None:
        self.answering: Answering = always(OK)
        self.connections = 0
        self.heads: list[bytes] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                if b"Content-Length: 4" in self.heads[-1]:
                    await reader.readexactly(4)
                await self.answering(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def always(answer: bytes, *, then_close: bool = False) -> Answering:
    async def write(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        if then_close:
            writer.close()
            raise ConnectionError

    return write


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    script = ScriptedServer()
    listening = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield script
    listening.close()
    await listening.wait_closed()


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[Client]:
    opened = Client(server.url, connections_max=2)
    yield opened
    opened.close()


async def test_an_answer_is_read_and_its_connection_used_again(server: ScriptedServer, client: Client) -> None:
    for _ in range(3):
        response = await client.ask(client.request("POST", "/x", "A: b\r\n", b"body"), 5)
        assert response == (200, {"content-length": "2", "x-colour": "Red"}, b"hi")
        assert b"Content-Length: 4\r\nA: b\r\n" in server.heads[-1]
    assert server.connections == 1


async def test_a_chunked_answer_in_pieces_is_put_together(server: ScriptedServer, client: Client) -> None:
    async def pieces(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in (
            b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 O",
            b"K\r\nTransfer-Encoding: chu",
            b"nked\r\n\r\n2\r\nhi\r\n",
        ):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"3\r\nyou\r\n0\r\n\r\n")

    server.answering = pieces
    assert (await client.ask(client.request("GET", "/"), 5)).body == b"hiyou"


async def test_a_connection_that_the_server_will_close_is_not_used_again(
    server: ScriptedServer, client: Client
) -> None:
    server.answering = always(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", then_close=True)
    for _ in range(2):
        assert (await client.ask(client.request("GET", "/"), 5)).status == 200
    assert server.connections == 2


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", b"SMTP ready\r\n\r\n"])
async def test_half_an_answer_is_a_lost_connection(server: ScriptedServer, client: Client, answer: bytes) -> None:
    server.answering = always(answer, then_close=True)
    with pytest.raises(ConnectionLostError):
        await client.ask(client.request("GET", "/"), 5)


async def test_an_endless_answer_is_cut_off(server: ScriptedServer, client: Client) -> None:
    server.answering = always(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 5_000_000)
    with pytest.raises(ConnectionLostError, match="more than"):
        await client.ask(client.request("GET", "/"), 5)


async def test_no_answer_in_time_is_a_timeout_and_its_connection_is_gone(
    server: ScriptedServer, client: Client
) -> None:
    server.answering = always(b"")
    with pytest.raises(TimeoutError):
        await client.ask(client.request("GET", "/"), 0.1)
    server.answering = always(OK)
    assert (await client.ask(client.request("GET", "/"), 5)).body == b"hi"
    assert server.connections == 2


async def test_nobody_there_is_a_lost_connection() -> None:
    listening = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()
    client = Client(f"http://127.0.0.1:{port}", connections_max=1)
    with pytest.raises(ConnectionLostError):
        await client.ask(client.request("GET", "/"), 5)


async def test_there_are_no_more_connections_than_allowed_and_nobody_is_left_waiting(
    server: ScriptedServer, client: Client
) -> None:
    doors, both_in = asyncio.Event(), asyncio.Event()

    async def behind_doors(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(server.heads) == 2:
            both_in.set()
        await doors.wait()
        writer.write(OK)

    server.answering = behind_doors
    asking = [asyncio.create_task(client.ask(client.request("GET", "/"), 10)) for _ in range(6)]
    await both_in.wait()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.ask(client.request("GET", "/"), 10), 0.1)
    assert (len(server.heads), server.connections) == (2, 2)
    asking[3].cancel()
    doors.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["Response"] * 3 + ["CancelledError"] + ["Response"] * 2
    assert server.connections == 2
    assert await asyncio.gather(*(client.ask(client.request("GET", "/"), 5) for _ in range(2)))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:3000",
        "ftp://a",
        "http://",
        "http://u:p@host",
        "http://host:0",
        "http://host:x",
        "http://a/?b",
        "http://shop..example",
        f"http://{'a' * 64}.example",
        "http://shöp.example",
        "http://[::1",
        "http://[host]",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected http://host:port"):
        split_url(url)
