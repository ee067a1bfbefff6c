"""Takes screenshots of every state of the storefront and of every page of the console.

`python -m tests.browser.screenshots` (`make screenshots`) writes all of them to build/screens, at 1280 and 390 px,
light and dark, and those that the docs show to docs/screens. Somebody has to look at them.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Literal

import uuid_utils
from playwright.async_api import Browser, Page
from tests.browser.conftest import open_browser
from tests.browser.console import Console, become, open_page
from tests.browser.storefront import Shopper, StorePage, pass_time, visit
from tests.http.shop import Admin, HttpCustomer, HttpShop, ShopClock, open_shop

from flashreserve.core.model import Account, Role

ALL: Final = Path("build/screens")
DOCS: Final = Path("docs/screens")
SHOWN_IN_DOCS: Final = (
    "storefront-held-1280-light",
    "console-today-1280-light",
)
WIDTHS: Final = (1280, 390)
Look = Literal["light", "dark"]
LOOKS: Final[tuple[Look, ...]] = ("light", "dark")
_HOLD_S: Final = 600


class Camera:
    """Takes the pictures of one width and look."""

    def __init__(self, width: int, look: Look) -> None:
        self.width = width
        self.look: Look = look

    async def take(self, page: Page, name: str) -> None:
        """Save the whole page under this name."""
        whole = f"{name}-{self.width}-{self.look}"
        path = ALL / f"{whole}.png"
        await page.screenshot(path=path, full_page=True, animations="disabled")
        if whole in SHOWN_IN_DOCS:
            shutil.copy(path, DOCS / path.name)


# The storefront.


async def storefront(browser: Browser, shop: HttpShop, clock: ShopClock, camera: Camera) -> None:
    """Every state of the storefront, for one customer."""
    admin = await shop.hire()
    async with visit(browser, shop, width=camera.width, look=camera.look) as ann:
        store = await ann.store()
        for state in (_before, _open, _held_to_bought, _expired, _sold_out, _paused, _over):
            await state(store, ann, admin, camera, clock)
        await store.open("0199f3a2-5b00-7c41-9d2e-000000000000", "unknown")
        await camera.take(store.page, "storefront-unknown")
        await store.open()
        await camera.take(store.page, "storefront-list")
    async with visit(browser, shop, signed_in=False, width=camera.width, look=camera.look) as stranger:
        store = await stranger.product(await admin.product(name="Desk lamp", price="49.00"))
        await store.button("Reserve").click()
        await store.page.get_by_label("Password").wait_for()
        await camera.take(store.page, "storefront-sign-in")


async def _before(store: StorePage, _: Shopper, admin: Admin, camera: Camera, clock: ShopClock) -> None:
    opens, ends = clock.instant(7_325), clock.instant(100_000)
    product = await admin.product(name="Sneaker 42", price="129.90", saleStartsAt=opens, saleEndsAt=ends)
    await store.open(product, "before")
    await camera.take(store.page, "storefront-before")


async def _open(store: StorePage, _: Shopper, admin: Admin, camera: Camera, clock: ShopClock) -> None:
    text = "A run of 40 pairs, hand-numbered. Black canvas, white sole."
    fields = {"name": "Sneaker 42", "price": "129.90", "stockQuantity": 40, "perCustomerLimit": 2, "description": text}
    product = await admin.product(**fields)
    await store.open(product)
    await camera.take(store.page, "storefront-open")
    await store.page.get_by_role("switch").click()
    await camera.take(store.page, "storefront-trouble")
    await store.page.get_by_role("switch").click()


async def _held_to_bought(store: StorePage, ann: Shopper, admin: Admin, camera: Camera, clock: ShopClock) -> None:
    product = await admin.product(
        name="Sneaker 42", price="129.90", stockQuantity=40, maxExtensions=1, holdSeconds=_HOLD_S, perCustomerLimit=2
    )
    await store.open(product)
    await store.reserve()
    await pass_time(clock, 83, ann)
    await camera.take(store.page, "storefront-held")
    await store.button("Give back").click()
    await camera.take(store.page, "storefront-give-back")
    await store.page.keyboard.press("Escape")
    await store.button("Pay now").click()
    await camera.take(store.page, "storefront-paying")
    await store.page.get_by_label("refuses the card").check()
    await store.page.locator("main").get_by_role("button", name="Pay $").click()
    await store.shows("refused")
    await camera.take(store.page, "storefront-refused")
    await store.page.get_by_label("accepts the card").check()
    await store.page.locator("main").get_by_role("button", name="Pay $").click()
    await store.comes_to("bought")
    await camera.take(store.page, "storefront-bought")


async def _expired(store: StorePage, ann: Shopper, admin: Admin, camera: Camera, clock: ShopClock) -> None:
    await store.open(await admin.product(name="Sneaker 42", price="129.90", holdSeconds=60))
    await store.reserve()
    await pass_time(clock, 61, ann)
    await store.comes_to("expired")
    await camera.take(store.page, "storefront-expired")


async def _sold_out(store: StorePage, ann: Shopper, admin: Admin, camera: Camera, clock: ShopClock) -> None:
    product = await admin.product(name="Sneaker 42", price="129.90", stockQuantity=3)
    for customer in ann.shop.customers(3):
        await customer.hold(product)
    await store.open(product, "sold-out")
    await store.shows("3 units are on hold")
    await camera.take(store.page, "storefront-sold-out")


async def _paused(store: StorePage, _: Shopper, admin: Admin, camera: Camera, clock: ShopClock) -> None:
    product = await admin.product(name="Sneaker 42", price="129.90")
    await admin.ask("POST", f"/products/{product}/pause", body={"reason": "The price was wrong, back in a minute"})
    await store.open(product, "paused")
    await camera.take(store.page, "storefront-paused")


async def _over(store: StorePage, _: Shopper, admin: Admin, camera: Camera, clock: ShopClock) -> None:
    product = await admin.product(name="Sneaker 42", price="129.90", saleEndsAt=clock.instant(-60))
    await store.open(product, "over")
    await camera.take(store.page, "storefront-over")


# The console.


class ShopInUse:
    """A shop with something to see on every page: a sale that runs, purchases, holds, an endpoint and a key."""

    def __init__(self, shop: HttpShop, admin: Admin) -> None:
        self.shop = shop
        self.admin = admin
        self.product = self.reservation = self.customer = self.endpoint = ""

    async def fill(self, clock: ShopClock) -> None:
        """Let a crowd buy, hold, cancel and be refused over some seconds."""
        admin = self.admin
        fields = {"name": "Sneaker 42", "price": "129.90", "stockQuantity": 60, "perCustomerLimit": 1}
        self.product = await admin.product(**fields, externalId="SNK-42")
        await admin.product(name="Desk lamp", price="49.00", stockQuantity=25, saleStartsAt=clock.instant(5_400))
        paused = await admin.product(name="Record player", price="310.00", stockQuantity=8)
        await admin.ask("POST", f"/products/{paused}/pause", body={"reason": "Waiting for a delivery"})
        await admin.ask("GET", "/overview")
        held = []
        for second in range(40):
            clock.advance(1)
            customers = self.shop.customers(2 if second < 32 else 1)
            held += [customer for customer in customers if (await customer.reserve(self.product)).status == 201]
            if second % 3 == 0 and held:
                await self._settle(held.pop(0), buys=second % 9 != 0)
        await admin.restock(self.product, 5)
        endpoint = {"url": "http://127.0.0.1:9/hooks", "events": ["reservation.confirmed"]}
        self.endpoint = (await admin.ask("POST", "/webhooks", body=endpoint)).granted()["id"]
        await admin.ask("POST", "/api-keys", body={"name": "Shop backend", "scopes": ["customers", "read"]})
        registered = {"email": "ann@example.com", "password": "a sunny place 77"}
        self.customer = (await self.shop.ask("POST", "/auth/register", body=registered)).granted()["id"]
        await admin.ask("POST", "/audits")

    async def _settle(self, customer: HttpCustomer, *, buys: bool) -> None:
        """Buy what the customer holds, or give it back."""
        page = (await customer.ask("GET", "/reservations")).granted(200)
        self.reservation = page["items"][0]["id"]
        act = ("POST", f"/checkout/{self.reservation}") if buys else ("DELETE", f"/reservations/{self.reservation}")
        (await customer.ask(*act)).granted(200)


async def console(browser: Browser, used: ShopInUse, camera: Camera) -> None:
    """Every page of the console."""
    context = await browser.new_context(color_scheme=camera.look)
    async with open_page(context, used.shop) as page:
        await page.page.set_viewport_size({"width": camera.width, "height": 900})
        await page.open("", "Sign in")
        await camera.take(page.page, "console-sign-in")
        await page.page.goto(f"{used.shop.url}/admin/first?token=none")
        await page.heading()
        await camera.take(page.page, "console-first-admin-refused")
        await become(context, used.shop, used.admin)
        for name, path, ready in _pages(used):
            await page.open(path)
            await ready(page)
            await camera.take(page.page, f"console-{name}")
        await page.open(f"products/{used.product}", "Sneaker 42")
        await page.button("Pause Sneaker 42").click()
        await page.dialog.wait_for()
        await camera.take(page.page, "console-pause-dialog")
    await context.close()


def _pages(used: ShopInUse) -> list[tuple[str, str, Callable[[Console], Awaitable[None]]]]:
    """The pages' names, their paths, and what each has to show before the picture is taken."""
    return [
        ("today", "", _shows("Sneaker 42", "canvas")),
        ("products", "products", _shows("Sneaker 42")),
        ("product-new", "products/new", _shows("Price")),
        ("product", f"products/{used.product}", _shows("SNK-42", "canvas")),
        ("reservations", "reservations", _shows("Sneaker 42", "tbody tr")),
        ("reservation", f"reservations/{used.reservation}", _shows("Sneaker 42")),
        ("holds", "holds", _shows("Sneaker 42", "canvas")),
        ("customers", "customers", _shows("ann@example.com")),
        ("customer", f"customers/{used.customer}", _shows("ann@example.com")),
        ("audit", "audit", _shows("reservations")),
        ("webhooks", "webhooks", _shows("127.0.0.1")),
        ("webhook", f"webhooks/{used.endpoint}", _shows("127.0.0.1")),
        ("people", "people", _shows("Shop backend")),
        ("health", "health", _shows("SQLite")),
        ("unknown", "nowhere", _shows("")),
    ]


