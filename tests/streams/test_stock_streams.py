"""The events of products' stock: when they are sent, and to whom."""

import asyncio
import json

import pytest
from msgspec.structs import replace
from tests.core.examples import CUP, HAT, a_product
from tests.moving_clock import MovingClock
from tests.streams.fake_stream import FakeAnswer, fake_stream

from flashreserve.core.model import Product
from flashreserve.http.streams.stock_stream import EVENT_EVERY_S, StockStreams
from flashreserve.http.streams.stream_room import StreamRoom
from flashreserve.service.held_units import HeldUnits
from flashreserve.stock_view import StockView
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import StoreUnavailableError


class Screens:
    """Streams over a store in memory, and a loop that makes a turn only when it is told to."""

    def __init__(self) -> None:
        self.clock = MovingClock()
        self.store = MemoryStore()
        self.view = StockView(self.store, self.clock)
        self.held = HeldUnits(self.store, self.clock.monotonic)
        self.room = StreamRoom(100, self.clock.monotonic)
        self._turn = asyncio.Event()
        self.streams = StockStreams(self.view, self.held, self.room, self.clock.monotonic, self._pause)

    async def open(self, product_id: str = CUP) -> FakeAnswer:
        sight = await self.view.look(product_id)
        assert sight is not None
        answer, stream = fake_stream()
        self.streams.enter(sight, stream, None)
        return answer

    async def show(self, product: Product) -> None:
        """The stock view learns of the product as it is now."""
        self.view.learn([product], self.clock.monotonic())

    async def turn(self) -> None:
        """One turn of the loop of the streams."""
        running = asyncio.create_task(self.streams.run())
        await self._turn.wait()
        self._turn.clear()
        running.cancel()

    async def _pause(self, _: float) -> None:
        self._turn.set()
        await asyncio.Event().wait()


@pytest.fixture
async def screens() -> Screens:
    made = Screens()
    await made.store.add_products([a_product(CUP, 10), a_product(HAT, 5)])
    return made


def events(answer: FakeAnswer) -> list[dict[str, object]]:
    """The data of the events that were written."""
    lines = b"".join(answer.written).decode().split("\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def test_a_change_is_sent_once_and_no_event_tells_the_same(screens: Screens) -> None:
    answer = await screens.open()
    screens.clock.advance(EVENT_EVERY_S)
    await screens.turn()
    assert [event["available"] for event in events(answer)] == [10]

    await screens.show(replace(a_product(CUP, 10), available=9))
    await screens.turn()
    screens.clock.advance(EVENT_EVERY_S)
    await screens.show(replace(a_product(CUP, 10), available=9, updated_at=7))
    await screens.turn()
    assert [event["available"] for event in events(answer)] == [10, 9]


async def test_changes_within_a_quarter_of_a_second_are_one_event(screens: Screens) -> None:
    answer = await screens.open()
    for available in (9, 8, 7):
        await screens.show(replace(a_product(CUP, 10), available=available))
        await screens.turn()
    assert [event["available"] for event in events(answer)] == [10]
    screens.clock.advance(EVENT_EVERY_S)
    await screens.show(replace(a_product(CUP, 10), available=6))
    await screens.turn()
    assert [event["available"] for event in events(answer)] == [10, 6]


async def test_a_client_that_could_not_take_an_event_gets_the_latest_when_it_can(screens: Screens) -> None:
    answer = await screens.open()
    answer.takes = False
    for available in (9, 8):
        screens.clock.advance(EVENT_EVERY_S)
        await screens.show(replace(a_product(CUP, 10), available=available))
        await screens.turn()
    assert [event["available"] for event in events(answer)] == [10]

    answer.takes = True
    screens.clock.advance(EVENT_EVERY_S)
    await screens.show(replace(a_product(CUP, 10), available=8))
    await screens.turn()
    assert [event["available"] for event in events(answer)] == [10, 8]


async def test_who_comes_later_begins_with_the_present_state(screens: Screens) -> None:
    await screens.open()
    screens.clock.advance(EVENT_EVERY_S)
    await screens.show(replace(a_product(CUP, 10), available=4))
    await screens.turn()
    later = await screens.open()
    assert [event["available"] for event in events(later)] == [4]


async def test_units_on_hold_are_told_once_they_are_known(screens: Screens) -> None:
    answer = await screens.open()
    assert events(answer)[0]["held"] is None
    await screens.held.refresh()
    screens.clock.advance(EVENT_EVERY_S)
    await screens.show(a_product(CUP, 10))
    await screens.turn()
    assert events(answer)[-1]["held"] == 0


async def test_in_an_outage_nothing_is_sent(screens: Screens, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = await screens.open()
    screens.clock.advance(60)

    async def away(_: str) -> None:
        raise StoreUnavailableError("unplugged")

    monkeypatch.setattr(screens.store, "product", away)
    await screens.turn()
    assert len(events(answer)) == 1


async def test_a_product_that_nobody_watches_any_more_is_left_alone(screens: Screens) -> None:
    answer = await screens.open(HAT)
    answer.leave()
    assert screens.room.count == 0
    screens.clock.advance(60)
    await screens.turn()
    assert len(events(answer)) == 1


async def test_a_bug_in_the_look_at_one_product_ends_neither_its_streams_nor_others(
    screens: Screens, monkeypatch: pytest.MonkeyPatch
) -> None:
    cup, hat = await screens.open(CUP), await screens.open(HAT)
    seen = screens.view.seen

    def broken(product_id: str) -> object:
        if product_id == CUP:
            raise RuntimeError("a bug")
        return seen(product_id)

    monkeypatch.setattr(screens.view, "seen", broken)
    screens.clock.advance(EVENT_EVERY_S)
    await screens.show(a_product(HAT, 4))
    async with asyncio.timeout(5):
        await screens.turn()
    assert [event["available"] for event in events(hat)] == [5, 4]
    assert not cup.over
