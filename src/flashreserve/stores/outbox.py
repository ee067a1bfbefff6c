"""The contract of a store's outbox: the log of events, the endpoints, and the deliveries. See `stores.port`."""

from collections.abc import Sequence
from typing import Protocol

from flashreserve.core.endpoints import (
    Delivery,
    DeliveryBacklog,
    DeliveryEnd,
    Endpoint,
    EndpointChange,
    GroupRaise,
    LoggedAttempt,
)
from flashreserve.core.events import Event
from flashreserve.stores.filters import EventFilter, EventsFound, LoggedCounts


class EventStore(Protocol):
    """The log of all events, in an order that never changes: an event that is added later gets a higher place.

    The log has each event once. It has the events of one subject in the order of their numbers.
    """

    async def events(self, where: EventFilter, beyond: int, most: int) -> EventsFound:
        """A page of at most `most` events that `where` allows, oldest first, with places above `beyond`."""
        ...

    async def logged_counts(self, beyond: int, most: int) -> LoggedCounts:
        """Count the first `most` events with places above `beyond`, by second and type.

        It is for charts: while an election of MongoDB's primary lasts, it may count too few.
        """
        ...

    async def last_place(self) -> int:
        """The place of the last event; 0 if there never was one."""
        ...

    async def relay(self, now: int, most: int) -> int:
        """Add the events of at most `most` subjects to the log, and return how many subjects it was.

        A store that adds an event to the log together with its transition has none to add, so it returns 0.
        """
        ...

    async def forget_events(self, before: int, most: int) -> int:
        """Delete at most `most` events older than `before` (UTC milliseconds) from the log. Returns how many."""
        ...

    async def place_before(self, at: int) -> int:
        """The highest place below those of all events from `at` on (UTC milliseconds).

        With no such event, the last place. SQLite's store leaves out events that were logged over an hour late.
        """
        ...

    async def subject_events(self, wanted: Sequence[tuple[str, int, int]]) -> list[Event]:
        """The logged events of these subjects, each with numbers above the first figure and up to the second.

        They are in the order of their numbers. Each subject is wanted once.
        """
        ...


class DeliveryStore(Protocol):
    """The endpoints, and the deliveries to them.

    Instants are UTC milliseconds. A change of an endpoint records its events in the same write.
    """

    async def add_endpoint(self, endpoint: Endpoint, most: int) -> bool:
        """Add a new endpoint. Returns False, and writes nothing, if there are `most` that aren't removed."""
        ...

    async def endpoints(self) -> list[Endpoint]:
        """The endpoints that aren't removed, oldest (lowest id) first."""
        ...

    async def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """The endpoint as last written; None if there is none, or if it is removed."""
        ...

    async def change_endpoint(self, before: Endpoint, change: EndpointChange, by: str) -> bool:
        """Write the endpoint as it is after the change, with its events, unless it was changed since `before`.

        Deliveries don't count as changes. Returns whether it was written. A removed endpoint loses its groups.
        """
        ...

    async def note_failures(self, endpoint_id: str, at: int, count: int) -> None:
        """Count attempts that failed, from `at` on. The first one after a success is the start of the failures."""
        ...

    async def note_success(self, endpoint_id: str) -> None:
        """Forget the endpoint's failures."""
        ...

    async def raise_groups(self, endpoint: Endpoint, raises: Sequence[GroupRaise], seen: int, now: int) -> bool:
        """Add events to the endpoint's groups, and note that it has seen the log up to the place `seen`.

        An idle group becomes due at `now`, and leaves out events between its last one and these: nobody wanted them. A
        group that waits for its next try goes on waiting, unless it begins `again`.
        Returns False if the endpoint was changed, or has seen another part of the log, since `endpoint` was read;
        repeating the call does no harm. A group that begins `again` while its turn is running drops that turn.
        """
        ...

    async def skip_groups(self, endpoint_id: str, now: int) -> None:
        """Deliver none of the events that the endpoint's groups have at `now`. Groups changed since then stay."""
        ...

    async def resend(self, delivery: Delivery, now: int) -> None:
        """Add a group of its own for an event that is to be sent once more."""
        ...

    async def claim(self, endpoint_id: str, now: int, most: int, lease: str, until: int) -> list[Delivery]:
        """Claim at most `most` due groups of the endpoint, until `until`, under a `lease` that nobody else uses.

        Groups whose lease is over are due again.
        """
        ...

    async def end_turns(self, ends: Sequence[DeliveryEnd], lease: str, now: int) -> None:
        """End the lease of groups, and write their state. Those with another lease by now are left alone."""
        ...

    async def log_attempts(self, attempts: Sequence[LoggedAttempt]) -> None:
        """Keep the attempts."""
        ...

    async def attempts(self, endpoint_id: str, beyond: str | None, most: int) -> list[LoggedAttempt]:
        """At most `most` attempts on the endpoint with ids below `beyond`, newest first."""
        ...

    async def backlog(self, endpoint_id: str) -> DeliveryBacklog:
        """The endpoint's groups that have events to deliver."""
        ...

    async def forget_deliveries(self, before: int, most: int) -> int:
        """Delete at most `most` attempts, and as many idle groups, that are older than `before`. Returns how many.

        As many groups of removed endpoints, of whatever age, are deleted too.
        """
        ...
