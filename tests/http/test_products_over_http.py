"""Products: creating, editing, restocking, listing and exporting them."""

import csv
import io
import re
from typing import Any

import msgspec
import pytest
import uuid_utils
from tests.http.shop import Admin, HttpAnswer, HttpCustomer, HttpShop, ShopClock, all_of, new_key

from flashreserve.http import bodies

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_new_product_has_all_its_fields_and_is_found_where_location_says(
    shop: HttpShop, admin: Admin, clock: ShopClock
) -> None:
    answer = await admin.create(name="iPhone 15", price=999.99, stockQuantity=10)

    product = answer.granted()
    assert product == {
        "id": product["id"],
        "name": "iPhone 15",
        "price": "999.99",
        "currency": "USD",
        "stockQuantity": 10,
        "available": 10,
        "saleStartsAt": None,
        "saleEndsAt": None,
        "perCustomerLimit": None,
        "holdSeconds": 600,
        "maxExtensions": 0,
        "externalId": None,
        "description": None,
        "imageUrl": None,
        "metadata": {},
        "archived": False,
        "pauseReason": None,
        "createdAt": clock.instant(),
        "updatedAt": clock.instant(),
    }
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", product["id"])
    assert (await shop.ask("GET", answer.headers["Location"])).granted(200) == product


async def test_a_product_can_say_everything(admin: Admin) -> None:
    said = {
        "name": "Müsli „extra“ 🥣",
        "price": "0.5",
        "currency": "EUR",
        "stockQuantity": 10**9,
        "saleStartsAt": "2026-12-01T10:00:00.1239+01:00",
        "saleEndsAt": "2026-12-02T10:00:00Z",
        "perCustomerLimit": 3,
        "holdSeconds": 1,
        "maxExtensions": 100,
    }

    made = (await admin.create(**said)).granted()

    told = {"price": "0.50", "saleStartsAt": "2026-12-01T09:00:00.123Z", "saleEndsAt": "2026-12-02T10:00:00.000Z"}
    assert {field: made[field] for field in said} == {**said, **told}


async def test_an_edit_changes_what_it_names_and_leaves_the_rest(admin: Admin, clock: ShopClock) -> None:
    made = (await admin.create(name="old", perCustomerLimit=2, saleEndsAt="2027-01-01T00:00:00Z")).granted()
    clock.advance(60)

    edited = (
        await admin.edit(made["id"], name="new", price="1.50", saleEndsAt=None, perCustomerLimit=None, holdSeconds=30)
    ).granted(200)

    changes = {"name": "new", "price": "1.50", "saleEndsAt": None, "perCustomerLimit": None, "holdSeconds": 30}
    assert edited == {**made, **changes, "updatedAt": clock.instant()}
    assert (await admin.ask("GET", f"/products/{made['id']}")).granted(200) == edited


async def test_a_field_of_a_new_product_that_is_null_is_one_left_out(admin: Admin) -> None:
    needed = {"name": "x", "price": "1", "stockQuantity": 1}
    own = {"id", "createdAt", "updatedAt"}

    def rules(answer: HttpAnswer) -> dict[str, Any]:
        return {field: value for field, value in answer.granted().items() if field not in own}

    left_out = rules(await admin.ask("POST", "/products", body=needed))
    for field in msgspec.structs.fields(bodies.ProductBody):
        answer = await admin.ask("POST", "/products", body={**needed, field.encode_name: None})
        if field.encode_name in needed:
            assert (answer.status, answer.fields) == (400, [field.encode_name])
        else:
            assert rules(answer) == left_out, field.encode_name


