"""The log of events in memory."""

from collections import Counter
from collections.abc import Collection, Sequence

from typing_extensions import override

from flashreserve.core.events import Event
from flashreserve.core.trail import without_customer
from flashreserve.stores.filters import EventFilter, EventsFound, LoggedCounts, LoggedEvent
from flashreserve.stores.outbox import EventStore


class MemoryEvents(EventStore):
    """The events of `MemoryStore`, in the order in which they were logged."""

    def __init__(self) -> None:
        self._log: list[LoggedEvent] = []
        self._last_place = 0

    def _record(self, events: Sequence[Event | None]) -> None:
        for event in events:
            if event is not None:
                self._last_place += 1
                self._log.append(LoggedEvent(self._last_place, event))

    def _rename(self, subject_ids: Collection[str], customer_id: str, pseudonym: str) -> None:
        self._log = [
            LoggedEvent(place, without_customer(event, customer_id, pseudonym))
            if event.subject_id in subject_ids
            else LoggedEvent(place, event)
            for place, event in self._log
        ]

    @override
    async def events(self, where: EventFilter, beyond: int, most: int) -> EventsFound:
        later = [logged for logged in self._log if logged.place > beyond]
        found = [logged for logged in later if where.allows(logged.event)]
        if len(found) > most:
            return EventsFound(found[:most], found[most - 1].place, more=True)
        return EventsFound(found, max(beyond, self._last_place), more=False)

    @override
    async def logged_counts(self, beyond: int, most: int) -> LoggedCounts:
        counted = [logged for logged in self._log if logged.place > beyond][:most]
        counts = Counter((logged.event.at // 1000, logged.event.type) for logged in counted)
        return LoggedCounts(counted[-1].place if counted else beyond, dict(counts))

    @override
    async def last_place(self) -> int:
        return self._last_place

    @override
    async def place_before(self, at: int) -> int:
        return min((logged.place - 1 for logged in self._log if logged.event.at >= at), default=await self.last_place())

    @override
    async def subject_events(self, wanted: Sequence[tuple[str, int, int]]) -> list[Event]:
        events = [logged.event for logged in self._log]
        return [
            event
            for subject_id, above, upto in wanted
            for event in events
            if event.subject_id == subject_id and above < event.n <= upto
        ]

    @override
    async def relay(self, now: int, most: int) -> int:
        return 0

    @override
    async def forget_events(self, before: int, most: int) -> int:
        old = [logged for logged in self._log if logged.event.at < before][:most]
        self._log = [logged for logged in self._log if logged not in old]
        return len(old)
