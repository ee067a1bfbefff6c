"""Invalid input is refused by a problem that names the field, and nothing changes."""

import base64
import hmac
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import pytest
import pytest_asyncio
from tests.http.shop import SECRET_KEYS, Admin, HttpAnswer, HttpCustomer, HttpShop, ShopClock

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.tokens import Tokens
from flashreserve.core.model import Role
from flashreserve.http.assets import ASSETS
from flashreserve.http.operations import OPERATIONS
from flashreserve.http.operations.operation import Operation
from flashreserve.server.limits import HttpLimits

pytestmark = pytest.mark.asyncio(loop_scope="module")

Refusals = Mapping[str, tuple[HttpAnswer, str]]
"""For each request: the answer, and the field that it must name."""

UNKNOWN_ID = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d4e"
MALFORMED_IDS = [
    "1",
    "null",
    "x" * 36,
    UNKNOWN_ID.replace("-", ""),
    "{" + UNKNOWN_ID + "}",
    UNKNOWN_ID + "0",
    UNKNOWN_ID + "%0A",
    "%00" + UNKNOWN_ID,
    UNKNOWN_ID[:-1] + "%D9%A3",  # An Arabic digit.
    UNKNOWN_ID[:-1] + "%FF",
    "' OR 1=1 --",
    "9" * 5_000,
]


class BadInputScene:
    """A shop with a product on sale and a hold on it. At the end, it must be unchanged."""

    def __init__(self, shop: HttpShop, admin: Admin, customer: HttpCustomer, product: str, held: str) -> None:
        self.shop = shop
        self.admin = admin
        self.customer = customer
        self.product = product
        self.held = held
        self.routes: Mapping[str, tuple[HttpCustomer | Admin, str, str]] = {
            "reserve": (customer, "POST", f"/reservations/{product}"),
            "basket": (customer, "POST", "/reservations"),
            "create": (admin, "POST", "/products"),
            "edit": (admin, "PATCH", f"/products/{product}"),
            "restock": (admin, "POST", f"/products/{product}/stock"),
            "register": (customer, "POST", "/auth/register"),
            "login": (customer, "POST", "/auth/login"),
        }
        """Every route that reads a body, with its caller, method and path."""


