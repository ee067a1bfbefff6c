"""Intents: the notes inside a product of stock movements not yet finished, and how every movement ends.

An intent stands in the product's document from the first step of a movement, which takes or announces units, to the
last, which settles. `f` is the movement's id; `owner` a token of whoever may settle it, fresh for each flush and each
takeover, never a process's id: a process that comes back must not be taken for itself.

    reserve  {f, owner, at, kind, items: [{id, user_id, quantity}]}
    release  {f, owner, at, kind, mode: sweep | cancel, ids, cutoff}
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, Protocol

import msgspec

from flashreserve.core.model import Product
from flashreserve.stores.mongo.chunks import parts
from flashreserve.stores.mongo.database import Database, Document, Fields, Query, Update
from flashreserve.stores.mongo.documents import PRODUCT_FIELDS, product_from
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

Mode = Literal["sweep", "cancel"]

RESERVE_INTENTS_MAX: Final = 500
"""A product with so many open intents takes no reserve: nobody seems to recover."""

INTENT_FIELDS: Final[Fields] = {"adjustments": 0, "intents.items": 0, "intents.ids": 0}
"""A product with its intents' ids and owners, without what they list."""

_SENDINGS_MAX: Final = 3
_BACKGROUND_MAX: Final = 32
_RIDE_S: Final = 0.05
"""How long a settlement waits for an R1 to ride on."""


class IdSource(Protocol):
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


Opening = tuple[str, Movement, tuple[Query, Update]]
"""A first step: of a product, of a movement, and what to send."""


class Opened(msgspec.Struct):
    """First steps, by (product, f): those that certainly took, and those that may still be carried out.

    The others were refused, and never will be.
    """

    took: set[tuple[str, str]] = set()
    in_flight: set[tuple[str, str]] = set()


def opening(
    product_id: str, guard: Query, intents_max: int | None, intent: Document, taken: int, f: str
) -> tuple[Query, Update]:
    """The first step of a movement on a product: under `guard`, take the units and leave the intent.

    With `intents_max`, only where fewer intents are open. It is sent once: should a late copy arrive after the movement
    is over, nothing keeps it out ("no intent f" holds again). It then takes units that recovery gives back.
    """
    query = {"_id": product_id, **guard, "intents.f": {"$ne": f}}
    if intents_max is not None:
        query[f"intents.{intents_max - 1}"] = {"$exists": False}
    return query, {"$inc": {"available": -taken, "moves": 1}, "$push": {"intents": intent}}


def opening_with(step: tuple[Query, Update], settled: Movement) -> tuple[Query, Update]:
    """R1 with the R4 of an earlier movement riding on it, one that gives nothing back.

    One write does both: where the new intent is, the old one has gone. That it may have gone before is no part of the
    guard. Update operators can't put in and take out of one array at once, so this is a pipeline.
    """
    query, operators = step
    if not isinstance(operators, Mapping):
        raise TypeError("expected a step of update operators")
    is_it = {"$and": [{"$eq": ["$$this.f", settled.f]}, {"$eq": ["$$this.owner", settled.owner]}]}
    others = {"$filter": {"input": "$intents", "cond": {"$not": [is_it]}}}
    change: Document = {field: {"$add": [f"${field}", by]} for field, by in operators["$inc"].items()}
    change["intents"] = {"$concatArrays": [others, [{"$literal": operators["$push"]["intents"]}]]}
    return query, [{"$set": change}]


def _closing(settlement: Settlement) -> tuple[Query, Update]:
    mine = {"f": settlement.movement.f, "owner": settlement.movement.owner}
    return (
        {"_id": settlement.product_id, "intents": {"$elemMatch": mine}},
        {"$inc": {"available": settlement.units, "moves": 1}, "$pull": {"intents": mine}},
    )


async def open_all(database: Database, openings: Sequence[Opening], seen: Sightings) -> Opened:
    """Send first steps, each once.

    One goes as a single command whose answer tells; several as one unordered bulk, and a read of which took. Where the
    reply is lost, a read tells as well: a step that isn't there then is abandoned, and recovery finishes or undoes it
    if it still arrives.
    """
    if len(openings) == 1:
        return await _open_one(database, openings[0], seen)
    sent = await asyncio.gather(*[_open_part(database, part) for part in parts(openings)])
    return await _read_which_opened(database, [each for part in sent for each in part], seen)


