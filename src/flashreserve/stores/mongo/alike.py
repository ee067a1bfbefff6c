"""Updates of many documents that are alike, by one command for all of them.

On a sharded cluster, such a command may miss a document that moves between shards.

The server guards and changes each document by itself, as if each had an update of its own. But it plans one update
instead of many: on the test server (FerretDB 2) 55 µs for each document instead of 150 µs.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from flashreserve.stores.mongo.database import Collection, Database, Query, Update
from flashreserve.stores.port import StoreUnavailableError

_TRIES_MAX: Final = 20


class GuardedUpdate(NamedTuple):
    """The update of one document, which is carried out if it fulfils the guard."""

    id: str
    guard: Query
    update: Update


async def update_all(database: Database, collection: Collection, query: Query, update: Update) -> None:
    """Change every document that matches, so that none does any more. Repeats the command until none was missed.

    Raises:
        StoreUnavailableError: documents that match are added faster than they are changed.
    """
    for _ in range(_TRIES_MAX):
        await database.update_many(collection, query, update)
        if not await database.find(collection, query, fields={"_id": 1}, most=1, current=True):
            return
    raise StoreUnavailableError(f"documents of {collection} are added faster than they are changed")


async def update_alike(database: Database, collection: Collection, updates: Sequence[GuardedUpdate]) -> None:
    """Carry out the updates, in any order: those with the same guard and update by one command.

    Some may be missed, so they must be such that they are repeated later.
    """
    groups: dict[bytes, list[GuardedUpdate]] = {}
    for each in updates:
        groups.setdefault(msgspec.json.encode((each.guard, each.update)), []).append(each)
    single = [group[0] for group in groups.values() if len(group) == 1]
    for group in groups.values():
        if len(group) > 1:
            some = {"_id": {"$in": [each.id for each in group]}, **group[0].guard}
            await database.update_many(collection, some, group[0].update)
    if single:
        await database.bulk_update(collection, [({"_id": each.id, **each.guard}, each.update) for each in single])
