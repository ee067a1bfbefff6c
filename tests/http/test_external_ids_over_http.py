"""The shop's own ids, details and archived products."""

import asyncio
import csv
import io
from typing import Any
from urllib.parse import quote

import pytest
from tests.http.shop import Admin, HttpAnswer, HttpCustomer, HttpShop, ShopClock

from flashreserve.core.model import Role

pytestmark = pytest.mark.asyncio(loop_scope="module")

DETAILS = {
    "description": "Black.\nWith a case: «é» ☕",
    "imageUrl": "https://shop.example/a.png?b=1&c=2",
    "metadata": {"sku.group": "phones", "$note": ""},
}
NONE: dict[str, Any] = {"description": None, "imageUrl": None, "metadata": {}}


async def put(admin: Admin, external_id: str, **fields: Any) -> HttpAnswer:
    body = {"name": "a thing", "price": "999.99", "stockQuantity": 10, **fields}
    return await admin.ask("PUT", f"/products/by-external-id/{quote(external_id, safe='')}", body=body)


async def test_a_product_has_the_shops_id_and_details(shop: HttpShop, admin: Admin) -> None:
    made = (await admin.create(externalId="a-1", **DETAILS)).granted()
    plain = (await admin.create()).granted()

    assert {name: made[name] for name in ("externalId", *DETAILS)} == {"externalId": "a-1", **DETAILS}
    assert {name: plain[name] for name in ("externalId", *NONE)} == {"externalId": None, **NONE}
    assert (await shop.ask("GET", f"/products/{made['id']}")).granted(200) == made
    listed = [product async for product in admin.pages("/products?limit=200")]
    assert [product for product in listed if product["id"] in {made["id"], plain["id"]}] == [made, plain]


async def test_an_external_id_is_one_products(admin: Admin) -> None:
    made = (await admin.create(externalId="a-2")).granted()

    again = await admin.create(externalId="a-2")

    assert (again.status, again.code) == (409, "external-id-taken")
    assert made["id"] in again.json["detail"]


async def test_put_makes_edits_and_leaves_alone(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    made = await put(admin, "b-1", **DETAILS)
    await customer.hold(made.granted()["id"], 3)
    same = await put(admin, "b-1", stockQuantity=999, **DETAILS)
    edited = await put(admin, "b-1", name="another", price="1.00", externalId="b-1")

    assert made.headers["Location"] == f"/products/{made.json['id']}"
    assert same.granted(200) == {**made.json, "available": 7}
    expected = {**made.json, **NONE, "available": 7, "name": "another", "price": "1.00"}
    assert edited.granted(200) == {**expected, "updatedAt": edited.json["updatedAt"]}


async def test_put_leaves_an_archived_product_archived_and_says_so(admin: Admin) -> None:
    made = (await put(admin, "b-3")).granted()
    await admin.ask("DELETE", f"/products/{made['id']}")

    assert (await put(admin, "b-3")).granted(200)["archived"]
    assert (await put(admin, "b-3", price="1.00")).granted(200)["archived"]
    assert not (await admin.edit(made["id"], archived=False)).granted(200)["archived"]


async def test_many_puts_at_once_make_one_product(shop: HttpShop, admin: Admin) -> None:
    answers = await asyncio.gather(*[put(admin, "b-2") for _ in range(20)])

    assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
    assert len({answer.json["id"] for answer in answers}) == 1


@pytest.mark.parametrize("external_id", ["A/1", "a//b", "..a", "Ä 1 ☕", "100%", "a+b", "x" * 128, "?q=1#f"])
async def test_any_external_id_has_its_address(admin: Admin, external_id: str) -> None:
    made = (await put(admin, external_id)).granted()

    assert made["externalId"] == external_id
    assert (await put(admin, external_id)).granted(200) == made


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"externalId": ""}, "externalId"),
        ({"externalId": " a"}, "externalId"),
        ({"externalId": "a\n"}, "externalId"),
        ({"externalId": "x" * 129}, "externalId"),
        ({"externalId": 5}, "externalId"),
        ({"externalId": "."}, "externalId"),
        ({"externalId": ".."}, "externalId"),
        ({"description": "x" * 2_001}, "description"),
        ({"description": "a\u202eb"}, "description"),
        ({"imageUrl": "javascript:alert(1)"}, "imageUrl"),
        ({"imageUrl": "https://shop.example/a b"}, "imageUrl"),
        ({"metadata": {"k" * 41: "v"}}, "metadata"),
        ({"metadata": {"": "v"}}, "metadata"),
        ({"metadata": {"k": "v" * 501}}, "metadata.k"),
        ({"metadata": {"a": "b", "k": 1}}, "metadata.k"),
        ({"metadata": {str(number): "" for number in range(21)}}, "metadata"),
    ],
)
async def test_invalid_details_are_refused_by_name(
    shop: HttpShop, admin: Admin, fields: dict[str, Any], field: str
) -> None:
    before = shop.records()

    answer = await admin.create(**fields)

    assert answer.code == "bad-request"
    assert answer.fields == [field]
    assert shop.records() == before