async def _open_one(database: Database, sent: Opening, seen: Sightings) -> Opened:
    product_id, movement, step = sent
    try:
        found = await database.find_one_and_update("products", *step, fields=PRODUCT_FIELDS)
    except StoreUnavailableError:
        return Opened()
    except StoreOutcomeUnknownError:
        return await _read_which_opened(database, [sent], seen)
    if found is None:
        return Opened()
    seen.add([found])
    return Opened(took={(product_id, movement.f)})


async def _open_part(database: Database, openings: Sequence[Opening]) -> Sequence[Opening]:
    """Send the steps; those of which it is not certain that they were never sent."""
    try:
        await database.bulk_update("products", [step for _, _, step in openings])
    except StoreUnavailableError:
        return []
    except StoreOutcomeUnknownError:
        return openings
    return openings


async def _read_which_opened(database: Database, sent: Sequence[Opening], seen: Sightings) -> Opened:
    """Read which steps took. The others count as in flight: the reply may be lost, and this read may be stale."""
    if not sent:
        return Opened()
    product_ids = list({product_id for product_id, _, _ in sent})
    keys = {(product_id, movement.f) for product_id, movement, _ in sent}
    try:
        found = await database.find("products", {"_id": {"$in": product_ids}}, fields=INTENT_FIELDS)
    except StoreUnavailableError:
        return Opened(in_flight=keys)
    seen.add(found)
    there = {(document["_id"], intent["f"], intent["owner"]) for document in found for intent in document["intents"]}
    took = {
        (product_id, movement.f)
        for product_id, movement, _ in sent
        if (product_id, movement.f, movement.owner) in there
    }
    return Opened(took=took, in_flight=keys - took)


async def settle(database: Database, settlements: Sequence[Settlement], seen: Sightings | None) -> None:
    """R4 and L4: end movements, guarded by id and owner, so that each ends once.

    It may be sent again, since only the first to arrive finds the intent. What can't be settled is left to recover.
    """
    for _ in range(_SENDINGS_MAX if settlements else 0):
        try:
            await _settle_once(database, settlements, seen)
        except StoreOutcomeUnknownError:
            continue
        except StoreUnavailableError:
            return  # The database is away: it would only be waited for again and again.
        return


async def _settle_once(database: Database, settlements: Sequence[Settlement], seen: Sightings | None) -> None:
    """One command, by what it has to do; then a look at the products, where `seen` wants to know them."""
    first, *more = settlements
    product_ids = list({settlement.product_id for settlement in settlements})
    if not more:
        found = await database.find_one_and_update("products", *_closing(first), fields=PRODUCT_FIELDS)
        if seen is not None and found is not None:
            seen.add([found])
        return
    if all((each.movement, each.units) == (first.movement, first.units) for each in more):
        query, update = _closing(first)
        await database.update_many("products", {**query, "_id": {"$in": product_ids}}, update)
    else:
        await database.bulk_update("products", [_closing(settlement) for settlement in settlements])
    if seen is not None:
        seen.add(await database.find("products", {"_id": {"$in": product_ids}}, fields=PRODUCT_FIELDS))


class LateSettling:
    """Settles after the answer what gives no units back: nobody has to wait for that.

    The settlement of one product waits a moment for the product's next R1, to ride on it. At most `_BACKGROUND_MAX`
    settlements wait, and as many run; past that the caller waits for its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, Settlement] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Let the settlement wait, or start settling, or settle at once where too much runs already."""
        if len(settlements) == 1 and len(self._waiting) < _BACKGROUND_MAX:
            (waiting,) = settlements
            settlements = [earlier] if (earlier := self.take(waiting.product_id)) is not None else []
            self._waiting[waiting.product_id] = waiting
            self._timer = self._timer or asyncio.get_running_loop().call_later(_RIDE_S, self._start_waiting)
        if len(self._running) >= _BACKGROUND_MAX:
            await settle(self._database, settlements, None)
        elif settlements:
            self._start(settlements)

    def take(self, product_id: str) -> Settlement | None:
        """The product's settlement that waits, if any, to ride on an R1; it comes back by `settle` if that fails."""
        return self._waiting.pop(product_id, None)

    def _start(self, settlements: Sequence[Settlement]) -> None:
        task = asyncio.create_task(settle(self._database, settlements, None), name="settle")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _start_waiting(self) -> None:
        self._timer = None
        while self._waiting:
            self._start([self._waiting.popitem()[1]])

    async def finish(self) -> None:
        """Settle what waits, and wait for what was started."""
        if self._timer is not None:
            self._timer.cancel()
        self._start_waiting()
        await asyncio.gather(*self._running, return_exceptions=True)
