"""In Chromium: pages of an allowed origin (A) use the service (B), and pages of all other origins (C) can't."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from tests.auth import sign_in_service
from tests.browser.conftest import PATIENCE_MS, fresh_context
from tests.browser.origins import ARRANGEMENTS, OpenPage, Service, Visitor, open_service, page_server
from tests.cli.conftest import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOWN_ALWAYS: Final = {"cache-control", "content-language", "content-length", "content-type", "expires", "pragma"}
"""The headers that a browser shows to every page that may read an answer (Fetch, "CORS-safelisted")."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pages_port() -> AsyncIterator[int]:
    async with page_server() as port:
        yield port


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ARRANGEMENTS.values(), ids=ARRANGEMENTS)
async def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pages_port: int
) -> AsyncIterator[Service]:
    async with open_service(request.param, tmp_path_factory.mktemp("service"), pages_port) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_browser(browser: Browser, place: Service) -> AsyncIterator[Visitor]:
    async with fresh_context(browser) as context:
        yield Visitor(context, place)


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(open_browser: Visitor) -> Visitor:
    """Somebody who isn't signed in."""
    await open_browser.context.clear_cookies()
    return open_browser


@pytest_asyncio.fixture(loop_scope="module")
async def shop_page(visitor: Visitor, place: Service) -> OpenPage:
    """A page of origin A."""
    return await visitor.page(place.neighbours.shop)


def shop_token(customer: str) -> str:
    """A token of the shop's own sign-in service."""
    now_s = int(time.time())
    return sign_in_service.token(sub=customer, iat=now_s, exp=now_s + 300)


async def sign_in(page: OpenPage) -> str:
    """Register, and sign in by cookie. Returns the account's id."""
    credentials = {"email": f"{uuid.uuid4()}@shop.example", "password": PASSWORD}
    registered = await page.ask("POST", "/auth/register", body=credentials)
    assert registered.status == 201, registered
    signed_in = await page.ask("POST", "/auth/login", body=credentials, cookies=True)
    assert signed_in.status == 200, signed_in
    return str(registered.json["id"])


async def test_a_page_of_the_shop_reserves_with_a_token_of_the_shop(place: Service, shop_page: OpenPage) -> None:
    product_id, ann, bob = await place.admin.product(), shop_token("ann"), shop_token("bob")
    held = await shop_page.ask("POST", f"/reservations/{product_id}", token=ann, body={"quantity": 2})

    assert (held.kind, held.status, held.json["userId"]) == ("cors", 201, "shop:ann")
    assert held.headers["location"] == f"{place.arrangement.prefix}/reservations/{held.json['id']}"
    assert (await shop_page.follow(held.headers["location"], token=ann)).json == held.json
    assert (await shop_page.follow(held.headers["location"], token=bob)).status == 404
    assert await place.shop.available(product_id) == 8
    assert [each["userId"] for each in await place.admin.reservations(product_id)] == ["shop:ann"]


async def test_a_page_of_the_shop_reserves_with_the_cookie_of_an_account(
    visitor: Visitor, place: Service, shop_page: OpenPage
) -> None:
    product_id, customer = await place.admin.product(), await sign_in(shop_page)
    held = await shop_page.ask("POST", f"/reservations/{product_id}", cookies=True, body={"quantity": 2})
    bought = await shop_page.ask("POST", f"/checkout/{held.json['id']}", cookies=True)
    listed = await shop_page.ask("GET", "/reservations", cookies=True)

    assert (held.kind, held.status, held.json["userId"]) == ("cors", 201, customer)
    assert held.headers["location"] == f"{place.arrangement.prefix}/reservations/{held.json['id']}"
    assert (bought.status, bought.json["status"]) == (200, "CONFIRMED")
    assert [each["id"] for each in listed.json["items"]] == [held.json["id"]]
    assert await place.shop.available(product_id) == 8
    assert (await shop_page.ask("POST", "/auth/logout", cookies=True)).status == 204
    assert place.arrangement.cookie not in {each["name"] for each in await visitor.context.cookies()}
    assert (await shop_page.follow(held.headers["location"], cookies=True)).status == 401