@pytest_asyncio.fixture(loop_scope="module")
async def scene(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> AsyncIterator[BadInputScene]:
    product = await admin.product(
        stockQuantity=1_000, saleStartsAt="2026-01-01T00:00:00Z", saleEndsAt="2027-01-01T00:00:00Z", maxExtensions=1
    )
    held = await customer.hold(product, 3)
    before = shop.records()
    yield BadInputScene(shop, admin, customer, product, held["id"])
    assert shop.records() == before


def check(refusals: Refusals, status: int = 400, code: str = "bad-request") -> None:
    """Check that each request is refused by a problem that names its field."""
    expected = {sent: (status, code, [field]) for sent, (_, field) in refusals.items()}
    assert {sent: (answer.status, answer.code, answer.fields) for sent, (answer, _) in refusals.items()} == expected
    for answer, _ in refusals.values():
        check_words(answer)


def check_words(answer: HttpAnswer) -> None:
    """Check that no message comes from the decoder: its messages have types in backticks."""
    assert not re.search("`|Object|array", answer.json["detail"]), answer.json["detail"]


def json_of(values: Mapping[str, str]) -> bytes:
    """A JSON object. The values are JSON text already."""
    return ("{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + "}").encode()


QUANTITIES = [
    "0",
    "-1",
    "1.5",
    "1.0",
    "1e2",
    "1e999",
    "-0.0",
    "1001",
    str(10**30),
    '"1"',
    '"one"',
    "true",
    "null",
    "[]",
    "{}",
]


async def test_a_quantity_is_a_whole_number_from_1_to_1000(scene: BadInputScene) -> None:
    async def reserve(quantity: str) -> HttpAnswer:
        raw = json_of({"quantity": quantity})
        return await scene.customer.ask("POST", f"/reservations/{scene.product}", raw=raw)

    check({quantity: (await reserve(quantity), "quantity") for quantity in QUANTITIES})


async def test_a_baskets_quantities_are_too(scene: BadInputScene) -> None:
    async def reserve(quantity: str) -> HttpAnswer:
        raw = b'{"lines": [' + json_of({"productId": f'"{scene.product}"', "quantity": quantity}) + b"]}"
        return await scene.customer.ask("POST", "/reservations", raw=raw)

    check({quantity: (await reserve(quantity), "lines[0].quantity") for quantity in QUANTITIES})


async def test_a_baskets_lines_of_one_product_have_at_most_1000_units_together(scene: BadInputScene) -> None:
    summed = await scene.customer.reserve_basket((scene.product, 600), (scene.product, 600))

    check({"600 + 600": (summed, "quantity")})


async def test_a_basket_has_1_to_20_lines_that_are_lines(scene: BadInputScene) -> None:
    line = json_of({"productId": f'"{scene.product}"'}).decode()
    baskets = {
        "{}": "lines",
        '{"lines": []}': "lines",
        '{"lines": null}': "lines",
        '{"lines": {}}': "lines",
        '{"lines": ["x"]}': "lines[0]",
        '{"lines": [{}]}': "lines[0].productId",
        '{"lines": [{"productId": 1}]}': "lines[0].productId",
        '{"lines": [{"productId": "1"}]}': "lines[0].productId",
        f'{{"lines": [{line}], "key": "k"}}': "key",
        f'{{"lines": [{line[:-1]}, "price": 1}}]}}': "lines[0].price",
        f'{{"lines": [{", ".join([line] * 21)}]}}': "lines",
    }

    check(
        {
            raw: (await scene.customer.ask("POST", "/reservations", raw=raw.encode()), field)
            for raw, field in baskets.items()
        }
    )


STOCKS = ["-1", "1.5", str(10**9 + 1), str(10**30), '"10"', "true", "null", "1e3"]


async def test_stock_is_a_whole_number_from_0_to_a_billion(scene: BadInputScene) -> None:
    async def create(stock: str) -> HttpAnswer:
        raw = json_of({"name": '"x"', "price": "1", "stockQuantity": stock})
        return await scene.admin.ask("POST", "/products", raw=raw)

    check({stock: (await create(stock), "stockQuantity") for stock in STOCKS})


async def test_a_change_of_stock_is_a_whole_number_that_leaves_at_most_a_billion(scene: BadInputScene) -> None:
    async def restock(change: str) -> HttpAnswer:
        return await scene.admin.ask(
            "POST", f"/products/{scene.product}/stock", raw=json_of({"change": change}), key="restock"
        )

    changes = ["1.5", str(10**9 + 1), str(-(10**9) - 1), str(10**9), '"10"', "true", "null"]
    check({change: (await restock(change), "change") for change in changes})


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [("perCustomerLimit", 1, 1_000), ("holdSeconds", 1, 604_800), ("maxExtensions", 0, 100)],
)
async def test_a_products_rules_have_bounds(scene: BadInputScene, field: str, low: int, high: int) -> None:
    values: list[object] = [low - 1, high + 1, 10**30, -1, 1.5, "1", True, [], {}]

    created = {f"create {value!r}": (await scene.admin.create(**{field: value}), field) for value in values}
    edited = {f"edit {value!r}": (await scene.admin.edit(scene.product, **{field: value}), field) for value in values}

    check(created | edited)


async def test_unknown_fields_are_refused_wherever_a_body_is_read(scene: BadInputScene) -> None:
    product = f"/products/{scene.product}"
    bodies: Iterable[tuple[HttpCustomer | Admin, str, str, dict[str, object], str]] = [
        (scene.customer, "POST", f"/reservations/{scene.product}", {"quantity": 1, "colour": "red"}, "colour"),
        (scene.customer, "POST", f"/reservations/{scene.product}", {"Quantity": 1}, "Quantity"),
        (scene.admin, "POST", "/products", {"name": "x", "price": 1, "stockQuantity": 1, "available": 5}, "available"),
        (scene.admin, "PATCH", product, {"currency": "EUR"}, "currency"),
        (scene.admin, "PATCH", product, {"stockQuantity": 5}, "stockQuantity"),
        (scene.admin, "PATCH", product, {"id": UNKNOWN_ID}, "id"),
        (scene.admin, "POST", f"{product}/stock", {"change": 1, "by": UNKNOWN_ID}, "by"),
        (
            scene.customer,
            "POST",
            "/auth/register",
            {"email": "a@b.ch", "password": "12345678", "role": "admin"},
            "role",
        ),
        (scene.customer, "POST", "/auth/login", {"email": "a@b.ch", "password": "12345678", "otp": 1}, "otp"),
    ]

    check(
        {
            f"{path} {body}": (await who.ask(method, path, body=body, key="k"), field)
            for who, method, path, body, field in bodies
        }
    )


async def test_a_change_of_a_reservation_takes_no_body(scene: BadInputScene) -> None:
    paths = [
        ("POST", f"/reservations/{scene.held}/extend"),
        ("DELETE", f"/reservations/{scene.held}"),
    ]

    check({path: (await scene.customer.ask(method, path, body={"quantity": 1}), "body") for method, path in paths})


async def test_a_confirmation_names_its_units_by_product(scene: BadInputScene) -> None:
    paths = [f"/reservations/confirm/{scene.held}", f"/checkout/{scene.held}"]

    check({path: (await scene.customer.ask("POST", path, body={"quantity": 1}), "quantity") for path in paths})


