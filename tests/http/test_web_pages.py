"""The two web applications: their pages, their files, and what a browser is told about both."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.http.shop import HttpAnswer, HttpShop, ShopClock, open_shop
from tests.http.web_modules import WEB, Addresses, imports_of, later_imports_of, loaded_by, loaded_with, page_of

from flashreserve.http import assets
from flashreserve.http.headers import accepts_gzip

pytestmark = pytest.mark.asyncio(loop_scope="module")

APPLICATIONS = ["demo", "admin"]
GZIP_BYTES_MAX = 80_000
PRODUCT = "0199c0de-0000-7000-8000-000000000001"
PREFIX = "/flash/sales"
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
}
FILES = {
    "vendor/preact.js": "text/javascript; charset=utf-8",
    "vendor/uplot.css": "text/css; charset=utf-8",
    "vendor/versions.json": "application/json",
    "vendor/htm.LICENSE.txt": "text/plain; charset=utf-8",
    "shared/favicon.svg": "image/svg+xml",
}


def policy_of(answer: HttpAnswer) -> set[str]:
    return set(answer.headers["content-security-policy"].split("; "))


async def plain(shop: HttpShop, path: str, method: str = "GET") -> HttpAnswer:
    return await shop.ask(method, path, headers={"Accept-Encoding": "identity"})


# Pages.


@pytest.mark.parametrize(
    ("path", "application"),
    [
        ("/demo", "demo"),
        (f"/demo/{PRODUCT}", "demo"),
        ("/demo?from=newsletter", "demo"),
        ("/admin", "admin"),
        ("/admin/reservations", "admin"),
        ("/admin/reservations?status=RESERVED&status=EXPIRED", "admin"),
        (f"/admin/products/{PRODUCT}", "admin"),
        ("/admin/no-such-page/at/all", "admin"),
    ],
)
async def test_every_address_of_an_application_is_answered_with_its_page(
    shop: HttpShop, path: str, application: str
) -> None:
    answer = await plain(shop, path)

    assert (answer.status, answer.body.decode()) == (200, page_of(application))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert policy_of(answer) == POLICY


async def test_a_page_that_is_known_is_not_sent_again_and_keeps_its_policy(shop: HttpShop) -> None:
    """A browser replaces the headers of its copy by those of the 304."""
    tag = (await shop.ask("GET", "/admin")).headers["etag"]

    again = await shop.ask("GET", "/admin", headers={"If-None-Match": tag})

    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert policy_of(again) == POLICY


@pytest.mark.parametrize("path", ["/demographics", "/administration", "/demo/a/b", "/livez", "/assets/vendor/none.js"])
async def test_no_other_answer_has_the_policy_of_the_pages(shop: HttpShop, path: str) -> None:
    answer = await shop.ask("GET", path)

    assert policy_of(answer) == {
        "default-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    }


# Files.


@pytest.mark.parametrize("name", FILES)
async def test_a_file_has_its_type_and_is_revalidated(shop: HttpShop, name: str) -> None:
    answer = await plain(shop, f"/assets/{name}")
    tag = answer.headers["etag"]
    again = await shop.ask("GET", f"/assets/{name}", headers={"If-None-Match": tag, "Accept-Encoding": "identity"})
    other = await shop.ask("GET", f"/assets/{name}", headers={"If-None-Match": '"other"'})

    assert (answer.status, answer.body) == (200, (WEB / name).read_bytes())
    assert answer.headers["content-type"] == FILES[name]
    assert answer.headers["cache-control"] == "no-cache"
    assert tag.startswith('"')
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert (other.status, other.body) == (200, answer.body)


@pytest.mark.parametrize("path", [*(f"/assets/{name}" for name in FILES), "/demo", "/admin"])
async def test_the_compressed_answer_has_the_same_content_and_a_tag_of_its_own(shop: HttpShop, path: str) -> None:
    whole, zipped = await plain(shop, path), await shop.ask("GET", path, headers={"Accept-Encoding": "br, gzip"})
    tag = zipped.headers["etag"]
    again = await shop.ask("GET", path, headers={"Accept-Encoding": "gzip", "If-None-Match": tag})
    exchanged = await shop.ask("GET", path, headers={"Accept-Encoding": "identity", "If-None-Match": tag})

    assert "content-encoding" not in whole.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.body == whole.body
    assert tag != whole.headers["etag"]
    assert (again.status, again.body) == (304, b"")
    assert (exchanged.status, exchanged.body) == (200, whole.body)
    for answer in (whole, zipped, again, exchanged):
        assert answer.headers["vary"] == "Accept-Encoding"


async def test_a_compressed_file_is_as_small_as_it_gets_and_always_the_same() -> None:
    zipped = assets.web_file("vendor/uplot.js", zipped=True)

    assert len(zipped.body) < 23_000
    assert assets.web_file("vendor/uplot.js", zipped=True) is zipped
    assert zipped.body[4:8] == b"\0\0\0\0", "the time of compression"


@pytest.mark.parametrize(
    ("sent", "accepted"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZip", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("br", False),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0", False),
        ("identity;q=1, *;q=0", False),
        ("x-gzip-too", False),
    ],
)
async def test_files_are_compressed_for_clients_that_accept_it(sent: str | None, *, accepted: bool) -> None:
    assert accepts_gzip({} if sent is None else {b"accept-encoding": sent.encode()}) is accepted


@pytest.mark.parametrize("path", ["/demo", "/admin/health", "/assets/vendor/preact.js"])
async def test_head_is_answered_as_get_without_the_body(shop: HttpShop, path: str) -> None:
    get, head = await plain(shop, path), await plain(shop, path, "HEAD")

    assert (head.status, head.body) == (200, b"")
    for name in ("etag", "content-type", "content-length", "cache-control", "vary", "content-security-policy"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    "path",
    [
        "/assets",
        "/assets/",
        "/assets/none.js",
        "/assets/vendor",
        "/assets/vendor/",
        "/assets/vendor/none.js",
        "/assets/demo/index.html",
        "/assets/front/index.html",
        "/assets/swagger/page.js",
        "/assets/settings.py",
        "/assets/../settings.py",
        "/assets/../../app.py",
        "/assets/vendor/../vendor/preact.js",
        "/assets//vendor/preact.js",
        "/assets/vendor//preact.js",
        "/assets/./vendor/preact.js",
        "/assets/%2e%2e/%2e%2e/app.py",
        "/assets/..%2F..%2Fapp.py",
        "/assets/vendor/..%5C..%5Capp.py",
        "/assets/%2Fetc%2Fpasswd",
        "/assets//etc/passwd",
        "/assets/vendor/preact.js%00",
        "/assets/vendor/preact.js%00.css",
        "/assets/vendor/preact.js/",
        "/assets/VENDOR/preact.js",
        "/assets/%FF",
    ],
)
async def test_no_other_file_is_served(shop: HttpShop, path: str) -> None:
    client = await shop.connect()
    try:
        reply = await client.get(path)
    finally:
        await client.close()

    assert (reply.status, reply.code) == (404, "not-found")


# The storefront's setting, and the front page.


@pytest.mark.parametrize(
    ("production", "setting", "served"),
    [(False, None, True), (False, False, False), (True, None, False), (True, True, True)],
)
async def test_the_storefront_is_off_in_production_unless_it_is_turned_on(
    tmp_path: Path, clock: ShopClock, *, production: bool, setting: bool | None, served: bool
) -> None:
    async with open_shop(tmp_path, clock, production=production, demo=setting) as shop:
        front = await shop.ask("GET", "/", headers={"Accept": "text/html"})
        pages = [await shop.ask("GET", path) for path in ("/demo", f"/demo/{PRODUCT}")]
        console = await shop.ask("GET", "/admin")

    assert [page.status for page in pages] == ([200, 200] if served else [404, 404])
    if not served:
        assert {page.code for page in pages} == {"not-found"}
        assert all("FLASHRESERVE_DEMO=on" in page.json["detail"] for page in pages)
    assert console.status == 200
    linked = Addresses.of(front.body.decode()).linked
    assert ("/demo" in linked) is served
    assert (b'data-storefront="on"' in console.body) is served
    assert (b'data-storefront="off"' in console.body) is not served
    assert "/admin" in linked


# Addresses below a prefix.


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def prefixed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HttpShop]:
    async with open_shop(tmp_path_factory.mktemp("prefix"), ShopClock(), path_prefix=PREFIX) as shop:
        yield shop


@pytest.mark.parametrize("sent", ["", PREFIX])
@pytest.mark.parametrize("application", APPLICATIONS)
async def test_a_page_below_a_prefix_loads_its_files_from_there(
    prefixed: HttpShop, sent: str, application: str
) -> None:
    page = (await plain(prefixed, f"{sent}/{application}")).body.decode()
    addresses = Addresses.of(page)

    assert f'data-root="{PREFIX}/"' in page
    assert f"{PREFIX}/assets/{application}/app.js" in addresses.loaded
    for address in addresses.loaded:
        assert address.startswith(f"{PREFIX}/assets/")
        assert (await prefixed.ask("GET", address)).status == 200, address


# Everything that the applications load.


@pytest.mark.parametrize("application", APPLICATIONS)
async def test_a_page_is_made_of_our_own_files_alone(application: str) -> None:
    addresses = Addresses.of(page_of(application))

    assert addresses.inline == 0
    assert "/assets/shared/favicon.svg" in addresses.loaded
    assert all(address.startswith("/assets/") for address in addresses.loaded)
    assert loaded_by(page_of(application)) - assets.web_files() == set()


async def test_every_import_of_every_module_leads_to_a_file() -> None:
    imports = {(name, found) for name in assets.web_files() for found in (*imports_of(name), *later_imports_of(name))}

    assert {(name, found) for name, found in imports if found not in assets.web_files()} == set()
    assert ("vendor/hooks.js", "vendor/preact.js") in imports


@pytest.mark.parametrize("application", APPLICATIONS)
async def test_each_address_of_an_application_is_small(application: str) -> None:
    """The limit holds for all that a browser loads at once, with each module that an address needs besides."""
    page = page_of(application)
    at_once = loaded_by(page)
    later = {module for name in assets.web_files() for module in later_imports_of(name)}
    loads = {module: at_once | loaded_with([module]) for module in later if module.startswith(f"{application}/")}

    for module, names in {"the page": at_once, **loads}.items():
        sizes = {name: len(assets.web_file(name, zipped=True).body) for name in names}
        assert sum(sizes.values(), zipped_page(page)) <= GZIP_BYTES_MAX, (module, sizes)


def zipped_page(page: str) -> int:
    return len(gzip.compress(page.encode(), 9))
