"""The room of all streams: its limits, comments, and slow clients."""

import asyncio

import pytest
from tests.streams.fake_stream import FakeAnswer, fake_stream

from flashreserve.http.streams.event_stream import COMMENT, encode_event
from flashreserve.http.streams.stream_room import AT_ONCE, COMMENT_EVERY_S, SLOW_AFTER_S, StreamRoom
from flashreserve.server.open_stream import OpenStream


class MovingTime:
    """Seconds that pass only in `pause`."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.pauses = 0

    def monotonic(self) -> float:
        return self.now_s

    async def pause(self, seconds: float) -> None:
        self.pauses += 1
        self.now_s += seconds
        await asyncio.sleep(0)


@pytest.fixture
def time() -> MovingTime:
    return MovingTime()


@pytest.fixture
def room(time: MovingTime) -> StreamRoom:
    return StreamRoom(3, time.monotonic, time.pause, per_address_max=2)


def entered(room: StreamRoom, address: str | None = None) -> tuple[FakeAnswer, OpenStream]:
    answer, stream = fake_stream()
    room.enter(stream, address, lambda _: None)
    return answer, stream


def test_a_stream_begins_with_the_time_to_reconnect(room: StreamRoom) -> None:
    answer, _ = entered(room)
    assert answer.written == [b"retry: 2000\n\n"]


def test_above_the_limit_of_all_no_stream_is_opened_until_one_ends(room: StreamRoom) -> None:
    answers = [entered(room)[0] for _ in range(3)]
    assert room.refusal(None) == "3 streams are open, as many as this process allows"
    answers[1].leave()
    assert room.count == 2
    assert room.refusal(None) is None


def test_one_address_may_have_some_of_them_only(room: StreamRoom) -> None:
    answers = [entered(room, "192.0.2.1")[0] for _ in range(2)]
    refusal = room.refusal("192.0.2.1")
    assert refusal is not None
    assert "this address" in refusal
    assert room.refusal("192.0.2.2") is None
    answers[0].leave()
    assert room.refusal("192.0.2.1") is None


def test_its_owner_hears_once_that_a_stream_is_over(room: StreamRoom) -> None:
    left: list[OpenStream] = []
    answer, stream = fake_stream()
    room.enter(stream, None, left.append)
    answer.leave()
    stream.ended()
    assert left == [stream]


async def test_a_write_goes_to_all_and_tells_who_could_not_take_it(room: StreamRoom) -> None:
    taking, slow, gone = [entered(room) for _ in range(3)]
    slow[0].takes = False
    gone[0].leave()
    behind = await room.write([taking[1], slow[1], gone[1]], b"event")

    assert behind == [slow[1]]
    assert taking[0].written[-1] == b"event"


async def test_other_work_has_its_turn_between_parts_of_many_streams(time: MovingTime) -> None:
    room = StreamRoom(10 * AT_ONCE, time.monotonic, time.pause)
    streams = [entered(room)[1] for _ in range(2 * AT_ONCE + 1)]
    await room.write(streams, b"event")
    assert time.pauses == 2


async def test_a_client_that_takes_nothing_is_dropped_and_a_slow_one_is_not(room: StreamRoom, time: MovingTime) -> None:
    stuck, slow, quick = [entered(room)[0] for _ in range(3)]
    stuck.backlog = slow.backlog = 50_000
    keeping = asyncio.create_task(room.keep())
    while not stuck.dropped:
        await asyncio.sleep(0)
        slow.backlog -= 1
    keeping.cancel()

    assert time.now_s - 100.0 == pytest.approx(SLOW_AFTER_S + 2.5, abs=2.6)
    assert not slow.dropped
    assert not quick.dropped
    assert room.count == 2


async def test_each_stream_gets_a_comment_now_and_then(room: StreamRoom, time: MovingTime) -> None:
    answer, _ = entered(room)
    keeping = asyncio.create_task(room.keep())
    while COMMENT not in answer.written:  # noqa: ASYNC110 - writing sets no event
        await asyncio.sleep(0)
    keeping.cancel()
    assert COMMENT_EVERY_S <= time.now_s - 100.0 <= COMMENT_EVERY_S + 2.5


def test_when_it_closes_all_streams_end_and_none_is_opened(room: StreamRoom) -> None:
    answers = [entered(room)[0] for _ in range(2)]
    room.close()
    assert [answer.over for answer in answers] == [True, True]
    assert room.count == 0
    assert room.refusal(None) == "the server is stopping"


def test_an_event_has_its_id_its_name_and_one_line_of_data() -> None:
    assert encode_event("stock", "7", b'{"a":1}') == b'id: 7\nevent: stock\ndata: {"a":1}\n\n'


async def test_a_client_far_away_that_takes_every_event_is_kept_while_a_sale_is_on(
    room: StreamRoom, time: MovingTime
) -> None:
    """At each look, the event of the last round trip isn't acknowledged yet."""
    far, stream = entered(room)
    for _ in range(8):
        stream.write(b"x" * 300)
        far.backlog = 300
        time.now_s += 2.5
        await room.drop_slow()
    assert not far.dropped


class ClosingAnswer(FakeAnswer):
    """The answer of a connection that has no file any more once it is closed."""

    def untaken(self) -> int:
        if self.over:
            raise ValueError("file descriptor cannot be a negative integer (-1)")
        return super().untaken()


async def test_a_client_that_leaves_while_the_room_looks_at_others_does_not_end_the_looks(time: MovingTime) -> None:
    answers: list[ClosingAnswer] = []

    async def pause(seconds: float) -> None:
        await time.pause(seconds)
        if not seconds:  # Between two parts.
            answers[-1].leave()

    room = StreamRoom(10 * AT_ONCE, time.monotonic, pause)
    for _ in range(AT_ONCE + 1):
        answer = ClosingAnswer()
        answer.stream = OpenStream(answer)
        room.enter(answer.stream, None, lambda _: None)
        answers.append(answer)
    await room.drop_slow()


def test_a_stream_whose_request_was_admitted_before_the_room_closed_ends_at_once(room: StreamRoom) -> None:
    room.close()
    answer, _ = entered(room)
    assert answer.over
    assert room.count == 0


def test_of_requests_admitted_at_the_same_time_no_more_stay_than_there_is_room_for(room: StreamRoom) -> None:
    assert room.refusal(None) is None
    answers = [entered(room)[0] for _ in range(5)]
    assert [answer.over for answer in answers] == [False, False, False, True, True]
    assert room.count == 3
