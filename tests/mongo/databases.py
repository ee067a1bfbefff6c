"""Fixtures of databases on the session's server, one for each test. Any conftest can import them."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from tests.mongo.factory import drop
from tests.servers.mongodb import require_mongodb

from flashreserve.stores.mongo.connection import PymongoDatabase


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """The URL of an empty database."""
    url = f"{require_mongodb()}test-{uuid4().hex}"
    yield url
    await drop(url)


@pytest.fixture
async def database(url: str) -> AsyncIterator[PymongoDatabase]:
    """A connection to that database."""
    database = PymongoDatabase(url)
    yield database
    await database.close()