@pytest.mark.parametrize("field", ["saleStartsAt", "saleEndsAt"])
async def test_times_need_a_zone_and_a_place_in_the_calendar(scene: BadInputScene, field: str) -> None:
    times: list[object] = [
        "2026-06-01T10:00:00",
        "2026-06-01",
        "10:00:00Z",
        "tomorrow",
        "",
        "2026-02-30T10:00:00Z",
        "2026-06-01T25:00:00Z",
        "2026-06-01T10:00:00+99:00",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "10000-01-01T00:00:00Z",
        1_780_000_000,
        True,
        [],
    ]

    created = {f"create {time!r}": (await scene.admin.create(**{field: time}), field) for time in times}
    edited = {f"edit {time!r}": (await scene.admin.edit(scene.product, **{field: time}), field) for time in times}

    check(created | edited)


async def test_a_sale_ends_after_it_starts(scene: BadInputScene) -> None:
    start = "2026-06-01T10:00:00+02:00"
    windows: dict[str, dict[str, object]] = {
        "before": {"saleStartsAt": start, "saleEndsAt": "2026-06-01T09:59:59+02:00"},
        "at once": {"saleStartsAt": start, "saleEndsAt": start},
        "at once, in another zone": {"saleStartsAt": start, "saleEndsAt": "2026-06-01T08:00:00Z"},
    }
    edits: dict[str, dict[str, object]] = {
        **windows,
        "an end before the start that it has": {"saleEndsAt": "2025-12-31T23:59:59Z"},
        "a start after the end that it has": {"saleStartsAt": "2027-01-01T00:00:00Z"},
    }

    created = {f"create {name}": (await scene.admin.create(**window), "saleEndsAt") for name, window in windows.items()}
    edited = {
        f"edit {name}": (await scene.admin.edit(scene.product, **window), "saleEndsAt")
        for name, window in edits.items()
    }

    check(created | edited)


PRICES = [
    "9.999",
    "0.001",
    "-0.01",
    "-1",
    "1e999",
    "1e-400",
    "1e-1500000000000000000",
    "9.990000000000000000000000000001",
    "1e999999999999999999999",
    "1e-999999999999999999999",
    "10000000000.01",
    "99999999999999999999",
    '"9.999"',
    '"9.9900000000000000000000000000000001"',
    '"-1"',
    '"1e3"',
    '"1e999999999999999999999"',
    '"NaN"',
    '"sNaN"',
    '"Infinity"',
    '"1_000"',
    '"1,000"',
    '" 1 "',
    '"\uff11"',
    '"1\\n"',
    '"USD 5"',
    '""',
    "true",
    "null",
    "[1]",
]


async def test_a_price_is_a_decimal_of_its_currencys_places(scene: BadInputScene) -> None:
    async def create(price: str) -> HttpAnswer:
        raw = json_of({"name": '"x"', "price": price, "stockQuantity": "1"})
        return await scene.admin.ask("POST", "/products", raw=raw)

    async def edit(price: str) -> HttpAnswer:
        return await scene.admin.ask("PATCH", f"/products/{scene.product}", raw=json_of({"price": price}))

    created = {f"create {price}": (await create(price), "price") for price in PRICES}
    edited = {f"edit {price}": (await edit(price), "price") for price in PRICES}

    check(created | edited)


async def test_a_currency_is_an_iso_code_in_capitals(scene: BadInputScene) -> None:
    currencies: list[object] = ["XXX", "ZZZ", "usd", "US", "USDT", "USD\n", "", " USD", 840, "\uff35SD"]

    check({repr(currency): (await scene.admin.create(currency=currency), "currency") for currency in currencies})


async def test_a_price_in_yen_has_no_decimals_and_one_in_dinars_three(shop: HttpShop, admin: Admin) -> None:
    check({"1.5 yen": (await admin.create(price="1.5", currency="JPY"), "price")})
    check({"1.0005 dinars": (await admin.create(price="1.0005", currency="BHD"), "price")})
    assert (await admin.create(price=1, currency="JPY")).granted()["price"] == "1"
    assert (await admin.create(price="1.0", currency="JPY")).granted()["price"] == "1"
    assert (await admin.create(price=1.005, currency="BHD")).granted()["price"] == "1.005"


async def test_a_name_is_text(scene: BadInputScene) -> None:
    names: list[object] = [5, None, ["a"], True]

    created = {f"create {name!r}": (await scene.admin.create(name=name), "name") for name in names}
    edited = {f"edit {name!r}": (await scene.admin.edit(scene.product, name=name), "name") for name in names}

    check(created | edited)


