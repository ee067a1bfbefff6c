"""Pages of other origins: who may call, what answers show them, and whose cookies count."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.http.shop import HttpShop, ShopClock, new_key, open_shop

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOP, FORUM, STRANGER = "https://shop.example", "https://forum.example:8443", "https://stranger.example"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def open_to_pages(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HttpShop]:
    directory = tmp_path_factory.mktemp("origins")
    async with open_shop(directory, ShopClock(), origins=f"{SHOP}, {FORUM}") as shop:
        yield shop


@pytest.mark.parametrize("origin", [SHOP, FORUM])
@pytest.mark.parametrize("path", ["/reservations", "/no-such-path", "/auth/login"])
async def test_a_preflight_of_an_allowed_origin_is_answered(open_to_pages: HttpShop, origin: str, path: str) -> None:
    answer = await open_to_pages.ask(
        "OPTIONS", path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
    )

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Access-Control-Max-Age"] == "7200"
    assert answer.headers["Vary"] == "Origin"
    assert {"POST", "PUT", "PATCH", "DELETE"} <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))
    allowed = set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    assert {"Authorization", "Content-Type", "Idempotency-Key", "If-None-Match"} <= allowed


@pytest.mark.parametrize("origin", [STRANGER, "null", "https://shop.example:444", "http://shop.example"])
async def test_other_origins_get_answers_that_browsers_hide(open_to_pages: HttpShop, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for answer in (
        await open_to_pages.ask("OPTIONS", "/reservations", headers=asked),
        await open_to_pages.ask("GET", "/products", headers={"Origin": origin}),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-allow-origin")]
        assert "Origin" in answer.headers["Vary"]


async def test_every_answer_to_an_allowed_origin_can_be_read(open_to_pages: HttpShop) -> None:
    admin, customer = await open_to_pages.hire(), open_to_pages.customer()
    product_id = await admin.product(stockQuantity=1)
    answers = [
        await open_to_pages.ask("GET", "/products", headers={"Origin": SHOP}),
        await open_to_pages.ask("GET", f"/products/{product_id}/stock", headers={"Origin": SHOP}),
        await customer.ask("POST", f"/reservations/{product_id}", headers={"Origin": SHOP}, key=new_key()),
        await customer.ask("POST", f"/reservations/{product_id}", headers={"Origin": SHOP}, key=new_key()),
        await open_to_pages.ask("POST", f"/reservations/{product_id}", headers={"Origin": SHOP}),
        await open_to_pages.ask("GET", "/no-such-path", headers={"Origin": SHOP}),
        await open_to_pages.ask("POST", "/auth/login", headers={"Origin": SHOP}, raw=b"{"),
    ]

    assert [answer.status for answer in answers] == [200, 200, 201, 409, 401, 404, 400]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
        assert exposed == {"ETag", "Idempotent-Replayed", "Location", "Retry-After", "X-Request-Id"}


@pytest.mark.parametrize(
    ("target", "rest", "status"),
    [
        ("/", f"X-Long: {'x' * 100_000}\r\n\r\n", 431),
        (f"/{'x' * 20_000}", "\r\n", 414),
        ("/", "X-A: b\r\nnot a header\r\n\r\n", 400),
        ("/", "Transfer-Encoding: chunked\r\n\r\nno chunk\r\n", 400),
    ],
)
@pytest.mark.parametrize("origin", [SHOP, STRANGER])
async def test_a_refusal_by_the_server_itself_can_be_read_too(
    open_to_pages: HttpShop, target: str, rest: str, status: int, origin: str
) -> None:
    connection = await open_to_pages.connect()
    await connection.send(f"POST {target} HTTP/1.1\r\nHost: shop\r\nOrigin: {origin}\r\n{rest}")
    reply = await connection.reply()
    await connection.close()

    assert (reply.status, reply.header("vary")) == (status, "Origin")
    assert reply.header("access-control-allow-origin") == (SHOP if origin == SHOP else None)


@pytest.mark.parametrize(("origin", "status"), [(SHOP, 201), (FORUM, 201), (STRANGER, 403), ("null", 403)])
@pytest.mark.parametrize("site", ["cross-site", "same-site", None])
async def test_the_cookie_counts_for_pages_of_allowed_origins_only(
    open_to_pages: HttpShop, origin: str, status: int, site: str | None
) -> None:
    product_id = await (await open_to_pages.hire()).product(stockQuantity=1)
    headers = {"Origin": origin, "Cookie": f"token={open_to_pages.customer().token}"}
    if site is not None:
        headers["Sec-Fetch-Site"] = site
    answer = await open_to_pages.ask("POST", f"/reservations/{product_id}", headers=headers)

    assert answer.status == status
    assert status == 201 or answer.code == "cross-site"


async def test_without_the_setting_no_answer_is_for_pages_of_others(shop: HttpShop) -> None:
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    for answer in (
        await shop.ask("OPTIONS", "/reservations", headers=asked),
        await shop.ask("GET", "/products", headers={"Origin": SHOP}),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert "Vary" not in answer.headers


async def test_the_cookies_have_the_name_the_path_and_the_attribute_of_the_settings(
    tmp_path: Path, clock: ShopClock
) -> None:
    settings: dict[str, Any] = {"cookie_name": "seat", "path_prefix": "/flash", "cookie_samesite": "none"}
    async with open_shop(tmp_path, clock, **settings) as shop:
        credentials = {"email": "ann@shop.example", "password": "a password that nobody guesses"}
        assert (await shop.ask("POST", "/flash/auth/register", body=credentials)).status == 201
        answer = await shop.ask("POST", "/flash/auth/login", body=credentials)
        token = answer.granted(200)["token"]
        set_cookies = answer.headers.getall("Set-Cookie")
        known = await shop.ask("GET", "/flash/auth/me", headers={"Cookie": f"seat={token}"})
        unknown = await shop.ask("GET", "/flash/auth/me", headers={"Cookie": f"token={token}"})

    assert len(set_cookies) == 2
    assert set_cookies[0].startswith("seat=")
    assert "Path=/flash;" in set_cookies[0] + ";"
    assert set_cookies[1].startswith("seat-device=")
    assert "Path=/flash/auth/login;" in set_cookies[1] + ";"
    assert all("SameSite=none" in cookie and "Secure" in cookie for cookie in set_cookies)
    assert (known.status, unknown.status) == (200, 401)
