"""One flush: its order, its outcomes, and that it is written completely or not at all."""

import pytest
from tests.contract.factories import StoreFactory
from tests.contract.requests import assert_balanced, available, do, everything, flush, product, reservation
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
    user_id,
)

from flashreserve.core import limits
from flashreserve.core.commands import Command, Reserve
from flashreserve.core.model import Status
from flashreserve.core.outcomes import (
    Confirmed,
    Edited,
    Expired,
    Extended,
    KeyReused,
    LimitReached,
    NotDue,
    NotOnSale,
    Replayed,
    RulesFixed,
    SoldOut,
)
from flashreserve.stores.port import Store, StoreDefectError

LAPSED = NOON + HOLD_MS


class TestOutcomes:
    async def test_no_commands_come_to_no_outcomes(self, store: Store) -> None:
        flushed = await store.flush([], NOON)
        assert (flushed.outcomes, flushed.products) == ([], [])

    async def test_they_stand_in_the_order_of_the_commands(self, store: Store) -> None:
        await store.add_products([a_product()])
        await flush(store, reserve(1), reserve(2), reserve(3))
        commands: list[Command] = [
            *(edit(price=1), restock(1), expire(3), cancel(1), confirm(2), extend(3)),
            *(reserve(4), reserve(5, quantity=99), reserve(6, of=HAT)),
        ]
        assert [type(outcome).__name__ for outcome in await flush(store, *commands)] == [
            *("Edited", "Restocked", "NotDue", "Released", "Confirmed", "Extended"),
            *("Reserved", "SoldOut", "NotFound"),
        ]
        await assert_balanced(store)

    async def test_the_first_to_arrive_is_served_first(self, store: Store) -> None:
        await store.add_products([a_product(units=5)])
        outcomes = await flush(store, reserve(9, BEN, 3), reserve(1, quantity=3), reserve(5, quantity=2), reserve(2))
        assert [type(outcome).__name__ for outcome in outcomes] == ["Reserved", "SoldOut", "Reserved", "SoldOut"]
        assert await available(store, CUP) == 0

    async def test_a_full_flush_is_decided_whole(self, store: Store) -> None:
        await store.add_products([a_product(units=500)])
        outcomes = await flush(store, *[reserve(n, user_id(n)) for n in range(limits.FLUSH_MAX)])
        assert [granted(outcome).id for outcome in outcomes[:500]] == [reservation_id(n) for n in range(500)]
        assert outcomes[500:] == [SoldOut(CUP, 0)] * 12
        await assert_balanced(store)

    async def test_reserve_extend_confirm_cancel_expire_have_their_turns_in_this_order(self, store: Store) -> None:
        await store.add_products([a_product()])
        swept, cancelled, bought, extended, held = await flush(
            store, expire(1), cancel(1), confirm(1), extend(1), reserve(1)
        )
        assert granted(held).extensions == 0
        assert isinstance(extended, Extended)
        assert isinstance(bought, Confirmed)
        assert type(cancelled).__name__ == "AlreadyConfirmed"
        assert swept == NotDue(reservation_id(1))
        written = await reservation(store, 1)
        assert (written.status, written.extensions) == (Status.CONFIRMED, 1)

    async def test_confirm_and_expire_in_one_flush_have_one_winner(self, store: Store) -> None:
        await store.add_products([a_product()])
        await flush(store, reserve(1), reserve(2))
        _, bought = await flush(store, expire(1), confirm(1), at=LAPSED - 1)
        _, late = await flush(store, expire(2), confirm(2), at=LAPSED)
        assert isinstance(bought, Confirmed)
        assert late == Expired(reservation_id(2), LAPSED)
        assert await available(store, CUP) == 9
        await assert_balanced(store)

    async def test_the_same_key_twice_is_one_hold(self, store: Store) -> None:
        await store.add_products([a_product()])
        first, again, other, bens = await flush(
            store, reserve(1, key="k"), reserve(2, key="k"), reserve(3, quantity=2, key="k"), reserve(4, BEN, key="k")
        )
        assert again == Replayed(granted(first))
        assert other == KeyReused("k")
        granted(bens)
        assert await available(store, CUP) == 8

    async def test_the_same_restock_twice_is_one(self, store: Store) -> None:
        await store.add_products([a_product()])
        _, again, other = await flush(store, restock(5, "k"), restock(5, "k"), restock(6, "k"))
        assert getattr(again, "replayed", False) is True
        assert other == KeyReused("k")
        assert await available(store, CUP) == 15

    async def test_edits_build_on_each_other_and_on_stock_movements(self, store: Store) -> None:
        await store.add_products([a_product()])
        await flush(store, edit(price=1), reserve(1, quantity=3), edit(name="Mug"), restock(5))
        after = await product(store, CUP)
        assert (after.price, after.name, after.rev, after.stocked, after.available) == (1, "Mug", 3, 15, 12)

    async def test_a_reservation_fixes_the_limit_within_the_flush(self, store: Store) -> None:
        await store.add_products([a_product()])
        refused, held = await flush(store, edit(per_customer_limit=1), reserve(1, quantity=3))
        granted(held)
        assert isinstance(refused, RulesFixed)
        assert (await product(store, CUP)).per_customer_limit is None