async def test_what_a_product_needs_has_to_be_there(scene: BadInputScene) -> None:
    whole = {"name": "x", "price": 1, "stockQuantity": 1}
    check(
        {field: (await scene.admin.ask("POST", "/products", body={**whole} | {field: None}), field) for field in whole}
    )
    for field in whole:
        rest = {name: value for name, value in whole.items() if name != field}
        check({field: (await scene.admin.ask("POST", "/products", body=rest), field)})


NO_JSON = {
    "empty": b"",
    "blank": b" \n",
    "truncated": b'{"quantity": 1',
    "more than one": b'{"quantity": 1} {"quantity": 1}',
    "single quotes": b"{'quantity': 1}",
    "a comma too many": b'{"quantity": 1,}',
    "a comment": b'{"quantity": 1} // one',
    "NaN": b'{"quantity": NaN}',
    "a byte order mark": b'\xef\xbb\xbf{"quantity": 1}',
    "UTF-16": '{"quantity": 1}'.encode("utf-16"),
    "no UTF-8 in a name": b'{"quant\xffity": 1}',
    "half a surrogate pair": b'{"quantity\\ud800": 1}',
    "a number that never ends": b'{"quantity": ' + b"1" * 60_000,
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "a form": b"quantity=1",
}
NO_OBJECT = {
    "an array": b"[]",
    "null": b"null",
    "a number": b"1",
    "a string": b'"quantity"',
    "arrays 30,000 deep": b"[" * 30_000 + b"]" * 30_000,
}


async def test_a_body_is_one_json_object(scene: BadInputScene) -> None:
    confirm = (scene.customer, "POST", f"/reservations/confirm/{scene.held}")
    asked = {**scene.routes, "confirm": confirm}
    bodies = {(name, sent): raw for name in asked for sent, raw in {**NO_JSON, **NO_OBJECT}.items()}
    # Reserving without a body means one unit, and confirming takes no body.
    for name, sent in (("reserve", "empty"), ("confirm", "empty"), ("confirm", "blank")):
        del bodies[name, sent]

    answers = {
        (name, sent): await asked[name][0].ask(*asked[name][1:], raw=raw, key="k")
        for (name, sent), raw in bodies.items()
    }

    expected = dict.fromkeys(bodies, (400, "bad-request", 1))
    assert {which: (answer.status, answer.code, len(answer.fields)) for which, answer in answers.items()} == expected
    for answer in answers.values():
        check_words(answer)


async def test_objects_nested_10000_deep_are_refused(scene: BadInputScene) -> None:
    raw = b'{"a":' * 10_000 + b"1" + b"}" * 10_000

    check({"deep": (await scene.customer.ask("POST", f"/reservations/{scene.product}", raw=raw), "a")})


REPEATED = [
    ("reserve", '{"quantity": 1, "quantity": 1}', "quantity"),
    ("reserve", '{"quantity":1,"quantity":5}', "quantity"),
    ("reserve", r'{"quantity":1,"q\u0075antity":5}', "quantity"),
    ("reserve", '{"quantity": "x", "quantity": 2}', "quantity"),
    ("basket", '{"lines": [LINE], "lines": [LINE]}', "lines"),
    ("basket", '{"lines": [LINE, {"productId": "ID", "quantity": 1, "quantity": 2}]}', "lines[1].quantity"),
    ("basket", '{"lines": [{"productId": "ID", "productId": "ID"}]}', "lines[0].productId"),
    ("create", '{"name": "x", "name": "y", "price": 1, "stockQuantity": 1}', "name"),
    ("create", '{"name": "x", "price": 1, "stockQuantity": 1, "stockQuantity": 1}', "stockQuantity"),
    ("create", '{"name": "x", "price": {"a": [{"b": 1, "b": 2}]}, "stockQuantity": 1}', "price.a[0].b"),
    ("edit", r'{"price": 1, "\u0070rice": 2}', "price"),
    ("restock", '{"change": 1, "change": 1}', "change"),
    ("register", '{"email": "a@b.ch", "email": "c@b.ch", "password": "correct horse"}', "email"),
    ("login", '{"email": "a@b.ch", "password": "correct horse", "password": "x"}', "password"),
]


@pytest.mark.parametrize(("route", "text", "field"), REPEATED)
async def test_a_field_is_sent_once_at_any_depth(scene: BadInputScene, route: str, text: str, field: str) -> None:
    line = f'{{"productId": "{scene.product}"}}'
    raw = text.replace("LINE", line).replace('"ID"', f'"{scene.product}"').encode()
    who, method, path = scene.routes[route]

    check({text: (await who.ask(method, path, raw=raw, key="k"), field)})