@pytest.mark.parametrize(
    ("field", "invalid"),
    [
        ("name", " "),
        ("name", 1),
        ("price", "much"),
        ("price", -1),
        ("price", 10**30),
        ("price", None),
        ("saleStartsAt", "9999-12-31T23:59:59-01:00"),
        ("saleEndsAt", "soon"),
        ("perCustomerLimit", 0),
        ("holdSeconds", 0),
        ("maxExtensions", -1),
    ],
)
async def test_an_invalid_value_is_named_even_if_the_product_does_not_exist(
    admin: Admin, field: str, invalid: object
) -> None:
    nowhere = str(uuid_utils.uuid7())
    for product in (await admin.product(), nowhere):
        answer = await admin.edit(product, **{field: invalid})

        assert (answer.status, answer.fields) == (400, [field])

    assert (await admin.edit(nowhere, name="x", price="1.234", saleEndsAt=None)).status == 404


async def test_null_in_an_edit_takes_a_bound_away_and_is_refused_elsewhere(admin: Admin) -> None:
    bounds = {"saleStartsAt": "2026-01-01T00:00:00Z", "saleEndsAt": "2027-01-01T00:00:00Z", "perCustomerLimit": 2}
    product_id = (await admin.create(**bounds)).granted()["id"]
    emptied: dict[str, object] = {**dict.fromkeys(bounds), "description": None, "imageUrl": None, "metadata": {}}

    for field in msgspec.structs.fields(bodies.ProductEditBody):
        answer = await admin.edit(product_id, **{field.encode_name: None})
        if field.encode_name in emptied:
            assert answer.granted(200)[field.encode_name] == emptied[field.encode_name]
        else:
            assert (answer.status, answer.fields) == (400, [field.encode_name])


async def test_an_edit_of_nothing_changes_nothing(shop: HttpShop, admin: Admin, clock: ShopClock) -> None:
    product = await admin.product(name="same")
    before = shop.records()
    clock.advance(60)

    (await admin.edit(product)).granted(200)
    (await admin.edit(product, name="same")).granted(200)

    assert shop.records() == before


