"""The store's calls, and the parts of a call. Each part touches one document at most.

The parts of a call are carried out at different instants, perhaps in any order, and with parts of other calls between.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product
from typing import Any, Final

import msgspec
from tests.modelcheck.store_seam import UNIQUE_INDEXES
from tests.modelcheck.stored_documents import Document
from tests.simulation.mongo.matcher import matches
from tests.simulation.mongo.server import _indexed, aggregated, arrange, candidates, project
from tests.simulation.mongo.updater import updated
from typing_extensions import override

from flashreserve.stores.mongo.database import Fields, Index, Order, Query, Update

FAR: Final = 10**9
"""An instant after all others; also a number of units that is greater than any stock."""

Canonical = Callable[[str, Document], Document]
"""A function that makes a document of a collection canonical."""


class Part(msgspec.Struct, frozen=True):
    """The part of a call that concerns one document."""

    collection: str

    def carry_out(self, documents: Mapping[str, Document], canonical: Canonical) -> tuple[Document | None, Any]:
        """The canonical document that is written, if any, and the result. `documents` are the collection's."""
        raise NotImplementedError


class InsertPart(Part, frozen=True):
    """Insert a document. The result is False if a unique index refuses it."""

    document: Document

    @override
    def carry_out(self, documents: Mapping[str, Document], canonical: Canonical) -> tuple[Document | None, Any]:
        if self.document["_id"] in documents or _is_refused(self.collection, documents, self.document):
            return None, False
        return canonical(self.collection, self.document), True


class UpdatePart(Part, frozen=True):
    """Change the first document that matches. The result is the changed document, or None."""

    query: Query
    update: Update
    fields: Fields | None
    shows_available: bool

    @override
    def carry_out(self, documents: Mapping[str, Document], canonical: Canonical) -> tuple[Document | None, Any]:
        for document in _in_order(documents, self.query):
            if matches(document, self.query):
                after = canonical(self.collection, updated(document, self.query, self.update))
                shown = project(after, self.fields) if self.fields else after
                if self.collection == "products" and self.fields is not None and "available" in shown:
                    shown = shown if self.shows_available else {**shown, "available": FAR}
                return after, shown
        return None, None


class FindPart(Part, frozen=True):
    """Find the documents that match."""

    query: Query
    fields: Fields | None
    order: Order | None
    most: int

    @override
    def carry_out(self, documents: Mapping[str, Document], canonical: Canonical) -> tuple[Document | None, Any]:
        found = [document for document in _in_order(documents, self.query) if matches(document, self.query)]
        return None, arrange(found, self.fields, self.order, self.most)


class ScanPart(Part, frozen=True):
    """The part of a scan that reads one document."""

    id: str

    @override
    def carry_out(self, documents: Mapping[str, Document], canonical: Canonical) -> tuple[Document | None, Any]:
        return None, [documents[self.id]] if self.id in documents else []


class CallRules(msgspec.Struct, frozen=True):
    """The division of calls into parts, and the content of their replies."""

    scanned: Mapping[str, Sequence[str]] = {}
    """By collection, the ids that a call without ids may find."""
    torn_reads: bool = False
    """Whether each document named in a read is read at an instant of its own."""
    shows_available: bool = False
    """Whether the reply with a changed product has `available`. It only goes to the cache, and plans have guards."""

    def update(self, collection: str, query: Query, update: Update, fields: Fields | None) -> UpdatePart:
        """A part that changes a document."""
        return UpdatePart(collection, query, update, fields, self.shows_available)


class Call(msgspec.Struct, frozen=True):
    """A call to the database."""

    @property
    def writes(self) -> bool:
        """Whether it writes. The reply to a write can be lost."""
        return False

    @property
    def retried_by_driver(self) -> bool:
        """Whether the driver may send it again by itself, if the driver's retries are on."""
        return False

    @property
    def current(self) -> bool:
        """Whether it sees all writes that were acknowledged before, even right after an election."""
        return True

    def parts(self, rules: CallRules) -> Sequence[Part]:
        """The parts of the call."""
        raise NotImplementedError

    def reply(self, results: Sequence[Any]) -> Any:
        """The reply, made of the results of its parts."""
        raise NotImplementedError


class FindCall(Call, frozen=True):
    """`Database.find`. With torn reads, each named document is read at an instant of its own."""

    collection: str
    query: Query
    fields: Fields | None
    order: Order | None
    most: int
    is_current: bool

    @property
    @override
    def current(self) -> bool:
        return self.is_current

    @override
    def parts(self, rules: CallRules) -> Sequence[Part]:
        ids = _ids_in(self.query)
        if rules.torn_reads and ids is not None and len(ids) > 1 and not self.most:
            return [FindPart(self.collection, {**self.query, "_id": id_}, self.fields, None, 0) for id_ in ids]
        return [FindPart(self.collection, self.query, self.fields, self.order, self.most)]

    @override
    def reply(self, results: Sequence[Any]) -> Any:
        if len(results) == 1:
            return results[0]
        return arrange([document for found in results for document in found], None, self.order, self.most)


