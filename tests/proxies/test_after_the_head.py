"""Trailers and chunk extensions, directly and through proxies: limited, and never treated as headers."""

import contextlib
import re
import select
import uuid
from socket import socket
from typing import Final

import pytest
from tests.proxies.conftest import WAYS, ProxyPlace, Reply, Way, reply, until

from flashreserve.auth.tokens import Tokens
from flashreserve.bootstrap import key_ring
from flashreserve.clock import SystemClock
from flashreserve.core.model import Role

MOST: Final = 20_000_000
WITHIN: Final = 64 * 1024
MEMORY_KIB: Final = 16 * 1024
"""Memory that the process may gain during an attack. Without the limits it gained over a gigabyte."""

ENDLESS: Final = {
    "trailers": (b"0\r\n", b"X-Trailer: abcdefgh\r\n"),
    "one trailer": (b"0\r\nX: ", b"a"),
    "one chunk extension": (b"2;", b"a"),
}
UPGRADES: Final = {"plain": (), "upgrade": ("Connection: Upgrade", "Upgrade: h2c")}
JSON: Final = "Content-Type: application/json"


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize(("begin", "endless"), ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("through", ["directly", "HAProxy"])
def test_20_megabytes_after_the_head_end_within_64_kib(
    place: ProxyPlace, through: str, begin: bytes, endless: bytes, upgrade: tuple[str, ...]
) -> None:
    way, before_kib = place.way(through), place.memory_kib()
    for _ in range(5):
        with way.connect() as connection:
            connection.sendall(_head("POST", "/auth/login", JSON, *upgrade) + begin)
            assert _flood(connection, endless, WITHIN, pause_s=0.01) <= WITHIN
            assert 400 <= reply(connection).status < 500
            with contextlib.suppress(OSError):
                _flood(connection, endless, MOST)
    until(lambda: place.memory_kib() < before_kib + MEMORY_KIB)


@pytest.mark.parametrize(("begin", "endless"), ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("through", ["nginx, buffered", "nginx, unbuffered"])
def test_nginx_reads_over_them_by_itself_and_the_server_has_nothing_of_it(
    place: ProxyPlace, through: str, begin: bytes, endless: bytes
) -> None:
    way, before_kib = place.way(through), place.memory_kib()
    with way.connect() as connection:
        connection.sendall(_head("POST", "/auth/login", JSON) + begin)
        _flood(connection, endless, MOST)
        assert place.memory_kib() < before_kib + MEMORY_KIB
        assert way.ask("GET /livez HTTP/1.1\r\nHost: shop.test\r\n\r\n").status == 200


def _flood(connection: socket, endless: bytes, most: int, pause_s: float = 0.0) -> int:
    """Send until an answer comes or this much is sent. Returns the number of bytes sent."""
    sent, piece = 0, endless * (4_096 // len(endless))
    while sent + len(piece) <= most and not select.select([connection], [], [], pause_s)[0]:
        connection.sendall(piece)
        sent += len(piece)
    return sent


def _head(method: str, path: str, *headers: str, host: str | None = "shop.test") -> bytes:
    named = [] if host is None else [f"Host: {host}"]
    lines = [f"{method} {path} HTTP/1.1", *named, *headers, "Transfer-Encoding: chunked"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Buyer:
    """A signed-in customer, and a product."""

    def __init__(self, place: ProxyPlace, product: str) -> None:
        ring = key_ring(place.shop.settings, create=False)
        self.id = str(uuid.uuid4())
        issued = Tokens(ring, ttl_s=3600).issue(self.id, Role.CUSTOMER, SystemClock().now_ms())
        self.token = issued.token
        self.product = product
        self.bearer = f"Authorization: Bearer {self.token}"
        self.cookie = f"Cookie: token={self.token}"


@pytest.fixture(scope="module")
def product(place: ProxyPlace) -> str:
    return place.shop.stock(units=1_000)


@pytest.fixture
def buyer(place: ProxyPlace, product: str) -> Buyer:
    """A new customer for each test, because a quota limits the holds of one customer."""
    return Buyer(place, product)


ONE: Final = b'{"quantity": 1}'
CASES: Final = {
    # A trailer, and a request without it whose answer it would change. {…} stand for the buyer's values.
    "Authorization": ("Authorization: Bearer {token}", "POST", "/reservations/{product}", (JSON,), ONE),
    "another Authorization": ("Authorization: Bearer x", "POST", "/reservations/{product}", (JSON, "{bearer}"), ONE),
    "Cookie": ("Cookie: token={token}", "POST", "/reservations/{product}", (JSON,), ONE),
    "another Cookie": ("Cookie: token=x", "GET", "/reservations", ("{cookie}",), b""),
    "Idempotency-Key": ("Idempotency-Key: {id}", "POST", "/reservations/{product}", (JSON, "{bearer}"), ONE),
    "a bad Idempotency-Key": ("Idempotency-Key: a b", "POST", "/reservations/{product}", (JSON, "{bearer}"), ONE),
    "Content-Type": (JSON, "POST", "/auth/login", (), b'{"email": "a@example.com", "password": "wrong password"}'),
    "another Content-Type": ("Content-Type: text/csv", "POST", "/reservations/{product}", (JSON, "{bearer}"), ONE),
    "Content-Encoding": ("Content-Encoding: gzip", "POST", "/reservations/{product}", (JSON, "{bearer}"), ONE),
    "Origin": ("Origin: https://evil.test", "POST", "/reservations/{product}", (JSON, "{cookie}"), ONE),
    "Sec-Fetch-Site": ("Sec-Fetch-Site: cross-site", "POST", "/reservations/{product}", (JSON, "{cookie}"), ONE),
    "a better Origin": (
        "Sec-Fetch-Site: same-origin\r\nOrigin: http://shop.test",
        "POST",
        "/reservations/{product}",
        (JSON, "{cookie}", "Origin: https://evil.test"),
        ONE,
    ),
    "X-Forwarded-Host": (
        "X-Forwarded-Host: evil.test",
        "POST",
        "/reservations/{product}",
        (JSON, "{cookie}", "Origin: https://evil.test"),
        ONE,
    ),
    "Host": ("Host: evil.test", "POST", "/reservations/{product}", (JSON, "{cookie}", "Origin: http://evil.test"), ONE),
    "If-None-Match": ("If-None-Match: *", "GET", "/products/{product}/stock", (), b""),
    "Accept": ("Accept: text/html", "GET", "/products/{product}", (), b""),
    "X-Request-Id": ("X-Request-Id: {id}", "GET", "/products/{product}", (), b""),
    "X-Forwarded-Proto": ("X-Forwarded-Proto: https", "GET", "/products/{product}", (), b""),
    "Expect": ("Expect: 100-continue", "POST", "/reservations/{product}", (JSON, "{bearer}"), ONE),
    "Connection": ("Connection: upgrade\r\nUpgrade: h2c", "POST", "/reservations/{product}", (JSON, "{bearer}"), ONE),
}


@pytest.mark.parametrize(("trailers", "method", "path", "headers", "body"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("through", WAYS)
def test_a_request_has_the_same_answer_with_trailers_and_without(
    place: ProxyPlace,
    buyer: Buyer,
    through: str,
    trailers: str,
    method: str,
    path: str,
    headers: tuple[str, ...],
    body: bytes,
) -> None:
    way, own = place.way(through), vars(buyer)
    begun = _head(method, path.format(**own), *(header.format(**own) for header in headers)) + _chunk(body) + b"0\r\n"
    with_trailers = begun + trailers.format(**own).encode() + b"\r\n\r\n"
    plain, first, second = (_said(way, asked) for asked in (begun + b"\r\n", with_trailers, with_trailers))

    assert first == second == plain


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body) if body else b""


_PASSING: Final = re.compile(r'"([0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[0-9:.]+Z)"')


def _said(way: Way, asked: bytes) -> tuple[int, dict[str, str], str]:
    """An answer without the parts that differ each time: ids and times."""
    answer: Reply = way.ask(asked)
    if "x-request-id" in answer.headers:
        assert answer.headers["x-request-id"] not in asked.decode()
    assert "idempotent-replayed" not in answer.headers
    passing = {"date", "x-request-id", "location", "etag"}
    headers = {name: value for name, value in answer.headers.items() if name not in passing}
    return answer.status, headers, _PASSING.sub('"…"', answer.body.decode())


@pytest.mark.parametrize("through", WAYS)
def test_no_trailer_gives_a_client_another_address(place: ProxyPlace, through: str) -> None:
    way = place.way(through)
    statuses = []
    for number in range(60):
        body = f'{{"email": "nobody{uuid.uuid4()}@example.com", "password": "wrong password"}}'.encode()
        forwarded = f"X-Forwarded-For: 192.0.2.{number}\r\n\r\n"
        statuses.append(way.ask(_head("POST", "/auth/login", JSON), _chunk(body), "0\r\n", forwarded).status)
        if statuses[-1] == 429:
            break
    assert statuses[-1] == 429
