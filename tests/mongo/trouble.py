"""A database that makes trouble at one call: the calling process stops there, or the reply is lost."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar, cast

from flashreserve.stores.mongo.database import Collection, Database, Document, Fields, Index, Order, Query, Update
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

T = TypeVar("T")


class DriverTrouble(Enum):
    """The kinds of trouble at a call.

    The caller stops until it is woken up: before the call is sent, after the first part of it was carried out, or after
    all of it. Or the reply is lost, and the call is carried out at once, later (see `go_on`), or never; or its first
    part at once and the rest later. A read can only fail.
    """

    STOP_BEFORE = "stop before"
    STOP_HALF = "stop half way"
    STOP_AFTER = "stop after"
    LOST_DONE = "lost, done"
    LOST_LATE = "lost, late"
    LOST_NEVER = "lost, never done"
    LOST_HALF = "lost, half done"


STOPS = (DriverTrouble.STOP_BEFORE, DriverTrouble.STOP_HALF, DriverTrouble.STOP_AFTER)
LOSSES = (DriverTrouble.LOST_DONE, DriverTrouble.LOST_LATE, DriverTrouble.LOST_NEVER, DriverTrouble.LOST_HALF)


class TroubledDatabase:
    """A `Database` whose call number `at` (from 0), or first call of that name, meets `trouble`; None: no call does."""

    def __init__(self, inner: Database, at: int | str | None, trouble: DriverTrouble) -> None:
        self._inner = inner
        self._at = at
        self._trouble = trouble
        self._woken = asyncio.Event()
        self._late: Callable[[], Awaitable[Any]] | None = None
        self._stopping = False
        self._under_way: set[asyncio.Future[Any]] = set()
        self.calls = 0
        self.met = asyncio.Event()
        self.stopped = asyncio.Event()

    async def go_on(self) -> None:
        """Wake up a stopped caller, and carry out a call whose reply was lost, if it is still in flight."""
        self._stopping = False
        self._woken.set()
        late, self._late = self._late, None
        if late is not None:
            await late()

    async def _call(
        self,
        name: str,
        call: Callable[[], Awaitable[T]],
        *,
        write: bool,
        halves: tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[Any]]] | None = None,
    ) -> T:
        if self._stopping:
            await self._woken.wait()  # The whole process stops, not only the call in trouble.
        mine = self._at in {self.calls, name} and not self.met.is_set()
        self.calls += 1
        if not mine:
            return await self._send(call)
        if self._trouble in LOSSES:
            await self._lose(call if write else None, halves)
        if self._trouble is DriverTrouble.STOP_HALF and halves is not None:
            first = await halves[0]()
            await self._stop()
            rest = await halves[1]()
            return cast("T", None if first is None else [*first, *(place + 1 for place in rest or ())])
        if self._trouble is DriverTrouble.STOP_BEFORE:
            await self._stop()
            return await call()
        result = await call()
        await self._stop()
        return result

    async def _send(self, call: Callable[[], Awaitable[T]]) -> T:
        sent = asyncio.ensure_future(call())
        self._under_way.add(sent)
        sent.add_done_callback(self._under_way.discard)
        return await sent

    async def _stop(self) -> None:
        """Stop, after all calls that were sent before have arrived."""
        self.met.set()
        self._stopping = True
        while self._under_way:
            await asyncio.wait(self._under_way)
        self.stopped.set()
        await self._woken.wait()

    async def _lose(
        self,
        write: Callable[[], Awaitable[Any]] | None,
        halves: tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[Any]]] | None,
    ) -> None:
        self.met.set()
        if write is None:
            raise StoreUnavailableError("the answer was lost")
        if self._trouble is DriverTrouble.LOST_DONE:
            await write()
        if self._trouble is DriverTrouble.LOST_LATE:
            self._late = write
        if self._trouble is DriverTrouble.LOST_HALF and halves is not None:
            await halves[0]()
            self._late = halves[1]
        raise StoreOutcomeUnknownError("the reply was lost")

    async def find(
        self,
        collection: Collection,
        query: Query,
        *,
        fields: Fields | None = None,
        order: Order | None = None,
        most: int = 0,
        current: bool = False,
    ) -> list[Document]:
        return await self._call(
            "find",
            lambda: self._inner.find(collection, query, fields=fields, order=order, most=most, current=current),
            write=False,
        )

    async def aggregate(self, collection: Collection, pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
        return await self._call("aggregate", lambda: self._inner.aggregate(collection, pipeline), write=False)

    async def insert_many(self, collection: Collection, documents: Sequence[Document]) -> list[int]:
        return await self._call(
            "insert_many",
            lambda: self._inner.insert_many(collection, documents),
            write=True,
            halves=(
                lambda: self._inner.insert_many(collection, documents[:1]),
                lambda: self._rest(self._inner.insert_many, collection, documents[1:]),
            ),
        )

    async def find_one_and_update(
        self, collection: Collection, query: Query, update: Update, *, fields: Fields | None = None
    ) -> Document | None:
        return await self._call(
            "find_one_and_update",
            lambda: self._inner.find_one_and_update(collection, query, update, fields=fields),
            write=True,
        )

    async def update_many(self, collection: Collection, query: Query, update: Update) -> None:
        await self._call("update_many", lambda: self._inner.update_many(collection, query, update), write=True)

    async def delete_many(self, collection: Collection, query: Query) -> None:
        await self._call("delete_many", lambda: self._inner.delete_many(collection, query), write=True)

    async def bulk_update(self, collection: Collection, updates: Sequence[tuple[Query, Update]]) -> None:
        await self._call(
            "bulk_update",
            lambda: self._inner.bulk_update(collection, updates),
            write=True,
            halves=(
                lambda: self._inner.bulk_update(collection, updates[:1]),
                lambda: self._rest(self._inner.bulk_update, collection, updates[1:]),
            ),
        )

    async def _rest(
        self, send: Callable[[Collection, Any], Awaitable[Any]], collection: Collection, rest: Sequence[Any]
    ) -> Any:
        return await send(collection, rest) if rest else None

    async def ensure_indexes(self, indexes: Sequence[Index], *, create: bool) -> None:
        await self._inner.ensure_indexes(indexes, create=create)

    async def now_ms(self) -> int:
        return await self._inner.now_ms()

    def beat(self) -> str:
        return self._inner.beat()

    async def close(self) -> None:
        await self._inner.close()
