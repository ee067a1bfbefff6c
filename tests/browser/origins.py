"""A service of origin B, pages of other origins, and what a browser shows to those pages.

Origins differ here by host names, all of which are this machine. Two rules of browsers decide which names are used:

- Cookies ignore ports, and the attribute SameSite compares sites: scheme and registrable domain. Pages of
  www.shop.localhost are on the same site as stock.shop.localhost; pages of stranger.localhost are not, and browsers
  send a cookie along with their requests only if it has SameSite=None and is Secure.
- Secure cookies and the header Sec-Fetch-Site need a trustworthy origin: https, or a name below localhost. Names below
  .test are not, so a browser names the source of their requests in Origin only.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from http.client import NO_CONTENT
from pathlib import Path
from typing import Any, Final, Literal

from aiohttp import web
from playwright.async_api import BrowserContext, Page
from prometheus_client.parser import text_string_to_metric_families
from tests.auth.sign_in_service import ALL_KEYS, AUDIENCE, ISSUER
from tests.http.shop import RAW_HOST, Admin, HttpShop, open_shop
from tests.servers.proxies import nginx_under_prefix, self_signed

from flashreserve.clock import SystemClock

_PAGE: Final = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Neighbours:
    """Hosts: of the shop's page (origin A), of the service (B), and of strangers' pages (C).

    Of each stranger, whether browsers send the service's cookie along with requests of its pages.
    """

    shop: str
    service: str
    strangers: Mapping[str, bool]
    same_site: Literal["lax", "none"]


ONE_SITE: Final = Neighbours(
    shop="www.shop.localhost",
    service="stock.shop.localhost",
    # The second is the service's own host with another port.
    strangers={"forum.shop.localhost": True, "stock.shop.localhost": True, "stranger.localhost": False},
    same_site="lax",
)
TWO_SITES: Final = Neighbours(
    shop="shop.localhost",
    service="stock.localhost",
    strangers={"stranger.localhost": True},
    same_site="none",
)
UNTRUSTWORTHY: Final = Neighbours(
    shop="www.shop.test",
    service=RAW_HOST,
    strangers={"forum.shop.test": True, RAW_HOST: True, "stranger.test": False},
    same_site="lax",
)


@dataclass(frozen=True)
class Arrangement:
    """The hosts, and the way from a browser to the service."""

    neighbours: Neighbours
    prefix: str = ""
    strips: bool = False
    production: bool = False

    @property
    def cookie(self) -> str:
        """The name of the sign-in cookie. Without TLS, the tests' services aren't in production."""
        return "__Secure-token" if self.production else "token"


ARRANGEMENTS: Final = {
    "one site": Arrangement(ONE_SITE),
    "two sites": Arrangement(TWO_SITES),
    "without Sec-Fetch-Site": Arrangement(UNTRUSTWORTHY),
    "under a prefix that nginx keeps": Arrangement(ONE_SITE, "/flash"),
    "under a prefix that nginx strips": Arrangement(UNTRUSTWORTHY, "/flash", strips=True),
    "under a prefix, by TLS, in production": Arrangement(TWO_SITES, "/flash", strips=True, production=True),
}


class Service:
    """A running shop, as browsers reach it."""

    def __init__(self, arrangement: Arrangement, shop: HttpShop, admin: Admin, url: str, pages_port: int) -> None:
        self.arrangement = arrangement
        self.shop = shop
        self.admin = admin
        self.url = url
        self._pages_port = pages_port

    @property
    def neighbours(self) -> Neighbours:
        return self.arrangement.neighbours

    def page_url(self, host: str) -> str:
        """The origin of a page on this host."""
        return _origin(host, self._pages_port)

    async def requests(self, method: str) -> int:
        """How many requests of this method the service has answered."""
        families = text_string_to_metric_families((await self.admin.ask("GET", "/metrics")).body.decode())
        samples = [sample for family in families for sample in family.samples]
        mine = [each for each in samples if each.name == "flashreserve_http_requests_total"]
        return int(sum(each.value for each in mine if each.labels["method"] == method))


@asynccontextmanager
async def open_service(arrangement: Arrangement, directory: Path, pages_port: int) -> AsyncIterator[Service]:
    """The service with the arrangement's settings, behind nginx if it has a prefix."""
    neighbours, prefix = arrangement.neighbours, arrangement.prefix
    (directory / "keys.json").write_bytes(ALL_KEYS)
    (directory / "issuers.toml").write_text(
        f'[[issuers]]\nname = "shop"\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\njwks_file = "keys.json"\n'
    )
    async with open_shop(
        directory,
        SystemClock(),
        production=arrangement.production,
        trusted_proxies="127.0.0.1",
        issuers=str(directory / "issuers.toml"),
        origins=_origin(neighbours.shop, pages_port),
        path_prefix=prefix,
        cookie_samesite=neighbours.same_site,
    ) as shop:
        with ExitStack() as stack:
            scheme, port = "http", int(shop.url.rpartition(":")[2])
            if prefix:
                certificate = self_signed(directory) if arrangement.production else None
                scheme = "https" if certificate else "http"
                nginx = nginx_under_prefix(directory, port, prefix, strips=arrangement.strips, certificate=certificate)
                port = stack.enter_context(nginx)
            url = f"{scheme}://{neighbours.service}:{port}"
            yield Service(arrangement, shop, await shop.hire(), url, pages_port)


