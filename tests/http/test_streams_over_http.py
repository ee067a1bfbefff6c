"""The streams of server-sent events, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from tests.http.followers import following, signed
from tests.http.shop import Admin, HttpCustomer, HttpShop, ShopClock, open_shop

from flashreserve.core.model import Role
from flashreserve.http.streams import stock_stream
from flashreserve.server.limits import HttpLimits

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = "0199f3a2-5b00-7c41-9d2e-000000000000"


async def open_streams(shop: HttpShop) -> int:
    """The streams that are open, as the metrics say."""
    lines = (await shop.ask("GET", "/metrics")).body.decode().splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith("flashreserve_streams ")]
    return int(float(value))


async def until_no_stream_is_open(shop: HttpShop) -> None:
    async with asyncio.timeout(10):
        while await open_streams(shop):  # noqa: ASYNC110 - the metrics set no event
            await asyncio.sleep(0.01)


async def test_a_stream_begins_with_the_state_and_tells_each_change(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product = await admin.product(stockQuantity=3)
    async with following(shop, f"/products/{product}/events") as follower:
        first = await follower.next()
        assert first is not None
        assert (first.name, first.data["available"], first.data["stockQuantity"]) == ("stock", 3, 3)
        assert first.id == first.data["asOf"]
        assert follower.retry_ms == 2_000

        hold = await customer.hold(product, 2)
        await follower.until(available=1, held=2)
        await customer.confirm(hold["id"])
        await follower.until(available=1, held=0)
        await admin.restock(product, 4)
        await follower.until(available=5, stockQuantity=7)
        await admin.ask("POST", f"/products/{product}/pause", body={"reason": "The price is wrong"})
        await follower.until(pauseReason="The price is wrong")
        await admin.edit(product, saleEndsAt="2030-01-01T00:00:00Z")
        await follower.until(saleEndsAt="2030-01-01T00:00:00.000Z")
        await admin.ask("DELETE", f"/products/{product}")
        await follower.until(archived=True)


async def test_all_who_watch_a_product_get_the_same_and_nothing_of_other_products(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product, other = await admin.product(stockQuantity=5), await admin.product(stockQuantity=5)
    async with AsyncExitStack() as stack:
        followers = [await stack.enter_async_context(following(shop, f"/products/{product}/events")) for _ in range(20)]
        await customer.hold(other)
        await customer.hold(product)
        events = await asyncio.gather(*[follower.until(available=4, held=1) for follower in followers])

    assert len({event.id for event in events}) == 1
    assert {event.data["productId"] for event in events} == {product}


async def test_a_product_that_is_unknown_or_no_id_has_no_stream(shop: HttpShop) -> None:
    assert (await shop.ask("GET", f"/products/{UNKNOWN}/events")).code == "not-found"
    assert (await shop.ask("GET", "/products/one/events")).fields == ["id"]


async def test_streams_count_in_the_metrics_and_in_the_overview_until_they_are_closed(
    shop: HttpShop, admin: Admin
) -> None:
    product = await admin.product()
    async with following(shop, f"/products/{product}/events") as follower:
        await follower.next()
        assert await open_streams(shop) == 1
        assert (await admin.ask("GET", "/overview")).granted(200)["streams"] == 1
    await until_no_stream_is_open(shop)


async def test_the_overview_is_for_admins(shop: HttpShop, customer: HttpCustomer) -> None:
    assert (await shop.ask("GET", "/admin/events")).code == "unauthenticated"
    assert (await customer.ask("GET", "/admin/events")).code == "forbidden"
    assert (await customer.ask("POST", "/stream-tickets")).code == "forbidden"
    assert (await shop.ask("GET", "/admin/events?ticket=none")).code == "unauthenticated"


async def test_the_overview_begins_with_the_history_and_tells_what_happens(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product = await admin.product(stockQuantity=3, name="Sneaker 42")
    async with following(shop, "/admin/events", signed(admin.token)) as follower:
        history = await follower.next()
        assert history is not None
        assert (history.name, len(history.data["reserved"])) == ("history", 900)
        overview = await follower.next()
        assert overview is not None
        assert overview.name == "overview"
        await customer.hold(product, 2)
        while True:
            event = await follower.next()
            assert event is not None
            sales = [sale for sale in event.data["sales"] if sale["id"] == product]
            if sales and sales[0]["held"] == 2:
                break
    assert (sales[0]["name"], sales[0]["available"], sales[0]["sold"]) == ("Sneaker 42", 1, 0)


async def test_a_ticket_opens_the_stream_of_the_overview_for_a_minute(
    shop: HttpShop, admin: Admin, clock: ShopClock
) -> None:
    made = (await admin.ask("POST", "/stream-tickets")).granted()
    assert made["expiresAt"] == clock.instant(60)[:19] + ".000Z"
    path = f"/admin/events?ticket={made['ticket']}"
    async with following(shop, path) as follower:
        assert (await follower.next()) is not None

    clock.advance(61)
    assert (await shop.ask("GET", path)).code == "unauthenticated"
    assert (await shop.ask("GET", "/overview", headers=signed(made["ticket"]))).code == "unauthenticated"


async def test_a_login_token_is_no_ticket(shop: HttpShop, admin: Admin) -> None:
    assert (await shop.ask("GET", f"/admin/events?ticket={admin.token}")).code == "unauthenticated"


async def test_a_demoted_admins_stream_ends(shop: HttpShop) -> None:
    first, second = await shop.hire(), await shop.hire()
    async with following(shop, "/admin/events", signed(second.token)) as follower:
        await follower.next()
        (await first.ask("POST", f"/accounts/{second.id}/demote")).granted(200)
        assert await follower.ended()


@pytest_asyncio.fixture(loop_scope="module")
async def narrow_shop(tmp_path: Path, clock: ShopClock) -> AsyncIterator[HttpShop]:
    """A shop that allows two streams."""
    async with open_shop(tmp_path, clock, streams_max=2) as running:
        yield running


async def test_above_the_limit_a_stream_is_refused_with_a_time_to_try_again(narrow_shop: HttpShop) -> None:
    admin = await narrow_shop.hire()
    path = f"/products/{await admin.product()}/events"
    async with following(narrow_shop, path), following(narrow_shop, path):
        refused = await narrow_shop.ask("GET", path)
        assert refused.code == "unavailable"
        assert refused.json["retryAfterSeconds"] == 15
        assert "2 streams are open" in refused.json["detail"]
    await until_no_stream_is_open(narrow_shop)
    async with following(narrow_shop, path) as follower:
        assert await follower.next() is not None


async def test_a_reconnecting_browser_finds_the_state_of_now(fresh_shop: HttpShop) -> None:
    admin, customer = await fresh_shop.hire(), fresh_shop.customer()
    product = await admin.product(stockQuantity=2)
    async with following(fresh_shop, f"/products/{product}/events") as follower:
        first = await follower.next()
        assert first is not None
    await customer.hold(product)
    headers = {"Last-Event-ID": first.id}
    async with following(fresh_shop, f"/products/{product}/events", headers) as follower:
        await follower.until(available=1)


async def test_when_the_server_stops_its_streams_end(fresh_shop: HttpShop) -> None:
    admin = await fresh_shop.hire()
    product = await admin.product()
    async with following(fresh_shop, f"/products/{product}/events") as follower:
        await follower.next()
        fresh_shop.edge.drain()
        assert await follower.ended()
    refused = await fresh_shop.ask("GET", f"/products/{product}/events")
    assert "stopping" in refused.json["detail"]


async def test_a_customer_cannot_become_a_watcher_by_an_admins_role_in_the_token_alone(shop: HttpShop) -> None:
    pretender = Admin(shop, shop.customer().id, Role.ADMIN)
    assert (await pretender.ask("GET", "/admin/events")).code == "forbidden"


async def test_in_an_outage_streams_are_silent_and_go_on_after_it(fresh_shop: HttpShop) -> None:
    admin, customer = await fresh_shop.hire(), fresh_shop.customer()
    product = await admin.product(stockQuantity=2)
    async with following(fresh_shop, f"/products/{product}/events") as follower:
        await follower.next()
        fresh_shop.store.away = True
        refused = await customer.reserve(product)
        assert refused.status == 503
        fresh_shop.store.heal()
        await customer.hold(product)
        await follower.until(available=1)


async def test_where_few_connections_are_allowed_streams_leave_half_of_them_to_requests(
    tmp_path: Path, clock: ShopClock
) -> None:
    few = HttpLimits(connections_max=20)
    async with open_shop(tmp_path, clock, limits=few) as narrow, AsyncExitStack() as stack:
        path = f"/products/{await (await narrow.hire()).product()}/events"
        for _ in range(2):  # A tenth, from this one address.
            await stack.enter_async_context(following(narrow, path))
        assert (await narrow.ask("GET", path)).code == "unavailable"
        assert (await narrow.ask("GET", "/overview")).code == "unauthenticated"


async def test_a_stream_opened_by_a_ticket_ends_when_its_owner_signs_out_everywhere(
    fresh_shop: HttpShop, clock: ShopClock
) -> None:
    admin = await fresh_shop.hire()
    path = f"/admin/events?ticket={(await admin.ask('POST', '/stream-tickets')).granted()['ticket']}"
    clock.advance(2)
    async with following(fresh_shop, path) as follower:
        await follower.next()
        assert (await admin.ask("POST", "/auth/logout-everywhere")).status == 204
        assert await follower.ended()
    assert (await fresh_shop.ask("GET", path)).code == "unauthenticated"


async def test_products_beyond_those_that_the_stock_view_can_keep_have_no_streams(
    fresh_shop: HttpShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_stream, "PRODUCTS_MAX", 1)
    admin = await fresh_shop.hire()
    first, second = [f"/products/{await admin.product()}/events" for _ in range(2)]
    async with following(fresh_shop, first), following(fresh_shop, first):
        refused = await fresh_shop.ask("GET", second)
        assert (refused.code, refused.json["retryAfterSeconds"]) == ("unavailable", 15)
