"""The stream of the overview: who gets the last event."""

import asyncio
from typing import Any, cast

import pytest
from tests.streams.fake_stream import fake_stream

from flashreserve.http import monitor_views
from flashreserve.http.streams import overview_stream
from flashreserve.http.streams.overview_stream import OverviewStreams
from flashreserve.http.streams.stream_room import StreamRoom


class OverviewDesk:
    """Streams of an overview that is a number, and a loop that makes a turn only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = 1
        self._turns: asyncio.Queue[None] = asyncio.Queue()
        monkeypatch.setattr(monitor_views, "told_by", lambda shown: shown)
        monkeypatch.setattr(overview_stream, "_event", lambda shown: b"state %d" % shown)
        self.streams = OverviewStreams(cast("Any", None), StreamRoom(10, lambda: 0.0), lambda: 0.0, self._pause)
        monkeypatch.setattr(self.streams, "_shown", self._shown)

    async def turns(self, number: int) -> None:
        for _ in range(number):
            self._turns.put_nowait(None)
        for _ in range(20):
            await asyncio.sleep(0)

    async def _shown(self) -> int:
        return self.state

    async def _pause(self, _: float) -> None:
        await self._turns.get()


async def allowed() -> bool:
    return True


async def test_an_admin_whose_buffer_was_full_gets_the_latest_state_once_it_reads_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = OverviewDesk(monkeypatch)
    answer, stream = fake_stream()
    desk.streams.enter(b"beginning", stream, None, allowed)
    running = asyncio.create_task(desk.streams.run())
    await desk.turns(1)
    answer.takes = False
    desk.state = 2
    await desk.turns(2)
    assert b"state 2" not in answer.written
    answer.takes = True
    await desk.turns(3)
    running.cancel()
    assert answer.written.count(b"state 2") == 1


async def test_a_change_between_the_reading_of_the_beginning_and_its_sending_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = OverviewDesk(monkeypatch)
    _, first = fake_stream()
    desk.streams.enter(b"state 1", first, None, allowed)
    running = asyncio.create_task(desk.streams.run())
    await desk.turns(1)
    desk.state = 2
    await desk.turns(1)
    late, second = fake_stream()
    desk.streams.enter(b"state 1", second, None, allowed)
    await desk.turns(2)
    running.cancel()
    assert late.written[-1] == b"state 2"
