"""Calls to a driver end by themselves: the caller may be cancelled, and the call never is."""

import asyncio
from collections.abc import Callable

import pytest

from flashreserve import calls
from flashreserve.calls import STUCK_BEATS, CallError, Calls, patience


class Driver:
    """A driver whose calls last until a test releases them. It records how each ended."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.ended: list[str] = []

    async def call(self, answer: str = "answer") -> str:
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("done")
        if answer == "fault":
            raise OSError(answer)
        return answer


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - it waits for the loop itself
            await asyncio.sleep(0)


async def test_a_call_s_result_and_its_error_are_the_caller_s() -> None:
    driver, here = Driver(), Calls("the database")
    driver.go_on.set()
    assert await here.run("reading", driver.call()) == "answer"
    with pytest.raises(OSError, match="fault"):
        await here.run("reading", driver.call("fault"))


async def test_a_caller_that_is_cancelled_leaves_the_call_to_end_by_itself() -> None:
    driver, here = Driver(), Calls("the database")
    caller = asyncio.create_task(here.run("reading", driver.call()))
    await until(lambda: bool(here._running))
    caller.cancel()
    await asyncio.wait({caller})
    assert caller.cancelled()
    assert here.abandoned == 1
    driver.go_on.set()
    await here.finish(30)
    assert driver.ended == ["done"]
    assert here.abandoned == 0


async def test_a_call_over_its_time_limit_is_given_up_and_not_cancelled() -> None:
    driver, here = Driver(), Calls("the database")
    with patience(0.01), pytest.raises(CallError, match=r"within 0\.01 s") as raised:
        await here.run("reading", driver.call("fault"))
    assert raised.value.sent
    driver.go_on.set()
    await here.finish(30)
    assert driver.ended == ["done"]


async def test_with_too_many_calls_given_up_no_more_are_made() -> None:
    driver, here = Driver(), Calls("the database", abandoned_max=2)
    for _ in range(2):
        with pytest.raises(CallError):
            await here.run("reading", driver.call(), limit_s=0)
    with pytest.raises(CallError, match="2 unfinished calls") as raised:
        await here.run("reading", driver.call())
    assert not raised.value.sent
    driver.go_on.set()
    await here.finish(30)
    assert await here.run("reading", driver.call()) == "answer"


async def test_a_call_is_stuck_once_it_has_run_for_its_limit_of_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "STUCK_BEATS", 3)
    driver, here = Driver(), Calls("the database")
    assert STUCK_BEATS > calls.PATIENT_S
    caller = asyncio.create_task(here.run("reading products", driver.call()))
    await until(lambda: bool(here._running))
    assert [here.beat() for _ in range(3)] == ["", "", "the database: reading products, 1 calls in flight"]
    driver.go_on.set()
    await caller
    assert here.beat() == ""
