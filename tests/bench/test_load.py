import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from bench.load import Load, Result

from bench import load

Run = Callable[[Load], Result]


@asynccontextmanager
async def server(
    seen: list[bytes], answer: bytes = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
) -> AsyncIterator[str]:
    """Answers every request, and keeps what it was sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = await reader.readexactly(len(load.BODY)) if head.startswith(b"POST") else b""
                seen.append(head + body)
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        listening.close()


GENERATORS = [
    pytest.param(load._run_wrk, marks=pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")),
    lambda asked: asyncio.run(load._run_loop(asked)),
]


@pytest.mark.parametrize("run", GENERATORS)
async def test_customers_and_products_take_turns_and_each_request_has_its_own_key(run: Run) -> None:
    seen: list[bytes] = []
    async with server(seen) as base:
        asked = Load(base, ("/reservations/a", "/reservations/b"), ("one", "two"), 2, 1, keys=True)
        result = await asyncio.to_thread(run, asked)

    assert result.refused == result.errors == 0
    assert 0 < result.answers <= len(seen)
    assert {request.split(b" ")[1] for request in seen} == {b"/reservations/a", b"/reservations/b"}
    assert all(request.endswith(b'\r\n\r\n{"quantity":1}') for request in seen)
    keys = [request.partition(b"Idempotency-Key: ")[2].split(b"\r\n")[0] for request in seen]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("run", GENERATORS)
async def test_at_a_fixed_rate_no_more_is_sent_than_the_schedule_has(run: Run) -> None:
    seen: list[bytes] = []
    async with server(seen) as base:
        asked = Load(base, ("/products/a/stock",), ("one",), 8, 2, method="GET", rate=50)
        result = await asyncio.to_thread(run, asked)

    assert 80 <= result.answers <= 110


@pytest.mark.parametrize("run", GENERATORS)
async def test_refusals_are_counted(run: Run) -> None:
    refusal = b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n"
    async with server([], refusal) as base:
        result = await asyncio.to_thread(run, Load(base, ("/a",), ("one",), 2, 1))

    assert result.refused == result.answers > 0
