"""API keys: a program of the shop's acts for customers, manages products and reads reservations."""

import json
from typing import Any

import pytest
from tests.http.shop import Admin, HttpAnswer, HttpCustomer, HttpShop, ShopClock, all_of, new_key
from tests.http.slow_refresh import slow_refresh

from flashreserve.core.model import Role

pytestmark = pytest.mark.asyncio(loop_scope="module")

INVALID_KEY = "the API key is unknown, revoked or expired"
ALICE = "next:alice@example.com"


async def a_key(admin: Admin, *scopes: str, **fields: Any) -> tuple[str, str]:
    """A new key, and its id."""
    made = (await admin.ask("POST", "/api-keys", body={"name": "Backend", "scopes": scopes, **fields})).granted()
    return made["key"], made["apiKey"]["id"]


async def ask(
    shop: HttpShop, key: str, method: str, path: str, *, of: str | None = None, idem: str | None = None, **sent: Any
) -> HttpAnswer:
    """A request with the key, perhaps on behalf of a customer."""
    headers = {"Authorization": f"Bearer {key}"}
    headers |= {} if of is None else {"On-Behalf-Of": of}
    headers |= {} if idem is None else {"Idempotency-Key": idem}
    return await shop.ask(method, path, headers=headers, **sent)


async def test_a_key_is_shown_once_and_listed_without_its_secret(admin: Admin) -> None:
    made = await admin.ask("POST", "/api-keys", body={"name": " Till 1 ", "scopes": ["read", "customers", "read"]})
    listed = (await admin.ask("GET", "/api-keys")).granted(200)["items"]

    key, shown = made.granted()["key"], made.json["apiKey"]
    assert key.startswith(f"frk_{shown['id']}_")
    assert len(key) == len("frk_") + 32 + 1 + 43
    assert (shown["name"], shown["scopes"], shown["createdBy"]) == ("Till 1", ["customers", "read"], admin.id)
    assert listed[-1] == shown
    assert key.removeprefix(f"frk_{shown['id']}_") not in str(listed)


async def test_a_backend_sells_to_its_customers(shop: HttpShop, admin: Admin) -> None:
    key, _ = await a_key(admin, "customers")
    product = await admin.product(perCustomerLimit=2)

    held = (await ask(shop, key, "POST", f"/reservations/{product}", of=ALICE, idem="k")).granted()
    again = await ask(shop, key, "POST", f"/reservations/{product}", of=ALICE, idem="k")
    lines = {"lines": [{"productId": product}]}
    basket = (await ask(shop, key, "POST", "/reservations", of=ALICE, body=lines)).granted()
    third = await ask(shop, key, "POST", f"/reservations/{product}", of=ALICE)
    other = (await ask(shop, key, "POST", f"/reservations/{product}", of="next:bob")).granted()

    assert held["userId"] == ALICE
    assert again.headers["Idempotent-Replayed"] == "true"
    assert third.code == "limit-reached"
    mine = (await ask(shop, key, "GET", "/reservations", of=ALICE)).granted(200)["items"]
    assert [each["id"] for each in mine] == [basket["id"], held["id"]]
    assert (await ask(shop, key, "GET", f"/reservations/{other['id']}", of=ALICE)).code == "not-found"
    assert (await ask(shop, key, "POST", f"/checkout/{held['id']}", of=ALICE)).granted(200)["status"] == "CONFIRMED"
    assert (await ask(shop, key, "DELETE", f"/reservations/{basket['id']}", of="next:bob")).code == "not-found"
    assert (await ask(shop, key, "DELETE", f"/reservations/{basket['id']}")).granted(200)["status"] == "CANCELLED"


