"""Returns of purchases, and confirmations of some of the held units, through every store."""

import pytest
from msgspec.structs import replace
from tests.contract.requests import available, counted, do, flush, reservation
from tests.core.examples import (
    ADMIN,
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
    confirm_some,
    expire,
    give_back,
    granted,
    reservation_id,
    reserve,
    reserve_basket,
    units,
)

from flashreserve.core import limits
from flashreserve.core.commands import Command
from flashreserve.core.model import Reservation, ReturnEntry, Status
from flashreserve.core.outcomes import (
    AlreadyCancelled,
    AlreadyConfirmed,
    Confirmed,
    Expired,
    Invalid,
    KeyReused,
    LimitReached,
    NotConfirmed,
    NotFound,
    Released,
    Replayed,
    Returned,
    ReturnsUsedUp,
    SoldOut,
    TooMany,
)
from flashreserve.stores.port import Store

pytestmark = pytest.mark.usefixtures("balanced_afterwards")

LAPSED = NOON + HOLD_MS


async def bought(store: Store, lines: dict[str, int], *, number: int = 1) -> Reservation:
    """A purchase of these units."""
    granted(await do(store, reserve_basket(number, lines)))
    outcome = await do(store, confirm(number))
    assert isinstance(outcome, Confirmed)
    return outcome.reservation


def returned(held: Reservation) -> dict[str, int]:
    """The units of the reservation that were given back, by product."""
    return {line.product_id: line.returned for line in held.lines}


class TestReturns:
    async def test_units_go_back_on_sale_and_the_purchase_stays(self, store: Store) -> None:
        await store.add_products([a_product(), a_product(HAT, 5)])
        before = await bought(store, {CUP: 3, HAT: 2})
        outcome = await do(store, give_back(1, {CUP: 2}, reason="torn"), at=NOON + 5)
        entry = ReturnEntry(units({CUP: 2}), NOON + 5, ADMIN, "parcel-1", "torn")
        lines = (replace(before.lines[0], returned=2), before.lines[1])
        after = replace(before, lines=lines, returns=(entry,), trail_n=before.trail_n + 1)
        assert outcome == Returned(after)
        assert await reservation(store, 1) == after
        assert (await available(store, CUP), await available(store, HAT)) == (9, 3)

    async def test_a_repeated_key_gives_back_once(self, store: Store) -> None:
        await store.add_products([a_product()])
        await bought(store, {CUP: 3})
        first = await do(store, give_back(1, {CUP: 1}))
        assert isinstance(first, Returned)
        assert await do(store, give_back(1, {CUP: 1}), at=NOON + 9) == Returned(first.reservation, replayed=True)
        assert await do(store, give_back(1, {CUP: 2})) == KeyReused("parcel-1")
        assert await available(store, CUP) == 8

    async def test_one_flush_gives_back_a_repeated_key_once(self, store: Store) -> None:
        await store.add_products([a_product()])
        await bought(store, {CUP: 3})
        outcomes = await flush(store, *[give_back(1, {CUP: 1})] * 3, give_back(1, {CUP: 1}, "parcel-2"))
        assert counted(outcomes) == {"Returned": 4}
        assert returned(await reservation(store, 1)) == {CUP: 2}
        assert await available(store, CUP) == 9

    async def test_no_more_than_is_left_goes_back(self, store: Store) -> None:
        await store.add_products([a_product(CUP), a_product(HAT)])
        await bought(store, {CUP: 3, HAT: 1})
        await do(store, give_back(1, {CUP: 2}))
        assert await do(store, give_back(1, {CUP: 2, HAT: 1}, "parcel-2")) == TooMany(reservation_id(1), CUP, 1)
        assert isinstance(await do(store, give_back(1, {CUP: 1, HAT: 1}, "parcel-2")), Returned)
        assert await do(store, give_back(1, {HAT: 1}, "parcel-3")) == TooMany(reservation_id(1), HAT, 0)
        assert (await available(store, CUP), await available(store, HAT)) == (10, 10)

    async def test_only_products_of_the_purchase_go_back(self, store: Store) -> None:
        await store.add_products([a_product(CUP), a_product(HAT)])
        await bought(store, {CUP: 1})
        assert await do(store, give_back(1, {HAT: 1})) == Invalid(
            "lines", f"expected products of the reservation; {HAT} isn't one"
        )

    async def test_only_purchases_are_returned(self, store: Store) -> None:
        await store.add_products([a_product()])
        for number in (1, 2, 3):
            granted(await do(store, reserve(number)))
        await do(store, cancel(2))
        await do(store, expire(3), at=LAPSED)
        assert await do(store, give_back(1, {CUP: 1})) == NotConfirmed(reservation_id(1))
        assert await do(store, give_back(2, {CUP: 1})) == AlreadyCancelled(reservation_id(2))
        assert await do(store, give_back(3, {CUP: 1})) == Expired(reservation_id(3), LAPSED)

    async def test_anothers_or_an_unknown_purchase_is_not_found(self, store: Store) -> None:
        await store.add_products([a_product()])
        await bought(store, {CUP: 1})
        assert await do(store, give_back(1, {CUP: 1}, user=BEN)) == NotFound("reservation", reservation_id(1))
        assert await do(store, give_back(404, {CUP: 1})) == NotFound("reservation", reservation_id(404))

    async def test_the_number_of_returns_has_a_limit(self, store: Store) -> None:
        most = limits.RETURNS_MAX
        await store.add_products([a_product(units=most + 1)])
        await bought(store, {CUP: most + 1})
        outcomes = await flush(store, *[give_back(1, {CUP: 1}, f"parcel-{number}") for number in range(most)])
        assert counted(outcomes) == {"Returned": most}
        assert await do(store, give_back(1, {CUP: 1}, "one more")) == ReturnsUsedUp(reservation_id(1), most)

    async def test_units_given_back_may_be_reserved_in_the_same_flush(self, store: Store) -> None:
        await store.add_products([a_product(units=2)])
        await bought(store, {CUP: 2})
        held, back, refused = await flush(store, reserve(2, BEN), give_back(1, {CUP: 1}), reserve(3, BEN))
        assert isinstance(back, Returned)
        granted(held)
        assert refused == SoldOut(CUP, 0)

    async def test_a_limit_counts_what_is_left(self, store: Store) -> None:
        await store.add_products([a_product(per_customer_limit=3)])
        await bought(store, {CUP: 3})
        await do(store, give_back(1, {CUP: 2}))
        assert await do(store, reserve(2, quantity=3)) == LimitReached(CUP, 3)
        granted(await do(store, reserve(3, quantity=2)))
        assert await do(store, reserve(4)) == LimitReached(CUP, 3)

    async def test_a_replayed_grant_shows_nothing_as_returned(self, store: Store) -> None:
        await store.add_products([a_product()])
        first = granted(await do(store, reserve(1, quantity=2, key="k")))
        await do(store, confirm(1))
        await do(store, give_back(1, {CUP: 1}))
        assert await do(store, reserve(2, quantity=2, key="k")) == Replayed(first)


