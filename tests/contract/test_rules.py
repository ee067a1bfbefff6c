"""Every rule through every store. A store that has rules of its own, or decides by stale facts, fails here."""

from typing import Any

import pytest
from tests.contract.requests import available, do, everything, flush, product, reservation
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
    edit,
    expire,
    extend,
    granted,
    reservation_id,
    reserve,
    reserve_basket,
    restock,
)

from flashreserve.core import limits
from flashreserve.core.commands import Command, Reserve
from flashreserve.core.model import Adjustment, Line, Reservation, Status, Units
from flashreserve.core.outcomes import (
    AlreadyCancelled,
    AlreadyConfirmed,
    Confirmed,
    Edited,
    Expired,
    Extended,
    ExtensionsUsedUp,
    Invalid,
    KeyReused,
    LimitReached,
    NotDue,
    NotFound,
    NotOnSale,
    Released,
    Replayed,
    Restocked,
    RulesFixed,
    SoldOut,
    StockTaken,
)
from flashreserve.core.sale import basket
from flashreserve.stores.port import Store

pytestmark = pytest.mark.usefixtures("balanced_afterwards")

LAPSED = NOON + HOLD_MS


class TestReserving:
    async def test_a_grant_is_kept_as_it_is_told(self, store: Store) -> None:
        await store.add_products([a_product(), a_product(HAT, price=7)])
        held = granted(await do(store, reserve_basket(1, {HAT: 2, CUP: 1}, key="k")))
        lines = (Line(CUP, 1, 1_250, "EUR"), Line(HAT, 2, 7, "EUR"))
        assert held == Reservation(
            reservation_id(1), ANN, Status.PENDING, lines, NOON, LAPSED, HOLD_MS // 1000, 3, key="k"
        )
        assert await reservation(store, 1) == held
        assert (await available(store, CUP), await available(store, HAT)) == (9, 8)

    async def test_the_last_unit_goes_once(self, store: Store) -> None:
        await store.add_products([a_product(units=2)])
        assert await do(store, reserve(1, quantity=3)) == SoldOut(CUP, 2)
        granted(await do(store, reserve(2, quantity=2)))
        assert await do(store, reserve(3)) == SoldOut(CUP, 0)

    async def test_a_sale_begins_and_ends_on_the_millisecond(self, store: Store) -> None:
        await store.add_products([a_product(sale_starts_at=NOON, sale_ends_at=NOON + 100)])
        assert await do(store, reserve(1), at=NOON - 1) == NotOnSale(CUP, NOON, NOON + 100, retry_after_s=1)
        granted(await do(store, reserve(2), at=NOON))
        granted(await do(store, reserve(3), at=NOON + 99))
        assert await do(store, reserve(4), at=NOON + 100) == NotOnSale(CUP, NOON, NOON + 100)

    async def test_the_first_reason_in_order_is_told(self, store: Store) -> None:
        await store.add_products(
            [
                a_product(CUP, 1, per_customer_limit=1),
                a_product(HAT, 0, sale_ends_at=NOON),
                a_product(PEN, 9, per_customer_limit=1),
            ]
        )
        first = granted(await do(store, reserve(1, key="k")))
        unknown = reservation_id(404)
        assert await do(store, reserve(2, of=unknown, key="k")) == NotFound("product", unknown)
        assert await do(store, reserve(2, of=HAT, key="k")) == KeyReused("k")
        assert await do(store, reserve(2, of=HAT)) == NotOnSale(HAT, None, NOON)
        assert await do(store, reserve(2)) == SoldOut(CUP, 0)
        assert await do(store, reserve(2, of=PEN, quantity=2)) == LimitReached(PEN, 1)
        assert await do(store, reserve(2, key="k"), at=LAPSED) == Replayed(first)

    async def test_a_basket_is_held_whole_or_not_at_all(self, store: Store) -> None:
        await store.add_products([a_product(CUP, 5), a_product(HAT, 1)])
        before = await everything(store)
        assert await do(store, reserve_basket(1, {CUP: 1, HAT: 2})) == SoldOut(HAT, 1)
        assert await do(store, reserve_basket(1, {CUP: 1, PEN: 2})) == NotFound("product", PEN)
        assert await everything(store) == before

    async def test_one_product_twice_in_a_basket_is_summed(self, store: Store) -> None:
        await store.add_products([a_product(units=5)])
        lines = basket([Units(CUP, 3), Units(CUP, 3)])
        assert await do(store, Reserve(reservation_id(1), ANN, lines)) == SoldOut(CUP, 5)
        assert await available(store, CUP) == 5

    async def test_a_basket_is_held_on_the_strictest_terms(self, store: Store) -> None:
        await store.add_products([a_product(CUP, hold_s=60), a_product(HAT, hold_s=90, extensions_max=1)])
        held = granted(await do(store, reserve_basket(1, {CUP: 1, HAT: 1})))
        assert (held.hold_s, held.extensions_max, held.expires_at) == (60, 1, NOON + 60_000)

    async def test_later_edits_leave_the_terms_of_a_hold_alone(self, store: Store) -> None:
        await store.add_products([a_product()])
        held = granted(await do(store, reserve(1)))
        await do(store, edit(price=1, hold_s=1, extensions_max=0))
        assert await reservation(store, 1) == held


