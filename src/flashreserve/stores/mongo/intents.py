"""Intents: the notes inside a product of stock movements not yet finished, and how every movement ends.

An intent stands in the product's document from the first step of a movement, which takes or announces units, to the
last, which settles. `f` is the movement's id; `owner` a token of whoever may settle it, fresh for each flush and each
takeover, never a process's id: a process that comes back must not be taken for itself.

    reserve  {f, owner, at, kind, items: [{id, user_id, quantity}]}
    release  {f, owner, at, kind, mode: sweep | cancel, ids, cutoff}
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, Literal, Protocol

import msgspec

from flashreserve.core.model import Product
from flashreserve.stores.mongo.database import Database, Document, Fields, Query, Update
from flashreserve.stores.mongo.documents import PRODUCT_FIELDS, product_from
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

Mode = Literal["sweep", "cancel"]

RESERVE_INTENTS_MAX: Final = 500
"""A product with so many open intents takes no reserve: nobody seems to recover."""
RELEASE_INTENTS_MAX: Final = 1_000
"""The same for a release; more, because recovering a basket needs some of its own."""

INTENT_FIELDS: Final[Fields] = {"adjustments": 0, "intents.items": 0, "intents.ids": 0}
"""A product with its intents' ids and owners, without what they list."""

_SENDINGS_MAX: Final = 3
_BACKGROUND_MAX: Final = 32


class Ids(Protocol):
    """Makes ids that nobody else makes."""

    def new(self) -> str:
        """A new id; later ones of this maker sort after earlier ones."""
        ...


class Sightings(msgspec.Struct):
    """The products that a flush came across, each as it last saw it."""

    products: dict[str, Product] = {}

    def add(self, documents: Iterable[Document]) -> None:
        """Take in product documents, newer than all before."""
        for document in documents:
            self.products[document["_id"]] = product_from(document)


class Movement(msgspec.Struct, frozen=True):
    """A movement's id, and the token of its owner."""

    f: str
    owner: str


class Settlement(msgspec.Struct, frozen=True):
    """The end of a movement on one product: so many units go back to `available`."""

    product_id: str
    movement: Movement
    units: int


def opening(
    product_id: str, guard: Query, intents_max: int, intent: Document, taken: int, f: str
) -> tuple[Query, Update]:
    """The first step of a movement on a product: under `guard`, take the units and leave the intent.

    It is sent once. Should a late copy arrive after the movement is over, nothing keeps it out ("no intent f" holds
    again): it then takes units that recover gives back.
    """
    query = {"_id": product_id, **guard, "intents.f": {"$ne": f}, f"intents.{intents_max - 1}": {"$exists": False}}
    return query, {"$inc": {"available": -taken, "moves": 1}, "$push": {"intents": intent}}


def _closing(settlement: Settlement) -> tuple[Query, Update]:
    mine = {"f": settlement.movement.f, "owner": settlement.movement.owner}
    return (
        {"_id": settlement.product_id, "intents": {"$elemMatch": mine}},
        {"$inc": {"available": settlement.units, "moves": 1}, "$pull": {"intents": mine}},
    )


async def open_all(
    database: Database, openings: Sequence[tuple[str, Movement, tuple[Query, Update]]], seen: Sightings
) -> set[tuple[str, str]]:
    """Send first steps, each once; those (product, f) of which it is certain that they took.

    One goes as a single command whose answer tells; several as one unordered bulk, and a read of which took. Where the
    reply is lost, a read tells as well: what isn't there then is abandoned, and whatever still arrives of it will be
    undone by recover.
    """
    try:
        if len(openings) == 1:
            ((product_id, movement, (query, update)),) = openings
            found = await database.find_one_and_update("products", query, update, fields=PRODUCT_FIELDS)
            if found is None:
                return set()
            seen.add([found])
            return {(product_id, movement.f)}
        await database.bulk_update("products", [step for _, _, step in openings])
    except StoreUnavailableError:
        return set()
    except StoreOutcomeUnknownError:
        pass
    return await _read_which_opened(database, openings, seen)


async def _read_which_opened(
    database: Database, openings: Sequence[tuple[str, Movement, tuple[Query, Update]]], seen: Sightings
) -> set[tuple[str, str]]:
    product_ids = list({product_id for product_id, _, _ in openings})
    try:
        found = await database.find("products", {"_id": {"$in": product_ids}}, fields=INTENT_FIELDS)
    except StoreUnavailableError:
        return set()
    seen.add(found)
    there = {(document["_id"], intent["f"], intent["owner"]) for document in found for intent in document["intents"]}
    return {
        (product_id, movement.f)
        for product_id, movement, _ in openings
        if (product_id, movement.f, movement.owner) in there
    }


async def settle(database: Database, settlements: Sequence[Settlement], seen: Sightings) -> None:
    """R4 and L4: end movements, guarded by id and owner, so that each ends once.

    It may be sent again, since only the first to arrive finds the intent. What can't be settled is left to recover.
    """
    if not settlements:
        return
    for _ in range(_SENDINGS_MAX):
        try:
            if len(settlements) == 1:
                query, update = _closing(settlements[0])
                found = await database.find_one_and_update("products", query, update, fields=PRODUCT_FIELDS)
                seen.add([found] if found is not None else [])
            else:
                await database.bulk_update("products", [_closing(settlement) for settlement in settlements])
                product_ids = list({settlement.product_id for settlement in settlements})
                seen.add(await database.find("products", {"_id": {"$in": product_ids}}, fields=PRODUCT_FIELDS))
        except (StoreUnavailableError, StoreOutcomeUnknownError):
            continue
        return


class LateSettling:
    """Settles after the answer what gives no units back: nobody has to wait for that.

    At most `_BACKGROUND_MAX` settlements run so; past that the caller waits for its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running: set[asyncio.Task[None]] = set()

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Start settling, or settle at once where too much runs already."""
        if len(self._running) >= _BACKGROUND_MAX:
            await settle(self._database, settlements, Sightings())
            return
        task = asyncio.create_task(settle(self._database, settlements, Sightings()), name="settle")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def finish(self) -> None:
        """Wait for what was started."""
        await asyncio.gather(*self._running, return_exceptions=True)
