"""The seam to the database: all that the store ever asks of it, so that a simulated server can take its place."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec

DRIVER_RETRIES_WRITES: Final = False
"""Whether the driver may send a write again by itself.

It must not: it would report the second copy's refusal while the first copy is still in flight and may be carried out
later (docs/adr/0010).
"""

Document: TypeAlias = dict[str, Any]
Query: TypeAlias = Mapping[str, Any]
Update: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Update operators, or a pipeline."""
Fields: TypeAlias = Mapping[str, int]
"""A projection."""
Order: TypeAlias = Sequence[tuple[str, int]]
Collection = Literal["products", "reservations", "accounts", "batches", "meta"]


class Index(msgspec.Struct, frozen=True):
    """An index that the store relies on; `where` makes it partial."""

    collection: Collection
    name: str
    keys: tuple[tuple[str, int], ...]
    unique: bool = False
    sparse: bool = False
    where: dict[str, Any] | None = None


class Database(Protocol):
    """Eight operations, and `close`. Writes are acknowledged by a majority, journalled.

    Reads return only what a majority has. They may be stale: after an election, a read may not yet show a write that
    was acknowledged before. Only `find` with `current` shows all of these.

    Each call is one command, which the driver sends once (`DRIVER_RETRIES_WRITES`). A call that fails raises one of two
    errors, and the difference is what the protocol rests on:

    - `StoreUnavailableError`: it was surely not carried out, and never will be.
    - `StoreOutcomeUnknownError`, from writes only: no definite reply. It may have been carried out, may be any moment
      later, or never.
    """

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
        """The documents that match, at most `most` of them unless that is 0.

        With `current`, each is read as it was at some instant after the call began (a linearizable read): every write
        acknowledged before is seen. It costs a replica set a round trip to its majority.
        """
        ...

    async def aggregate(self, collection: Collection, pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
        """What the pipeline comes to."""
        ...

    async def insert_many(self, collection: Collection, documents: Sequence[Document]) -> list[int]:
        """Insert each document on its own; the places of those refused as duplicates, by `_id` or a unique index."""
        ...

    async def find_one_and_update(
        self, collection: Collection, query: Query, update: Update, *, fields: Fields | None = None
    ) -> Document | None:
        """Change the one document that matches, and return it as it then is; None where none matched."""
        ...

    async def update_many(self, collection: Collection, query: Query, update: Update) -> None:
        """Change each document that matches. On a sharded cluster one may be missed while it moves: read again."""
        ...

    async def bulk_update(self, collection: Collection, updates: Sequence[tuple[Query, Update]]) -> None:
        """Carry out each update, on one document each, independently of the others."""
        ...

    async def ensure_indexes(self, indexes: Sequence[Index], *, create: bool) -> None:
        """Make the indexes, or only look whether they are there and as they should be.

        Raises:
            StoreUnavailableError: one is missing, or differs.
        """
        ...

    async def now_ms(self) -> int:
        """The server's time of day, UTC milliseconds."""
        ...

    def beat(self) -> str:
        """Count a beat of the process's watchdog; see `Store.beat`."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...
