"""A reservation's whole life: refused or held, extended, confirmed or cancelled, and read back."""

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import apsw
import pytest
from tests.http.shop import (
    DATABASE,
    Admin,
    HttpAnswer,
    HttpCustomer,
    HttpShop,
    ShopClock,
    all_of,
    new_key,
    open_shop,
    until,
)

from flashreserve.core.quotas import Quotas

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d4e"
Status = Literal["PENDING", "lapsed", "CONFIRMED", "EXPIRED", "CANCELLED"]
REPLAYED = "Idempotent-Replayed"


async def test_a_hold_has_all_its_fields_and_is_found_where_location_says(
    admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    product = await admin.product(price="999.99")

    answer = await customer.reserve(product)

    held = answer.granted()
    assert held == {
        "id": held["id"],
        "userId": customer.id,
        "status": "PENDING",
        "lines": [{"productId": product, "quantity": 1, "returned": 0, "unitPrice": "999.99", "currency": "USD"}],
        "expiresAt": clock.instant(600),
        "createdAt": clock.instant(),
        "confirmedAt": None,
        "releasedAt": None,
        "externalId": None,
        "metadata": {},
    }
    assert answer.headers["Location"] == f"/reservations/{held['id']}"
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", held["id"])
    assert await customer.reservation(held["id"]) == held


async def test_a_basket_is_held_as_a_whole_for_the_shortest_time_that_its_products_allow(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    one = await admin.product(price="1.00", currency="EUR", holdSeconds=60)
    other = await admin.product(price="2.00", holdSeconds=120)

    held = (await customer.reserve_basket((other, 2), (one, 1), (other, 1))).granted()

    assert held["lines"] == [
        {"productId": one, "quantity": 1, "returned": 0, "unitPrice": "1.00", "currency": "EUR"},
        {"productId": other, "quantity": 3, "returned": 0, "unitPrice": "2.00", "currency": "USD"},
    ]
    assert held["expiresAt"] == clock.instant(60)
    (await customer.cancel(held["id"])).granted(200)
    assert [await shop.available(product) for product in (one, other)] == [10, 10]


async def test_a_basket_that_does_not_fit_as_a_whole_holds_nothing(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    plenty, scarce = await admin.product(), await admin.product(stockQuantity=1)
    limited = await admin.product(perCustomerLimit=1)
    before = shop.records()

    answers = [
        await customer.reserve_basket((plenty, 1), (scarce, 2)),
        await customer.reserve_basket((plenty, 1), (limited, 2)),
        await customer.reserve_basket((plenty, 1), (UNKNOWN, 1)),
    ]

    assert [answer.code for answer in answers] == ["sold-out", "limit-reached", "not-found"]
    assert shop.records() == before


# Refusals.


async def test_of_several_reasons_the_first_is_told(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    """NotFound, KeyReused, NotOnSale, SoldOut, LimitReached."""
    used = await admin.product()
    (await customer.reserve(used, key="used")).granted()
    limited = await admin.product(perCustomerLimit=1)
    await customer.hold(limited)
    sold_out = await admin.product(stockQuantity=0)
    closed = await admin.product(stockQuantity=0, saleEndsAt="2020-01-01T00:00:00Z")
    before = shop.records()
    lines = {"limit-reached": limited, "sold-out": sold_out, "not-on-sale": closed, "not-found": UNKNOWN}

    told = []
    while lines:
        basket = [(product, 1) for product in lines.values()]
        told.append((await customer.reserve_basket(*basket, key="new")).code)
        told.append((await customer.reserve_basket(*basket, key="used")).code)
        lines.popitem()

    assert told == [
        *("not-found", "not-found"),
        *("not-on-sale", "key-reused"),
        *("sold-out", "key-reused"),
        *("limit-reached", "key-reused"),
    ]
    assert shop.records() == before


async def test_before_and_after_the_sale_nothing_is_held_and_the_times_are_told(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    starts, ends = clock.instant(10), clock.instant(20)
    product = await admin.product(saleStartsAt=starts, saleEndsAt=ends)

    early = await customer.reserve(product, key=new_key())
    clock.advance(10)
    held = (await customer.reserve(product, key=new_key())).granted()
    clock.advance(9.999)
    last = await customer.reserve(product, key=new_key())
    clock.advance(0.001)
    late = await customer.reserve(product, key=new_key())

    assert last.status == 201
    for refused in (early, late):
        assert (refused.status, refused.code) == (403, "not-on-sale")
        assert starts in refused.json["detail"]
        assert ends in refused.json["detail"]
    assert (await customer.confirm(held["id"])).granted(200)["status"] == "CONFIRMED"
    assert await shop.available(product) == 8


async def test_a_limit_counts_what_is_held_and_what_is_bought_together(admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product(perCustomerLimit=3)
    bought = await customer.hold(product, 2)
    (await customer.confirm(bought["id"])).granted(200)
    await customer.hold(product)

    refused = await customer.reserve(product)

    assert (refused.status, refused.code) == (409, "limit-reached")
    assert "3" in refused.json["detail"]


async def test_a_limit_is_each_customers_own(shop: HttpShop, admin: Admin) -> None:
    product = await admin.product(perCustomerLimit=1)

    answers = await all_of([each.reserve(product) for each in shop.customers(3)])

    assert [answer.status for answer in answers] == [201] * 3


async def test_who_holds_too_much_is_told_what_to_do_and_when_to_come_back(tmp_path: Path) -> None:
    quotas = Quotas(open_holds_max=2, holds_per_hour_max=4, lapses_per_hour_max=2)
    clock = ShopClock()  # the beginning of an hour
    async with open_shop(tmp_path, clock, quotas=quotas) as shop:
        product, customer = await (await shop.hire()).product(stockQuantity=100, holdSeconds=60), shop.customer()
        bought, cancelled = await customer.hold(product), await customer.hold(product)

        open_holds = await customer.reserve(product)
        (await customer.confirm(bought["id"])).granted(200)
        (await customer.cancel(cancelled["id"])).granted(200)
        await customer.hold(product)
        last = (await customer.reserve(product, key="k")).granted()
        hourly = await customer.reserve(product)
        replayed = await customer.reserve(product, key="k")

        other = shop.customer()
        await other.hold(product)
        await other.hold(product)
        clock.advance(60)
        lapses = await other.reserve(product)

    assert [(each.status, each.code) for each in (open_holds, hourly, lapses)] == [
        (429, "open-holds-reached"),
        (429, "hourly-holds-reached"),
        (429, "lapses-reached"),
    ]
    assert "at most 2 holds may be open" in open_holds.json["detail"]
    assert [each.headers["Retry-After"] for each in (open_holds, hourly, lapses)] == ["60", "3600", "3540"]
    assert replayed.granted() == last


# Confirming, extending and cancelling.


async def reservation_in(customer: HttpCustomer, product: str, clock: ShopClock, status: Status) -> str:
    """A reservation in this status."""
    id_ = str((await customer.hold(product))["id"])
    match status:
        case "CONFIRMED":
            (await customer.confirm(id_)).granted(200)
        case "CANCELLED":
            (await customer.cancel(id_)).granted(200)
        case "lapsed":
            clock.advance(60)
        case "EXPIRED":
            clock.advance(60)
            assert (await customer.confirm(id_)).status == 410
        case "PENDING":
            pass
    return id_


@pytest.mark.parametrize(
    ("status", "confirm", "extend", "cancel"),
    [
        ("PENDING", (200, "CONFIRMED"), (200, "PENDING"), (200, "CANCELLED")),
        ("lapsed", (410, "expired"), (410, "expired"), (200, "EXPIRED")),
        ("EXPIRED", (410, "expired"), (410, "expired"), (200, "EXPIRED")),
        ("CANCELLED", (409, "cancelled"), (409, "cancelled"), (200, "CANCELLED")),
        ("CONFIRMED", (200, "CONFIRMED"), (409, "already-confirmed"), (409, "already-confirmed")),
    ],
)
async def test_what_can_be_done_depends_on_the_status(
    admin: Admin,
    customer: HttpCustomer,
    clock: ShopClock,
    status: Status,
    confirm: tuple[int, str],
    extend: tuple[int, str],
    cancel: tuple[int, str],
) -> None:
    product = await admin.product(stockQuantity=4, holdSeconds=60, maxExtensions=1)
    doings = [customer.confirm, customer.checkout, customer.extend, customer.cancel]

    for do, expected in zip(doings, [confirm, confirm, extend, cancel], strict=True):
        answer = await do(await reservation_in(customer, product, clock, status))
        told = answer.json["status"] if answer.status == 200 else answer.code
        assert (answer.status, told) == expected, do


async def test_confirming_again_is_answered_the_same(admin: Admin, customer: HttpCustomer, clock: ShopClock) -> None:
    held = await customer.hold(await admin.product())
    clock.advance(1)
    first = await customer.confirm(held["id"])
    confirmed = {**held, "status": "CONFIRMED", "confirmedAt": clock.instant()}
    clock.advance(1800)

    again = [await customer.checkout(held["id"]), await customer.confirm(held["id"])]

    assert first.granted(200) == confirmed
    assert [answer.body for answer in again] == [first.body] * 2
    assert await customer.reservation(held["id"]) == confirmed


async def test_of_20_confirmations_and_20_cancellations_at_once_one_kind_wins(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product = await admin.product(stockQuantity=1)
    id_ = (await customer.hold(product))["id"]

    answers = await all_of([do(id_) for _ in range(20) for do in (customer.cancel, customer.confirm)])

    final = (await customer.reservation(id_))["status"]
    assert Counter(answer.status for answer in answers) == {200: 20, 409: 20}
    assert {answer.json["status"] for answer in answers if answer.status == 200} == {final}
    assert await shop.available(product) == (0 if final == "CONFIRMED" else 1)


async def test_an_extension_lasts_a_whole_hold_time_from_now(
    admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    held = await customer.hold(await admin.product(holdSeconds=60, maxExtensions=1))
    clock.advance(59.999)
    extended = (await customer.extend(held["id"])).granted(200)

    assert extended == {**held, "expiresAt": clock.instant(60)}
    clock.advance(59.999)
    assert (await customer.confirm(held["id"])).status == 200


async def test_a_product_that_allows_no_extensions_says_so(admin: Admin, customer: HttpCustomer) -> None:
    held = await customer.hold(await admin.product())

    answer = await customer.extend(held["id"])

    assert (answer.status, answer.code) == (409, "extensions-used-up")


async def test_another_customers_reservation_is_not_there(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product(maxExtensions=1)
    id_ = (await customer.hold(product))["id"]
    before = shop.records()
    stranger = shop.customer()

    async def everything(who: HttpCustomer, id_: str) -> list[HttpAnswer]:
        return [
            await who.ask("GET", f"/reservations/{id_}"),
            await who.ask("POST", f"/reservations/confirm/{id_}"),
            await who.ask("POST", f"/checkout/{id_}"),
            await who.ask("POST", f"/reservations/{id_}/extend"),
            await who.ask("DELETE", f"/reservations/{id_}"),
        ]

    theirs, nobodys = await everything(stranger, id_), await everything(stranger, UNKNOWN)

    assert {answer.code for answer in theirs} == {"not-found"}
    assert [answer.body.replace(id_.encode(), UNKNOWN.encode()) for answer in theirs] == [
        answer.body for answer in nobodys
    ]
    assert (await stranger.ask("GET", "/reservations")).granted(200)["items"] == []
    assert shop.records() == before


async def test_own_reservations_are_listed_newest_first_page_by_page(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product = await admin.product(stockQuantity=1_000)
    made = [(await customer.hold(product))["id"] for _ in range(7)]
    await shop.customer().hold(product)

    pages: list[list[Any]] = []
    cursor = ""
    while not pages or cursor:
        page = (await customer.ask("GET", f"/reservations?limit=3{cursor}")).granted(200)
        pages.append([item["id"] for item in page["items"]])
        cursor = f"&cursor={page['nextCursor']}" if page["nextCursor"] else ""

    assert pages == [made[6:3:-1], made[3:0:-1], made[:1]]


# Idempotency.


@pytest.mark.parametrize("status", ["CONFIRMED", "CANCELLED", "lapsed", "EXPIRED"])
async def test_a_replay_is_the_original_answer_after_any_change(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock, status: Status
) -> None:
    product = await admin.product(stockQuantity=1, holdSeconds=60, maxExtensions=1, perCustomerLimit=1)
    original = await customer.reserve(product, key="k")
    id_ = original.granted()["id"]
    (await customer.extend(id_)).granted(200)
    match status:
        case "CONFIRMED":
            (await customer.confirm(id_)).granted(200)
        case "CANCELLED":
            (await customer.cancel(id_)).granted(200)
        case _:
            clock.advance(60)
            assert status == "lapsed" or await shop.sweep() >= 1
    (await admin.edit(product, price="1.23", saleEndsAt="2020-01-01T00:00:00Z")).granted(200)
    before = shop.records()

    again = await customer.reserve(product, key="k")

    assert (again.status, again.body) == (201, original.body)
    assert (again.headers[REPLAYED], again.headers["Location"]) == ("true", original.headers["Location"])
    assert shop.records() == before


async def test_both_routes_and_all_spellings_of_one_request_share_its_key(admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product()
    path = f"/reservations/{product}"
    original = await customer.ask("POST", path, key="one")
    two = await customer.reserve_basket((product, 1), (product, 1), key="two")

    same = [
        await customer.ask("POST", path, key="one", body={}),
        await customer.ask("POST", path, key="one", raw=b' {"quantity" : 1 } '),
        await customer.ask("POST", path.upper().replace("RESERVATIONS", "reservations"), key="one"),
        await customer.reserve_basket((product, 1), key="one"),
        await customer.ask("POST", "/reservations", key="one", body={"lines": [{"productId": product.upper()}]}),
    ]

    assert [(answer.status, answer.body, answer.headers[REPLAYED]) for answer in same] == [
        (201, original.body, "true")
    ] * len(same)
    assert (await customer.reserve(product, 2, key="two")).body == two.body


async def test_a_key_is_each_customers_own(shop: HttpShop, admin: Admin) -> None:
    product = await admin.product()

    answers = [await each.reserve(product, key="k") for each in shop.customers(2)]

    assert len({answer.granted()["id"] for answer in answers}) == 2
    assert all(REPLAYED not in answer.headers for answer in answers)


async def test_a_refusal_binds_no_key(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product(stockQuantity=0)
    assert (await customer.reserve(product, 2, key="k")).code == "sold-out"
    (await admin.restock(product, 5)).granted(200)

    granted = await customer.reserve(product, 1, key="k")

    assert granted.status == 201
    assert REPLAYED not in granted.headers


async def test_without_a_key_each_request_is_another_hold(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    product = await admin.product()

    for _ in range(2):
        (await customer.reserve(product)).granted()

    assert await shop.available(product) == 8


# Faults of the layers below.


async def test_past_a_full_queue_requests_are_turned_away_at_once_and_nothing_is_taken(
    tmp_path: Path, clock: ShopClock
) -> None:
    async with open_shop(tmp_path, clock, seams={"queue_max": 5}) as shop:
        product = await (await shop.hire()).product(stockQuantity=100)
        first, *crowd = shop.customers(50)
        shop.store.door.clear()
        in_flight = asyncio.create_task(first.reserve(product))
        await until(lambda: shop.store.flushing)

        asking = [asyncio.create_task(each.reserve(product)) for each in crowd]
        await until(lambda: sum(task.done() for task in asking) == 44)
        shop.store.door.set()
        answers = await all_of([in_flight, *asking])

        turned_away = [answer for answer in answers if answer.status != 201]
        assert len(turned_away) == 44
        assert {(answer.status, answer.code) for answer in turned_away} == {(503, "unavailable")}
        assert {answer.headers["Retry-After"] for answer in turned_away} == {"1"}
        assert all("nothing was taken" in answer.json["detail"] for answer in turned_away)
        assert await shop.available(product) == 94


async def test_a_request_that_waits_too_long_for_its_turn_is_turned_away_and_never_carried_out(
    tmp_path: Path, clock: ShopClock
) -> None:
    async with open_shop(tmp_path, clock) as shop:
        product = await (await shop.hire()).product(stockQuantity=100)
        first, second = shop.customers(2)
        shop.store.door.clear()
        sent = asyncio.create_task(first.reserve(product, key="sent"))
        await until(lambda: shop.store.flushing)
        waiting = asyncio.create_task(second.reserve(product))
        await until(lambda: shop.core.books.combiner.waiting > 0)
        clock.advance(5)

        unknown, unavailable = await all_of([sent, waiting])
        shop.store.door.set()
        again = await first.reserve(product, key="sent")

        assert (unknown.status, unknown.code, unknown.headers["Retry-After"]) == (503, "outcome-unknown", "1")
        assert (unavailable.status, unavailable.code) == (503, "unavailable")
        assert (again.status, again.headers[REPLAYED]) == (201, "true")  # The first request had been carried out.
        assert await shop.available(product) == 99


async def test_when_the_reply_is_lost_the_outcome_is_said_to_be_unknown_and_the_key_finds_it(
    tmp_path: Path, clock: ShopClock
) -> None:
    async with open_shop(tmp_path, clock) as shop:
        customer = shop.customer()
        product = await (await shop.hire()).product()
        shop.store.loses_replies = True
        lost = await customer.reserve(product, key="k")
        shop.store.loses_replies = False

        found = await customer.reserve(product, key="k")

        assert (lost.status, lost.code, lost.headers["Retry-After"]) == (503, "outcome-unknown", "1")
        assert "Idempotency-Key" in lost.json["detail"]
        assert (found.status, found.headers[REPLAYED]) == (201, "true")
        assert await shop.available(product) == 9


async def test_while_the_database_is_away_every_route_and_readiness_say_so_and_nothing_is_taken(
    tmp_path: Path, clock: ShopClock
) -> None:
    async with open_shop(tmp_path, clock) as shop:
        admin, customer = await shop.hire(), shop.customer()
        product = await admin.product()
        held = (await customer.hold(product))["id"]
        before = shop.records()
        shop.store.away = True

        answers = [
            await customer.reserve(product),
            await customer.reserve(product, key="k"),
            await customer.confirm(held),
            await customer.cancel(held),
            await customer.ask("GET", "/reservations"),
            await customer.ask("GET", f"/reservations/{held}"),
            await shop.ask("GET", "/products"),
            await shop.ask("GET", f"/products/{product}"),
            await admin.create(),
            await admin.edit(product, name="x"),
            await admin.restock(product, 1),
            await shop.ask("POST", "/auth/register", body={"email": "a@example.com", "password": "long enough"}),
            await shop.ask("POST", "/auth/login", body={"email": "a@example.com", "password": "long enough"}),
            await shop.ask("GET", "/readyz"),
        ]

        assert {(answer.status, answer.code) for answer in answers} == {(503, "unavailable")}
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
        assert (await shop.ask("GET", "/livez")).status == 200
        assert shop.records() == before
        shop.store.away = False
        assert (await shop.ask("GET", "/readyz")).status == 200
        assert (await customer.confirm(held)).status == 200


async def test_a_file_that_another_program_keeps_locked_is_a_database_that_is_away(
    tmp_path: Path, clock: ShopClock
) -> None:
    async with open_shop(tmp_path, clock, busy_wait_s=0.05) as shop:
        customer = shop.customer()
        product = await (await shop.hire()).product()
        other_program = apsw.Connection(str(tmp_path / DATABASE))
        other_program.execute("BEGIN IMMEDIATE")

        refused = await customer.reserve(product, key="k")
        other_program.execute("ROLLBACK")
        other_program.close()
        granted = await customer.reserve(product, key="k")

        assert (refused.status, refused.code, refused.headers["Retry-After"]) == (503, "unavailable", "1")
        assert granted.status == 201
        assert REPLAYED not in granted.headers


async def test_customers_who_hang_up_change_nothing_for_the_others(tmp_path: Path, clock: ShopClock) -> None:
    async with open_shop(tmp_path, clock) as shop:
        product = await (await shop.hire()).product(stockQuantity=20)
        shop.store.door.clear()
        asking = [asyncio.create_task(each.reserve(product)) for each in shop.customers(40)]
        await until(lambda: shop.core.books.combiner.waiting == 39)
        for task in asking[::2]:
            task.cancel()
        await asyncio.wait(asking[::2])
        shop.store.door.set()

        stayed = await all_of(asking[1::2])

        granted = len(shop.records()["reservations"])
        assert granted == 20
        assert {answer.status for answer in stayed} <= {201, 409}
        assert await shop.available(product) == 0
