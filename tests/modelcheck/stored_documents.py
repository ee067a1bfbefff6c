"""Documents and databases, each kept once and identified by a number.

Two states of the database that differ only in irrelevant values get the same number (`canonical`).
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

Document = dict[str, Any]
Value = TypeVar("Value")

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def encoded(value: Any) -> bytes:
    """The value as JSON, for comparing values that can't be hashed."""
    return _ENCODER.encode(value)


class Numbered(Generic[Value]):
    """Values by key, numbered in the order in which their keys were added."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}
        self.values: list[Value] = []

    def add(self, key: Hashable, value: Value) -> int:
        """The number of the key. If a key has several values, the first is kept."""
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
    """All documents and all databases so far."""

    def __init__(self, *, moves_count: bool) -> None:
        self._moves_count = moves_count
        self._documents: Numbered[Document] = Numbered()
        self._databases: Numbered[Entries] = Numbered()

    def canonical(self, collection: str, document: Document) -> Document:
        """The document without irrelevant values: the times and the order of intents, and the count of moves."""
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
        """The database with one more document, which replaces an earlier one with the same id."""
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
