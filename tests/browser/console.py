"""The operator's console in a browser: an admin's hands and eyes, and the shop of a file's tests."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Download, Locator, Page, ViewportSize, expect
from tests.browser.conftest import PATIENCE_MS, fresh_context
from tests.browser.watched_page import WatchedPage
from tests.http.shop import Admin, HttpShop, open_shop

from flashreserve.clock import SystemClock

expect.set_options(timeout=PATIENCE_MS)

WIDE: Final[ViewportSize] = {"width": 1280, "height": 900}
PHONE: Final[ViewportSize] = {"width": 390, "height": 800}
NARROW: Final[ViewportSize] = {"width": 320, "height": 700}


class Console(WatchedPage):
    """One page of a browser that shows the console."""

    def __init__(self, page: Page, shop: HttpShop, prefix: str = "") -> None:
        super().__init__(page, shop.url)
        self.shop = shop
        self.prefix = prefix

    async def open(self, path: str = "", heading: str | re.Pattern[str] = "") -> None:
        """Show the page at this address below `/admin`, and wait for its heading."""
        await self.page.goto(f"{self.shop.url}{self.prefix}/admin{path and '/'}{path}")
        await self.heading(heading)

    async def heading(self, text: str | re.Pattern[str] = "") -> None:
        """Wait until the page with this heading is shown."""
        await expect(self.page.get_by_role("heading", level=1)).to_contain_text(text)

    async def sign_in(self, email: str, password: str) -> None:
        """Fill in the form and send it."""
        await self.page.get_by_label("E-mail address").fill(email)
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Sign in").click()

    def button(self, name: str) -> Locator:
        """The button of this name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        """The link of this name in the page itself."""
        return self.page.locator("main").get_by_role("link", name=name, exact=True)

    @property
    def dialog(self) -> Locator:
        """The dialog that states an effect."""
        return self.page.get_by_role("dialog")

    async def change(self, button: str, fields: Mapping[str, str] | None = None, effect: str = "") -> None:
        """Click the button, check what the dialog says will happen, fill in its fields, and confirm."""
        await self.button(button).click()
        await expect(self.dialog).to_contain_text(effect)
        await self.confirm(fields)

    async def confirm(self, fields: Mapping[str, str] | None = None) -> None:
        """Fill in the fields of the dialog, and confirm."""
        for label, value in (fields or {}).items():
            await self.dialog.get_by_label(label, exact=True).fill(value)
        await self.dialog.locator("[type=submit]").click()

    async def told(self, text: str) -> None:
        """Wait until the page tells this result, also in the live region."""
        await expect(self.page.locator(".notice")).to_contain_text(text)
        await expect(self.page.locator("[role=status][aria-live=polite]")).to_contain_text(text)
        await expect(self.dialog).to_have_count(0)

    async def shows(self, text: str) -> None:
        """Wait until the page has this text."""
        await expect(self.page.locator("main")).to_contain_text(text)

    def row(self, text: str) -> Locator:
        """The row of a table that has this text."""
        return self.page.get_by_role("row").filter(has_text=text)

    def fact(self, name: str) -> Locator:
        """The value beside this name."""
        return self.page.locator("dl > div").filter(has=self.page.get_by_text(name, exact=True)).locator("dd")


@asynccontextmanager
async def open_console(browser: Browser, shop: HttpShop, prefix: str = "") -> AsyncIterator[Console]:
    """The console in a browser of its own, in which nobody is signed in."""
    async with fresh_context(browser) as context, open_page(context, shop, prefix) as console:
        yield console


@asynccontextmanager
async def open_page(context: BrowserContext, shop: HttpShop, prefix: str = "") -> AsyncIterator[Console]:
    """The console in a new page of this browser. At the end, nothing may have gone wrong."""
    console = Console(await context.new_page(), shop, prefix)
    await console.page.set_viewport_size(WIDE)
    console.watch()
    yield console
    await console.page.close()
    console.check_quiet()


async def content_of(download: Download) -> str:
    """The text of a file that the browser saved."""
    path = await download.path()
    return path.read_text(encoding="utf-8")


async def become(context: BrowserContext, shop: HttpShop, admin: Admin) -> None:
    """Sign the admin in, without the form."""
    await context.add_cookies([{"name": "token", "value": admin.token, "url": shop.url, "httpOnly": True}])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HttpShop]:
    """The file's shop. It runs its jobs, and delivers webhooks to this machine."""
    directory = tmp_path_factory.mktemp("shop")
    async with open_shop(directory, SystemClock(), sweeps=True, webhook_networks="127.0.0.1") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shop: HttpShop) -> Admin:
    return await shop.hire()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def context(browser: Browser, shop: HttpShop, admin: Admin) -> AsyncIterator[BrowserContext]:
    """The admin's browser, which keeps the files of the console."""
    async with fresh_context(browser) as opened:
        await become(opened, shop, admin)
        await opened.grant_permissions(["clipboard-read", "clipboard-write"])
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def console(context: BrowserContext, shop: HttpShop) -> AsyncIterator[Console]:
    """A new page in the admin's browser."""
    async with open_page(context, shop) as opened:
        yield opened
