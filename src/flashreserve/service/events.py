"""The log of events, and the trail of a subject, for admins and programs of the shop's."""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from flashreserve.core import limits
from flashreserve.core.events import Event
from flashreserve.core.trail import grant_event
from flashreserve.stores.filters import EventFilter
from flashreserve.stores.outbox import EventStore
from flashreserve.stores.port import ReservationStore


class RecordingStore(EventStore, ReservationStore, Protocol):
    """The part of a store that this service needs."""


class EventsShown(NamedTuple):
    """A page of events. The next one begins after the place `looked_to`; `more` says whether it may have events yet."""

    events: list[Event]
    looked_to: int
    more: bool


class EventService:
    """Reads the log of events."""

    def __init__(self, store: RecordingStore) -> None:
        self._store = store

    async def log(self, where: EventFilter, beyond: int, most: int) -> EventsShown:
        """A page of the log: events with places above `beyond`, oldest first."""
        found = await self._store.events(where, beyond, most)
        return EventsShown([logged.event for logged in found.events], found.looked_to, found.more)

    async def trail(self, where: EventFilter, beyond: int | None, most: int) -> EventsShown:
        """The same, with the grant of the reservation that `where` is about, even if the log hasn't its event.

        `beyond` is None for the first page, which begins with the grant.
        """
        shown = await self.log(where, beyond or 0, most)
        grant = await self._missing_grant(where, shown.events) if beyond is None else None
        if grant is None:
            return shown
        if len(shown.events) < most:
            return shown._replace(events=[grant, *shown.events])
        # The page is full without it, so that its last event comes on the next page.
        rest = await self.log(where, 0, most - 1) if most > 1 else EventsShown([], 0, more=True)
        return rest._replace(events=[grant, *rest.events])

    async def whole_trail(self, where: EventFilter) -> AsyncIterator[list[Event]]:
        """All pages of `trail`."""
        beyond: int | None = None
        while True:
            events, beyond, more = await self.trail(where, beyond, limits.PAGE_MAX)
            yield events
            if not more:
                return

    async def _missing_grant(self, where: EventFilter, events: list[Event]) -> Event | None:
        """The grant of the reservation that `where` is about, if it allows that and the events have none."""
        if where.subject_id is None or (events and events[0].n == 1):
            return None
        held = await self._store.reservation(where.subject_id)
        grant = None if held is None else grant_event(held)
        return grant if grant is not None and where.allows(grant) else None
