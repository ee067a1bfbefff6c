from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.http.documented import DOCUMENT, PRODUCTION_DOCUMENT, faults
from tests.http.shop import Admin, HttpCustomer, HttpShop, ShopClock, open_shop

from flashreserve.http.assets import ASSETS
from flashreserve.http.operations import OPERATIONS
from flashreserve.http.operations.examples import PRODUCT_ID
from flashreserve.http.operations.operation import Operation
from flashreserve.server.limits import HttpLimits

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCS = ["/openapi.json", "/api-docs", "/api-docs/page.js"]
METRICS_TOKEN = "a-token-for-machines"

# Access, and headers.


async def test_in_development_the_docs_are_for_everybody(shop: HttpShop) -> None:
    assert [(await shop.ask("GET", path)).status for path in DOCS] == [200, 200, 200]


async def test_in_production_the_docs_are_for_admins_and_the_metrics_token(tmp_path: Path, clock: ShopClock) -> None:
    async with open_shop(tmp_path, clock, production=True, metrics_token=METRICS_TOKEN) as shop:
        admin, customer = await shop.hire(), shop.customer()
        machine = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        for path in DOCS:
            assert (await shop.ask("GET", path)).code == "unauthenticated"
            assert (await customer.ask("GET", path)).code == "forbidden"
            assert (await admin.ask("GET", path)).status == 200
            assert (await shop.ask("GET", path, headers=machine)).status == 200


