import pytest
from tests.core.examples import (
    ANN,
    BEN,
    CUP,
    HOLD_MS,
    NOON,
    a_product,
    cancel,
    confirm,
    edit,
    expire,
    extend,
    granted,
    reservation_id,
    reserve,
    restock,
)
from tests.core.shop import CoreShop

from flashreserve.core.commands import Command
from flashreserve.core.effects import (
    ConfirmEffect,
    EditEffect,
    ExtendEffect,
    ReleaseEffect,
    ReserveEffect,
    RestockEffect,
)
from flashreserve.core.facts import Facts, idempotency_claim, limit_claim
from flashreserve.core.model import BY_CUSTOMER, Status
from flashreserve.core.outcomes import (
    Confirmed,
    Edited,
    Expired,
    Extended,
    KeyReused,
    NotOnSale,
    Released,
    Replayed,
    Restocked,
    SoldOut,
)
from flashreserve.core.rules import plan

LAPSED = NOON + HOLD_MS


def test_nothing_to_do_comes_to_nothing() -> None:
    assert CoreShop(a_product()).flush() == []


def test_outcomes_stand_in_the_order_of_the_commands() -> None:
    shop = CoreShop(a_product())
    shop.flush(reserve(1), reserve(2), reserve(3))
    outcomes = shop.flush(
        edit(price=1), restock(1), cancel(1), confirm(2), extend(3), reserve(4), reserve(5, quantity=99)
    )
    assert [type(outcome).__name__ for outcome in outcomes] == [
        *("Edited", "Restocked", "Released", "Confirmed", "Extended", "Reserved", "SoldOut")
    ]


def test_within_a_kind_the_first_to_arrive_is_served_first() -> None:
    shop = CoreShop(a_product(units=2))
    first, second, third = shop.flush(reserve(9, BEN), reserve(1), reserve(5))
    granted(first)
    granted(second)
    assert third == SoldOut(CUP, 0)


def test_grants_go_by_arrival_to_each_that_still_fits() -> None:
    shop = CoreShop(a_product(units=5))
    outcomes = shop.flush(reserve(1, quantity=3), reserve(2, quantity=3), reserve(3, quantity=2), reserve(4))
    assert [type(outcome).__name__ for outcome in outcomes] == ["Reserved", "SoldOut", "Reserved", "SoldOut"]
    assert outcomes[1] == SoldOut(CUP, 2)
    assert outcomes[3] == SoldOut(CUP, 0)


class TestOrderOfKinds:
    def test_a_hold_can_be_extended_and_bought_in_the_flush_that_grants_it(self) -> None:
        shop = CoreShop(a_product())
        bought, extended, held = shop.flush(confirm(1), extend(1), reserve(1))
        assert granted(held).status is Status.PENDING
        assert isinstance(extended, Extended)
        assert isinstance(bought, Confirmed)
        assert bought.reservation.extensions == 1

    def test_an_extension_comes_before_a_purchase(self) -> None:
        shop = CoreShop(a_product())
        shop.do(reserve(1))
        bought, extended = shop.flush(confirm(1), extend(1))
        assert isinstance(extended, Extended)
        assert isinstance(bought, Confirmed)

    def test_a_purchase_comes_before_a_cancellation(self) -> None:
        shop = CoreShop(a_product())
        shop.do(reserve(1))
        _, bought = shop.flush(cancel(1), confirm(1))
        assert isinstance(bought, Confirmed)
        assert shop.reservation(1).status is Status.CONFIRMED

    def test_confirm_and_expire_at_the_same_instant_have_one_winner(self) -> None:
        shop = CoreShop(a_product())
        shop.do(reserve(1))
        swept, late = shop.flush(expire(1), confirm(1), at=LAPSED)
        assert late == Expired(reservation_id(1), LAPSED)
        assert not isinstance(swept, Released)
        assert shop.available(CUP) == 10


