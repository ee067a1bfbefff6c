"""Trails: the events of a document, kept inside it until a relay has copied them into the log.

Each write that is a transition adds its entry to the trail of the document that it changes, counts it in `trail_n`, and
sets `ship_at`, which puts the document on the relay's list. The guard that makes the transition happen once makes the
entry happen once.

    {type, at, by, data}         of a product, account or API key; `data` is the event's
    {type, at, by, expires_at}   of a reservation that was extended
    {type, at, by, lines}        of a reservation of which units were returned
    {type, at, by}               of a reservation that was granted, confirmed, cancelled or expired

The trail of a reservation stays. With the grant, which never changes, it tells the reservation as it was after each
entry. All other trails are emptied once they are in the log.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, assert_never

import msgspec
from msgspec.structs import replace

from flashreserve.core.events import Event, EventData, EventType, actor_named, data_of
from flashreserve.core.model import BY_CUSTOMER, Line, Reservation, ReturnEntry, Status, Units
from flashreserve.core.trail import reservation_event
from flashreserve.stores.mongo.database import Document, Query
from flashreserve.stores.mongo.documents import reservation_from, whole
from flashreserve.stores.unreadable import UnreadableError

TRAIL_FIELDS: Final[Document] = {"trail": 1, "trail_n": 1, "external_id": 1}
"""The fields of a document other than a reservation that its events are made of."""

UNFLAGGED: Final[Query] = {"ship_at": {"$exists": False}}
"""The documents whose events are all in the log."""


class _TrailEntry(msgspec.Struct, frozen=True):
    """An entry of a trail. Which of the last three fields it has depends on its type."""

    type: EventType
    at: int
    by: str
    data: dict[str, Any] = {}
    expires_at: int = 0
    lines: tuple[Units, ...] = ()


def entry(type_: EventType, at: int, by: str, **more: Any) -> Document:
    """An entry as it is stored."""
    return {"type": type_.value, "at": at, "by": by, **more}


def entry_of(event: Event, by: str) -> Document:
    """The entry of an event with data of its own."""
    return entry(event.type, event.at, by, data=msgspec.to_builtins(event.data))


def return_entry(returned: ReturnEntry) -> Document:
    """The entry of a return."""
    lines = [{"product_id": line.product_id, "quantity": line.quantity} for line in returned.lines]
    return entry(EventType.RESERVATION_RETURNED, returned.at, returned.by, lines=lines)


def recording(change: Document, *added: Document) -> Document:
    """The update operators `change` with the entries `added`."""
    if not added:
        return change
    pushed: Document = added[0] if len(added) == 1 else {"$each": list(added)}
    return {
        **change,
        "$push": {**change.get("$push", {}), "trail": pushed},
        "$inc": {**change.get("$inc", {}), "trail_n": len(added)},
        "$set": {**change.get("$set", {}), "ship_at": added[0]["at"]},
    }


def recorded_if(condition: Any, added: Any, at: int) -> Document:
    """The fields of a pipeline's `$set` that add an entry where the condition is true. `added` is an expression."""
    trail = {"$ifNull": ["$trail", []]}
    count = {"$ifNull": ["$trail_n", 0]}
    return {
        "trail": {"$cond": [condition, {"$concatArrays": [trail, [added]]}, trail]},
        "trail_n": {"$cond": [condition, {"$add": [count, 1]}, count]},
        "ship_at": {"$cond": [condition, at, "$ship_at"]},
    }


def granted(document: Document, at: int) -> Document:
    """A new reservation's document with the event of its grant, which is its first."""
    created = entry(EventType.RESERVATION_CREATED, at, BY_CUSTOMER)
    return {**document, "trail": [created], "ship_at": at}


def made(document: Document, creation: Document) -> Document:
    """The document of a new product or API key, with the entry of its creation."""
    return {**document, "trail": [creation], "trail_n": 1, "ship_at": creation["at"]}


