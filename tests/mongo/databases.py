"""Databases of a test's own on the session's server: fixtures, for the conftest of whoever needs them."""

import gc
import warnings
from collections.abc import AsyncIterator, Iterator
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


@pytest.fixture
def sockets_left_by_the_driver() -> Iterator[None]:
    """A connection that PyMongo couldn't make may leave its socket to the garbage collector: collect it here."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
