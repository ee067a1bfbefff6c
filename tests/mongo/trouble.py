"""A database that gets its caller into trouble at one call: a process that stops there, or a reply that is lost."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar, cast

from flashreserve.stores.mongo.database import Collection, Database, Document, Fields, Index, Order, Query, Update
from flashreserve.stores.port import StoreOutcomeUnknownError

T = TypeVar("T")


class Trouble(Enum):
    """What happens at the call.

    The caller stops, until it is woken up: before the call is sent, when the first part of it was carried out, or
    after all of it. Or the reply is lost, and the call is carried out at once, later (see `deliver`), or never; or the
    first part of it at once, the rest later.
    """

    STOP_BEFORE = "stop before"
    STOP_HALF = "stop half way"
    STOP_AFTER = "stop after"
    LOST_DONE = "lost, done"
    LOST_LATE = "lost, late"
    LOST_NEVER = "lost, never done"
    LOST_HALF = "lost, half done"


STOPS = (Trouble.STOP_BEFORE, Trouble.STOP_HALF, Trouble.STOP_AFTER)
LOSSES = (Trouble.LOST_DONE, Trouble.LOST_LATE, Trouble.LOST_NEVER, Trouble.LOST_HALF)


class TroubledDatabase:
    """A `Database` whose call number `at` (from 0; only writes count for lost replies) meets with `trouble`."""

    def __init__(self, inner: Database, at: int, trouble: Trouble) -> None:
        self._inner = inner
        self._left = at
        self._trouble = trouble
        self._woken = asyncio.Event()
        self._late: Callable[[], Awaitable[Any]] | None = None
        self.met = asyncio.Event()

    def wake(self) -> None:
        """Let a caller that stopped go on."""
        self._woken.set()

    async def deliver(self) -> None:
        """Carry out the call whose reply was lost, if it is still on its way."""
        late, self._late = self._late, None
        if late is not None:
            await late()

    async def _call(
        self,
        call: Callable[[], Awaitable[T]],
        *,
        write: bool,
        halves: tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[Any]]] | None = None,
    ) -> T:
        mine = self._left == 0 and (write or self._trouble in STOPS)
        if write or self._trouble in STOPS:
            self._left -= 1
        if not mine:
            return await call()
        if self._trouble in LOSSES:
            await self._lose(call, halves)
        if self._trouble is Trouble.STOP_HALF and halves is not None:
            first = await halves[0]()
            await self._stop()
            rest = await halves[1]()
            return cast("T", None if first is None else [*first, *(place + 1 for place in rest or ())])
        if self._trouble is Trouble.STOP_BEFORE:
            await self._stop()
            return await call()
        result = await call()
        await self._stop()
        return result

    async def _stop(self) -> None:
        self.met.set()
        await self._woken.wait()

    async def _lose(
        self,
        call: Callable[[], Awaitable[Any]],
        halves: tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[Any]]] | None,
    ) -> None:
        self.met.set()
        if self._trouble is Trouble.LOST_DONE:
            await call()
        if self._trouble is Trouble.LOST_LATE:
            self._late = call
        if self._trouble is Trouble.LOST_HALF and halves is not None:
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
    ) -> list[Document]:
        return await self._call(
            lambda: self._inner.find(collection, query, fields=fields, order=order, most=most), write=False
        )

    async def aggregate(self, collection: Collection, pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
        return await self._call(lambda: self._inner.aggregate(collection, pipeline), write=False)

    async def insert_many(self, collection: Collection, documents: Sequence[Document]) -> list[int]:
        return await self._call(
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
            lambda: self._inner.find_one_and_update(collection, query, update, fields=fields), write=True
        )

    async def update_many(self, collection: Collection, query: Query, update: Update) -> None:
        await self._call(lambda: self._inner.update_many(collection, query, update), write=True)

    async def bulk_update(self, collection: Collection, updates: Sequence[tuple[Query, Update]]) -> None:
        await self._call(
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

    async def close(self) -> None:
        await self._inner.close()
