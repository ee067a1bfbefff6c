"""Processes that die by `kill -9` at one of their calls to the database, or of the requests that they send.

python -m tests.faults.dying STORE

STORE is a MongoDB URL or the path of a SQLite file. Each line of the standard input asks for one process: the call at
which it dies (from 0), `before` or `after` it, and what it does:

    return RESERVATION PRODUCT UNITS
    deliver SECONDS                   relay and deliver all events, SECONDS after the moving clock's start

Each line of the output is a process's exit code: -9 if it was killed, 0 if it had ended before that call.
"""

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.core.examples import ADMIN, NOON
from tests.moving_clock import MovingClock
from tests.webhooks.delivery_shop import DeliveryShop

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
        "send",
    }
)
"""The calls of SQLite's connection, of the MongoDB driver and of the sender, at which a process may die."""


class DeathPoint(NamedTuple):
    """The call at which the process dies, before it or after it."""

    call: int
    moment: str


class Death:
    """Counts the calls of a process, and kills it at one of them."""

    def __init__(self, point: DeathPoint) -> None:
        self._point = point
        self._calls = 0

    def arrive(self) -> int:
        """Begin a call. Returns its number."""
        here, self._calls = self._calls, self._calls + 1
        if self._point == (here, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        return here

    def leave(self, here: int) -> None:
        """End the call of this number."""
        if self._point == (here, "after"):
            os.kill(os.getpid(), signal.SIGKILL)


class DyingConnection:
    """A connection, of SQLite or to MongoDB, or a sender, at one of whose calls the process is killed."""

    def __init__(self, inner: object, death: Death) -> None:
        self._inner = inner
        self._death = death

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in _CALLS:
            return found
        return partial(self._awaited if inspect.iscoroutinefunction(found) else self._called, found)

    async def _awaited(self, call: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any) -> Any:
        here = self._death.arrive()
        result = await call(*arguments, **named)
        self._death.leave(here)
        return result

    def _called(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        here = self._death.arrive()
        result = call(*arguments, **named)
        self._death.leave(here)
        return result


def return_of(reservation: str, product: str, units: int) -> Return:
    """The request that the process carries out. Sent again, it is the same request."""
    return Return(reservation, None, (Units(product, units),), KEY, ADMIN)


def _open(place: str, death: Death) -> Store:
    if place.startswith("mongodb"):
        return MongoStore(DyingConnection(PymongoDatabase(place), death), SystemIds())
    store = open_sqlite(Path(place), create=False)
    writer: Any = store._writer
    writer._connection = DyingConnection(writer._connection, death)
    return store


async def _act(place: str, death: Death, act: str, *words: str) -> None:
    store = _open(place, death)
    if act == "return":
        reservation, product, units = words
        (outcome,) = (await store.flush([return_of(reservation, product, int(units))], NOON)).outcomes
        assert isinstance(outcome, Returned), outcome
    else:
        (seconds,) = words
        clock = MovingClock()
        clock.advance(float(seconds))
        shop = DeliveryShop(store, clock)
        deliveries: Any = shop.deliveries
        deliveries._sender = DyingConnection(shop.sender, death)
        await shop.deliver()


def _serve(place: str) -> None:
    """Fork a process for each line. Nothing is open yet in this one, so there is nothing that they would share."""
    for line in sys.stdin:
        call, moment, *act = line.split()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                asyncio.run(_act(place, Death(DeathPoint(int(call), moment)), *act))
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