class TestConfirmationsOfSomeUnits:
    async def test_the_rest_goes_back_and_the_others_are_bought(self, store: Store) -> None:
        await store.add_products([a_product(CUP), a_product(HAT), a_product(PEN)])
        granted(await do(store, reserve_basket(1, {CUP: 3, HAT: 2, PEN: 1})))
        outcome = await do(store, confirm_some(1, {CUP: 1, PEN: 1}))
        held = await reservation(store, 1)
        assert outcome == Confirmed(held)
        assert (held.status, returned(held)) == (Status.CONFIRMED, {CUP: 2, HAT: 2, PEN: 0})
        assert held.returns == (ReturnEntry(units({CUP: 2, HAT: 2}), NOON, ANN),)
        assert [await available(store, id_) for id_ in (CUP, HAT, PEN)] == [9, 10, 9]

    async def test_all_units_give_nothing_back(self, store: Store) -> None:
        await store.add_products([a_product()])
        granted(await do(store, reserve(1, quantity=2)))
        assert isinstance(await do(store, confirm_some(1, {CUP: 2})), Confirmed)
        assert (await reservation(store, 1)).returns == ()

    async def test_repeated_it_has_the_same_answer_and_with_other_quantities_it_is_refused(self, store: Store) -> None:
        await store.add_products([a_product()])
        granted(await do(store, reserve(1, quantity=3)))
        first = await do(store, confirm_some(1, {CUP: 2}))
        assert await do(store, confirm_some(1, {CUP: 2})) == first
        assert await do(store, confirm(1)) == first
        assert await do(store, confirm_some(1, {CUP: 1})) == AlreadyConfirmed(reservation_id(1))
        assert await do(store, confirm_some(1, {CUP: 3})) == TooMany(reservation_id(1), CUP, 2)
        assert await available(store, CUP) == 8

    async def test_repeated_after_a_return_it_is_judged_by_what_was_bought(self, store: Store) -> None:
        await store.add_products([a_product()])
        granted(await do(store, reserve(1, quantity=3)))
        await do(store, confirm_some(1, {CUP: 2}))
        await do(store, give_back(1, {CUP: 1}))
        assert await do(store, confirm_some(1, {CUP: 2})) == Confirmed(await reservation(store, 1))
        assert await do(store, confirm_some(1, {CUP: 1})) == AlreadyConfirmed(reservation_id(1))

    @pytest.mark.parametrize(
        ("command", "refusal"),
        [
            (confirm_some(1, {CUP: 3}), TooMany(reservation_id(1), CUP, 2)),
            (
                confirm_some(1, {CUP: 1, HAT: 1}),
                Invalid("lines", f"expected products of the reservation; {HAT} isn't one"),
            ),
            (confirm_some(1, {CUP: 1}, BEN), NotFound("reservation", reservation_id(1))),
        ],
    )
    async def test_invalid_lines_leave_the_hold_as_it_is(self, store: Store, command: Command, refusal: object) -> None:
        await store.add_products([a_product(), a_product(HAT)])
        held = granted(await do(store, reserve(1, quantity=2)))
        assert await do(store, command) == refusal
        assert await reservation(store, 1) == held

    async def test_a_lapsed_hold_is_released(self, store: Store) -> None:
        await store.add_products([a_product()])
        granted(await do(store, reserve(1, quantity=2)))
        assert await do(store, confirm_some(1, {CUP: 1}), at=LAPSED) == Expired(reservation_id(1), LAPSED)
        assert await available(store, CUP) == 10

    async def test_a_limit_counts_only_what_is_bought(self, store: Store) -> None:
        await store.add_products([a_product(per_customer_limit=2)])
        granted(await do(store, reserve(1, quantity=2)))
        await do(store, confirm_some(1, {CUP: 1}))
        granted(await do(store, reserve(2)))
        assert await do(store, reserve(3)) == LimitReached(CUP, 2)


class TestActingOnAnyReservation:
    async def test_an_admin_confirms_and_cancels_for_customers(self, store: Store) -> None:
        await store.add_products([a_product()])
        for number in (1, 2):
            granted(await do(store, reserve(number)))
        assert isinstance(await do(store, replace(confirm(1), user_id=None)), Confirmed)
        assert isinstance(await do(store, replace(cancel(2), user_id=None)), Released)
