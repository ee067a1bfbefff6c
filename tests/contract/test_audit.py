import pytest
from tests.contract.factories import StoreFactory
from tests.contract.requests import do, everything, flush
from tests.core.examples import (
    CUP,
    HAT,
    HOLD_MS,
    NOON,
    PEN,
    a_product,
    cancel,
    confirm,
    reserve,
    reserve_basket,
    restock,
)

from flashreserve.core.audits import Audit, Difference
from flashreserve.stores.port import Store

LAPSED = NOON + HOLD_MS


async def fill(store: Store) -> None:
    """Make reservations of all statuses: 4 live units of the cup, 2 of the hat, none of the pen."""
    await store.add_products([a_product(CUP), a_product(HAT), a_product(PEN)])
    await flush(store, reserve(1), reserve(2), reserve_basket(3, {CUP: 2, HAT: 2}), reserve(4, of=PEN), reserve(5))
    await flush(store, confirm(1), cancel(2), cancel(4), restock(3, of=HAT))


async def test_an_empty_store_balances(store: Store) -> None:
    assert await store.audit() == Audit(products=0, reservations=0, differences=[], complete=True)


async def test_a_store_that_was_only_used_balances(store: Store) -> None:
    await fill(store)
    assert await store.audit() == Audit(products=3, reservations=5, differences=[], complete=True)
    await store.release_lapsed(LAPSED, 10)
    assert await store.audit() == Audit(products=3, reservations=5, differences=[], complete=True)


async def test_products_that_nobody_reserved_are_counted(store: Store) -> None:
    await store.add_products([a_product(CUP), a_product(HAT)])
    assert await store.audit() == Audit(products=2, reservations=0, differences=[], complete=True)


@pytest.mark.parametrize("units", [1, -1])
async def test_a_difference_is_found_whichever_way_it_goes(factory: StoreFactory, units: int) -> None:
    store = await factory.open()
    await fill(store)
    await factory.misplace_units(HAT, units)
    audit = await store.audit()
    assert audit.products == 3
    assert audit.differences == [Difference(HAT, stocked=13, available=11 - units, live=2, moving=0)]


async def test_every_difference_is_told(factory: StoreFactory) -> None:
    store = await factory.open()
    await fill(store)
    for product_id in (CUP, HAT, PEN):
        await factory.misplace_units(product_id, 2)
    differences = (await store.audit()).differences
    assert {found.product_id: (found.available, found.live) for found in differences} == {
        CUP: (4, 4),
        HAT: (9, 2),
        PEN: (8, 0),
    }


async def test_an_audit_changes_nothing(factory: StoreFactory) -> None:
    store = await factory.open()
    await fill(store)
    await factory.misplace_units(CUP, 1)
    before = await everything(store)
    await store.audit()
    assert await everything(store) == before


async def test_lapsed_holds_count_until_they_are_released(store: Store) -> None:
    await store.add_products([a_product()])
    await do(store, reserve(1), at=NOON - 2 * HOLD_MS)
    assert (await store.audit()).differences == []


async def test_an_audit_tells_how_many_reservations_it_has_read(store: Store) -> None:
    await fill(store)
    told: list[int] = []
    await store.audit(told.append)
    assert told[-1] == 5
    assert told == sorted(told)
