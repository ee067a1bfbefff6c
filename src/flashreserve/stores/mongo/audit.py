"""The audit of rule 1, which is exact at every instant, even while movements are unfinished.

available = stocked - Σ units of live reservations
            - Σ units in items of reserve intents whose reservation isn't there (not yet, or never)
            - Σ units of reservations that the movement of an open release intent has released
            - Σ units that the movement of an open return intent has entered in reservations

The units of a reservation are those that weren't returned.

Reservations are read in pages by id. The sum for a product is valid if the product had the same stock and intents
before and after (the same `moves`) and no open intent: then none of its reservations became live, or stopped being
live, meanwhile. Other products are summed again, one by one.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from flashreserve.core.audits import Audit, Difference, SetAside
from flashreserve.core.model import LIVE, Reservation
from flashreserve.expectations import why_not
from flashreserve.stores.mongo.database import Collection, Database, Document, Fields
from flashreserve.stores.mongo.documents import VISIBLE, VOID, id_of, product_from, reservation_from
from flashreserve.stores.mongo.return_movement import units_returned
from flashreserve.stores.port import Progress
from flashreserve.stores.unreadable import NAMED_MAX, UnreadableError

PAGE: Final = 5_000
"""Documents in one page."""

LOOKS_MAX: Final = 20
"""How often a product is summed again when it changed meanwhile."""

_UNSUMMED: Final[Fields] = {"claims": 0, "open": 0, "hour": 0, "key": 0, "taken_by": 0}


class _Item(msgspec.Struct):
    id: str
    quantity: int


class _Intent(msgspec.Struct):
    f: str
    kind: Literal["reserve", "release", "return"]
    items: list[_Item] = []


class _Books(msgspec.Struct):
    """A product's stock, and the movements open on it."""

    id: str
    stocked: int
    available: int
    moves: int
    intents: list[_Intent]


class _Sum(msgspec.Struct):
    """Units of one product, live or given back by open movements, and the id of a live reservation."""

    live: int = 0
    given_back: int = 0
    example: str = ""


class _Audit:
    """One audit under way."""

    def __init__(self, database: Database, progress: Progress | None) -> None:
        self._database = database
        self._progress = progress
        self._reservations = 0
        self._unreadable: set[tuple[str, str]] = set()
        self._named: list[SetAside] = []

    async def run(self) -> Audit:
        before = await self._books()
        await self._leave_out_strange_ids("reservations", "reservation")
        await self._leave_out_strange_ids("products", "product")
        sums = await self._sums({}, frozenset(), counted=True)
        after = await self._books()
        for product_id in sums.keys() - before.keys() - after.keys():
            if sums[product_id].live:
                self._leave_out("reservation", sums[product_id].example, f"its product {product_id} isn't there")
        differences: list[Difference] = []
        complete = True
        for id_, product in before.items():
            still = after.get(id_, product).moves == product.moves and not product.intents
            if still and _difference(product, sums.get(id_, _Sum()), 0) is None:
                continue
            found, seen_still = await self._look(id_)
            complete = complete and seen_still
            differences += [found] if found is not None else []
        return Audit(
            len(before), self._reservations, differences, complete, len(self._unreadable), self._named[:NAMED_MAX]
        )

    async def _look(self, product_id: str) -> tuple[Difference | None, bool]:
        """The product's difference, if any, and whether a consistent sum of it was possible.

        A sum is consistent if no movement began or ended on the product meanwhile, and no reservation of an open
        movement appeared. Other changes don't alter the sum: confirming keeps units live, and releasing or returning
        under an open intent moves units from live to given back.

        All reads are current. After an election, other reads may show the product and its reservations at different
        instants.
        """
        for _ in range(LOOKS_MAX):
            product = await self._books_of(product_id)
            if product is None:
                return None, True
            missing = await self._missing(product)
            movements = frozenset(intent.f for intent in product.intents if intent.kind != "reserve")
            sums = await self._sums({"product": product_id}, movements, current=True)
            again = await self._books_of(product_id)
            if again is not None and again.moves == product.moves and await self._missing(product) == missing:
                return _difference(product, sums.get(product_id, _Sum()), missing), True
        return None, False

    async def _books_of(self, product_id: str) -> _Books | None:
        found: dict[str, _Books] = {}
        query = {"_id": product_id}
        self._enter(await self._database.find("products", query, fields={"adjustments": 0}, current=True), found)
        return found.get(product_id)

    async def _books(self) -> dict[str, _Books]:
        found: dict[str, _Books] = {}
        async for documents in _pages(self._database, "products", VISIBLE, {"adjustments": 0}):
            self._enter(documents, found)
        return found

    def _enter(self, documents: Iterable[Document], found: dict[str, _Books]) -> None:
        for document in documents:
            try:
                product_from(document)
                found[document["_id"]] = _books_from(document)
            except UnreadableError as error:
                self._leave_out("product", id_of(document), str(error))

    async def _missing(self, product: _Books) -> int:
        """Units taken for reservations that don't exist yet, or never will."""
        reserves = [intent for intent in product.intents if intent.kind == "reserve"]
        ids = [item.id for intent in reserves for item in intent.items]
        if not ids:
            return 0
        query = {"_id": {"$in": ids}, "status": {"$ne": VOID}}
        found = await self._database.find("reservations", query, fields={"taken_by": 1}, current=True)
        there = {(document["_id"], document.get("taken_by")) for document in found}
        return sum(item.quantity for intent in reserves for item in intent.items if (item.id, intent.f) not in there)

    async def _sums(
        self, which: Mapping[str, Any], movements: frozenset[str], *, counted: bool = False, current: bool = False
    ) -> dict[str, _Sum]:
        """The sums, by product. `movements` are the open ones. No reservation is read twice: ids never change."""
        sums: dict[str, _Sum] = {}
        query = {**which, "status": {"$ne": VOID}}
        async for documents in _pages(self._database, "reservations", query, _UNSUMMED, current=current):
            for document in documents:
                try:
                    held = reservation_from(document)
                    _require_sound_returns(held, document)
                    _add(sums, held, document, movements)
                except UnreadableError as error:
                    self._leave_out("reservation", id_of(document), str(error))
            if counted:
                self._reservations += len(documents)
                if self._progress is not None:
                    self._progress(self._reservations)
        return sums

    async def _leave_out_strange_ids(self, collection: Collection, kind: str) -> None:
        """Note documents whose id isn't a text. Pages miss them: MongoDB doesn't compare ids of different types."""
        query = {"_id": {"$not": {"$type": "string"}}}
        for document in await self._database.find(collection, query, fields={"_id": 1}, most=NAMED_MAX):
            self._leave_out(kind, id_of(document), "expected a text as its id")

    def _leave_out(self, kind: str, id_: str, why: str) -> None:
        if (kind, id_) not in self._unreadable and len(self._named) < NAMED_MAX:
            self._named.append(SetAside(kind, id_, why))
        self._unreadable.add((kind, id_))


