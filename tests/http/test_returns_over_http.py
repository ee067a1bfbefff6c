"""Returns of purchases, checkouts of some of the held units, and admins who act on any reservation."""

from typing import Any

import pytest
from tests.http.shop import Admin, HttpCustomer, HttpShop, new_key

from flashreserve.core.model import Role

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d4e"


async def bought(customer: HttpCustomer, product: str, quantity: int) -> Any:
    """A purchase of this many units."""
    held = await customer.hold(product, quantity)
    return (await customer.confirm(held["id"])).granted(200)


def returned(reservation: Any) -> list[int]:
    """The returned units of each line."""
    return [line["returned"] for line in reservation["lines"]]


async def test_units_are_returned_once_under_a_key(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product(stockQuantity=5)
    purchase, key = await bought(customer, product, 3), new_key()

    first = await admin.give_back(purchase["id"], (product, 2), key=key, reason="The box was torn")
    again = await admin.give_back(purchase["id"], (product, 2), key=key, reason="for another reason")

    assert returned(first.granted(200)) == [2]
    assert first.json == {**purchase, "lines": [{**purchase["lines"][0], "returned": 2}]}
    assert again.body == first.body
    assert [answer.headers.get("Idempotent-Replayed") for answer in (first, again)] == [None, "true"]
    assert await shop.available(product) == 4
    assert await customer.reservation(purchase["id"]) == first.json


async def test_what_is_refused_returns_nothing(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    product, other = await admin.product(), await admin.product()
    purchase, held = await bought(customer, product, 2), await customer.hold(product)
    key = new_key()
    (await admin.give_back(purchase["id"], (product, 1), key=key)).granted(200)
    before = shop.records()

    refused = [
        await admin.give_back(purchase["id"], (product, 2)),
        await admin.give_back(purchase["id"], (product, 2), key=key),
        await admin.give_back(purchase["id"], (other, 1)),
        await admin.give_back(held["id"], (product, 1)),
        await admin.give_back(UNKNOWN, (product, 1)),
        await admin.give_back(purchase["id"]),
        await admin.give_back(purchase["id"], (product, 0)),
        await admin.give_back(purchase["id"], (product, 1), reason="x" * 501),
        await admin.ask("POST", f"/reservations/{purchase['id']}/returns", body={"lines": [{"productId": product}]}),
    ]

    assert [(answer.status, answer.code) for answer in refused] == [
        (409, "too-many"),
        (422, "key-reused"),
        (400, "bad-request"),
        (409, "not-confirmed"),
        (404, "not-found"),
        *[(400, "bad-request")] * 4,
    ]
    assert [answer.fields for answer in refused if answer.status == 400] == [
        ["lines"],
        ["lines"],
        ["lines[0].quantity"],
        ["reason"],
        ["Idempotency-Key"],
    ]
    assert shop.records() == before


async def test_only_admins_return(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product()
    purchase = await bought(customer, product, 1)
    body = {"lines": [{"productId": product, "quantity": 1}]}

    answer = await customer.ask("POST", f"/reservations/{purchase['id']}/returns", body=body, key=new_key())

    assert (answer.status, answer.code) == (403, "forbidden")
    assert await shop.available(product) == 9


async def test_a_limit_counts_what_was_not_returned(admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product(perCustomerLimit=3)
    purchase = await bought(customer, product, 3)
    assert (await customer.reserve(product)).code == "limit-reached"

    (await admin.give_back(purchase["id"], (product, 2))).granted(200)

    (await customer.reserve(product, 2)).granted()
    assert (await customer.reserve(product)).code == "limit-reached"


async def test_some_of_the_held_units_are_bought(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    first, second = await admin.product(stockQuantity=5), await admin.product(stockQuantity=5)
    held = (await customer.reserve_basket((first, 3), (second, 2))).granted()

    answer = await customer.checkout(held["id"], (first, 1))
    again = await customer.checkout(held["id"], (first, 1))

    assert (answer.granted(200)["status"], returned(answer.json)) == ("CONFIRMED", [2, 2])
    assert again.body == answer.body
    assert [await shop.available(product) for product in (first, second)] == [4, 5]
    assert (await customer.checkout(held["id"], (first, 2))).code == "too-many"
    assert (await customer.checkout(held["id"], (second, 1))).code == "too-many"


async def test_a_checkout_of_some_units_answers_the_same_lines_only(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product = await admin.product(stockQuantity=5)
    held = await customer.hold(product, 3)

    bought = (await customer.checkout(held["id"], (product, 2))).granted(200)
    answers = {
        "the same": await customer.checkout(held["id"], (product, 2)),
        "no lines": await customer.confirm(held["id"]),
        "fewer": await customer.checkout(held["id"], (product, 1)),
        "more": await customer.checkout(held["id"], (product, 3)),
    }
    after = {name: (answer.status, answer.json.get("code", answer.json == bought)) for name, answer in answers.items()}

    assert [(line["quantity"], line["returned"]) for line in bought["lines"]] == [(3, 1)]
    assert after == {
        "the same": (200, True),
        "no lines": (200, True),
        "fewer": (409, "already-confirmed"),
        "more": (409, "too-many"),
    }
    assert await shop.available(product) == 3


async def test_a_checkout_of_invalid_lines_buys_nothing(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product()
    held = await customer.hold(product, 2)
    before = shop.records()

    answers = [
        await customer.checkout(held["id"], (product, 3)),
        await customer.checkout(held["id"], (UNKNOWN, 1)),
        await customer.checkout(held["id"], (product, 0)),
        await customer.ask("POST", f"/checkout/{held['id']}", body={"lines": []}),
        await customer.ask("POST", f"/checkout/{held['id']}", body={"line": []}),
    ]

    assert [answer.code for answer in answers] == ["too-many", *["bad-request"] * 4]
    assert shop.records() == before


async def test_an_admin_acts_on_any_reservation(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product(maxExtensions=1)
    first, second = await customer.hold(product), await customer.hold(product)

    assert (await admin.ask("GET", f"/reservations/{first['id']}")).granted(200) == first
    extended = (await admin.ask("POST", f"/reservations/{first['id']}/extend")).granted(200)
    confirmed = (await admin.ask("POST", f"/checkout/{first['id']}")).granted(200)
    cancelled = (await admin.ask("DELETE", f"/reservations/{second['id']}")).granted(200)

    assert extended["status"] == "PENDING"
    assert (confirmed["status"], cancelled["status"]) == ("CONFIRMED", "CANCELLED")
    assert confirmed["userId"] == customer.id
    assert await shop.available(product) == 9


async def test_an_admin_who_was_demoted_acts_on_nothing(shop: HttpShop, customer: HttpCustomer, admin: Admin) -> None:
    product = await admin.product()
    held = await customer.hold(product)
    other = await shop.hire()
    assert await shop.store.set_role(other.id, Role.CUSTOMER, at=1)

    answers = [
        await other.ask("GET", f"/reservations/{held['id']}"),
        await other.ask("POST", f"/checkout/{held['id']}"),
        await other.ask("DELETE", f"/reservations/{held['id']}"),
    ]

    assert {(answer.status, answer.code) for answer in answers} == {(403, "forbidden")}