async def test_what_put_refuses_changes_nothing(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    made = (await put(admin, "c-1", perCustomerLimit=2)).granted()
    await customer.hold(made["id"])
    before = shop.records()

    refused = [
        await put(admin, "c-1", currency="EUR", perCustomerLimit=2),
        await put(admin, "c-1", perCustomerLimit=1),
        await put(admin, "c-1", externalId="c-2", perCustomerLimit=2),
        await put(
            admin, "c-1", saleStartsAt="2030-01-02T00:00:00Z", saleEndsAt="2030-01-01T00:00:00Z", perCustomerLimit=2
        ),
        await put(admin, "x" * 129),
        await put(admin, ""),
    ]

    assert [(answer.status, answer.code) for answer in refused] == [
        (400, "bad-request"),
        (409, "rules-fixed"),
        (400, "bad-request"),
        (400, "bad-request"),
        (400, "bad-request"),
        (404, "not-found"),
    ]
    assert [answer.fields for answer in refused[:5]] == [
        ["currency"],
        ["perCustomerLimit"],
        ["externalId"],
        ["saleEndsAt"],
        ["externalId"],
    ]
    assert shop.records() == before


async def test_details_are_edited_one_by_one(admin: Admin) -> None:
    id_ = await admin.product(**DETAILS)

    described = (await admin.edit(id_, description="new", price="1.00")).granted(200)
    emptied = (await admin.edit(id_, imageUrl=None, metadata=None)).granted(200)

    assert described == {**described, **DETAILS, "description": "new", "price": "1.00"}
    assert emptied == {**described, **NONE, "description": "new", "updatedAt": emptied["updatedAt"]}


async def test_concurrent_edits_of_different_details_are_all_kept(shop: HttpShop, admin: Admin) -> None:
    product = await admin.product()
    for turn in range(20):
        details = {"description": f"d{turn}", "imageUrl": f"https://shop.example/{turn}", "metadata": {"n": f"{turn}"}}
        await asyncio.gather(*[admin.edit(product, **{name: value}) for name, value in details.items()])

        shown = (await shop.ask("GET", f"/products/{product}")).granted(200)
        assert {name: shown[name] for name in details} == details


async def test_an_archived_product_is_neither_listed_nor_sold(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product = await admin.product()
    held = await customer.hold(product)

    archived = (await admin.ask("DELETE", f"/products/{product}")).granted(200)
    again = (await admin.ask("DELETE", f"/products/{product}")).granted(200)

    assert archived["archived"]
    assert again == archived
    assert (await customer.reserve(product)).code == "not-found"
    assert product not in [each["id"] async for each in admin.pages("/products?limit=200")]
    assert (await shop.ask("GET", f"/products/{product}")).granted(200) == archived
    assert (await customer.confirm(held["id"])).status == 200
    assert not (await admin.edit(product, archived=False)).granted(200)["archived"]
    await customer.hold(product)


async def test_products_are_listed_by_external_id_and_by_sale(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    soon = await admin.product(externalId="e-1", saleStartsAt=clock.instant(60))
    over = await admin.product(externalId="e-2", saleEndsAt=clock.instant(1))
    gone = await admin.product(externalId="e-3")
    await admin.ask("DELETE", f"/products/{gone}")
    clock.advance(1)

    async def listed(query: str, who: HttpShop | Admin | HttpCustomer = shop) -> list[str]:
        page = (await who.ask("GET", f"/products?limit=200&{query}")).granted(200)
        return [item["id"] for item in page["items"] if item["id"] in {soon, over, gone}]

    assert await listed("externalId=e-1") == [soon]
    assert await listed("externalId=none") == []
    assert await listed("externalId=e-3") == []
    assert await listed("archived=true", admin) == [gone]
    assert await listed("archived=true&externalId=e-1", admin) == []
    assert await listed("archived=false") == [soon, over]
    assert await listed("onSale=true") == []
    assert await listed("onSale=false") == [soon, over]
    clock.advance(59)
    assert await listed("onSale=true") == [soon]
    assert await listed("onSale=false") == [over]
    assert await listed("onSale=true&archived=true", admin) == [gone]
    assert await listed("onSale=false&archived=true", admin) == []
    assert (await customer.ask("GET", "/products?archived=true")).code == "forbidden"
    for query in ("archived=yes", "onSale=", "externalId=", "externalID=e-1"):
        assert (await shop.ask("GET", f"/products?{query}")).code == "bad-request", query


async def test_only_admins_put_and_archive(admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product()
    body = {"name": "a thing", "price": "999.99", "stockQuantity": 10}

    answers = [
        await customer.ask("PUT", "/products/by-external-id/d-1", body=body),
        await customer.ask("DELETE", f"/products/{product}"),
    ]

    assert {answer.code for answer in answers} == {"forbidden"}


async def test_a_reservation_has_the_shops_labels(admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product()
    body = {"quantity": 2, "externalId": "order-1", "metadata": {"channel": "app"}}
    held = (await customer.ask("POST", f"/reservations/{product}", body=body)).granted()
    basket = {"lines": [{"productId": product}], "externalId": "order-1"}
    other = (await customer.ask("POST", "/reservations", body=basket)).granted()

    labelled = (await admin.ask("PATCH", f"/reservations/{held['id']}", body={"metadata": {"a": "b"}})).granted(200)
    cleared = (await admin.ask("PATCH", f"/reservations/{held['id']}", body={"externalId": None})).granted(200)

    assert (held["externalId"], held["metadata"]) == ("order-1", {"channel": "app"})
    assert (other["externalId"], other["metadata"]) == ("order-1", {})
    assert labelled == {**held, "metadata": {"a": "b"}}
    assert cleared == {**labelled, "externalId": None}
    assert await customer.reservation(held["id"]) == cleared
    body = {"externalId": "mine"}
    assert (await customer.ask("PATCH", f"/reservations/{held['id']}", body=body)).code == "forbidden"
    assert (await admin.ask("PATCH", f"/reservations/{held['id']}", body={"status": "x"})).fields == ["status"]


async def test_exports_say_who_bought_what_and_run_no_formula(shop: HttpShop, admin: Admin) -> None:
    credentials = {"email": "buyer@example.com", "password": "correct horse battery"}
    account = (await shop.ask("POST", "/auth/register", body=credentials)).granted()
    customer = HttpCustomer(shop, account["id"], Role.CUSTOMER)
    product = await admin.product(name="=1+1", externalId="@sku", price="2.50")
    body = {"quantity": 3, "externalId": "+order", "metadata": {"to": "Zoë, 1 Road", "gift": "=2+2"}}
    held = (await customer.ask("POST", f"/reservations/{product}", body=body)).granted()
    await customer.confirm(held["id"])
    await admin.give_back(held["id"], (product, 1))

    (order,) = await admin.reservations(product)
    exported = await admin.ask("GET", f"/reservations.csv?productId={product}")
    (row,) = csv.DictReader(io.StringIO(exported.body.decode()))

    assert (order["userId"], order["email"], order["externalId"]) == (account["id"], "buyer@example.com", "+order")
    assert order["lines"] == [
        {
            "productId": product,
            "productName": "=1+1",
            "productExternalId": "@sku",
            "quantity": 3,
            "returned": 1,
            "unitPrice": "2.50",
            "amount": "5.00",
            "currency": "USD",
        }
    ]
    assert [row[name] for name in ("externalId", "productExternalId", "productName")] == ["'+order", "'@sku", "'=1+1"]
    assert (row["email"], row["amount"], row["returned"]) == ("buyer@example.com", "5.00", "1")
    assert list(row)[-1] == "metadata"
    assert row["metadata"] == '{"gift":"=2+2","to":"Zoë, 1 Road"}'


async def test_the_export_counts_units_that_were_held_and_not_bought_as_returned(shop: HttpShop, admin: Admin) -> None:
    customer, product = shop.customer(), await admin.product(price="2.50")
    held = (await customer.ask("POST", f"/reservations/{product}", body={"quantity": 3})).granted()
    part = {"lines": [{"productId": product, "quantity": 1}]}
    (await customer.ask("POST", f"/checkout/{held['id']}", body=part)).granted(200)

    exported = await admin.ask("GET", f"/reservations.csv?productId={product}")
    (row,) = csv.DictReader(io.StringIO(exported.body.decode()))

    assert [row[name] for name in ("status", "quantity", "returned", "amount")] == ["CONFIRMED", "3", "2", "2.50"]
    assert (row["email"], row["metadata"]) == ("", "")


async def test_lists_of_reservations_are_filtered(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    product, other = await admin.product(), await admin.product()
    bought, held = await customer.hold(product), await customer.hold(other)
    await customer.confirm(bought["id"])
    theirs = await shop.customer().hold(product)

    async def listed(query: str, who: HttpCustomer | Admin = customer) -> list[str]:
        page = (await who.ask("GET", f"/reservations?{query}")).granted(200)
        return [item["id"] for item in page["items"] if item["id"] in {bought["id"], held["id"], theirs["id"]}]

    assert await listed("") == [held["id"], bought["id"]]
    assert await listed("status=CONFIRMED") == [bought["id"]]
    assert await listed(f"productId={other}") == [held["id"]]
    assert await listed("from=2020-01-01T00:00:00Z&to=2021-01-01T00:00:00Z") == []
    assert await listed(f"productId={product}", admin) == [theirs["id"], bought["id"]]
    assert await listed(f"customerId={customer.id}&status=PENDING", admin) == [held["id"]]
    assert (await customer.ask("GET", "/reservations?customerId=another")).code == "forbidden"
    for query in ("status=SOLD", "from=yesterday", "productId=x", "customerId=", "Status=PENDING"):
        answer = await admin.ask("GET", f"/reservations?{query}")
        assert (answer.code, answer.fields) == ("bad-request", [query.partition("=")[0]])
    exported = await admin.ask("GET", f"/reservations.csv?status=CONFIRMED&productId={product}")
    assert [row["reservationId"] for row in csv.DictReader(io.StringIO(exported.body.decode()))] == [bought["id"]]


@pytest.mark.parametrize("encoded", ["/products/by%2Dexternal-id/{}", "/%70roducts/by-external-id/{}"])
async def test_an_id_is_cut_out_of_the_path_however_that_is_encoded(admin: Admin, encoded: str) -> None:
    """Requests are routed by the decoded path, so the id is what follows in that one."""
    body = {"name": "a thing", "price": "1.00", "stockQuantity": 1}
    made = await admin.ask("PUT", encoded.format("e/a%2F%C3%A9%25b"), body=body)

    assert made.json["externalId"] == "e/a/é%b"


@pytest.mark.parametrize("sent", ["a%FF", "%C3", "a%ED%A0%80", "%C0%AF"])
async def test_an_id_that_is_no_utf_8_is_refused(admin: Admin, sent: str) -> None:
    body = {"name": "a thing", "price": "1.00", "stockQuantity": 1}
    refused = await admin.ask("PUT", f"/products/by-external-id/{sent}", body=body)

    assert (refused.status, refused.code, refused.fields) == (400, "bad-request", ["externalId"])