class AggregateCall(Call, frozen=True):
    """`Database.aggregate`, which reads each document at an instant of its own."""

    collection: str
    pipeline: Sequence[Mapping[str, Any]]

    @property
    @override
    def current(self) -> bool:
        return False

    @override
    def parts(self, rules: CallRules) -> Sequence[Part]:
        return [ScanPart(self.collection, id_) for id_ in rules.scanned[self.collection]]

    @override
    def reply(self, results: Sequence[Any]) -> Any:
        return aggregated([document for found in results for document in found], self.pipeline)


class InsertCall(Call, frozen=True):
    """`Database.insert_many`."""

    collection: str
    documents: Sequence[Document]

    @property
    @override
    def writes(self) -> bool:
        return True

    @property
    @override
    def retried_by_driver(self) -> bool:
        return True

    @override
    def parts(self, rules: CallRules) -> Sequence[Part]:
        return [InsertPart(self.collection, document) for document in self.documents]

    @override
    def reply(self, results: Sequence[Any]) -> Any:
        return [place for place, inserted in enumerate(results) if not inserted]


class UpdateOneCall(Call, frozen=True):
    """`Database.find_one_and_update`."""

    collection: str
    query: Query
    update: Update
    fields: Fields | None

    @property
    @override
    def writes(self) -> bool:
        return True

    @property
    @override
    def retried_by_driver(self) -> bool:
        return True

    @override
    def parts(self, rules: CallRules) -> Sequence[Part]:
        return [rules.update(self.collection, self.query, self.update, self.fields)]

    @override
    def reply(self, results: Sequence[Any]) -> Any:
        return results[0]


class UpdateManyCall(Call, frozen=True):
    """`Database.update_many`. The driver never sends it again."""

    collection: str
    query: Query
    update: Update

    @property
    @override
    def writes(self) -> bool:
        return True

    @override
    def parts(self, rules: CallRules) -> Sequence[Part]:
        ids = _ids_in(self.query)
        named = rules.scanned.get(self.collection, []) if ids is None else ids
        return [rules.update(self.collection, {**self.query, "_id": id_}, self.update, {"_id": 1}) for id_ in named]

    @override
    def reply(self, results: Sequence[Any]) -> Any:
        return None


class BulkCall(Call, frozen=True):
    """`Database.bulk_update`."""

    collection: str
    updates: Sequence[tuple[Query, Update]]

    @property
    @override
    def writes(self) -> bool:
        return True

    @property
    @override
    def retried_by_driver(self) -> bool:
        return True

    @override
    def parts(self, rules: CallRules) -> Sequence[Part]:
        return [rules.update(self.collection, query, update, {"_id": 1}) for query, update in self.updates]

    @override
    def reply(self, results: Sequence[Any]) -> Any:
        return None


class ClockCall(Call, frozen=True):
    """Reading the clock. Its reply doesn't come from the database."""


class TimerCall(Call, frozen=True):
    """A timer, which may fire at any time. Its reply doesn't come from the database either."""


def tidy(query: Query) -> Query:
    """The query with its ids sorted, each once."""
    named = query.get("_id")
    if isinstance(named, dict) and "$in" in named:
        return {**query, "_id": {**named, "$in": sorted(set(named["$in"]))}}
    return query


def _ids_in(query: Query) -> list[str] | None:
    """The ids in a query; None if it has none."""
    named = query.get("_id")
    if isinstance(named, str):
        return [named]
    if isinstance(named, dict) and set(named) == {"$in"}:
        return sorted(set(named["$in"]))
    return None


def _in_order(documents: Mapping[str, Document], query: Query) -> Collection[Document]:
    """The documents that may match, in the order of their ids."""
    return list(candidates({id_: documents[id_] for id_ in sorted(documents)}, query))


def _is_refused(collection: str, documents: Mapping[str, Document], new: Document) -> bool:
    """Whether a unique index already has an entry of the new document."""
    for index in UNIQUE_INDEXES:
        if index.collection == collection and (entries := _entries(index, new)):
            for id_, other in documents.items():
                if id_ != new["_id"] and _entries(index, other) & entries:
                    return True
    return False


def _entries(index: Index, document: Document) -> set[tuple[Any, ...]]:
    if index.where is not None and not matches(document, index.where):
        return set()
    return set(product(*[_indexed(document, path) for path, _ in index.keys]))