async def test_a_field_sent_twice_is_found_in_bodies_of_any_form(scene: BadInputScene) -> None:
    def priced(price: str) -> bytes:
        return json_of({"name": '"x"', "price": price, "stockQuantity": "1"})

    prices = {
        "deep": '{"a":' * 900 + '{"b": 1, "b": 2}' + "}" * 900,
        "deep, and nothing twice": "[" * 900 + "]" * 900,
        "wide": "{" + ", ".join(f'"{number}": 1' for number in range(3_000)) + ', "7": 1}',
        "a long number": "1" * 4_500,
    }
    sent = {name: await scene.admin.ask("POST", "/products", raw=priced(price)) for name, price in prices.items()}

    assert {name: (answer.status, answer.code) for name, answer in sent.items()} == dict.fromkeys(
        prices, (400, "bad-request")
    )
    assert sent["wide"].fields == ["price.7"]


async def test_colons_and_names_in_values_are_no_fields(admin: Admin) -> None:
    name = 'a "name": b, "name": c'

    assert (await admin.create(name=name)).granted()["name"] == name


async def test_ids_that_are_no_uuids_are_refused_on_every_route(scene: BadInputScene) -> None:
    for id_ in MALFORMED_IDS:
        check(await ask_everywhere(scene, id_.replace(" ", "%20")))


async def test_an_id_with_a_slash_is_another_address(scene: BadInputScene) -> None:
    answers = await ask_everywhere(scene, "..%2f..%2fproducts")

    assert {answer.status for answer, _ in answers.values()} <= {400, 404, 405}


async def ask_everywhere(scene: BadInputScene, path: str) -> Refusals:
    """Ask every route that takes an id with this path. Each comes with the id's name there."""
    customer, admin = scene.customer, scene.admin
    return {
        "reserve": (await customer.ask("POST", f"/reservations/{path}"), "productId"),
        "confirm": (await customer.ask("POST", f"/reservations/confirm/{path}"), "id"),
        "checkout": (await customer.ask("POST", f"/checkout/{path}"), "id"),
        "extend": (await customer.ask("POST", f"/reservations/{path}/extend"), "id"),
        "cancel": (await customer.ask("DELETE", f"/reservations/{path}"), "id"),
        "reservation": (await customer.ask("GET", f"/reservations/{path}"), "id"),
        "product": (await customer.ask("GET", f"/products/{path}"), "id"),
        "stock": (await customer.ask("GET", f"/products/{path}/stock"), "id"),
        "edit": (await admin.ask("PATCH", f"/products/{path}", body={"name": "x"}), "id"),
        "restock": (await admin.ask("POST", f"/products/{path}/stock", body={"change": 1}, key="k"), "id"),
        "reservations": (await admin.ask("GET", f"/products/{path}/reservations"), "id"),
    }


async def test_unknown_ids_are_not_found_on_every_route(scene: BadInputScene) -> None:
    customer, admin = scene.customer, scene.admin
    answers = [
        await customer.reserve(UNKNOWN_ID),
        await customer.reserve(UNKNOWN_ID, key="k"),
        await customer.reserve_basket((scene.product, 1), (UNKNOWN_ID, 1)),
        await customer.confirm(UNKNOWN_ID),
        await customer.checkout(UNKNOWN_ID),
        await customer.extend(UNKNOWN_ID),
        await customer.cancel(UNKNOWN_ID),
        await customer.ask("GET", f"/reservations/{UNKNOWN_ID}"),
        await customer.ask("GET", f"/products/{UNKNOWN_ID}"),
        await customer.ask("GET", f"/products/{UNKNOWN_ID}/stock"),
        await admin.edit(UNKNOWN_ID, name="x"),
        await admin.restock(UNKNOWN_ID, 1),
        await admin.ask("GET", f"/products/{UNKNOWN_ID}/reservations"),
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(404, "not-found")] * len(answers)


async def test_an_idempotency_key_is_1_to_255_visible_ascii_characters(scene: BadInputScene) -> None:
    keys = ["", "k" * 256, "k" * 5_000, "two words", "tab\there", "schlüssel", "キー"]

    reserved = {
        f"reserve {key!r}": (await scene.customer.reserve(scene.product, key=key), "Idempotency-Key") for key in keys
    }
    basket = {
        f"basket {key!r}": (await scene.customer.reserve_basket((scene.product, 1), key=key), "Idempotency-Key")
        for key in keys
    }
    stock = f"/products/{scene.product}/stock"
    restocked = {
        f"restock {key!r}": (await scene.admin.ask("POST", stock, body={"change": 1}, key=key), "Idempotency-Key")
        for key in keys
    }

    check(reserved | basket | restocked)


