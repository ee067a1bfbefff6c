from datetime import datetime

import pytest
from tests.core.examples import (
    ANN,
    BEN,
    CUP,
    HAT,
    HOLD_MS,
    NOON,
    PEN,
    a_product,
    cancel,
    confirm,
    edit,
    granted,
    reservation_id,
    reserve,
    reserve_basket,
)
from tests.core.shop import CoreShop

from flashreserve.core.model import Line, Reservation, Status, Units
from flashreserve.core.outcomes import KeyReused, LimitReached, NotFound, NotOnSale, Replayed, SoldOut
from flashreserve.core.sale import basket


def test_a_grant_is_a_pending_reservation_on_the_terms_of_the_product() -> None:
    shop = CoreShop(a_product(units=10, price=999, currency="USD", hold_s=60, extensions_max=2))
    assert granted(shop.do(reserve(1, ANN, 3, key="k"))) == Reservation(
        id=reservation_id(1),
        user_id=ANN,
        status=Status.PENDING,
        lines=(Line(CUP, 3, 999, "USD"),),
        created_at=NOON,
        expires_at=NOON + 60_000,
        hold_s=60,
        extensions_max=2,
        key="k",
    )
    assert shop.available(CUP) == 7
    assert shop.product(CUP).stocked == 10


def test_the_last_unit_can_be_had_and_the_one_after_it_cannot() -> None:
    shop = CoreShop(a_product(units=2))
    granted(shop.do(reserve(1)))
    granted(shop.do(reserve(2)))
    assert shop.do(reserve(3)) == SoldOut(CUP, 0)


def test_exactly_what_is_available_can_be_had_at_once() -> None:
    granted(CoreShop(a_product(units=5)).do(reserve(1, quantity=5)))


def test_a_smaller_rest_is_not_handed_out() -> None:
    shop = CoreShop(a_product(units=5))
    assert shop.do(reserve(1, quantity=6)) == SoldOut(CUP, 5)
    assert shop.available(CUP) == 5


def test_a_product_without_stock_is_sold_out() -> None:
    assert CoreShop(a_product(units=0)).do(reserve(1)) == SoldOut(CUP, 0)


def test_an_unknown_product_is_not_found() -> None:
    assert CoreShop(a_product()).do(reserve(1, of=HAT)) == NotFound("product", HAT)


class TestSaleWindow:
    @pytest.mark.parametrize(("at", "on_sale"), [(-1, False), (0, True), (1, True)])
    def test_a_sale_begins_at_its_first_instant(self, at: int, on_sale: bool) -> None:  # noqa: FBT001
        shop = CoreShop(a_product(sale_starts_at=NOON))
        outcome = shop.do(reserve(1), at=NOON + at)
        assert isinstance(outcome, NotOnSale) is not on_sale

    @pytest.mark.parametrize(("at", "on_sale"), [(-1, True), (0, False), (1, False)])
    def test_a_sale_is_over_at_its_last_instant(self, at: int, on_sale: bool) -> None:  # noqa: FBT001
        shop = CoreShop(a_product(sale_ends_at=NOON))
        outcome = shop.do(reserve(1), at=NOON + at)
        assert isinstance(outcome, NotOnSale) is not on_sale

    def test_a_refusal_tells_the_times(self) -> None:
        shop = CoreShop(a_product(sale_starts_at=NOON + 5, sale_ends_at=NOON + 9))
        assert shop.do(reserve(1)) == NotOnSale(CUP, NOON + 5, NOON + 9, retry_after_s=1)

    def test_ten_in_berlin_in_june_is_eight_utc_to_the_millisecond(self) -> None:
        opening = int(datetime.fromisoformat("2027-06-01T10:00:00+02:00").timestamp() * 1000)
        shop = CoreShop(a_product(sale_starts_at=opening))
        a_moment_before = int(datetime.fromisoformat("2027-06-01T07:59:59.999+00:00").timestamp() * 1000)
        on_time = int(datetime.fromisoformat("2027-06-01T08:00:00+00:00").timestamp() * 1000)
        assert shop.do(reserve(1), at=a_moment_before) == NotOnSale(CUP, opening, None, retry_after_s=1)
        assert granted(shop.do(reserve(2), at=on_time)).created_at == on_time

    def test_what_is_held_can_be_bought_after_the_sale(self) -> None:
        shop = CoreShop(a_product(sale_ends_at=NOON + 1))
        granted(shop.do(reserve(1)))
        shop.do(confirm(1), at=NOON + 2)
        assert shop.reservation(1).status is Status.CONFIRMED


