"""Coroutines side by side: results in order, and an error only once all have ended."""

import asyncio

import pytest

from flashreserve.side_by_side import all_ended


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
