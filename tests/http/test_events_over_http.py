"""The trail and the log of events over HTTP."""

import re
from collections.abc import Sequence
from typing import Any, Final

import pytest
import uuid_utils
from tests.http.documented import BY_NAME, faults
from tests.http.owner import an_owner
from tests.http.shop import Admin, HttpAnswer, HttpCustomer, HttpShop, Person, ShopClock, new_key

from flashreserve.http.operations.event_examples import EVENTS

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHY: Final = "The price is wrong"


async def trail(person: Person, query: str = "") -> list[Any]:
    """The events of all pages."""
    found: list[Any] = []
    cursor = ""
    while True:
        page = (await person.ask("GET", f"/trail?limit=200{query}{cursor}")).granted(200)
        found += page["items"]
        if page["nextCursor"] is None:
            return found
        cursor = f"&cursor={page['nextCursor']}"


def types_of(events: Sequence[Any]) -> list[tuple[int, str]]:
    return [(event["sequence"], event["type"]) for event in events]


def key_header(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def make_key(admin: Admin, *scopes: str) -> Any:
    return (await admin.ask("POST", "/api-keys", body={"name": "Shop backend", "scopes": scopes})).granted()


async def end(shop: HttpShop) -> str:
    """The place of the last event."""
    return str(await shop.store.last_place())


async def events_of_every_type(shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock) -> set[str]:
    """Make every transition. Returns the ids of the subjects."""
    product_id = await admin.product(maxExtensions=1)
    (await admin.edit(product_id, price="949.00")).granted(200)
    (await admin.restock(product_id, 5)).granted(200)
    (await admin.ask("POST", f"/products/{product_id}/pause", body={"reason": WHY})).granted(200)
    (await admin.ask("POST", f"/products/{product_id}/resume")).granted(200)
    held = [(await customer.hold(product_id))["id"] for _ in range(3)]
    (await customer.extend(held[0])).granted(200)
    (await customer.confirm(held[0])).granted(200)
    (await admin.give_back(held[0], (product_id, 1))).granted(200)
    (await customer.cancel(held[1])).granted(200)
    clock.advance(601)
    await shop.sweep()
    (await admin.ask("DELETE", f"/products/{product_id}")).granted(200)
    owner = await an_owner(shop)
    for change in ("promote", "demote", "disable", "enable"):
        (await admin.ask("POST", f"/accounts/{owner.id}/{change}")).granted(200)
    key = (await make_key(admin, "read"))["apiKey"]["id"]
    assert (await admin.ask("DELETE", f"/api-keys/{key}")).status == 204
    return {product_id, owner.id, key, *held}


async def test_every_transition_is_in_the_trail_with_who_and_what(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    subjects = await events_of_every_type(shop, admin, customer, clock)
    events = [event for subject in subjects for event in await trail(admin, f"&subject={subject}")]

    # Endpoints have no routes yet.
    assert {event["type"] for event in events} == {type_ for type_ in EVENTS if not type_.startswith("endpoint.")}
    for event in events:
        example = EVENTS[event["type"]]
        assert event["id"] == f"{event['subject']['id']}-{event['sequence']}"
        assert _form(event) == _form(example)
        kind = event["actor"]["kind"]
        by = {"customer": customer.id, "admin": admin.id, "system": None}[kind]
        assert event["actor"]["id"] == by
    for subject in subjects:
        numbers = [event["sequence"] for event in await trail(admin, f"&subject={subject}")]
        assert numbers == list(range(1, len(numbers) + 1))


def _form(value: Any) -> Any:
    """The names of the fields, in their order, at all depths."""
    if isinstance(value, dict):
        return [(name, _form(inner)) for name, inner in value.items()]
    return [_form(inner) for inner in value[:1]] if isinstance(value, list) else None


async def test_an_edit_tells_the_terms_before_and_after(admin: Admin) -> None:
    product_id = await admin.product(perCustomerLimit=2)
    (await admin.edit(product_id, price="949.00", perCustomerLimit=3)).granted(200)
    (edited,) = await trail(admin, f"&subject={product_id}&type=product.edited")

    before, after = edited["data"]["before"], edited["data"]["after"]
    assert (before["price"], after["price"]) == ("999.99", "949.00")
    assert {name for name in before if before[name] != after[name]} == {"price", "perCustomerLimit"}


# The grant, which isn't stored.


async def test_the_trail_of_a_reservation_begins_with_its_grant(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product_id = await admin.product()
    held = await customer.hold(product_id, 2)
    subject = f"&subject={held['id']}"
    (created,) = await trail(admin, subject)
    assert created["data"] == {
        "userId": customer.id,
        "status": "PENDING",
        "lines": held["lines"],
        "expiresAt": held["expiresAt"],
        "extensions": 0,
    }
    assert (created["timestamp"], created["actor"]) == (held["createdAt"], {"kind": "customer", "id": customer.id})

    (await customer.checkout(held["id"], (product_id, 1))).granted(200)
    everything = [(1, "reservation.created"), (2, "reservation.returned"), (3, "reservation.confirmed")]
    assert types_of(await trail(admin, subject)) == everything
    assert (await trail(admin, subject))[0] == created
    assert types_of(await trail(admin, subject.upper().replace("SUBJECT", "subject"))) == everything
    logged = (await admin.ask("GET", f"/events?subject={held['id']}")).granted(200)["items"]
    assert types_of(logged) == everything[1:]

    # The filter applies to it as well.
    assert types_of(await trail(admin, f"{subject}&actor={customer.id}")) == everything
    assert await trail(admin, f"{subject}&actor={admin.id}") == []
    assert types_of(await trail(admin, f"{subject}&type=reservation.confirmed")) == everything[2:]
    assert types_of(await trail(admin, f"{subject}&type=reservation.created,reservation.confirmed")) == [
        everything[0],
        everything[2],
    ]
    assert await trail(admin, f"{subject}&from=2099-01-01T00:00:00Z") == []


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_the_grant_is_on_the_first_page_only(admin: Admin, customer: HttpCustomer, limit: int) -> None:
    product_id = await admin.product(maxExtensions=1)
    id_ = (await customer.hold(product_id))["id"]
    (await customer.extend(id_)).granted(200)
    (await customer.confirm(id_)).granted(200)

    seen: list[Any] = []
    cursor = ""
    while True:
        page = (await admin.ask("GET", f"/trail?subject={id_}&limit={limit}{cursor}")).granted(200)
        assert len(page["items"]) <= limit
        seen += page["items"]
        assert len(seen) <= 3
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert [event["sequence"] for event in seen] == [1, 2, 3]


async def test_an_unknown_subject_has_no_events(admin: Admin) -> None:
    assert await trail(admin, f"&subject={uuid_utils.uuid7()}") == []


# The log.


async def test_a_program_that_follows_the_log_sees_each_event_once(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    key = key_header((await make_key(admin, "read"))["key"])
    after, seen = await end(shop), []
    product_id = await admin.product(stockQuantity=10)
    for number in range(7):
        id_ = (await customer.hold(product_id))["id"]
        await (customer.confirm(id_) if number % 2 else customer.cancel(id_))
        while True:
            page = (await shop.ask("GET", f"/events?after={after}&limit=3", headers=key)).granted(200)
            seen += page["items"]
            assert len(seen) <= 8
            after = page["nextCursor"]
            if not page["hasMore"]:
                break
    assert re.fullmatch(r"[0-9]+", after)
    assert [event["type"] for event in seen] == [
        "product.created",
        *(f"reservation.{'confirmed' if number % 2 else 'cancelled'}" for number in range(7)),
    ]
    assert len({event["id"] for event in seen}) == 8
    again = (await shop.ask("GET", f"/events?after={after}", headers=key)).granted(200)
    assert again == {"items": [], "nextCursor": after, "hasMore": False}


async def test_the_log_is_filtered_and_its_cursor_goes_on_past_what_is_left_out(shop: HttpShop, admin: Admin) -> None:
    after = await end(shop)
    for _ in range(3):
        (await admin.restock(await admin.product(), 1)).granted(200)
    page = (await admin.ask("GET", f"/events?after={after}&type=product.stocked&limit=2")).granted(200)
    assert [event["type"] for event in page["items"]] == ["product.stocked"] * 2
    assert page["hasMore"]
    rest = (await admin.ask("GET", f"/events?after={page['nextCursor']}&type=product.stocked")).granted(200)
    assert (len(rest["items"]), rest["nextCursor"], rest["hasMore"]) == (1, await end(shop), False)
    none = (await admin.ask("GET", f"/events?after={after}&type=account.disabled,account.enabled")).granted(200)
    assert none == {"items": [], "nextCursor": await end(shop), "hasMore": False}


# Who may read, and what is refused.


async def test_only_admins_read_the_trail_and_keys_for_reading_the_log(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    keys = {scope: (await make_key(admin, scope))["key"] for scope in ("read", "catalogue", "customers")}
    for path in ("/trail", "/events"):
        assert (await shop.ask("GET", path)).status == 401
        assert (await customer.ask("GET", path)).status == 403
        (await admin.ask("GET", path)).granted(200)
        for scope, key in keys.items():
            allowed = path == "/events" and scope == "read"
            assert (await shop.ask("GET", path, headers=key_header(key))).status == (200 if allowed else 403)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("type=reservation.bought", "type"),
        ("type=", "type"),
        ("type=product.edited,", "type"),
        ("type=product.edited&type=product.paused", "type"),
        ("subject=order-1001", "subject"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("since=2026-01-01T00:00:00Z", "since"),
    ],
)
async def test_invalid_parameters_are_named(admin: Admin, query: str, field: str) -> None:
    for path in ("/trail", "/events"):
        answer = await admin.ask("GET", f"{path}?{query}")
        assert (answer.status, answer.fields) == (400, [field])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("/trail?from=noon", "from"),
        ("/trail?from=2026", "from"),
        ("/trail?from=253402300800", "from"),
        ("/trail?from=1969-12-31T23:59:59Z", "from"),
        ("/trail?from=9999-12-31T23:59:59-23:59", "from"),
        ("/trail?type=product.edited%0A", "type"),
        ("/trail?actor=", "actor"),
        ("/trail?cursor=-1", "cursor"),
        ("/trail?cursor=1e3", "cursor"),
        ("/trail?after=1", "after"),
        ("/events?after=", "after"),
        ("/events?after=9999999999999999999", "after"),
        ("/events?actor=shop:42", "actor"),
    ],
)
async def test_each_list_has_its_own_parameters(admin: Admin, query: str, field: str) -> None:
    answer = await admin.ask("GET", query)
    assert (answer.status, answer.fields) == (400, [field])


async def test_a_cursor_beyond_the_end_stays_where_it_is(admin: Admin) -> None:
    page = (await admin.ask("GET", "/events?after=999999999999999999")).granted(200)
    assert page == {"items": [], "nextCursor": "999999999999999999", "hasMore": False}


async def test_answers_are_as_documented(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    await events_of_every_type(shop, admin, customer, clock)

    def check(name: str, answer: HttpAnswer) -> None:
        headers = {header.lower(): value for header, value in answer.headers.items()}
        assert faults(BY_NAME[name], answer.status, headers, answer.body) == []

    check("readTrail", await admin.ask("GET", "/trail?limit=200"))
    check("readEvents", await admin.ask("GET", "/events?limit=200"))
    check("readEvents", await shop.ask("GET", "/events"))


async def test_events_of_an_erased_customer_name_the_pseudonym(shop: HttpShop, admin: Admin) -> None:
    customer = shop.customer()
    product_id = await admin.product()
    id_ = (await customer.reserve(product_id, key=new_key())).granted()["id"]
    (await customer.confirm(id_)).granted(200)
    await shop.store.erase_reservations(customer.id, "erased:1", 10)
    events = await trail(admin, f"&subject={id_}")

    assert types_of(events) == [(1, "reservation.created"), (2, "reservation.confirmed")]
    assert {event["actor"]["id"] for event in events} == {"erased:1"}
    assert customer.id not in str(events)
