"""The shop's database as a real SQLite file that all processes share. Its disk fails when the seed says so."""

import asyncio  # noqa: TC003 - annotations with its types are evaluated at run time, too
import itertools
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import apsw
from tests.proof.records import FinalProduct, Goods, Held, ToldEvent
from tests.simulation.faults import AT_A_COMMIT, AT_A_READ, SimulatedFault
from tests.simulation.histories import held, told
from tests.simulation.mongo_shop import SLOWNESS, product_of
from tests.simulation.processes import SimulatedIds, SimulatedProcess
from tests.simulation.script import Options
from tests.simulation.shop import SimulatedShop
from tests.simulation.world import World
from typing_extensions import override

from flashreserve.core.endpoints import Endpoint
from flashreserve.stores.filters import ALL_EVENTS
from flashreserve.stores.port import Store
from flashreserve.stores.sqlite import rows
from flashreserve.stores.sqlite.columns import ENDPOINTS, PRODUCTS, RESERVATIONS
from flashreserve.stores.sqlite.connection import connect
from flashreserve.stores.sqlite.customer_index import CustomerIndexer
from flashreserve.stores.sqlite.events import search
from flashreserve.stores.sqlite.schema import migrate
from flashreserve.stores.sqlite.store import SqliteStore
from flashreserve.stores.sqlite.writer import Work, Writer

T = TypeVar("T")

_ALL: Final = 1_000_000
_PREPARING: Final = 0.2
"""Share of writes after which the customer index is prepared."""

_DEADLY: Final = frozenset({"crash-before", "crash-after"})
"""Recorded when the process dies, not when the work begins: requests that came in between die with it."""

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of its own is made there


class _ProcessDiesError(BaseException):
    """Ends the process in the middle of its work: nothing may catch it."""


class _FailingConnection:
    """A connection with one fault in its transaction."""

    def __init__(self, connection: apsw.Connection, fault: str) -> None:
        self._connection = connection
        self._fault = fault

    def execute(self, sql: str, *values: Any) -> Any:
        if sql == "BEGIN IMMEDIATE" and self._fault == "busy":
            raise apsw.BusyError("another process writes")
        if self._fault == "read-fails":
            raise apsw.IOError("the disk fails")
        if sql != "COMMIT":
            return self._connection.execute(sql, *values)
        match self._fault:
            case "full":
                raise apsw.FullError("no room")
            case "disk-fails-before":
                raise apsw.IOError("the disk fails")
            case "crash-before":
                raise _ProcessDiesError
            case _:
                pass
        self._connection.execute(sql)
        if self._fault == "disk-fails-after":
            raise apsw.IOError("the disk fails")
        if self._fault == "crash-after":
            raise _ProcessDiesError
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __enter__(self) -> Self:
        self._connection.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._connection.__exit__(kind, error, trace)


class SimulatedWriter(Writer):
    """A connection that carries out one piece of work at a time, each at one instant."""

    def __init__(
        self, shop: "SqliteShop", process: SimulatedProcess, connection: apsw.Connection, *, writes: bool
    ) -> None:
        self._shop = shop
        self._process = process
        self._connection = connection
        self._writes = writes
        self._waiting: deque[tuple[Work[Any], asyncio.Future[Any]]] = deque()
        self._busy = False

    @override
    async def run(self, work: Work[T]) -> T:
        future: asyncio.Future[T] = self._process.loop.create_future()
        self._waiting.append((work, future))
        if not self._busy:
            self._begin_next()
        return await future

    def _begin_next(self) -> None:
        self._busy = bool(self._waiting)
        if self._busy:
            fault = self._shop.fault_of(self._process, writes=self._writes)
            seconds = self._shop.latency_s()
            if fault is not None and fault.kind in {"delayed", "read-delayed"}:
                seconds += fault.seconds
            self._process.loop.call_later(seconds, self._carry_out, *self._waiting.popleft(), fault)

    def _carry_out(self, work: Work[Any], future: "asyncio.Future[Any]", fault: SimulatedFault | None) -> None:
        loop, kind = self._process.loop, fault.kind if fault is not None else ""
        if fault is not None and kind == "freeze-before":
            self._process.freeze(fault.seconds)
            loop.call_soon(self._carry_out, work, future, None)
            return
        tell: Callable[[], None]
        try:
            result = work(_FailingConnection(self._connection, kind) if kind else self._connection)  # type: ignore[arg-type]
            tell = partial(_succeed, future, result)
        except _ProcessDiesError:
            self._shop.note(kind, self._process.name, 0.0)
            self._connection.close(force=True)
            self._process.crash()
            return
        except Exception as error:  # noqa: BLE001 - the caller gets it
            tell = partial(_fail, future, error)
        if fault is not None and kind == "freeze-after":
            self._process.freeze(fault.seconds)
        loop.call_later(self._shop.latency_s(), tell)
        if self._writes:
            self._shop.maintain(self._process)
        self._begin_next()

    @override
    async def close(self) -> None:
        """Do nothing: the shop closes the connections that it opened."""


