"""Reading single reservations and products, and pages of them."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import pytest
from tests.contract.requests import do, every, flush, listed, product
from tests.core.examples import (
    ANN,
    BEN,
    CUP,
    HAT,
    HOLD_MS,
    NOON,
    PEN,
    a_product,
    confirm,
    granted,
    product_id,
    reservation_id,
    reserve,
    reserve_basket,
)

from flashreserve.core.model import Product, Reservation, Status
from flashreserve.stores.filters import ALL_RESERVATIONS, ReservationFilter
from flashreserve.stores.port import Store, StoreDefectError

T = TypeVar("T", Product, Reservation)
ENTRIES = 7


async def read_in_pages(page: Callable[[str | None, int], Awaitable[list[T]]], most: int) -> tuple[list[T], list[int]]:
    """All entries, and the number on each page. Reading ends at the first empty page, or at one page too many."""
    entries: list[T] = []
    sizes: list[int] = []
    while (not sizes or sizes[-1] > 0) and len(sizes) <= ENTRIES + 1:
        found = await page(entries[-1].id if entries else None, most)
        entries += found
        sizes.append(len(found))
    return entries, sizes


def page_sizes(most: int) -> list[int]:
    full, rest = divmod(ENTRIES, most)
    return [most] * full + [rest] * (rest > 0) + [0]


class TestReservations:
    async def test_an_unknown_one_is_none(self, store: Store) -> None:
        assert await store.reservation(reservation_id(1)) is None

    async def test_one_is_told_as_last_written_lapsed_or_not(self, store: Store) -> None:
        await store.add_products([a_product()])
        held = granted(await do(store, reserve(1, key="k")))
        assert await store.reservation(held.id) == held
        await do(store, confirm(1), at=NOON + 1)
        found = await store.reservation(held.id)
        assert found is not None
        assert (found.status, found.confirmed_at) == (Status.CONFIRMED, NOON + 1)

    async def test_a_lapsed_one_reads_as_it_was_written_until_it_is_swept(self, store: Store) -> None:
        await store.add_products([a_product()])
        held = granted(await do(store, reserve(1), at=NOON - 2 * HOLD_MS))
        assert await store.reservation(held.id) == held

    @pytest.mark.parametrize("most", [1, 3, 6, 7, 8])
    async def test_a_customers_come_in_pages_newest_first(self, store: Store, most: int) -> None:
        await store.add_products([a_product(units=100)])
        for number in (4, 1, 7, 2, 6, 3, 5):
            await flush(store, reserve(number, ANN), reserve(number + 100, BEN))

        async def page(before: str | None, most: int) -> list[Reservation]:
            where = ReservationFilter(user_id=ANN)
            return (await store.search_reservations(where, before, most, NOON, newest_first=True)).reservations

        found, sizes = await read_in_pages(page, most)
        assert [held.id for held in found] == [reservation_id(n) for n in (7, 6, 5, 4, 3, 2, 1)]
        assert sizes == page_sizes(most)

    async def test_a_customer_without_any_has_an_empty_page(self, store: Store) -> None:
        assert await every(store, ReservationFilter(user_id=ANN), newest_first=True) == []

    @pytest.mark.parametrize("most", [1, 3, 7, 8])
    async def test_a_products_come_in_pages_oldest_first_baskets_included(self, store: Store, most: int) -> None:
        await store.add_products([a_product(CUP, 100), a_product(HAT, 100)])
        for number in (4, 1, 7, 2, 6, 3, 5):
            lines = {CUP: 1, HAT: 1} if number % 2 else {CUP: 1}
            await flush(store, reserve_basket(number, lines), reserve(number + 100, of=HAT))
        await do(store, confirm(3))

        async def page(after: str | None, most: int) -> list[Reservation]:
            return (await store.search_reservations(ReservationFilter(product_id=CUP), after, most, NOON)).reservations

        found, sizes = await read_in_pages(page, most)
        assert [held.id for held in found] == [reservation_id(n) for n in range(1, 8)]
        assert sizes == page_sizes(most)
        assert found[2].status is Status.CONFIRMED
        assert len(found[2].lines) == 2
        assert await every(store, ReservationFilter(product_id=PEN)) == []

    @pytest.mark.parametrize("most", [2, 7, 8])
    async def test_all_come_in_pages_oldest_first(self, store: Store, most: int) -> None:
        await store.add_products([a_product(units=100), a_product(HAT)])
        for number in (4, 1, 7, 2, 6, 3, 5):
            of = HAT if number % 3 == 0 else CUP
            await do(store, reserve(number, ANN if number % 2 else BEN, of=of))

        async def page(after: str | None, most: int) -> list[Reservation]:
            return (await store.search_reservations(ALL_RESERVATIONS, after, most, NOON)).reservations

        found, sizes = await read_in_pages(page, most)
        assert [held.id for held in found] == [reservation_id(n) for n in range(1, 8)]
        assert sizes == page_sizes(most)

    async def test_a_page_may_start_from_an_id_that_does_not_exist(self, store: Store) -> None:
        await store.add_products([a_product()])
        await flush(store, reserve(2), reserve(4))
        for where in (ALL_RESERVATIONS, ReservationFilter(user_id=ANN), ReservationFilter(product_id=CUP)):
            for newest_first, number in ((False, 4), (True, 2)):
                page = await store.search_reservations(where, reservation_id(3), 9, NOON, newest_first=newest_first)
                assert [held.id for held in page.reservations] == [reservation_id(number)]


class TestProducts:
    async def test_unknown_ones_are_none_or_left_out(self, store: Store) -> None:
        await store.add_products([a_product(CUP), a_product(HAT)])
        assert await store.product(PEN) is None
        assert await store.products([]) == []
        assert await store.products([PEN]) == []
        assert {found.id for found in await store.products([HAT, PEN, CUP])} == {CUP, HAT}

    async def test_they_are_kept_as_they_were_added(self, store: Store) -> None:
        every_field = Product(
            CUP, "Tasse „für dich“ ☕", 0, "JPY", 9, 9, 1, 2, 3, 4, 5, NOON, NOON + 1, 6, "sku-1", NOON, "a recall"
        )
        defaults = {field.name: field.default for field in msgspec.structs.fields(Product)}
        unchanged = [name for name, value in defaults.items() if getattr(every_field, name) == value]
        assert unchanged == ["shop_pause_reason", "trail_n"], "the store decides on these"
        await store.add_products([every_field, a_product(HAT)])
        assert await product(store, CUP) == every_field
        assert await product(store, HAT) == a_product(HAT)
        assert await store.products([CUP]) == [every_field]

    async def test_large_figures_are_kept_exactly(self, store: Store) -> None:
        large = a_product(units=10**9, price=10**12, sale_ends_at=253_402_300_799_999)
        await store.add_products([large])
        assert await product(store, CUP) == large

    async def test_none_at_all_can_be_added(self, store: Store) -> None:
        await store.add_products([])
        assert await listed(store, 10) == []

    async def test_they_are_added_all_or_none(self, store: Store) -> None:
        await store.add_products([a_product(HAT)])
        with pytest.raises(StoreDefectError):
            await store.add_products([a_product(CUP), a_product(HAT, units=99), a_product(PEN)])
        with pytest.raises(StoreDefectError):
            await store.add_products([a_product(CUP), a_product(CUP)])
        assert await listed(store, 10) == [a_product(HAT)]

    async def test_many_are_added_at_once(self, store: Store) -> None:
        await store.add_products([a_product(product_id(n)) for n in range(1_000)])
        assert len(await listed(store, 2_000)) == 1_000

    @pytest.mark.parametrize("most", [1, 3, 7, 8])
    async def test_they_come_in_pages_oldest_first(self, store: Store, most: int) -> None:
        await store.add_products([a_product(product_id(n)) for n in (4, 1, 7, 2, 6, 3, 5)])

        async def page(after: str | None, most: int) -> list[Product]:
            return await listed(store, most, after)

        found, sizes = await read_in_pages(page, most)
        assert [entry.id for entry in found] == [product_id(n) for n in range(1, 8)]
        assert sizes == page_sizes(most)

    async def test_a_reader_sees_what_was_just_written(self, store: Store) -> None:
        await store.add_products([a_product(units=20)])
        for number in range(20):
            granted(await do(store, reserve(number)))
            assert (await product(store, CUP)).available == 19 - number
            assert len(await every(store)) == number + 1


async def test_a_store_that_is_open_answers_and_takes_writes(store: Store) -> None:
    await store.check_writable()


async def test_closing_twice_is_harmless(store: Store) -> None:
    await store.close()
    await store.close()
