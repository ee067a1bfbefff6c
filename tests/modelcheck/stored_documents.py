"""Documents and databases, each kept once and named by a number.

Two states of the database that differ only in what nothing depends on get one number (`canonical`).
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

Document = dict[str, Any]
Value = TypeVar("Value")

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def encoded(value: Any) -> bytes:
    """The value as JSON, by which values that can't be hashed are compared."""
    return _ENCODER.encode(value)


class Numbered(Generic[Value]):
    """Values under keys, numbered in the order in which their keys came."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}
        self.values: list[Value] = []

    def add(self, key: Hashable, value: Value) -> int:
        """The number of the key. Of several values under one key, the first is kept."""
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.values)
            self.values.append(value)
        return number

    def __getitem__(self, number: int) -> Value:
        return self.values[number]


Entries = Mapping[tuple[str, str], int]
"""By collection and id, the number of a document."""


class StoredDocuments:
    """Every document, and every database, that there has been."""

    def __init__(self, *, moves_count: bool) -> None:
        self._moves_count = moves_count
        self._documents: Numbered[Document] = Numbered()
        self._databases: Numbered[Entries] = Numbered()

    def canonical(self, collection: str, document: Document) -> Document:
        """The document without what nothing depends on: times of intents and their order, and the count of moves."""
        if collection != "products":
            return document
        intents = sorted(
            ({**intent, "at": 0} for intent in document["intents"]), key=lambda intent: (intent["f"], intent["owner"])
        )
        return {**document, "moves": document["moves"] if self._moves_count else 0, "intents": intents}

    def first_database(self, documents: Mapping[str, Sequence[Document]]) -> int:
        """The database with these documents by collection."""
        return self._database(
            {
                (collection, document["_id"]): self._document(collection, self.canonical(collection, document))
                for collection, those in documents.items()
                for document in those
            }
        )

    def with_document(self, database: int, collection: str, canonical: Document) -> int:
        """The database with one more document, or with it in the place of the one that has its id."""
        changed = dict(self._databases[database])
        changed[collection, canonical["_id"]] = self._document(collection, canonical)
        return self._database(changed)

    def collection(self, database: int, collection: str) -> dict[str, Document]:
        """A collection's documents by id."""
        return {
            id_: self._documents[number]
            for (its, id_), number in self._databases[database].items()
            if its == collection
        }

    def _document(self, collection: str, canonical: Document) -> int:
        return self._documents.add((collection, encoded(canonical)), canonical)

    def _database(self, entries: Entries) -> int:
        return self._databases.add(tuple(sorted(entries.items())), entries)