class TestStoredKeys:
    async def test_a_replay_is_the_grant_whatever_became_of_it(self, store: Store) -> None:
        await store.add_products([a_product()])
        first = granted(await do(store, reserve(1, key="k")))
        for later in (extend(1), cancel(1)):
            await do(store, later, at=NOON + 1)
            assert await do(store, reserve(2, key="k"), at=NOON + 1) == Replayed(first)
        assert await available(store, CUP) == 10

    async def test_another_request_under_the_key_is_refused(self, store: Store) -> None:
        await store.add_products([a_product(), a_product(HAT)])
        granted(await do(store, reserve(1, key="k")))
        before = await everything(store)
        assert await do(store, reserve(2, quantity=2, key="k")) == KeyReused("k")
        assert await do(store, reserve(2, of=HAT, key="k")) == KeyReused("k")
        assert await do(store, reserve_basket(2, {CUP: 1, HAT: 1}, key="k")) == KeyReused("k")
        assert await everything(store) == before

    async def test_a_key_is_one_customers(self, store: Store) -> None:
        await store.add_products([a_product()])
        outcomes = await flush(store, reserve(1, ANN, key="k"), reserve(2, BEN, key="k"))
        assert [granted(outcome).user_id for outcome in outcomes] == [ANN, BEN]

    async def test_only_a_grant_binds_a_key(self, store: Store) -> None:
        await store.add_products([a_product(units=1)])
        assert isinstance(await do(store, reserve(1, quantity=2, key="k")), SoldOut)
        granted(await do(store, reserve(2, key="k")))

    async def test_a_key_outlives_its_hold(self, store: Store) -> None:
        await store.add_products([a_product(per_customer_limit=1)])
        first = granted(await do(store, reserve(1, key="k")))
        await store.release_lapsed(LAPSED, 10)
        assert await do(store, reserve(2, key="k"), at=LAPSED) == Replayed(first)
        assert await do(store, reserve(2, quantity=2, key="k"), at=LAPSED) == KeyReused("k")

    async def test_keys_that_look_alike_are_different(self, store: Store) -> None:
        await store.add_products([a_product(units=50)])
        keys = ["k", "K", " k", "k ", "k:1", "1", "01", "1.0", "é", "e\u0301", "🎟", '"', "\\", "'", "%", "null"]
        for number, key in enumerate(keys):
            granted(await do(store, reserve(number, key=key)))
        for number, key in enumerate(keys):
            replayed = await do(store, reserve(100 + number, key=key))
            assert isinstance(replayed, Replayed)
            assert replayed.reservation.id == reservation_id(number)


