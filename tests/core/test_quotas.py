"""Quotas of one customer's holds of all products: at one time, in an hour, and after letting holds lapse."""

import pytest
from msgspec.structs import replace
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
    expire,
    extend,
    granted,
    reserve,
    reserve_basket,
    restock,
)
from tests.core.shop import CoreShop

from flashreserve.core.commands import Cancel, Confirm
from flashreserve.core.effects import ConfirmEffect, ReleaseEffect, ReserveEffect
from flashreserve.core.facts import Facts
from flashreserve.core.model import Product, Reservation, Status
from flashreserve.core.outcomes import (
    HourlyHoldsReached,
    KeyReused,
    LapsesReached,
    LimitReached,
    OpenHoldsReached,
    Replayed,
    SoldOut,
)
from flashreserve.core.quotas import HOUR_MS, Quotas, open_claim, seconds_until
from flashreserve.core.rules import plan
from flashreserve.stores.memory import MemoryStore

HOLD_S = HOLD_MS // 1000
HOUR_S = HOUR_MS // 1000
LAPSED = NOON + HOLD_MS


def shop(*products: Product, **quotas: int) -> CoreShop:
    """A shop with these quotas. NOON is the beginning of an hour."""
    return CoreShop(*(products or [a_product(units=1_000)]), store=MemoryStore(Quotas(**quotas)))


def granted_all(busy: CoreShop, numbers: range, at: int = NOON) -> None:
    for number in numbers:
        granted(busy.do(reserve(number), at=at))


class TestOpenHolds:
    def test_as_many_are_granted_as_the_quota_says_and_not_one_more(self) -> None:
        busy = shop(open_holds_max=3)
        granted_all(busy, range(3))
        assert busy.do(reserve(3)) == OpenHoldsReached(3, HOLD_S)
        assert busy.available(CUP) == 997

    def test_within_one_flush_as_well(self) -> None:
        busy = shop(open_holds_max=3)
        outcomes = busy.flush(*[reserve(number) for number in range(9)])
        assert outcomes[3:] == [OpenHoldsReached(3, HOLD_S)] * 6
        assert busy.available(CUP) == 997

    def test_holds_of_all_products_count_and_a_basket_counts_once(self) -> None:
        busy = shop(a_product(CUP, 100), a_product(HAT, 100), open_holds_max=2)
        granted(busy.do(reserve_basket(1, {CUP: 7, HAT: 7})))
        granted(busy.do(reserve(2, of=HAT)))
        assert busy.do(reserve(3)) == OpenHoldsReached(2, HOLD_S)

    def test_each_customer_has_the_quota_of_their_own(self) -> None:
        busy = shop(open_holds_max=1)
        granted(busy.do(reserve(1, ANN)))
        granted(busy.do(reserve(2, BEN)))

    def test_what_is_bought_is_open_no_more(self) -> None:
        busy = shop(open_holds_max=1)
        granted(busy.do(reserve(1)))
        busy.do(confirm(1))
        granted(busy.do(reserve(2)))
        assert busy.do(reserve(3)) == OpenHoldsReached(1, HOLD_S)

    @pytest.mark.parametrize("release", [cancel(1), expire(1)])
    def test_what_is_released_is_open_no_more(self, release: object) -> None:
        busy = shop(open_holds_max=1)
        granted(busy.do(reserve(1)))
        busy.do(release, at=LAPSED)  # type: ignore[arg-type]
        granted(busy.do(reserve(2), at=LAPSED))

    def test_a_lapsed_hold_makes_room_without_a_sweep(self) -> None:
        busy = shop(open_holds_max=1)
        granted(busy.do(reserve(1)))
        assert busy.do(reserve(2), at=LAPSED - 1) == OpenHoldsReached(1, 1)
        granted(busy.do(reserve(3), at=LAPSED))

    def test_the_refusal_tells_when_the_first_hold_lapses(self) -> None:
        busy = shop(open_holds_max=2)
        granted(busy.do(reserve(1)))
        granted(busy.do(reserve(2), at=NOON + 60_000))
        assert busy.do(reserve(3), at=NOON + 60_000) == OpenHoldsReached(2, HOLD_S - 60)
        busy.do(extend(1), at=NOON + 120_000)
        assert busy.do(reserve(4), at=NOON + 120_000) == OpenHoldsReached(2, HOLD_S - 60)

    def test_a_purchase_in_the_same_flush_comes_too_late_but_makes_room_for_what_is_tried_again(self) -> None:
        busy = shop(a_product(CUP, 2), a_product(HAT, 1), open_holds_max=2)
        granted_all(busy, range(1, 3))
        too_many, _, _ = busy.flush(reserve(3, of=HAT), confirm(1), restock(5))
        assert too_many == OpenHoldsReached(2, HOLD_S)
        granted(busy.do(reserve(4)))
        tried_again, _, _ = busy.flush(reserve(5, quantity=6), confirm(2), restock(5, "delivery-2"))
        granted(tried_again)


