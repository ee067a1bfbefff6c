"""Fixtures: a database for each test, on the session's server."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import pytest
from tests.mongo.databases import database, url

from flashreserve.clock import SystemIds
from flashreserve.stores.mongo import MongoStore, open_mongo
from flashreserve.stores.mongo.database import Database
from flashreserve.stores.mongo.intents import LateSettling

__all__ = ["database", "url"]

_CRASHES: Final = "crash points"


@pytest.fixture
def crashes(record_property: Callable[[str, object], None]) -> Iterator[Counter[str]]:
    """Counts the performances of scenes in a test, for the summary."""
    counted = Counter[str]()
    yield counted
    record_property(_CRASHES, dict(counted))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report how many performances there were."""
    total = Counter[str]()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                total.update(dict(report.user_properties).get(_CRASHES, {}))
    for kind, number in sorted(total.items()):
        terminalreporter.write_line(f"{_CRASHES}: {number} performances {kind}")


@pytest.fixture(autouse=True)
async def nothing_left_to_settle(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Drop pending settlements of stores that weren't closed, because the event loop may end during one of them."""
    made: list[LateSettling] = []

    class RecordedSettling(LateSettling):
        def __init__(self, database: Database) -> None:
            super().__init__(database)
            made.append(self)

    monkeypatch.setattr("flashreserve.stores.mongo.store.LateSettling", RecordedSettling)
    yield
    running = set[asyncio.Task[None]]()
    for late in made:
        if late._timer is not None:
            late._timer.cancel()
        running |= late._running
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


@pytest.fixture
async def store(url: str) -> AsyncIterator[MongoStore]:
    """A store on that database."""
    store = await open_mongo(url, SystemIds(), create=True)
    yield store
    await store.close()
