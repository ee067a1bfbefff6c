"""Chunk extensions and trailers: limited while they are read, and never treated as headers (RFC 9110, 6.5.1)."""

import asyncio
from itertools import cycle, islice

import pytest
from tests.server.sockets import RawClient, RawReply, answer, echo, head, lifespan, read, serving

from flashreserve.http.edge import context_of
from flashreserve.server.asgi import Receive, Scope, Send
from flashreserve.server.limits import HttpLimits

CHUNKED = "Transfer-Encoding: chunked"
UPGRADE = ("Connection: Upgrade", "Upgrade: h2c")
ENOUGH = 64 * 1024
"""Bytes within which the refusal must come; no more are sent."""

ENDLESS = {
    "many trailers": (b"0\r\n", b"X-Trailer: abcdefgh\r\n"),
    "one trailer's value": (b"0\r\nX: ", b"a"),
    "one trailer's name": (b"0\r\n", b"a"),
    "one trailer after the body": (b"2\r\n{}\r\n0\r\nX: ", b"a"),
    "one chunk extension": (b"2;", b"a"),
    "one chunk extension's value": (b"2;a=", b"b"),
    "one quoted chunk extension": (b'2;a="', b"b"),
    "the last chunk's extension": (b"2\r\n{}\r\n0;", b"a"),
    "many chunk extensions": (b"2", b";name=value"),
    "an extension for each chunk": (b"", b"1;name=value-of-some-length\r\na\r\n"),
    "chunks of one byte": (b"", b"1\r\na\r\n"),
    "zeros before a chunk's size": (b"", b"0"),
}

HEADERS = {
    "Accept": "text/plain",
    "Authorization": "Bearer of-another",
    "Content-Encoding": "gzip",
    "Content-Type": "text/plain",
    "Cookie": "token=of-another; device=of-another",
    "Expect": "100-continue",
    "Forwarded": "for=203.0.113.9",
    "Host": "elsewhere.test",
    "Idempotency-Key": "another-key",
    "If-None-Match": "*",
    "Origin": "https://elsewhere.test",
    "Sec-Fetch-Site": "cross-site",
    "Upgrade": "h2c",
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Host": "elsewhere.test",
    "X-Forwarded-Proto": "https",
    "X-Request-Id": "of-another",
}


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers, after the whole body, with the headers in the scope and those in the edge's context."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    await read(receive)
    await answer(send, repr((scope["headers"], context_of(scope).headers)).encode())


async def reply_to_pieces(client: RawClient, sent: bytes, size: int) -> RawReply:
    """The answer that comes while these bytes are sent in pieces of this size."""
    reply = asyncio.ensure_future(client.reply())
    for start in range(0, len(sent), size):
        await client.send(sent[start : start + size])
        await asyncio.sleep(0)
    return await reply


