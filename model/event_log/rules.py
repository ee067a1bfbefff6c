"""What must hold of the log: at every instant, and when nothing is left to do."""

from collections.abc import Iterable
from itertools import pairwise

from typing_extensions import override

from model.event_log.documents import EventKey, LogState
from model.event_log.fences import ALL_LOG_FENCES
from model.event_log.processes import RelayWork, relay
from model.processes import Program
from model.scene_space import SceneRules, run_alone


class LogRules(SceneRules[LogState]):
    """Every event is in the log once, those of a subject in order; a reader is given a beginning of the log."""

    @override
    def wrong(self, documents: LogState) -> str | None:
        by_place: dict[int, EventKey] = {}
        for key, place in documents.places:
            if place is not None:
                if place in by_place:
                    return f"TWO AT ONE PLACE: {_name(by_place[place])} and {_name(key)} at {place}"
                by_place[place] = key
        return _wrong_places(documents, by_place) or _wrong_subjects(documents) or _wrong_reader(documents, by_place)

    @override
    def passing(self, documents: LogState) -> Iterable[tuple[str, LogState]]:
        return ()

    @override
    def settled(self, documents: LogState) -> LogState:
        for turn in range(sum(subject.trail_n for subject in documents.subjects) + 1):
            kinds = tuple(sorted({subject.keeps_trail for subject in documents.subjects}))
            after = run_alone(documents, Program(f"Z{turn}", relay, (RelayWork(ALL_LOG_FENCES, kinds, 1),)))
            if after == documents:
                break
            documents = after
        return documents

    @override
    def wrong_at_rest(self, documents: LogState) -> str | None:
        places = dict(documents.places)
        for subject in documents.subjects:
            if subject.listed:
                return f"STUCK: {subject.id} stays on the list"
            for n in range(1, subject.trail_n + 1):
                place = places.get((subject.id, n))
                if place is None:
                    return f"LOST: {subject.id}-{n} never gets a place"
                if place >= documents.next:
                    return f"HIDDEN: {subject.id}-{n} has a place that readers never see"
        return None


def _wrong_places(documents: LogState, by_place: dict[int, EventKey]) -> str | None:
    """The places that readers see have no gap, and those of a subject are in order."""
    for place in range(1, documents.next):
        if place not in by_place:
            return f"GAP at {place}, which readers see"
    for subject in documents.subjects:
        numbers = [n for _, (name, n) in sorted(by_place.items()) if name == subject.id]
        if any(earlier > later for earlier, later in pairwise(numbers)):
            return f"OUT OF ORDER: {subject.id} has {numbers} in the log"
    return None


def _wrong_subjects(documents: LogState) -> str | None:
    """An unlisted document has all its entries in the log."""
    places = dict(documents.places)
    for subject in documents.subjects:
        missing = [n for n in range(1, subject.trail_n + 1) if places.get((subject.id, n)) is None]
        if missing and not subject.listed:
            return f"UNLISTED: {subject.id}-{missing[0]} isn't in the log"
    return None


def _wrong_reader(documents: LogState, by_place: dict[int, EventKey]) -> str | None:
    for place, key in enumerate(documents.read, start=1):
        if by_place.get(place) != key:
            return f"READER was given {_name(key)} as event {place}"
    return None


def _name(key: EventKey) -> str:
    return f"{key[0]}-{key[1]}"
