from typing import Any

import pytest
from msgspec.structs import replace
from tests.core.examples import (
    ADMIN,
    BEN,
    CUP,
    HAT,
    NOON,
    a_product,
    cancel,
    confirm,
    edit,
    granted,
    reserve,
    reserve_basket,
    restock,
)
from tests.core.shop import CoreShop

from flashreserve.core import limits
from flashreserve.core.commands import Command
from flashreserve.core.model import Adjustment
from flashreserve.core.outcomes import (
    Edited,
    Invalid,
    KeyReused,
    LimitReached,
    NotFound,
    NotOnSale,
    Restocked,
    RulesFixed,
    SoldOut,
    StockTaken,
)


class TestRestocking:
    def test_units_come_on_top_of_stocked_and_available(self) -> None:
        shop = CoreShop(a_product(units=3))
        granted(shop.do(reserve(1)))
        assert shop.do(restock(5, "delivery")) == Restocked(Adjustment(CUP, "delivery", 5, ADMIN, NOON, 8, 7))
        product = shop.product(CUP)
        assert (product.stocked, product.available, product.updated_at) == (8, 7, NOON)

    def test_it_is_no_edit_of_the_rules(self) -> None:
        shop = CoreShop(a_product())
        shop.do(restock(5))
        assert shop.product(CUP).rev == 1

    def test_what_is_free_can_be_taken_out_and_no_more(self) -> None:
        shop = CoreShop(a_product(units=10))
        shop.flush(reserve(1, quantity=2), reserve(2, BEN, quantity=3))
        shop.do(confirm(1))
        before = shop.state()
        assert shop.do(restock(-6, "too many")) == StockTaken(CUP, 5)
        assert shop.state() == before
        assert isinstance(shop.do(restock(-5, "all that is free")), Restocked)
        assert (shop.product(CUP).stocked, shop.available(CUP)) == (5, 0)

    def test_the_same_change_under_the_same_key_is_made_once(self) -> None:
        shop = CoreShop(a_product())
        first = shop.do(restock(5, "k"))
        assert isinstance(first, Restocked)
        shop.do(reserve(1))
        assert shop.do(restock(5, "k"), at=NOON + 9) == Restocked(first.adjustment, replayed=True)
        assert shop.product(CUP).stocked == 15

    def test_a_replay_comes_before_what_would_be_refused_now(self) -> None:
        shop = CoreShop(a_product(units=10))
        first = shop.do(restock(-10, "k"))
        assert isinstance(first, Restocked)
        assert shop.do(restock(-10, "k")) == Restocked(first.adjustment, replayed=True)

    def test_another_change_under_the_same_key_is_refused(self) -> None:
        shop = CoreShop(a_product())
        shop.do(restock(5, "k"))
        assert shop.do(restock(6, "k")) == KeyReused("k")
        assert shop.product(CUP).stocked == 15

    def test_a_refused_change_binds_no_key(self) -> None:
        shop = CoreShop(a_product(units=1))
        shop.do(restock(-2, "k"))
        assert isinstance(shop.do(restock(2, "k")), Restocked)

    def test_each_product_has_keys_of_its_own(self) -> None:
        shop = CoreShop(a_product(), a_product(HAT))
        shop.do(restock(1, "k"))
        assert isinstance(shop.do(restock(2, "k", of=HAT)), Restocked)

    def test_the_same_key_twice_in_one_flush_is_one_change(self) -> None:
        shop = CoreShop(a_product())
        first, again, other = shop.flush(restock(5, "k"), restock(5, "k"), restock(6, "k"))
        assert isinstance(first, Restocked)
        assert again == Restocked(first.adjustment, replayed=True)
        assert other == KeyReused("k")
        assert shop.product(CUP).stocked == 15

    def test_stock_can_grow_up_to_its_bound(self) -> None:
        shop = CoreShop(a_product(units=limits.STOCK_MAX - 5))
        outcome = shop.do(restock(6, "one too many"))
        assert isinstance(outcome, Invalid)
        assert outcome.field == "change"
        assert "at most 5" in outcome.message
        assert isinstance(shop.do(restock(5, "just right")), Restocked)
        assert shop.product(CUP).stocked == limits.STOCK_MAX

    def test_an_unknown_product_is_not_found(self) -> None:
        assert CoreShop().do(restock(1)) == NotFound("product", CUP)


