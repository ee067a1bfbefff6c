"""The simulated database answers as a real one does.

The calls of the store to the simulated server, while seeds are played, are sent to a real server in the same order, and
the results have to be equal. `SIMULATION_CALLS` is the number of calls (600 by default; 100,000 is the full size).
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
from tests.simulation.mongo.matcher import Document
from tests.simulation.mongo.server import Part, SimulatedMongoServer, sort_key
from tests.simulation.play import play, quietly
from tests.simulation.script import SeedScript, draw
from typing_extensions import override

from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.database import Collection, Fields, Order, Query, Update
from flashreserve.stores.mongo.documents import INDEXES

pytestmark = [pytest.mark.mongodb, pytest.mark.timeout(3_600)]

CALLS: Final = int(os.environ.get("SIMULATION_CALLS", "600"))
COLLECTIONS: Final[tuple[Collection, ...]] = ("products", "reservations")
TEARING: Final = {"part", "crash-part", "missed", "storm"}
"""Faults that carry out a part of a call: a real server can't do that on request."""


class RecordingServer(SimulatedMongoServer):
    """Records each call and its result."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...], Any]] = []

    @override
    def find(
        self, collection: str, query: Query, fields: Fields | None, order: Order | None, most: int
    ) -> list[Document]:
        found = super().find(collection, query, fields, order, most)
        self.calls.append(("find", (collection, query, fields, order, most), found))
        return found

    @override
    def aggregate(self, collection: str, pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
        found = super().aggregate(collection, pipeline)
        self.calls.append(("aggregate", (collection, pipeline), found))
        return found

    @override
    def insert_parts(self, collection: str, documents: Sequence[Document]) -> list[Part]:
        return self._at_once("insert_many", (collection, documents), super().insert_parts(collection, documents))

    @override
    def find_one_and_update(
        self, collection: str, query: Query, update: Update, fields: Fields | None
    ) -> Document | None:
        found = super().find_one_and_update(collection, query, update, fields)
        self.calls.append(("find_one_and_update", (collection, query, update, fields), found))
        return found

    @override
    def update_many_parts(self, collection: str, query: Query, update: Update) -> list[Part]:
        parts = super().update_many_parts(collection, query, update)
        return self._at_once("update_many", (collection, query, update), parts)

    @override
    def bulk_parts(self, collection: str, updates: Sequence[tuple[Query, Update]]) -> list[Part]:
        return self._at_once("bulk_update", (collection, updates), super().bulk_parts(collection, updates))

    def _at_once(self, name: str, arguments: tuple[Any, ...], parts: list[Part]) -> list[Part]:
        """Carry out all parts now: they are several calls here, but one call to the real server."""
        calls = len(self.calls)
        results = [part() for part in parts]
        del self.calls[calls:]
        # The result of a write of many documents shows only in the documents that it left.
        self.calls.append((name, arguments, results if name == "insert_many" else self.documents(arguments[0])))
        return [lambda result=result: result for result in results]  # type: ignore[misc]

    def look(self) -> None:
        """Record all documents, to be compared."""
        for collection in COLLECTIONS:
            self.calls.append(("everything", (collection,), self.documents(collection)))


def whole(script: SeedScript) -> SeedScript:
    """The script without the faults and options that carry out calls in parts."""
    options = script.options._replace(scattered=0.0, torn=0.0)
    return script._replace(options=options, faults=tuple(fault for fault in script.faults if fault.kind not in TEARING))


async def test_the_simulated_server_answers_as_a_real_one(database: PymongoDatabase) -> None:
    seed = asked = 0
    while asked < CALLS:
        server = RecordingServer()
        with quietly():
            play(whole(draw(seed, "mongo")), server)
        server.look()
        await _start_empty(database)
        for place, (name, arguments, expected) in enumerate(server.calls):
            if asked >= CALLS:
                break
            came_to = await _ask(database, name, arguments)
            if _comparable(name, arguments, expected) != _comparable(name, arguments, came_to):
                pytest.fail(f"seed {seed}, call {place}: {name}{arguments} came to {came_to}, expected {expected}")
            asked += 1
        seed += 1


async def _start_empty(database: PymongoDatabase) -> None:
    for collection in COLLECTIONS:
        await database._of(collection).drop()
    await database.ensure_indexes(INDEXES, create=True)


def _comparable(name: str, arguments: tuple[Any, ...], result: Any) -> Any:
    """The result, sorted if its order is undefined."""
    if name in {"insert_many", "find_one_and_update"}:
        return result
    by_id = sorted(result, key=lambda document: str(document["_id"]))
    if name != "find":
        return by_id
    *_, order, most = arguments
    if order:
        return [[sort_key(field, document) for field, _ in order] for document in result], by_id
    return len(result) if most else by_id  # Any of the matching documents will do.


async def _ask(database: PymongoDatabase, name: str, arguments: tuple[Any, ...]) -> Any:
    """Send the same call to the real server."""
    collection = arguments[0]
    match name:
        case "find":
            _, query, fields, order, most = arguments
            return await database.find(collection, query, fields=fields, order=order, most=most)
        case "aggregate":
            return await database.aggregate(*arguments)
        case "insert_many":
            documents = [dict(each) for each in arguments[1]]
            refused = set(await database.insert_many(collection, documents))
            return [place in refused for place in range(len(documents))]
        case "find_one_and_update":
            _, query, update, fields = arguments
            return await database.find_one_and_update(collection, query, update, fields=fields)
        case "update_many":
            await database.update_many(*arguments)
        case "bulk_update":
            await database.bulk_update(*arguments)
        case _:
            pass
    return await database.find(collection, {})
