import pytest
from tests.core.examples import (
    ANN,
    BEN,
    CUP,
    HAT,
    HOLD_MS,
    NOON,
    a_product,
    cancel,
    confirm,
    edit,
    expire,
    give_back,
    granted,
    reserve,
    reserve_basket,
)
from tests.core.shop import CoreShop

from flashreserve.core import rules
from flashreserve.core.effects import ReturnEffect
from flashreserve.core.facts import Facts, limit_claim
from flashreserve.core.model import Status
from flashreserve.core.outcomes import Confirmed, LimitReached, Replayed

LAPSED = NOON + HOLD_MS


def test_a_customer_can_have_as_many_units_as_the_limit() -> None:
    shop = CoreShop(a_product(per_customer_limit=3))
    granted(shop.do(reserve(1, quantity=3)))
    assert shop.do(reserve(2)) == LimitReached(CUP, 3)


def test_more_units_at_once_than_the_limit_are_refused() -> None:
    shop = CoreShop(a_product(per_customer_limit=3))
    assert shop.do(reserve(1, quantity=4)) == LimitReached(CUP, 3)
    assert shop.available(CUP) == 10


def test_holds_and_purchases_count_together() -> None:
    shop = CoreShop(a_product(per_customer_limit=3))
    granted(shop.do(reserve(1)))
    shop.do(confirm(1))
    granted(shop.do(reserve(2)))
    assert shop.do(reserve(3, quantity=2)) == LimitReached(CUP, 3)
    granted(shop.do(reserve(4)))
    assert shop.do(reserve(5)) == LimitReached(CUP, 3)


def test_purchases_count_forever() -> None:
    shop = CoreShop(a_product(per_customer_limit=1))
    granted(shop.do(reserve(1)))
    shop.do(confirm(1))
    assert shop.do(reserve(2), at=NOON + 1_000 * HOLD_MS) == LimitReached(CUP, 1)


def test_each_customer_has_the_limit_of_their_own() -> None:
    shop = CoreShop(a_product(per_customer_limit=1))
    granted(shop.do(reserve(1, ANN)))
    granted(shop.do(reserve(2, BEN)))


def test_each_product_has_a_limit_of_its_own() -> None:
    shop = CoreShop(a_product(CUP, per_customer_limit=1), a_product(HAT, per_customer_limit=2))
    granted(shop.do(reserve_basket(1, {CUP: 1, HAT: 1})))
    assert shop.do(reserve_basket(2, {CUP: 1, HAT: 1})) == LimitReached(CUP, 1)
    granted(shop.do(reserve(3, of=HAT)))


def test_a_basket_uses_up_the_limits_of_all_its_products() -> None:
    shop = CoreShop(a_product(CUP, per_customer_limit=2), a_product(HAT))
    granted(shop.do(reserve_basket(1, {CUP: 2, HAT: 5})))
    assert shop.do(reserve(2)) == LimitReached(CUP, 2)
    granted(shop.do(reserve(3, of=HAT)))


def test_cancelling_gives_the_allowance_back() -> None:
    shop = CoreShop(a_product(per_customer_limit=2))
    granted(shop.do(reserve(1, quantity=2)))
    shop.do(cancel(1))
    granted(shop.do(reserve(2, quantity=2)))
    assert shop.do(reserve(3)) == LimitReached(CUP, 2)


def test_expiry_gives_the_allowance_back() -> None:
    shop = CoreShop(a_product(per_customer_limit=2))
    granted(shop.do(reserve(1, quantity=2)))
    shop.do(expire(1), at=LAPSED)
    granted(shop.do(reserve(2, quantity=2), at=LAPSED))


def test_units_given_back_leave_the_others_counted() -> None:
    shop = CoreShop(a_product(per_customer_limit=3))
    for number in (1, 2, 3):
        granted(shop.do(reserve(number)))
    shop.do(cancel(2))
    granted(shop.do(reserve(4)))
    assert shop.do(reserve(5)) == LimitReached(CUP, 3)