class TestEditing:
    def test_what_is_given_changes_and_the_rest_stays(self) -> None:
        shop = CoreShop(a_product())
        before = shop.product(CUP)
        outcome = shop.do(edit(name="Mug", price=5, sale_starts_at=NOON + 1))
        after = shop.product(CUP)
        assert outcome == Edited(after)
        expected = a_product(name="Mug", price=5, sale_starts_at=NOON + 1, updated_at=NOON, rev=before.rev + 1)
        assert after == replace(expected, trail_n=before.trail_n + 1)

    def test_a_field_can_be_emptied(self) -> None:
        shop = CoreShop(a_product(sale_starts_at=NOON + 1, sale_ends_at=NOON + 2))
        assert isinstance(shop.do(reserve(1)), NotOnSale)
        shop.do(edit(sale_starts_at=None))
        assert shop.product(CUP).sale_starts_at is None
        assert shop.product(CUP).sale_ends_at == NOON + 2
        granted(shop.do(reserve(2)))

    @pytest.mark.parametrize("command", [edit(), edit(name="Cup", price=1_250)])
    def test_an_edit_that_changes_nothing_leaves_the_product_as_it_is(self, command: Command) -> None:
        shop = CoreShop(a_product())
        assert shop.do(command) == Edited(a_product())
        assert shop.product(CUP) == a_product()

    @pytest.mark.parametrize("reason", [None, "a fault"])
    def test_a_repeated_pause_or_resumption_only_raises_rev(self, reason: str | None) -> None:
        shop = CoreShop(a_product(pause_reason=reason))
        before = shop.product(CUP)
        shop.do(edit(pause_reason=reason))
        assert shop.product(CUP) == replace(before, rev=before.rev + 1)

    def test_updated_at_never_goes_back(self) -> None:
        shop = CoreShop(a_product(updated_at=NOON + 100))
        shop.do(edit(price=1))
        shop.do(restock(1))
        assert shop.product(CUP).updated_at == NOON + 100

    @pytest.mark.parametrize(
        "window", [{"sale_starts_at": 10, "sale_ends_at": 10}, {"sale_starts_at": 11, "sale_ends_at": 10}]
    )
    def test_a_sale_has_to_end_after_it_starts(self, window: dict[str, Any]) -> None:
        shop = CoreShop(a_product())
        outcome = shop.do(edit(**window))
        assert isinstance(outcome, Invalid)
        assert outcome.field == "sale_ends_at"
        assert shop.product(CUP) == a_product()

    def test_the_new_end_is_held_against_the_start_that_stays(self) -> None:
        shop = CoreShop(a_product(sale_starts_at=NOON))
        assert isinstance(shop.do(edit(sale_ends_at=NOON)), Invalid)
        assert isinstance(shop.do(edit(sale_ends_at=NOON + 1)), Edited)
        assert isinstance(shop.do(edit(sale_starts_at=NOON + 1)), Invalid)

    def test_an_edit_leaves_stock_alone(self) -> None:
        shop = CoreShop(a_product(units=10))
        shop.do(reserve(1, quantity=4))
        shop.do(edit(price=1))
        assert (shop.product(CUP).stocked, shop.available(CUP)) == (10, 6)

    def test_edits_in_one_flush_build_on_each_other(self) -> None:
        shop = CoreShop(a_product())
        shop.flush(edit(price=1), edit(name="Mug"))
        product = shop.product(CUP)
        assert (product.price, product.name, product.rev) == (1, "Mug", 3)

    def test_an_unknown_product_is_not_found(self) -> None:
        assert CoreShop().do(edit(price=1)) == NotFound("product", CUP)


class TestChangingTheLimit:
    @pytest.mark.parametrize(("old", "new"), [(None, 2), (2, 1), (2, 3), (2, None)])
    def test_before_any_reservation_it_can_become_anything(self, old: int | None, new: int | None) -> None:
        shop = CoreShop(a_product(per_customer_limit=old))
        assert isinstance(shop.do(edit(per_customer_limit=new)), Edited)
        assert shop.product(CUP).per_customer_limit == new

    @pytest.mark.parametrize(("old", "new"), [(None, 2), (2, 1), (2, None)])
    @pytest.mark.parametrize("state", ["held", "bought", "given back"])
    def test_after_a_reservation_it_can_only_be_raised(self, old: int | None, new: int | None, state: str) -> None:
        shop = CoreShop(a_product(per_customer_limit=old))
        granted(shop.do(reserve(1)))
        if state != "held":
            shop.do(confirm(1) if state == "bought" else cancel(1))
        outcome = shop.do(edit(per_customer_limit=new, price=1))
        assert isinstance(outcome, RulesFixed)
        assert outcome.field == "per_customer_limit"
        assert (shop.product(CUP).per_customer_limit, shop.product(CUP).price) == (old, 1_250)

    def test_after_a_reservation_it_can_be_raised(self) -> None:
        shop = CoreShop(a_product(per_customer_limit=1))
        granted(shop.do(reserve(1)))
        assert isinstance(shop.do(edit(per_customer_limit=2)), Edited)
        granted(shop.do(reserve(2)))
        assert shop.do(reserve(3)) == LimitReached(CUP, 2)

    def test_other_rules_stay_open_after_a_reservation(self) -> None:
        shop = CoreShop(a_product(per_customer_limit=1))
        granted(shop.do(reserve(1)))
        assert isinstance(shop.do(edit(per_customer_limit=1, price=5, sale_ends_at=NOON + 1)), Edited)

    @pytest.mark.parametrize(("old", "new"), [(None, 1), (3, 1)])
    def test_a_reservation_in_the_same_flush_fixes_it_too(self, old: int | None, new: int) -> None:
        shop = CoreShop(a_product(per_customer_limit=old))
        outcome, _ = shop.flush(edit(per_customer_limit=new), reserve(1, quantity=3))
        assert isinstance(outcome, RulesFixed)
        assert shop.product(CUP).per_customer_limit == old

    def test_a_basket_fixes_it_for_each_of_its_products(self) -> None:
        shop = CoreShop(a_product(), a_product(HAT))
        granted(shop.do(reserve_basket(1, {CUP: 1, HAT: 1})))
        assert isinstance(shop.do(edit(HAT, per_customer_limit=1)), RulesFixed)

    def test_a_refused_reservation_does_not_fix_it(self) -> None:
        shop = CoreShop(a_product(units=0))
        assert isinstance(shop.do(reserve(1)), SoldOut)
        assert isinstance(shop.do(edit(per_customer_limit=1)), Edited)


@pytest.mark.parametrize("changes", [{"price": 1}, {"sale_ends_at": NOON}, {"hold_s": 1}, {"extensions_max": 0}])
def test_each_edit_counts_as_a_revision(changes: dict[str, Any]) -> None:
    shop = CoreShop(a_product())
    shop.do(edit(**changes))
    assert shop.product(CUP).rev == 2
