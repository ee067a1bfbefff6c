"""Coalesced reads: who shares one, when they begin, and what becomes of errors and of callers that give up."""

import asyncio
import gc
from contextlib import suppress

import pytest
from tests.moving_clock import MovingClock

from flashreserve.shared_read import READS_AT_ONCE_MAX, SharedRead

EVERY_S = 0.2


class Reads:
    """Reads that end when `answer` is called, oldest first. The clock moves as the reads pause."""

    def __init__(self) -> None:
        self.clock = MovingClock()
        self.began_s: list[float] = []
        self._running: list[asyncio.Future[None]] = []
        self.shared = SharedRead(self._read, EVERY_S, self.clock.monotonic, self._pause)

    async def _pause(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def _read(self) -> None:
        self.began_s.append(self.clock.monotonic())
        self._running.append(asyncio.get_running_loop().create_future())
        await self._running[-1]

    async def callers(self, count: int) -> list[asyncio.Task[None]]:
        """Some callers that wait. All reads that can begin have begun."""
        tasks = [asyncio.create_task(self.shared.read_anew()) for _ in range(count)]
        await settled()
        return tasks

    async def answer(self, error: Exception | None = None) -> None:
        """End the oldest read."""
        read = self._running.pop(0)
        if error is None:
            read.set_result(None)
        else:
            read.set_exception(error)
        await settled()


async def settled() -> None:
    """Let all tasks run until each waits for something that a test decides."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def reads() -> Reads:
    return Reads()


async def test_callers_that_wait_at_the_same_time_share_one_read(reads: Reads) -> None:
    callers = [asyncio.create_task(reads.shared.read_anew()) for _ in range(50)]
    await settled()
    await reads.answer()
    await asyncio.gather(*callers)
    assert len(reads.began_s) == 1


async def test_a_caller_never_shares_a_read_that_has_begun(reads: Reads) -> None:
    (early,) = await reads.callers(1)
    (late,) = await reads.callers(1)
    await reads.answer()
    assert (early.done(), late.done()) == (True, False)
    await reads.answer()
    assert late.done()


async def test_reads_begin_at_a_limited_rate(reads: Reads) -> None:
    for _ in range(3):
        callers = await reads.callers(5)
        await reads.answer()
        await asyncio.gather(*callers)
    first_s = reads.began_s[0]
    assert [began_s - first_s for began_s in reads.began_s] == pytest.approx([0, EVERY_S, 2 * EVERY_S])

    reads.clock.advance(10)
    before_s = reads.clock.monotonic()
    await reads.callers(1)
    assert reads.began_s[-1] == before_s
    await reads.answer()


async def test_few_reads_run_at_the_same_time_however_slow_they_are(reads: Reads) -> None:
    callers = [caller for _ in range(10) for caller in await reads.callers(3)]
    assert len(reads.began_s) == READS_AT_ONCE_MAX
    for _ in range(READS_AT_ONCE_MAX + 1):
        await reads.answer()
    await asyncio.gather(*callers)
    assert len(reads.began_s) == READS_AT_ONCE_MAX + 1


async def test_an_error_is_told_to_all_that_share_the_read_and_to_nobody_else(reads: Reads) -> None:
    failing = await reads.callers(3)
    fine = await reads.callers(3)
    await reads.answer(OSError("away"))
    await reads.answer()
    assert [str(result) for result in await asyncio.gather(*failing, return_exceptions=True)] == ["away"] * 3
    assert await asyncio.gather(*fine) == [None] * 3


async def test_a_caller_that_gives_up_takes_nothing_from_the_others(reads: Reads) -> None:
    patient, hasty = await reads.callers(2)
    hasty.cancel()
    await settled()
    await reads.answer()
    assert (hasty.cancelled(), patient.done(), patient.cancelled()) == (True, True, False)


async def test_nothing_is_left_of_a_read_that_fails_when_all_callers_have_given_up(reads: Reads) -> None:
    error, unhandled = OSError("away"), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context.get("exception")))
    (caller,) = await reads.callers(1)
    caller.cancel()
    await settled()
    del caller  # Its traceback holds the read.
    await reads.answer(error)
    gc.collect()
    assert error not in unhandled
    assert reads.shared._tasks == set()


async def test_closing_stops_what_runs_and_what_waits(reads: Reads) -> None:
    callers = [caller for _ in range(READS_AT_ONCE_MAX + 2) for caller in await reads.callers(1)]
    await reads.shared.close()
    ended = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(each) for each in ended] == [asyncio.CancelledError] * len(callers)
    assert (reads.shared._tasks, reads.shared._next) == (set(), None)


async def test_closing_ends_a_read_that_swallows_a_cancellation() -> None:
    async def deaf() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    shared = SharedRead(deaf, EVERY_S, MovingClock().monotonic)
    caller = asyncio.create_task(shared.read_anew())
    await settled()
    await asyncio.wait_for(shared.close(), timeout=5)
    await asyncio.gather(caller, return_exceptions=True)
    assert caller.cancelled()