@asynccontextmanager
async def page_server() -> AsyncIterator[int]:
    """Serves the page under every host and path. Yields the port."""

    async def answer(_: web.Request) -> web.FileResponse:
        return web.FileResponse(_PAGE)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class Shown:
    """An answer as the browser shows it to a page: of kind `cors`, `opaque` (nothing is shown), or `error` (none)."""

    kind: str
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class OpenPage:
    """A page of some origin in a browser, which calls the service."""

    def __init__(self, page: Page, service: Service) -> None:
        self.page = page
        self._service = service

    def address(self, path: str) -> str:
        """The address of a path of the service, given without prefix."""
        return self._service.url + self._service.arrangement.prefix + path

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        cookies: bool = False,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Shown:
        """Send a request by `fetch`; with `cookies`, the browser sends and takes the cookies of the service."""
        named = dict(headers or {})
        request: dict[str, Any] = {"method": method, "headers": named, "credentials": _credentials(cookies=cookies)}
        if token:
            named["Authorization"] = f"Bearer {token}"
        if body is not None:
            named["Content-Type"] = "application/json"
            request["body"] = json.dumps(body)
        return await self._ask(self.address(path), request)

    async def follow(self, location: str, *, cookies: bool = False, token: str = "") -> Shown:
        """GET the address in a Location header, as it was sent."""
        assert location.startswith("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = {"method": "GET", "headers": headers, "credentials": _credentials(cookies=cookies)}
        return await self._ask(self._service.url + location, request)

    async def ask_simply(self, path: str, body: object = None, *, typed: bool = True) -> int:
        """POST, with cookies, as any page may without asking the service before ("simple", of mode `no-cors`).

        A body has the type text/plain, or none. Returns the status, which the page itself doesn't see.
        """
        address = self.address(path)
        text = None if body is None else json.dumps(body)
        async with self.page.expect_response(address) as answered:
            shown = Shown(**await self.page.evaluate("words => askSimply(...words)", [address, text, typed]))
        assert (shown.kind, shown.status, shown.headers, shown.text) == ("opaque", 0, {}, "")
        return (await answered.value).status

    async def submit(self, path: str, fields: Mapping[str, str]) -> int:
        """Send a form, for whose answer the browser leaves the page unless it is empty. Returns its status."""
        address = self.address(path)
        async with self.page.expect_response(address) as answered:
            await self.page.evaluate("words => submit(...words)", [address, fields])
        status: int = (await answered.value).status
        if status != NO_CONTENT:
            await self.page.wait_for_url(address)
        return status

    async def _ask(self, address: str, request: Mapping[str, Any]) -> Shown:
        return Shown(**await self.page.evaluate("words => ask(...words)", [address, request]))


class Visitor:
    """Somebody's browser. It has a page of each origin open, and these share its cookies."""

    def __init__(self, context: BrowserContext, service: Service) -> None:
        self.context = context
        self._service = service
        self._pages: dict[str, Page] = {}

    async def page(self, host: str) -> OpenPage:
        """The page of this host. Opening one takes longer than all that a test does with it, so pages stay open."""
        page = self._pages.get(host)
        if page is None:
            page = self._pages[host] = await self.context.new_page()
        url = self._service.page_url(host) + "/"
        if page.url != url:
            await page.goto(url)
        return OpenPage(page, self._service)


def _credentials(*, cookies: bool) -> str:
    return "include" if cookies else "omit"


def _origin(host: str, port: int) -> str:
    return f"http://{host}:{port}"