class TestLimits:
    async def test_holds_and_purchases_count_together(self, store: Store) -> None:
        await store.add_products([a_product(per_customer_limit=3)])
        granted(await do(store, reserve(1)))
        await do(store, confirm(1))
        granted(await do(store, reserve(2)))
        assert await do(store, reserve(3, quantity=2)) == LimitReached(CUP, 3)
        granted(await do(store, reserve(4)))
        assert await do(store, reserve(5)) == LimitReached(CUP, 3)
        granted(await do(store, reserve(6, BEN, 3)))
        granted(await do(store, reserve(7, quantity=2), at=LAPSED))

    async def test_purchases_count_for_good(self, store: Store) -> None:
        await store.add_products([a_product(per_customer_limit=1)])
        granted(await do(store, reserve(1)))
        await do(store, confirm(1))
        assert await do(store, reserve(2), at=LAPSED) == LimitReached(CUP, 1)

    async def test_baskets_count_for_each_of_their_products(self, store: Store) -> None:
        await store.add_products([a_product(CUP, per_customer_limit=2), a_product(HAT, per_customer_limit=1)])
        granted(await do(store, reserve_basket(1, {CUP: 1, HAT: 1})))
        before = await everything(store)
        assert await do(store, reserve_basket(2, {CUP: 1, HAT: 1})) == LimitReached(HAT, 1)
        assert await do(store, reserve_basket(2, {CUP: 2})) == LimitReached(CUP, 2)
        assert await everything(store) == before
        granted(await do(store, reserve(3)))

    async def test_cancelling_frees_them(self, store: Store) -> None:
        await store.add_products([a_product(CUP, per_customer_limit=2), a_product(HAT, per_customer_limit=1)])
        granted(await do(store, reserve_basket(1, {CUP: 2, HAT: 1})))
        await do(store, cancel(1))
        granted(await do(store, reserve_basket(2, {CUP: 2, HAT: 1})))

    async def test_expiry_frees_them(self, store: Store) -> None:
        await store.add_products([a_product(per_customer_limit=2)])
        granted(await do(store, reserve(1, quantity=2)))
        await store.release_lapsed(LAPSED, 10)
        granted(await do(store, reserve(2, quantity=2), at=LAPSED))

    async def test_units_given_back_leave_the_others_counted(self, store: Store) -> None:
        await store.add_products([a_product(per_customer_limit=3)])
        await flush(store, reserve(1), reserve(2), reserve(3))
        await do(store, cancel(2))
        granted(await do(store, reserve(4)))
        assert await do(store, reserve(5)) == LimitReached(CUP, 3)

    async def test_ones_own_lapsed_hold_makes_room_and_is_released(self, store: Store) -> None:
        await store.add_products([a_product(CUP, per_customer_limit=1), a_product(HAT)])
        granted(await do(store, reserve_basket(1, {CUP: 1, HAT: 4})))
        assert await do(store, reserve(2), at=LAPSED - 1) == LimitReached(CUP, 1)
        granted(await do(store, reserve(3), at=LAPSED))
        lapsed = await reservation(store, 1)
        assert (lapsed.status, lapsed.released_at) == (Status.EXPIRED, LAPSED)
        assert (await available(store, CUP), await available(store, HAT)) == (9, 10)

    async def test_a_lapsed_hold_is_left_alone_when_the_limit_is_reached_all_the_same(self, store: Store) -> None:
        await store.add_products([a_product(per_customer_limit=2)])
        await flush(store, reserve(1), reserve(2))
        await do(store, confirm(2))
        before = await everything(store)
        assert await do(store, reserve(3, quantity=2), at=LAPSED) == LimitReached(CUP, 2)
        assert await everything(store) == before

    async def test_a_raised_limit_counts_what_is_already_had(self, store: Store) -> None:
        await store.add_products([a_product(per_customer_limit=1)])
        granted(await do(store, reserve(1)))
        assert isinstance(await do(store, edit(per_customer_limit=2)), Edited)
        granted(await do(store, reserve(2)))
        assert await do(store, reserve(3)) == LimitReached(CUP, 2)


