"""Coroutines side by side: results in order, an error only once all have ended, and tasks that are ended for sure."""

import asyncio

import pytest

from flashreserve.side_by_side import all_ended, end_all


async def test_results_are_in_the_order_of_the_parts() -> None:
    first = asyncio.Event()

    async def waiting() -> int:
        await first.wait()
        return 1

    async def setting() -> int:
        first.set()
        return 2

    assert await all_ended([waiting(), setting()]) == [1, 2]
    assert await all_ended([setting()]) == [2]
    assert await all_ended([]) == []


async def test_an_error_is_raised_once_all_have_ended() -> None:
    ended: list[str] = []

    async def failing(name: str) -> None:
        raise ValueError(name)

    async def going_on() -> None:
        await asyncio.sleep(0)
        ended.append("going on")

    with pytest.raises(ValueError, match="first"):
        await all_ended([failing("first"), going_on(), failing("second")])
    assert ended == ["going on"]


async def test_tasks_are_ended_even_if_they_swallow_a_cancellation_or_fail() -> None:
    swallowed = asyncio.Event()

    async def deaf() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        await asyncio.Event().wait()

    async def failing() -> None:
        raise ValueError("dropped")

    tasks = [asyncio.create_task(each()) for each in (deaf, failing)]
    await asyncio.sleep(0)
    await asyncio.wait_for(end_all(*tasks), timeout=5)
    assert swallowed.is_set()
    assert all(task.done() for task in tasks)
    await end_all()
