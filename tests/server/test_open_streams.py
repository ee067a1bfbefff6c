"""Answers that stay open after the application has returned."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from tests.server.sockets import Served, head, lifespan, serving

from flashreserve.server.asgi import Receive, Scope, Send
from flashreserve.server.limits import HttpLimits
from flashreserve.server.open_stream import STREAMED, OpenStream

FEW = HttpLimits(write_timeout_s=0.2, idle_timeout_s=0.2, linger_timeout_s=0.2)


class Streaming:
    """An application that streams every answer. `begun` are the streams, `returned` how often it has returned."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[OpenStream] = asyncio.Queue()
        self.returned = 0
        self.ended: list[OpenStream] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        assert STREAMED in scope["extensions"]
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers, STREAMED: self._begin})
        self.returned += 1

    def _begin(self, stream: OpenStream) -> None:
        stream.on_end = lambda: self.ended.append(stream)
        self.begun.put_nowait(stream)


@pytest.fixture
def app() -> Streaming:
    return Streaming()


@pytest_asyncio.fixture
async def served(app: Streaming) -> AsyncIterator[Served]:
    async with serving(app, limits=FEW) as running:
        yield running


async def until(condition: Callable[[], bool]) -> None:

    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.005)


async def test_what_is_written_after_the_application_returned_arrives_and_the_end_closes(
    app: Streaming, served: Served
) -> None:
    client = await served.connect()
    await client.send(head("GET", "/"))
    stream = await app.begun.get()
    await until(lambda: app.returned == 1)

    assert stream.write(b"one\n")
    assert stream.write(b"two\n")
    stream.end()
    reply = await client.reply()

    assert (reply.status, reply.body, reply.closes) == (200, b"one\ntwo\n", True)
    assert reply.header("transfer-encoding") is None
    assert app.ended == [stream]
    assert stream.over
    assert not stream.write(b"three\n")


async def test_a_request_counts_as_answered_once_its_stream_has_begun(app: Streaming, served: Served) -> None:
    client = await served.connect()
    await client.send(head("GET", "/"))
    await app.begun.get()

    await until(lambda: served.edge.in_flight == 0)
    counted = 'flashreserve_http_requests_total{method="GET",route="other",status="200"}'
    assert served.metric(counted) == 1


@pytest.mark.parametrize("leave", ["abort", "shut", "finish"])
async def test_a_client_that_leaves_ends_its_stream(app: Streaming, served: Served, leave: str) -> None:
    client = await served.connect()
    await client.send(head("GET", "/"))
    stream = await app.begun.get()

    getattr(client, leave)()
    await until(lambda: app.ended == [stream])
    assert stream.over


async def test_a_quiet_stream_outlives_the_time_limits_of_idle_and_of_slow_clients(
    app: Streaming, served: Served
) -> None:
    client = await served.connect()
    await client.send(head("GET", "/"))
    stream = await app.begun.get()

    # The server looks at its deadlines once a second at most, here five times as often.
    await asyncio.sleep(0.8)
    assert stream.write(b"still here\n")
    stream.end()
    assert (await client.reply()).body == b"still here\n"


async def test_a_client_that_takes_nothing_gets_no_more_than_the_buffers_hold(app: Streaming, served: Served) -> None:
    client = await served.connect()
    client.read_nothing()
    await client.send(head("GET", "/"))
    stream = await app.begun.get()

    written = 0
    while stream.write(b"x" * 65_536):
        written += 1
        assert written < 1_000
        await asyncio.sleep(0)
    assert not stream.over
    assert stream.untaken() > 0
    stream.drop()
    await until(lambda: app.ended == [stream])


async def test_stopping_the_server_ends_the_streams(app: Streaming, served: Served) -> None:
    client = await served.connect()
    await client.send(head("GET", "/"))
    stream = await app.begun.get()
    stream.write(b"last words\n")

    served.stop.set()
    assert (await client.reply()).body == b"last words\n"
    await asyncio.wait_for(served.over, 10)
    assert app.ended == [stream]


async def test_head_gets_the_head_only(app: Streaming, served: Served) -> None:
    client = await served.connect()
    reply = await client.get(method="HEAD")

    assert (reply.status, reply.header("content-type"), reply.closes) == (200, "text/event-stream", True)
    assert await client.ended() == b""
    assert app.begun.empty()


async def test_requests_pipelined_behind_a_stream_are_not_answered(app: Streaming, served: Served) -> None:
    client = await served.connect()
    await client.send(head("GET", "/"), head("GET", "/"))
    stream = await app.begun.get()
    stream.end()

    assert (await client.reply()).body == b""
    assert app.returned == 1


async def test_http_1_0_gets_the_stream_too(app: Streaming, served: Served) -> None:
    client = await served.connect()
    await client.send(b"GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n")
    stream = await app.begun.get()
    stream.write(b"old\n")
    stream.end()

    assert (await client.reply()).body == b"old\n"
