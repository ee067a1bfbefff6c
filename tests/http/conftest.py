"""Most tests share their file's shop, as people share one: what each makes, sells and buys is its own.

A shop of one's own costs the tenth of a second that the framework takes to put its routes together.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.http.shop import Admin, HttpCustomer, HttpShop, ShopClock, open_shop


@pytest.fixture(scope="module")
def clock() -> ShopClock:
    """Of all the file's shops. Stands still but where a test moves it, and never goes back."""
    return ShopClock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory, clock: ShopClock) -> AsyncIterator[HttpShop]:
    """The file's shop. It sweeps only when a test does."""
    async with open_shop(tmp_path_factory.mktemp("shop"), clock) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def fresh_shop(tmp_path: Path, clock: ShopClock) -> AsyncIterator[HttpShop]:
    """A shop in which nothing is but what the test makes."""
    async with open_shop(tmp_path, clock) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def admin(shop: HttpShop) -> Admin:
    return await shop.hire()


@pytest_asyncio.fixture(loop_scope="module")
async def customer(shop: HttpShop) -> HttpCustomer:
    return shop.customer()