@pytest.mark.parametrize("upgrade", [(), UPGRADE], ids=["plain", "behind an upgrade"])
@pytest.mark.parametrize("piece", [100, 5_000, ENOUGH])
@pytest.mark.parametrize(("begin", "endless"), ENDLESS.values(), ids=ENDLESS.keys())
async def test_what_follows_the_head_without_being_body_is_refused_within_64_kib(
    begin: bytes, endless: bytes, piece: int, upgrade: tuple[str, ...]
) -> None:
    sent = begin + endless * (ENOUGH // len(endless))
    async with serving(echo) as served:
        client = await (await served.connect()).send(head("POST", "/", CHUNKED, *upgrade))
        refused = await reply_to_pieces(client, sent, piece)
        assert (refused.status, refused.code, refused.closes) == (431, "headers-too-large", True)
        assert await client.ended() == b""


@pytest.mark.parametrize(("begin", "endless"), ENDLESS.values(), ids=ENDLESS.keys())
async def test_it_is_refused_in_one_piece_with_its_head_and_after_other_requests(begin: bytes, endless: bytes) -> None:
    sent = begin + endless * (ENOUGH // len(endless))
    async with serving(echo) as served:
        client = await served.connect()
        await client.send(head("GET", "/1") + head("POST", "/2", CHUNKED) + sent)
        assert (await client.reply()).body == b"GET /1 "
        assert (await client.reply()).code == "headers-too-large"
        assert await client.ended() == b""


@pytest.mark.parametrize("piece", [100, 5_000, ENOUGH])
@pytest.mark.parametrize("line", [b"\r\n", b"\n", b"\r"])
@pytest.mark.parametrize("before", [b"", head("GET", "/1")], ids=["first", "after a request"])
async def test_endless_lines_between_requests_are_refused_within_64_kib(before: bytes, line: bytes, piece: int) -> None:
    sent = line * (ENOUGH // len(line))
    async with serving(echo) as served:
        client = await (await served.connect()).send(before)
        if before:
            assert (await client.reply()).body == b"GET /1 "
        refused = await reply_to_pieces(client, sent, piece)
        assert (refused.status, refused.code, refused.closes) == (400, "bad-request", True)
        assert await client.ended() == b""


async def test_some_lines_between_requests_are_read_over() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        for _ in range(20):
            await client.send("\r\n" * 4_000, head("POST", "/", "Content-Length: 2"), "ab")
            assert (await client.reply()).body == b"POST / ab"


async def test_trailers_and_extensions_within_the_bound_are_read_over() -> None:
    body = b"3;name=value\r\nabc\r\n" + b'2;name="quoted; value"\r\nde\r\n' + b"0;last\r\n"
    trailers = b"".join(b"X-%d: value\r\n" % number for number in range(200))
    async with serving(echo) as served:
        client = await served.connect()
        for _ in range(20):
            # Framing bytes of one request don't count against the next one.
            await client.send(head("POST", "/", CHUNKED), body, trailers, "\r\n")
            assert (await client.reply()).body == b"POST / abcde"


async def test_a_body_of_the_full_size_in_chunks_is_taken() -> None:
    limits = HttpLimits()
    chunks = (b"400\r\n" + b"a" * 1024 + b"\r\n") * (limits.body_bytes_max // 1024)
    async with serving(echo) as served:
        client = await (await served.connect()).send(head("POST", "/", CHUNKED), chunks, "0\r\n\r\n")
        assert (await client.reply()).body == b"POST / " + b"a" * limits.body_bytes_max


@pytest.mark.parametrize("upgrade", [(), UPGRADE], ids=["plain", "behind an upgrade"])
@pytest.mark.parametrize("apart", [True, False])
async def test_no_trailer_becomes_a_header(upgrade: tuple[str, ...], *, apart: bool) -> None:
    trailers = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    plain = head("POST", "/", CHUNKED, "Trailer: " + ", ".join(HEADERS), *upgrade) + b"2\r\n{}\r\n0\r\n"
    async with serving(tell) as served:
        client = await served.connect()
        await client.send(plain, "\r\n")
        without = await client.reply()
        if apart:
            for byte in plain + trailers.encode() + b"\r\n":
                await client.send(bytes([byte]))
        else:
            await client.send(plain, trailers, "\r\n")
        assert (await client.reply()).body == without.body
        # A trailer doesn't become a header of the next request either.
        await client.send(plain, "\r\n")
        assert (await client.reply()).body == without.body


@pytest.mark.parametrize("name", ["Connection", "Proxy-Connection"])
async def test_a_trailer_that_ends_the_connection_ends_it_after_the_answer(name: str) -> None:
    async with serving(echo) as served:
        client = await (await served.connect()).send(head("POST", "/", CHUNKED), f"0\r\n{name}: close\r\n\r\n")
        reply = await client.reply()
        assert (reply.status, reply.closes) == (200, True)
        assert await client.ended() == b""


@pytest.mark.parametrize("trailer", ["Content-Length: 7", "Content-Length: 0", "Transfer-Encoding: chunked"])
async def test_a_trailer_that_says_where_the_body_ends_is_refused(trailer: str) -> None:
    async with serving(echo) as served:
        client = await (await served.connect()).send(head("POST", "/", CHUNKED), f"0\r\n{trailer}\r\n\r\n")
        reply = await client.reply()
        assert (reply.status, reply.code, reply.closes) == (400, "bad-request", True)
        assert await client.ended() == b""


async def test_trailers_do_not_count_as_headers() -> None:
    many = list(islice(cycle(HEADERS), 300))
    trailers = "".join(f"{name}: {HEADERS[name]}\r\n" for name in many)
    async with serving(echo) as served:
        client = await (await served.connect()).send(head("POST", "/", CHUNKED), "0\r\n", trailers, "\r\n")
        assert (await client.reply()).status == 200