class TestStoredSecondTry:
    @pytest.mark.parametrize("refund", [cancel(1), restock(1)], ids=["cancelled", "restocked"])
    async def test_units_that_come_back_go_to_who_was_sold_out(self, store: Store, refund: Command) -> None:
        await store.add_products([a_product(units=1)])
        granted(await do(store, reserve(1)))
        first, second, _ = await flush(store, reserve(2, BEN), reserve(3, BEN), refund)
        granted(first)
        assert second == SoldOut(CUP, 0)
        assert await available(store, CUP) == 0
        await assert_balanced(store)

    @pytest.mark.parametrize("finder", [expire(1), confirm(1), extend(1), cancel(1)])
    async def test_so_do_those_of_a_lapsed_hold(self, store: Store, finder: Command) -> None:
        await store.add_products([a_product(units=1)])
        granted(await do(store, reserve(1)))
        outcome, _ = await flush(store, reserve(2, BEN), finder, at=LAPSED)
        granted(outcome)
        await assert_balanced(store)

    async def test_they_go_by_arrival_to_each_that_fits(self, store: Store) -> None:
        await store.add_products([a_product(units=3)])
        granted(await do(store, reserve(1, quantity=3)))
        outcomes = await flush(store, reserve(2, quantity=2), reserve(3, quantity=2), reserve(4), cancel(1))
        assert [type(outcome).__name__ for outcome in outcomes] == ["Reserved", "SoldOut", "Reserved", "Released"]

    async def test_the_rules_as_edited_hold_for_it(self, store: Store) -> None:
        await store.add_products([a_product(units=1)])
        granted(await do(store, reserve(1)))
        outcome, _, _ = await flush(store, reserve(2), cancel(1), edit(sale_ends_at=NOON))
        assert outcome == NotOnSale(CUP, None, NOON)
        await assert_balanced(store)

    async def test_a_limit_set_in_the_flush_that_brings_the_units_holds_for_it(self, store: Store) -> None:
        await store.add_products([a_product(units=0)])
        outcome, _, edited = await flush(store, reserve(1, quantity=2), restock(5), edit(per_customer_limit=1))
        assert isinstance(edited, Edited)
        assert outcome == LimitReached(CUP, 1)

    async def test_nobody_is_tried_again_when_stock_was_taken_out(self, store: Store) -> None:
        await store.add_products([a_product(units=1)])
        outcome, _ = await flush(store, reserve(1, quantity=2), restock(-1))
        assert outcome == SoldOut(CUP, 1)


class TestFlushedProducts:
    """The stock view learns from the products that a flush returns."""

    async def test_each_product_is_told_as_the_flush_left_it(self, store: Store) -> None:
        await store.add_products([a_product(CUP), a_product(HAT), a_product(PEN)])
        flushed = await store.flush([reserve_basket(1, {CUP: 1, HAT: 2}), restock(5, of=HAT), edit(price=1)], NOON)
        assert {found.id: found for found in flushed.products} == {
            CUP: await product(store, CUP),
            HAT: await product(store, HAT),
        }

    async def test_those_of_refused_commands_are_told_too(self, store: Store) -> None:
        await store.add_products([a_product(units=0)])
        assert (await store.flush([reserve(1), reserve(2, of=HAT)], NOON)).products == [a_product(units=0)]

    @pytest.mark.parametrize("command", [confirm(1), extend(1), cancel(1), expire(1)])
    async def test_those_of_a_reservation_are_told(self, store: Store, command: Command) -> None:
        await store.add_products([a_product(CUP), a_product(HAT), a_product(PEN)])
        granted(await do(store, reserve_basket(1, {CUP: 1, HAT: 2})))
        flushed = await store.flush([command], LAPSED)
        assert {found.id: found.available for found in flushed.products} == {CUP: 10, HAT: 10}