async def test_a_key_of_255_characters_is_taken(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product()

    for key in ("k" * 255, "!", "~", '"quoted"'):
        first = await customer.reserve(product, key=key)
        assert (await customer.reserve(product, key=key)).granted() == first.granted()


async def test_restocking_needs_a_key(scene: BadInputScene) -> None:
    answer = await scene.admin.ask("POST", f"/products/{scene.product}/stock", body={"change": 1})

    check({"no key": (answer, "Idempotency-Key")})


async def test_pages_have_1_to_200_entries_and_a_cursor_that_was_given_out(scene: BadInputScene) -> None:
    lists: list[tuple[HttpCustomer | Admin, str]] = [
        (scene.customer, "/products"),
        (scene.customer, "/reservations"),
        (scene.admin, f"/products/{scene.product}/reservations"),
    ]
    queries = {
        "limit=0": "limit",
        "limit=-1": "limit",
        "limit=201": "limit",
        "limit=1000000000": "limit",
        "limit=" + "9" * 400: "limit",
        "limit=1e2": "limit",
        "limit=1.5": "limit",
        "limit=": "limit",
        "limit=ten": "limit",
        "limit=0x10": "limit",
        "limit=1_0": "limit",
        "limit=%201": "limit",
        "limit=%D9%A3": "limit",
        "limit=5&limit=5": "limit",
        "cursor=": "cursor",
        "cursor=1": "cursor",
        "cursor=" + UNKNOWN_ID + "%0A": "cursor",
        "cursor=%00": "cursor",
        "cursor=%27%20OR%201=1": "cursor",
        f"cursor={UNKNOWN_ID}&cursor={UNKNOWN_ID}": "cursor",
        "page=2": "page",
        "limit=5&offset=10": "offset",
        "Limit=5": "Limit",
    }

    for who, path in lists:
        check({query: (await who.ask("GET", f"{path}?{query}"), field) for query, field in queries.items()})


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if not each.web_page], ids=lambda each: each.name)
async def test_no_operation_passes_over_a_query_parameter(scene: BadInputScene, operation: Operation) -> None:
    named = {"externalId": "sku-1", "eventId": f"{UNKNOWN_ID}-1", "code": "sold-out", "file": min(ASSETS)}
    path = operation.path.format(id=scene.product, **named)

    answer = await scene.admin.ask(operation.method.upper(), f"{path}?statuss=CONFIRMED")

    check({operation.name: (answer, "statuss")})


async def test_an_unknown_query_parameter_is_answered_with_those_that_are_known(scene: BadInputScene) -> None:
    answer = await scene.admin.ask("GET", "/products?limits=5")

    assert answer.json["errors"] == [{"field": "limits", "message": "unknown parameter; did you mean limit?"}]


async def test_what_belongs_into_the_body_is_refused_in_the_address(scene: BadInputScene) -> None:
    customer, admin = scene.customer, scene.admin
    product = {"name": "x", "price": 1, "stockQuantity": 1}
    asked = {
        "reserve": await customer.ask("POST", f"/reservations/{scene.product}?quantity=5"),
        "basket": await customer.ask(
            "POST", "/reservations?quantity=5", body={"lines": [{"productId": scene.product}]}
        ),
        "confirm": await customer.ask("POST", f"/reservations/confirm/{scene.held}?quantity=1"),
        "extend": await customer.ask("POST", f"/reservations/{scene.held}/extend?quantity=60"),
        "cancel": await customer.ask("DELETE", f"/reservations/{scene.held}?quantity=1"),
        "create": await admin.ask("POST", "/products?quantity=1", body=product),
        "edit": await admin.ask("PATCH", f"/products/{scene.product}?quantity=1", body={"name": "x"}),
        "restock": await admin.ask("POST", f"/products/{scene.product}/stock?quantity=1", body={"change": 1}, key="k"),
    }

    check({name: (answer, "quantity") for name, answer in asked.items()})


async def test_a_body_of_another_kind_is_refused(scene: BadInputScene) -> None:
    asked: list[tuple[HttpCustomer | Admin, str, str, bytes]] = [
        (scene.customer, "POST", f"/reservations/{scene.product}", b'{"quantity": 1}'),
        (scene.customer, "POST", "/reservations", json.dumps({"lines": [{"productId": scene.product}]}).encode()),
        (scene.admin, "POST", "/products", b'{"name": "x", "price": 1, "stockQuantity": 1}'),
        (scene.admin, "PATCH", f"/products/{scene.product}", b'{"name": "x"}'),
        (scene.admin, "POST", f"/products/{scene.product}/stock", b'{"change": 1}'),
        (scene.customer, "POST", "/auth/register", b'{"email": "a@example.com", "password": "long enough"}'),
    ]
    kinds = ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"]

    answers = [
        await who.ask(method, path, raw=raw, headers={"Content-Type": kind}, key="k")
        for who, method, path, raw in asked
        for kind in kinds
    ]

    assert {(answer.status, answer.code) for answer in answers} == {(415, "unsupported-media-type")}
    assert all("application/json" in answer.json["detail"] for answer in answers)