class TestHolds:
    async def test_confirmed_units_stay_taken(self, store: Store) -> None:
        await store.add_products([a_product()])
        granted(await do(store, reserve(1, quantity=4)))
        outcome = await do(store, confirm(1), at=LAPSED - 1)
        bought = await reservation(store, 1)
        assert outcome == Confirmed(bought)
        assert (bought.status, bought.confirmed_at) == (Status.CONFIRMED, LAPSED - 1)
        assert await do(store, confirm(1), at=LAPSED) == outcome
        assert await available(store, CUP) == 6

    @pytest.mark.parametrize("command", [confirm(1), extend(1)])
    async def test_at_expires_at_it_is_too_late_and_the_stock_is_back(self, store: Store, command: Command) -> None:
        await store.add_products([a_product(per_customer_limit=4)])
        granted(await do(store, reserve(1, quantity=4)))
        assert await do(store, command, at=LAPSED) == Expired(reservation_id(1), LAPSED)
        held = await reservation(store, 1)
        assert (held.status, held.released_at, held.extensions) == (Status.EXPIRED, LAPSED, 0)
        assert await available(store, CUP) == 10
        assert await do(store, command, at=LAPSED + 1) == Expired(reservation_id(1), LAPSED)
        granted(await do(store, reserve(2, quantity=4), at=LAPSED))

    async def test_extensions_are_counted_and_capped(self, store: Store) -> None:
        await store.add_products([a_product(extensions_max=3)])
        granted(await do(store, reserve(1)))
        for n in (1, 2, 3):
            outcome = await do(store, extend(1), at=NOON + n)
            held = await reservation(store, 1)
            assert outcome == Extended(held)
            assert (held.extensions, held.expires_at) == (n, LAPSED + n)
        before = await everything(store)
        assert await do(store, extend(1), at=NOON + 4) == ExtensionsUsedUp(reservation_id(1), 3)
        assert await everything(store) == before
        assert isinstance(await do(store, confirm(1), at=LAPSED + 2), Confirmed)

    async def test_an_extension_never_moves_the_end_back(self, store: Store) -> None:
        await store.add_products([a_product()])
        granted(await do(store, reserve(1)))
        for n in (1, 2):
            await do(store, extend(1), at=NOON - 5_000)
            assert (await reservation(store, 1)).expires_at == LAPSED + n

    async def test_cancelling_gives_back_once(self, store: Store) -> None:
        await store.add_products([a_product()])
        granted(await do(store, reserve(1, quantity=4)))
        outcome = await do(store, cancel(1), at=NOON + 1)
        held = await reservation(store, 1)
        assert outcome == Released(held)
        assert (held.status, held.released_at) == (Status.CANCELLED, NOON + 1)
        assert await do(store, cancel(1), at=LAPSED) == outcome
        assert await available(store, CUP) == 10

    async def test_a_lapsed_hold_cannot_be_cancelled_only_expired(self, store: Store) -> None:
        await store.add_products([a_product()])
        granted(await do(store, reserve(1)))
        outcome = await do(store, cancel(1), at=LAPSED)
        assert isinstance(outcome, Released)
        assert outcome.reservation.status is Status.EXPIRED
        assert await available(store, CUP) == 10

    async def test_expiring_gives_back_once_and_only_when_due(self, store: Store) -> None:
        await store.add_products([a_product()])
        granted(await do(store, reserve(1)))
        assert await do(store, expire(1), at=LAPSED - 1) == NotDue(reservation_id(1))
        assert isinstance(await do(store, expire(1), at=LAPSED), Released)
        assert await do(store, expire(1), at=LAPSED) == NotDue(reservation_id(1))
        assert await do(store, expire(404), at=LAPSED) == NotDue(reservation_id(404))
        assert await available(store, CUP) == 10

    async def test_what_is_settled_stays_so(self, store: Store) -> None:
        await store.add_products([a_product()])
        await flush(store, reserve(1), reserve(2))
        await flush(store, confirm(1), cancel(2))
        before = await everything(store)
        for at in (NOON, LAPSED):
            assert await do(store, extend(1), at=at) == AlreadyConfirmed(reservation_id(1))
            assert await do(store, cancel(1), at=at) == AlreadyConfirmed(reservation_id(1))
            assert await do(store, expire(1), at=at) == NotDue(reservation_id(1))
            assert await do(store, confirm(2), at=at) == AlreadyCancelled(reservation_id(2))
            assert await do(store, extend(2), at=at) == AlreadyCancelled(reservation_id(2))
            assert await do(store, expire(2), at=at) == NotDue(reservation_id(2))
        assert await everything(store) == before

    @pytest.mark.parametrize("command", [confirm(1, BEN), extend(1, BEN), cancel(1, BEN), confirm(404, BEN)])
    async def test_anothers_or_an_unknown_reservation_is_not_found(self, store: Store, command: Command) -> None:
        await store.add_products([a_product()])
        granted(await do(store, reserve(1, ANN)))
        before = await everything(store)
        for at in (NOON, LAPSED):
            outcome = await do(store, command, at=at)
            assert isinstance(outcome, NotFound)
            assert outcome.what == "reservation"
        assert await everything(store) == before


