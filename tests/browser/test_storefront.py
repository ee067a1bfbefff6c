"""What customers see and do in the storefront, compared with what the API says."""

import re
from typing import Any

import pytest
from playwright.async_api import Route, expect
from tests.browser.storefront import PASSWORD, admin, clock, pass_time, shop, visit
from tests.http.shop import Admin, HttpShop, ShopClock

__all__ = ["admin", "clock", "shop"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


# Two customers, one wide and one narrow screen.


async def test_the_last_unit_is_sold_once_and_comes_back_for_the_other_customer(
    browser: Any, shop: HttpShop, admin: Admin
) -> None:
    product = await admin.product(name="Sneaker 42", stockQuantity=1)
    async with visit(browser, shop) as ann, visit(browser, shop, width=390) as bob:
        hers, his = await ann.product(product), await bob.product(product)
        await hers.reserve()
        await expect(hers.heading).to_be_focused()
        await his.comes_to("sold-out")
        await his.shows("Others are holding 1 unit.")
        await his.said("Sold out")

        await hers.give_back()
        await hers.comes_to("open")
        await his.comes_to("open")
        await his.said("Back on sale: 1 unit is left.")
        await expect(his.heading).not_to_be_focused()
        await his.reserve()
        await hers.comes_to("sold-out")
        await his.pay()
        await his.comes_to("bought")
        await hers.shows("No unit is on hold now.")

        [bought] = await bob.reservations(product)
        await expect(his.page.locator("#reservation")).to_have_text(bought["id"])
        assert bought["status"] == "CONFIRMED"
        assert [each["status"] for each in await ann.reservations(product)] == ["CANCELLED"]


async def test_a_click_that_comes_second_is_told_so(browser: Any, shop: HttpShop, admin: Admin) -> None:
    product = await admin.product(stockQuantity=1)
    async with visit(browser, shop) as ann:
        store = await ann.product(product)
        await store.page.route("**/events", lambda route: route.abort())
        await shop.customer().hold(product)
        await store.button("Reserve").click()
        await store.shows("Somebody was faster: no unit is left at the moment.")
        assert await ann.reservations(product) == []


async def test_a_refusal_goes_away_when_units_come_back(browser: Any, shop: HttpShop, admin: Admin) -> None:
    product = await admin.product(stockQuantity=1)
    async with visit(browser, shop) as ann, visit(browser, shop) as bob:
        hers, his = await ann.product(product), await bob.product(product)

        async def be_second(route: Route) -> None:
            await his.reserve()
            await route.continue_()

        await hers.page.route("**/reservations", be_second)
        await hers.button("Reserve").click()
        await hers.shows("Somebody was faster")
        await hers.comes_to("sold-out")
        await his.give_back()
        await hers.comes_to("open")
        await expect(hers.page.locator("#refusal")).to_have_count(0)


async def test_a_hold_expires_in_view_and_can_be_tried_again(
    browser: Any, shop: HttpShop, admin: Admin, clock: ShopClock
) -> None:
    product = await admin.product(name="Sneaker 42", stockQuantity=1, holdSeconds=400)
    async with visit(browser, shop) as ann, visit(browser, shop, width=390) as bob:
        hers, his = await ann.product(product), await bob.product(product)
        await hers.reserve()
        await expect(hers.page).to_have_title(re.compile(r"^6:\d\d · Sneaker 42$"))
        await his.comes_to("sold-out")
        await pass_time(clock, 345, ann, bob)
        await hers.said("1 minute left to pay.")
        await pass_time(clock, 60, ann, bob)
        await hers.comes_to("expired")
        await hers.said("Your hold is over")
        await hers.shows("Your unit went back on sale")
        await shop.sweep()
        await his.comes_to("open")

        await hers.page.reload()
        await hers.comes_to("expired")
        await hers.left(1)
        await hers.button("Try again").click()
        await hers.comes_to("held")
        await his.comes_to("sold-out")
        statuses = [each["status"] for each in await ann.reservations(product)]
        assert statuses == ["PENDING", "EXPIRED"]


async def test_a_hold_goes_on_while_the_sale_is_paused(browser: Any, shop: HttpShop, admin: Admin) -> None:
    product = await admin.product(stockQuantity=2)
    async with visit(browser, shop) as ann, visit(browser, shop, width=390) as bob:
        hers, his = await ann.product(product), await bob.product(product)
        await hers.reserve()
        await admin.ask("POST", f"/products/{product}/pause", body={"reason": "The price is wrong"})
        await hers.shows("The sale is paused: The price is wrong. Your hold goes on, and you can pay.")
        await his.comes_to("paused")
        await his.shows("The shop says: The price is wrong.")
        await hers.pay()
        await hers.comes_to("bought")
        await admin.ask("POST", f"/products/{product}/resume")
        await his.comes_to("open")
        await his.said("On sale now")


async def test_a_sale_opens_by_the_time_of_the_shop(
    browser: Any, shop: HttpShop, admin: Admin, clock: ShopClock
) -> None:
    product = await admin.product(saleStartsAt=clock.instant(300), saleEndsAt=clock.instant(900))
    async with visit(browser, shop) as ann:
        # A day ahead of the shop's clock: by it, the sale would be over.
        await ann.context.add_init_script("{ const now = Date.now; Date.now = () => now() + 86_400_000; }")
        store = await ann.product(product, "before")
        reserve = store.button("Reserve")
        await expect(store.page.get_by_role("timer")).to_have_text(re.compile(r"^[45] min \d+ s"))
        await expect(reserve).to_have_attribute("aria-disabled", "true")
        await expect(reserve).to_have_accessible_description(re.compile("as soon as the sale opens"))
        await reserve.focus()
        await pass_time(clock, 301, ann)
        await store.comes_to("open")
        await store.said("On sale now")
        await expect(reserve).to_be_focused()
        await store.page.keyboard.press("Enter")
        await store.comes_to("held")
        await store.give_back()
        await store.comes_to("open")
        await pass_time(clock, 601, ann)
        await store.comes_to("over")


async def test_more_time_is_given_as_often_as_the_product_allows(
    browser: Any, shop: HttpShop, admin: Admin, clock: ShopClock
) -> None:
    product = await admin.product(maxExtensions=2, holdSeconds=400)
    async with visit(browser, shop) as ann:
        store = await ann.product(product)
        await store.reserve()
        [held] = await ann.reservations(product)
        await pass_time(clock, 100, ann)
        await store.button("More time (2 left)").click()
        await store.said("You have more time.")
        await store.button("More time (1 left)").click()
        await store.shows("More time is not possible any more.")
        [extended] = await ann.reservations(product)
        assert extended["expiresAt"] > held["expiresAt"]


async def test_the_quantity_is_chosen_within_the_limit(browser: Any, shop: HttpShop, admin: Admin) -> None:
    product = await admin.product(price="19.99", perCustomerLimit=4, stockQuantity=10)
    async with visit(browser, shop) as ann:
        store = await ann.product(product)
        await store.page.get_by_label("Quantity").fill("5")
        await store.button("Reserve").click()
        await store.shows("Choose a number from 1 to 4.")
        await expect(store.page.get_by_label("Quantity")).to_have_attribute("aria-invalid", "true")
        await store.page.get_by_label("Quantity").fill("2")
        await store.button("One more").click()
        await store.shows("3 \N{MULTIPLICATION SIGN} $19.99 = $59.97")
        await store.reserve()
        await store.shows("3 units are reserved for you")
        await store.pay()
        await store.shows("$59.97")
        await store.left(7)

        await store.button("Buy another").click()
        await store.comes_to("open")
        await store.page.reload()
        await store.comes_to("open")
        await store.reserve()
        await store.pay()
        await store.comes_to("bought")
        await store.shows("You have 4 units already, as many as one customer may.")
        await expect(store.button("Buy another")).to_have_count(0)


# Paying.


async def test_a_bank_may_refuse_or_be_slow(browser: Any, shop: HttpShop, admin: Admin, clock: ShopClock) -> None:
    product = await admin.product()
    async with visit(browser, shop) as ann:
        store = await ann.product(product)
        await store.reserve()
        await store.pay("refuses the card")
        await store.shows("The bank refused the card. Your hold goes on")
        await store.page.get_by_label("is slow").check()
        await store.button(re.compile("^Pay .")).click()
        await store.shows("The bank is working…")
        await store.page.reload()
        await store.comes_to("held")
        await store.shows("The payment was not sent, because the page was reloaded. Nothing was charged.")
        # Closing the tab, and coming back.
        await store.page.close()
        again = await ann.product(product, "held")
        await again.pay("is slow")
        await again.shows("The bank is working…")
        await pass_time(clock, 9, ann)
        await again.comes_to("bought")
        assert [each["status"] for each in await ann.reservations(product)] == ["CONFIRMED"]


# Signing in.


async def test_a_purchase_goes_on_after_signing_up_in_place(browser: Any, shop: HttpShop, admin: Admin) -> None:
    product = await admin.product()
    async with visit(browser, shop, signed_in=False, width=390) as somebody:
        store = await somebody.product(product)
        await store.button("Reserve").click()
        await store.comes_to("signing-in")
        await store.sign("Sign up", "new@example.com", "short")
        password = store.page.get_by_label("Password")
        await expect(password).to_have_attribute("aria-invalid", "true")
        await expect(password).to_have_accessible_description(re.compile("Must have 8 to 128 characters."))
        await expect(password).to_be_focused()
        await store.sign("Sign up", "new@example.com", PASSWORD)
        await store.comes_to("held")
        await expect(store.page.locator("header")).to_contain_text("new@example.com")

        await store.page.get_by_role("button", name="Sign out").click()
        await store.comes_to("open")
        await store.page.get_by_role("button", name="Sign in").click()
        await store.sign("Sign up", "new@example.com", PASSWORD)
        await store.shows("There is an account with this address already.")
        await store.sign("Sign in", "new@example.com", "another place 77")
        await store.shows("The address or the password is wrong.")
        await store.sign("Sign in", "new@example.com", PASSWORD)
        await store.comes_to("held")


async def test_an_ended_sign_in_is_renewed_in_the_middle_of_a_payment(
    browser: Any, shop: HttpShop, admin: Admin, clock: ShopClock
) -> None:
    product = await admin.product(holdSeconds=3 * 3600)
    async with visit(browser, shop, signed_in=False) as somebody:
        store = await somebody.product(product)
        await store.button("Reserve").click()
        await store.sign("Sign up", "late@example.com", PASSWORD)
        await store.comes_to("held")
        await store.button("Pay now").click()
        # So that the payment is the first to notice that the token has ended.
        await store.page.route("**/reservations?*", lambda route: route.abort())
        await pass_time(clock, 2 * 3600, somebody)
        await store.button(re.compile("^Pay .")).click()
        await store.comes_to("signing-in")
        await store.shows("Your sign-in is over. What you had begun goes on afterwards.")
        await store.page.unroute("**/reservations?*")
        await store.sign("Sign in", "late@example.com", PASSWORD)
        await store.comes_to("bought")


async def test_a_token_is_refreshed_in_the_second_half_of_its_life(
    browser: Any, shop: HttpShop, admin: Admin, clock: ShopClock
) -> None:
    product = await admin.product()
    async with visit(browser, shop, signed_in=False) as somebody:
        store = await somebody.product(product)
        await store.page.get_by_role("button", name="Sign in").click()
        await store.sign("Sign up", "busy@example.com", PASSWORD)
        await store.comes_to("open")
        async with store.page.expect_response("**/auth/refresh") as refreshed:
            await pass_time(clock, 1801, somebody)
            await store.reserve()
        assert (await refreshed.value).status == 200
        assert await somebody.context.cookies() == []