async def test_json_may_say_its_charset(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product()
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}

    (await customer.ask("POST", f"/reservations/{product}", raw=b'{"quantity": 1}', headers=headers)).granted()


async def test_a_body_over_the_limit_is_too_large(scene: BadInputScene) -> None:
    largest = HttpLimits().body_bytes_max
    raw = b'{"quantity": 1' + b" " * largest + b"}"
    asked = [
        (scene.customer, "POST", f"/reservations/{scene.product}"),
        (scene.customer, "POST", "/reservations"),
        (scene.admin, "POST", "/products"),
        (scene.customer, "POST", "/auth/login"),
        (scene.customer, "POST", f"/reservations/confirm/{scene.held}"),
    ]

    answers = [await who.ask(method, path, raw=raw) for who, method, path in asked]

    assert [(answer.status, answer.code) for answer in answers] == [(413, "too-large")] * len(asked)
    assert all(str(largest) in answer.json["detail"] for answer in answers)


async def test_emails_and_passwords_that_cant_be_are_refused_by_name(scene: BadInputScene) -> None:
    good = {"email": "ann@example.com", "password": "long enough"}
    bad: dict[str, list[object]] = {
        "email": [
            "",
            "ann",
            "ann@",
            "@example.com",
            "a n@example.com",
            "ann@example",
            "x" * 250 + "@example.com",
            "ann@exämple.com",
            "ann@example.com\n",
            5,
            None,
            ["ann@example.com"],
        ],
        "password": ["", "short", "x" * 129, "x" * 2_000, "long\0enough", 12345678, None],
    }

    for path, skipped in (("/auth/register", set[str]()), ("/auth/login", {"", "short", "long\0enough"})):
        check(
            {
                f"{path} {field} {value!r}": (await scene.shop.ask("POST", path, body={**good, field: value}), field)
                for field, values in bad.items()
                for value in values
                if field == "email" or value not in skipped
            }
        )
        for missing in good:
            rest = {name: value for name, value in good.items() if name != missing}
            check({missing: (await scene.shop.ask("POST", path, body=rest), missing)})


CLAIMS: dict[str, Any] = {"iss": "flashreserve", "aud": "flashreserve-api", "sub": UNKNOWN_ID, "role": "customer"}
SECRET = SECRET_KEYS.partition(":")[2]


