"""A slow refresh of the API keys and sign-outs that a process keeps in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.http.shop import HttpShop


@asynccontextmanager
async def slow_refresh(shop: HttpShop, read: str) -> AsyncIterator[None]:
    """Within this context, a refresh has begun before, and its call of the store's method `read` has its result.

    The refresh learns that result only when the context ends.
    """
    whole, has_read, go_on = getattr(shop.store, read), asyncio.Event(), asyncio.Event()

    async def read_slowly(*args: Any, **options: Any) -> Any:
        found = await whole(*args, **options)
        has_read.set()
        await go_on.wait()
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shop.store, read, read_slowly)
        slow = asyncio.create_task(shop.core.access.refresh())
        await has_read.wait()
    try:
        yield
    finally:
        go_on.set()
        await slow