async def audit(database: Database, progress: Progress | None = None) -> Audit:
    """Audit all products. They are summed at once; those that changed meanwhile, or look wrong, again one by one."""
    return await _Audit(database, progress).run()


async def _pages(
    database: Database, collection: Collection, query: Mapping[str, Any], fields: Fields, *, current: bool = False
) -> AsyncIterator[Sequence[Document]]:
    """All documents that match and have a text as id, in the order of their ids."""
    after = ""
    while page := await database.find(
        collection, {"_id": {"$gt": after}, **query}, fields=fields, order=[("_id", 1)], most=PAGE, current=current
    ):
        yield page
        after = page[-1]["_id"]


def _require_sound_returns(held: Reservation, document: Document) -> None:
    """Refuse a reservation whose lines and returns contradict each other.

    Raises:
        UnreadableError: what is wrong.
    """
    if not held.returns:
        for line in held.lines:
            if line.returned:
                raise UnreadableError("lines: expected no units returned, because there are no returns")
        return
    unexplained = {line.product_id: line.returned for line in held.lines}
    for entry in held.returns:
        for each in entry.lines:
            unexplained[each.product_id] = unexplained.get(each.product_id, 0) - each.quantity
    if any(unexplained.values()) or not all(0 <= line.returned <= line.quantity for line in held.lines):
        raise UnreadableError("lines: expected as many units returned as its returns have, and as were bought at most")
    if not all(isinstance(entry.get("f"), str) for entry in document["returns"]):
        raise UnreadableError("returns: expected a movement, f, in each entry")


def _add(sums: dict[str, _Sum], held: Reservation, document: Document, movements: frozenset[str]) -> None:
    live = held.status in LIVE
    is_moving = document.get("released_by") in movements
    for line in held.lines:
        total = sums.get(line.product_id)
        if total is None:
            total = sums[line.product_id] = _Sum()
        if live:
            total.live += line.left
            total.example = total.example or held.id
        elif is_moving:
            total.given_back += line.left
        for f in movements if held.returns else ():
            total.given_back += units_returned(document, f, line.product_id)


def _books_from(document: Document) -> _Books:
    """The books in a product's document.

    Raises:
        UnreadableError: the document is invalid.
    """
    named = {**document, "id": document["_id"]}
    try:
        return msgspec.convert(named, _Books, strict=False)
    except msgspec.ValidationError as error:
        raise UnreadableError(why_not(named, _Books, strict=False)) from error


def _difference(product: _Books, total: _Sum, missing: int) -> Difference | None:
    """The difference in the product's books; None if they are right."""
    moving = missing + total.given_back
    is_possible = 0 <= product.available <= product.stocked
    if is_possible and product.available == product.stocked - total.live - moving:
        return None
    return Difference(product.id, product.stocked, product.available, total.live, moving)