async def test_a_price_that_changes_is_not_that_of_what_is_held_already(admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product(price="10.00")
    before = await customer.hold(product)
    (await admin.edit(product, price="20.00")).granted(200)

    after = await customer.hold(product)

    assert [held["lines"][0]["unitPrice"] for held in (before, after)] == ["10.00", "20.00"]
    assert (await customer.reservation(before["id"])) == before


async def test_a_limit_may_be_raised_but_not_set_lowered_or_lifted_after_the_first_reservation(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    limited, unlimited = await admin.product(perCustomerLimit=2), await admin.product()
    (await admin.edit(limited, perCustomerLimit=3)).granted(200)
    (await admin.edit(limited, perCustomerLimit=2)).granted(200)
    for product in (limited, unlimited):
        await customer.cancel((await customer.hold(product))["id"])
    before = shop.records()

    refused = [
        await admin.edit(limited, perCustomerLimit=1),
        await admin.edit(limited, perCustomerLimit=None),
        await admin.edit(unlimited, perCustomerLimit=5),
    ]

    assert [(answer.status, answer.code, answer.fields) for answer in refused] == [
        (409, "rules-fixed", ["perCustomerLimit"])
    ] * 3
    assert shop.records() == before
    assert (await admin.edit(limited, perCustomerLimit=4)).granted(200)["perCustomerLimit"] == 4
    assert (await customer.hold(limited, 4))["status"] == "PENDING"


async def test_restocking_says_what_was_done_by_whom_and_when(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    product = await admin.product(stockQuantity=10)
    await customer.hold(product, 4)

    done = (await admin.restock(product, 5)).granted(200)

    assert done == {
        "productId": product,
        "change": 5,
        "stockQuantity": 15,
        "available": 11,
        "adjustedBy": admin.id,
        "adjustedAt": clock.instant(),
    }
    assert sum(row[0] == product for row in shop.records()["adjustments"]) == 1


async def test_restocking_twice_under_one_key_counts_once_even_at_once(shop: HttpShop, admin: Admin) -> None:
    product, other = await admin.product(stockQuantity=10), await admin.product(stockQuantity=10)

    answers = await all_of([admin.restock(product, 5, key="delivery-7") for _ in range(20)])
    later = await (await shop.hire()).restock(product, 5, key="delivery-7")

    assert len({answer.body for answer in [*answers, later]}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in [*answers, later]) == 1
    assert await shop.available(product) == 15
    assert (await admin.restock(product, 6, key="delivery-7")).code == "key-reused"
    assert (await admin.restock(other, 6, key="delivery-7")).granted(200)["available"] == 16  # Keys are the product's.


async def test_stock_that_is_put_in_is_sold_next(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product(stockQuantity=0)
    assert (await customer.reserve(product, key="k")).code == "sold-out"

    (await admin.restock(product, 1)).granted(200)

    assert "Idempotent-Replayed" not in (await customer.reserve(product, key="k")).headers
    assert await shop.available(product) == 0


async def test_stock_stays_within_a_billion(admin: Admin) -> None:
    product = await admin.product(stockQuantity=10**9 - 1)

    assert (await admin.restock(product, 2)).fields == ["change"]
    assert (await admin.restock(product, 1)).granted(200)["stockQuantity"] == 10**9
    assert (await admin.restock(product, -(10**9))).granted(200)["available"] == 0
    assert (await admin.restock(product, -1)).code == "stock-taken"


async def test_all_products_are_listed_oldest_first_page_by_page(fresh_shop: HttpShop) -> None:
    shop, admin = fresh_shop, await fresh_shop.hire()
    made = [await admin.product(name=f"number {number}") for number in range(7)]

    by_pages = [product["id"] async for product in admin.pages("/products?limit=3")]
    whole = (await shop.ask("GET", "/products")).granted(200)
    exact = (await shop.ask("GET", "/products?limit=7")).granted(200)

    assert by_pages == made
    assert [product["id"] for product in whole["items"]] == made
    assert (whole["nextCursor"], exact["nextCursor"]) == (None, None)
    assert whole["items"][0] == (await shop.ask("GET", f"/products/{made[0]}")).granted(200)


async def test_an_empty_shop_has_empty_pages_and_an_export_of_nothing_but_its_header(fresh_shop: HttpShop) -> None:
    shop, admin, customer = fresh_shop, await fresh_shop.hire(), fresh_shop.customer()
    empty: Any = {"items": [], "nextCursor": None}

    assert (await shop.ask("GET", "/products")).granted(200) == empty
    assert (await customer.ask("GET", "/reservations")).granted(200) == empty
    assert (await admin.ask("GET", "/reservations.csv")).body == (
        b"reservationId,externalId,userId,email,status,productId,productExternalId,productName,quantity,returned,"
        b"unitPrice,amount,currency,createdAt,expiresAt,confirmedAt,releasedAt,metadata\r\n"
    )


async def test_an_admin_sees_all_reservations_of_a_product_oldest_first_page_by_page(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product, other = await admin.product(stockQuantity=300), await admin.product()
    made = [answer.granted()["id"] for answer in await all_of([each.reserve(product) for each in shop.customers(230)])]
    basket = (await customer.reserve_basket((product, 1), (other, 1))).granted()["id"]
    await customer.hold(other)

    by_pages = [item["id"] for item in await admin.reservations(product)]
    first = (await admin.ask("GET", f"/products/{product}/reservations")).granted(200)

    assert by_pages == [*sorted(made), basket]
    assert len(first["items"]) == 50


async def test_the_export_has_a_row_for_each_line_of_each_reservation(fresh_shop: HttpShop, clock: ShopClock) -> None:
    shop, admin, customer = fresh_shop, await fresh_shop.hire(), fresh_shop.customer()
    start, end = clock.instant(), clock.instant(60)
    phone = await admin.product(stockQuantity=300, price="999.99", holdSeconds=60)
    tea = await admin.product(price=450, currency="JPY", holdSeconds=60)
    bought = (await customer.reserve_basket((phone, 2), (tea, 1))).granted()["id"]
    (await customer.confirm(bought)).granted(200)
    await customer.cancel((await customer.hold(tea, 3))["id"])
    await all_of([each.reserve(phone) for each in shop.customers(210)])
    clock.advance(60)

    answer = await admin.ask("GET", "/reservations.csv")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="reservations.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert len(rows) == 213
    common = {"reservationId": bought, "userId": customer.id, "status": "CONFIRMED", "createdAt": start}
    common |= {"externalId": "", "email": "", "productExternalId": "", "productName": "a thing", "returned": "0"}
    times = {"expiresAt": end, "confirmedAt": start, "releasedAt": "", "metadata": ""}
    prices = {tea: {"unitPrice": "450", "amount": "450"}, phone: {"unitPrice": "999.99", "amount": "1999.98"}}
    assert sorted(rows[:2], key=lambda row: row["quantity"]) == [
        {**common, "productId": tea, "quantity": "1", **prices[tea], "currency": "JPY", **times},
        {**common, "productId": phone, "quantity": "2", **prices[phone], "currency": "USD", **times},
    ]
    assert (rows[2]["status"], rows[2]["releasedAt"]) == ("CANCELLED", start)
    assert {row["status"] for row in rows[3:]} == {"EXPIRED"}  # Even without a sweep.


async def test_metrics_count_requests_by_route_and_status(fresh_shop: HttpShop) -> None:
    shop, admin, customer = fresh_shop, await fresh_shop.hire(), fresh_shop.customer()
    product = await admin.product(stockQuantity=2)
    for _ in range(3):
        await customer.reserve(product, key=new_key())
    await customer.ask("GET", "/nowhere")

    answer = await shop.ask("GET", "/metrics")

    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    figures = dict(line.rsplit(" ", 1) for line in answer.body.decode().splitlines() if not line.startswith("#"))

    def requests(method: str, route: str, status: int) -> float:
        labels = f'method="{method}",route="{route}",status="{status}"'
        return float(figures[f"flashreserve_http_requests_total{{{labels}}}"])

    assert requests("POST", "/reservations/{id}", 201) == 2
    assert requests("POST", "/reservations/{id}", 409) == 1
    assert requests("POST", "/products", 201) == 1
    assert requests("GET", "other", 404) == 1
    assert float(figures["flashreserve_commands_total"]) >= 3
    assert float(figures["flashreserve_queue"]) == 0
    assert product not in answer.body.decode()  # Ids as labels would make series without bound.


async def test_each_answer_of_a_route_is_counted_under_it(
    fresh_shop: HttpShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, admin = fresh_shop, await fresh_shop.hire()
    product = await admin.product(stockQuantity=2)
    await admin.ask("GET", "/reservations.csv")
    await shop.ask("GET", f"/products/{product}?colour=red")
    await shop.ask("OPTIONS", f"/products/{product}")
    await shop.ask("PUT", f"/products/{product}")
    with monkeypatch.context() as breaking:
        breaking.setattr(shop.store, "product", None)
        await shop.ask("GET", f"/products/{product}")

    page = (await shop.ask("GET", "/metrics")).body.decode() + (await shop.ask("GET", "/metrics")).body.decode()

    def counted(method: str, route: str, status: int) -> bool:
        return f'requests_total{{method="{method}",route="{route}",status="{status}"}} 1.0' in page

    assert counted("GET", "/reservations.csv", 200)
    assert counted("GET", "/metrics", 200)
    assert counted("GET", "/products/{id}", 400)
    assert counted("OPTIONS", "/products/{id}", 204)
    assert counted("GET", "/products/{id}", 500)
    assert counted("PUT", "other", 405)


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_a_healthy_shop_says_so(shop: HttpShop, path: str) -> None:
    answer: Any = await shop.ask("GET", path)

    assert answer.granted(200) == {"status": "ok"}