def _succeed(future: "asyncio.Future[T]", result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[T]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


class SqliteShop(SimulatedShop):
    """One file for all processes; each has a writing and a reading connection to it."""

    def __init__(
        self, world: World, options: Options, goods: Sequence[Goods], note: Callable[[str, str, float], None]
    ) -> None:
        self._world = world
        self._options = options
        self.note = note
        self._directory = Path(tempfile.mkdtemp(prefix="simulation-", dir=_MEMORY if _MEMORY.is_dir() else None))
        self._path = self._directory / "shop.db"
        self._connections: list[apsw.Connection] = []
        self._of: dict[str, list[apsw.Connection]] = {}
        self._indexers: dict[str, CustomerIndexer] = {}
        self._armed: dict[str, list[SimulatedFault]] = {}
        self._slow_until = 0.0
        self._healed = False
        self._outside = self._open("create")
        migrate(self._outside)
        products = [product_of(each) for each in goods]
        self._outside.executemany(rows.INSERT_PRODUCT, [PRODUCTS.values(each) for each in products])

    def _open(self, access: Any) -> apsw.Connection:
        connection = connect(self._path, access, busy_wait_s=0.0)
        self._connections.append(connection)
        return connection

    def maintain(self, process: SimulatedProcess) -> None:
        """Do the process's background work, at times: prepare the next batch of the customer index."""
        if self._world.random.random() < _PREPARING:
            self._indexers[process.name].prepare(self._outside)

    @override
    def connect(self, process: SimulatedProcess, ids: SimulatedIds) -> Store:
        del ids
        # The connections from before a restart are closed, and uncommitted work is lost.
        for connection in self._of.get(process.name, ()):
            connection.close(force=True)
        writer, reader = self._of[process.name] = [self._open("write"), self._open("read")]
        indexer = self._indexers[process.name] = CustomerIndexer(at_least=1, step=3)
        return SqliteStore(
            SimulatedWriter(self, process, writer, writes=True),
            SimulatedWriter(self, process, reader, writes=False),
            indexer,
            quotas=self._options.quotas,
        )

    def latency_s(self) -> float:
        """The time from a call to its work, or from the work to its result."""
        random = self._world.random
        seconds = self._options.latency_s * (0.5 + random.random())
        return seconds * SLOWNESS if self._world.now < self._slow_until else seconds

    def fault_of(self, process: SimulatedProcess, *, writes: bool) -> SimulatedFault | None:
        """The fault that happens to this piece of work."""
        armed = self._armed.get(process.name, [])
        kinds = AT_A_COMMIT if writes else AT_A_READ
        for place, fault in enumerate(armed):
            if fault.kind in kinds:
                if fault.skip:
                    armed[place] = fault._replace(skip=fault.skip - 1)
                    return None
                del armed[place]
                if fault.kind not in _DEADLY:
                    self.note(fault.kind, process.name, fault.seconds)
                return fault
        return None

    @override
    def meet(self, process: SimulatedProcess, fault: SimulatedFault) -> bool:
        if fault.kind == "slow":
            self._slow_until = fault.at + fault.seconds
            return True
        self._armed.setdefault(process.name, []).append(fault)
        return False

    @override
    def heal(self) -> None:
        self._armed.clear()
        self._slow_until = 0.0

    @override
    def quiet_at(self) -> float:
        return 0.0  # Nothing is ever late.

    @override
    def products(self) -> tuple[FinalProduct, ...]:
        found = self._outside.execute("SELECT id, stocked, available, 0, trail_n FROM products ORDER BY id")
        return tuple(itertools.starmap(FinalProduct, found))

    @override
    def reservations(self) -> tuple[Held, ...]:
        sql = f"SELECT {RESERVATIONS.select('r')} FROM reservations AS r ORDER BY r.id"  # noqa: S608 - columns only
        found = self._outside.execute(sql)
        return tuple(held(RESERVATIONS.struct(row)) for row in found)

    @override
    def log(self) -> tuple[ToldEvent, ...]:
        return tuple(map(told, search(self._outside, ALL_EVENTS, 0, _ALL).events))

    @override
    def subscribe(self, endpoints: Sequence[Endpoint]) -> None:
        self._outside.executemany(ENDPOINTS.insert(), [ENDPOINTS.values(each) for each in endpoints])

    @override
    def undelivered(self) -> int:
        count: int = self._outside.execute(
            "SELECT (SELECT count(*) FROM deliveries WHERE next_at IS NOT NULL)"
            " + (SELECT count(*) FROM endpoints WHERE seen < (SELECT coalesce(max(place), 0) FROM events))"
        ).get
        return count

    @override
    def unlogged(self) -> int:
        return 0

    @override
    def balance(self) -> str | None:
        for id_, stocked, available, live, _ in self._outside.execute(rows.SELECT_BOOKS):
            if available < 0 or available != stocked - live:
                return f"{id_}: available {available}, stocked {stocked}, live {live}"
        return None

    @override
    def discard(self) -> None:
        for connection in self._connections:
            connection.close(force=True)
        shutil.rmtree(self._directory)
