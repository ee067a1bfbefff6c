"""The server at the level of bytes, over real sockets. Most of these clients misbehave."""

import asyncio
import contextlib
import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.sockets import HOST, RawClient, Served, answer, echo, head, lifespan, read, serving

from flashreserve.http.origins import Origins
from flashreserve.http.places import NO_PREFIX
from flashreserve.http.refusals import server_refusals
from flashreserve.http.request_ids import RequestIds
from flashreserve.server.application import Application
from flashreserve.server.asgi import Receive, Scope, Send
from flashreserve.server.limits import HttpLimits
from flashreserve.server.process import Server
from flashreserve.server.shared import SharedState
from flashreserve.server.signals import stop_with_parent
from flashreserve.server.sockets import FILES_BESIDE_CONNECTIONS, ServerError, allow_open_files, bind


class Probe:
    """An application that counts its requests, and answers once `door` is open."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.finished: list[str] = []
        self.door = asyncio.Event()
        self.arrived = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        self.seen.append(scope["path"])
        self.arrived.set()
        await self.door.wait()
        await answer(send, scope["path"].encode())
        self.finished.append(scope["path"])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 the condition has no event
            await asyncio.sleep(0.005)


# Invalid requests.


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(b"hello\r\n\r\n", id="no request line"),
        pytest.param(b"\x00" * 4096, id="zeros"),
        pytest.param(b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", id="unknown method"),
        pytest.param(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", id="raw byte in the address"),
        pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", id="bare line feeds"),
        pytest.param(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", id="space before the colon"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n", id="folded header"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", id="zero in a header"),
        pytest.param(b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", id="HTTP/0.9"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"GET / HTTP/3.7\r\nHost: a\r\n\r\n", id="HTTP/3.7"),
        pytest.param(b"CONNECT shop.test:443 HTTP/1.1\r\nHost: shop.test:443\r\n\r\n", id="CONNECT"),
        pytest.param(b"GET shop.test:80 HTTP/1.1\r\nHost: a\r\n\r\n", id="address without a path"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\nab", id="list of lengths"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n", id="length of 40 digits"
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="two lengths"
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="length and chunks",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
            id="chunks and length",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
            id="identity coding",
        ),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="odd coding"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="odd chunk"),
    ],
)
async def test_what_is_no_valid_request_is_refused_by_a_problem_and_reaches_no_route(sent: bytes) -> None:
    probe = Probe()
    probe.door.set()
    async with serving(probe) as served:
        client = await (await served.connect()).send(sent)
        reply = await client.reply()
        assert (reply.status, reply.code, reply.closes) == (400, "bad-request", True)
        assert await client.ended() == b""
        assert served.metric('flashreserve_http_requests_total{method="other",route="other",status="400"}') == 1
    assert probe.seen == []


async def test_head_limits_hold_to_the_byte() -> None:
    limits = HttpLimits(head_bytes_max=1_000, url_bytes_max=300, headers_max=10)
    size = len("/") + len("host: shop.test\r\n") + len("x: \r\n")
    async with serving(echo, limits=limits) as served:
        client = await served.connect()
        assert (await client.get("/", "X: " + "a" * (1_000 - size))).status == 200
        assert (await client.get("/" + "a" * 299)).status == 200
        assert (await client.get("/", *(f"X-{n}: a" for n in range(9)))).status == 200
        for path, headers, status, code in (
            ("/", ["X: " + "a" * (1_001 - size)], 431, "headers-too-large"),
            ("/" + "a" * 300, [], 414, "uri-too-long"),
            ("/", [f"X-{n}: a" for n in range(10)], 431, "headers-too-large"),
        ):
            refused = await served.connect()
            reply = await refused.get(path, *headers)
            assert (reply.status, reply.code, reply.closes) == (status, code, True)
            assert await refused.ended() == b""


@pytest.mark.parametrize("piece", [1_000, 65_536, 1_000_000])
async def test_a_megabyte_of_headers_is_refused_and_the_client_can_read_it(piece: int) -> None:
    sent = head("GET", "/", "X: " + "a" * 1_000_000)
    async with serving(echo) as served:
        client = await served.connect()
        for start in range(0, len(sent), piece):
            await client.send(sent[start : start + piece])
        assert (await client.reply()).code == "headers-too-large"
        assert await client.ended() == b""


async def test_headers_that_never_end_are_refused_before_they_fill_the_memory() -> None:
    async with serving(echo) as served:
        client = await (await served.connect()).send("GET / HTTP/1.1\r\nHost: a\r\nX: ")
        reply = asyncio.ensure_future(client.reply())
        pieces = 0
        while not reply.done():
            await client.send(b"a" * 1_000)
            await asyncio.sleep(0)
            pieces += 1
            assert pieces < 1_000
        assert reply.result().code == "headers-too-large"


async def test_a_client_that_goes_on_sending_after_its_last_answer_is_cut_off() -> None:
    async with serving(echo, limits=HttpLimits(linger_bytes_max=100_000)) as served:
        client = await (await served.connect()).send("rubbish\r\n\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 50_000_000:
                await client.send(b"a" * 10_000)
                sent += 10_000
        assert sent < 20_000_000


# Order.


async def test_requests_sent_ahead_are_answered_in_their_order() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        await client.send(*(head("GET", f"/{n}") for n in range(50)), head("POST", "/last", "Content-Length: 3"), "abc")
        for n in range(50):
            assert (await client.reply()).body == f"GET /{n} ".encode()
        assert (await client.reply()).body == b"POST /last abc"


async def test_what_is_wrong_after_good_requests_is_answered_after_them() -> None:
    probe = Probe()
    async with serving(probe) as served:
        client = await (await served.connect()).send(head("GET", "/1"), head("GET", "/2"), b"rubbish\r\n\r\n")
        await probe.arrived.wait()
        probe.door.set()
        assert [(await client.reply()).body for _ in range(2)] == [b"/1", b"/2"]
        assert (await client.reply()).code == "bad-request"
        assert await client.ended() == b""


async def test_a_queued_request_with_a_broken_body_is_refused_in_its_turn_and_never_run() -> None:
    probe = Probe()
    async with serving(probe) as served:
        broken = head("POST", "/2", "Transfer-Encoding: chunked") + b"zz\r\n"
        client = await (await served.connect()).send(head("GET", "/1"))
        await probe.arrived.wait()
        await client.send(broken)
        await until(
            lambda: served.metric('flashreserve_http_requests_total{method="other",route="other",status="400"}') > 0
        )
        probe.door.set()
        assert (await client.reply()).body == b"/1"
        assert (await client.reply()).code == "bad-request"
        assert await client.ended() == b""
    assert probe.seen == ["/1"]


async def test_too_many_requests_sent_ahead_are_refused_after_those_that_were_taken() -> None:
    probe = Probe()
    async with serving(probe, limits=HttpLimits(pipelined_max=3)) as served:
        client = await (await served.connect()).send(*(head("GET", f"/{n}") for n in range(9)))
        await probe.arrived.wait()
        probe.door.set()
        assert [(await client.reply()).body for _ in range(4)] == [b"/0", b"/1", b"/2", b"/3"]
        reply = await client.reply()
        assert (reply.code, reply.header("retry-after")) == ("unavailable", "1")
        assert await client.ended() == b""


async def test_a_request_may_come_byte_by_byte() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        for byte in head("POST", "/slow", "Content-Length: 2") + b"ab":
            await client.send(bytes([byte]))
        assert (await client.reply()).body == b"POST /slow ab"


# Slow and silent clients.


async def test_headers_that_do_not_come_in_time_are_answered_408() -> None:
    async with serving(echo, limits=HttpLimits(head_timeout_s=0.1)) as served:
        client = await (await served.connect()).send("GET / HTTP/1.1\r\nHost:")
        reply = await client.reply()
        assert (reply.status, reply.code, reply.closes) == (408, "request-timeout", True)
        assert await client.ended() == b""


async def test_dripping_headers_does_not_extend_the_time_for_them() -> None:
    async with serving(echo, limits=HttpLimits(head_timeout_s=0.2)) as served:
        client = await (await served.connect()).send("GET / HTTP/1.1\r\nHost: a\r\n")
        reply = asyncio.ensure_future(client.reply())
        while not reply.done():
            await client.send("X: a\r\n")
            await asyncio.wait((reply,), timeout=0.02)
        assert reply.result().code == "request-timeout"


async def test_a_body_that_does_not_come_in_time_is_answered_408() -> None:
    async with serving(echo, limits=HttpLimits(body_timeout_s=0.1)) as served:
        client = await (await served.connect()).send(head("POST", "/", "Content-Length: 10"), "abc")
        reply = await client.reply()
        assert (reply.status, reply.code, reply.closes) == (408, "request-timeout", True)
        assert await client.ended() == b""


async def test_without_the_edge_a_slow_body_is_answered_408_all_the_same() -> None:
    async def patient(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        while (await receive())["type"] != "http.disconnect":
            pass

    async with serving(patient, bare=True, limits=HttpLimits(body_timeout_s=0.1)) as served:
        client = await (await served.connect()).send(head("POST", "/", "Content-Length: 10"), "abc")
        assert (await client.reply()).code == "request-timeout"


async def test_a_slow_body_that_the_application_does_not_wait_for_takes_no_answer_away() -> None:
    probe = Probe()
    async with serving(probe, limits=HttpLimits(body_timeout_s=0.1)) as served:
        client = await (await served.connect()).send(head("POST", "/busy", "Content-Length: 10"), "abc")
        await asyncio.sleep(0.3)
        probe.door.set()
        reply = await client.reply()
        assert (reply.status, reply.body, reply.closes) == (200, b"/busy", True)


@pytest.mark.parametrize("greeting", [b"", b"\r\n\r\n"])
async def test_a_client_that_asks_nothing_is_closed_without_a_word(greeting: bytes) -> None:
    async with serving(echo, limits=HttpLimits(head_timeout_s=0.1)) as served:
        client = await (await served.connect()).send(greeting)
        assert await client.ended() == b""


async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with serving(echo, limits=HttpLimits(idle_timeout_s=0.1)) as served:
        client = await served.connect()
        assert (await client.get()).status == 200
        assert await client.ended() == b""


async def test_a_client_that_does_not_take_its_answer_is_dropped() -> None:
    ended = asyncio.Event()

    async def writer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2_000):
            await send({"type": "http.response.body", "body": b"a" * 65_536, "more_body": True})
        ended.set()

    async with serving(writer, limits=HttpLimits(write_timeout_s=0.1, head_timeout_s=0.1)) as served:
        with socket.create_connection((HOST, served.port)) as client:
            client.sendall(head("GET", "/"))
            await asyncio.wait_for(ended.wait(), 10)


# Bodies that the application doesn't read.


async def test_an_unread_small_body_leaves_the_connection_open() -> None:
    probe = Probe()
    probe.door.set()
    async with serving(probe) as served:
        client = await (await served.connect()).send(head("POST", "/1", "Content-Length: 1000"))
        reply = await client.reply()
        assert (reply.body, reply.closes) == (b"/1", False)
        await client.send(b"a" * 1000, head("GET", "/2"))
        assert (await client.reply()).body == b"/2"


async def test_the_rest_of_an_unread_body_is_not_waited_for_without_end() -> None:
    probe = Probe()
    probe.door.set()
    async with serving(probe, limits=HttpLimits(body_timeout_s=0.1)) as served:
        client = await (await served.connect()).send(head("POST", "/1", "Content-Length: 1000"))
        assert (await client.reply()).body == b"/1"
        assert await client.ended() == b""


async def test_a_client_that_still_sends_a_refused_body_can_read_the_refusal() -> None:
    async with serving(echo) as served:
        client = await (await served.connect()).send(head("POST", "/", "Content-Length: 5000000"), b"a" * 5_000_000)
        reply = await client.reply()
        assert (reply.code, reply.closes) == ("too-large", True)
        assert await client.ended() == b""


async def test_expect_100_continue_is_granted_to_whom_reads_the_body() -> None:
    async with serving(echo) as served:
        client = await (await served.connect()).send(head("POST", "/", "Content-Length: 2", "Expect: 100-continue"))
        assert (await client.reply()).status == 100
        await client.send("ab")
        assert (await client.reply()).body == b"POST / ab"


async def test_expect_100_continue_refused_closes_as_nobody_knows_whether_the_body_comes() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        await client.send(head("POST", "/", "Content-Length: 99999999", "Expect: 100-continue"))
        reply = await client.reply()
        assert (reply.code, reply.closes) == ("too-large", True)


async def test_whoever_was_not_told_to_go_on_with_a_body_starts_a_new_connection() -> None:
    probe = Probe()
    probe.door.set()
    async with serving(probe) as served:
        client = await (await served.connect()).send(head("POST", "/1", "Content-Length: 3", "Expect: 100-continue"))
        reply = await client.reply()
        assert (reply.body, reply.closes) == (b"/1", True)


# Clients that go away.


async def test_an_application_that_waits_for_the_body_is_told_that_the_client_went_away() -> None:
    ended = asyncio.Event()

    async def reader(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        try:
            await read(receive)
        except ConnectionError:
            ended.set()
            raise

    async with serving(reader) as served:
        client = await (await served.connect()).send(head("POST", "/", "Content-Length: 10"), "abc")
        await until(lambda: served.edge.in_flight == 1)
        client.abort()
        await asyncio.wait_for(ended.wait(), 10)
        await until(lambda: served.edge.in_flight == 0)
        assert served.metric('flashreserve_http_requests_total{method="POST",route="other",status="499"}') == 1
        assert [entry["event"] for entry in served.logged if entry["log_level"] != "debug"] == []


async def test_a_client_that_closes_its_side_still_gets_its_answers() -> None:
    probe = Probe()
    async with serving(probe) as served:
        one = await (await served.connect()).send(head("GET", "/1"))
        several = await (await served.connect()).send(head("GET", "/2"), head("GET", "/3"), "GET /4")
        await until(lambda: len(probe.seen) == 2)
        one.finish()
        several.finish()
        await asyncio.sleep(0.02)
        probe.door.set()
        assert [(await client.reply()).body for client in (one, several, several)] == [b"/1", b"/2", b"/3"]
        assert await one.ended() == await several.ended() == b""


async def test_a_client_that_closes_its_side_in_the_middle_of_a_request_is_gone() -> None:
    async with serving(echo) as served:
        for begun in (b"", b"GET / HTTP/1.1\r\nHost", head("POST", "/", "Content-Length: 5") + b"abc"):
            client = await (await served.connect()).send(begun)
            client.finish()
            assert await client.ended() == b""
        await until(lambda: served.edge.in_flight == 0)


async def test_what_a_client_began_is_finished_though_it_went_away() -> None:
    probe = Probe()
    async with serving(probe) as served:
        client = await (await served.connect()).send(head("POST", "/hold"))
        await probe.arrived.wait()
        client.abort()
        await asyncio.sleep(0.02)
        probe.door.set()
        await until(lambda: probe.finished == ["/hold"])


# Answers.


async def test_a_client_on_a_unix_socket_is_served_and_has_no_address(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    listener.listen()
    listener.settimeout(0)

    async def addresses(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await answer(send, repr((scope["client"], scope["server"])).encode())

    async with serving(addresses, listener=listener) as served:
        client = RawClient(*await asyncio.open_unix_connection(tmp_path / "socket"))
        served.clients.append(client)
        assert (await client.get()).body == b"(None, None)"


async def test_answers_have_a_date_and_do_not_name_the_server() -> None:
    async with serving(echo) as served:
        reply = await (await served.connect()).get()
        assert reply.header("date") == "Fri, 20 Nov 2026 10:00:00 GMT"
        assert reply.header("server") is None


async def test_an_answer_of_unknown_length_is_chunked_and_to_http_1_0_ends_with_the_connection() -> None:
    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (b"one ", b"", b"two"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with serving(streaming) as served:
        client = await served.connect()
        for _ in range(2):
            reply = await client.get()
            assert (reply.header("transfer-encoding"), reply.body) == ("chunked", b"one two")
        old = await (await served.connect()).send("GET / HTTP/1.0\r\n\r\n")
        reply = await old.reply()
        assert (reply.header("transfer-encoding"), reply.closes, reply.body) == (None, True, b"one two")


@pytest.mark.parametrize("length", [b"3", b"1"])
async def test_a_body_of_another_length_than_announced_becomes_a_500(length: bytes) -> None:
    async def wrong(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": b"ab"})

    async with serving(wrong) as served:
        client = await served.connect()
        assert (await client.get()).code == "internal"
        assert await client.ended() == b""


async def test_no_body_follows_204() -> None:
    async def empty(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b"not to be sent"})

    async with serving(empty) as served:
        client = await served.connect()
        for _ in range(2):
            reply = await client.get()
            assert (reply.status, reply.header("content-length"), reply.header("transfer-encoding")) == (
                204,
                None,
                None,
            )


@pytest.mark.parametrize("bare", [True, False])
async def test_an_application_that_breaks_is_answered_for(*, bare: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        raise LookupError("secret of the house")

    async with serving(broken, bare=bare) as served:
        reply = await (await served.connect()).get()
        assert (reply.status, reply.code) == (500, "internal")
        assert b"secret" not in reply.body


# Upgrades.


@pytest.mark.parametrize(
    "asked",
    [
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
        (
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ),
    ],
)
@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize(
    ("framing", "body"),
    [("Content-Length: 5", b"hello"), ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"), ("X: no body", b"")],
)
async def test_a_request_to_upgrade_is_served_as_the_plain_request_it_is(
    asked: tuple[str, ...], framing: str, body: bytes, *, apart: bool
) -> None:
    async with serving(echo) as served:
        client = await served.connect()
        first, rest = head("POST", "/up", framing, *asked), body + head("GET", "/next")
        if apart:
            await client.send(first)
            await until(lambda: served.edge.in_flight == 1 or not body)
            for byte in rest:
                await client.send(bytes([byte]))
        else:
            await client.send(first + rest)
        assert (await client.reply()).body == b"POST /up " + (b"hello" if body else b"")
        assert (await client.reply()).body == b"GET /next "


# Open files.


def test_the_limit_of_open_files_bounds_the_connections() -> None:
    few = HttpLimits(connections_max=10)
    assert allow_open_files(few) == (few, 12 + FILES_BESIDE_CONNECTIONS)


@pytest.mark.parametrize(("files", "connections_max"), [(300, 135), (1_000, 675), (11_000, 9_766)])
def test_where_few_open_files_are_allowed_there_are_fewer_connections(files: int, connections_max: int) -> None:
    """Runs in a process of its own, because a hard limit can't be raised again."""
    script = (
        "import resource; from flashreserve.server.sockets import *\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}))\n"
        "limits, needed = allow_open_files(HttpLimits()); print(limits.connections_max, limits.sockets_max, needed)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert [int(each) for each in said][::2] == [connections_max, 11_257]
    assert int(said[1]) < files


# The end.


async def test_what_was_accepted_is_answered_and_then_everything_closes() -> None:
    probe = Probe()
    async with serving(probe) as served:
        idle, busy, ahead = [await served.connect() for _ in range(3)]
        await busy.send(head("GET", "/busy"))
        await ahead.send(head("GET", "/1"), head("GET", "/2"))
        await until(lambda: len(probe.seen) == 2)
        served.stop.set()
        assert await idle.ended() == b""
        assert served.edge.draining
        probe.door.set()
        reply = await busy.reply()
        assert (reply.body, reply.closes) == (b"/busy", True)
        first, second = await ahead.reply(), await ahead.reply()
        assert (first.body, first.closes, second.body, second.closes) == (b"/1", False, b"/2", True)
        await asyncio.wait_for(served.over, 10)
        with pytest.raises(ConnectionError):
            await served.connect()


async def test_a_request_on_its_way_when_the_server_stops_is_answered_and_closed() -> None:
    async with serving(echo, idle_grace_s=5.0) as served:
        client = await served.connect()
        assert not (await client.get()).closes
        served.stop.set()
        await until(lambda: served.edge.draining)
        reply = await client.get("/late")
        assert (reply.body, reply.closes) == (b"GET /late ", True)


async def test_who_waits_to_be_accepted_when_the_server_stops_is_answered() -> None:
    application = Application(echo, server_refusals(RequestIds("server"), lambda _: None, NO_PREFIX, Origins()))
    shared = SharedState(application, HttpLimits(), lambda peer: peer)
    listener = bind(HOST, 0, backlog=50)
    address = listener.getsockname()
    server = Server(listener, shared, lambda: 0.0)
    await server.start()
    # Without a turn of the loop in between, none of them is accepted before the server begins to stop.
    clients = [socket.create_connection(address) for _ in range(20)]
    for client in clients:
        client.sendall(head("GET", "/queued"))
    await server.stop(5.0, 0.05, asyncio.Event())
    for client in clients:
        with client:
            assert client.recv(4096).endswith(b"GET /queued ")


async def test_who_is_not_done_when_patience_ends_is_told_that_nobody_knows() -> None:
    probe = Probe()
    async with serving(probe, shutdown_timeout_s=0.1, idle_grace_s=0.0) as served:
        client = await (await served.connect()).send(head("POST", "/hold"))
        await probe.arrived.wait()
        served.stop.set()
        reply = await client.reply()
        assert (reply.status, reply.code, reply.header("retry-after")) == (503, "outcome-unknown", "1")
        await asyncio.wait_for(served.over, 10)
        assert served.metric('flashreserve_http_requests_total{method="POST",route="other",status="503"}') == 1


async def test_the_application_ends_after_the_last_answer() -> None:
    order = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            order.append("ended")
            return
        arrived.set()
        await door.wait()
        await answer(send)
        order.append("answered")

    arrived, door = asyncio.Event(), asyncio.Event()
    async with serving(app) as served:
        client = await (await served.connect()).send(head("GET", "/"))
        await arrived.wait()
        served.stop.set()
        await until(lambda: served.edge.draining)
        door.set()
        assert (await client.reply()).status == 200
        await asyncio.wait_for(served.over, 10)
    assert order == ["answered", "ended"]


async def test_an_application_that_does_not_start_is_an_error() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(ServerError, match="did not start"):
        async with serving(failing):
            pass


def test_an_address_in_use_is_an_error_that_names_it() -> None:
    with bind(HOST, 0, backlog=1) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
            bind(HOST, port, backlog=1)


async def test_the_end_of_the_parent_sets_stop() -> None:
    lifeline, held = os.pipe()
    stop = asyncio.Event()
    stop_with_parent(stop, lifeline)
    await asyncio.sleep(0.01)
    assert not stop.is_set()
    os.close(held)
    await asyncio.wait_for(stop.wait(), 10)
    os.close(lifeline)


# All of it at random.

SCRAPS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"DELETE /%ff%00 HTTP/1.1\r\nHost: a\r\n",
    b"GET http://a/b?c#d HTTP/1.1\r\nHost: a\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Expect: 100-continue\r\n",
    b"X: " + b"a" * 3_000 + b"\r\n",
    b"\x00\xff",
    b"\r\n",
    b"\r\n",
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
]
TIGHT = HttpLimits(
    head_bytes_max=4_000,
    body_bytes_max=100,
    pipelined_max=3,
    head_timeout_s=0.05,
    body_timeout_s=0.05,
    idle_timeout_s=0.05,
    linger_timeout_s=0.05,
)


async def scribble(served: Served, choice: random.Random) -> None:
    """Send fragments of requests in pieces of random size, and disconnect in a random way."""
    client = await served.connect()
    with contextlib.suppress(OSError):
        for _ in range(choice.randrange(1, 12)):
            scraps = b"".join(choice.choices(SCRAPS, k=choice.randrange(1, 6)))
            cut = choice.randrange(len(scraps) + 1)
            await client.send(scraps[:cut])
            await asyncio.sleep(choice.choice([0, 0, 0.01]))
            await client.send(scraps[cut:])
        if choice.random() < 0.2:
            client.abort()
        elif choice.random() < 0.3:
            client.finish()
        received = await client.ended()
        for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", received):
            assert status in {b"100", b"200", b"400", b"408", b"413", b"431", b"503"}, received


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_that_clients_send_breaks_the_server(seed: int) -> None:
    broken: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    choice = random.Random(seed)
    async with serving(echo, limits=TIGHT) as served:
        await asyncio.gather(*(scribble(served, choice) for _ in range(60)))
        await until(lambda: served.edge.in_flight == 0)
        assert broken == []
        assert [entry for entry in served.logged if entry["log_level"] != "debug"] == []
        assert (await (await served.connect()).get()).status == 200
