"""The console's pages: signing in, addresses, accessibility, hostile names, and what is shown when something fails."""

import re
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect
from tests.browser.console import NARROW, PHONE, Console, admin, console, context, open_console, shop
from tests.http.owner import OLD, an_owner
from tests.http.shop import Admin, HttpShop, open_shop

from flashreserve.clock import SystemClock

__all__ = ["admin", "console", "context", "shop"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

MARKUP: Final = "<img src=x onerror=alert(1)>"
EMOJI: Final = "😀" * 200

PAGES: Final = {
    "": "Today",
    "products": "Products",
    "products/new": "Add a product",
    "products/{product}": MARKUP,
    "reservations": "Reservations",
    "reservations/{reservation}": "Reservation",
    "holds": "Holds",
    "customers": "Customers",
    "customers/{customer}": "@example.com",
    "audit": "Audit",
    "webhooks": "Webhooks",
    "webhooks/{endpoint}": "Endpoint",
    "people": "Keys and people",
    "health": "Health",
    "nowhere/at/all": "Unknown page",
}
"""The addresses below /admin, with a part of the heading of each."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def things(shop: HttpShop, admin: Admin) -> dict[str, str]:
    """Something of everything, so that no list is empty; by the names in `PAGES`."""
    owner = await an_owner(shop)
    product = await admin.product(name=MARKUP, description=MARKUP, stockQuantity=50)
    await admin.product(name=EMOJI, saleStartsAt="2040-01-01T00:00:00Z")
    await admin.ask("POST", f"/products/{product}/pause", body={"reason": MARKUP})
    await admin.ask("POST", f"/products/{product}/resume")
    body = {"externalId": MARKUP, "metadata": {"note": MARKUP}}
    held = (await owner.ask("POST", f"/products/{product}/reservations", body=body)).granted()
    bought = (await owner.ask("POST", f"/products/{product}/reservations")).granted()
    (await owner.ask("POST", f"/checkout/{bought['id']}")).granted(200)
    hook = {"url": "http://127.0.0.1:9/" + "long" * 40, "events": ["product.stocked", "product.paused"]}
    endpoint = (await admin.ask("POST", "/webhooks", body=hook)).granted()
    (await admin.ask("POST", "/api-keys", body={"name": MARKUP, "scopes": ["read"]})).granted()
    (await admin.ask("POST", "/audits")).granted()
    return {"product": product, "reservation": held["id"], "customer": owner.id, "endpoint": endpoint["id"]}


# Every page.


@pytest.mark.parametrize("address", PAGES)
async def test_a_page_has_its_address_its_title_and_no_fault(
    console: Console, things: dict[str, str], address: str
) -> None:
    page = console.page
    await console.open(address.format(**things), PAGES[address])
    await expect(page).to_have_title(re.compile(re.escape(PAGES[address]) + ".* · FlashReserve console$"))
    await expect(page.get_by_text("Loading …")).to_have_count(0)
    assert await page.locator("img, script:not([src])").count() == 0
    await console.check_faults()
    await page.emulate_media(color_scheme="dark")
    await page.set_viewport_size(NARROW)
    await console.check_width()
    await console.check_faults()
    await page.set_viewport_size(PHONE)
    await console.check_width()


async def test_dialogs_and_forms_have_no_fault_either(console: Console, things: dict[str, str]) -> None:
    await console.open(f"products/{things['product']}", MARKUP)
    for button in ("Pause", "Restock", "Edit"):
        await console.page.locator("main").get_by_role("button", name=re.compile(f"^{button}")).click()
        await expect(console.dialog).to_be_visible()
        await console.dialog.locator("[type=submit]").click()
        await console.check_faults()
        await console.page.keyboard.press("Escape")
        await expect(console.dialog).to_have_count(0)
    await console.page.set_viewport_size(NARROW)
    await console.open("webhooks", "Webhooks")
    await console.button("Add an endpoint").click()
    await console.check_width()
    await console.check_faults()


async def test_names_are_shown_as_text(console: Console, things: dict[str, str]) -> None:
    await console.open("", "Today")
    await expect(console.link(MARKUP)).to_be_visible()
    await expect(console.link(EMOJI)).to_be_visible()
    await console.link(MARKUP).click()
    await console.heading(MARKUP)
    await console.shows(f"Paused the sale: {MARKUP}")
    await console.open(f"reservations/{things['reservation']}", "Reservation")
    await expect(console.fact("Your own id")).to_have_text(MARKUP)
    await expect(console.row(MARKUP)).to_have_count(1)


# Signing in.


async def test_only_admins_get_in_and_come_to_the_page_that_they_asked_for(browser: Browser, shop: HttpShop) -> None:
    customer, chief = await an_owner(shop), await an_owner(shop)
    await (await shop.hire()).ask("POST", f"/accounts/{chief.id}/promote")
    async with open_console(browser, shop) as visitor:
        await visitor.open("holds", "Sign in")
        await visitor.check_faults()
        await visitor.sign_in(customer.email, "another password")
        await expect(visitor.page.get_by_role("alert")).to_contain_text("There is no account")
        await visitor.sign_in(customer.email, OLD)
        await visitor.heading("No admin")
        await visitor.shows(f"{customer.email} is a customer's account. Only admins may use the console.")
        await visitor.check_faults()
        await visitor.button("Sign out and use another account").click()
        await visitor.sign_in(chief.email, OLD)
        await visitor.heading("Holds")
        await expect(visitor.page.locator(".top")).to_contain_text(chief.email)

        await visitor.page.context.clear_cookies()
        await visitor.page.get_by_role("link", name="Webhooks").click()
        await visitor.heading("Sign in")
        await visitor.shows("Your session is over.")
        await visitor.sign_in(chief.email, OLD)
        await visitor.heading("Webhooks")
        await visitor.button("Sign out").click()
        await visitor.heading("Sign in")
        assert await visitor.page.context.cookies(f"{shop.url}/webhooks") == []


async def test_the_first_admin_comes_by_a_link_and_adds_the_first_product(browser: Browser, tmp_path: Path) -> None:
    async with (
        open_shop(tmp_path, SystemClock(), path_prefix="/flash") as empty,
        open_console(browser, empty, "/flash") as visitor,
    ):
        await visitor.open(f"first?token={empty.first_admin_token()}", "Make the first admin")
        await visitor.check_faults()
        for label, value in {"E-mail address": "chief@example.com", "Password": OLD, "once more": "other"}.items():
            await visitor.page.get_by_label(re.compile(f"{label}$")).fill(value)
        submit = visitor.button("Make the account and sign in")
        await submit.click()
        await visitor.shows("The two passwords differ.")
        await visitor.page.get_by_label("once more").fill(OLD)
        await submit.click()
        await visitor.heading("Today")
        await visitor.told("chief@example.com is the shop's first admin.")
        assert visitor.page.url == f"{empty.url}/flash/admin"

        await visitor.shows("No products yet.")
        await visitor.link("Add a product").click()
        for label, value in {"Name": "First", "Price": "1", "Units in stock": "5"}.items():
            await visitor.page.get_by_label(label, exact=True).fill(value)
        await visitor.button("Add the product").click()
        await visitor.told("First is added.")
        await visitor.page.get_by_role("link", name="Today").click()
        await expect(visitor.link("First")).to_be_visible()
        await visitor.open("first?token=used", "Make the first admin")
        await visitor.shows("This link is of no use any more")


# By keyboard, without an answer, and without a stream.


async def test_a_sale_is_paused_by_keyboard_alone(console: Console, admin: Admin) -> None:
    product = await admin.product(name="Keys only")
    keyboard, pause = console.page.keyboard, console.button("Pause Keys only")
    await console.page.set_viewport_size(PHONE)
    await console.open("health", "Health")
    for key in ("Tab", "Enter"):
        await keyboard.press(key)
    await expect(console.page.locator("main")).to_be_focused()
    await keyboard.press("Shift+Tab")
    await expect(console.button("Menu")).to_be_focused()
    for key in ("Enter", "Tab", "Enter"):
        await keyboard.press(key)
    await expect(console.page.get_by_role("heading", name="Today")).to_be_focused()
    await expect(pause).to_be_visible()
    while not await pause.evaluate("(button) => button === document.activeElement"):
        await keyboard.press("Tab")
    await keyboard.press("Enter")
    await expect(console.dialog.get_by_label("Reason")).to_be_focused()
    await keyboard.type("By keyboard")
    await keyboard.press("Enter")
    await console.told("Keys only is paused")
    await expect(console.button("Resume Keys only")).to_be_focused()
    shown = (await admin.ask("GET", f"/products/{product}")).granted(200)
    assert shown["pauseReason"] == "By keyboard"


async def test_a_lost_connection_is_told_and_tried_again(console: Console) -> None:
    await console.page.route("**/audits", lambda route: route.abort())
    await console.open("audit", "Audit")
    await expect(console.page.get_by_role("alert")).to_contain_text("No answer came from the server.")
    await console.page.unroute("**/audits")
    await console.button("Try again").click()
    await expect(console.page.get_by_role("alert")).to_have_count(0)
    await expect(console.page.get_by_role("table")).to_have_count(1)
    console.errors.clear()  # Those of the aborted requests.


async def test_without_a_stream_the_console_asks_every_two_seconds(console: Console, admin: Admin) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=503, content_type="application/problem+json", body="{}")

    await console.page.route("**/admin/events", refuse)
    await console.open("", "Today")
    await expect(console.page.get_by_text("No live connection: asking every 2 s")).to_be_visible()
    await admin.product(name="Seen by polling")
    await expect(console.link("Seen by polling")).to_be_visible(timeout=15_000)
    await console.page.unroute("**/admin/events")
    console.errors.clear()  # That of the refused stream.


async def test_the_stream_shows_what_others_do(console: Console, admin: Admin, shop: HttpShop) -> None:
    product = await admin.product(name="Watched", stockQuantity=9)
    await console.open("", "Today")
    await expect(console.page.get_by_text("Live", exact=True)).to_be_visible()
    card = console.page.get_by_role("listitem").filter(has_text="Watched")
    await expect(card).to_contain_text("9 available")
    await shop.hold_for_each(shop.customers(4), product)
    await expect(card).to_contain_text("5 available")
    await expect(card).to_contain_text("4 held")
    await console.page.get_by_text("The same as a table").first.click()
    newest = console.page.locator("figure").first.get_by_role("row")
    await expect(newest.filter(has_text="4").first).to_be_visible()
