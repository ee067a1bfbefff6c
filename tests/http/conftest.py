"""Fixtures: most tests of a file share one shop, and each test makes its own products and reservations.

A shop for each test would take 0.1 s, because the framework registers its routes each time.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.http.shop import Admin, HttpCustomer, HttpShop, ShopClock, open_shop


@pytest.fixture(scope="module")
def clock() -> ShopClock:
    """The clock of all shops of the file. It moves only when a test moves it, and never back."""
    return ShopClock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory, clock: ShopClock) -> AsyncIterator[HttpShop]:
    """The file's shop. It sweeps only when a test calls `sweep`."""
    async with open_shop(tmp_path_factory.mktemp("shop"), clock) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def fresh_shop(tmp_path: Path, clock: ShopClock) -> AsyncIterator[HttpShop]:
    """An empty shop, for this test alone."""
    async with open_shop(tmp_path, clock) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def admin(shop: HttpShop) -> Admin:
    return await shop.hire()


@pytest_asyncio.fixture(loop_scope="module")
async def customer(shop: HttpShop) -> HttpCustomer:
    return shop.customer()