class TestStoredRestocks:
    async def test_units_are_put_in_once_under_a_key(self, store: Store) -> None:
        await store.add_products([a_product(units=3), a_product(HAT)])
        granted(await do(store, reserve(1)))
        put_in = Adjustment(CUP, "k", 5, ADMIN, NOON, 8, 7)
        assert await do(store, restock(5, "k")) == Restocked(put_in)
        granted(await do(store, reserve(2)))
        assert await do(store, restock(5, "k"), at=NOON + 1) == Restocked(put_in, replayed=True)
        assert await do(store, restock(6, "k")) == KeyReused("k")
        assert isinstance(await do(store, restock(6, "k", of=HAT)), Restocked)
        after = await product(store, CUP)
        assert (after.stocked, after.available, after.rev, after.updated_at) == (8, 6, 1, NOON)

    async def test_stock_is_never_lowered_below_what_is_taken(self, store: Store) -> None:
        await store.add_products([a_product(units=10)])
        await flush(store, reserve(1, quantity=2), reserve(2, quantity=3))
        await do(store, confirm(1))
        before = await everything(store)
        assert await do(store, restock(-6, "k")) == StockTaken(CUP, 5)
        assert await everything(store) == before
        assert isinstance(await do(store, restock(-5, "k")), Restocked)
        assert (await product(store, CUP)).stocked == 5
        assert await available(store, CUP) == 0

    async def test_stock_has_an_upper_bound(self, store: Store) -> None:
        await store.add_products([a_product(units=limits.STOCK_MAX - 5)])
        assert isinstance(await do(store, restock(6, "k")), Invalid)
        assert isinstance(await do(store, restock(5, "k")), Restocked)
        assert await available(store, CUP) == limits.STOCK_MAX

    async def test_an_unknown_product_is_not_found(self, store: Store) -> None:
        assert await do(store, restock(1)) == NotFound("product", CUP)


class TestStoredEdits:
    async def test_what_is_given_changes_and_stock_stays(self, store: Store) -> None:
        await store.add_products([a_product(sale_starts_at=NOON - 9)])
        granted(await do(store, reserve(1)))
        window: dict[str, Any] = {"sale_starts_at": None, "sale_ends_at": NOON + 9}
        changes: dict[str, Any] = {"name": "Mug", "price": 1, "hold_s": 5, "extensions_max": 9, **window}
        outcome = await do(store, edit(**changes))
        after = await product(store, CUP)
        assert outcome == Edited(after)
        assert after == a_product(available=9, updated_at=NOON, rev=2, trail_n=2, **changes)

    async def test_an_edit_that_changes_nothing_writes_nothing(self, store: Store) -> None:
        await store.add_products([a_product()])
        assert await do(store, edit(name="Cup")) == Edited(a_product())
        assert await product(store, CUP) == a_product()

    async def test_a_sale_has_to_end_after_it_starts(self, store: Store) -> None:
        await store.add_products([a_product(sale_starts_at=NOON)])
        assert isinstance(await do(store, edit(sale_ends_at=NOON)), Invalid)
        assert await product(store, CUP) == a_product(sale_starts_at=NOON)
        assert isinstance(await do(store, edit(sale_ends_at=NOON + 1)), Edited)

    async def test_after_a_reservation_the_limit_can_only_be_raised(self, store: Store) -> None:
        await store.add_products([a_product(per_customer_limit=2), a_product(HAT)])
        assert isinstance(await do(store, edit(per_customer_limit=3)), Edited)
        assert isinstance(await do(store, edit(per_customer_limit=2)), Edited)
        granted(await do(store, reserve_basket(1, {CUP: 1, HAT: 1})))
        await do(store, cancel(1))
        for refused in (edit(per_customer_limit=1), edit(per_customer_limit=None), edit(HAT, per_customer_limit=1)):
            assert isinstance(await do(store, refused), RulesFixed)
        assert isinstance(await do(store, edit(per_customer_limit=3)), Edited)
        assert (await product(store, CUP)).per_customer_limit == 3
        assert (await product(store, HAT)).per_customer_limit is None

    async def test_an_unknown_product_is_not_found(self, store: Store) -> None:
        assert await do(store, edit(price=1)) == NotFound("product", CUP)
