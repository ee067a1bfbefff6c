"""The storefront when answers are lost, pages are closed, and the service is away: nothing is taken twice."""

import random
from typing import Any, Final

import pytest
from playwright.async_api import Route, expect
from tests.browser.storefront import admin, clock, pass_time, shop, visit
from tests.faults.link import TcpLink
from tests.http.shop import Admin, HttpShop, ShopClock, open_shop

__all__ = ["admin", "clock", "shop"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

ALWAYS_LOSE: Final = "Math.random = () => 0.2"


async def product_of(shop: HttpShop, product_id: str) -> Any:
    return (await shop.ask("GET", f"/products/{product_id}")).granted(200)


async def lose_answer(route: Route) -> None:
    """Let the request arrive, and lose its answer."""
    await route.fetch()
    await route.abort("connectionreset")


async def test_a_reload_resumes_each_step(browser: Any, shop: HttpShop, admin: Admin) -> None:
    product = await admin.product(stockQuantity=10)
    async with visit(browser, shop) as ann:
        store = await ann.product(product)
        await store.page.route("**/reservations", lambda route: route.abort("connectionreset"))
        await store.button("Reserve").click()
        await store.said("Asking again with the same key (2 of 8)")
        await store.page.unroute("**/reservations")
        for expected in ("held", "held"):  # By the key that was kept; then by the list of reservations.
            await store.page.reload()
            await store.comes_to(expected)
        await store.button("Pay now").click()
        await store.comes_to("paying")
        await store.page.reload()
        await store.comes_to("held")
        await store.pay()
        await store.comes_to("bought")
        await store.page.reload()
        await store.comes_to("bought")
        assert len(await ann.reservations(product)) == 1
        assert (await product_of(shop, product))["available"] == 9


async def test_a_reload_after_a_lost_answer_finds_what_was_taken(browser: Any, shop: HttpShop, admin: Admin) -> None:
    product = await admin.product(stockQuantity=10)
    async with visit(browser, shop) as ann:
        store = await ann.product(product)
        await store.page.route("**/reservations", lose_answer)
        await store.button("Reserve").click()
        await store.said("Asking again with the same key (2 of 8)")
        await store.page.unroute("**/reservations")
        await store.page.reload()
        await store.comes_to("held")
        assert (await product_of(shop, product))["available"] == 9


async def test_the_last_unit_is_not_said_to_be_held_by_others(browser: Any, shop: HttpShop, admin: Admin) -> None:
    product = await admin.product(stockQuantity=1)
    async with visit(browser, shop) as ann:
        store = await ann.product(product)
        await store.page.route("**/reservations", lose_answer)
        await store.button("Reserve").click()
        await store.left(0)
        await store.comes_to("reserving")
        await store.shows("Asking again with the same key (2 of 8)")
        await expect(store.heading).to_have_text("Reserving…")
        await expect(store.button("Reserve")).to_have_attribute("aria-disabled", "true")
        await store.page.unroute("**/reservations")
        await store.hurry("held")
        assert len(await ann.reservations(product)) == 1


async def test_tabs_of_one_customer_show_the_same(browser: Any, shop: HttpShop, admin: Admin) -> None:
    product = await admin.product()
    async with visit(browser, shop) as ann:
        one, other = await ann.product(product), await ann.product(product)
        await one.reserve()
        await other.comes_to("held")
        await other.give_back()
        await one.comes_to("open")
        await one.reserve()
        await one.pay()
        await other.comes_to("bought")
        await one.page.get_by_role("button", name="Sign out").click()
        await other.comes_to("open")
        await expect(other.page.get_by_role("button", name="Sign in")).to_be_visible()


async def test_a_connection_that_is_away_for_five_seconds_loses_nothing(
    browser: Any, shop: HttpShop, admin: Admin, clock: ShopClock
) -> None:
    product = await admin.product(stockQuantity=10)
    async with visit(browser, shop) as ann:
        store = await ann.product(product)
        await expect(store.page.locator(".connection")).to_have_text("Live")
        await ann.context.set_offline(True)
        await store.button("Reserve").click()
        await store.said("Asking again")
        await store.shows("Reconnecting…")
        await pass_time(clock, 6, ann)
        await store.shows("The connection is lost. This figure is from")
        await ann.context.set_offline(False)
        await store.comes_to("held")
        await store.left(9)
        await expect(store.page.locator(".connection")).to_have_text("Live")
        assert len(await ann.reservations(product)) == 1


async def test_network_trouble_takes_nothing_twice(browser: Any, shop: HttpShop, admin: Admin) -> None:
    product = await admin.product(stockQuantity=10, maxExtensions=3)
    async with visit(browser, shop, width=390) as ann:
        store = await ann.product(product)
        await store.page.get_by_role("switch", name="Network trouble").click()
        await store.page.evaluate(ALWAYS_LOSE)
        await store.button("Reserve").click()
        await store.hurry("held")
        assert [await store.figure(name) for name in ("dropped", "again", "twice")] == [3, 3, 0]
        await store.button("More time (3 left)").click()
        await store.shows("More time (2 left)")
        await store.pay()
        await store.hurry("bought")
        assert await store.figure("twice") == 0
        assert await store.figure("dropped") > 4

        [bought] = await ann.reservations(product)
        assert (bought["status"], bought["lines"][0]["quantity"]) == ("CONFIRMED", 1)
        assert (await product_of(shop, product))["available"] == 9
        trail = (await admin.ask("GET", f"/trail?subject={bought['id']}")).granted(200)["items"]
        assert [event["type"] for event in trail].count("reservation.extended") == 1


async def test_after_all_tries_the_customer_asks_again(browser: Any, shop: HttpShop, admin: Admin) -> None:
    product = await admin.product(stockQuantity=10)
    async with visit(browser, shop) as ann:
        store = await ann.product(product)
        await store.page.route("**/reservations", lambda route: route.abort("connectionreset"))
        await store.button("Reserve").click()
        for _ in range(60):
            if await store.button("Ask again").count():
                break
            await store.page.clock.run_for(1000)
        await store.page.unroute("**/reservations")
        await store.button("Ask again").click()
        await store.comes_to("held")
        assert len(await ann.reservations(product)) == 1


# The stream.


async def test_a_page_polls_where_there_is_no_stream(
    browser: Any, tmp_path_factory: pytest.TempPathFactory, clock: ShopClock
) -> None:
    async with open_shop(tmp_path_factory.mktemp("full"), clock, streams_max=0) as full:
        admin = await full.hire()
        product = await admin.product(stockQuantity=3)
        async with visit(browser, full) as ann:
            store = await ann.product(product)
            await store.shows("Checking every 2 s")
            await full.customer().hold(product, 3)
            await pass_time(clock, 2, ann)
            await store.comes_to("sold-out")
            await admin.ask("POST", f"/products/{product}/pause", body={"reason": "An outage"})
            await pass_time(clock, 6, ann)
            await store.comes_to("paused")


async def test_a_page_reconnects_when_the_service_restarts(
    browser: Any, tmp_path_factory: pytest.TempPathFactory, clock: ShopClock
) -> None:
    directory = tmp_path_factory.mktemp("restarted")
    link = TcpLink(0, random.Random(1))
    await link.open()
    url = f"http://127.0.0.1:{link.port}"
    async with open_shop(directory, clock) as first:
        link._to = int(first.url.rpartition(":")[2])
        product = await (await first.hire()).product(stockQuantity=3)
        visiting = visit(browser, first, url=url)
        ann = await visiting.__aenter__()
        store = await ann.product(product)
        await expect(store.page.locator(".connection")).to_have_text("Live")
    await store.shows("Reconnecting…")
    async with open_shop(directory, clock) as second:
        await second.customer().hold(product, 2)
        link._to = int(second.url.rpartition(":")[2])
        await store.left(1)
        await expect(store.page.locator(".connection")).to_have_text("Live")
        await visiting.__aexit__(None, None, None)
    await link.close()
