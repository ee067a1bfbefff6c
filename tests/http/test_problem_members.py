"""Problems carry their facts as members, so that no program has to read sentences."""

from typing import Any

import pytest
from tests.http.shop import HttpShop, ShopClock, new_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

USUAL = {"type", "code", "title", "status", "detail", "instance"}


def members(answer: Any) -> dict[str, Any]:
    """The members of a problem that not all have."""
    return {name: value for name, value in answer.json.items() if name not in USUAL}


async def test_sold_out_tells_what_is_available(shop: HttpShop) -> None:
    product_id = await (await shop.hire()).product(stockQuantity=2)
    await shop.customer().hold(product_id)
    for refused in (
        await shop.customer().reserve(product_id, 2),
        await shop.customer().reserve_basket((product_id, 2), key=new_key()),
    ):
        assert (refused.status, refused.code) == (409, "sold-out")
        assert members(refused) == {"productId": product_id, "available": 1}


async def test_one_unit_is_no_plural(shop: HttpShop) -> None:
    admin = await shop.hire()
    product_id = await admin.product(stockQuantity=2)
    held = await shop.customer().hold(product_id)
    details = [
        (await shop.customer().reserve(product_id, 2)).json["detail"],
        (await admin.ask("POST", f"/checkout/{held['id']}", body=lines(product_id, 2))).json["detail"],
        (await admin.ask("POST", f"/products/{product_id}/stock", body={"change": -2}, key=new_key())).json["detail"],
    ]
    assert details == [
        f"product {product_id} has 1 unit available",
        f"reservation {held['id']} has 1 unit of product {product_id} left",
        "change: at most 1 unit can be taken out",
    ]
    await shop.customer().hold(product_id)
    none = await shop.customer().reserve(product_id)
    assert none.json["detail"] == f"product {product_id} has 0 units available"


def lines(product_id: str, quantity: int) -> dict[str, Any]:
    """A body that names these units."""
    return {"lines": [{"productId": product_id, "quantity": quantity}]}


@pytest.mark.parametrize("path", ["/products/{}", "/products/{}/stock", "POST /reservations/{}"])
async def test_who_sends_the_shops_own_id_is_told_where_to_look(shop: HttpShop, path: str) -> None:
    method, _, address = path.rpartition(" ")
    refused = await shop.customer().ask(method or "GET", address.format("VASE"))

    (error,) = refused.json["errors"]
    assert error["field"] in {"id", "productId"}
    assert error["message"] == "expected a UUID; GET /products?externalId= finds a product by the shop's own id"


async def test_a_limit_is_told(shop: HttpShop) -> None:
    product_id = await (await shop.hire()).product(perCustomerLimit=2)
    refused = await shop.customer().reserve(product_id, 3)

    assert refused.code == "limit-reached"
    assert members(refused) == {"productId": product_id, "limit": 2}


async def test_not_on_sale_tells_the_times_and_when_to_come_back(shop: HttpShop, clock: ShopClock) -> None:
    admin = await shop.hire()
    starts, ends = clock.instant(90.5), clock.instant(3600)
    later = await admin.product(saleStartsAt=starts, saleEndsAt=ends)
    over = await admin.product(saleEndsAt=clock.instant(-1))
    early, late = await shop.customer().reserve(later), await shop.customer().reserve(over)

    seconds = early.json["retryAfterSeconds"]
    assert members(early) == {
        "productId": later,
        "saleStartsAt": starts,
        "saleEndsAt": ends,
        "retryAfterSeconds": seconds,
    }
    assert seconds in {90, 91}
    assert early.headers["Retry-After"] == str(seconds)
    assert set(members(late)) == {"productId", "saleEndsAt"}
    assert "Retry-After" not in late.headers


async def test_expired_tells_since_when(shop: HttpShop, clock: ShopClock) -> None:
    product_id = await (await shop.hire()).product(holdSeconds=60)
    customer = shop.customer()
    held = await customer.hold(product_id)
    clock.advance(61)
    refused = await customer.confirm(held["id"])

    assert refused.code == "expired"
    assert members(refused) == {"expiresAt": held["expiresAt"]}


async def test_a_taken_external_id_tells_whose_it_is(shop: HttpShop) -> None:
    admin = await shop.hire()
    product_id = await admin.product(externalId="taken")
    refused = await admin.create(externalId="taken")

    assert (refused.status, refused.code) == (409, "external-id-taken")
    assert members(refused) == {"productId": product_id}


async def test_other_problems_have_no_such_members(shop: HttpShop) -> None:
    refused = await shop.customer().reserve("0199c0de-0000-7000-8000-000000000001")

    assert (refused.code, members(refused)) == ("not-found", {})
