"""The invariants: in every state, the books balance, limits hold, and all answers are true."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from tests.modelcheck.promises import CodePromise, StoredBooks
from tests.modelcheck.stored_documents import Document

_LIVE = ("PENDING", "CONFIRMED")


def wrong_books(books: StoredBooks) -> str | None:
    """The first fault in stock or limits; None if there is none."""
    return next(_wrong(books), None)


def broken_promise(books: StoredBooks, promises: Iterable[CodePromise]) -> str | None:
    """A broken promise; None if all are kept."""
    return next((found for promise in promises if (found := promise.broken(books)) is not None), None)


def _wrong(books: StoredBooks) -> Iterator[str]:
    for id_, product in books.products.items():
        yield from _of_stock(id_, product, books.reservations)
        yield from _of_limit(id_, product, books.reservations)


def _of_stock(id_: str, product: Document, reservations: Mapping[str, Document]) -> Iterator[str]:
    """Rule 1, exact at every instant: available = stocked - live units - units of open movements. And no oversell."""
    live = sum(_units(document, id_) for document in reservations.values() if document["status"] in _LIVE)
    moving = _units_on_their_way(id_, product, reservations)
    available, stocked = product["available"], product["stocked"]
    for document in reservations.values():
        yield from _of_returns(id_, document)
    right = stocked - live - moving
    if available < 0:
        yield f"available below 0 on {id_}"
    if live > stocked:
        yield f"OVERSELL on {id_}: live {live} > stocked {stocked}"
    if available != right:
        kind = "LEAK" if available < right else "OVERCREDIT"
        yield f"{kind} on {id_}: available {available}, stocked {stocked}, live {live}, moving {moving}"


def _units_on_their_way(id_: str, product: Document, reservations: Mapping[str, Document]) -> int:
    """The units that open movements still have to give back."""
    giving_back = {intent["f"] for intent in product["intents"] if intent["kind"] != "reserve"}
    units = sum(
        _units(document, id_)
        for document in reservations.values()
        if document["status"] not in {*_LIVE, "VOID"} and document.get("released_by") in giving_back
    )
    units += sum(
        _returned(entry, id_)
        for document in reservations.values()
        for entry in document.get("returns", ())
        if entry["f"] in giving_back
    )
    for intent in product["intents"]:
        for item in intent.get("items", ()):
            document = reservations.get(item["id"])
            if document is None or document["status"] == "VOID" or document["taken_by"] != intent["f"]:
                units += item["quantity"]
    return units


def _of_limit(id_: str, product: Document, reservations: Mapping[str, Document]) -> Iterator[str]:
    """No customer has more live units than the limit, and each of these units has a claim."""
    limit = product["per_customer_limit"]
    if limit is None:
        return
    held: Counter[str] = Counter()
    for document in reservations.values():
        if document["status"] in _LIVE:
            units = _units(document, id_)
            claims = sum(claim.startswith("limit:") and f":{id_}:" in claim for claim in document["claims"])
            if units != claims:
                yield f"limit {limit} on {id_}, but {document['_id']} has {units} units and {claims} claims"
            held[document["user_id"]] += units
    if any(units > limit for units in held.values()):
        yield f"limit of {limit} exceeded on {id_}"


def _of_returns(id_: str, document: Document) -> Iterator[str]:
    """No more is returned than was reserved, and the lines say how much."""
    entries = sum(_returned(entry, id_) for entry in document.get("returns", ()))
    lines = sum(line["returned"] for line in document.get("lines", ()) if line["product_id"] == id_)
    if entries != lines or _units(document, id_) < 0:
        yield f"OVERRETURN of {document['_id']}: {entries} units of {id_} in its returns, {lines} in its lines"


def _returned(entry: Document, product: str) -> int:
    return sum(line["quantity"] for line in entry["lines"] if line["product_id"] == product)


def _units(document: Document, product: str) -> int:
    """The units of the product that weren't returned."""
    lines = (line for line in document.get("lines", ()) if line["product_id"] == product)
    granted: int = sum(line["quantity"] for line in lines)
    return granted - sum(_returned(entry, product) for entry in document.get("returns", ()))