class TestOwnLapsedHolds:
    def test_they_free_the_limit_without_a_sweep(self) -> None:
        shop = CoreShop(a_product(per_customer_limit=1))
        granted(shop.do(reserve(1)))
        assert shop.do(reserve(2), at=LAPSED - 1) == LimitReached(CUP, 1)
        granted(shop.do(reserve(3), at=LAPSED))

    def test_they_are_released_by_the_grant(self) -> None:
        shop = CoreShop(a_product(CUP, per_customer_limit=1), a_product(HAT))
        granted(shop.do(reserve_basket(1, {CUP: 1, HAT: 4})))
        granted(shop.do(reserve(2), at=LAPSED))
        held = shop.reservation(1)
        assert (held.status, held.released_at) == (Status.EXPIRED, LAPSED)
        assert (shop.available(CUP), shop.available(HAT)) == (9, 10)

    def test_they_stay_as_they_are_when_the_limit_is_reached_all_the_same(self) -> None:
        shop = CoreShop(a_product(per_customer_limit=2))
        granted(shop.do(reserve(1)))
        granted(shop.do(reserve(2)))
        shop.do(confirm(2))
        before = shop.state()
        assert shop.do(reserve(3, quantity=2), at=LAPSED) == LimitReached(CUP, 2)
        assert shop.state() == before

    def test_several_make_room_together(self) -> None:
        shop = CoreShop(a_product(per_customer_limit=3))
        for number in (1, 2, 3):
            granted(shop.do(reserve(number)))
        granted(shop.do(reserve(4, quantity=3), at=LAPSED))
        assert shop.available(CUP) == 7

    def test_one_that_blocks_two_products_is_released_once(self) -> None:
        shop = CoreShop(a_product(CUP, per_customer_limit=1), a_product(HAT, per_customer_limit=1))
        granted(shop.do(reserve_basket(1, {CUP: 1, HAT: 1})))
        granted(shop.do(reserve_basket(2, {CUP: 1, HAT: 1}), at=LAPSED))
        assert (shop.available(CUP), shop.available(HAT)) == (9, 9)

    def test_their_stock_goes_to_those_who_were_sold_out_in_the_same_flush(self) -> None:
        shop = CoreShop(a_product(CUP, 2, per_customer_limit=1), a_product(HAT, 5))
        granted(shop.do(reserve_basket(1, {CUP: 1, HAT: 5})))
        sold_out_before, _ = shop.flush(reserve(2, BEN, of=HAT), reserve(3, ANN), at=LAPSED)
        granted(sold_out_before)

    def test_their_key_is_still_bound(self) -> None:
        shop = CoreShop(a_product(per_customer_limit=1))
        first = granted(shop.do(reserve(1, key="k")))
        granted(shop.do(reserve(2), at=LAPSED))
        assert shop.do(reserve(3, key="k"), at=LAPSED) == Replayed(first)


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_raised_limit_counts_what_the_customer_already_has(confirmed: bool) -> None:  # noqa: FBT001
    shop = CoreShop(a_product(per_customer_limit=2))
    granted(shop.do(reserve(1, quantity=2)))
    if confirmed:
        shop.do(confirm(1))
    shop.do(edit(per_customer_limit=3))
    assert shop.do(reserve(2, quantity=2)) == LimitReached(CUP, 3)
    granted(shop.do(reserve(3)))
    assert shop.do(reserve(4)) == LimitReached(CUP, 3)


def test_limit_ten_refuses_two_hundred_and_gives_exactly_ten_of_twenty_singles() -> None:
    shop = CoreShop(a_product(units=1_000, per_customer_limit=10))
    assert shop.do(reserve(1, quantity=200)) == LimitReached(CUP, 10)
    outcomes = shop.flush(*[reserve(number) for number in range(2, 22)])
    assert outcomes[10:] == [LimitReached(CUP, 10)] * 10
    assert shop.available(CUP) == 990


@pytest.mark.parametrize("limit_as_read", [1, 11, 12])
def test_a_return_frees_claims_of_the_highest_units_even_if_the_product_was_read_before_a_raise(
    limit_as_read: int,
) -> None:
    shop = CoreShop(a_product(units=20, per_customer_limit=12))
    held = granted(shop.do(reserve(1, quantity=12)))
    confirmed = shop.do(confirm(1))
    assert isinstance(confirmed, Confirmed)
    facts = Facts(
        products={CUP: a_product(units=20, per_customer_limit=limit_as_read)},
        reservations={held.id: confirmed.reservation},
        claims={(ANN, limit_claim(CUP, unit)): held.id for unit in range(12)},
    )
    (effect,) = rules.plan(facts, [give_back(1, {CUP: 3})], NOON).effects
    assert isinstance(effect, ReturnEffect)
    assert sorted(effect.claims) == [limit_claim(CUP, 10), limit_claim(CUP, 11), limit_claim(CUP, 9)]
