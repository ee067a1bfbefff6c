"""Processes that return units and die by `kill -9` at one of their calls to the database.

python -m tests.faults.dying STORE

STORE is a MongoDB URL or the path of a SQLite file. Each line of the standard input asks for one process: the call at
which it dies (from 0), `before` or `after` it, the reservation, the product, and the units to return. Each line of the
output is a process's exit code: -9 if it was killed, 0 if it had ended before that call.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.core.examples import ADMIN, NOON

from flashreserve.clock import SystemIds
from flashreserve.core.commands import Return
from flashreserve.core.model import Units
from flashreserve.core.outcomes import Returned
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.port import Store
from flashreserve.stores.sqlite import open_sqlite

KEY: Final = "parcel-1"
_CALLS: Final = frozenset(
    {
        *("execute", "executemany"),
        *("find", "aggregate", "insert_many", "find_one_and_update", "update_many", "bulk_update"),
    }
)
"""The calls of SQLite's connection, and of the MongoDB driver, at which a process may die."""


class DeathPoint(NamedTuple):
    """The call at which the process dies, before it or after it."""

    call: int
    moment: str


class DyingConnection:
    """A connection, of SQLite or to MongoDB, at one of whose calls the process is killed."""

    def __init__(self, inner: object, point: DeathPoint) -> None:
        self._inner = inner
        self._point = point
        self._calls = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in _CALLS:
            return found
        return partial(self._awaited if isinstance(self._inner, PymongoDatabase) else self._called, found)

    async def _awaited(self, call: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any) -> Any:
        here = self._arrive()
        result = await call(*arguments, **named)
        self._leave(here)
        return result

    def _called(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        here = self._arrive()
        result = call(*arguments, **named)
        self._leave(here)
        return result

    def _arrive(self) -> int:
        here, self._calls = self._calls, self._calls + 1
        if self._point == (here, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        return here

    def _leave(self, here: int) -> None:
        if self._point == (here, "after"):
            os.kill(os.getpid(), signal.SIGKILL)


def return_of(reservation: str, product: str, units: int) -> Return:
    """The request that the process carries out. Sent again, it is the same request."""
    return Return(reservation, None, (Units(product, units),), KEY, ADMIN)


def _open(place: str, point: DeathPoint) -> Store:
    if place.startswith("mongodb"):
        return MongoStore(DyingConnection(PymongoDatabase(place), point), SystemIds())
    store = open_sqlite(Path(place), create=False)
    writer: Any = store._writer
    writer._connection = DyingConnection(writer._connection, point)
    return store


async def _return(place: str, point: DeathPoint, command: Return) -> None:
    store = _open(place, point)
    (outcome,) = (await store.flush([command], NOON)).outcomes
    assert isinstance(outcome, Returned), outcome


def _serve(place: str) -> None:
    """Fork a process for each line. Nothing is open yet in this one, so there is nothing that they would share."""
    for line in sys.stdin:
        call, moment, reservation, product, units = line.split()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                asyncio.run(_return(place, DeathPoint(int(call), moment), return_of(reservation, product, int(units))))
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
