import pytest
from tests.core.examples import (
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
    reservation_id,
    reserve,
    reserve_basket,
)
from tests.core.shop import CoreShop

from flashreserve.core.commands import Command
from flashreserve.core.holds import has_lapsed, live_units, status_at
from flashreserve.core.model import Status
from flashreserve.core.outcomes import (
    AlreadyCancelled,
    AlreadyConfirmed,
    Confirmed,
    Expired,
    Extended,
    ExtensionsUsedUp,
    NotDue,
    NotFound,
    Released,
)

LAPSED = NOON + HOLD_MS
LATER = NOON + 1_000


def shop_with_a_hold(extensions_max: int = 3) -> CoreShop:
    shop = CoreShop(a_product(extensions_max=extensions_max))
    granted(shop.do(reserve(1, quantity=4)))
    return shop


class TestLapsing:
    @pytest.mark.parametrize(("now", "lapsed"), [(99, False), (100, True), (101, True)])
    def test_a_hold_is_over_at_expires_at(self, now: int, lapsed: bool) -> None:  # noqa: FBT001
        assert has_lapsed(100, now) is lapsed

    def test_a_lapsed_hold_shows_as_expired_before_any_sweep(self) -> None:
        held = shop_with_a_hold().reservation(1)
        assert status_at(held, LAPSED - 1) is Status.PENDING
        assert status_at(held, LAPSED) is Status.EXPIRED

    @pytest.mark.parametrize("last", [confirm(1), cancel(1)])
    def test_what_has_ended_shows_as_it_is_at_any_time(self, last: Command) -> None:
        shop = shop_with_a_hold()
        shop.do(last)
        held = shop.reservation(1)
        assert status_at(held, LAPSED * 2) is held.status

    def test_expiring_gives_the_stock_back(self) -> None:
        shop = shop_with_a_hold()
        outcome = shop.do(expire(1), at=LAPSED)
        held = shop.reservation(1)
        assert outcome == Released(held)
        assert (held.status, held.released_at, held.confirmed_at) == (Status.EXPIRED, LAPSED, None)
        assert shop.available(CUP) == 10

    def test_a_hold_that_still_lasts_is_not_due(self) -> None:
        shop = shop_with_a_hold()
        assert shop.do(expire(1), at=LAPSED - 1) == NotDue(reservation_id(1))
        assert shop.reservation(1).status is Status.PENDING

    @pytest.mark.parametrize("earlier", [confirm(1), cancel(1)])
    def test_what_has_ended_is_not_due(self, earlier: Command) -> None:
        shop = shop_with_a_hold()
        shop.do(earlier)
        before = shop.state()
        assert shop.do(expire(1), at=LAPSED) == NotDue(reservation_id(1))
        assert shop.state() == before

    def test_an_unknown_reservation_is_not_due(self) -> None:
        assert CoreShop().do(expire(1)) == NotDue(reservation_id(1))


class TestConfirming:
    def test_a_hold_becomes_a_purchase_and_its_units_stay_taken(self) -> None:
        shop = shop_with_a_hold()
        outcome = shop.do(confirm(1), at=LATER)
        held = shop.reservation(1)
        assert outcome == Confirmed(held)
        assert (held.status, held.confirmed_at, held.released_at) == (Status.CONFIRMED, LATER, None)
        assert shop.available(CUP) == 6

    def test_again_it_answers_the_same(self) -> None:
        shop = shop_with_a_hold()
        first = shop.do(confirm(1), at=LATER)
        assert shop.do(confirm(1), at=LAPSED * 2) == first

    def test_the_last_millisecond_of_the_hold_is_in_time(self) -> None:
        assert isinstance(shop_with_a_hold().do(confirm(1), at=LAPSED - 1), Confirmed)

    def test_at_expires_at_it_is_too_late_and_the_stock_is_back(self) -> None:
        shop = shop_with_a_hold()
        assert shop.do(confirm(1), at=LAPSED) == Expired(reservation_id(1), LAPSED)
        assert shop.reservation(1).status is Status.EXPIRED
        assert shop.available(CUP) == 10

    def test_what_was_released_as_expired_stays_so(self) -> None:
        shop = shop_with_a_hold()
        shop.do(expire(1), at=LAPSED)
        assert shop.do(confirm(1), at=LAPSED + 1) == Expired(reservation_id(1), LAPSED)
        assert shop.available(CUP) == 10

    def test_what_was_cancelled_cannot_be_bought(self) -> None:
        shop = shop_with_a_hold()
        shop.do(cancel(1))
        assert shop.do(confirm(1)) == AlreadyCancelled(reservation_id(1))
        assert shop.do(confirm(1), at=LAPSED) == AlreadyCancelled(reservation_id(1))


