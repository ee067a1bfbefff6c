"""Faults of other shops' software, each tested once over HTTP on the embedded engine."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.http.shop import Admin, HttpAnswer, HttpCustomer, HttpShop, ShopClock, all_of, open_shop

from flashreserve.clock import SystemClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


def statuses(answers: Sequence[HttpAnswer]) -> dict[int, int]:
    return dict(Counter(answer.status for answer in answers))


async def test_one_unit_and_500_customers_at_once_make_one_sale_and_stock_never_falls_below_0(
    shop: HttpShop, admin: Admin
) -> None:
    """magento/inventory#3072: one unit was sold several times, and the stock went negative."""
    product = await admin.product(stockQuantity=1)
    polls = [shop.ask("GET", f"/products/{product}/stock") for _ in range(50)]
    reserving = all_of([each.reserve(product) for each in shop.customers(500)])

    answers, seen = await asyncio.gather(reserving, all_of(polls))

    assert statuses(answers) == {201: 1, 409: 499}
    assert {answer.code for answer in answers if answer.status == 409} == {"sold-out"}
    assert {poll.granted(200)["available"] for poll in seen} <= {0, 1}
    assert await shop.available(product) == 0


async def test_one_product_twice_in_a_basket_counts_as_the_sum(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    """medusa#16502: each line was checked alone, and 6 of 5 units were sold."""
    product = await admin.product(stockQuantity=5)
    before = shop.records()

    answer = await customer.reserve_basket((product, 3), (product, 3))

    assert answer.code == "sold-out"
    assert shop.records() == before
    fitting = (await customer.reserve_basket((product, 3), (product, 2))).granted()
    assert [line["quantity"] for line in fitting["lines"]] == [5]


async def test_baskets_with_the_same_products_in_either_order_all_succeed_and_none_hangs(
    shop: HttpShop, admin: Admin
) -> None:
    """saleor#14649: rows were locked in the order of each basket, and checkouts deadlocked."""
    one, other = [await admin.product(stockQuantity=200) for _ in range(2)]
    baskets = [((one, 1), (other, 1)), ((other, 1), (one, 1))]

    async with asyncio.timeout(20):
        answers = await all_of(
            [each.reserve_basket(*baskets[place % 2]) for place, each in enumerate(shop.customers(400))]
        )

    assert statuses(answers) == {201: 200, 409: 200}
    assert [await shop.available(product) for product in (one, other)] == [0, 0]


@pytest.mark.parametrize("ahead_ms", [5, 0, -5])
async def test_of_confirm_and_expiry_within_5_ms_of_each_other_one_wins(
    shop: HttpShop, admin: Admin, clock: ShopClock, ahead_ms: int
) -> None:
    """saleor#12652: a hold was both confirmed and expired, so its stock was given back although it was sold.

    Here another process sweeps. Its clock is `ahead_ms` ahead of the clock of the process that confirms.
    """
    product = await admin.product(stockQuantity=1_000, holdSeconds=60)
    buyers = shop.customers(1_000)
    held = await shop.hold_for_each(buyers, product)
    over = clock.instant(60)
    clock.advance(59.999)

    async with open_shop(shop.data_dir, clock) as sweeper:
        confirming = [asyncio.create_task(each.confirm(id_)) for each, id_ in zip(buyers, held, strict=True)]
        await asyncio.wait(confirming, return_when=asyncio.FIRST_COMPLETED)
        passing = asyncio.create_task(pass_when(clock, over, confirming, 300))
        while not all(task.done() for task in confirming):
            await sweeper.sweep(ahead_ms=ahead_ms, step_max=25, steps_max=1)
        await passing
    answers = await all_of(confirming)

    final = {item["id"]: item["status"] for item in await admin.reservations(product)}
    told = {200: "CONFIRMED", 410: "EXPIRED"}
    assert {id_: told[answer.status] for id_, answer in zip(held, answers, strict=True)} == final
    counted = Counter(final.values())
    assert counted["CONFIRMED"] > 0
    assert counted["EXPIRED"] > 0
    assert await shop.available(product) == counted["EXPIRED"]


async def pass_when(clock: ShopClock, instant: str, tasks: Sequence["asyncio.Task[HttpAnswer]"], done: int) -> None:
    """Move the clock to the instant once this many tasks are done."""
    for task in asyncio.as_completed(tasks):
        await task
        done -= 1
        if not done:
            clock.move_to(instant)


async def test_cancelling_twice_and_expiring_three_times_returns_the_stock_once(
    fresh_shop: HttpShop, clock: ShopClock
) -> None:
    """woocommerce#22489: each run of the cleanup put the same stock back again."""
    shop, admin, customer = fresh_shop, await fresh_shop.hire(), fresh_shop.customer()
    product = await admin.product(stockQuantity=3, holdSeconds=60)
    cancelled, lapsing = [(await customer.hold(product))["id"] for _ in range(2)]
    assert await shop.available(product) == 1

    twice = await all_of([customer.cancel(cancelled) for _ in range(2)])
    clock.advance(60)
    thrice = await asyncio.gather(*[shop.sweep() for _ in range(3)])

    assert [answer.granted(200)["status"] for answer in twice] == ["CANCELLED"] * 2
    assert sum(thrice) == 1
    assert (await customer.cancel(lapsing)).granted(200)["status"] == "EXPIRED"
    assert await shop.available(product) == 3


async def test_one_key_in_20_parallel_requests_makes_one_hold(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    """saleor#14926: a double click bought twice."""
    product = await admin.product(stockQuantity=100)

    answers = await all_of([customer.reserve(product, key="checkout-1") for _ in range(20)])

    assert statuses(answers) == {201: 20}
    assert len({answer.body for answer in answers}) == 1
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert Counter(answer.headers.get("Idempotent-Replayed") for answer in answers) == {None: 1, "true": 19}
    assert await shop.available(product) == 99


async def test_a_key_that_was_granted_for_one_request_is_refused_for_another(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    """saleor#14926: the second request got the first one's answer."""
    one, other = [await admin.product(stockQuantity=100) for _ in range(2)]
    (await customer.reserve(one, 2, key="k")).granted()

    answers = [await customer.reserve(one, 3, key="k"), await customer.reserve(other, 2, key="k")]

    assert [answer.status for answer in answers] == [422, 422]
    assert {answer.code for answer in answers} == {"key-reused"}
    assert [await shop.available(product) for product in (one, other)] == [98, 100]


async def test_two_keys_at_once_with_a_limit_of_1_make_one_hold(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    """saleor#14926: two tabs got one unit each, though the limit was one."""
    product = await admin.product(stockQuantity=100, perCustomerLimit=1)

    answers = await all_of([customer.reserve(product, key=key) for key in ("one-tab", "other-tab")])

    assert statuses(answers) == {201: 1, 409: 1}
    assert {answer.code for answer in answers if answer.status == 409} == {"limit-reached"}
    assert await shop.available(product) == 99


async def test_a_limit_holds_for_one_large_order_and_for_many_small_ones(shop: HttpShop, admin: Admin) -> None:
    """open-event-server#3806: the limit was checked for each order alone."""
    product = await admin.product(stockQuantity=1_000, perCustomerLimit=10)
    greedy, busy = shop.customers(2)

    at_once = await greedy.reserve(product, 200)
    singly = await all_of([busy.reserve(product) for _ in range(20)])

    assert at_once.code == "limit-reached"
    assert statuses(singly) == {201: 10, 409: 10}
    assert {answer.code for answer in singly if answer.status == 409} == {"limit-reached"}
    assert await shop.available(product) == 990


async def test_a_limit_used_up_by_ones_own_lapsed_hold_is_free_again_before_any_sweep(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    product = await admin.product(stockQuantity=2, perCustomerLimit=1, holdSeconds=60)
    lapsed = await customer.hold(product)
    assert (await customer.reserve(product, key="too-early")).code == "limit-reached"
    clock.advance(60)

    again = (await customer.reserve(product, key="in-time")).granted()

    assert again["status"] == "PENDING"
    assert (await customer.reservation(lapsed["id"]))["status"] == "EXPIRED"
    assert await shop.available(product) == 1


async def test_a_refused_reservation_does_not_prolong_the_hold_before_it(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    """pretix#1575: a failed attempt to add to a cart extended the items in it."""
    product = await admin.product(stockQuantity=1, holdSeconds=60)
    held = await customer.hold(product)
    clock.advance(30)

    refused = await customer.reserve(product, key="more")

    assert refused.code == "sold-out"
    assert (await customer.reservation(held["id"]))["expiresAt"] == held["expiresAt"]


async def test_the_fourth_extension_is_refused_where_three_are_allowed(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    """pretix#1575: carts could be kept forever."""
    product = await admin.product(stockQuantity=1, holdSeconds=60, maxExtensions=3)
    held = await customer.hold(product)
    ends, expected = [held["expiresAt"]], [clock.instant(seconds) for seconds in (60, 90, 120, 150)]
    for _ in range(3):
        clock.advance(30)
        ends.append((await customer.extend(held["id"])).granted(200)["expiresAt"])
    clock.advance(30)

    fourth = await customer.extend(held["id"])

    assert ends == expected
    assert (fourth.status, fourth.code) == (409, "extensions-used-up")
    assert (await customer.reservation(held["id"]))["expiresAt"] == ends[-1]


async def test_a_sale_that_opens_at_10_in_berlin_in_june_opens_at_8_utc(
    shop: HttpShop, admin: Admin, clock: ShopClock
) -> None:
    """woocommerce#20680: sales began an hour off in summer."""
    product = await admin.product(saleStartsAt="2027-06-15T10:00:00+02:00")
    clock.move_to("2027-06-15T07:59:59.999Z")
    customer = shop.customer()

    early = await customer.reserve(product)
    clock.move_to("2027-06-15T08:00:00Z")
    in_time = await customer.reserve(product)

    assert (early.status, early.code) == (403, "not-on-sale")
    assert "2027-06-15T08:00:00.000Z" in early.json["detail"]
    assert in_time.granted()["createdAt"] == "2027-06-15T08:00:00.000Z"


async def test_cancelling_everything_gives_back_the_stock_and_the_customers_allowance(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    """Hi.Events#466: cancelled orders still counted."""
    product = await admin.product(stockQuantity=4, perCustomerLimit=4)
    held = [await customer.hold(product, 2) for _ in range(2)]
    assert (await customer.reserve(product)).status == 409

    for reservation in held:
        (await customer.cancel(reservation["id"])).granted(200)

    assert await shop.available(product) == 4
    assert (await customer.hold(product, 4))["status"] == "PENDING"


async def test_stock_is_not_lowered_below_what_is_taken(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    """medusa#12401: the stock level was set below the reserved quantity."""
    product = await admin.product(stockQuantity=10)
    bought = await customer.hold(product, 2)
    (await customer.confirm(bought["id"])).granted(200)
    await customer.hold(product, 4)
    before = shop.records()

    refused = await admin.restock(product, -5)

    assert (refused.status, refused.code) == (409, "stock-taken")
    assert shop.records() == before
    lowered = (await admin.restock(product, -4)).granted(200)
    assert (lowered["stockQuantity"], lowered["available"]) == (6, 0)


async def test_2500_due_holds_are_all_released_once_in_batches_of_1000(fresh_shop: HttpShop, clock: ShopClock) -> None:
    """saleor PR 18324: holds beyond the first batch stayed, or were released twice."""
    shop, admin = fresh_shop, await fresh_shop.hire()
    product = await admin.product(stockQuantity=2_500, holdSeconds=60)
    await shop.hold_for_each(shop.customers(2_500), product)
    assert await shop.available(product) == 0
    clock.advance(60)

    batches = [await shop.sweep(steps_max=1) for _ in range(4)]

    assert batches == [1_000, 1_000, 500, 0]
    assert await shop.available(product) == 2_500
    assert {item["status"] for item in await admin.reservations(product)} == {"EXPIRED"}


async def test_a_crowd_five_times_the_stock_meets_no_server_error_and_waits_less_than_a_second(tmp_path: Path) -> None:
    """emfcamp#1901: the shop broke down in the first minute. `make demo` rehearses the same at full size."""
    units, arrive_within_s = 100, 2.6
    async with open_shop(tmp_path, SystemClock(), sweeps=True) as shop:
        product = await (await shop.hire()).product(stockQuantity=units)
        crowd = shop.customers(500)

        async def come(place: int, each: HttpCustomer) -> HttpAnswer:
            await asyncio.sleep(place * arrive_within_s / len(crowd))  # Time passes between arrivals.
            return await each.reserve(product)

        answers = await all_of([come(place, each) for place, each in enumerate(crowd)])

        assert statuses(answers) == {201: units, 409: 400}
        assert sorted(answer.took_s for answer in answers)[494] < 1.0
        assert await shop.available(product) == 0


async def test_registering_as_an_admin_is_refused(shop: HttpShop) -> None:
    before = shop.records()

    for role in ("ADMIN", "admin", "customer"):
        body = {"email": "eve@example.com", "password": "long enough", "role": role}
        answer = await shop.ask("POST", "/auth/register", body=body)
        assert (answer.status, answer.fields) == (400, ["role"])

    assert shop.records() == before
