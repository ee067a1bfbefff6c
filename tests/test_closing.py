"""A command that is cancelled while its store closes ends after the store is closed."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest

from flashreserve.bootstrap import open_books
from flashreserve.stores.sqlite import open_sqlite


@pytest.mark.parametrize("turns", range(8))
async def test_a_store_is_closed_though_its_user_is_cancelled_meanwhile(tmp_path: Path, turns: int) -> None:
    path = tmp_path / "shop.db"
    closing = asyncio.Event()

    async def use() -> None:
        async with open_books(open_sqlite(path, create=True)):
            closing.set()

    using = asyncio.create_task(use())
    await closing.wait()
    for _ in range(turns):
        await asyncio.sleep(0)
    using.cancel()
    with suppress(asyncio.CancelledError):
        await using

    assert os.listdir(tmp_path) == ["shop.db"]  # noqa: PTH208 - nothing else runs on the loop
