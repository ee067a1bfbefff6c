"""The steps of relays and readers: atomic operations on one document each. Every class says its guard."""

from typing import ClassVar

from msgspec.structs import replace
from typing_extensions import override

from model.event_log.documents import EventKey, LogState, LogView, PlaceBatch, SubjectDoc
from model.scene_space import SceneStep


class Append(SceneStep[bool], frozen=True):
    """A transition: it adds an entry to the trail, counts it and lists the document, in one write.

    Its own guard makes a transition happen once, so the model never sends one again.
    """

    may_be_lost: ClassVar[bool] = False
    label: ClassVar[str] = "transition"
    subject: str

    @override
    def apply(self, before: LogState) -> tuple[LogState, bool]:
        subject = before.subject(self.subject)
        n = subject.trail_n + 1
        return before.with_subject(replace(subject, numbers=(*subject.numbers, n), trail_n=n, listed=True)), True


class ReadListed(SceneStep[tuple[SubjectDoc, ...]], frozen=True):
    """Read the listed documents of a kind."""

    writes: ClassVar[bool] = False
    keeps_trail: bool

    @override
    def apply(self, before: LogState) -> tuple[LogState, tuple[SubjectDoc, ...]]:
        return before, tuple(each for each in before.subjects if each.listed and each.keeps_trail == self.keeps_trail)


class InsertEvent(SceneStep[bool], frozen=True):
    """E1: insert an event. Guard: there is none with its id."""

    label: ClassVar[str] = "E1"
    key: EventKey

    @override
    def apply(self, before: LogState) -> tuple[LogState, bool]:
        if self.key in dict(before.places):
            return before, False
        return before.with_place(self.key, None), True


class ReadLog(SceneStep[LogView], frozen=True):
    """E2: read the document `log`."""

    writes: ClassVar[bool] = False

    @override
    def apply(self, before: LogState) -> tuple[LogState, LogView]:
        return before, LogView(before.next, before.batch)


class ReadPlaced(SceneStep[tuple[EventKey, ...]], frozen=True):
    """E2: read those of the events that have a place below `below` (None: any place)."""

    writes: ClassVar[bool] = False
    keys: tuple[EventKey, ...]
    below: int | None

    @override
    def apply(self, before: LogState) -> tuple[LogState, tuple[EventKey, ...]]:
        wanted = set(self.keys)
        placed = [(key, place) for key, place in before.places if key in wanted and place is not None]
        return before, tuple(key for key, place in placed if self.below is None or place < self.below)


class TakeBatch(SceneStep[bool], frozen=True):
    """E2: record a batch in the document `log`. Guard: `next` is its first place, and no batch is open."""

    label: ClassVar[str] = "E2 take"
    batch: PlaceBatch
    if_none_open: bool = True

    @override
    def apply(self, before: LogState) -> tuple[LogState, bool]:
        if before.next != self.batch.first or (self.if_none_open and before.batch is not None):
            return before, False
        return replace(before, batch=self.batch), True


class WritePlace(SceneStep[bool], frozen=True):
    """E2: give an event its place. Guard: it is there, and has none."""

    label: ClassVar[str] = "E2 carry out"
    key: EventKey
    place: int

    @override
    def apply(self, before: LogState) -> tuple[LogState, bool]:
        places = dict(before.places)
        if self.key not in places or places[self.key] is not None:
            return before, False
        return before.with_place(self.key, self.place), True


class CloseBatch(SceneStep[bool], frozen=True):
    """E2: close the batch, and let readers see its places. Guard: a batch with this first place is open."""

    label: ClassVar[str] = "E2 close"
    first: int
    size: int

    @override
    def apply(self, before: LogState) -> tuple[LogState, bool]:
        if before.next != self.first or before.batch is None or before.batch.first != self.first:
            return before, False
        return replace(before, next=self.first + self.size, batch=None), True


class Unlist(SceneStep[bool], frozen=True):
    """E3: take the document off the list, and empty its trail unless that stays.

    Guard: the trail's count is still `trail_n` (None, a fence left out: no guard).
    """

    label: ClassVar[str] = "E3"
    subject: str
    trail_n: int | None

    @override
    def apply(self, before: LogState) -> tuple[LogState, bool]:
        subject = before.subject(self.subject)
        if self.trail_n not in {None, subject.trail_n}:
            return before, False
        numbers = subject.numbers if subject.keeps_trail else ()
        return before.with_subject(replace(subject, numbers=numbers, listed=False)), True


class ReadPage(SceneStep[int], frozen=True):
    """Read at most `most` events with a place above `beyond`, up to `upto` (None: to the end), for the reader.

    The reply is the reader's new cursor.
    """

    writes: ClassVar[bool] = False
    beyond: int
    upto: int | None
    most: int

    @override
    def apply(self, before: LogState) -> tuple[LogState, int]:
        placed = [(place, key) for key, place in before.places if place is not None]
        found = sorted((place, key) for place, key in placed if self._is_wanted(place))
        page = found[: self.most]
        cursor = page[-1][0] if page else self.beyond
        if self.upto is not None and len(found) == len(page):
            cursor = self.upto
        return replace(before, read=(*before.read, *[key for _, key in page])), cursor

    def _is_wanted(self, place: int) -> bool:
        return self.beyond < place and (self.upto is None or place <= self.upto)
