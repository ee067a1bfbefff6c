"""The sender against servers that mean it ill: no private connection, few bytes read, every time limit kept."""

import asyncio
import gzip
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import pytest
from tests.webhooks.odd_servers import (
    PART,
    Answer,
    OddConnection,
    ScriptedResolver,
    answers,
    odd_server,
)

from flashreserve.clock import SystemClock
from flashreserve.webhooks.addresses import Destinations, read_networks
from flashreserve.webhooks.attempts import AttemptError, DeliveryAttempt
from flashreserve.webhooks.sender import BODY_BYTES_MAX, Sender

LOCAL: Final = Destinations(read_networks("127.0.0.0/8"), production=False)
PUBLIC: Final = Destinations(production=False)
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SHORT_S: Final = 0.3
LONG_S: Final = 10.0
HEADERS_MAX: Final = 128
HEADER_BYTES_MAX: Final = 8190
"""The client's own limits on the headers of an answer."""

UNREAD_BYTES_MAX: Final = 512 * 1024
"""Bytes that the kernel and the server may have taken of an answer that nobody reads."""


@asynccontextmanager
async def sender(destinations: Destinations = LOCAL, **options: Any) -> AsyncIterator[Sender]:
    made = Sender(destinations, SystemClock(), **{"connect_s": LONG_S, "total_s": LONG_S, **options})
    try:
        yield made
    finally:
        await made.close()


async def attempt(url: str, destinations: Destinations = LOCAL, **options: Any) -> DeliveryAttempt:
    """One attempt with a sender of its own."""
    async with sender(destinations, **options) as made:
        return await made.send(url, {"webhook-id": "r1-1"}, b"{}")


async def answered(answer: Answer, **options: Any) -> DeliveryAttempt:
    """One attempt at a server with this answer."""
    async with odd_server(answer) as server:
        return await attempt(server.url, **options)


async def for_ever(send: Callable[[], Awaitable[None]], pause_s: float = 0.0) -> None:
    while True:
        await send()
        await asyncio.sleep(pause_s)


