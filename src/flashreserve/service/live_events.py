"""Live events: the log of events from now on, as `flashreserve listen` shows it."""

from collections.abc import Iterable
from typing import Final

from flashreserve.core.events import Event, EventType
from flashreserve.stores.filters import EventFilter
from flashreserve.stores.outbox import EventStore

PAGE_MAX: Final = 500
"""Events that one look at the log finds, at most."""

_RELAYED_MAX: Final = 5_000
"""Subjects of each kind whose events one look adds to the log, at most."""


class LiveEvents:
    """Reads the log from its present end on.

    Nothing is written, but the log is filled where that is a relay's work: without a server, nobody else does it.
    """

    def __init__(self, store: EventStore, types: Iterable[EventType]) -> None:
        """Show events of these types only; of all types if there are none."""
        self._store = store
        self._where = EventFilter(types=frozenset(types) or None)
        self._place = 0
        self._more = False

    async def begin(self, now: int) -> None:
        """Take the present end of the log as the beginning.

        Raises:
            StoreUnavailableError: the database doesn't answer.
        """
        await self._store.relay(now, _RELAYED_MAX)
        self._place = await self._store.last_place()

    async def look(self, now: int) -> list[Event]:
        """The next events, oldest first; at most `PAGE_MAX`. It is safe to repeat a call that failed.

        Raises:
            StoreUnavailableError: the database doesn't answer.
            StoreOutcomeUnknownError: the same, in the middle of filling the log.
        """
        await self._store.relay(now, _RELAYED_MAX)
        found = await self._store.events(self._where, self._place, PAGE_MAX)
        self._place, self._more = max(self._place, found.looked_to), found.more
        return [logged.event for logged in found.events]

    @property
    def has_more(self) -> bool:
        """Whether the last call of `look` left events unread."""
        return self._more

    async def unread(self) -> int:
        """How many places the log has beyond those that were looked at; those of other types count too."""
        return max(0, await self._store.last_place() - self._place)
