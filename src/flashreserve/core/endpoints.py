"""Endpoints: the addresses of a shop's programs to which events are delivered, and the state of each delivery.

The deliveries of one subject to one endpoint form a group. A group has at most one request in flight, which keeps the
order of the subject's events; other groups don't wait for it.
"""

from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from flashreserve.core.events import EndpointAccess, EndpointTerms, Event, EventData, EventType, Rotation, actor_named


class DisabledWhy(StrEnum):
    """Why an endpoint is disabled."""

    ADMIN = "admin"
    """An admin disabled it."""
    GONE = "gone"
    """It answered 410."""
    FAILING = "failing"
    """Nothing but failures for days."""


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """An address to which events are delivered: those of `types`, or all if there are none.

    The secret that signs is number `generation`, derived from the key `kid` of the key ring. `old_kid` and
    `old_generation` are those of the secret before it, which signs too until `old_until`. All instants are UTC
    milliseconds. A removed endpoint stays stored, because its trail does. `trail_n` is the number of its events so far.

    Deliveries change the last four fields. The events up to the place `seen` of the log are in the endpoint's groups;
    up to the place `replay_to` they are delivered again. Since `failing_since` there were only failures, so many.
    """

    id: str
    url: str
    types: tuple[EventType, ...]
    kid: str
    generation: int
    created_at: int
    created_by: str
    old_kid: str | None = None
    old_generation: int | None = None
    old_until: int | None = None
    disabled_at: int | None = None
    disabled_why: DisabledWhy | None = None
    removed_at: int | None = None
    trail_n: int = 1
    seen: int = 0
    replay_to: int = 0
    failing_since: int | None = None
    failures: int = 0

    def wants(self, type_: EventType) -> bool:
        """Whether events of this type are delivered to it."""
        return not self.types or type_ in self.types


class EndpointChange(NamedTuple):
    """An endpoint after a change, and the events of that."""

    after: Endpoint
    events: list[Event]


class GroupRaise(NamedTuple):
    """Further events of a subject that are to be delivered, with the numbers from `first` to `last`.

    With `again`, those that were delivered already are delivered again. `previous` is then the number of the one before
    `first` that the endpoint gets too; None if there is none.
    """

    subject_id: str
    first: int
    last: int
    again: bool = False
    previous: int | None = None


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A group whose next event is due: of the subject's events after number `done`, up to `upto`.

    `previous` is the number of the event that the endpoint was sent before; None for the first. The next event was
    tried `tries` times. `key` names the group: the subject, or an event that is sent once more.
    """

    endpoint_id: str
    key: str
    subject_id: str
    done: int
    previous: int | None
    upto: int
    tries: int


class DeliveryEnd(NamedTuple):
    """The state of a group after its turn. `next_at` is the time of the next try; None if no event failed.

    Then the group is due again at once if it has further events, or else idle.
    """

    delivery: Delivery
    done: int
    previous: int | None
    tries: int
    next_at: int | None


class AttemptResult(StrEnum):
    """What an attempt led to."""

    DELIVERED = "delivered"
    RETRIED = "retried"
    FAILED = "failed"
    """It was the last try: the event is given up, and the next one follows."""


class LoggedAttempt(msgspec.Struct, frozen=True, gc=False):
    """One request to an endpoint, number `number` for its event, at `at` (UTC milliseconds).

    `status` is that of the answer, None without one; `error` the class of the failure, None if it was delivered. Ids
    are in the order of time.
    """

    id: str
    endpoint_id: str
    event_id: str
    number: int
    at: int
    status: int | None
    duration_ms: int
    error: str | None
    result: AttemptResult


class DeliveryBacklog(NamedTuple):
    """The groups of an endpoint that have events to deliver, and when the first of them was due (ms)."""

    groups: int
    oldest_due: int | None


def added(endpoint: Endpoint) -> Event:
    """The event of a new endpoint, which is its first."""
    return _event(endpoint, 1, EventType.ENDPOINT_ADDED, endpoint.created_at, endpoint.created_by, terms_of(endpoint))


def changed(before: Endpoint, after: Endpoint, at: int, by: str) -> EndpointChange:
    """The change from `before` to `after`, with an event for each thing that differs."""
    told: list[tuple[EventType, EventData]] = []
    if (before.url, before.types) != (after.url, after.types):
        told.append((EventType.ENDPOINT_EDITED, terms_of(after)))
    if before.generation != after.generation:
        told.append((EventType.ENDPOINT_ROTATED, Rotation(after.generation, after.old_until)))
    if before.disabled_at is None and after.disabled_at is not None:
        why = None if after.disabled_why is None else after.disabled_why.value
        told.append((EventType.ENDPOINT_DISABLED, EndpointAccess(enabled=False, why=why)))
    if before.disabled_at is not None and after.disabled_at is None:
        told.append((EventType.ENDPOINT_ENABLED, EndpointAccess(enabled=True, why=None)))
    if before.removed_at is None and after.removed_at is not None:
        told.append((EventType.ENDPOINT_REMOVED, terms_of(after)))
    events = [_event(after, before.trail_n + n, type_, at, by, data) for n, (type_, data) in enumerate(told, start=1)]
    return EndpointChange(replace(after, trail_n=before.trail_n + len(events)), events)


def enables(before: Endpoint, after: Endpoint) -> bool:
    """Whether the change enables the endpoint. Only then does it also decide where deliveries go on."""
    return before.disabled_at is not None and after.disabled_at is None


def with_progress(after: Endpoint, now: Endpoint) -> Endpoint:
    """The endpoint after a change, with what deliveries have noted meanwhile."""
    return replace(after, seen=now.seen, failing_since=now.failing_since, failures=now.failures)


def terms_of(endpoint: Endpoint) -> EndpointTerms:
    """What is told of an endpoint: not its whole address, which may contain a secret of the receiver's."""
    parts = urlsplit(endpoint.url)
    return EndpointTerms(f"{parts.scheme}://{parts.netloc}", endpoint.types)


def _event(endpoint: Endpoint, n: int, type_: EventType, at: int, by: str, data: EventData) -> Event:
    return Event(endpoint.id, n, type_, at, actor_named(by), data)
