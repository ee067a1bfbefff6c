"""Two stores on one database, like those of two processes: neither sells units that the other has sold."""

import asyncio

from tests.contract.requests import (
    assert_balanced,
    available,
    counted,
    do,
    do_until_available,
    every,
    everything,
    flush,
    product,
)
from tests.core.examples import (
    ANN,
    CUP,
    HAT,
    HOLD_MS,
    NOON,
    a_product,
    an_account,
    cancel,
    confirm,
    edit,
    granted,
    reservation_id,
    reserve,
    reserve_basket,
    restock,
    user_id,
)

from flashreserve.core.commands import Command
from flashreserve.core.model import Status
from flashreserve.core.outcomes import (
    Confirmed,
    Edited,
    Expired,
    KeyReused,
    LimitReached,
    NotOnSale,
    Outcome,
    Released,
    Replayed,
    Reserved,
    Restocked,
    SoldOut,
)
from flashreserve.stores.port import Store

LAPSED = NOON + HOLD_MS
Stores = tuple[Store, Store]


async def flush_side_by_side(stores: Stores, commands: list[Command]) -> list[Outcome]:
    """Flush each command alone, all concurrently, half of them through each store."""
    return await asyncio.gather(*[do_until_available(stores[n % 2], command) for n, command in enumerate(commands)])


async def test_what_one_writes_the_other_reads(stores: Stores) -> None:
    one, other = stores
    await one.add_products([a_product()])
    await one.add_account(an_account())
    granted(await do(one, reserve(1)))
    assert await everything(other) == await everything(one)
    assert await other.account_by_id(user_id(1)) == an_account()
    assert isinstance(await do(other, confirm(1)), Confirmed)
    assert await everything(one) == await everything(other)
    assert await one.audit() == await other.audit()


async def test_the_last_units_are_sold_once(stores: Stores) -> None:
    await stores[0].add_products([a_product(units=7)])
    outcomes = await flush_side_by_side(stores, [reserve(n, user_id(n)) for n in range(40)])
    assert counted(outcomes) == {"Reserved": 7, "SoldOut": 33}
    assert await available(stores[0], CUP) == 0
    await assert_balanced(stores[1])


async def test_a_limit_holds_across_both(stores: Stores) -> None:
    await stores[0].add_products([a_product(units=100, per_customer_limit=5)])
    outcomes = await flush_side_by_side(stores, [reserve(n) for n in range(20)])
    assert counted(outcomes) == {"Reserved": 5, "LimitReached": 15}
    assert await do(stores[1], reserve(99)) == LimitReached(CUP, 5)


async def test_a_key_is_one_hold_across_both(stores: Stores) -> None:
    await stores[0].add_products([a_product()])
    outcomes = await flush_side_by_side(stores, [reserve(n, key="k") for n in range(20)])
    assert counted(outcomes) == {"Reserved": 1, "Replayed": 19}
    (first,) = [outcome.reservation for outcome in outcomes if isinstance(outcome, Reserved)]
    assert all(outcome == Replayed(first) for outcome in outcomes if isinstance(outcome, Replayed))
    assert await do(stores[1], reserve(99, quantity=2, key="k")) == KeyReused("k")
    assert await available(stores[1], CUP) == 9


async def test_two_keys_with_limit_one_are_one_hold(stores: Stores) -> None:
    await stores[0].add_products([a_product(per_customer_limit=1)])
    outcomes = await flush_side_by_side(stores, [reserve(1, key="k1"), reserve(2, key="k2")])
    assert counted(outcomes) == {"Reserved": 1, "LimitReached": 1}


async def test_baskets_in_both_orders_never_hang_and_use_up_all_stock(stores: Stores) -> None:
    await stores[0].add_products([a_product(CUP, 30), a_product(HAT, 30)])
    baskets = [({CUP: 1, HAT: 1}, {HAT: 1, CUP: 1})[n % 2] for n in range(60)]
    commands: list[Command] = [reserve_basket(n, lines, user_id(n)) for n, lines in enumerate(baskets)]
    assert counted(await flush_side_by_side(stores, commands)) == {"Reserved": 30, "SoldOut": 30}
    assert (await available(stores[0], CUP), await available(stores[1], HAT)) == (0, 0)


async def test_a_reservation_is_settled_once(stores: Stores) -> None:
    await stores[0].add_products([a_product()])
    for number in range(10):
        granted(await do(stores[0], reserve(number, quantity=1)))
        outcomes = await flush_side_by_side(stores, [confirm(number), cancel(number)])
        assert counted(outcomes) in (
            {"Confirmed": 1, "AlreadyConfirmed": 1},
            {"AlreadyCancelled": 1, "Released": 1},
        )
    await assert_balanced(stores[1])


async def test_cancelling_on_both_gives_the_stock_back_once(stores: Stores) -> None:
    await stores[0].add_products([a_product()])
    granted(await do(stores[0], reserve(1, quantity=4)))
    outcomes = await flush_side_by_side(stores, [cancel(1)] * 6)
    assert len(set(map(repr, outcomes))) == 1
    assert isinstance(outcomes[0], Released)
    assert await available(stores[1], CUP) == 10


async def test_sweeps_on_both_release_each_hold_once(stores: Stores) -> None:
    await stores[0].add_products([a_product(units=200)])
    await flush(stores[0], *[reserve(n, user_id(n)) for n in range(200)])
    swept = await asyncio.gather(*[stores[n % 2].release_lapsed(LAPSED, 30) for n in range(10)])
    assert sum(step.released for step in swept) == 200
    assert await available(stores[0], CUP) == 200
    await assert_balanced(stores[1])


