"""The seam to the database: all operations that the store uses, so that a simulated server can replace it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec

DRIVER_RETRIES_WRITES: Final = False
"""Whether the driver may send a write again by itself.

That is forbidden: the driver would report the second copy's refusal while the first copy is still in flight and may be
carried out later (docs/adr/0010).
"""

Document: TypeAlias = dict[str, Any]
Query: TypeAlias = Mapping[str, Any]
Update: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Update operators, or a pipeline."""
Fields: TypeAlias = Mapping[str, int]
"""A projection."""
Order: TypeAlias = Sequence[tuple[str, int]]
Collection = Literal[
    "products",
    "details",
    "reservations",
    "accounts",
    "keys",
    "erasures",
    "batches",
    "events",
    "endpoints",
    "deliveries",
    "attempts",
    "processes",
    "verdicts",
    "meta",
]


class Index(msgspec.Struct, frozen=True):
    """An index that the store relies on. With `where`, it is partial."""

    collection: Collection
    name: str
    keys: tuple[tuple[str, int], ...]
    unique: bool = False
    sparse: bool = False
    where: dict[str, Any] | None = None


class Database(Protocol):
    """Nine operations, and `close`. Writes are acknowledged by a majority, journalled.

    Reads return only what a majority has. They may be stale: after an election, a read may not yet show a write that
    was acknowledged before. Only `find` with `current` shows all of these.

    Each call is one command, which the driver sends once (`DRIVER_RETRIES_WRITES`). A call that fails raises one of two
    errors, and the protocol depends on the difference:

    - `StoreUnavailableError`: the command was certainly not carried out, and never will be.
    - `StoreOutcomeUnknownError`, from writes only: there was no definite reply. The command may have been carried out
      already, may be carried out at any later moment, or never.
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

        With `current`, each is read as it was at some instant after the call began (a linearizable read), so the read
        sees every write that was acknowledged before. On a replica set it costs a round trip to the majority.
        """
        ...

    async def aggregate(self, collection: Collection, pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
        """The documents that the pipeline returns."""
        ...

    async def insert_many(self, collection: Collection, documents: Sequence[Document]) -> list[int]:
        """Insert each document on its own. Returns the places of duplicates, by `_id` or by a unique index."""
        ...

    async def find_one_and_update(
        self, collection: Collection, query: Query, update: Update, *, fields: Fields | None = None
    ) -> Document | None:
        """Change one document that matches. Returns it as it is after the change; None if none matched."""
        ...

    async def update_many(self, collection: Collection, query: Query, update: Update) -> None:
        """Change each document that matches. A sharded cluster may miss one that moves between shards: read again."""
        ...

    async def delete_many(self, collection: Collection, query: Query) -> None:
        """Delete each document that matches."""
        ...

    async def bulk_update(self, collection: Collection, updates: Sequence[tuple[Query, Update]]) -> None:
        """Carry out the updates, each on one document, independently of each other."""
        ...

    async def ensure_indexes(self, indexes: Sequence[Index], *, create: bool) -> None:
        """Create the indexes, or with `create` false only check that they exist and don't differ.

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
        """Close the connections."""
        ...