class TestSecondTry:
    @pytest.mark.parametrize(
        "refund", [cancel(1), restock(1)], ids=["cancelled in the same flush", "restocked in the same flush"]
    )
    def test_sold_out_commands_are_tried_again_when_units_came_back(self, refund: Command) -> None:
        shop = CoreShop(a_product(units=1))
        granted(shop.do(reserve(1)))
        first, second, _ = shop.flush(reserve(2, BEN), reserve(3, BEN), refund)
        granted(first)
        assert second == SoldOut(CUP, 0)
        assert shop.available(CUP) == 0

    @pytest.mark.parametrize("finder", [expire(1), confirm(1), extend(1), cancel(1)])
    def test_they_get_what_a_lapsed_hold_gives_back(self, finder: Command) -> None:
        shop = CoreShop(a_product(units=1))
        granted(shop.do(reserve(1)))
        outcome, _ = shop.flush(reserve(2, BEN), finder, at=LAPSED)
        granted(outcome)

    def test_what_came_back_goes_by_arrival_to_each_that_fits(self) -> None:
        shop = CoreShop(a_product(units=3))
        granted(shop.do(reserve(1, quantity=3)))
        *outcomes, _ = shop.flush(reserve(2, BEN, 2), reserve(3, BEN, 2), reserve(4, BEN), reserve(5, BEN), cancel(1))
        assert [type(outcome).__name__ for outcome in outcomes] == ["Reserved", "SoldOut", "Reserved", "SoldOut"]

    def test_nothing_is_tried_again_when_stock_was_taken_out(self) -> None:
        shop = CoreShop(a_product(units=1))
        outcome, _ = shop.flush(reserve(1, quantity=2), restock(-1))
        assert outcome == SoldOut(CUP, 1)

    def test_the_second_try_answers_what_is_true_then(self) -> None:
        shop = CoreShop(a_product(units=2))
        granted(shop.do(reserve(1)))
        outcome, _ = shop.flush(reserve(2, quantity=3), cancel(1))
        assert outcome == SoldOut(CUP, 2)

    def test_a_rule_edited_in_the_same_flush_holds_for_the_second_try(self) -> None:
        shop = CoreShop(a_product(units=1))
        granted(shop.do(reserve(1)))
        outcome, _, _ = shop.flush(reserve(2), cancel(1), edit(sale_ends_at=NOON))
        assert outcome == NotOnSale(CUP, None, NOON)

    def test_a_key_bound_meanwhile_is_respected(self) -> None:
        shop = CoreShop(a_product(units=2))
        granted(shop.do(reserve(1)))
        large, small, _ = shop.flush(reserve(2, BEN, 2, key="k"), reserve(3, BEN, 1, key="k"), cancel(1))
        granted(small)
        assert large == KeyReused("k")

    def test_the_same_key_twice_is_granted_once(self) -> None:
        shop = CoreShop(a_product(units=1))
        granted(shop.do(reserve(1)))
        first, again, _ = shop.flush(reserve(2, BEN, key="k"), reserve(3, BEN, key="k"), cancel(1))
        assert again == Replayed(granted(first))


class TestEffects:
    """The effects of plans, for stores that write them one by one."""

    def test_a_hold_carries_its_claims(self) -> None:
        facts = Facts({CUP: a_product(per_customer_limit=3)}, {}, {(ANN, limit_claim(CUP, 0)): reservation_id(9)})
        facts.reservations[reservation_id(9)] = granted(CoreShop(a_product()).do(reserve(9)))
        made = plan(facts, [reserve(1, quantity=2, key="k")], NOON)
        assert made.effects == [
            ReserveEffect(
                granted(made.outcomes[0]),
                (limit_claim(CUP, 1), limit_claim(CUP, 2), idempotency_claim("k")),
            )
        ]
        assert made.products[CUP].available == 8

    def test_the_facts_stay_as_they_were(self) -> None:
        facts = Facts({CUP: a_product()}, {}, {})
        plan(facts, [reserve(1, key="k"), restock(1), edit(price=1)], NOON)
        assert facts == Facts({CUP: a_product()}, {}, {})

    def test_a_release_gives_up_limit_claims_and_keeps_the_key(self) -> None:
        facts = Facts({CUP: a_product(per_customer_limit=3)}, {}, {})
        held = granted(plan(facts, [reserve(1, quantity=2, key="k")], NOON).outcomes[0])
        facts.reservations[held.id] = held
        claims = (limit_claim(CUP, 0), limit_claim(CUP, 1), idempotency_claim("k"))
        facts.claims |= {(ANN, claim): held.id for claim in claims}
        made = plan(facts, [cancel(1)], NOON)
        assert isinstance(made.outcomes[0], Released)
        assert made.effects == [ReleaseEffect(made.outcomes[0].reservation, claims[:2], BY_CUSTOMER)]

    def test_each_kind_has_its_effect_in_the_order_to_write_them(self) -> None:
        facts = Facts({CUP: a_product()}, {}, {})
        commands: list[Command] = [edit(price=1), restock(1), cancel(2), confirm(1), extend(1), reserve(1), reserve(2)]
        made = plan(facts, commands, NOON)
        kinds = [type(effect) for effect in made.effects]
        assert kinds == [
            ReserveEffect,
            ReserveEffect,
            ExtendEffect,
            ConfirmEffect,
            ReleaseEffect,
            RestockEffect,
            EditEffect,
        ]
        assert isinstance(made.outcomes[0], Edited)
        assert isinstance(made.outcomes[1], Restocked)

    def test_an_edit_says_which_revision_it_was_planned_on(self) -> None:
        made = plan(Facts({CUP: a_product(rev=7)}, {}, {}), [edit(price=1)], NOON)
        (effect,) = made.effects
        assert isinstance(effect, EditEffect)
        assert (effect.before.rev, effect.after.rev) == (7, 8)

    def test_a_refusal_has_no_effect(self) -> None:
        made = plan(Facts({CUP: a_product(units=0)}, {}, {}), [reserve(1), cancel(1), restock(-1)], NOON)
        assert made.effects == []
