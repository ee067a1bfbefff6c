"""Every request in the docs succeeds when it is sent to a shop; every address and code in the docs exists."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from tests.docs.pages import DECISIONS, PAGES, ROOT, code_in_prose
from tests.http.shop import Admin, HttpCustomer, HttpShop, Person, ShopClock, new_key, open_shop

from flashreserve.http.problems import KINDS

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACCOUNT: Final = {"email": "ann@example.com", "password": "correct horse battery"}
PRODUCT: Final = {"name": "iPhone 15", "price": "999.99", "stockQuantity": 10}

BODIES: Final[dict[str, object]] = {
    "POST /auth/register": {**ACCOUNT, "email": "new@example.com"},
    "POST /auth/login": ACCOUNT,
    "POST /products": PRODUCT,
    "POST /products/{}/stock": {"change": 100},
    "PATCH /products/{}": {"price": "899.99"},
    "PUT /products/by-external-id/{}": PRODUCT,
    "POST /products/{}/pause": {"reason": "a fault"},
    "POST /pause": {"reason": "a fault"},
    "POST /api-keys": {"name": "Shop backend", "scopes": ["customers"]},
    "POST /webhooks": {"url": "https://shop.example/hooks", "events": ["*"]},
    "PATCH /webhooks/{}": {"events": ["product.edited"]},
    "POST /reservations": {"lines": [{"productId": "{}", "quantity": 1}]},
}
"""Bodies of requests that the docs show without one; `{}` is the product."""

BY_ADMINS: Final = re.compile(
    r"(POST|PATCH|PUT) /products(?!/{}/reservations)|GET /products/{}/reservations|GET /reservations\.csv"
    r"|GET /(overview|holds|audits|health)|GET /products/{}/figures|POST /(audits|stream-tickets)"
    r"|(GET|POST) /accounts|POST /api-keys|.*/returns|POST /(pause|resume)|GET /(trail|events)|.* /webhooks"
)
OF_A_HOLD: Final = re.compile(r"/checkout|/reservations/confirm|(GET|DELETE) /reservations/{}|/extend")
"""Requests whose `{}` is a reservation. In other requests it is a product."""

REQUEST: Final = re.compile(r"(GET|POST|PATCH|PUT|DELETE) (/[^\s?]*)(\?\S+)?(?: ({.*}))?")
ADDRESS: Final = re.compile(r"/[a-z.-]*(\?\w+)?")
NOT_OURS: Final = frozenset({"/proc", "/flash"})


def requests_in(pages: tuple[Path, ...]) -> list[tuple[str, str, str]]:
    """The requests in the pages: method and path, with `{}` for each id; query; and body."""
    found = {
        (re.sub(r"{\w+}", "{}", f"{match[1]} {match[2]}"), match[3] or "", match[4] or "")
        for page in pages
        for code in code_in_prose(page)
        if (match := REQUEST.fullmatch(code))
    }
    return sorted(found)


@pytest.fixture(scope="module")
def clock() -> ShopClock:
    return ShopClock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory, clock: ShopClock) -> Any:
    async with open_shop(tmp_path_factory.mktemp("shop"), clock) as running:
        (await running.ask("POST", "/auth/register", body=ACCOUNT)).granted()
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shop: HttpShop) -> Admin:
    return await shop.hire()


async def test_the_docs_name_requests() -> None:
    assert len(requests_in(PAGES)) > 5


@pytest.mark.parametrize(("request_line", "query", "body"), requests_in((*PAGES, *DECISIONS)))
async def test_every_request_in_the_docs_is_granted(
    shop: HttpShop, admin: Admin, request_line: str, query: str, body: str
) -> None:
    asking: Person = admin if BY_ADMINS.match(request_line) else shop.customer()
    id_, sent = await prepared(shop, admin, asking, request_line)
    method, path = request_line.split(" ")

    answer = await asking.ask(
        method,
        path.replace("{}", id_) + query,
        body=json.loads(body) if body else sent,
        headers={"Idempotency-Key": new_key()} if method == "POST" else None,
    )

    assert answer.status in {200, 201, 204}, answer.body
    if path == "/pause":  # The other requests need a sale.
        (await admin.ask("POST", "/resume")).granted(200)


async def prepared(shop: HttpShop, admin: Admin, asking: Person, request_line: str) -> tuple[str, Any]:
    """What a request needs: the id that stands for its `{}`, and its body if it shows none."""
    product_id = await admin.product(maxExtensions=1)
    if request_line.startswith(
        ("POST /accounts/", "POST /auth/password/reset", "POST /auth/refresh", "POST /auth/logout")
    ):
        account = {**ACCOUNT, "email": f"{new_key()}@example.com"}
        id_ = (await shop.ask("POST", "/auth/register", body=account)).granted()["id"]
        if asking is not admin:
            asking.token = (await shop.ask("POST", "/auth/login", body=account)).granted(200)["token"]
        if not request_line.startswith("POST /auth/password"):
            return id_, None
        made = (await admin.ask("POST", f"/accounts/{id_}/reset-code")).granted()
        return id_, {"email": account["email"], "code": made["code"], "newPassword": "another horse battery"}
    if "/webhooks/{}" in request_line:
        made = (await admin.ask("POST", "/webhooks", body=BODIES["POST /webhooks"])).granted()
        return made["id"], BODIES.get(request_line)
    if request_line.endswith("/returns"):
        customer = shop.customer()
        bought = (await customer.hold(product_id))["id"]
        (await customer.confirm(bought)).granted(200)
        return bought, {"lines": [{"productId": product_id, "quantity": 1}]}
    if OF_A_HOLD.search(request_line):
        assert isinstance(asking, HttpCustomer)
        return (await asking.hold(product_id))["id"], None
    body = BODIES.get(request_line)
    return product_id, None if body is None else json.loads(json.dumps(body).replace("{}", product_id))


@pytest.mark.parametrize(
    "address",
    sorted({code for page in PAGES for code in code_in_prose(page) if ADDRESS.fullmatch(code)} - NOT_OURS),
)
async def test_every_address_in_the_docs_is_served(shop: HttpShop, address: str) -> None:
    assert (await shop.ask("GET", address, headers={"Accept": "text/html, */*"})).status == 200


async def test_the_page_of_the_api_names_every_code_with_its_status() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = {
        code: int(status)
        for status, codes in re.findall(r"\b(\d{3}) ((?:`[a-z-]+`(?:, )?)+)", page)
        for code in re.findall(r"`([a-z-]+)`", codes)
    }

    assert named == {code: kind.status for code, kind in KINDS.items()}