async def test_the_cookie_is_for_the_service_under_its_path_alone(
    visitor: Visitor, place: Service, shop_page: OpenPage
) -> None:
    await sign_in(shop_page)
    cookies = {each["name"]: each for each in await visitor.context.cookies()}
    token = cookies[place.arrangement.cookie]

    assert token["domain"] == place.neighbours.service
    assert token["path"] == (place.arrangement.prefix or "/")
    assert token["httpOnly"]
    assert token["sameSite"].lower() == place.neighbours.same_site
    assert token["secure"] == (place.neighbours.same_site == "none")
    assert len(cookies) == 2
    for other in cookies.values():
        assert other["path"].startswith(place.arrangement.prefix)
    assert await shop_page.page.evaluate("document.cookie") == ""


async def test_problems_name_the_prefix(place: Service, shop_page: OpenPage) -> None:
    product_id = await place.admin.product(stockQuantity=1)
    path, prefix = f"/reservations/{product_id}", place.arrangement.prefix
    refused = {
        "unauthenticated": await shop_page.ask("POST", path, body={"quantity": 1}),
        "sold-out": await shop_page.ask("POST", path, token=shop_token("ann"), body={"quantity": 2}),
        "bad-request": await shop_page.ask("POST", path, token=shop_token("ann"), body={"quantity": 0}),
    }

    for code, answer in refused.items():
        assert (answer.kind, answer.json["code"]) == ("cors", code)
        assert answer.json["type"] == f"{prefix}/problems/{code}"
        assert answer.json["instance"] == prefix + path
    not_found = await shop_page.ask("GET", "/no-such-path")
    assert (not_found.status, not_found.json["type"]) == (404, f"{prefix}/problems/not-found")


async def test_a_page_of_the_shop_sees_the_headers_that_it_needs(place: Service, shop_page: OpenPage) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
    product_id, later_id, ann = (
        await place.admin.product(),
        await place.admin.product(saleStartsAt=soon),
        shop_token("ann"),
    )
    key = {"Idempotency-Key": str(uuid.uuid4())}
    held = await shop_page.ask("POST", f"/reservations/{product_id}", token=ann, headers=key)
    again = await shop_page.ask("POST", f"/reservations/{product_id}", token=ann, headers=key)
    early = await shop_page.ask("POST", f"/reservations/{later_id}", token=ann)
    stock = await shop_page.ask("GET", f"/products/{product_id}/stock")
    tag = {"If-None-Match": stock.headers["etag"]}
    unchanged = await shop_page.ask("GET", f"/products/{product_id}/stock", headers=tag)

    assert [each.status for each in (held, again, early, stock, unchanged)] == [201, 201, 403, 200, 304]
    assert (again.json, again.headers["idempotent-replayed"]) == (held.json, "true")
    assert "idempotent-replayed" not in held.headers
    assert 3_500 < int(early.headers["retry-after"]) <= 3_600
    for answer in (held, again, early, stock, unchanged):
        assert answer.kind == "cors"
        assert answer.headers["x-request-id"]
        shown = {"etag", "idempotent-replayed", "location", "retry-after", "x-request-id"} | SHOWN_ALWAYS
        assert set(answer.headers) <= shown


async def test_a_browser_asks_once_whether_a_page_may_reserve(
    visitor: Visitor, place: Service, shop_page: OpenPage
) -> None:
    product_id = await place.admin.product()
    before = await place.requests("OPTIONS"), await place.requests("POST")
    async with preflight_answer(visitor, shop_page) as answer:
        for _ in range(3):
            held = await shop_page.ask("POST", f"/reservations/{product_id}", token=shop_token("ann"))
            assert held.status == 201
        headers = await answer
    after = await place.requests("OPTIONS"), await place.requests("POST")

    assert (after[0] - before[0], after[1] - before[1]) == (1, 3)
    # Without this header, browsers ask again after five seconds (Fetch, "CORS-preflight cache").
    assert headers["access-control-max-age"] == "7200"


