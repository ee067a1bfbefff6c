"""Every store enforces the quotas of a customer's holds, alone and with other stores on the same database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.factories import FACTORIES, StoreFactory
from tests.contract.requests import assert_balanced, available, counted, do, do_until_available, flush
from tests.core.examples import (
    ANN,
    BEN,
    CUP,
    HAT,
    HOLD_MS,
    NOON,
    a_product,
    granted,
    product_id,
    reserve,
    restock,
)

from flashreserve.core.commands import Cancel, Confirm
from flashreserve.core.model import Status
from flashreserve.core.outcomes import (
    HourlyHoldsReached,
    LapsesReached,
    OpenHoldsReached,
    Replayed,
    Reserved,
    SoldOut,
)
from flashreserve.core.quotas import HOUR_MS, Quotas
from flashreserve.stores.port import Store

OPEN, PER_HOUR, LAPSES = 3, 6, 2
QUOTAS = Quotas(open_holds_max=OPEN, holds_per_hour_max=PER_HOUR, lapses_per_hour_max=LAPSES)
HOLD_S = HOLD_MS // 1000
HOUR_S = HOUR_MS // 1000
LAPSED = NOON + HOLD_MS


@pytest.fixture(params=[pytest.param(kind, id=kind.name, marks=kind.marks) for kind in FACTORIES])
async def made(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreFactory]:
    factory: StoreFactory = request.param(tmp_path)
    yield factory
    await factory.discard()


@pytest.fixture
async def store(made: StoreFactory) -> Store:
    """A store with quotas, cups and hats."""
    store = await made.open(QUOTAS)
    await store.add_products([a_product(CUP, 1_000), a_product(HAT, 1_000)])
    return store


@pytest.fixture(params=[pytest.param(kind, id=kind.name, marks=kind.marks) for kind in FACTORIES if kind.shared])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    factory: StoreFactory = request.param(tmp_path)
    one, other = await factory.open(QUOTAS), await factory.open(QUOTAS)
    await one.add_products([a_product(CUP, 1_000), a_product(HAT, 1_000)])
    yield one, other
    await factory.discard()


async def status(store: Store, id_: str) -> Status | None:
    held = await store.reservation(id_)
    return None if held is None else held.status


async def hold(store: Store, *numbers: int, at: int = NOON) -> list[str]:
    """Make the holds. Returns their ids, because a store that tries again uses a new id."""
    return [granted(await do(store, reserve(number), at=at)).id for number in numbers]


async def test_open_holds_end_at_the_quota(store: Store) -> None:
    await hold(store, 1, 2, 3)
    assert await do(store, reserve(4, of=HAT)) == OpenHoldsReached(OPEN, HOLD_S)
    granted(await do(store, reserve(5, BEN)))
    assert await available(store, CUP) == 996
    assert await available(store, HAT) == 1_000


@pytest.mark.parametrize("ending", [Confirm, Cancel])
async def test_what_has_ended_makes_room_for_one_more(store: Store, ending: type[Confirm | Cancel]) -> None:
    _, second, _ = await hold(store, 1, 2, 3)
    await do(store, ending(second, ANN))
    await hold(store, 4)
    assert await do(store, reserve(5)) == OpenHoldsReached(OPEN, HOLD_S)


async def test_what_was_swept_makes_room(store: Store) -> None:
    first, _ = await hold(store, 1, 2)
    await do(store, Confirm(first, ANN))
    await hold(store, 3, 4)
    await store.release_lapsed(LAPSED, 100)
    await hold(store, 5, 6, at=LAPSED)


async def test_lapsed_holds_make_room_without_a_sweep(store: Store) -> None:
    (bought,) = await hold(store, 1)
    await do(store, Confirm(bought, ANN))
    lapsing, _ = await hold(store, 2, 3)
    (lasting,) = await hold(store, 4, at=NOON + 1)
    assert await do(store, reserve(5), at=LAPSED - 1) == OpenHoldsReached(OPEN, 1)
    granted(await do(store, reserve(6, of=HAT), at=LAPSED))
    await hold(store, 7, at=LAPSED)
    assert await do(store, reserve(8), at=LAPSED) == HourlyHoldsReached(PER_HOUR, HOUR_S - HOLD_S)
    await store.release_lapsed(LAPSED, 100)
    assert await status(store, lapsing) is Status.EXPIRED
    assert await status(store, lasting) is Status.PENDING
    assert await available(store, CUP) == 997
    await assert_balanced(store)


async def test_holds_of_an_hour_end_at_the_quota_whatever_became_of_them(store: Store) -> None:
    for number in range(PER_HOUR):
        (id_,) = await hold(store, number)
        await do(store, Cancel(id_, ANN) if number % 2 else Confirm(id_, ANN))
    assert await do(store, reserve(9), at=NOON + HOUR_MS - 1) == HourlyHoldsReached(PER_HOUR, 1)
    await hold(store, 10, at=NOON + HOUR_MS)


async def test_who_lets_holds_lapse_and_buys_nothing_waits_for_the_next_hour(store: Store) -> None:
    await hold(store, 1, 2)
    (third,) = await hold(store, 3, at=LAPSED - 1)
    assert await do(store, reserve(4), at=LAPSED) == LapsesReached(LAPSES, HOUR_S - HOLD_S)
    await store.release_lapsed(LAPSED, 100)
    assert await do(store, reserve(5), at=LAPSED) == LapsesReached(LAPSES, HOUR_S - HOLD_S)
    await do(store, Confirm(third, ANN), at=LAPSED)
    await hold(store, 6, at=LAPSED)


async def test_a_flush_of_one_customers_reserves_is_granted_up_to_the_quota(store: Store) -> None:
    outcomes = await flush(store, *[reserve(n) for n in range(9)], *[reserve(n, BEN) for n in range(20, 22)])
    assert counted(outcomes) == {"Reserved": OPEN + 2, "OpenHoldsReached": 9 - OPEN}
    assert await available(store, CUP) == 1_000 - OPEN - 2


async def test_a_repeated_key_is_answered_first(store: Store) -> None:
    first = granted(await do(store, reserve(1, key="k")))
    second, _ = await hold(store, 2, 3)
    assert await do(store, reserve(4, key="k")) == Replayed(first)
    assert await do(store, reserve(4, key="k"), at=LAPSED) == Replayed(first)
    assert isinstance(await do(store, reserve(4, key="other")), OpenHoldsReached)
    await do(store, Cancel(second, ANN))
    granted(await do(store, reserve(5, key="other")))


async def test_a_purchase_makes_room_for_a_reserve_that_is_tried_again_in_the_same_flush(store: Store) -> None:
    empty = product_id(10)
    await store.add_products([a_product(empty, 0)])
    first, _, _ = await hold(store, 1, 2, 3)
    tried_again, *_ = await flush(store, reserve(4, of=empty), Confirm(first, ANN), restock(5, of=empty))
    granted(tried_again)
    assert isinstance(await do(store, reserve(5)), OpenHoldsReached)


async def test_what_is_refused_is_not_sold_out_to_others(store: Store) -> None:
    last = product_id(11)
    await store.add_products([a_product(last, 1)])
    await hold(store, 1, 2, 3)
    outcomes = await flush(store, reserve(4, of=last), reserve(5, BEN, of=last))
    assert outcomes[0] == OpenHoldsReached(OPEN, HOLD_S)
    granted(outcomes[1])
    assert await do(store, reserve(6, of=last)) == SoldOut(last, 0)


async def test_what_was_granted_without_quotas_counts_once_there_are_some(made: StoreFactory) -> None:
    """For stores that count reservations. The others count only holds granted since the quota was set."""
    before = await made.open()
    await before.add_products([a_product(CUP, 1_000)])
    await hold(before, *range(1, 5))
    store = await made.open(QUOTAS)
    outcomes = [await do(store, reserve(number)) for number in range(5, 5 + OPEN + 1)]
    assert isinstance(outcomes[-1], OpenHoldsReached)
    assert all(isinstance(outcome, OpenHoldsReached | Reserved) for outcome in outcomes)


async def test_quotas_hold_across_two_stores(stores: tuple[Store, Store]) -> None:
    outcomes = await asyncio.gather(*[do_until_available(stores[n % 2], reserve(n)) for n in range(20)])
    assert counted(outcomes) == {"Reserved": OPEN, "OpenHoldsReached": 20 - OPEN}
    assert isinstance(await do(stores[1], reserve(90)), OpenHoldsReached)
    assert await available(stores[0], CUP) == 1_000 - OPEN


async def test_what_one_store_settles_makes_room_in_the_other(stores: tuple[Store, Store]) -> None:
    one, other = stores
    first, _, _ = await hold(one, 1, 2, 3)
    assert isinstance(await do(other, reserve(4)), OpenHoldsReached)
    await do(one, Confirm(first, ANN))
    (fifth,) = await hold(other, 5)
    assert isinstance(await do(one, reserve(6)), OpenHoldsReached)
    await do(other, Cancel(fifth, ANN))
    (seventh,) = await hold(one, 7)
    await do(one, Cancel(seventh, ANN))
    await hold(other, 8)
    assert isinstance(await do(other, reserve(9)), HourlyHoldsReached)
    assert isinstance(await do(one, reserve(10, ANN)), HourlyHoldsReached)


async def test_a_purchase_counts_although_the_flush_names_lapsed_holds_alone(store: Store) -> None:
    first, second, bought = await hold(store, 1, 2, 3)
    await do(store, Confirm(bought, ANN))
    outcomes = await flush(store, Cancel(first, ANN), Cancel(second, ANN), reserve(4), at=LAPSED)
    assert isinstance(outcomes[2], Reserved), "two holds of the hour have lapsed, but one was bought"