def forged(
    clock: ShopClock,
    *,
    header: Mapping[str, Any] | None = None,
    secret: str = SECRET,
    digest: str = "sha256",
    **claims: Any,
) -> str:
    """A token that differs from a valid one in the given claims; None removes a claim."""
    now_s = clock.now_ms() // 1000
    payload = {**CLAIMS, "iat": now_s, "exp": now_s + 600, **claims}
    payload = {name: value for name, value in payload.items() if value is not None}
    parts = [{"typ": "JWT", "alg": "HS256", "kid": "test", **(header or {})}, payload]
    signed = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{encoded(hmac.digest(secret.encode(), signed.encode(), digest))}"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def bad_tokens(clock: ShopClock, customer: HttpCustomer, admin: Admin) -> dict[str, str]:
    good = customer.token
    header, payload, signature = good.split(".")
    admins = encoded(json.dumps({**json.loads(base64.urlsafe_b64decode(payload + "==")), "role": "admin"}).encode())
    unsigned = encoded(b'{"typ":"JWT","alg":"none"}')
    stranger = Tokens(KeyRing.parse("test:another-secret-of-somebody-else-altogether"), ttl_s=600)
    now_ms = clock.now_ms()
    return {
        "garbage": "garbage",
        "dots": "..",
        "three words": "a.b.c",
        "two parts": f"{header}.{payload}",
        "four parts": f"{good}.{signature}",
        "alg none, no signature": f"{unsigned}.{payload}.",
        "alg none, the old signature": f"{unsigned}.{payload}.{signature}",
        "alg none, edited role": f"{unsigned}.{admins}.{signature}",
        "alg None": forged(clock, header={"alg": "None"}),
        "alg HS512": forged(clock, header={"alg": "HS512"}, digest="sha512"),
        "alg RS256": forged(clock, header={"alg": "RS256"}),
        "edited role": f"{header}.{admins}.{signature}",
        "signature of another": f"{header}.{payload}.{admin.token.split('.')[2]}",
        "one bit off": good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1],
        "padded": good + "=",
        "other key, same kid": stranger.issue(customer.id, Role.ADMIN, now_ms).token,
        "unknown kid": forged(clock, header={"kid": "other"}),
        "kid of a path": forged(clock, header={"kid": "../../dev/null"}, secret=""),
        "another type": forged(clock, header={"typ": "at+jwt"}),
        "expired": customer_token(clock, -600),
        "issued tomorrow": forged(clock, iat=now_ms // 1000 + 86_400, exp=now_ms // 1000 + 87_000),
        "not before tomorrow": forged(clock, nbf=now_ms // 1000 + 86_400),
        "good for a year": forged(clock, exp=now_ms // 1000 + 365 * 86_400),
        "expires now": forged(clock, exp=now_ms // 1000),
        "never expires": forged(clock, exp=None),
        "expires in words": forged(clock, exp="tomorrow"),
        "another issuer": forged(clock, iss="elsewhere"),
        "another audience": forged(clock, aud="flashreserve-device"),
        "no subject": forged(clock, sub=None),
        "a subject that is no id": forged(clock, sub="' OR 1=1"),
        "a role that there isn't": forged(clock, role="owner"),
        "no JSON inside": f"{header}.{encoded(b'{')}.{signature}",
        "4,097 characters": good + "A" * (4_097 - len(good)),
        "12,000 characters": "A" * 12_000,
    }


def customer_token(clock: ShopClock, ago_s: int) -> str:
    now_s = clock.now_ms() // 1000
    return forged(clock, iat=now_s + ago_s - 1, exp=now_s - 1)


async def test_the_forger_can_make_good_tokens_too(shop: HttpShop, clock: ShopClock) -> None:
    """Checks the forger itself: if all its tokens were invalid, the next two tests would prove nothing."""
    headers = {"Authorization": f"Bearer {forged(clock)}"}

    assert (await shop.ask("GET", "/reservations", headers=headers)).status == 200


async def test_bad_tokens_open_nothing_as_bearer_or_as_cookie(scene: BadInputScene, clock: ShopClock) -> None:
    paths = [
        ("GET", "/reservations"),
        ("POST", f"/reservations/{scene.product}"),
        ("POST", f"/reservations/confirm/{scene.held}"),
        ("POST", "/products"),
        ("GET", "/reservations.csv"),
    ]
    tokens = bad_tokens(clock, scene.customer, scene.admin)
    opened: dict[str, int] = {}

    for name, token in tokens.items():
        for header in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"token={token}"}):
            for method, path in paths:
                answer = await scene.shop.ask(method, path, headers=header)
                if answer.status != 401 or answer.code != "unauthenticated" or "WWW-Authenticate" not in answer.headers:
                    opened[f"{name} as {next(iter(header))} at {path}"] = answer.status

    assert opened == {}


async def test_the_answer_to_a_bad_token_tells_no_key_ids(scene: BadInputScene, clock: ShopClock) -> None:
    """Answers for unknown keys, wrong signatures and other faults are the same except for the request's id."""
    answers = set[bytes]()
    for name, token in bad_tokens(clock, scene.customer, scene.admin).items():
        answer = await scene.shop.ask("GET", "/reservations", headers={"Authorization": f"Bearer {token}"})
        if not name.startswith("expire"):
            answers.add(answer.body)
    assert len(answers) == 1
    assert b"the token is invalid; sign in again" in answers.pop()


async def test_an_authorization_that_is_no_bearer_token_opens_nothing(scene: BadInputScene) -> None:
    """The result is the same with a valid cookie beside it."""
    cookie = f"token={scene.customer.token}"
    for value in ("Bearer", "Bearer ", "Basic YTpi", scene.customer.token, f"Token {scene.customer.token}", ""):
        answer = await scene.shop.ask("GET", "/reservations", headers={"Authorization": value, "Cookie": cookie})
        assert (answer.status, answer.code) == (401, "unauthenticated"), value


async def test_cookies_without_a_token_open_nothing(scene: BadInputScene) -> None:
    for cookie in ("", "=", ";;;", "token", "token=", 'token=""', "tökén=ü", "Token=x", "other=1", "x" * 4_000):
        answer = await scene.shop.ask("POST", f"/reservations/{scene.product}", headers={"Cookie": cookie})
        assert (answer.status, answer.code) == (401, "unauthenticated"), cookie


async def test_a_header_of_a_megabyte_is_too_large(scene: BadInputScene) -> None:
    for name, value in (("Authorization", "Bearer "), ("Cookie", "token="), ("Idempotency-Key", "k")):
        headers = {name: value + "A" * 1_000_000}
        answer = await scene.shop.ask("POST", f"/reservations/{scene.product}", headers=headers)
        assert (answer.status, answer.code) == (431, "headers-too-large"), name


async def test_an_address_of_a_megabyte_is_too_long(scene: BadInputScene) -> None:
    answer = await scene.shop.ask("GET", "/products?cursor=" + "A" * 1_000_000)

    assert (answer.status, answer.code) in {(414, "uri-too-long"), (431, "headers-too-large")}
