"""Coroutines and tasks that run side by side: waiting for all of them, and ending all of them."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")

HEARD_AFTER_S: Final = 0.1
"""How long a cancelled task has before it is cancelled again."""


async def all_ended(parts: Sequence[Awaitable[T]]) -> list[T]:
    """Run the parts concurrently, and return their results in the same order.

    Raises:
        BaseException: the first error, in the order of the parts, but only once all of them have ended.
    """
    if len(parts) == 1:  # needs no task
        return [await parts[0]]
    results: list[T] = []
    for ended in await asyncio.gather(*parts, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended
        results.append(ended)
    return results


async def end_all(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel the tasks, again and again until all have ended. Their exceptions are dropped.

    Libraries swallow a cancellation at some moments: redis-py 8.1 while it connects, PyMongo 4.20 during a command.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=HEARD_AFTER_S)
    await asyncio.gather(*tasks, return_exceptions=True)
