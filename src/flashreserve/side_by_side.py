"""Coroutines that run side by side."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

T = TypeVar("T")


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
