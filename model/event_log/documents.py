"""The documents of the log's model: subjects with their trails, the events, the document `log`, and what was read."""

from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

EventKey = tuple[str, int]
"""An event's id: its subject, and its number there."""


class SubjectDoc(Struct, frozen=True):
    """A document with a trail. `numbers` are the entries that are still there, `trail_n` is the count of all."""

    id: str
    keeps_trail: bool
    numbers: tuple[int, ...] = ()
    trail_n: int = 0
    listed: bool = False


class PlaceBatch(NamedTuple):
    """Events that get places, from `first` on."""

    first: int
    events: tuple[EventKey, ...]


class LogView(NamedTuple):
    """The document `log` as a process reads it."""

    next: int
    batch: PlaceBatch | None


class LogState(Struct, frozen=True, cache_hash=True):
    """All documents. `places` has each event of `events`, with its place or None. `read` is what a reader was given."""

    subjects: tuple[SubjectDoc, ...]
    places: tuple[tuple[EventKey, int | None], ...] = ()
    next: int = 1
    batch: PlaceBatch | None = None
    read: tuple[EventKey, ...] = ()

    def subject(self, name: str) -> SubjectDoc:
        """The subject of this name."""
        return next(each for each in self.subjects if each.id == name)

    def with_subject(self, changed: SubjectDoc) -> "LogState":
        """The documents with the subject changed."""
        return replace(self, subjects=tuple(changed if each.id == changed.id else each for each in self.subjects))

    def with_place(self, key: EventKey, place: int | None) -> "LogState":
        """The documents with the event, at the place."""
        return replace(self, places=tuple(sorted({**dict(self.places), key: place}.items())))