class TestStoresThatKeepOpenClaims:
    """Stores that keep claims don't count holds. A claim is kept until its hold has ended."""

    QUOTAS = Quotas(open_holds_max=2)

    def facts(self, *held: Reservation) -> Facts:
        """Facts with one customer's holds, each with its claim."""
        claims = {(ANN, open_claim(place)): each.id for place, each in enumerate(held)}
        return Facts({CUP: a_product()}, {each.id: each for each in held}, claims, quotas=self.QUOTAS)

    def holds(self, *granted_at: int) -> list[Reservation]:
        made = plan(Facts({CUP: a_product()}, {}, {}), [reserve(n) for n in range(len(granted_at))], NOON)
        held = [granted(outcome) for outcome in made.outcomes]
        return [replace(each, expires_at=at + HOLD_MS) for each, at in zip(held, granted_at, strict=True)]

    def test_the_hold_that_lapsed_first_is_released_and_its_claim_taken(self) -> None:
        held = self.holds(NOON + 1, NOON)
        made = plan(self.facts(*held), [reserve(9, of=CUP)], LAPSED + 1)
        released, taken = made.effects
        assert isinstance(released, ReleaseEffect)
        assert (released.after.id, released.claims) == (held[1].id, (open_claim(1),))
        assert isinstance(taken, ReserveEffect)
        assert taken.claims == (open_claim(1),)

    def test_none_is_released_while_a_claim_is_free(self) -> None:
        made = plan(self.facts(*self.holds(NOON)), [reserve(9)], LAPSED)
        assert [type(effect) for effect in made.effects] == [ReserveEffect]

    @pytest.mark.parametrize(("command", "kind"), [(confirm(1), ConfirmEffect), (cancel(1), ReleaseEffect)])
    def test_ending_gives_the_claim_up(
        self, command: Confirm | Cancel, kind: type[ConfirmEffect | ReleaseEffect]
    ) -> None:
        (effect,) = plan(self.facts(*self.holds(NOON, NOON)), [command], NOON).effects
        assert isinstance(effect, kind)
        assert effect.claims == (open_claim(1),)


class TestHourlyHolds:
    def test_as_many_are_granted_in_an_hour_as_the_quota_says_whatever_became_of_them(self) -> None:
        busy = shop(holds_per_hour_max=3)
        granted_all(busy, range(3))
        busy.do(cancel(0))
        busy.do(confirm(1))
        assert busy.do(reserve(3), at=NOON + 60_000) == HourlyHoldsReached(3, HOUR_S - 60)

    def test_the_next_hour_counts_anew(self) -> None:
        busy = shop(holds_per_hour_max=2)
        granted_all(busy, range(2))
        assert busy.do(reserve(2), at=NOON + HOUR_MS - 1) == HourlyHoldsReached(2, 1)
        granted_all(busy, range(3, 5), at=NOON + HOUR_MS)
        assert busy.do(reserve(5), at=NOON + HOUR_MS) == HourlyHoldsReached(2, HOUR_S)

    def test_within_one_flush_as_well(self) -> None:
        busy = shop(holds_per_hour_max=3)
        outcomes = busy.flush(*[reserve(number) for number in range(9)])
        assert outcomes[3:] == [HourlyHoldsReached(3, HOUR_S)] * 6