class TestOrderOfRefusal:
    """Each product and key here has several reasons for a refusal. The first one in the order is returned."""

    def test_not_found_comes_before_key_reused(self) -> None:
        shop = CoreShop(a_product())
        granted(shop.do(reserve(1, key="k")))
        assert shop.do(reserve(2, of=HAT, key="k")) == NotFound("product", HAT)

    def test_key_reused_comes_before_not_on_sale(self) -> None:
        shop = CoreShop(a_product(), a_product(HAT, sale_ends_at=NOON))
        granted(shop.do(reserve(1, key="k")))
        assert shop.do(reserve(2, of=HAT, key="k")) == KeyReused("k")

    def test_not_on_sale_comes_before_sold_out(self) -> None:
        shop = CoreShop(a_product(units=0, sale_ends_at=NOON))
        assert isinstance(shop.do(reserve(1)), NotOnSale)

    def test_not_on_sale_of_a_later_line_comes_before_sold_out_of_an_earlier_one(self) -> None:
        shop = CoreShop(a_product(units=0), a_product(HAT, sale_ends_at=NOON))
        assert shop.do(reserve_basket(1, {CUP: 1, HAT: 1})) == NotOnSale(HAT, None, NOON)

    def test_sold_out_comes_before_limit_reached(self) -> None:
        shop = CoreShop(a_product(units=1, per_customer_limit=1))
        granted(shop.do(reserve(1)))
        assert shop.do(reserve(2)) == SoldOut(CUP, 0)

    def test_limit_reached_comes_last(self) -> None:
        shop = CoreShop(a_product(units=2, per_customer_limit=1))
        granted(shop.do(reserve(1)))
        assert shop.do(reserve(2)) == LimitReached(CUP, 1)

    def test_a_replay_comes_before_all_of_them(self) -> None:
        shop = CoreShop(a_product(units=1, per_customer_limit=1, sale_ends_at=NOON + 1))
        first = granted(shop.do(reserve(1, key="k")))
        assert shop.do(reserve(2, key="k"), at=NOON + HOLD_MS * 2) == Replayed(first)


class TestBaskets:
    def test_all_lines_are_held_together(self) -> None:
        shop = CoreShop(a_product(CUP, 5), a_product(HAT, 5, price=7))
        held = granted(shop.do(reserve_basket(1, {HAT: 2, CUP: 3})))
        assert held.lines == (Line(CUP, 3, 1_250, "EUR"), Line(HAT, 2, 7, "EUR"))
        assert (shop.available(CUP), shop.available(HAT)) == (2, 3)

    @pytest.mark.parametrize(
        "broken", [a_product(HAT, 1), a_product(HAT, sale_starts_at=NOON + 1), a_product(HAT, per_customer_limit=1)]
    )
    def test_one_line_that_cannot_be_had_refuses_all(self, broken: object) -> None:
        shop = CoreShop(a_product(CUP, 5), broken)  # type: ignore[arg-type]
        before = shop.state()
        assert isinstance(shop.do(reserve_basket(1, {CUP: 1, HAT: 2})), SoldOut | NotOnSale | LimitReached)
        assert shop.state() == before

    def test_one_unknown_product_refuses_all(self) -> None:
        shop = CoreShop(a_product(CUP, 5))
        assert shop.do(reserve_basket(1, {CUP: 1, HAT: 2})) == NotFound("product", HAT)
        assert shop.available(CUP) == 5

    def test_the_same_product_twice_is_summed(self) -> None:
        lines = basket([Units(HAT, 1), Units(CUP, 3), Units(HAT, 2), Units(CUP, 3)])
        assert lines == (Units(CUP, 6), Units(HAT, 3))

    def test_the_order_of_lines_does_not_matter(self) -> None:
        assert basket([Units(HAT, 1), Units(CUP, 1)]) == basket([Units(CUP, 1), Units(HAT, 1)])

    def test_a_basket_is_held_on_the_strictest_terms_of_its_products(self) -> None:
        shop = CoreShop(
            a_product(CUP, hold_s=60, extensions_max=5),
            a_product(HAT, hold_s=30, extensions_max=7),
            a_product(PEN, hold_s=90, extensions_max=1),
        )
        held = granted(shop.do(reserve_basket(1, {CUP: 1, HAT: 1, PEN: 1})))
        assert (held.hold_s, held.extensions_max, held.expires_at) == (30, 1, NOON + 30_000)

    def test_cancelling_gives_back_every_line(self) -> None:
        shop = CoreShop(a_product(CUP, 5), a_product(HAT, 5))
        shop.do(reserve_basket(1, {HAT: 2, CUP: 3}))
        shop.do(cancel(1))
        assert (shop.available(CUP), shop.available(HAT)) == (5, 5)


