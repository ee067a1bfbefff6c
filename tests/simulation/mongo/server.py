"""A MongoDB server in memory, with only the operations that the store uses.

It guarantees what the store may rely on and no more: a change of one document is atomic, unique indexes hold, and a
command on several documents is carried out document by document. So such a command has parts, which the network may
carry out at different instants, or in part.

Documents are never changed in place: a new document replaces the old one. So they are returned without a copy.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, Final

from tests.simulation.mongo.expressions import MISSING, evaluate
from tests.simulation.mongo.matcher import Document, matches, values_at
from tests.simulation.mongo.updater import UpdateRefusedError, updated

from flashreserve.stores.mongo.database import Fields, Index, Order, Query, Update


class DuplicateKeyError(Exception):
    """A unique index already has the key."""


class _Unique:
    """A unique index: the id of the document by key."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._paths = [path for path, _ in index.keys]
        self._holders: dict[tuple[Any, ...], str] = {}

    def keys(self, document: Document) -> set[tuple[Any, ...]]:
        where = self.index.where
        if where is not None and not matches(document, where):
            return set()
        return set(product(*[_indexed(document, path) for path in self._paths]))

    def refuses(self, keys: Iterable[tuple[Any, ...]], id_: str) -> bool:
        return any(self._holders.get(key, id_) != id_ for key in keys)

    def move(self, before: Iterable[tuple[Any, ...]], after: Iterable[tuple[Any, ...]], id_: str) -> None:
        for key in before:
            del self._holders[key]
        for key in after:
            self._holders[key] = id_


def _indexed(document: Document, path: str) -> list[Any]:
    """The index entries for the path: each element of a list; one empty entry for no value or an empty list."""
    found: list[Any] = []
    for value in values_at(document, path) or [None]:
        found += (value or [None]) if isinstance(value, list) else [value]
    return found


class _Collection:
    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.unique: list[_Unique] = []

    def insert(self, document: Document) -> None:
        id_ = document["_id"]
        if id_ in self.documents:
            raise DuplicateKeyError
        self._enter(None, document)

    def replace(self, before: Document, after: Document) -> None:
        self._enter(before, after)

    def _enter(self, before: Document | None, after: Document) -> None:
        id_ = after["_id"]
        moves = [
            (unique, unique.keys(before) if before is not None else set(), unique.keys(after)) for unique in self.unique
        ]
        if any(unique.refuses(keys, id_) for unique, _, keys in moves):
            raise DuplicateKeyError
        for unique, old, new in moves:
            if old != new:
                unique.move(old, new, id_)
        self.documents[id_] = after

    def remove(self, document: Document) -> None:
        for unique in self.unique:
            unique.move(unique.keys(document), (), document["_id"])
        del self.documents[document["_id"]]

    def candidates(self, query: Query) -> Iterable[Document]:
        """The documents that may match; see the function of this name."""
        return candidates(self.documents, query)


def candidates(documents: Mapping[str, Document], query: Query) -> Iterable[Document]:
    """The documents that may match, in the order of an index, or of their insertion."""
    id_ = query.get("_id")
    if isinstance(id_, str):
        document = documents.get(id_)
        return [] if document is None else [document]
    if isinstance(id_, dict) and "$in" in id_:
        return [documents[each] for each in sorted(set(id_["$in"])) if each in documents]
    return list(documents.values())


Part = Callable[[], Any]


