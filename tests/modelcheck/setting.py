"""A setting: the documents, the processes, the possible faults, and the seams that each process gets."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from tests.modelcheck.calls import (
    AggregateCall,
    BulkCall,
    CallRules,
    ClockCall,
    FindCall,
    InsertCall,
    UpdateManyCall,
    UpdateOneCall,
    tidy,
)
from tests.modelcheck.promises import CodePromise, StoredBooks
from tests.modelcheck.stepped_loop import SteppedLoop
from tests.modelcheck.stored_documents import Document

from flashreserve.core.quotas import NO_QUOTAS, Quotas
from flashreserve.stores.mongo.database import Collection, Fields, Index, Order, Query, Update


class CallingDatabase:
    """A `Database` whose every operation becomes a call that the checker replies to."""

    def __init__(self, loop: SteppedLoop) -> None:
        self._loop = loop

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
        return list(await self._loop.ask(FindCall(collection, tidy(query), fields, order, most, current)))

    async def aggregate(self, collection: Collection, pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
        return list(await self._loop.ask(AggregateCall(collection, pipeline)))

    async def insert_many(self, collection: Collection, documents: Sequence[Document]) -> list[int]:
        return list(await self._loop.ask(InsertCall(collection, list(documents))))

    async def find_one_and_update(
        self, collection: Collection, query: Query, update: Update, *, fields: Fields | None = None
    ) -> Document | None:
        found: Document | None = await self._loop.ask(UpdateOneCall(collection, tidy(query), update, fields))
        return found

    async def update_many(self, collection: Collection, query: Query, update: Update) -> None:
        await self._loop.ask(UpdateManyCall(collection, tidy(query), update))

    async def delete_many(self, collection: Collection, query: Query) -> None:
        raise NotImplementedError("no program that is checked deletes")

    async def bulk_update(self, collection: Collection, updates: Sequence[tuple[Query, Update]]) -> None:
        await self._loop.ask(BulkCall(collection, list(updates)))

    async def ensure_indexes(self, indexes: Sequence[Index], *, create: bool) -> None:
        pass

    async def now_ms(self) -> int:
        return 0

    def beat(self) -> str:
        return ""

    async def close(self) -> None:
        pass


class NumberedIds:
    """Ids of one process, made of its name and a number."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._made = 0

    def new(self) -> str:
        self._made += 1
        return f"{self._name}{self._made}"


class CodeSetting(msgspec.Struct, frozen=True, kw_only=True):
    """The initial documents, the processes, and the allowed faults."""

    documents: Mapping[str, Sequence[Document]]
    processes: "tuple[CodeProcess, ...]"
    losses: int = 0
    """Replies to writes that may be lost. Parts not yet carried out arrive later, one by one, or never."""
    ticks: tuple[int, ...] = ()
    """The instants (ms) to which the clock advances, from 0."""
    unavailable: bool = False
    """Whether a loss may also be a call that is certainly not carried out."""
    driver_retries: bool = False
    """Whether the driver may hide a loss by sending the write again, if the store allows that."""
    election: bool = False
    """Whether there may be an election. Until it ends, reads that aren't current show an older state."""
    in_order: bool = False
    """Whether the parts of a call are carried out in order, with other calls between. If not, in any order."""
    rules: CallRules = CallRules()
    moves_count: bool = False
    """Whether the count of a product's moves is part of the state. Only the audit depends on it."""
    imports: bool = False
    """Whether recovery also handles imports."""
    quotas: Quotas = NO_QUOTAS
    bounds: Mapping[str, int] = {}
    """Lowered bounds, by their names in `store_seam.BOUNDS`."""
    judge_cancel: bool = False
    """Whether no other process cancels, so that a cancellation with the outcome `Unavailable` must not happen."""
    judge_restock: bool = True
    """Whether no other process restocks under the same key, so that a refused restock must not happen."""
    check: Callable[[StoredBooks], str | None] | None = None
    """A further invariant. It returns the fault in the books; None if there is none."""


class Seat:
    """The seams of one process: a database, ids, a clock, and a function that records promises."""

    def __init__(self, name: str, loop: SteppedLoop, setting: CodeSetting) -> None:
        self.name = name
        self.setting = setting
        self.database = CallingDatabase(loop)
        self.ids = NumberedIds(name)
        self.told: list[CodePromise] = []
        self._loop = loop

    async def clock(self) -> int:
        """The time, at one of the setting's instants."""
        now: int = await self._loop.ask(ClockCall())
        return now

    def tell(self, promise: CodePromise) -> None:
        """Record a promise to a caller."""
        self.told.append(promise)


class CodeProcess(NamedTuple):
    """A process: its name and its program."""

    name: str
    run: Callable[[Seat], Coroutine[Any, Any, None]]