async def test_confirming_on_one_and_sweeping_on_the_other_has_one_winner_each(stores: Stores) -> None:
    """The clocks of the two processes differ by milliseconds. Every hold is confirmed or swept around its end."""
    count, spread = 200, 10
    await stores[0].add_products([a_product(units=count)])
    for at in range(spread):
        await flush(stores[0], *[reserve(n) for n in range(count) if n % spread == at], at=NOON + at)
    outcomes: dict[int, Outcome] = {}

    async def confirm_those_over_at(ends_at: int, now: int) -> None:
        numbers = [n for n in range(count) if n % spread == ends_at]
        told = await flush(stores[0], *[confirm(n) for n in numbers], at=LAPSED + now)
        outcomes.update(zip(numbers, told, strict=True))

    # All races may end the same way, so the first holds are confirmed in time, without a race.
    await confirm_those_over_at(0, -3)
    for end in range(1, spread):
        drift = (-3, 2, 0, -1, 5)[end % 5]
        await asyncio.gather(confirm_those_over_at(end, end + drift), stores[1].release_lapsed(LAPSED + end, 1_000))
    await stores[1].release_lapsed(LAPSED + 100, 1_000)
    found = {held.id: held.status for held in await every(stores[1])}
    bought = [n for n, outcome in outcomes.items() if isinstance(outcome, Confirmed)]
    late = [n for n, outcome in outcomes.items() if isinstance(outcome, Expired)]
    assert bought
    assert late
    assert len(bought) + len(late) == count
    assert all(found[reservation_id(n)] is Status.CONFIRMED for n in bought)
    assert all(found[reservation_id(n)] is Status.EXPIRED for n in late)
    assert await available(stores[0], CUP) == len(late)


async def test_a_restock_is_made_once_across_both(stores: Stores) -> None:
    await stores[0].add_products([a_product(units=0)])
    outcomes = await flush_side_by_side(stores, [restock(5, "k")] * 10)
    assert sorted(getattr(outcome, "replayed", None) is True for outcome in outcomes) == [False] + [True] * 9
    assert isinstance(await do(stores[1], restock(5, "k2")), Restocked)
    assert (await product(stores[0], CUP)).stocked == 10


async def test_rules_edited_on_one_hold_on_the_other(stores: Stores) -> None:
    await stores[0].add_products([a_product(units=5)])
    granted(await do(stores[1], reserve(1)))
    assert isinstance(await do(stores[0], edit(sale_ends_at=NOON, price=3)), Edited)
    assert await do(stores[1], reserve(2)) == NotOnSale(CUP, None, NOON)
    edits = await flush_side_by_side(stores, [edit(price=n) for n in range(10, 20)])
    assert all(isinstance(outcome, Edited) for outcome in edits)
    after = await product(stores[1], CUP)
    assert (after.rev, after.available) == (12, 4)


async def test_restocking_and_reserving_at_once_lose_no_unit(stores: Stores) -> None:
    await stores[0].add_products([a_product(units=10)])
    commands: list[Command] = []
    for n in range(20):
        commands += [reserve(n, user_id(n)), restock(1, f"k{n}"), edit(price=n + 1)]
    outcomes = await flush_side_by_side(stores, commands)
    sold = counted(outcomes)["Reserved"]
    after = await product(stores[0], CUP)
    assert (after.stocked, after.available, after.rev) == (30, 30 - sold, 21)
    await assert_balanced(stores[1])


async def test_products_are_read_at_one_instant(stores_of_whole_baskets: Stores) -> None:
    """Every basket takes one unit of each product, so both always have the same number left."""
    stores = stores_of_whole_baskets
    await stores[0].add_products([a_product(CUP, 40), a_product(HAT, 40)])
    finished = False

    async def sell() -> None:
        nonlocal finished
        for number in range(40):
            granted(await do(stores[0], reserve_basket(number, {CUP: 1, HAT: 1})))
        finished = True

    async def watch() -> None:
        while not finished:
            left = {found.available for found in await stores[1].products([CUP, HAT])}
            assert len(left) == 1

    await asyncio.gather(sell(), watch())


async def test_an_audit_amid_sales_sees_one_instant(stores: Stores) -> None:
    await stores[0].add_products([a_product(CUP, 60), a_product(HAT, 60)])
    finished = False

    async def sell() -> None:
        nonlocal finished
        for number in range(30):
            granted(await do(stores[0], reserve_basket(number, {CUP: 2, HAT: 1})))
            if number % 3 == 0:
                await do(stores[0], cancel(number))
        finished = True

    async def audit() -> None:
        while not finished:
            found = await stores[1].audit()
            assert not (found.complete and found.differences)

    await asyncio.gather(sell(), audit())
    await assert_balanced(stores[1])


async def test_ones_own_lapsed_hold_from_the_other_store_makes_room(stores: Stores) -> None:
    await stores[0].add_products([a_product(units=1, per_customer_limit=1), a_product(HAT, 9, per_customer_limit=1)])
    granted(await do(stores[0], reserve(1, ANN, of=HAT)))
    held = granted(await do(stores[1], reserve(2, ANN, of=HAT), at=LAPSED))
    assert held.created_at == LAPSED
    assert await available(stores[0], HAT) == 8
    assert not isinstance(await do(stores[0], reserve(3, of=CUP)), SoldOut)
