"""The checker's access to the internals of `flashreserve.stores.mongo`. It uses no other package's internals.

A configuration runs the store unchanged, with two exceptions: some bounds are lowered, so that they are reached at
small sizes, and recovery may come at any time, so that no moment is safe.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from flashreserve.core.events import BY_COMMAND_LINE
from flashreserve.core.model import Product, Reservation
from flashreserve.core.quotas import Quotas
from flashreserve.stores.mongo import MongoStore, audit, product_import, recovery
from flashreserve.stores.mongo.database import DRIVER_RETRIES_WRITES, Database
from flashreserve.stores.mongo.documents import INDEXES, product_document, reservation_document
from flashreserve.stores.mongo.intents import IdSource
from flashreserve.stores.unreadable import UnreadableItems

__all__ = ["DRIVER_RETRIES_WRITES", "product_document"]

UNIQUE_INDEXES: Final = [index for index in INDEXES if index.unique]

_ANY_AGE_MS: Final = -(10**15)
_RECOVERED_MAX: Final = 100

BOUNDS: Final = {
    "tries of a flush": "flashreserve.stores.mongo.flush.TRIES_MAX",
    "tries to decide": "flashreserve.stores.mongo.reserve_movement._TRIES_MAX",
    "open reserves": "flashreserve.stores.mongo.reserve_movement.RESERVE_INTENTS_MAX",
    "open releases": "flashreserve.stores.mongo.release_movement.RELEASE_INTENTS_MAX",
    "commands in a part": "flashreserve.stores.mongo.chunks.PART_MIN",
    "holds in a sweep": "flashreserve.core.limits.SWEEP_MAX",
}
"""The bounds that a configuration may set, and the variables that have them."""


def new_store(database: Database, ids: IdSource, quotas: Quotas, known: Sequence[Product]) -> MongoStore:
    """A store on the database, with these products in its cache."""
    store = MongoStore(database, ids, quotas)
    store._known.learn(known)
    return store


async def release_once(store: MongoStore, now: int, most: int) -> None:
    """Run a step of a sweep: one search for due holds, and one flush for them."""
    due = await store._due(now, most)
    if due:
        await store._expire(due, now)


async def recover_once(database: Database, ids: IdSource, now: int, *, imports: bool) -> None:
    """One pass of recovery."""
    if imports:
        await product_import.recover(database, now, _RECOVERED_MAX)
    await recovery.recover(database, ids, UnreadableItems(), now, _RECOVERED_MAX)


async def import_products(database: Database, ids: IdSource, products: Sequence[Product]) -> None:
    """Import products, all or none."""
    await product_import.add(database, ids, products, BY_COMMAND_LINE)


async def differences(database: Database) -> str:
    """The differences that an audit finds."""
    found = await audit.audit(database)
    return "; ".join(map(repr, found.differences))


def stored_reservation(reservation: Reservation, claims: Sequence[str]) -> dict[str, Any]:
    """A reservation's document, as an earlier movement left it."""
    return reservation_document(reservation, claims, "f0")


@contextmanager
def bounds(changed: Mapping[str, int]) -> Iterator[None]:
    """A context in which some bounds (by their names in `BOUNDS`) are lowered, and recovery comes at once."""
    values = {BOUNDS[name]: value for name, value in changed.items()}
    values["flashreserve.stores.mongo.recovery.ABANDONED_AFTER_MS"] = _ANY_AGE_MS
    values["flashreserve.stores.mongo.product_import.ABANDONED_AFTER_MS"] = _ANY_AGE_MS
    before = {path: _swap(path, value) for path, value in values.items()}
    try:
        yield
    finally:
        for path, value in before.items():
            _swap(path, value)


def _swap(path: str, value: Any) -> Any:
    """Set a module's variable. Returns its earlier value."""
    module_name, _, name = path.rpartition(".")
    module = importlib.import_module(module_name)
    before = getattr(module, name)
    setattr(module, name, value)
    return before
