"""A path prefix: requests work with and without it, and every address that is printed, sent or set has it."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.http.shop import HttpShop, ShopClock, new_key, open_shop

from flashreserve.http.operations import OPERATIONS
from flashreserve.settings import ROUTES, read_settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

PREFIX = "/flash/sales"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def prefixed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HttpShop]:
    async with open_shop(tmp_path_factory.mktemp("prefix"), ShopClock(), path_prefix=PREFIX) as shop:
        yield shop


@pytest.mark.parametrize("sent", ["", PREFIX])
async def test_requests_work_with_the_prefix_and_without(prefixed: HttpShop, sent: str) -> None:
    admin, customer = await prefixed.hire(), prefixed.customer()
    product = await admin.ask("POST", f"{sent}/products", body={"name": "Shoe", "price": "9.99", "stockQuantity": 5})
    product_id = product.granted()["id"]
    held = await customer.ask("POST", f"{sent}/reservations/{product_id}", key=new_key())
    basket = await customer.ask(
        "POST", f"{sent}/reservations", body={"lines": [{"productId": product_id, "quantity": 2}]}, key=new_key()
    )

    assert product.headers["Location"] == f"{PREFIX}/products/{product_id}"
    for answer in (held, basket):
        assert answer.headers["Location"] == f"{PREFIX}/reservations/{answer.granted()['id']}"
        assert (await customer.ask("GET", answer.headers["Location"])).status == 200
    stock = await prefixed.ask("GET", f"{sent}/products/{product_id}/stock")
    assert stock.json["available"] == 2


@pytest.mark.parametrize("sent", ["", PREFIX])
@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/no-such-path", "not-found"),
        ("GET", "/products/0199c0de-0000-7000-8000-000000000001", "not-found"),
        ("DELETE", "/auth/login", "method-not-allowed"),
        ("GET", "/auth/me", "unauthenticated"),
        ("POST", "/reservations/0199c0de-0000-7000-8000-000000000001", "unauthenticated"),
    ],
)
async def test_problems_carry_the_prefix(prefixed: HttpShop, sent: str, method: str, path: str, code: str) -> None:
    problem = await prefixed.ask(method, sent + path)

    assert problem.code == code
    assert problem.json["type"] == f"{PREFIX}/problems/{code}"
    assert problem.json["instance"] == PREFIX + path


@pytest.mark.parametrize("path", ["/flash", "/flash/salesman/products", "/flash/sales/flash/sales/products"])
async def test_other_beginnings_are_no_prefix(prefixed: HttpShop, path: str) -> None:
    assert (await prefixed.ask("GET", path)).status == 404


async def test_the_pages_lead_to_addresses_with_the_prefix(prefixed: HttpShop) -> None:
    html = {"Accept": "text/html"}
    front = await prefixed.ask("GET", PREFIX, headers=html)
    page = await prefixed.ask("GET", f"{PREFIX}/api-docs")
    linked = [link for each in (front, page) for link in re.findall(r'(?:href|src)="([^"]+)"', each.body.decode())]

    assert len(linked) > 8
    for link in linked:
        assert link.startswith(f"{PREFIX}/")
        assert (await prefixed.ask("GET", link)).status == 200, link


async def test_the_document_names_the_prefix_as_the_server(prefixed: HttpShop) -> None:
    assert (await prefixed.ask("GET", "/openapi.json")).json["servers"] == [{"url": PREFIX}]


async def test_no_route_can_be_a_prefix() -> None:
    """A proxy that strips the prefix sends /products/ID; with the prefix /products that would become /ID."""
    assert {operation.path.split("/")[1] for operation in OPERATIONS} - {""} == ROUTES
    assert read_settings({"FLASHRESERVE_PATH_PREFIX": "/flash/products"}).path_prefix == "/flash/products"
