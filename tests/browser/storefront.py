"""The storefront in a browser: a customer's hands and eyes, the file's shop, and its time."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Locator, expect
from tests.browser.conftest import fresh_context
from tests.browser.watched_page import WatchedPage
from tests.http.shop import Admin, HttpCustomer, HttpShop, ShopClock, open_shop

PASSWORD: Final = "a sunny place 77"

STEPS_MAX: Final = 60

_TOO_SMALL: Final = """() => [...document.querySelectorAll('button, main input, header a')]
    .map((each) => each.closest('label') ?? each)
    .filter((each) => each.getBoundingClientRect().height < 44)
    .map((each) => each.outerHTML)"""
"""Targets below 44 px. Links within sentences are as high as their line."""

_SIGN_IN: Final = "localStorage.getItem('{key}') ?? localStorage.setItem('{key}', {customer})"


class StorePage(WatchedPage):
    """One page of a browser that shows the storefront."""

    async def open(self, product_id: str = "", state: str = "") -> None:
        """Show the list, or the page of a product, and wait for its state."""
        await self.page.goto(f"{self.url}/demo{product_id and '/'}{product_id}")
        await self.comes_to(state or ("open" if product_id else "list"))

    async def comes_to(self, state: str) -> None:
        """Wait until the page is in this state."""
        await expect(self.page.locator("main")).to_have_attribute("data-state", state)

    async def left(self, available: int) -> None:
        """Wait until the page says that so many units are left."""
        await expect(self.page.locator("main")).to_have_attribute("data-available", str(available))

    async def shows(self, text: str | re.Pattern[str]) -> None:
        """Wait until the page has this text."""
        await expect(self.page.locator("main")).to_contain_text(text)

    async def said(self, text: str) -> None:
        """Wait until the live region says this."""
        await expect(self.page.locator("[role=status][aria-live=polite]")).to_contain_text(text)

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """The button of this name in the page itself."""
        return self.page.locator("main").get_by_role("button", name=name, exact=True)

    @property
    def heading(self) -> Locator:
        """The heading that says the state in words."""
        return self.page.locator("#state")

    async def reserve(self) -> None:
        """Hold what is chosen."""
        await self.button("Reserve").click()
        await self.comes_to("held")

    async def pay(self, bank: str = "accepts the card") -> None:
        """Pay by a card, at a bank that behaves like this."""
        await self.button("Pay now").click()
        await self.page.get_by_label(bank).check()
        await self.button(re.compile("^Pay .")).click()

    async def give_back(self) -> None:
        """Give the units back, as the dialog asks."""
        await self.button("Give back").click()
        await self.page.get_by_role("dialog").get_by_role("button", name="Give back").click()

    async def sign(self, button: str, email: str, password: str) -> None:
        """Fill in the form to sign in, and send it by this button."""
        await self.page.get_by_label("E-mail address").fill(email)
        await self.page.get_by_label("Password").fill(password)
        await self.button(button).click()

    async def figure(self, name: str) -> int:
        """What the page has counted: answers `dropped`, requests sent `again`, units taken `twice`."""
        return int(await self.page.locator(f"[data-figure={name}] dd").inner_text())

    async def hurry(self, state: str) -> None:
        """Let the page's time run until it comes to this state: nobody waits for its pauses between tries."""
        for _ in range(STEPS_MAX):
            if await self.page.locator(f"main[data-state={state}]").count():
                return
            await self.page.clock.run_for(500)
        await self.comes_to(state)

    async def check_sizes(self) -> None:
        """Check that nothing is wider than the window, and that fingers can hit each target."""
        await self.check_width()
        assert await self.page.evaluate(_TOO_SMALL) == []


@dataclass
class Shopper:
    """Somebody's browser, of which all pages have the same customer signed in, or nobody."""

    context: BrowserContext
    shop: HttpShop
    url: str
    customer: HttpCustomer | None
    width: int
    look: Literal["light", "dark"]
    stores: list[StorePage] = field(default_factory=list)

    async def store(self) -> StorePage:
        """A new page."""
        store = StorePage(await self.context.new_page(), self.url)
        await store.page.set_viewport_size({"width": self.width, "height": 800})
        await store.page.emulate_media(color_scheme=self.look)
        store.watch()
        self.stores.append(store)
        return store

    async def product(self, product_id: str, state: str = "open") -> StorePage:
        """A new page of this product."""
        store = await self.store()
        await store.open(product_id, state)
        return store

    async def reservations(self, product_id: str) -> list[Any]:
        """The customer's reservations of a product, as the API has them."""
        assert self.customer is not None
        answer = await self.customer.ask("GET", f"/reservations?productId={product_id}")
        items: list[Any] = answer.granted(200)["items"]
        return items


@asynccontextmanager
async def visit(
    browser: Browser,
    shop: HttpShop,
    *,
    signed_in: bool = True,
    url: str = "",
    width: int = 1280,
    look: Literal["light", "dark"] = "light",
) -> AsyncIterator[Shopper]:
    """A browser of its own, whose time a test can move. At the end, nothing may have gone wrong in it."""
    async with fresh_context(browser) as context:
        shopper = Shopper(context, shop, url or shop.url, shop.customer() if signed_in else None, width, look)
        await context.clock.install()
        if shopper.customer:
            stored = json.dumps(_stored(shopper.customer, shop))
            await context.add_init_script(_SIGN_IN.format(key="flashreserve-customer:/", customer=stored))
        yield shopper
        for store in shopper.stores:
            store.check_quiet()


def _stored(customer: HttpCustomer, shop: HttpShop) -> str:
    """The customer as the storefront keeps it."""
    now = shop.clock.now_ms()
    times = {"issuedAtMs": now, "expiresAtMs": now + 3_600_000}
    return json.dumps({"id": customer.id, "email": "ann@example.com", "token": customer.token, **times})


async def pass_time(clock: ShopClock, seconds: float, *shoppers: Shopper) -> None:
    """Let time pass for the shop, and for these browsers."""
    clock.advance(seconds)
    for shopper in shoppers:
        await shopper.context.clock.fast_forward(round(seconds * 1000))


@pytest.fixture(scope="module")
def clock() -> ShopClock:
    return ShopClock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory, clock: ShopClock) -> AsyncIterator[HttpShop]:
    """The file's shop."""
    async with open_shop(tmp_path_factory.mktemp("shop"), clock) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def admin(shop: HttpShop) -> Admin:
    """A new one for each test: time passes, and tokens end."""
    return await shop.hire()