class TestLapses:
    def lapsing(self, lapses: int) -> CoreShop:
        """A shop with a quota of two lapses, and a customer who let `lapses` holds lapse."""
        busy = shop(holds_per_hour_max=10, lapses_per_hour_max=2)
        granted_all(busy, range(lapses))
        return busy

    def test_who_let_as_many_lapse_as_the_quota_says_waits_for_the_next_hour(self) -> None:
        busy = self.lapsing(2)
        granted(busy.do(reserve(2), at=LAPSED - 1))
        assert busy.do(reserve(3), at=LAPSED) == LapsesReached(2, HOUR_S - HOLD_S)
        assert busy.do(reserve(4), at=NOON + HOUR_MS - 1) == LapsesReached(2, 1)
        granted(busy.do(reserve(5), at=NOON + HOUR_MS))

    def test_it_is_the_same_once_they_are_swept(self) -> None:
        busy = self.lapsing(2)
        busy.flush(expire(0), expire(1), at=LAPSED)
        assert busy.do(reserve(3), at=LAPSED) == LapsesReached(2, HOUR_S - HOLD_S)

    def test_one_lapse_fewer_is_no_matter(self) -> None:
        granted(self.lapsing(1).do(reserve(5), at=LAPSED))

    def test_who_bought_in_this_hour_may_go_on(self) -> None:
        busy = self.lapsing(3)
        busy.do(confirm(1))
        granted(busy.do(reserve(5), at=LAPSED))

    def test_what_is_cancelled_is_no_lapse(self) -> None:
        busy = self.lapsing(2)
        busy.do(cancel(0))
        granted(busy.do(reserve(5), at=LAPSED))

    def test_without_a_quota_of_holds_in_an_hour_there_is_none_of_lapses(self) -> None:
        busy = shop(lapses_per_hour_max=1, open_holds_max=5)
        granted_all(busy, range(2))
        granted(busy.do(reserve(2), at=LAPSED))


class TestOrder:
    def test_a_repeated_key_is_answered_first(self) -> None:
        busy = shop(open_holds_max=1, holds_per_hour_max=1, lapses_per_hour_max=1)
        first = granted(busy.do(reserve(1, key="k")))
        for at in (NOON, LAPSED):
            assert busy.do(reserve(2, key="k"), at=at) == Replayed(first)
            assert busy.do(reserve(2, quantity=2, key="k"), at=at) == KeyReused("k")

    def test_quotas_come_after_stock_and_the_products_own_limit(self) -> None:
        busy = shop(a_product(CUP, 1), a_product(HAT, 9, per_customer_limit=1), open_holds_max=2, holds_per_hour_max=2)
        granted(busy.do(reserve(1)))
        granted(busy.do(reserve(2, of=HAT)))
        assert busy.do(reserve(3)) == SoldOut(CUP, 0)
        assert busy.do(reserve(3, of=HAT)) == LimitReached(HAT, 1)

    def test_lapses_come_before_the_hour_and_the_hour_before_what_is_open(self) -> None:
        busy = shop(open_holds_max=1, holds_per_hour_max=2, lapses_per_hour_max=2)
        granted(busy.do(reserve(1)))
        assert isinstance(busy.do(reserve(2)), OpenHoldsReached)
        granted(busy.do(reserve(3), at=LAPSED))
        assert isinstance(busy.do(reserve(4), at=LAPSED), HourlyHoldsReached)
        assert isinstance(busy.do(reserve(5), at=LAPSED + HOLD_MS), LapsesReached)

    def test_a_refusal_takes_nothing(self) -> None:
        busy = shop(open_holds_max=1)
        granted(busy.do(reserve(1)))
        before = busy.state()
        busy.do(reserve(2, key="k"))
        assert busy.state() == before
        granted(busy.do(reserve(3, quantity=2, key="k"), at=LAPSED))


def test_without_quotas_one_customer_may_hold_it_all() -> None:
    busy = shop()
    granted_all(busy, range(200))
    assert [busy.reservation(number).status for number in (0, 199)] == [Status.PENDING] * 2


@pytest.mark.parametrize(("ms", "s"), [(-5, 1), (0, 1), (1, 1), (1_000, 1), (1_001, 2)])
def test_waiting_is_told_in_whole_seconds_rounded_up(ms: int, s: int) -> None:
    assert seconds_until(NOON + ms, NOON) == s