async def test_a_limit_and_a_key_count_for_the_customer_however_the_request_came(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    key, _ = await a_key(admin, "customers")
    product = await admin.product(perCustomerLimit=2)
    path, idem = f"/reservations/{product}", new_key()

    first = (await customer.reserve(product, key=idem)).granted()
    second = (await ask(shop, key, "POST", path, of=customer.id, idem=idem)).granted()
    (await ask(shop, key, "POST", path, of=customer.id)).granted()

    assert second == first
    assert (await customer.reserve(product)).code == "limit-reached"
    assert (await ask(shop, key, "POST", path, of=customer.id)).code == "limit-reached"


async def test_the_backend_gets_no_unit_beyond_the_limit_that_its_customer_used_up(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    key, _ = await a_key(admin, "customers")
    product = await admin.product(perCustomerLimit=2)

    (await customer.reserve(product)).granted()
    (await customer.reserve(product)).granted()
    third = await ask(shop, key, "POST", f"/reservations/{product}", of=customer.id)

    assert (third.status, third.code) == (409, "limit-reached")
    assert await shop.available(product) == 8


async def test_a_backend_returns_and_labels_without_naming_the_customer(shop: HttpShop, admin: Admin) -> None:
    key, _ = await a_key(admin, "customers")
    product = await admin.product()
    held = (await ask(shop, key, "POST", f"/reservations/{product}", of=ALICE)).granted()
    (await ask(shop, key, "POST", f"/reservations/confirm/{held['id']}")).granted(200)

    labels = {"externalId": "order-7"}
    labelled = (await ask(shop, key, "PATCH", f"/reservations/{held['id']}", body=labels)).granted(200)
    lines = {"lines": [{"productId": product}]}
    returned = await ask(shop, key, "POST", f"/reservations/{held['id']}/returns", body=lines, idem="parcel-1")

    assert labelled["externalId"] == "order-7"
    assert returned.granted(200)["lines"][0]["returned"] == 1


async def test_each_scope_opens_its_routes_only(shop: HttpShop, admin: Admin) -> None:
    product = await admin.product()
    keys = {scope: (await a_key(admin, scope))[0] for scope in ("customers", "catalogue", "read", "rehearse")}
    routes: dict[str, list[tuple[str, str, Any]]] = {
        "catalogue": [
            ("POST", "/products", {"name": "a", "price": "1.00", "stockQuantity": 1}),
            ("PATCH", f"/products/{product}", {"name": "b"}),
            ("PUT", "/products/by-external-id/k-1", {"name": "a", "price": "1.00", "stockQuantity": 1}),
            ("GET", "/products?archived=true", None),
        ],
        "read": [("GET", f"/products/{product}/reservations", None), ("GET", "/reservations.csv", None)],
    }
    for needed, requests in routes.items():
        for method, path, body in requests:
            for scope, key in keys.items():
                answer = await ask(shop, key, method, path, body=body)
                assert (answer.status < 300) == (scope == needed), (scope, method, path, answer.body)
    for scope, key in keys.items():
        listed = await ask(shop, key, "GET", "/reservations")
        assert (listed.status == 200) == (scope in {"read", "customers"})
        assert (await ask(shop, key, "POST", f"/reservations/{product}")).status == (
            400 if scope == "customers" else 403
        ), scope
        for method, path in (("GET", "/api-keys"), ("POST", "/api-keys"), ("GET", "/auth/me")):
            assert (await ask(shop, key, method, path)).code == "forbidden", (scope, path)


async def test_who_may_not_is_told_who_may(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product()
    key, _ = await a_key(admin, "rehearse")
    former = await shop.hire()
    assert await shop.store.set_role(former.id, Role.CUSTOMER, at=1)
    held = f"/reservations/{(await customer.reserve(product)).granted()['id']}"

    for sender, method, path, scopes in (
        (customer, "PATCH", held, "customers"),
        (customer, "GET", "/reservations.csv", "read"),
        (former, "GET", held, "read or customers"),
        (former, "DELETE", f"/products/{product}", "catalogue"),
    ):
        refused = await sender.ask(method, path)
        assert refused.json["detail"] == f"only admins and API keys with the scope {scopes} may do this"
        by_key = await ask(shop, key, method, path)
        assert by_key.json["detail"] == f"the API key needs the scope {scopes}"


async def test_on_behalf_of_is_for_keys_with_the_scope_only(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product = await admin.product()
    path = f"/reservations/{product}"
    key, (reading, _) = (await a_key(admin, "customers"))[0], await a_key(admin, "read", "catalogue")

    assert (await ask(shop, customer.token, "POST", path, of=customer.id)).code == "forbidden"
    assert (await ask(shop, admin.token, "POST", path, of=customer.id)).code == "forbidden"
    assert (await ask(shop, reading, "POST", path, of=customer.id)).code == "forbidden"
    assert (await ask(shop, key, "POST", path)).fields == ["On-Behalf-Of"]
    # Some proxies make one header of two, so a comma may stand between two ids.
    for invalid in ("", "x" * 129, "a b", "é", "erased:0123", "a,b", ",", "a,", "a, b"):
        assert (await ask(shop, key, "POST", path, of=invalid)).fields == ["On-Behalf-Of"], invalid
    (await ask(shop, key, "POST", path, of="x" * 128)).granted()
    assert (await ask(shop, key, "GET", "/products?archived=true", of=ALICE)).fields == ["On-Behalf-Of"]


async def test_a_revoked_or_expired_key_is_refused(shop: HttpShop, admin: Admin, clock: ShopClock) -> None:
    key, id_ = await a_key(admin, "read")
    short, _ = await a_key(admin, "read", expiresAt=clock.instant(60))
    assert (await ask(shop, key, "GET", "/reservations")).status == 200

    assert (await admin.ask("DELETE", f"/api-keys/{id_}")).status == 204
    refused = await ask(shop, key, "GET", "/reservations")
    assert (refused.status, refused.code) == (401, "unauthenticated")
    assert (await admin.ask("DELETE", f"/api-keys/{id_}")).status == 204
    assert (await admin.ask("DELETE", f"/api-keys/{'0' * 32}")).code == "not-found"

    assert (await ask(shop, short, "GET", "/reservations")).status == 200
    clock.advance(60)
    expired = await ask(shop, short, "GET", "/reservations")
    assert (expired.status, expired.code) == (401, "unauthenticated")
    assert expired.json["detail"] == refused.json["detail"] == INVALID_KEY


async def test_no_valid_key_is_called_invalid_while_the_database_is_away(
    fresh_shop: HttpShop, clock: ShopClock
) -> None:
    admin = await fresh_shop.hire()
    key, _ = await a_key(admin, "read")
    fresh_shop.store.away = True
    clock.advance(60)

    refused = await all_of([ask(fresh_shop, key, "GET", "/reservations") for _ in range(20)])
    fresh_shop.store.heal()
    await fresh_shop.core.access.refresh()

    assert {(answer.status, answer.code) for answer in refused} == {(503, "unavailable")}
    assert (await ask(fresh_shop, key, "GET", "/reservations")).status == 200


async def test_a_slow_read_does_not_bring_a_revoked_key_back(shop: HttpShop, admin: Admin, clock: ShopClock) -> None:
    key, id_ = await a_key(admin, "read")
    async with slow_refresh(shop, "keys"):
        await shop.store.revoke_key(id_, clock.now_ms())
        await shop.core.access.refresh()
    assert (await ask(shop, key, "GET", "/reservations")).code == "unauthenticated"


async def test_a_key_that_is_not_one_is_refused(shop: HttpShop, admin: Admin) -> None:
    key, id_ = await a_key(admin, "read")
    wrong = [
        "frk_", f"frk_{id_}", f"frk_{id_}_", f"{key}x", key[:-1], key[:-1] + "é", f"frk_{'0' * 32}_{key[-43:]}",
        key.upper(), f"frk_{id_}_{'x' * 500}",
    ]  # fmt: skip
    answers = [await ask(shop, each, "GET", "/reservations") for each in wrong]

    assert {(answer.status, answer.code) for answer in answers} == {(401, "unauthenticated")}
    details = {each: answer.json["detail"] for each, answer in zip(wrong, answers, strict=True)}
    assert {details[each] for each in wrong if each.startswith("frk_") and each.isascii()} == {INVALID_KEY}
    assert details[key.upper()] == "the token is invalid; sign in again"


async def test_only_admins_make_keys(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    key, _ = await a_key(admin, "customers", "catalogue", "read", "rehearse")
    body = {"name": "another", "scopes": ["read"]}

    by_customer = await customer.ask("POST", "/api-keys", body=body)
    by_key = await ask(shop, key, "POST", "/api-keys", body=body)
    assert (by_customer.code, by_customer.json["detail"]) == ("forbidden", "only admins may do this")
    assert (by_key.code, by_key.json["detail"]) == ("forbidden", "no API key may do this; sign in as an admin")
    assert await shop.store.set_role(admin.id, Role.CUSTOMER, at=1)
    assert (await admin.ask("POST", "/api-keys", body=body)).code == "forbidden"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["write"]}, "scopes[0]"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"expires": 5}, "expires"),
    ],
)
async def test_an_invalid_key_is_refused_by_name(admin: Admin, fields: dict[str, Any], field: str) -> None:
    answer = await admin.ask("POST", "/api-keys", body={"name": "Backend", "scopes": ["read"], **fields})

    assert (answer.code, answer.fields) == ("bad-request", [field])