@pytest.mark.parametrize("production", [False, True])
async def test_the_served_document_is_that_of_the_environment(
    tmp_path: Path, clock: ShopClock, *, production: bool
) -> None:
    async with open_shop(tmp_path, clock, production=production) as shop:
        admin = await shop.hire()
        answer = await admin.ask("GET", "/openapi.json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json == (PRODUCTION_DOCUMENT if production else DOCUMENT)


@pytest.mark.parametrize("path", DOCS)
async def test_who_has_the_docs_already_is_not_sent_them_again(shop: HttpShop, path: str) -> None:
    first = await shop.ask("GET", path)
    tag = first.headers["etag"]
    again = await shop.ask("GET", path, headers={"If-None-Match": f'"other", W/{tag}'})
    other = await shop.ask("GET", path, headers={"If-None-Match": '"other"'})

    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert (other.status, other.body) == (200, first.body)


async def test_the_page_is_made_of_our_own_files_alone(shop: HttpShop) -> None:
    page = await shop.ask("GET", "/api-docs")
    links = _Links()
    links.feed(page.body.decode())

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert links.inline_scripts == 0
    assert {f"/api-docs/{name}" for name in ASSETS} | {"/openapi.json"} == links.found
    for path in links.found:
        answer = await shop.ask("GET", path)
        assert answer.status == 200
        assert answer.headers["content-type"] in {
            "text/css; charset=utf-8",
            "text/javascript; charset=utf-8",
            "image/svg+xml",
            "application/json",
        }


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


async def test_a_browser_gets_a_front_page_that_links_what_is_here(shop: HttpShop) -> None:
    page = await shop.ask("GET", "/", headers=BROWSER)
    links = _Links()
    links.feed(page.body.decode())

    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["vary"] == "Accept"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert links.found == {"/demo", "/admin", "/products", "/api-docs", "/openapi.json", "/readyz?verbose", "/metrics"}
    assert {(await shop.ask("GET", path)).status for path in links.found} == {200}


async def test_a_front_page_that_is_known_is_not_sent_again(shop: HttpShop) -> None:
    tag = (await shop.ask("GET", "/", headers=BROWSER)).headers["etag"]

    again = await shop.ask("GET", "/", headers={**BROWSER, "If-None-Match": tag})

    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/*", "text/html;q=0", "text/html; q=0.000"])
async def test_who_asks_for_no_html_finds_nothing_at_the_root(shop: HttpShop, accept: str | None) -> None:
    answer = await shop.ask("GET", "/", headers={} if accept is None else {"Accept": accept})

    assert (answer.status, answer.code) == (404, "not-found")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize("name", ["index.html", "swagger-ui.LICENSE.txt", "..%2F..%2Fapp.py", "%2Fetc%2Fpasswd"])
async def test_no_other_file_is_served(shop: HttpShop, name: str) -> None:
    assert (await shop.ask("GET", f"/api-docs/{name}")).code == "not-found"


# The answers of every operation.


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_refusals_that_do_not_depend_on_what_is_asked_for_are_documented(
    shop: HttpShop, operation: Operation
) -> None:
    admin, customer = await shop.hire(), shop.customer()
    limits = HttpLimits()
    asked = operation.method.upper(), _filled(operation.path)
    too_long = f"{asked[1]}?{'x' * limits.url_bytes_max}"
    cookie = {"Cookie": f"token={customer.token}", "Origin": "https://elsewhere.example"}
    bodies: list[dict[str, Any]] = [
        {"body": {}},
        {"raw": b""},
        {"raw": b"[0]", "headers": {"Content-Type": "text/plain"}},
    ]
    answers = [
        await shop.ask(*asked),
        await shop.ask(*asked, headers={"Authorization": "Bearer nonsense"}),
        await shop.ask(*asked, headers=cookie),
        await shop.ask(*asked, headers={"X-Filler": "x" * limits.head_bytes_max}),
        await shop.ask(*asked, raw=b" " * (limits.body_bytes_max + 1)),
        await shop.ask(asked[0], too_long),
        *[await person.ask(*asked, **body, key="a-key") for person in (admin, customer) for body in bodies],
    ]
    statuses = {answer.status for answer in answers}

    for answer in answers:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        assert faults(operation, answer.status, headers, answer.body) == [], (answer.status, answer.body)
    assert statuses >= {413, 414, 431}
    assert (401 in statuses) == (operation.who in {"signed-in", "customer", "admin"})
    assert (403 in statuses) == (operation.method != "get" or operation.who == "admin")
    assert (415 in statuses) == (operation.body is not None)


# Faults found by calling the API according to its document.


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a\nthing"),
        ("price", "1_000"),
        ("price", " 1 "),
        ("price", "१"),
        ("price", "1e3"),
        ("price", "9.99\n"),
        ("currency", "USD\n"),
        ("saleStartsAt", "0001-01-01T00:00:00+14:00"),
        ("saleStartsAt", "1969-12-31T23:59:59.999Z"),
        ("saleEndsAt", "9999-12-31T23:59:59-14:00"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(admin: Admin, field: str, value: str) -> None:
    created = await admin.create(**{field: value})
    edited = await admin.edit(await admin.product(), **{field: value})

    assert (created.code, created.fields) == ("bad-request", [field])
    assert (edited.code, edited.fields) == ("bad-request", [field])


@pytest.mark.parametrize("price", [999.99, "999.99", "0999.9900", 0.1, 1e9, 10_000_000_000])
async def test_prices_stay_exactly_as_they_were_meant(admin: Admin, price: float | str) -> None:
    made = (await admin.create(price=price)).granted()

    assert made["price"] == f"{float(price):.2f}"


async def test_the_years_1970_and_9999_can_be_told(admin: Admin) -> None:
    made = (await admin.create(saleStartsAt="1970-01-01T00:00:00Z", saleEndsAt="9999-12-31T23:59:59.999Z")).granted()

    assert made["saleStartsAt"] == "1970-01-01T00:00:00.000Z"
    assert made["saleEndsAt"] == "9999-12-31T23:59:59.999Z"


async def test_an_id_with_a_line_break_is_no_id(customer: HttpCustomer) -> None:
    answer = await customer.ask("GET", f"/products/{PRODUCT_ID}%0A")

    assert (answer.code, answer.fields) == ("bad-request", ["id"])


async def test_each_address_names_exactly_its_documented_methods(shop: HttpShop) -> None:
    for path, methods in DOCUMENT["paths"].items():
        own = {method.upper() for method in methods}
        expected = own | {"OPTIONS"} | ({"HEAD"} if "GET" in own else set())
        asked = _filled(path)

        options = await shop.ask("OPTIONS", asked)
        refused = await shop.ask(next(method for method in ("PUT", "DELETE", "POST") if method not in own), asked)

        assert (options.status, refused.status) == (204, 405)
        assert set(options.headers["allow"].split(", ")) == expected, path
        assert set(refused.headers["allow"].split(", ")) == expected, path


async def test_head_is_answered_as_get_without_the_body(shop: HttpShop) -> None:
    get, head = await shop.ask("GET", "/openapi.json"), await shop.ask("HEAD", "/openapi.json")

    assert head.body == b""
    assert head.headers["etag"] == get.headers["etag"]


class _Links(HTMLParser):
    """Collects the addresses that a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.inline_scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = [value for name, value in attrs if name in {"href", "src"} and value is not None]
        self.found.update(named)
        self.inline_scripts += tag == "script" and not named


def _filled(path: str) -> str:
    return path.replace("{id}", PRODUCT_ID).replace("{code}", "expired").replace("{file}", "page.js")
