"""What the storefront shows: names, the list, and each state, at each width and by keyboard."""

import random
from typing import Any, Final

import pytest
from playwright.async_api import expect
from tests.browser.storefront import PASSWORD, Shopper, StorePage, admin, clock, pass_time, shop, visit
from tests.http.shop import Admin, HttpShop, ShopClock, open_shop

__all__ = ["admin", "clock", "shop"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

MARKUP: Final = "<img src=x onerror=alert(1)>"
EMOJI: Final = "🎉" * 200


# Names, the list, and the keyboard.


@pytest.mark.parametrize("name", [MARKUP, EMOJI])
async def test_a_name_is_shown_as_text(browser: Any, shop: HttpShop, admin: Admin, name: str) -> None:
    product = await admin.product(name=name, description=name)
    async with visit(browser, shop, width=320) as ann:
        store = await ann.product(product)
        await expect(store.page.get_by_role("heading", level=1)).to_have_text(name)
        await store.shows(name)
        await expect(store.page).to_have_title(f"On sale now · {name}")
        await store.reserve()
        await store.open()
        await expect(store.page.get_by_role("link", name=name, exact=True)).to_be_visible()
        await expect(store.page.locator("img, script:not([src])")).to_have_count(0)
        await store.check_sizes()


async def test_the_list_shows_each_sale_live(
    browser: Any, tmp_path_factory: pytest.TempPathFactory, clock: ShopClock
) -> None:
    async with open_shop(tmp_path_factory.mktemp("list"), clock) as small, visit(browser, small) as ann:
        admin = await small.hire()
        store = await ann.store()
        await store.open("", "empty")
        await expect(store.page.get_by_role("link", name="Open the console")).to_have_attribute("href", "/admin")
        await store.check_faults()
        product = await admin.product(name="Lamp", stockQuantity=2, price="49.5")
        await admin.product(name="Chair", saleStartsAt=clock.instant(300))
        await pass_time(clock, 3, ann)
        await store.comes_to("list")
        await store.shows("2 of 2 left")
        await store.shows("Opens in 4:5")
        await small.customer().hold(product, 2)
        await pass_time(clock, 3, ann)
        await store.shows("Sold out")
        await store.page.get_by_role("link", name="Lamp").click()
        await store.comes_to("sold-out")


async def test_an_unknown_product_links_to_the_list(browser: Any, shop: HttpShop) -> None:
    async with visit(browser, shop) as ann:
        store = await ann.product("0199c0de-0000-7000-8000-000000000001", "unknown")
        await expect(store.page.get_by_role("heading", level=1)).to_have_text("There is no such product")
        await store.page.get_by_role("link", name="See all products").click()
        await store.comes_to("list")


async def tab_to(store: StorePage, name: str) -> None:
    """Press Tab until the element of this name, or with this text, has the focus."""
    focused = "document.activeElement.labels?.[0]?.textContent.trim() ?? document.activeElement.textContent.trim()"
    for _ in range(30):
        await store.page.keyboard.press("Tab")
        if name in str(await store.page.evaluate(focused)):
            return
    raise AssertionError(f"{name} can't be reached by Tab")


async def test_a_customer_buys_by_keyboard_alone(browser: Any, shop: HttpShop, admin: Admin) -> None:
    product = await admin.product(name="Sneaker 42", perCustomerLimit=2)
    async with visit(browser, shop, signed_in=False) as somebody:
        store = await somebody.product(product)
        keyboard = store.page.keyboard
        await keyboard.press("Tab")
        await expect(store.page.get_by_text("Skip to the content")).to_be_focused()
        await keyboard.press("Enter")
        await tab_to(store, "Reserve")
        await keyboard.press("Enter")
        await expect(store.heading).to_be_focused()
        await tab_to(store, "E-mail address")
        await keyboard.type("keys@example.com")
        await tab_to(store, "Password")
        await keyboard.type(PASSWORD)
        await tab_to(store, "Sign up")
        await keyboard.press("Enter")
        await expect(store.heading).to_have_text("1 unit is reserved for you")
        await expect(store.heading).to_be_focused()
        await tab_to(store, "Give back")
        await keyboard.press("Enter")
        await expect(store.page.get_by_role("dialog")).to_be_visible()
        await keyboard.press("Escape")
        await expect(store.button("Give back")).to_be_focused()
        await keyboard.press("Shift+Tab")
        await keyboard.press("Enter")
        await store.comes_to("paying")
        await tab_to(store, "Pay $999.99")
        await keyboard.press("Enter")
        await store.comes_to("bought")
        await expect(store.heading).to_be_focused()


# Faults that axe-core finds, and the width of a small screen.


STATES_SHOWN: Final = 12


async def play_each_state(ann: Shopper, admin: Admin, clock: ShopClock, *, axe: bool) -> int:
    """Show a product in each state, and check it there, with `axe` for faults too. Returns how many there are."""
    seen = set()

    async def check(store: StorePage, state: str) -> None:
        await store.comes_to(state)
        await store.check_sizes()
        if axe:
            await store.check_faults()
        seen.add(state)

    rules = {"perCustomerLimit": 3, "maxExtensions": 1, "description": "Red.\n" + "x" * 80, "stockQuantity": 1}
    product = await admin.product(name="A name of several words", saleStartsAt=clock.instant(60), **rules)
    store = await ann.product(product, "before")
    await check(store, "before")
    await pass_time(clock, 61, ann)
    await check(store, "open")
    await store.page.get_by_role("button", name="Sign out").click()
    await store.button("Reserve").click()
    await check(store, "signing-in")
    await store.sign("Sign up", f"{random.randbytes(8).hex()}@a-long-name-of-a-host.example.com", PASSWORD)
    await check(store, "held")
    await store.button("Pay now").click()
    await check(store, "paying")
    await store.button("Back").click()
    await pass_time(clock, 700, ann)
    await check(store, "expired")
    await ann.shop.sweep()
    await store.left(1)
    await store.button("Try again").click()
    await store.pay()
    await check(store, "bought")
    await store.button("Buy another").click()
    await check(store, "sold-out")
    await admin.ask("POST", f"/products/{product}/pause", body={"reason": "The price is wrong"})
    await check(store, "paused")
    await admin.edit(product, saleEndsAt=clock.instant(-1))
    await check(store, "over")
    await admin.ask("DELETE", f"/products/{product}")
    await check(store, "archived")
    await store.open("0199c0de-0000-7000-8000-000000000001", "unknown")
    await check(store, "unknown")
    return len(seen)


@pytest.mark.parametrize(("width", "look"), [(1280, "light"), (390, "dark")])
async def test_no_state_has_serious_faults(
    browser: Any, shop: HttpShop, admin: Admin, clock: ShopClock, width: int, look: Any
) -> None:
    async with visit(browser, shop, width=width, look=look) as ann:
        assert await play_each_state(ann, admin, clock, axe=True) == STATES_SHOWN


async def test_each_state_fits_on_a_small_screen(browser: Any, shop: HttpShop, admin: Admin, clock: ShopClock) -> None:
    async with visit(browser, shop, width=320) as ann:
        assert await play_each_state(ann, admin, clock, axe=False) == STATES_SHOWN


# Modules that need no page.

STATES: Final = """async (root) => {
    const { stateOf } = await import(`${root}/assets/demo/state.js`);
    const sale = { archived: false, saleEndsAt: null, pauseReason: null, saleStartsAt: null };
    const at = (second) => new Date(second * 1000).toISOString();
    const held = (status, until) => ({ status, expiresAt: at(until) });
    const state = (product, available, reservation, delayMs) =>
        stateOf(product && { ...sale, ...product }, { available }, reservation, 100_000, delayMs);
    return [
        state(undefined, 0, null), state(null, 0, null), state({}, 1, null), state({}, 0, null),
        state({ archived: true }, 1, null), state({ saleEndsAt: at(100) }, 1, null),
        state({ saleEndsAt: at(99), pauseReason: 'x' }, 1, null), state({ pauseReason: 'x' }, 1, null),
        state({ saleStartsAt: at(101) }, 0, null), state({ saleStartsAt: at(100) }, 1, null, 300),
        state({ saleStartsAt: at(99) }, 1, null, 300), state({ pauseReason: 'x' }, 0, held('PENDING', 101)),
        state({}, 1, held('PENDING', 100)), state({ archived: true }, 1, held('CONFIRMED', 50)),
        state({}, 1, held('EXPIRED', 50)),
    ];
}"""

TOTALS: Final = """async (root) => {
    const { total } = await import(`${root}/assets/demo/money.js`);
    const each = [['19.99', 3], ['0.01', 7], ['5', 1000], ['0.125', 3], ['9999999999.99', 1000]];
    return each.map(([price, quantity]) => total(price, quantity));
}"""


async def test_states_and_totals_are_computed_exactly(browser: Any, shop: HttpShop) -> None:
    async with visit(browser, shop) as ann:
        store = await ann.store()
        await store.page.goto(f"{shop.url}/demo")
        assert await store.page.evaluate(STATES, shop.url) == [
            *("loading", "unknown", "open", "sold-out", "archived", "over", "over", "paused", "before", "opening"),
            *("open", "held", "expired", "bought", "expired"),
        ]
        totals = await store.page.evaluate(TOTALS, shop.url)
        assert totals == ["59.97", "0.07", "5000", "0.375", "9999999999990.00"]
