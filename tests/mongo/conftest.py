"""A database of its own for each test, on the session's server."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest
from tests.mongo.databases import database, url

from flashreserve.clock import SystemIds
from flashreserve.stores.mongo import MongoStore, open_mongo

__all__ = ["database", "url"]

_CRASHES = pytest.StashKey[Counter[str]]()


@pytest.fixture
def crashes(request: pytest.FixtureRequest) -> Counter[str]:
    """Counts the performances of scenes in this session; the summary tells."""
    return request.config.stash.setdefault(_CRASHES, Counter())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How much was tried."""
    for kind, number in sorted(config.stash.get(_CRASHES, Counter[str]()).items()):
        terminalreporter.write_line(f"crash points: {number} performances {kind}")


@pytest.fixture
async def store(url: str) -> AsyncIterator[MongoStore]:
    """A store on that database."""
    store = await open_mongo(url, SystemIds(), create=True)
    yield store
    await store.close()