async def test_many_customers_reserve_through_one_key_at_once(shop: HttpShop, admin: Admin) -> None:
    key, _ = await a_key(admin, "customers")
    product = await admin.product(stockQuantity=10, perCustomerLimit=1)

    answers = await all_of(
        [ask(shop, key, "POST", f"/reservations/{product}", of=f"next:{number % 20}") for number in range(60)]
    )

    assert sum(answer.status == 201 for answer in answers) == 10
    assert await shop.available(product) == 0


async def test_spaces_around_a_customers_id_are_no_part_of_it(shop: HttpShop, admin: Admin) -> None:
    product = await admin.product()
    key, _ = await a_key(admin, "customers")
    connection = await shop.connect()

    of = "On-Behalf-Of: \t shop:42 \t "
    reply = await connection.post(f"/reservations/{product}", b"", f"Authorization: Bearer {key}", of)
    await connection.close()

    assert reply.status == 201
    assert json.loads(reply.body)["userId"] == "shop:42"


async def test_a_key_does_not_expire_after_the_year_9999(admin: Admin) -> None:
    """That instant is valid as text, but in UTC it is in the year 10000, which no answer could write."""
    body = {"name": "Backend", "scopes": ["read"], "expiresAt": "9999-12-31T23:59:59-05:00"}
    refused = await admin.ask("POST", "/api-keys", body=body)

    assert (refused.status, refused.fields) == (400, ["expiresAt"])
    (await admin.ask("GET", "/api-keys")).granted(200)
    await a_key(admin, "read", expiresAt="9999-12-31T23:59:59Z")
    (await admin.ask("GET", "/api-keys")).granted(200)