def _shows(text: str, selector: str = "") -> Callable[[Console], Awaitable[None]]:
    async def ready(page: Console) -> None:
        await page.shows(text)
        if selector:
            await page.page.locator(selector).first.wait_for()

    return ready


async def _hire(shop: HttpShop) -> Admin:
    """An admin whose e-mail address looks well in a picture."""
    admin = Admin(shop, str(uuid_utils.uuid7()), Role.ADMIN)
    await shop.store.add_account(Account(admin.id, "owner@shop.example", Role.ADMIN, "-", shop.clock.now_ms()))
    return admin


async def main() -> None:
    """Take all of them."""
    for directory in (ALL, DOCS):
        directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        async with open_browser(Path(temporary) / "profile") as browser:
            for number, (width, look) in enumerate((width, look) for width in WIDTHS for look in LOOKS):
                camera, clock = Camera(width, look), ShopClock()
                for name in ("storefront", "console"):
                    (Path(temporary) / f"{name}-{number}").mkdir()
                async with open_shop(Path(temporary) / f"storefront-{number}", clock) as shop:
                    await storefront(browser, shop, clock, camera)
                directory = Path(temporary) / f"console-{number}"
                async with open_shop(directory, clock, webhook_networks="127.0.0.1") as shop:
                    used = ShopInUse(shop, await _hire(shop))
                    await used.fill(clock)
                    await console(browser, used, camera)
                print(f"{width} px, {look}: done")  # noqa: T201 - a command's progress


if __name__ == "__main__":
    asyncio.run(main())
