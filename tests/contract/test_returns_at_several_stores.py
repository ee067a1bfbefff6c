"""Returns of one purchase at two processes at once."""

import asyncio

from tests.contract.requests import assert_balanced, available, counted, do, do_until_available
from tests.contract.test_returns import bought
from tests.core.examples import CUP, HAT, a_product, give_back, reservation_id

from flashreserve.core.outcomes import TooMany
from flashreserve.stores.port import Store


async def test_one_key_at_two_processes_gives_back_once(stores: tuple[Store, Store]) -> None:
    one, _ = stores
    await one.add_products([a_product(units=115)])
    await bought(one, {CUP: 15})
    asked = [do_until_available(store, give_back(1, {CUP: 5})) for store in stores for _ in range(5)]
    assert counted(await asyncio.gather(*asked)) == {"Returned": 10}
    assert await available(one, CUP) == 105
    assert await do(one, give_back(1, {CUP: 11}, "parcel-2")) == TooMany(reservation_id(1), CUP, 10)
    await assert_balanced(one)


async def test_returns_at_two_processes_never_exceed_the_purchase(stores: tuple[Store, Store]) -> None:
    one, _ = stores
    await one.add_products([a_product(CUP), a_product(HAT)])
    await bought(one, {CUP: 3, HAT: 3})
    asked = [
        do_until_available(store, give_back(1, {CUP: 2, HAT: 1}, f"parcel-{number}"))
        for number, store in enumerate((*stores, *stores))
    ]
    assert counted(await asyncio.gather(*asked)) == {"Returned": 1, "TooMany": 3}
    assert (await available(one, CUP), await available(one, HAT)) == (9, 8)
    await assert_balanced(one)
