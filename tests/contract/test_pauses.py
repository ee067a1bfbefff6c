"""Pausing sales, through every store."""

import pytest
from msgspec.structs import replace
from tests.contract.factories import StoreFactory
from tests.contract.requests import do, flush, product
from tests.core.examples import (
    ADMIN,
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
    extend,
    granted,
    label,
    reserve,
    reserve_basket,
    restock,
)

from flashreserve.core.outcomes import (
    Confirmed,
    Edited,
    Extended,
    KeyReused,
    Labelled,
    NotFound,
    Released,
    Replayed,
    Reserved,
    Restocked,
    SalePaused,
    SoldOut,
)
from flashreserve.stores.filters import ProductFilter
from flashreserve.stores.port import Store

WHY = "a fault in the price"


async def pause(store: Store, of: str = CUP) -> None:
    assert isinstance(await do(store, edit(of, pause_reason=WHY)), Edited)


async def resume(store: Store, of: str = CUP) -> None:
    assert isinstance(await do(store, edit(of, pause_reason=None)), Edited)


async def test_a_paused_product_is_reserved_by_nobody_until_it_is_resumed(store: Store) -> None:
    await store.add_products([a_product(), a_product(HAT)])
    await pause(store)
    assert await do(store, reserve(1)) == SalePaused(CUP, WHY)
    assert await do(store, reserve_basket(2, {CUP: 1, HAT: 1})) == SalePaused(CUP, WHY)
    granted(await do(store, reserve(3, of=HAT)))
    assert await store.settling(CUP) == 0
    await resume(store)
    granted(await do(store, reserve(4)))


async def test_everything_but_reserving_goes_on(store: Store) -> None:
    await store.add_products([a_product()])
    await flush(store, reserve(1, key="k"), reserve(2), reserve(3), reserve(4))
    await pause(store)
    assert isinstance(await do(store, confirm(1)), Confirmed)
    assert isinstance(await do(store, cancel(2)), Released)
    assert isinstance(await do(store, extend(3)), Extended)
    assert isinstance(await do(store, label(3, "A-1")), Labelled)
    assert isinstance(await do(store, restock(5)), Restocked)
    assert isinstance(await do(store, reserve(9, key="k")), Replayed)
    assert (await store.release_lapsed(NOON + HOLD_MS, 10)).released == 1


async def test_the_refusal_comes_after_not_found_and_key_reused_and_before_sold_out(store: Store) -> None:
    await store.add_products([a_product(units=1)])
    granted(await do(store, reserve(1, key="k")))
    await pause(store)
    assert await do(store, reserve(2)) == SalePaused(CUP, WHY)
    assert await do(store, reserve(2, quantity=2, key="k")) == KeyReused("k")
    assert isinstance(await do(store, reserve(2, of=HAT)), NotFound)
    await resume(store)
    assert isinstance(await do(store, reserve(2)), SoldOut)


async def test_all_sales_are_paused_and_resumed_and_so_are_those_of_new_products(store: Store) -> None:
    await store.add_products([a_product(), a_product(HAT)])
    await store.pause_all(WHY, ADMIN, NOON)
    assert await store.shop_pause() == WHY
    await store.add_products([a_product(PEN)])
    for number, id_ in enumerate((CUP, HAT, PEN), start=1):
        assert await do(store, reserve(number, of=id_)) == SalePaused(id_, WHY)
    assert await store.settling(None) == 0
    await store.resume_all(ADMIN, NOON + 1)
    assert await store.shop_pause() is None
    for number, id_ in enumerate((CUP, HAT, PEN), start=4):
        granted(await do(store, reserve(number, of=id_)))


async def test_a_product_paused_by_itself_stays_paused_when_all_are_resumed(store: Store) -> None:
    await store.add_products([a_product(), a_product(HAT)])
    await pause(store)
    await store.pause_all("an outage", ADMIN, NOON)
    assert await do(store, reserve(1)) == SalePaused(CUP, WHY)
    assert await do(store, reserve(1, of=HAT)) == SalePaused(HAT, "an outage")
    await resume(store)
    assert await do(store, reserve(1)) == SalePaused(CUP, "an outage")
    await pause(store)
    await store.resume_all(ADMIN, NOON)
    assert await do(store, reserve(1)) == SalePaused(CUP, WHY)
    granted(await do(store, reserve(2, of=HAT)))