def reservation_events(document: Document) -> list[Event]:
    """The events in the trail of a reservation.

    Raises:
        UnreadableError: the document is invalid.
    """
    held, entries = reservation_from(document), _entries(document)
    first = _first_number(document, entries)
    # A trail that an earlier version of the program didn't begin says nothing of what happened before it.
    whole_history = first > 1 or any(each.type is EventType.RESERVATION_CREATED for each in entries)
    state = held.as_granted() if whole_history else held
    events: list[Event] = []
    for n, each in enumerate(entries, start=first):
        state = replace(_after(state, each), trail_n=n)
        events.append(reservation_event(each.type, state, each.at, each.by, each.lines))
    return events


def events_from(document: Document) -> list[Event]:
    """The events in the trail of a product, account or API key.

    Raises:
        UnreadableError: the document is invalid.
    """
    return list(_events(document, _entries(document)))


def _events(document: Document, entries: Sequence[_TrailEntry]) -> Iterator[Event]:
    for n, each in enumerate(entries, start=_first_number(document, entries)):
        data = _converted(each.data, data_of(each.type))
        yield Event(document["_id"], n, each.type, each.at, actor_named(each.by), data, document.get("external_id"))


def _converted(data: dict[str, Any], kind: type[EventData]) -> EventData:
    try:
        converted: EventData = msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"expected the data of an event in its trail: {error}") from error
    return converted


def _entries(document: Document) -> list[_TrailEntry]:
    try:
        return msgspec.convert(whole(document.get("trail", [])), list[_TrailEntry])
    except msgspec.ValidationError as error:
        raise UnreadableError("expected a trail of entries, each with type, at and by") from error


def _first_number(document: Document, entries: Sequence[_TrailEntry]) -> int:
    """The number of the trail's first entry: earlier ones may have been removed, but stay counted."""
    return int(document.get("trail_n", len(entries))) - len(entries) + 1


def _after(before: Reservation, added: _TrailEntry) -> Reservation:
    """The reservation after the entry."""
    match added.type:
        case EventType.RESERVATION_CREATED:
            return before
        case EventType.RESERVATION_CONFIRMED:
            return replace(before, status=Status.CONFIRMED, confirmed_at=added.at)
        case EventType.RESERVATION_EXPIRED:
            return replace(before, status=Status.EXPIRED, released_at=added.at)
        case EventType.RESERVATION_CANCELLED:
            return replace(before, status=Status.CANCELLED, released_at=added.at)
        case EventType.RESERVATION_EXTENDED:
            return replace(before, expires_at=added.expires_at, extensions=before.extensions + 1)
        case EventType.RESERVATION_RETURNED:
            units = {line.product_id: line.quantity for line in added.lines}
            return replace(before, lines=tuple(_returned(line, units.get(line.product_id, 0)) for line in before.lines))
        case (
            EventType.PRODUCT_CREATED
            | EventType.PRODUCT_EDITED
            | EventType.PRODUCT_STOCKED
            | EventType.PRODUCT_PAUSED
            | EventType.PRODUCT_RESUMED
            | EventType.PRODUCT_ARCHIVED
            | EventType.ACCOUNT_ROLE_CHANGED
            | EventType.ACCOUNT_DISABLED
            | EventType.ACCOUNT_ENABLED
            | EventType.KEY_MADE
            | EventType.KEY_REVOKED
            | EventType.ENDPOINT_ADDED
            | EventType.ENDPOINT_EDITED
            | EventType.ENDPOINT_ROTATED
            | EventType.ENDPOINT_DISABLED
            | EventType.ENDPOINT_ENABLED
            | EventType.ENDPOINT_REMOVED
            | EventType.ENDPOINT_TESTED
        ):
            raise UnreadableError(f"expected events of reservations in a reservation's trail, not {added.type}")
        case _:
            assert_never(added.type)


def _returned(line: Line, units: int) -> Line:
    return replace(line, returned=line.returned + units)
