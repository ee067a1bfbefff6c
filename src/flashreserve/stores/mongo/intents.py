"""Intents: the records inside a product of unfinished stock movements; and settling, the end of every movement.

An intent is in the product's document from the first step of a movement, which takes or announces units, to the last
step, which settles. `f` is the movement's id. `owner` is the token of the flush or recovery that may settle it, fresh
for each of them. It isn't a process's id, because a process that was paused must not settle after a takeover.

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
"""A product with this many open intents refuses reserves: so many show that no process runs the recovery."""

INTENT_FIELDS: Final[Fields] = {"adjustments": 0, "trail": 0, "intents.items": 0, "intents.ids": 0}
"""A product with its intents' ids and owners, without their items and ids of reservations."""

_SENDINGS_MAX: Final = 3
_BACKGROUND_MAX: Final = 32
_RIDE_S: Final = 0.05
"""How long a settlement waits for an R1 with which it can be sent in one write."""


class IdSource(Protocol):
    """Makes ids that no other source makes."""

    def new(self) -> str:
        """A new id. It sorts after all earlier ones of this source."""
        ...


class Sightings(msgspec.Struct):
    """The products that a flush read, each as it last read it."""

    products: dict[str, Product] = {}

    def add(self, documents: Iterable[Document]) -> None:
        """Add product documents, which are newer than all earlier ones."""
        for document in documents:
            self.products[document["_id"]] = product_from(document)


class Movement(msgspec.Struct, frozen=True):
    """A movement's id, and the token of its owner."""

    f: str
    owner: str


class Settlement(msgspec.Struct, frozen=True):
    """The end of a movement on one product: `units` go back to `available`."""

    product_id: str
    movement: Movement
    units: int


Opening = tuple[str, Movement, tuple[Query, Update]]
"""A first step: the product, the movement, and the update to send."""


class Opened(msgspec.Struct):
    """First steps, by (product, f): those that were certainly carried out, and those that may still be.

    The others were refused, and will never be carried out.
    """

    took: set[tuple[str, str]] = set()
    in_flight: set[tuple[str, str]] = set()


def opening(
    product_id: str, guard: Query, intents_max: int | None, intent: Document, taken: int, f: str
) -> tuple[Query, Update]:
    """The first step of a movement on a product: under `guard`, take the units and add the intent.

    With `intents_max`, only if fewer intents are open. It is sent once, because no guard stops a copy that arrives
    after the movement ended ("no intent f" is true again). Such a copy takes units, which recovery gives back.
    """
    query = {"_id": product_id, **guard, "intents.f": {"$ne": f}}
    if intents_max is not None:
        query[f"intents.{intents_max - 1}"] = {"$exists": False}
    return query, {"$inc": {"available": -taken, "moves": 1}, "$push": {"intents": intent}}


def opening_with(step: tuple[Query, Update], settled: Movement) -> tuple[Query, Update]:
    """R1 combined with the R4 of an earlier movement that gives no units back.

    One write does both: it adds the new intent and removes the old one. The guard doesn't ask for the old one, which
    may be gone already. It is a pipeline, since update operators can't add to and remove from one array in one update.
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

    One step goes as a single command, whose reply has the result. Several go as one unordered bulk, and a read then
    shows which were carried out. The same read follows a lost reply: a step that it doesn't show is abandoned, and
    recovery finishes or undoes it if it arrives later.
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
    """Send the steps. Returns those that may have been sent."""
    try:
        await database.bulk_update("products", [step for _, _, step in openings])
    except StoreUnavailableError:
        return []
    except StoreOutcomeUnknownError:
        return openings
    return openings


async def _read_which_opened(database: Database, sent: Sequence[Opening], seen: Sightings) -> Opened:
    """Read which steps were carried out. The others count as in flight: a reply was lost, or this read is stale."""
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

    It may be sent again, since only the first copy to arrive finds the intent. Movements that can't be settled now are
    left to recovery.
    """
    for _ in range(_SENDINGS_MAX if settlements else 0):
        try:
            await _settle_once(database, settlements, seen)
        except StoreOutcomeUnknownError:
            continue
        except StoreUnavailableError:
            return  # The database is away, so a retry would only wait again.
        return


async def _settle_once(database: Database, settlements: Sequence[Settlement], seen: Sightings | None) -> None:
    """Send the settlements in one command. With `seen`, add the products as they are afterwards."""
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
    """Settles, after the answer, movements that give no units back. No request has to wait for these.

    The settlement of a single product waits a moment for the product's next R1, which can include it. At most
    `_BACKGROUND_MAX` settlements wait, and as many run. If there are more, the caller waits for its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, Settlement] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Let the settlement wait, or start it, or settle before returning if too many run already."""
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
        """Take the product's waiting settlement, if any, for an R1. If that R1 fails, pass it to `settle` again."""
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
        """Settle all waiting settlements, and wait for those that run."""
        if self._timer is not None:
            self._timer.cancel()
        self._start_waiting()
        await asyncio.gather(*self._running, return_exceptions=True)
