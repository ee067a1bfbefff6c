"""Sweeping lapsed holds, and recovering."""

import pytest
from tests.contract.requests import assert_balanced, available, do, every, everything, flush, reservation
from tests.core.examples import (
    CUP,
    HAT,
    HOLD_MS,
    NOON,
    a_product,
    cancel,
    confirm,
    extend,
    granted,
    reservation_id,
    reserve,
    reserve_basket,
    user_id,
)

from flashreserve.core.model import Status
from flashreserve.stores.port import Store, Swept

LAPSED = NOON + HOLD_MS


async def hold_one_a_millisecond(store: Store, count: int) -> None:
    """Make holds 0, 1, 2, … of one unit each. Hold n is over at LAPSED + n."""
    await store.add_products([a_product(units=count)])
    for number in range(count):
        granted(await do(store, reserve(number), at=NOON + number))


async def statuses(store: Store) -> str:
    """The first letter of each reservation's status, by id."""
    return "".join(held.status.value[0] for held in await every(store))


async def test_nothing_due_is_nothing_released(store: Store) -> None:
    assert await store.release_lapsed(NOON, 10) == Swept(released=0, more=False)
    await hold_one_a_millisecond(store, 1)
    assert await store.release_lapsed(LAPSED - 1, 10) == Swept(released=0, more=False)
    assert await statuses(store) == "P"


async def test_a_hold_is_due_at_expires_at(store: Store) -> None:
    await hold_one_a_millisecond(store, 3)
    assert await store.release_lapsed(LAPSED + 1, 10) == Swept(released=2, more=False)
    assert await statuses(store) == "EEP"
    assert await available(store, CUP) == 2
    held = await reservation(store, 0)
    assert (held.status, held.released_at) == (Status.EXPIRED, LAPSED + 1)


async def test_the_longest_lapsed_come_first_and_at_most_as_many_as_asked_for(store: Store) -> None:
    await hold_one_a_millisecond(store, 5)
    await do(store, extend(0), at=NOON + 9)
    assert await store.release_lapsed(LAPSED + 100, 2) == Swept(released=2, more=True)
    assert await statuses(store) == "PEEPP"
    assert await store.release_lapsed(LAPSED + 100, 2) == Swept(released=2, more=True)
    assert await statuses(store) == "PEEEE"
    assert await store.release_lapsed(LAPSED + 100, 2) == Swept(released=1, more=False)
    assert await store.release_lapsed(LAPSED + 100, 2) == Swept(released=0, more=False)
    await assert_balanced(store)


async def test_exactly_as_many_as_asked_for_leave_no_more(store: Store) -> None:
    await hold_one_a_millisecond(store, 3)
    assert await store.release_lapsed(LAPSED + 100, 3) == Swept(released=3, more=False)


async def test_what_is_settled_is_not_due(store: Store) -> None:
    await hold_one_a_millisecond(store, 3)
    await flush(store, confirm(0), cancel(1), at=NOON + 3)
    assert await store.release_lapsed(LAPSED + 100, 10) == Swept(released=1, more=False)
    assert await statuses(store) == "CCE"
    assert await available(store, CUP) == 2


async def test_an_extended_hold_is_due_at_its_new_end(store: Store) -> None:
    await hold_one_a_millisecond(store, 1)
    await do(store, extend(0), at=NOON + 5)
    assert await store.release_lapsed(LAPSED + 4, 10) == Swept(released=0, more=False)
    assert await store.release_lapsed(LAPSED + 5, 10) == Swept(released=1, more=False)


async def test_every_line_of_a_basket_and_its_allowance_come_back(store: Store) -> None:
    await store.add_products([a_product(CUP, per_customer_limit=2), a_product(HAT, per_customer_limit=1)])
    granted(await do(store, reserve_basket(1, {CUP: 2, HAT: 1})))
    await store.release_lapsed(LAPSED, 10)
    assert (await available(store, CUP), await available(store, HAT)) == (10, 10)
    granted(await do(store, reserve_basket(2, {CUP: 2, HAT: 1}), at=LAPSED))
    await assert_balanced(store)


async def test_sweeping_again_changes_nothing(store: Store) -> None:
    await hold_one_a_millisecond(store, 2)
    await store.release_lapsed(LAPSED, 10)
    before = await everything(store)
    await store.release_lapsed(LAPSED, 10)
    assert await everything(store) == before


async def test_2500_due_holds_are_released_in_steps_of_1000_each_once(store: Store) -> None:
    await store.add_products([a_product(units=2_500), a_product(HAT, units=2_500)])
    for start in range(0, 2_500, 500):
        await flush(store, *[reserve_basket(n, {CUP: 1, HAT: 1}, user_id(n)) for n in range(start, start + 500)])
    steps = [await store.release_lapsed(LAPSED, 1_000) for _ in range(4)]
    assert [step.released for step in steps] == [1_000, 1_000, 500, 0]
    assert [step.more for step in steps] == [True, True, False, False]
    assert (await available(store, CUP), await available(store, HAT)) == (2_500, 2_500)
    assert await statuses(store) == "E" * 2_500


async def test_there_is_nothing_to_recover_where_nothing_crashed(store: Store) -> None:
    await hold_one_a_millisecond(store, 2)
    before = await everything(store)
    assert await store.recover(LAPSED, 10) == 0
    assert await everything(store) == before


@pytest.mark.parametrize("number", [0, 404])
async def test_a_sweep_never_makes_a_reservation_appear(store: Store, number: int) -> None:
    await store.release_lapsed(LAPSED, 10)
    assert await store.reservation(reservation_id(number)) is None


async def test_the_longest_lapsed_hold_that_is_not_released_is_known(store: Store) -> None:
    assert await store.oldest_due(NOON) is None
    await hold_one_a_millisecond(store, 3)
    assert await store.oldest_due(LAPSED - 1) is None
    assert await store.oldest_due(LAPSED) == LAPSED
    assert await store.oldest_due(LAPSED + 2) == LAPSED
    await store.release_lapsed(LAPSED + 1, 10)
    assert await store.oldest_due(LAPSED + 2) == LAPSED + 2
