"""Fixtures: the stores that the contract is checked on. Each test gets a database of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.factories import FACTORIES, StoreFactory
from tests.contract.requests import assert_balanced

from flashreserve.stores.port import Store


def _named(factories: list[type[StoreFactory]]) -> list[object]:
    return [pytest.param(factory, id=factory.name, marks=factory.marks) for factory in factories]


@pytest.fixture(params=_named(FACTORIES))
async def factory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreFactory]:
    """A factory on a database. A test runs once for each kind."""
    made: StoreFactory = request.param(tmp_path)
    yield made
    await made.discard()


@pytest.fixture
async def store(factory: StoreFactory) -> Store:
    """A store on an empty database. A test runs once for each kind."""
    return await factory.open()


@pytest.fixture
async def balanced_afterwards(store: Store) -> AsyncIterator[None]:
    """Check rule 1 on the store after the test."""
    yield
    await assert_balanced(store)


@pytest.fixture(params=_named([factory for factory in FACTORIES if factory.durable]))
async def durable(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreFactory]:
    """A factory on a database that keeps its data after its stores are closed, of each such kind."""
    made: StoreFactory = request.param(tmp_path)
    yield made
    await made.discard()


@pytest.fixture(params=_named([factory for factory in FACTORIES if factory.shared]))
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Two stores on one empty database, like those of two processes, of each kind that allows it."""
    made: StoreFactory = request.param(tmp_path)
    yield await made.open(), await made.open()
    await made.discard()


@pytest.fixture(params=_named([factory for factory in FACTORIES if factory.shared and factory.baskets_at_once]))
async def stores_of_whole_baskets(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    """The same as `stores`, of each kind that takes the products of a basket at one instant."""
    made: StoreFactory = request.param(tmp_path)
    yield await made.open(), await made.open()
    await made.discard()
