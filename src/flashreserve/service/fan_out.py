"""Fan-out: hands each event of the log to the endpoints that want it, as work for their groups.

Each endpoint has its own place in the log, up to which it has seen it. A pass reads the log from there on, raises the
groups of the subjects that it finds, and then moves the place. Repeating a part of it, after a crash or beside another
process, does no harm.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from flashreserve.core.endpoints import Endpoint, GroupRaise
from flashreserve.core.events import Event
from flashreserve.stores.filters import ALL_EVENTS, EventsFound, LoggedEvent
from flashreserve.stores.outbox import DeliveryStore, EventStore

PAGE_MAX: Final = 500
"""Events that one step hands to an endpoint."""

_STEPS_MAX: Final = 20
"""Steps for one endpoint in a pass, so that the others get their turn."""


class OutboxStore(EventStore, DeliveryStore, Protocol):
    """The log and the deliveries."""


async def fan_out(store: OutboxStore, now: int) -> int:
    """Raise the groups of all endpoints up to the end of the log. Returns how many events were handed over."""
    handed = 0
    for endpoint in await store.endpoints():
        if endpoint.disabled_at is None:
            handed += await _fan_out_to(store, endpoint, now)
    return handed


async def _fan_out_to(store: OutboxStore, endpoint: Endpoint, now: int) -> int:
    handed = 0
    for _ in range(_STEPS_MAX):
        found = await store.events(ALL_EVENTS, endpoint.seen, PAGE_MAX)
        if found.looked_to <= endpoint.seen:
            break
        raises = await _raises(store, endpoint, found)
        if not await store.raise_groups(endpoint, raises, found.looked_to, now):
            break  # Another process does it.
        handed += len(found.events)
        later = await store.endpoint(endpoint.id)
        if later is None or later.disabled_at is not None or not found.more:
            break
        endpoint = later
    return handed


async def _raises(store: EventStore, endpoint: Endpoint, found: EventsFound) -> list[GroupRaise]:
    by_subject: dict[str, list[LoggedEvent]] = {}
    for logged in found.events:
        if endpoint.wants(logged.event.type):
            by_subject.setdefault(logged.event.subject_id, []).append(logged)
    raises = []
    for subject_id, events in by_subject.items():
        first, last = events[0].event.n, events[-1].event.n
        again = events[0].place <= endpoint.replay_to
        previous = await previous_number(store, endpoint, subject_id, first) if again else None
        raises.append(GroupRaise(subject_id, first, last, again, previous))
    return raises


async def previous_number(store: EventStore, endpoint: Endpoint, subject_id: str, before: int) -> int | None:
    """The number of the last event of the subject before number `before` that the endpoint wants; None if none."""
    earlier = await store.subject_events([(subject_id, 0, before - 1)])
    return max((event.n for event in earlier if endpoint.wants(event.type)), default=None)


def wanted(endpoint: Endpoint, events: Sequence[Event]) -> list[Event]:
    """Those of the events that are delivered to the endpoint."""
    return [event for event in events if endpoint.wants(event.type)]