class TestExtending:
    def test_a_hold_lasts_another_full_hold_time_from_now(self) -> None:
        shop = shop_with_a_hold()
        outcome = shop.do(extend(1), at=LATER)
        held = shop.reservation(1)
        assert outcome == Extended(held)
        assert (held.expires_at, held.extensions) == (LATER + HOLD_MS, 1)

    def test_the_fourth_extension_with_three_allowed_is_refused_and_moves_nothing(self) -> None:
        shop = shop_with_a_hold(extensions_max=3)
        for n in (1, 2, 3):
            assert isinstance(shop.do(extend(1), at=NOON + n), Extended)
        before = shop.state()
        assert shop.do(extend(1), at=NOON + 4) == ExtensionsUsedUp(reservation_id(1), 3)
        assert shop.state() == before

    def test_no_extension_is_given_where_none_is_allowed(self) -> None:
        assert shop_with_a_hold(extensions_max=0).do(extend(1)) == ExtensionsUsedUp(reservation_id(1), 0)

    def test_the_end_of_a_hold_never_moves_back_nor_stays(self) -> None:
        shop = shop_with_a_hold()
        for n, at in enumerate((NOON, NOON - 5_000, NOON), start=1):
            before = shop.reservation(1).expires_at
            assert isinstance(shop.do(extend(1), at=at), Extended)
            assert shop.reservation(1).expires_at == before + 1
            assert shop.reservation(1).extensions == n

    def test_an_extended_hold_can_be_bought_after_its_first_end(self) -> None:
        shop = shop_with_a_hold()
        shop.do(extend(1), at=LAPSED - 1)
        assert isinstance(shop.do(confirm(1), at=LAPSED), Confirmed)

    def test_at_expires_at_it_is_too_late_and_the_stock_is_back(self) -> None:
        shop = shop_with_a_hold()
        assert shop.do(extend(1), at=LAPSED) == Expired(reservation_id(1), LAPSED)
        assert shop.reservation(1).extensions == 0
        assert shop.available(CUP) == 10

    def test_what_has_ended_cannot_be_extended(self) -> None:
        shop = shop_with_a_hold()
        shop.do(reserve(2))
        shop.do(confirm(1))
        shop.do(cancel(2))
        before = shop.state()
        assert shop.do(extend(1)) == AlreadyConfirmed(reservation_id(1))
        assert shop.do(extend(2)) == AlreadyCancelled(reservation_id(2))
        assert shop.state() == before

    def test_a_failed_reserve_does_not_move_the_end_of_a_hold(self) -> None:
        shop = shop_with_a_hold()
        shop.do(reserve(2, quantity=100), at=LATER)
        assert shop.reservation(1).expires_at == LAPSED


class TestCancelling:
    def test_a_hold_is_given_back(self) -> None:
        shop = shop_with_a_hold()
        outcome = shop.do(cancel(1), at=LATER)
        held = shop.reservation(1)
        assert outcome == Released(held)
        assert (held.status, held.released_at) == (Status.CANCELLED, LATER)
        assert shop.available(CUP) == 10

    def test_again_it_answers_the_same_and_gives_nothing_back(self) -> None:
        shop = shop_with_a_hold()
        first = shop.do(cancel(1))
        assert shop.do(cancel(1), at=LATER) == first
        assert shop.available(CUP) == 10

    def test_a_lapsed_hold_is_expired_rather_than_cancelled(self) -> None:
        shop = shop_with_a_hold()
        outcome = shop.do(cancel(1), at=LAPSED)
        assert outcome == Released(shop.reservation(1))
        assert shop.reservation(1).status is Status.EXPIRED
        assert shop.do(cancel(1), at=LAPSED + 1) == outcome
        assert shop.available(CUP) == 10

    def test_what_was_bought_cannot_be_cancelled(self) -> None:
        shop = shop_with_a_hold()
        shop.do(confirm(1))
        assert shop.do(cancel(1)) == AlreadyConfirmed(reservation_id(1))
        assert shop.do(cancel(1), at=LAPSED) == AlreadyConfirmed(reservation_id(1))
        assert shop.available(CUP) == 6


@pytest.mark.parametrize("command", [confirm(1, BEN), extend(1, BEN), cancel(1, BEN)])
def test_another_customers_reservation_is_not_found(command: Command) -> None:
    shop = shop_with_a_hold()
    before = shop.state()
    assert shop.do(command) == NotFound("reservation", reservation_id(1))
    assert shop.do(command, at=LAPSED) == NotFound("reservation", reservation_id(1))
    assert shop.state() == before


@pytest.mark.parametrize("command", [confirm(7), extend(7), cancel(7)])
def test_an_unknown_reservation_is_not_found(command: Command) -> None:
    assert shop_with_a_hold().do(command) == NotFound("reservation", reservation_id(7))


def test_only_units_of_pending_and_confirmed_reservations_are_live() -> None:
    shop = CoreShop(a_product(), a_product(HAT))
    shop.flush(reserve(1, quantity=1), reserve_basket(2, {CUP: 2, HAT: 1}), reserve(3, quantity=4))
    shop.flush(confirm(2), cancel(3))
    _, reservations = shop.state()
    assert live_units(reservations, CUP) == 3
    assert live_units(reservations, HAT) == 1
    shop.do(expire(1), at=LAPSED)
    _, reservations = shop.state()
    assert live_units(reservations, CUP) == 2