class TestWholeOrNotAtAll:
    async def test_refusals_write_nothing(self, store: Store) -> None:
        await store.add_products([a_product(units=1, per_customer_limit=1), a_product(HAT, sale_ends_at=NOON)])
        granted(await do(store, reserve(1, key="k")))
        before = await everything(store)
        commands: list[Command] = [
            *(reserve(2), reserve(3, of=HAT), reserve(4, of=PEN), reserve(5, quantity=2, key="k"), reserve(6, key="k")),
            *(confirm(1, BEN), extend(1, BEN), cancel(1, BEN), confirm(404), expire(1)),
            *(restock(-1), edit(PEN, price=1), edit(sale_starts_at=NOON, sale_ends_at=NOON)),
        ]
        await flush(store, *commands)
        assert await everything(store) == before

    async def test_a_used_id_is_a_defect_and_nothing_of_the_flush_is_written(self, store: Store) -> None:
        await store.add_products([a_product(per_customer_limit=5)])
        granted(await do(store, reserve(1)))
        before = await everything(store)
        with pytest.raises(StoreDefectError):
            await flush(store, restock(5, "r"), reserve(2, key="k"), reserve(1, BEN))
        with pytest.raises(StoreDefectError):
            await flush(store, reserve(3, key="k"), reserve(3, BEN))
        assert await everything(store) == before
        granted(await do(store, reserve(2, quantity=4, key="k")))
        assert await available(store, CUP) == 5
        await assert_balanced(store)

    async def test_a_command_that_cannot_be_decided_leaves_nothing_behind(self, store: Store) -> None:
        await store.add_products([a_product()])
        poison = Reserve(reservation_id(2), ANN, ())
        before = await everything(store)
        with pytest.raises(ValueError, match="empty"):
            await flush(store, restock(5), reserve(1, key="k"), poison)
        assert await everything(store) == before
        granted(await do(store, reserve(1, key="k")))


class TestDurability:
    """Acknowledged data exists when the database is opened again."""

    async def test_holds_with_their_keys_and_limits(self, durable: StoreFactory) -> None:
        store = await durable.open()
        await store.add_products([a_product(per_customer_limit=2), a_product(HAT)])
        first = granted(await do(store, reserve_basket(1, {CUP: 2, HAT: 1}, key="k")))
        before = await everything(store)
        await store.close()
        store = await durable.open()
        assert await everything(store) == before
        assert await do(store, reserve_basket(2, {CUP: 2, HAT: 1}, key="k")) == Replayed(first)
        assert type(await do(store, reserve(3))).__name__ == "LimitReached"
        await assert_balanced(store)

    async def test_extensions_purchases_and_releases(self, durable: StoreFactory) -> None:
        store = await durable.open()
        await store.add_products([a_product()])
        await flush(store, *[reserve(n) for n in range(1, 5)])
        await flush(store, extend(1), confirm(2), cancel(3), at=NOON + 1)
        await store.release_lapsed(LAPSED, 10)
        before = await everything(store)
        await store.close()
        store = await durable.open()
        assert await everything(store) == before
        statuses = [(await reservation(store, n)).status for n in range(1, 5)]
        assert statuses == [Status.PENDING, Status.CONFIRMED, Status.CANCELLED, Status.EXPIRED]
        assert await available(store, CUP) == 8

    async def test_restocks_with_their_keys_and_edits(self, durable: StoreFactory) -> None:
        store = await durable.open()
        await store.add_products([a_product()])
        await flush(store, restock(5, "k"), edit(price=1))
        before = await everything(store)
        await store.close()
        store = await durable.open()
        assert await everything(store) == before
        assert await do(store, restock(6, "k")) == KeyReused("k")