async def test_a_second_reason_replaces_the_first(store: Store) -> None:
    await store.add_products([a_product()])
    for reason in ("one", "two", "two"):
        await store.pause_all(reason, ADMIN, NOON)
    assert await store.shop_pause() == "two"
    assert await do(store, reserve(1)) == SalePaused(CUP, "two")
    assert (await product(store, CUP)).trail_n == 3, "a pause for the same reason changes nothing"


async def test_a_paused_product_is_not_on_sale_in_lists(store: Store) -> None:
    await store.add_products([a_product(), a_product(HAT), a_product(PEN)])
    await pause(store)

    async def listed(where: ProductFilter) -> list[str]:
        return [each.id for each in (await store.search_products(where, None, 10)).products]

    assert await listed(ProductFilter(on_sale_at=NOON)) == [HAT, PEN]
    assert await listed(ProductFilter(off_sale_at=NOON)) == [CUP]
    await store.pause_all(WHY, ADMIN, NOON)
    assert await listed(ProductFilter(on_sale_at=NOON)) == []
    assert await listed(ProductFilter(off_sale_at=NOON)) == [CUP, HAT, PEN]


async def test_an_edit_of_a_paused_product_leaves_it_paused(store: Store) -> None:
    await store.add_products([a_product()])
    await store.pause_all(WHY, ADMIN, NOON)
    assert isinstance(await do(store, edit(name="Mug")), Edited)
    found = await product(store, CUP)
    assert (found.name, found.shop_pause_reason) == ("Mug", WHY)


async def test_another_process_s_pause_counts_at_once(stores: tuple[Store, Store]) -> None:
    """The other process has planned on the product before, and remembers it."""
    await stores[0].add_products([a_product(), a_product(HAT)])
    for number, id_ in enumerate((CUP, HAT), start=1):
        granted(await do(stores[1], reserve(number, of=id_)))
    await pause(stores[0])
    assert await do(stores[1], reserve(3)) == SalePaused(CUP, WHY)
    await stores[0].pause_all("an outage", ADMIN, NOON)
    assert await do(stores[1], reserve(4, of=HAT)) == SalePaused(HAT, "an outage")
    await resume(stores[0])
    await stores[0].resume_all(ADMIN, NOON)
    assert isinstance(await do(stores[1], reserve(5, BEN)), Reserved)


async def test_more_products_than_one_step_pauses_are_all_paused(store: Store) -> None:
    ids = [f"0199c0de-0000-7000-8001-{number:012x}" for number in range(1, 1_103)]
    await store.add_products([a_product(id_) for id_ in ids])
    await store.pause_all(WHY, ADMIN, NOON)
    paused = await store.products(ids)
    assert {each.shop_pause_reason for each in paused} == {WHY}
    assert {each.trail_n for each in paused} == {2}
    await store.resume_all(ADMIN, NOON)
    assert {each.shop_pause_reason for each in await store.products(ids)} == {None}


@pytest.mark.parametrize("added", ["together", "each"])
async def test_a_product_added_during_a_pause_of_all_is_kept_with_the_reason(store: Store, added: str) -> None:
    await store.pause_all(WHY, ADMIN, NOON)
    if added == "each":
        await store.add_each([a_product()])
    else:
        await store.add_products([a_product(), a_product(HAT)])
    assert await product(store, CUP) == replace(a_product(), shop_pause_reason=WHY)


async def test_a_pause_is_durable(durable: StoreFactory) -> None:
    store = await durable.open()
    await store.add_products([a_product()])
    await store.pause_all(WHY, ADMIN, NOON)
    await store.close()
    store = await durable.open()
    assert await store.shop_pause() == WHY
    assert await do(store, reserve(1)) == SalePaused(CUP, WHY)
