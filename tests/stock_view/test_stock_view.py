from collections.abc import Sequence

import pytest
from tests.core.examples import ANN, CUP, HAT, PEN, a_product, product_id, reserve, reserve_basket
from tests.moving_clock import START_MS, MovingClock

from flashreserve.core.commands import Reserve
from flashreserve.core.model import Product
from flashreserve.core.outcomes import NotOnSale, SalePaused, SoldOut
from flashreserve.stock_view import StockView
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import StoreUnavailableError


class CountingStore(MemoryStore):
    """A memory store that counts its queries and can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        self.away = False

    async def products(self, product_ids: Sequence[str]) -> list[Product]:
        self.asked.append(list(product_ids))
        if self.away:
            raise StoreUnavailableError("away")
        return await super().products(product_ids)

    async def product(self, product_id: str) -> Product | None:
        found = await self.products([product_id])
        return found[0] if found else None


def refuse(view: StockView, command: Reserve, now: int) -> SalePaused | NotOnSale | SoldOut | None:
    return view.refuse(command.lines, command.key, now)


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
async def store() -> CountingStore:
    made = CountingStore()
    await made.add_products([a_product(CUP, units=0), a_product(HAT, units=5)])
    return made


@pytest.fixture
def view(store: CountingStore, clock: MovingClock) -> StockView:
    return StockView(store, clock, watched_max=3)


async def test_a_product_never_looked_at_refuses_nobody(view: StockView) -> None:
    assert refuse(view, reserve(1), START_MS) is None


async def test_a_product_known_to_be_sold_out_is_refused_without_the_database(
    view: StockView, store: CountingStore
) -> None:
    await view.look(CUP)
    asked = len(store.asked)
    assert refuse(view, reserve(1), START_MS) == SoldOut(CUP, 0)
    assert len(store.asked) == asked


async def test_a_command_with_a_key_is_never_refused_by_the_view(view: StockView) -> None:
    await view.look(CUP)
    assert refuse(view, reserve(1, key="k"), START_MS) is None


async def test_an_entry_of_a_query_sent_over_250_ms_ago_refuses_nobody(view: StockView, clock: MovingClock) -> None:
    await view.look(CUP)
    clock.advance(0.250)
    assert refuse(view, reserve(1), START_MS) is not None
    clock.advance(0.001)
    assert refuse(view, reserve(1), START_MS) is None


async def test_a_basket_is_judged_only_when_all_of_it_is_known(view: StockView) -> None:
    await view.look(CUP)
    assert refuse(view, reserve_basket(1, {CUP: 1, HAT: 1}), START_MS) is None
    await view.look(HAT)
    assert refuse(view, reserve_basket(1, {CUP: 1, HAT: 1}), START_MS) == SoldOut(CUP, 0)


async def test_off_sale_comes_before_sold_out(view: StockView, store: CountingStore) -> None:
    await store.add_products([a_product(PEN, units=0, sale_starts_at=START_MS + 1)])
    await view.look(PEN)
    assert isinstance(refuse(view, reserve(1, of=PEN), START_MS), NotOnSale)
    assert isinstance(refuse(view, reserve(1, of=PEN), START_MS + 1), SoldOut)


async def test_all_watched_products_are_refreshed_by_one_query(view: StockView, store: CountingStore) -> None:
    await view.look(CUP)
    await view.look(HAT)
    store.asked.clear()
    assert await view.refresh() == 2
    assert [sorted(ids) for ids in store.asked] == [[CUP, HAT]]


async def test_a_refresh_sees_what_other_processes_did(view: StockView, store: CountingStore) -> None:
    await view.look(HAT)
    await store.flush([reserve(1, ANN, 5, of=HAT)], START_MS)
    assert refuse(view, reserve(2, of=HAT), START_MS) is None
    await view.refresh()
    assert refuse(view, reserve(2, of=HAT), START_MS) == SoldOut(HAT, 0)


async def test_an_older_answer_does_not_replace_a_newer_one(view: StockView, clock: MovingClock) -> None:
    asked_at = clock.monotonic()
    clock.advance(0.01)
    view.learn([a_product(HAT, units=0)], clock.monotonic())
    view.learn([a_product(HAT, units=5)], asked_at)
    assert refuse(view, reserve(1, of=HAT), START_MS) == SoldOut(HAT, 0)


async def test_looking_is_free_while_the_entry_is_fresh(
    view: StockView, store: CountingStore, clock: MovingClock
) -> None:
    await view.look(HAT)
    await view.look(HAT)
    assert len(store.asked) == 1
    clock.advance(0.251)
    await view.look(HAT)
    assert len(store.asked) == 2


async def test_a_product_that_does_not_exist_is_not_watched(view: StockView) -> None:
    assert await view.look(product_id(77)) is None
    assert await view.refresh() == 0


async def test_with_the_database_away_looking_fails_and_entries_grow_stale(
    view: StockView, store: CountingStore, clock: MovingClock
) -> None:
    await view.look(CUP)
    store.away = True
    assert await view.look(CUP) is not None
    clock.advance(0.3)
    with pytest.raises(StoreUnavailableError):
        await view.look(CUP)
    assert refuse(view, reserve(1), START_MS) is None


async def test_the_least_recently_entered_product_makes_room(view: StockView, store: CountingStore) -> None:
    await store.add_products([a_product(product_id(number)) for number in range(10, 14)])
    for number in range(10, 14):
        await view.look(product_id(number))
    assert await view.refresh() == 3


async def test_products_that_nobody_asks_for_are_forgotten(view: StockView, clock: MovingClock) -> None:
    await view.look(CUP)
    clock.advance(30)
    await view.look(HAT)
    clock.advance(31)
    await view.refresh()
    assert refuse(view, reserve(1), START_MS) is None
    assert refuse(view, reserve(1, quantity=9, of=HAT), START_MS) == SoldOut(HAT, 5)
