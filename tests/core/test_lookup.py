"""The facts that commands need, and the steps in which a store looks them up."""

from collections.abc import Iterable

import pytest
from msgspec.structs import replace
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
    expire,
    extend,
    granted,
    reservation_id,
    reserve,
    reserve_basket,
    restock,
)
from tests.core.shop import CoreShop

from flashreserve.core.commands import Command
from flashreserve.core.facts import Facts
from flashreserve.core.lookup import Found, Lookup, facts_from, gather_facts
from flashreserve.core.model import Reservation
from flashreserve.core.quotas import NO_QUOTAS, Quotas

QUOTAS = Quotas(open_holds_max=5, holds_per_hour_max=5)
LIMITED = a_product(per_customer_limit=2)


def first(*commands: Command, quotas: Quotas = QUOTAS) -> Lookup:
    return next(gather_facts(commands, quotas, NOON))


def a_hold(number: int, user: str = ANN, *, of: str = CUP) -> Reservation:
    return granted(CoreShop(a_product(of)).do(reserve(number, user, of=of)))


class Answers:
    """Answers each lookup with the next of `found`, and records the lookups."""

    def __init__(self, *found: Found) -> None:
        self._left = list(found)
        self.asked: list[Lookup] = []

    def facts(
        self, commands: Iterable[Command], quotas: Quotas = NO_QUOTAS, *, claims_come_along: bool = False
    ) -> Facts:
        facts = facts_from(gather_facts(commands, quotas, NOON, claims_come_along=claims_come_along), self._find)
        assert self._left == []
        return facts

    def _find(self, lookup: Lookup) -> Found:
        self.asked.append(lookup)
        return self._left.pop(0)


class TestFirstLookup:
    def test_a_reserve_needs_its_products_its_key_and_what_counts_for_the_customers_quotas(self) -> None:
        asked = first(reserve_basket(1, {CUP: 1, HAT: 1}, key="k"), reserve(2, BEN))
        assert asked == Lookup(product_ids={CUP, HAT}, keys={(ANN, "idem:k")}, customers={ANN, BEN})

    def test_without_quotas_nothing_counts(self) -> None:
        assert first(reserve(1), quotas=NO_QUOTAS) == Lookup(product_ids={CUP})

    @pytest.mark.parametrize("command", [confirm(1), extend(1), cancel(1), expire(1)])
    def test_what_is_about_a_reservation_needs_it(self, command: Command) -> None:
        assert first(command) == Lookup(reservation_ids={reservation_id(1)})

    def test_admins_commands_need_the_product_and_what_came_before(self) -> None:
        asked = first(restock(1, "k"), edit(HAT, price=1))
        assert asked == Lookup(product_ids={CUP, HAT}, adjustments={(CUP, "k")}, edited_product_ids={HAT})


class TestNextLookups:
    def test_a_reserve_of_an_unlimited_product_that_nobody_asked_for_before_needs_one(self) -> None:
        answers = Answers(Found(products={CUP: a_product()}))
        facts = answers.facts([reserve(1, key="k")])
        assert (facts.products, facts.reservations, facts.claims) == ({CUP: a_product()}, {}, {})

    def test_of_a_limited_product_the_customers_claims_are_needed_and_what_holds_them(self) -> None:
        held = a_hold(7)
        answers = Answers(
            Found(products={CUP: LIMITED}),
            Found(claims={(ANN, f"limit:{CUP}:0"): held.id}),
            Found(reservations={held.id: held}),
        )
        facts = answers.facts([reserve(1), reserve(2, BEN, of=HAT)])
        assert answers.asked[1:] == [
            Lookup(claims={(ANN, f"limit:{CUP}:0"), (ANN, f"limit:{CUP}:1")}),
            Lookup(reservation_ids={held.id}),
        ]
        assert (facts.reservations, facts.claims) == ({held.id: held}, {(ANN, f"limit:{CUP}:0"): held.id})

    def test_what_is_held_needs_its_products_and_its_own_claims_to_them(self) -> None:
        held = a_hold(7)
        mine, others = (ANN, f"limit:{CUP}:0"), (ANN, f"limit:{CUP}:1")
        answers = Answers(
            Found(reservations={held.id: held}),
            Found(products={CUP: LIMITED}),
            Found(claims={mine: held.id, others: reservation_id(8)}),
        )
        facts = answers.facts([cancel(7)])
        assert answers.asked[1:] == [Lookup(product_ids={CUP}), Lookup(claims={mine, others})]
        assert (facts.products, facts.claims) == ({CUP: LIMITED}, {mine: held.id}), "what others hold is nobody's fact"

    def test_claims_that_come_along_are_not_asked_for(self) -> None:
        held = a_hold(7)
        mine = {(ANN, f"limit:{CUP}:0"): held.id}
        answers = Answers(Found(reservations={held.id: held}, claims=mine), Found(products={CUP: LIMITED}))
        assert answers.facts([cancel(7)], claims_come_along=True).claims == mine

    def test_what_was_found_early_is_not_asked_for_again(self) -> None:
        held = a_hold(7)
        claims = {(ANN, "idem:k"): held.id}
        answers = Answers(Found(products={CUP: a_product()}, reservations={held.id: held}, claims=claims))
        assert answers.facts([reserve(1, key="k")]).reservations == {held.id: held}


class TestQuotas:
    def test_what_may_count_is_read_and_counted_without_its_products(self) -> None:
        counts, over = a_hold(7, of=PEN), a_hold(8, of=PEN)
        over = replace(over, created_at=NOON - 7_200_000, expires_at=NOON - HOLD_MS)
        answers = Answers(
            Found(products={CUP: a_product()}, counting={ANN: [counts.id, over.id]}),
            Found(reservations={counts.id: counts, over.id: over}),
        )
        facts = answers.facts([reserve(1)], QUOTAS)
        assert answers.asked[1:] == [Lookup(reservation_ids={counts.id, over.id})]
        hour = NOON // 3_600_000
        assert facts.claims == {(ANN, "open:0"): counts.id, (ANN, f"hour:{hour}:0"): counts.id}

    def test_customers_that_the_store_left_open_are_asked_for_once_more(self) -> None:
        held = a_hold(7, BEN)
        claims = {(BEN, "open:0"): held.id}
        answers = Answers(
            Found(products={CUP: a_product()}, counting={ANN: []}), Found(reservations={held.id: held}, claims=claims)
        )
        facts = answers.facts([reserve(1), reserve(2, BEN)], QUOTAS)
        assert answers.asked[1:] == [Lookup(customers={BEN})]
        assert facts.claims == claims