class TestTermsOfTheGrant:
    def test_a_later_price_does_not_change_what_is_held(self) -> None:
        shop = CoreShop(a_product(price=100))
        granted(shop.do(reserve(1)))
        shop.do(edit(price=200))
        assert shop.reservation(1).lines == (Line(CUP, 1, 100, "EUR"),)
        assert granted(shop.do(reserve(2))).lines == (Line(CUP, 1, 200, "EUR"),)

    def test_a_later_hold_time_does_not_change_what_is_held(self) -> None:
        shop = CoreShop(a_product(hold_s=60))
        granted(shop.do(reserve(1)))
        shop.do(edit(hold_s=5, extensions_max=0))
        held = shop.reservation(1)
        assert (held.hold_s, held.extensions_max, held.expires_at) == (60, 3, NOON + 60_000)


class TestKeys:
    def test_the_same_request_again_is_answered_with_the_first_grant(self) -> None:
        shop = CoreShop(a_product())
        first = granted(shop.do(reserve(1, quantity=2, key="k")))
        assert shop.do(reserve(2, quantity=2, key="k"), at=NOON + 5) == Replayed(first)
        assert shop.available(CUP) == 8

    @pytest.mark.parametrize("later", ["cancelled", "confirmed", "lapsed"])
    def test_a_replay_shows_the_reservation_as_granted_whatever_became_of_it(self, later: str) -> None:
        shop = CoreShop(a_product())
        first = granted(shop.do(reserve(1, key="k")))
        if later != "lapsed":
            shop.do(cancel(1) if later == "cancelled" else confirm(1))
        assert shop.do(reserve(2, key="k"), at=NOON + HOLD_MS) == Replayed(first)

    @pytest.mark.parametrize(
        "other",
        [
            reserve(2, quantity=2, key="k"),
            reserve(2, of=HAT, key="k"),
            reserve_basket(2, {CUP: 1, HAT: 1}, key="k"),
        ],
    )
    def test_another_request_under_the_key_is_refused(self, other: object) -> None:
        shop = CoreShop(a_product(), a_product(HAT))
        granted(shop.do(reserve(1, key="k")))
        before = shop.state()
        assert shop.do(other) == KeyReused("k")  # type: ignore[arg-type]
        assert shop.state() == before

    def test_a_basket_is_the_same_request_however_its_lines_are_written(self) -> None:
        shop = CoreShop(a_product(), a_product(HAT))
        first = granted(shop.do(reserve_basket(1, {CUP: 1, HAT: 2}, key="k")))
        assert shop.do(reserve_basket(2, {HAT: 2, CUP: 1}, key="k")) == Replayed(first)

    def test_a_key_belongs_to_one_customer(self) -> None:
        shop = CoreShop(a_product())
        granted(shop.do(reserve(1, ANN, key="k")))
        granted(shop.do(reserve(2, BEN, key="k")))

    def test_only_a_grant_binds_a_key(self) -> None:
        shop = CoreShop(a_product(units=1))
        assert isinstance(shop.do(reserve(1, quantity=2, key="k")), SoldOut)
        granted(shop.do(reserve(2, quantity=1, key="k")))

    def test_the_same_key_twice_in_one_flush_is_one_hold(self) -> None:
        shop = CoreShop(a_product())
        first, again, other = shop.flush(reserve(1, key="k"), reserve(2, key="k"), reserve(3, quantity=2, key="k"))
        assert again == Replayed(granted(first))
        assert other == KeyReused("k")
        assert shop.available(CUP) == 9

    def test_without_a_key_the_same_request_is_another_one(self) -> None:
        shop = CoreShop(a_product())
        granted(shop.do(reserve(1)))
        granted(shop.do(reserve(2)))
