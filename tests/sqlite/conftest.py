"""A database file of each test's own, and whatever is opened on it closed again."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from flashreserve.core.quotas import NO_QUOTAS, Quotas
from flashreserve.stores.sqlite import SqliteStore, open_sqlite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database file is to be; the directory has nothing else in it."""
    directory = tmp_path / "data"
    directory.mkdir()
    return directory / "flashreserve.db"


@pytest.fixture
async def opened(path: Path) -> AsyncIterator[Callable[..., SqliteStore]]:
    """Opens stores on the file as `open_sqlite` does, creating it where that isn't said otherwise."""
    stores: list[SqliteStore] = []

    def open_one(*, create: bool = True, busy_wait_s: float = 5.0, quotas: Quotas = NO_QUOTAS) -> SqliteStore:
        stores.append(open_sqlite(path, create=create, busy_wait_s=busy_wait_s, quotas=quotas))
        return stores[-1]

    yield open_one
    for store in stores:
        await store.close()


@pytest.fixture
def store(opened: Callable[..., SqliteStore]) -> SqliteStore:
    """A store on an empty file."""
    return opened()