class SimulatedMongoServer:
    """The collections and their operations. Each method is carried out at one instant."""

    def __init__(self) -> None:
        self.writes = 0
        """The number of documents written so far."""
        self._collections: dict[str, _Collection] = {}
        self._view: dict[str, dict[str, Document]] | None = None
        """The older state that reads see; None if they see the present one."""

    def snapshot(self) -> dict[str, dict[str, Document]]:
        """The present documents, by collection."""
        return {name: dict(of.documents) for name, of in self._collections.items()}

    def show(self, view: dict[str, dict[str, Document]] | None) -> None:
        """Let reads see an older state, or (None) the present one."""
        self._view = view

    def _readable(self, collection: str) -> Mapping[str, Document]:
        return self._of(collection).documents if self._view is None else self._view.get(collection, {})

    def documents(self, collection: str) -> list[Document]:
        """All documents, for an observer."""
        return list(self._of(collection).documents.values())

    def _of(self, collection: str) -> _Collection:
        found = self._collections.get(collection)
        if found is None:
            found = self._collections[collection] = _Collection()
        return found

    def make_indexes(self, indexes: Sequence[Index]) -> None:
        """Make the unique indexes; the others affect only speed."""
        for index in indexes:
            of = self._of(index.collection)
            if index.unique and all(each.index.name != index.name for each in of.unique):
                unique = _Unique(index)
                of.unique.append(unique)
                for id_, document in of.documents.items():
                    unique.move((), unique.keys(document), id_)

    def find(
        self, collection: str, query: Query, fields: Fields | None, order: Order | None, most: int
    ) -> list[Document]:
        """The matching documents, read at one instant."""
        found = [each for each in candidates(self._readable(collection), query) if matches(each, query)]
        return arrange(found, fields, order, most)

    def find_in_parts(self, collection: str, query: Query) -> list[Part]:
        """Two halves of the collection, each read at its own instant."""
        among = list(candidates(self._readable(collection), query))
        early = {each["_id"] for each in among[: len(among) // 2]}

        def half(*, first: bool) -> list[Document]:
            found = candidates(self._readable(collection), query)
            return [each for each in found if (each["_id"] in early) is first and matches(each, query)]

        return [partial(half, first=True), partial(half, first=False)]

    def insert_parts(self, collection: str, documents: Sequence[Document]) -> list[Part]:
        """Parts that insert one document each. The result is True, and nothing is written, if it is a duplicate."""
        return [lambda document=document: self._insert(collection, document) for document in documents]  # type: ignore[misc]

    def _insert(self, collection: str, document: Document) -> bool:
        try:
            self._of(collection).insert(document)
        except DuplicateKeyError:
            return True
        self.writes += 1
        return False

    def find_one_and_update(
        self, collection: str, query: Query, update: Update, fields: Fields | None
    ) -> Document | None:
        """Change the first matching document.

        Raises:
            UpdateRefusedError: the server can't carry out the update.
        """
        of = self._of(collection)
        for document in of.candidates(query):
            if matches(document, query):
                after = self._update(of, document, query, update)
                return project(after, fields) if fields else after
        return None

    def _update(self, of: _Collection, document: Document, query: Query, update: Update) -> Document:
        after = updated(document, query, update)
        try:
            of.replace(document, after)
        except DuplicateKeyError as error:
            raise UpdateRefusedError("duplicate key") from error
        self.writes += 1
        return after

    def update_many_parts(self, collection: str, query: Query, update: Update) -> list[Part]:
        """Parts that change one document each, of those that match now and still match by then."""
        ids = [each["_id"] for each in self._of(collection).candidates(query) if matches(each, query)]
        return [
            lambda id_=id_: self.find_one_and_update(collection, {**query, "_id": id_}, update, None)  # type: ignore[misc]
            for id_ in ids
        ]

    def delete_parts(self, collection: str, query: Query) -> list[Part]:
        """Parts that delete one document each, of those that match now and still match by then."""
        of = self._of(collection)
        ids = [each["_id"] for each in of.candidates(query) if matches(each, query)]
        return [partial(self._delete, of, {**query, "_id": id_}) for id_ in ids]

    def _delete(self, of: _Collection, query: Query) -> None:
        for document in of.candidates(query):
            if matches(document, query):
                of.remove(document)
                self.writes += 1

    def bulk_parts(self, collection: str, updates: Sequence[tuple[Query, Update]]) -> list[Part]:
        """Parts that carry out one of the updates each."""
        return [
            lambda query=query, update=update: self.find_one_and_update(collection, query, update, None)  # type: ignore[misc]
            for query, update in updates
        ]

    def aggregate(self, collection: str, pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
        """The result of the pipeline, read at one instant."""
        return aggregated(list(self._readable(collection).values()), pipeline)


def arrange(found: list[Document], fields: Fields | None, order: Order | None, most: int) -> list[Document]:
    """Order, cut and project the documents."""
    for field, direction in reversed(order or ()):
        found = sorted(found, key=partial(sort_key, field), reverse=direction < 0)
    if most:
        found = found[:most]
    return [project(each, fields) for each in found] if fields else found


def aggregated(rows: list[Document], pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
    """The result of the pipeline on these documents."""
    for stage in pipeline:
        ((name, operand),) = stage.items()
        step = _STAGES.get(name)
        if step is None:
            raise NotImplementedError(f"the simulated server has no stage {name}")
        rows = step(rows, operand)
    return rows


def sort_key(path: str, document: Document) -> tuple[int, Any]:
    """The sort key of a document: no value before numbers, numbers before strings; the smallest of several values."""
    found: list[Any] = []
    for value in values_at(document, path):
        found += value if isinstance(value, list) else [value]
    ranked = [(0, 0) if value is None else (2 if isinstance(value, str) else 1, value) for value in found]
    return min(ranked, default=(0, 0))


def project(document: Document, fields: Fields) -> Document:
    """The document with only these fields, or without them."""
    if any(keep for field, keep in fields.items() if field != "_id"):
        kept = _with_only(document, [field for field, keep in fields.items() if keep and field != "_id"])
        return kept if fields.get("_id") == 0 else {"_id": document["_id"], **kept}
    if fields.get("_id"):
        return {"_id": document["_id"]}
    after = {field: value for field, value in document.items() if field not in fields}
    for path in fields:
        field, _, rest = path.partition(".")
        if rest and field in after:
            after[field] = _without(after[field], rest)
    return after


def _with_only(value: Any, paths: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_with_only(each, paths) for each in value if isinstance(each, dict | list)]
    kept: Document = {}
    within: dict[str, list[str]] = {}
    for path in paths:
        field, _, rest = path.partition(".")
        if not rest and field in value:
            kept[field] = value[field]
        elif isinstance(value.get(field), dict | list):
            within.setdefault(field, []).append(rest)
    for field, rests in within.items():
        kept[field] = _with_only(value[field], rests)
    return kept


def _without(value: Any, path: str) -> Any:
    if isinstance(value, list):
        return [_without(each, path) for each in value]
    if not isinstance(value, dict):
        return value
    field, _, rest = path.partition(".")
    if rest:
        return {name: _without(each, rest) if name == field else each for name, each in value.items()}
    return {name: each for name, each in value.items() if name != field}


def _unwind(rows: list[Document], path: str) -> list[Document]:
    field = path[1:]
    return [{**row, field: each} for row in rows for each in row.get(field, ())]


def _group(rows: list[Document], operand: Mapping[str, Any]) -> list[Document]:
    groups: dict[str, tuple[Any, list[Document]]] = {}
    for row in rows:
        key = evaluate(operand["_id"], row, {})
        key = None if key is MISSING else key
        groups.setdefault(repr(key), (key, []))[1].append(row)
    return [
        {"_id": key, **{field: _accumulate(each, members) for field, each in operand.items() if field != "_id"}}
        for key, members in groups.values()
    ]


def _accumulate(accumulator: Mapping[str, Any], members: list[Document]) -> Any:
    ((name, expression),) = accumulator.items()
    values = [evaluate(expression, row, {}) for row in members]
    if name not in {"$sum", "$max", "$min", "$push"}:
        raise NotImplementedError(f"the simulated server has no accumulator {name}")
    if name == "$push":
        return [value for value in values if value is not MISSING]
    numbers = [value for value in values if value is not MISSING and value is not None]
    return sum(numbers) if name == "$sum" else {"$max": max, "$min": min}[name](numbers, default=None)


_STAGES: Final[dict[str, Callable[[list[Document], Any], list[Document]]]] = {
    "$match": lambda rows, query: [row for row in rows if matches(row, query)],
    "$unwind": _unwind,
    "$group": _group,
    "$limit": lambda rows, most: rows[:most],
    "$sort": lambda rows, order: arrange(rows, None, list(order.items()), 0),
}
