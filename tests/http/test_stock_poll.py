"""The stock poll: its figure is never older than 250 ms, even if another process sells."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.http.shop import Admin, HttpAnswer, HttpCustomer, HttpShop, ShopClock, all_of, ms, new_key, open_shop

from flashreserve.stock_view import STALE_AFTER_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d4e"


class Pair:
    """Two processes on one file. The first one reads the database only when the test tells it to."""

    def __init__(self, clock: ShopClock, here: HttpShop, there: HttpShop) -> None:
        self.clock = clock
        self.here = here
        self.there = there


@pytest_asyncio.fixture(loop_scope="module")
async def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    clock = ShopClock(frozen=True)

    async def look_away() -> int:
        return 0

    async with open_shop(tmp_path, clock) as here, open_shop(tmp_path, clock) as there:
        monkeypatch.setattr(here.core.books.view, "refresh", look_away)
        yield Pair(clock, here, there)


async def poll(shop: HttpShop, product: str, **headers: str) -> HttpAnswer:
    return await shop.ask("GET", f"/products/{product}/stock", headers=headers)


async def test_a_poll_says_how_much_there_is_and_when_that_was(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    product = await admin.product(stockQuantity=10)
    await customer.hold(product, 3)

    answer = await poll(shop, product)

    assert answer.granted(200) == {"productId": product, "available": 7, "asOf": clock.instant()}
    assert answer.headers["Cache-Control"] == "no-cache"


async def test_of_a_product_that_there_is_not_there_is_no_stock(shop: HttpShop) -> None:
    assert (await poll(shop, UNKNOWN)).code == "not-found"


async def test_a_client_that_has_the_figure_gets_304_without_a_body(shop: HttpShop, admin: Admin) -> None:
    product = await admin.product()
    tag = (await poll(shop, product)).headers["ETag"]
    strong = tag.removeprefix("W/")

    for known in (tag, strong, f'"other", {tag}', "*"):
        answer = await poll(shop, product, **{"If-None-Match": known})
        assert (answer.status, answer.body) == (304, b""), known
        assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == (tag, "no-cache")
    for unknown in ('"other"', "", strong.strip('"') + "0"):
        assert (await poll(shop, product, **{"If-None-Match": unknown})).status == 200, unknown


async def test_a_tag_counts_in_whichever_line_of_if_none_match_it_stands(shop: HttpShop, admin: Admin) -> None:
    product = await admin.product()
    tag = (await poll(shop, product)).headers["ETag"]
    lines = (f"If-None-Match: {tag}", 'If-None-Match: "other"')
    client = await shop.connect()

    for order in (lines, lines[::-1]):
        assert (await client.get(f"/products/{product}/stock", *order)).status == 304
    assert (await client.get(f"/products/{product}/stock", lines[1], lines[1])).status == 200
    await client.close()


async def test_each_change_of_stock_is_seen_within_250_ms_under_another_tag(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product = await admin.product(stockQuantity=10)
    tags = [(await poll(shop, product)).headers["ETag"]]

    async def seen_next() -> int:
        """The figure after the last one. A poll sent 250 ms after the change must show it."""
        changed_s = time.monotonic()
        while True:
            late = time.monotonic() - changed_s > STALE_AFTER_S
            answer = await poll(shop, product, **{"If-None-Match": tags[-1]})
            if answer.status == 200:
                tags.append(answer.headers["ETag"])
                return int(answer.json["available"])
            assert not late

    held = await customer.hold(product, 2)
    assert await seen_next() == 8
    (await customer.cancel(held["id"])).granted(200)
    assert await seen_next() == 10
    (await admin.restock(product, 5)).granted(200)
    assert await seen_next() == 15


async def test_a_poll_is_never_older_than_250_ms_while_another_process_sells(
    shop: HttpShop, admin: Admin, clock: ShopClock
) -> None:
    product = await admin.product(stockQuantity=10)
    async with open_shop(shop.data_dir, clock) as elsewhere:
        for left in range(9, 3, -1):
            await elsewhere.customer().hold(product)
            sold_s = time.monotonic()
            while True:
                asked_s = time.monotonic()
                if (await poll(shop, product)).granted(200)["available"] == left:
                    break
                assert asked_s - sold_s <= STALE_AFTER_S


async def test_a_figure_is_served_from_memory_for_250_ms_and_never_longer(pair: Pair) -> None:
    product = await (await pair.here.hire()).product(stockQuantity=10)
    first = await poll(pair.here, product)
    await pair.there.customer().hold(product)

    pair.clock.advance(0.25)
    in_time = await poll(pair.here, product)
    pair.clock.advance(0.001)
    late = await poll(pair.here, product)

    assert [answer.granted(200)["available"] for answer in (first, in_time, late)] == [10, 10, 9]
    assert ms(in_time.json["asOf"]) == ms(first.json["asOf"])
    assert ms(late.json["asOf"]) == ms(first.json["asOf"]) + 251


async def test_while_the_database_is_away_no_figure_older_than_250_ms_is_served(pair: Pair) -> None:
    product = await (await pair.here.hire()).product()
    (await poll(pair.here, product)).granted(200)
    pair.here.store.away = True

    pair.clock.advance(0.25)
    in_time = await poll(pair.here, product)
    pair.clock.advance(0.001)
    late = await poll(pair.here, product)

    assert in_time.status == 200
    assert (late.status, late.code, late.headers["Retry-After"]) == (503, "unavailable", "1")


async def test_what_is_known_to_be_sold_out_closed_or_paused_is_refused_without_the_database(pair: Pair) -> None:
    admin, customer = await pair.here.hire(), pair.here.customer()
    sold_out = await admin.product(stockQuantity=0)
    closed = await admin.product(saleEndsAt="2020-01-01T00:00:00Z")
    paused = await admin.product()
    (await admin.ask("POST", f"/products/{paused}/pause", body={"reason": "a fault"})).granted(200)
    refused = (sold_out, closed, paused)
    # Requests with a key are decided by the database.
    first = [await customer.reserve(product, key="k") for product in refused]
    flushes = pair.here.store.flushes

    again = [await customer.reserve(product) for product in refused]
    basket = await customer.reserve_basket((sold_out, 1), (closed, 1))

    assert [answer.code for answer in first] == ["sold-out", "not-on-sale", "sale-paused"]
    assert [answer.body for answer in first] == [answer.body for answer in again]
    assert {answer.headers["Retry-After"] for answer in (first[2], again[2])} == {"30"}
    assert basket.code == "not-on-sale"
    assert pair.here.store.flushes == flushes


async def test_a_key_is_looked_up_even_where_all_is_known_to_be_sold_out(pair: Pair) -> None:
    customer = pair.here.customer()
    product = await (await pair.here.hire()).product(stockQuantity=1)
    original = await customer.reserve(product, key="k")
    assert (await customer.reserve(product)).code == "sold-out"

    assert (await customer.reserve(product, key="k")).body == original.body
    assert (await customer.reserve(product, 2, key="k")).code == "key-reused"


async def test_nobody_is_refused_by_a_figure_older_than_250_ms(pair: Pair) -> None:
    admin, customer = await pair.here.hire(), pair.here.customer()
    product = await admin.product(stockQuantity=0)
    assert (await customer.reserve(product)).code == "sold-out"
    (await admin.at(pair.there).restock(product, 1)).granted(200)

    pair.clock.advance(0.25)
    in_time = await customer.reserve(product)
    pair.clock.advance(0.001)
    late = await customer.reserve(product)

    assert in_time.code == "sold-out"
    assert late.status == 201


async def test_limits_and_keys_hold_across_processes_on_one_file(pair: Pair) -> None:
    product = await (await pair.here.hire()).product(stockQuantity=100, perCustomerLimit=3)
    customer = pair.here.customer()
    both = (customer, customer.at(pair.there))

    keyed = await all_of([each.reserve(product, key="k") for _ in range(10) for each in both])
    others = await all_of([each.reserve(product, key=new_key()) for _ in range(10) for each in both])

    assert len({answer.granted()["id"] for answer in keyed}) == 1
    assert sorted(answer.status for answer in others) == [201] * 2 + [409] * 18
    assert await pair.there.available(product) == 97


async def test_two_processes_on_one_file_sell_each_unit_once(pair: Pair) -> None:
    product = await (await pair.here.hire()).product(stockQuantity=100)

    answers = await all_of([each.reserve(product) for shop in (pair.here, pair.there) for each in shop.customers(100)])

    assert sorted(answer.status for answer in answers) == [201] * 100 + [409] * 100
    assert await pair.here.available(product) == await pair.there.available(product) == 0