async def test_a_delivery_is_a_post_with_the_given_headers_and_body_and_nothing_of_a_browser() -> None:
    async with odd_server(answers(OK)) as server:
        found = await attempt(server.url + "?key=a%2Fb&x=~")

        (head,) = server.requests
        lines = head.decode().lower().split("\r\n")
    assert (found.status, found.error, found.delivered) == (200, None, True)
    assert 0 <= found.duration_ms < LONG_S * 1000
    assert lines[0] == "post /hook?key=a%2fb&x=~ http/1.1"
    assert {"webhook-id: r1-1", "content-type: application/json", "accept-encoding: identity"} <= set(lines)
    assert "user-agent: flashreserve-webhooks" in lines
    assert not [line for line in lines if line.startswith(("cookie", "authorization", "referer"))]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_every_2xx_is_a_success(status: int) -> None:
    found = await answered(answers(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()))

    assert (found.status, found.error) == (status, None)


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 502, 503, 504, 599])
async def test_every_4xx_and_5xx_is_a_failure_by_status(status: int) -> None:
    found = await answered(answers(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()))

    assert (found.status, found.error) == (status, AttemptError.STATUS)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_a_redirect_to_loopback_is_not_followed(status: int) -> None:
    async with odd_server(answers(OK)) as secret:
        location = f"HTTP/1.1 {status} X\r\nLocation: {secret.url}\r\nContent-Length: 0\r\n\r\n".encode()
        found = await answered(answers(location))

        assert (found.status, found.error) == (status, AttemptError.REDIRECT)
        assert secret.connections == 0


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", 120),
        ("9999999999", 172_800),
        (format_datetime(datetime(2099, 1, 1, tzinfo=UTC), usegmt=True), 172_800),
        ("soon", None),
    ],
)
async def test_retry_after_is_in_the_result(header: str, expected: int | None) -> None:
    head = f"HTTP/1.1 503 X\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n"

    assert (await answered(answers(head.encode()))).retry_after_s == expected


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[fec0::1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "0.0.0.0",  # noqa: S104 - nothing is bound to it
        "[::]",
        "localhost",
    ],
)
async def test_a_url_to_a_private_address_makes_no_connection(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dialled = watch_dialling(monkeypatch)
    async with odd_server(answers(OK)) as server:
        found = await attempt(f"http://{host}:{server.port}/", PUBLIC)

        assert (found.status, found.error) == (None, AttemptError.ADDRESS_REFUSED)
        assert server.connections == 0
    assert dialled == []


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1"])
async def test_a_numeric_host_in_an_unusual_form_makes_no_connection(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled = watch_dialling(monkeypatch)
    async with odd_server(answers(OK)) as server:
        found = await attempt(f"http://{host}:{server.port}/", PUBLIC)

        assert found.error in {AttemptError.URL, AttemptError.ADDRESS_REFUSED, AttemptError.DNS}
        assert server.connections == 0
    assert dialled == []


@pytest.mark.parametrize(
    "url", ["", "hook", "https://", "https:///hook", "ftp://127.0.0.1/", "http://127.0.0.1:99999/"]
)
async def test_a_url_that_cannot_be_called_is_a_failure(url: str) -> None:
    found = await attempt(url)

    assert (found.status, found.error) == (None, AttemptError.URL)


async def test_a_name_that_resolves_to_a_private_address_the_second_time_is_refused_then() -> None:
    async with odd_server(answers(OK)) as server:
        resolver = ScriptedResolver(["127.0.0.1"], ["127.0.0.2"])
        async with sender(Destinations(read_networks("127.0.0.1"), production=False), resolver=resolver) as made:
            url = f"http://shop.example:{server.port}/"
            first = await made.send(url, {}, b"{}")
            second = await made.send(url, {}, b"{}")

        assert (first.error, second.error) == (None, AttemptError.ADDRESS_REFUSED)
        assert (resolver.asked, server.connections) == (2, 1)


async def test_of_several_addresses_only_the_allowed_one_is_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled = watch_dialling(monkeypatch)
    async with odd_server(answers(OK)) as server:
        resolver = ScriptedResolver(["10.0.0.1", "fec0::1", "127.0.0.1", "169.254.169.254"])
        found = await attempt(f"http://shop.example:{server.port}/", resolver=resolver)

    assert found.delivered
    assert dialled == ["127.0.0.1"]


async def test_if_no_allowed_address_answers_a_refused_one_is_the_reason() -> None:
    port = free_port()
    resolver = ScriptedResolver(["127.0.0.1", "10.0.0.1"])

    assert (await attempt(f"http://shop.example:{port}/", resolver=resolver)).error is AttemptError.ADDRESS_REFUSED


async def test_production_dials_by_http_only_the_networks_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled = watch_dialling(monkeypatch)
    async with odd_server(answers(OK)) as server:
        resolver = ScriptedResolver(["8.8.8.8"], ["127.0.0.1"])
        async with sender(Destinations(read_networks("127.0.0.1")), resolver=resolver) as made:
            url = f"http://shop.example:{server.port}/"
            found = [(await made.send(url, {}, b"{}")).error for _ in range(2)]

    assert found == [AttemptError.ADDRESS_REFUSED, None]
    assert dialled == ["127.0.0.1"]


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with odd_server(answers(OK)) as proxy, odd_server(answers(OK)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        found = await attempt(server.url)

        assert found.delivered
        assert (proxy.connections, server.connections) == (0, 1)


async def test_cookies_are_not_kept() -> None:
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    async with odd_server(answers(cookie)) as server, sender(resolver=ScriptedResolver(["127.0.0.1"])) as made:
        for _ in range(2):
            assert (await made.send(f"http://shop.example:{server.port}/", {}, b"{}")).delivered

        assert not [head for head in server.requests if b"cookie" in head.lower()]


async def test_at_most_64_kib_of_an_answer_of_1_gib_are_read() -> None:
    async def answer(connection: OddConnection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        for _ in range(65_536):
            await connection.send(PART)

    async with odd_server(answer) as server:
        found = await attempt(server.url)
        await asyncio.wait_for(server.left.wait(), LONG_S)

        assert (found.status, found.error) == (200, None)
        assert BODY_BYTES_MAX < server.sent_bytes < BODY_BYTES_MAX + UNREAD_BYTES_MAX


async def test_an_answer_in_chunks_without_end_is_cut_too() -> None:
    async def answer(connection: OddConnection) -> None:
        await connection.send(b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        await for_ever(lambda: connection.send(b"1000\r\n", bytes(4096), b"\r\n"))

    async with odd_server(answer) as server:
        found = await attempt(server.url)
        await asyncio.wait_for(server.left.wait(), LONG_S)

        assert (found.status, found.error) == (500, AttemptError.STATUS)
        assert server.sent_bytes < BODY_BYTES_MAX + UNREAD_BYTES_MAX


async def test_a_compressed_answer_is_not_decompressed() -> None:
    bomb = gzip.compress(bytes(20_000_000))
    assert len(bomb) < BODY_BYTES_MAX
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()

    async with odd_server(keep_alive(2, head + bomb)) as server, sender(keep_connections=True) as made:
        for _ in range(2):
            assert (await made.send(server.url, {}, b"{}")).delivered

        assert server.connections == 1, "the body was too long, as only the decompressed one is"


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_an_answer_of_a_byte_now_and_then_is_ended_at_the_time_limit(head: bytes) -> None:
    async def answer(connection: OddConnection) -> None:
        await connection.send(head)
        await for_ever(lambda: connection.send(b"x"), SHORT_S / 10)

    began = time.monotonic()
    async with odd_server(answer) as server:
        found = await attempt(server.url, total_s=SHORT_S)
        await asyncio.wait_for(server.left.wait(), LONG_S)

    assert (found.status, found.error) == (200, AttemptError.TIMEOUT)
    assert SHORT_S * 1000 - 5 <= found.duration_ms < 1000 * (time.monotonic() - began) < LONG_S * 1000 / 2


async def silence(connection: OddConnection) -> None:
    await connection.reader.read()


async def slow_head(connection: OddConnection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nX: ")
    await for_ever(lambda: connection.send(b"x"), SHORT_S / 10)


async def interim(connection: OddConnection) -> None:
    await for_ever(lambda: connection.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100))


@pytest.mark.parametrize("answer", [silence, slow_head, interim])
async def test_a_server_that_never_answers_is_left_at_the_time_limit(answer: Answer) -> None:
    async with odd_server(answer) as server:
        found = await attempt(server.url, total_s=SHORT_S)

        assert (found.status, found.error) == (None, AttemptError.TIMEOUT)
        assert SHORT_S * 1000 - 5 <= found.duration_ms < LONG_S * 1000 / 2
        assert server.connections == 1


@pytest.mark.parametrize("name", [b"X-%d: y\r\n", b"X-%d: " + b"y" * 3000 + b"\r\n"])
async def test_headers_without_end_are_refused(name: bytes) -> None:
    async def answer(connection: OddConnection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\n")
        for number in range(1_000_000):
            await connection.send(name % number)

    async with odd_server(answer) as server:
        found = await attempt(server.url)
        await asyncio.wait_for(server.left.wait(), LONG_S)

        assert (found.status, found.error) == (None, AttemptError.PROTOCOL)
        assert server.sent_bytes < HEADERS_MAX * HEADER_BYTES_MAX + UNREAD_BYTES_MAX


@pytest.mark.parametrize(
    "text",
    [
        b"220 smtp.example ESMTP\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\0" * 100,
        b"HTTP/1.1 200 " + b"x" * 10_000 + b"\r\n\r\n",
    ],
)
async def test_an_answer_that_is_not_http_is_a_failure(text: bytes) -> None:
    async def answer(connection: OddConnection) -> None:
        await connection.send(text)
        await connection.reader.read()

    assert (await answered(answer)).error is AttemptError.PROTOCOL


@pytest.mark.parametrize("text", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
async def test_a_connection_that_ends_too_early_is_a_failure(text: bytes) -> None:
    assert (await answered(answers(text))).error in {AttemptError.DISCONNECTED, AttemptError.PROTOCOL}


async def test_a_port_where_nobody_listens_is_a_failure_to_connect() -> None:
    found = await attempt(f"http://127.0.0.1:{free_port()}/")

    assert (found.status, found.error) == (None, AttemptError.CONNECT)


async def test_a_name_without_an_address_is_a_failure_of_the_dns() -> None:
    found = await attempt("http://shop.example/", resolver=ScriptedResolver([]))

    assert (found.status, found.error) == (None, AttemptError.DNS)


async def test_a_name_that_takes_too_long_is_a_timeout() -> None:
    class SlowResolver(ScriptedResolver):
        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> Any:
            await asyncio.Event().wait()

    found = await attempt("http://shop.example/", resolver=SlowResolver([]), connect_s=SHORT_S)

    assert (found.status, found.error) == (None, AttemptError.TIMEOUT)
    assert SHORT_S * 1000 - 5 <= found.duration_ms < LONG_S * 1000 / 2


async def test_a_host_that_accepts_no_connection_is_left_at_the_limit_on_connecting() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for each in waiting:  # They fill the backlog, so that no further connection is accepted.
                each.settimeout(0)
                each.connect_ex(full.getsockname())
            found = await attempt(f"http://127.0.0.1:{full.getsockname()[1]}/", connect_s=SHORT_S)
        finally:
            for each in waiting:
                each.close()

    assert (found.status, found.error) == (None, AttemptError.TIMEOUT)
    assert SHORT_S * 1000 - 5 <= found.duration_ms < LONG_S * 1000 / 2


async def test_a_certificate_that_nobody_vouches_for_is_a_failure_of_tls(certificate: Path) -> None:
    async with tls_server(certificate) as port:
        found = await attempt(f"https://127.0.0.1:{port}/")

    assert (found.status, found.error) == (None, AttemptError.TLS)


async def test_a_certificate_for_another_name_is_a_failure_of_tls(certificate: Path) -> None:
    trusted = ssl.create_default_context(cafile=certificate)
    async with tls_server(certificate) as port:
        resolver = ScriptedResolver(["127.0.0.1"])
        other = await attempt(f"https://shop.example:{port}/", tls=trusted, resolver=resolver)
        right = await attempt(f"https://localhost:{port}/", tls=trusted, resolver=resolver)

    assert (other.error, right.error) == (AttemptError.TLS, None)


async def test_a_host_that_speaks_no_tls_is_a_failure_of_tls() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp.example ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        found = await attempt(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    assert (found.status, found.error) == (None, AttemptError.TLS)


async def test_a_cancellation_is_passed_on_and_closes_the_connection() -> None:
    async with odd_server(silence) as server, sender() as made:
        sending = asyncio.create_task(made.send(server.url, {}, b"{}"))
        await server.wait_for_requests(1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_connections_are_used_once_unless_they_are_kept() -> None:
    for kept, connections in ((False, 3), (True, 1)):
        async with odd_server(keep_alive(3)) as server, sender(keep_connections=kept) as made:
            found = [(await made.send(server.url, {}, b"{}")).status for _ in range(3)]

            assert found == [200] * 3
            assert server.connections == connections


async def test_a_kept_connection_that_the_endpoint_closes_is_replaced_without_a_failed_try() -> None:
    async def answer(connection: OddConnection) -> None:
        await connection.send(OK)
        await connection.read_request()  # and close the connection instead of an answer

    async with odd_server(answer) as server, sender(keep_connections=True) as made:
        found = [await made.send(server.url, {}, b"{}") for _ in range(3)]

        assert [each.error for each in found] == [None] * 3
        assert server.connections == 3
        assert len(server.requests) == 5


async def test_a_fresh_connection_that_the_endpoint_closes_is_a_failed_try() -> None:
    async with odd_server(answers()) as server, sender(keep_connections=True) as made:
        found = await made.send(server.url, {}, b"{}")

        assert (found.status, found.error) == (None, AttemptError.DISCONNECTED)
        assert server.connections == 1


async def test_one_slow_endpoint_does_not_delay_another() -> None:
    async with odd_server(silence) as slow, odd_server(answers(OK)) as healthy, sender() as made:
        hanging = [asyncio.create_task(made.send(slow.url, {}, b"{}")) for _ in range(50)]
        await slow.wait_for_requests(len(hanging))
        found = await made.send(healthy.url, {}, b"{}")
        for each in hanging:
            each.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)

    assert found.delivered
    assert found.duration_ms < LONG_S * 1000 / 2


def keep_alive(requests: int, ok: bytes = OK) -> Answer:
    async def answer(connection: OddConnection) -> None:
        for _ in range(requests - 1):
            await connection.send(ok)
            await connection.read_request()
        await connection.send(ok)

    return answer


def watch_dialling(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that sockets are connected to from now on."""
    dialled: list[str] = []
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def watched(sock: socket.socket, address: Any) -> None:
        dialled.append(str(ip_address(address[0])))
        await connect(sock, address)

    monkeypatch.setattr(loop, "sock_connect", watched)
    return dialled


@asynccontextmanager
async def tls_server(certificate: Path) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(OK)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
