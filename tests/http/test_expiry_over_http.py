"""A hold is over at `expiresAt`, even if nothing has swept; its units are back soon after."""

import asyncio
import csv
import io
import time
from pathlib import Path

import pytest
from tests.http.shop import Admin, HttpCustomer, HttpShop, ShopClock, all_of, ms, new_key, open_shop, until

from flashreserve.clock import SystemClock

pytestmark = pytest.mark.asyncio(loop_scope="module")

BACK_WITHIN_S = 2.5


async def test_a_hold_is_over_at_the_very_millisecond_that_it_was_told(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    product = await admin.product(stockQuantity=2, holdSeconds=60)
    bought, lapsing = [(await customer.hold(product))["id"] for _ in range(2)]

    clock.advance(59.999)
    in_time = await customer.confirm(bought)
    still = await customer.reservation(lapsing)
    clock.advance(0.001)
    late = await customer.confirm(lapsing)

    assert in_time.granted(200)["confirmedAt"] == clock.instant(-0.001)
    assert still["status"] == "PENDING"
    assert (late.status, late.code) == (410, "expired")
    assert clock.instant() in late.json["detail"]
    assert (await customer.reservation(bought))["status"] == "CONFIRMED"


async def test_a_lapsed_hold_reads_as_expired_everywhere_before_any_sweep(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    product = await admin.product(stockQuantity=1, holdSeconds=60)
    held = await customer.hold(product)
    expired = {**held, "status": "EXPIRED"}
    clock.advance(60)

    export = (await admin.ask("GET", "/reservations.csv")).body.decode()
    own = (await customer.ask("GET", "/reservations")).granted(200)["items"]

    assert await customer.reservation(held["id"]) == expired
    assert own == [expired]
    assert [(order["id"], order["status"]) for order in await admin.reservations(product)] == [(held["id"], "EXPIRED")]
    rows = {row["reservationId"]: row["status"] for row in csv.DictReader(io.StringIO(export))}
    assert rows[held["id"]] == "EXPIRED"
    assert {row[2] for row in shop.records()["reservations"] if row[0] == held["id"]} == {"PENDING"}


async def test_a_sweep_gives_the_units_back_and_says_when(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    product = await admin.product(stockQuantity=3, holdSeconds=60, perCustomerLimit=3)
    held = await customer.hold(product, 3)
    clock.advance(61)
    assert (await shop.customer().reserve(product, key=new_key())).code == "sold-out"

    await shop.sweep()

    assert await customer.reservation(held["id"]) == {**held, "status": "EXPIRED", "releasedAt": clock.instant()}
    assert await shop.available(product) == 3
    assert (await shop.customer().hold(product, 3))["status"] == "PENDING"


async def test_what_is_refused_as_expired_has_its_units_back_on_sale_without_a_sweep(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    product = await admin.product(stockQuantity=3, holdSeconds=60, maxExtensions=1)
    held = [(await customer.hold(product))["id"] for _ in range(3)]
    clock.advance(60)

    answers = [await customer.confirm(held[0]), await customer.extend(held[1]), await customer.cancel(held[2])]

    assert [answer.status for answer in answers] == [410, 410, 200]
    assert await shop.available(product) == 3


async def test_a_sweep_leaves_alone_what_is_not_due_was_extended_bought_or_cancelled(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    product = await admin.product(stockQuantity=5, holdSeconds=60, maxExtensions=1)
    extended, bought, cancelled, due = [(await customer.hold(product))["id"] for _ in range(4)]
    clock.advance(30)
    later = (await customer.hold(product))["id"]
    (await customer.extend(extended)).granted(200)
    (await customer.confirm(bought)).granted(200)
    (await customer.cancel(cancelled)).granted(200)
    clock.advance(30)

    await shop.sweep()

    statuses = {id_: (await customer.reservation(id_))["status"] for id_ in (extended, bought, cancelled, due, later)}
    assert list(statuses.values()) == ["PENDING", "CONFIRMED", "CANCELLED", "EXPIRED", "PENDING"]
    assert await shop.available(product) == 2


async def test_a_lapsed_basket_gives_back_all_its_lines(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    one, other = await admin.product(holdSeconds=60), await admin.product(holdSeconds=600)
    (await customer.reserve_basket((one, 2), (other, 3))).granted()
    clock.advance(60)

    await shop.sweep()

    assert [await shop.available(product) for product in (one, other)] == [10, 10]


async def test_processes_that_sweep_one_file_at_once_release_each_hold_once(
    fresh_shop: HttpShop, clock: ShopClock
) -> None:
    product = await (await fresh_shop.hire()).product(stockQuantity=300, holdSeconds=60)
    await fresh_shop.hold_for_each(fresh_shop.customers(300), product)
    clock.advance(60)

    async with open_shop(fresh_shop.data_dir, clock) as elsewhere:
        released = await asyncio.gather(
            *[shop.sweep(step_max=10) for shop in (fresh_shop, elsewhere) for _ in range(3)]
        )

    assert sum(released) == 300
    assert await fresh_shop.available(product) == 300


async def test_units_are_back_within_two_and_a_half_seconds_of_their_expiry_and_sold_again(tmp_path: Path) -> None:
    async with open_shop(tmp_path, SystemClock(), sweeps=True) as shop:
        product = await (await shop.hire()).product(stockQuantity=20, holdSeconds=1)
        held = [answer.granted() for answer in await all_of([each.reserve(product) for each in shop.customers(20)])]
        over_s = max(ms(reservation["expiresAt"]) for reservation in held) / 1000
        next_customer = shop.customer()

        while (answer := await next_customer.reserve(product, 20, key=new_key())).status == 409:
            assert time.time() < over_s + BACK_WITHIN_S

        assert ms(answer.granted()["createdAt"]) / 1000 >= over_s


async def test_the_sweep_goes_on_after_the_database_was_away(tmp_path: Path, clock: ShopClock) -> None:
    async with open_shop(tmp_path, clock, sweeps=True) as shop:
        product = await (await shop.hire()).product(stockQuantity=1, holdSeconds=60)
        await shop.customer().hold(product)
        shop.store.away = True
        clock.advance(60)
        await until(lambda: shop.store.sweeps_refused > 0)

        shop.store.away = False

        await until(lambda: {row[2] for row in shop.records()["reservations"]} == {"EXPIRED"})
        assert await shop.available(product) == 1
