"""The express lane and the framework give the same answers, byte for byte, and leave the same state behind."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from tests.core.examples import a_product, product_id, user_id
from tests.moving_clock import START_MS, MovingClock

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.tokens import Tokens
from flashreserve.bootstrap import Seams, open_core, open_edge
from flashreserve.core.model import Role
from flashreserve.http.edge import Edge
from flashreserve.server.exchange import Exchange
from flashreserve.server.limits import HttpLimits
from flashreserve.settings import Settings
from flashreserve.stores.memory import MemoryStore

KEYS = KeyRing.parse("lane:lane-tests-sign-with-these-very-letters")
ON_SALE, SOLD_OUT, OFF_SALE, LIMITED, UNKNOWN, PAUSED = (product_id(number) for number in range(1, 7))
PRODUCTS = [
    a_product(ON_SALE, units=20),
    a_product(SOLD_OUT, units=0),
    a_product(OFF_SALE, sale_starts_at=START_MS + 60_000),
    a_product(LIMITED, per_customer_limit=2),
    a_product(PAUSED, pause_reason="a fault in the “price”"),
]


class CountingIds:
    def __init__(self) -> None:
        self._made = itertools.count(1)

    def new(self) -> str:
        return f"0199c0de-0000-7000-8009-{next(self._made):012x}"


class Ask(NamedTuple):
    """A request as the server passes it on."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    chunks: int = 1
    version: str = "1.1"

    def scope(self) -> dict[str, Any]:
        headers = [("host", "shop.example"), *self.headers]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self.version,
            "method": self.method,
            "scheme": "http",
            "path": unquote(self.path),
            "raw_path": self.path.encode(),
            "query_string": self.query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
            "client": ("192.0.2.1", 4711),
            "server": ("127.0.0.1", 3000),
            "state": {},
        }

    def messages(self) -> list[dict[str, Any]]:
        size = max(1, -(-len(self.body) // self.chunks))
        parts = [self.body[at : at + size] for at in range(0, len(self.body), size)] or [b""]
        return [
            {"type": "http.request", "body": part, "more_body": place < len(parts) - 1}
            for place, part in enumerate(parts)
        ]


class Told(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class WholeExchange(Exchange):
    """A complete request, as the server offers it to the express lane."""

    client = ("192.0.2.1", 4711)

    def __init__(self, request: Ask) -> None:
        scope = request.scope()
        self.method = scope["method"]
        self.http_version = scope["http_version"]
        self.path = scope["path"]
        self.query_string = scope["query_string"]
        self.headers = scope["headers"]
        self.body = request.body
        self.told: asyncio.Future[Told] = asyncio.get_running_loop().create_future()

    def answer(self, status: int, lines: bytes, body: bytes, *, close: bool) -> None:
        assert not close
        headers = [tuple(line.split(b": ", 1)) for line in lines.removesuffix(b"\r\n").split(b"\r\n")]
        self.told.set_result(Told(status, [(name, value) for name, value in headers if name != b"x-request-id"], body))


async def ask(edge: Edge, request: Ask) -> Told:
    """The answer by the express lane or, if that doesn't take the request, by ASGI."""
    whole = WholeExchange(request)
    if edge.take(whole) is not None:
        return await whole.told
    return await ask_slowly(edge, request)


async def ask_slowly(edge: Edge, request: Ask) -> Told:
    waiting = request.messages()
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await edge(request.scope(), receive, send)
    headers = [header for header in sent[0]["headers"] if header[0] != b"x-request-id"]
    return Told(sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))


@asynccontextmanager
async def shop(*, lane: bool, **settings: Any) -> AsyncIterator[Edge]:
    store = MemoryStore()
    await store.add_products(PRODUCTS)
    setup = Settings(express_lane=lane, hosts="shop.example", **settings)
    seams = Seams(clock=MovingClock(), ids=CountingIds())
    async with (
        open_core(setup, store, KEYS, seams) as core,
        open_edge(setup, core, sweeps=False, place=None, limits=HttpLimits()) as edge,
    ):
        yield edge


def token(role: Role = Role.CUSTOMER, *, ttl_s: int = 3600) -> str:
    issued_at = START_MS - (7_200_000 if ttl_s == 1 else 0)
    return Tokens(KEYS, ttl_s=ttl_s).issue(user_id(1), role, issued_at).token


GOOD = ("authorization", f"Bearer {token()}")
CREDENTIALS: list[tuple[tuple[str, str], ...]] = [
    (GOOD,),
    (GOOD,),
    (GOOD,),
    (("cookie", f"token={token()}"),),
    (("cookie", f"a=b; token={token()}; c=d"), ("sec-fetch-site", "same-origin")),
    (("cookie", f"token={token()}"), ("sec-fetch-site", "cross-site")),
    (("authorization", f"bearer {token()}"),),
    (("authorization", f"Bearer {token(Role.ADMIN)}"),),
    (("authorization", f"Bearer {token(ttl_s=1)}"),),
    (("authorization", "Bearer nonsense"),),
    (("authorization", "Bearer frk_0123_nonsense"),),
    (("authorization", "Bearer frk_"),),
    (("authorization", "Basic YTpi"),),
    (("authorization", ""),),
    (("cookie", "token="),),
    (),
    (GOOD, ("cookie", "token=nonsense")),
]
BODIES = [
    b"",
    b'{"quantity":1}',
    b'{"quantity": 2}',
    b"{}",
    b' {"quantity":3} ',
    b'{"quantity":0}',
    b'{"quantity":1001}',
    b'{"quantity":1.5}',
    b'{"quantity":1.0}',
    b'{"quantity":"1"}',
    b'{"quantity":null}',
    b'{"quantity":1,"quantity":2}',
    b'{"quantity":1,"q\\u0075antity":2}',
    b'{"amount":1}',
    b"[1]",
    b"null",
    b"{",
    b"\xff\xfe",
    b'{"quantity":' + b" " * 2000 + b"1}",
]
TYPES: list[tuple[tuple[str, str], ...]] = [
    (("content-type", "application/json"),),
    (("content-type", "application/json"),),
    (("content-type", "application/json; charset=utf-8"),),
    (("content-type", "APPLICATION/JSON"),),
    (("content-type", "text/plain"),),
    (),
]
IDS = [
    ON_SALE,
    ON_SALE,
    ON_SALE,
    SOLD_OUT,
    OFF_SALE,
    PAUSED,
    LIMITED,
    UNKNOWN,
    ON_SALE.upper(),
    ON_SALE[:-1],
    "confirm",
    "%00",
    ON_SALE + "/",
]
PATHS = (
    [f"/reservations/{id_}" for id_ in IDS]
    + [f"/products/{id_}/reservations" for id_ in IDS]
    + [f"/products/{id_}/stock" for id_ in IDS]
    + [
        f"/reservations/%30{ON_SALE[1:]}",
        f"//reservations/{ON_SALE}",
        f"/reservations/{ON_SALE}/extend",
    ]
)
KEYED: list[tuple[tuple[str, str], ...]] = [
    (),
    (),
    (("idempotency-key", "one"),),
    (("idempotency-key", "two"),),
    (("idempotency-key", ""),),
    (("idempotency-key", "k" * 256),),
    (("idempotency-key", "white space"),),
    (("idempotency-key", "ümlaut"),),
]
TAGS: list[tuple[tuple[str, str], ...]] = [
    (),
    (("if-none-match", 'W/"20"'),),
    (("if-none-match", '"20"'),),
    (("if-none-match", "*"),),
    (("if-none-match", '"1", W/"0"'),),
]


def some_ask(pick: random.Random) -> Ask:
    """A random request: half of them are typical of shops, half are arbitrary."""
    return _odd_ask(pick) if pick.random() < 0.5 else _usual_ask(pick)


def _usual_ask(pick: random.Random) -> Ask:
    if pick.random() < 0.2:
        return Ask("GET", f"/products/{pick.choice(IDS[:8])}/stock", headers=pick.choice(TAGS))
    body = pick.choice(BODIES[:5])
    headers = [GOOD, ("content-type", "application/json"), *pick.choice(KEYED[:4]), ("content-length", str(len(body)))]
    form = pick.choice(["/reservations/{}", "/products/{}/reservations"])
    return Ask("POST", form.format(pick.choice(IDS[:8])), headers=tuple(headers), body=body)


def _odd_ask(pick: random.Random) -> Ask:
    body = pick.choice(BODIES)
    framed = pick.choice(["length", "length", "length", "chunked", "none"])
    framing: tuple[tuple[str, str], ...] = ()
    if framed == "chunked":
        framing = (("transfer-encoding", "chunked"),)
    elif body or framed == "length":
        framing = (("content-length", str(len(body))),)
    headers = [*pick.choice(CREDENTIALS), *pick.choice(TYPES), *pick.choice(KEYED), *pick.choice(TAGS), *framing]
    return Ask(
        method=pick.choice(["POST", "POST", "POST", "POST", "GET", "GET", "HEAD", "PUT", "OPTIONS"]),
        path=pick.choice(PATHS),
        query=pick.choice(["", "", "", "", "a=b", "quantity=2"]),
        headers=tuple(headers),
        body=body,
        chunks=pick.choice([1, 1, 2]),
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_lane_and_framework_answer_alike(seed: int) -> None:
    pick = random.Random(seed)
    statuses: Counter[int] = Counter()
    async with shop(lane=True) as fast, shop(lane=False) as plain:
        for _ in range(500):
            request = some_ask(pick)
            told = await ask(fast, request)
            assert told == await ask(plain, request), request
            statuses[told.status] += 1
    assert {200, 201, 304, 400, 401, 403, 404, 405, 409, 415, 422} <= set(statuses), statuses


ORIGINS: list[tuple[tuple[str, str], ...]] = [
    (),
    (("origin", "https://shop.example"),),
    (("origin", "https://shop.example"), ("sec-fetch-site", "cross-site")),
    (("origin", "https://other.example"), ("sec-fetch-site", "cross-site")),
    (("origin", "null"),),
    (("origin", "https://shop.example"), ("access-control-request-method", "POST")),
]


async def test_lane_and_framework_answer_alike_for_pages_of_other_origins_and_under_a_prefix() -> None:
    pick = random.Random(4)
    seen: set[tuple[bytes, bytes]] = set()
    settings: dict[str, Any] = {"origins": "https://shop.example", "path_prefix": "/flash"}
    async with shop(lane=True, **settings) as fast, shop(lane=False, **settings) as plain:
        for _ in range(500):
            request = some_ask(pick)
            path = pick.choice(["", "/flash"]) + request.path
            request = request._replace(path=path, headers=request.headers + pick.choice(ORIGINS))
            told = await ask(fast, request)
            assert told == await ask(plain, request), request
            seen.update(told.headers)
            assert b'"instance":"/reservations' not in told.body
    assert (b"access-control-allow-origin", b"https://shop.example") in seen
    assert any(name == b"location" and value.startswith(b"/flash/reservations/") for name, value in seen)


@pytest.mark.parametrize(
    ("request_", "served"),
    [
        (Ask("POST", f"/reservations/{ON_SALE}", headers=(GOOD,)), True),
        (Ask("POST", f"/products/{ON_SALE}/reservations", headers=(GOOD,)), True),
        (
            Ask(
                "POST",
                f"/reservations/{SOLD_OUT}",
                headers=(GOOD, ("content-type", "application/json"), ("content-length", "14")),
                body=b'{"quantity":1}',
            ),
            True,
        ),
        (Ask("GET", f"/products/{ON_SALE}/stock"), True),
        (Ask("POST", f"/reservations/{ON_SALE}"), False),
        (Ask("GET", "/products"), False),
        (Ask("GET", f"/products/{UNKNOWN}/stock"), False),
    ],
)
async def test_the_lane_serves_what_it_is_for(request_: Ask, *, served: bool) -> None:
    async with shop(lane=True) as edge:
        if request_.method == "GET":  # The lane answers polls for products in the stock view.
            await ask_slowly(edge, request_)
        whole = WholeExchange(request_)
        assert (edge.take(whole) is not None) is served
        if served:
            await whole.told
        assert edge.in_flight == 0


@pytest.mark.parametrize("keyed", [True, False])
async def test_a_paused_sale_is_refused_in_the_same_bytes_by_lane_framework_and_stock_view(*, keyed: bool) -> None:
    headers = (GOOD, ("idempotency-key", "k")) if keyed else (GOOD,)
    for path in (f"/reservations/{PAUSED}", f"/products/{PAUSED}/reservations"):
        request = Ask("POST", path, headers=headers)
        async with shop(lane=True) as fast, shop(lane=False) as plain:
            whole = WholeExchange(request)
            assert fast.take(whole) is not None
            # The second time, without a key, the stock view answers.
            told = [await whole.told, await ask(fast, request), await ask(plain, request), await ask(plain, request)]
        assert len({(each.status, tuple(each.headers), each.body) for each in told}) == 1
        assert (told[0].status, dict(told[0].headers)[b"retry-after"]) == (403, b"30")
        assert b'"code":"sale-paused"' in told[0].body


async def test_without_the_lane_nothing_is_taken() -> None:
    async with shop(lane=False) as edge:
        assert edge.take(WholeExchange(Ask("POST", f"/reservations/{ON_SALE}", headers=(GOOD,)))) is None