@asynccontextmanager
async def preflight_answer(visitor: Visitor, page: OpenPage) -> AsyncIterator[Awaitable[Mapping[str, str]]]:
    """The headers of the answer to the next preflight, which no page sees."""
    found = asyncio.get_running_loop().create_future()

    def note(event: Any) -> None:
        if event["type"] == "Preflight" and not found.done():
            found.set_result({name.lower(): value for name, value in event["response"]["headers"].items()})

    session = await visitor.context.new_cdp_session(page.page)
    session.on("Network.responseReceived", note)
    await session.send("Network.enable")
    yield asyncio.wait_for(found, PATIENCE_MS / 1000)
    await session.detach()


async def test_a_page_of_another_origin_cannot_reserve_with_a_token(visitor: Visitor, place: Service) -> None:
    product_id, ann = await place.admin.product(), shop_token("ann")
    posts = await place.requests("POST")
    for host in place.neighbours.strangers:
        page = await visitor.page(host)
        for asked in (
            await page.ask("POST", f"/reservations/{product_id}", token=ann, body={"quantity": 1}),
            await page.ask("GET", "/reservations", token=ann),
            await page.ask("GET", f"/products/{product_id}"),
        ):
            assert (asked.kind, asked.text) == ("error", "TypeError: Failed to fetch")

    assert await place.requests("POST") == posts
    assert await place.shop.available(product_id) == 10


async def test_a_page_of_another_origin_cannot_reserve_with_a_cookie(
    visitor: Visitor, place: Service, shop_page: OpenPage
) -> None:
    product_id, _ = await place.admin.product(), await sign_in(shop_page)
    posts = await place.requests("POST")
    for host in place.neighbours.strangers:
        page = await visitor.page(host)
        for asked in (
            await page.ask("POST", f"/reservations/{product_id}", cookies=True, body={"quantity": 1}),
            await page.ask("GET", "/reservations", cookies=True),
            await page.ask("GET", "/auth/me", cookies=True),
        ):
            assert (asked.kind, asked.text) == ("error", "TypeError: Failed to fetch")

    assert await place.requests("POST") == posts
    assert await place.shop.available(product_id) == 10


async def test_a_simple_request_of_another_origin_reserves_nothing(
    visitor: Visitor, place: Service, shop_page: OpenPage
) -> None:
    """Browsers send such a request without asking, with the cookie if SameSite allows it."""
    product_id, _ = await place.admin.product(), await sign_in(shop_page)
    path = f"/reservations/{product_id}"
    for host, sends_cookie in place.neighbours.strangers.items():
        page = await visitor.page(host)
        statuses = [
            await page.ask_simply(path),
            await page.ask_simply(path, {"quantity": 1}),
            await page.ask_simply(path, {"quantity": 1}, typed=False),
            await page.submit(path, {"quantity": "1"}),
        ]
        assert statuses == [403 if sends_cookie else 401] * 4

    assert await place.shop.available(product_id) == 10
    assert (await shop_page.ask("POST", path, cookies=True)).status == 201


async def test_a_simple_request_of_another_origin_signs_nobody_in_or_out(
    visitor: Visitor, place: Service, shop_page: OpenPage
) -> None:
    customer = await sign_in(shop_page)
    mallory = {"email": f"{uuid.uuid4()}@shop.example", "password": PASSWORD}
    assert (await shop_page.ask("POST", "/auth/register", body=mallory)).status == 201
    for host in place.neighbours.strangers:
        page = await visitor.page(host)
        await page.ask_simply("/auth/logout")
        await page.ask_simply("/auth/login", mallory)
        await page.ask_simply("/auth/login", mallory, typed=False)
        await page.submit("/auth/logout", {})
        me = await shop_page.ask("GET", "/auth/me", cookies=True)
        assert (host, me.json.get("id")) == (host, customer)
