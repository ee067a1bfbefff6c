"""Fixtures: a database file for each test, and stores on it that are closed at the end."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from flashreserve.core.quotas import NO_QUOTAS, Quotas
from flashreserve.stores.sqlite import SqliteStore, open_sqlite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path for the database file, in a directory that is otherwise empty."""
    directory = tmp_path / "data"
    directory.mkdir()
    return directory / "flashreserve.db"


@pytest.fixture
async def opened(path: Path) -> AsyncIterator[Callable[..., SqliteStore]]:
    """Opens stores on the file like `open_sqlite`. By default it creates the file."""
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
