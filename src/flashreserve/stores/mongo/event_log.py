"""The log of events: copies of the trails' entries, in an order that never changes.

A relay, of which each worker runs one, does the following to the documents on its list:

- E1 insert the events of their trails into `events`; `_id` is the event's id, so a copy that is there already stays;
- E2 allot places to those that have none: one batch of events at a time, which is first recorded in the document `log`,
  then carried out, then closed;
- E3 take the documents off the list, each under the guard that its trail still has as many entries as E1 copied.

A relay that dies or falls asleep anywhere does no harm. E1 and E2 only repeat what is done already, any process can
finish an open batch, and after a later transition E3 finds another count. E3 must come last, or events could be lost.

Readers see the places below `next`, which the last closed batch has set. So they never see a place while a lower one is
still to come. The events of one subject are in the order of their numbers, because a trail is copied from its
beginning.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from flashreserve.core.events import Actor, ActorKind, Event, EventData, EventType, data_of
from flashreserve.stores.filters import SEARCHED_MAX, EventFilter, EventsFound, LoggedCounts, LoggedEvent
from flashreserve.stores.mongo.alike import GuardedUpdate, update_alike, update_all
from flashreserve.stores.mongo.database import Collection, Database, Document, Query
from flashreserve.stores.mongo.documents import VISIBLE, id_of, whole
from flashreserve.stores.mongo.trail import TRAIL_FIELDS, events_from, reservation_events
from flashreserve.stores.port import StoreUnavailableError
from flashreserve.stores.unreadable import UnreadableError, UnreadableItems

RELAYED_AT_ONCE: Final = 500
"""Documents whose trails one step of a relay copies."""

_LOG: Final = "log"
"""The id of the document in the collection `meta` that has the next place and the open batch."""

_SPAN_MS: Final = 6 * 3600 * 1000
"""How much of the log one command looks at for a replay, so that it ends within its time."""

_TRIES_MAX: Final = 20
"""How often a relay looks for its turn to allot places."""


class _TrailSource(NamedTuple):
    """A collection whose documents have trails."""

    collection: Collection
    visible: Query
    fields: Document | None
    events: Callable[[Document], list[Event]]
    keeps_trail: bool


_RESERVATIONS: Final = _TrailSource("reservations", {}, None, reservation_events, keeps_trail=True)
_ACCOUNTS: Final = _TrailSource("accounts", {}, TRAIL_FIELDS, events_from, keeps_trail=False)
_SOURCES: Final = (
    _RESERVATIONS,
    _TrailSource("products", VISIBLE, TRAIL_FIELDS, events_from, keeps_trail=False),
    _ACCOUNTS,
    _TrailSource("keys", {}, TRAIL_FIELDS, events_from, keeps_trail=False),
    _TrailSource("endpoints", {}, TRAIL_FIELDS, events_from, keeps_trail=False),
)


async def relay(database: Database, aside: UnreadableItems, now: int, most: int) -> int:
    """Copy the trails of at most `most` documents of each kind into the log. Returns how many documents it was."""
    done = 0
    for source in _SOURCES:
        left = most
        while left > 0:
            relayed = await _relay_some(database, source, aside, now, min(left, RELAYED_AT_ONCE))
            done += relayed
            left -= relayed
            if relayed < RELAYED_AT_ONCE:
                break
    return done


async def relay_reservations(database: Database, documents: Sequence[Document]) -> None:
    """Copy the trails of these reservations, whose documents are complete.

    Raises:
        UnreadableError: one is invalid.
    """
    await _log(database, [event for document in documents for event in _new_events(_RESERVATIONS, document)])
    await _unlist(database, _RESERVATIONS, documents)


async def relay_account(database: Database, account_id: str) -> None:
    """Copy the trail of the account, whose document is about to be deleted.

    Raises:
        UnreadableError: it is invalid.
    """
    listed = {"_id": account_id, "ship_at": {"$gt": 0}}
    documents = await database.find("accounts", listed, fields=_ACCOUNTS.fields, current=True)
    await _log(database, [event for document in documents for event in _new_events(_ACCOUNTS, document)])
    await _unlist(database, _ACCOUNTS, documents)


async def _relay_some(database: Database, source: _TrailSource, aside: UnreadableItems, now: int, most: int) -> int:
    postponed = aside.postponed("trail", now)
    listed = {**source.visible, "ship_at": {"$gt": 0}}
    found = await database.find(
        source.collection, listed, fields=source.fields, order=[("ship_at", 1)], most=most + len(postponed)
    )
    documents: list[Document] = []
    events: list[Event] = []
    for document in found:
        if id_of(document) in postponed:
            continue
        try:
            events += _new_events(source, document)
        except UnreadableError as error:
            aside.postpone("trail", id_of(document), str(error), now)
            continue
        documents.append(document)
    await _log(database, events)
    await _unlist(database, source, documents)
    return len(documents)


def _new_events(source: _TrailSource, document: Document) -> list[Event]:
    """The events in the trail without those that an earlier E3 has noted as copied: they may be deleted from the log.

    Raises:
        UnreadableError: the document is invalid.
    """
    shipped = document.get("shipped", 0)
    return [event for event in source.events(document) if event.n > shipped]


async def _log(database: Database, events: Sequence[Event]) -> None:
    """E1 and E2."""
    for start in range(0, len(events), RELAYED_AT_ONCE):
        some = events[start : start + RELAYED_AT_ONCE]
        await database.insert_many("events", [_document(event) for event in some])
        await _allot(database, [event.id for event in some])


async def _unlist(database: Database, source: _TrailSource, documents: Sequence[Document]) -> None:
    """E3. Trails of reservations stay, with a note of what is copied. The others are emptied by the same write."""
    updates = []
    for document in documents:
        count = document.get("trail_n", 0)
        left = {"shipped": count} if source.keeps_trail else {"trail": []}
        updates.append(GuardedUpdate(document["_id"], {"trail_n": count}, {"$unset": {"ship_at": ""}, "$set": left}))
    await update_alike(database, source.collection, updates)


class _PlaceBatch(msgspec.Struct, frozen=True):
    """Events that get places, from `first` on, in the order of `ids`."""

    first: int
    ids: list[str]


async def _allot(database: Database, ids: Sequence[str]) -> None:
    """E2: give places to those of the events that have none below `next`.

    An event of an open batch may have a place already, which readers don't see before that batch is closed.
    """
    for _ in range(_TRIES_MAX):
        place, batch = await _read_log(database)
        if batch is not None:
            await _carry_out(database, batch)
            continue
        placed = await database.find(
            "events", {"_id": {"$in": list(ids)}, "place": {"$gt": 0, "$lt": place}}, fields={"_id": 1}, current=True
        )
        known = {document["_id"] for document in placed}
        batch = _PlaceBatch(place, [id_ for id_ in ids if id_ not in known])
        if not batch.ids:
            return
        mine = {"_id": _LOG, "next": place, "batch": None}
        change = {"$set": {"batch": {"first": batch.first, "ids": batch.ids}}}
        if await database.find_one_and_update("meta", mine, change, fields={"_id": 1}) is not None:
            await _carry_out(database, batch)
            return
    raise StoreUnavailableError("too many relays allot places in the log of events at once")


async def _carry_out(database: Database, batch: _PlaceBatch) -> None:
    """Write the places of the batch, and close it. Several processes may do so at once.

    An event that is missed would never get a place, because the batch is closed afterwards.
    """
    place: Document = {"$add": [batch.first, {"$indexOfArray": [batch.ids, "$_id"]}]}
    without = {"_id": {"$in": batch.ids}, "place": {"$exists": False}}
    await update_all(database, "events", without, [{"$set": {"place": place}}])
    closed = {"$set": {"next": batch.first + len(batch.ids), "batch": None}}
    mine = {"_id": _LOG, "next": batch.first, "batch.first": batch.first}
    await database.find_one_and_update("meta", mine, closed, fields={"_id": 1})


async def _read_log(database: Database) -> tuple[int, _PlaceBatch | None]:
    """The next place, and the open batch."""
    found = await database.find("meta", {"_id": _LOG}, current=True)
    if not found:
        await database.insert_many("meta", [{"_id": _LOG, "next": 1, "batch": None}])
        return 1, None
    batch = found[0]["batch"]
    return int(found[0]["next"]), None if batch is None else msgspec.convert(whole(batch), _PlaceBatch)


async def last_place(database: Database) -> int:
    """The place of the last event that readers see; 0 if there is none."""
    found = await database.find("meta", {"_id": _LOG}, fields={"next": 1}, current=True)
    return int(found[0]["next"]) - 1 if found else 0


async def search(database: Database, where: EventFilter, beyond: int, most: int) -> EventsFound:
    """A page, as `EventStore.events` gives it."""
    last = await last_place(database)
    looked_to, more = last, False
    if last <= beyond:  # Most readers come for events that aren't there yet.
        return EventsFound([], beyond, more=False)
    if where.subject_id is None and where.leaves_out:
        # After an election a read may show fewer events than are there, so it has to be a current one.
        looked_at = await database.find(
            "events",
            {"place": {"$gt": beyond, "$lte": last}},
            fields={"place": 1},
            order=[("place", 1)],
            most=SEARCHED_MAX,
            current=True,
        )
        if len(looked_at) == SEARCHED_MAX:
            looked_to, more = looked_at[-1]["place"], True
    query: Document = {**_query(where), "place": {"$gt": beyond, "$lte": looked_to}}
    found = await database.find("events", query, order=[("place", 1)], most=most + 1, current=True)
    events = [logged(document) for document in found[:most]]
    if len(found) > most:
        return EventsFound(events, events[-1].place, more=True)
    return EventsFound(events, max(beyond, looked_to), more=more)


async def logged_counts(database: Database, beyond: int, most: int) -> LoggedCounts:
    """As `EventStore.logged_counts`."""
    last = await last_place(database)
    if last <= beyond:
        return LoggedCounts(beyond, {})
    by_second = {"second": {"$subtract": ["$at", {"$mod": ["$at", 1000]}]}, "type": "$type"}
    stages: list[Query] = [
        {"$match": {"place": {"$gt": beyond, "$lte": last}}},
        {"$sort": {"place": 1}},
        {"$limit": most},
        {"$group": {"_id": by_second, "count": {"$sum": 1}, "place": {"$max": "$place"}}},
    ]
    found = await database.aggregate("events", stages)
    counts = {
        (int(each["_id"]["second"]) // 1000, EventType(each["_id"]["type"])): int(each["count"]) for each in found
    }
    return LoggedCounts(max((int(each["place"]) for each in found), default=beyond), counts)


async def place_before(database: Database, at: int) -> int:
    """As `EventStore.place_before`. If no worker ran for a while, an event is logged long after its time."""
    first = await last_place(database) + 1
    ends = [
        await database.find("events", {"at": {"$gte": at}, "place": {"$gt": 0}}, fields={"at": 1}, order=order, most=1)
        for order in ([("at", 1)], [("at", -1)])
    ]
    if not all(ends):
        return first - 1
    begin, end = ends[0][0]["at"], ends[1][0]["at"] + 1
    for start in range(begin, end, _SPAN_MS):
        span: Query = {"at": {"$gte": start, "$lt": min(start + _SPAN_MS, end)}, "place": {"$gt": 0}}
        lowest: list[Query] = [{"$match": span}, {"$group": {"_id": None, "place": {"$min": "$place"}}}]
        first = min([first, *[int(found["place"]) for found in await database.aggregate("events", lowest)]])
    return first - 1


async def subject_events(database: Database, wanted: Sequence[tuple[str, int, int]]) -> list[Event]:
    """The logged events of subjects, as `EventStore.subject_events` gives them."""
    if not wanted:
        return []
    query: Document = {"subject": {"$in": [subject_id for subject_id, _, _ in wanted]}}
    query |= {"n": {"$gt": min(above for _, above, _ in wanted)}, "place": {"$gt": 0}}
    found = await database.find("events", query, order=[("subject", 1), ("n", 1)], current=True)
    limits = {subject_id: (above, upto) for subject_id, above, upto in wanted}
    events = [logged(document).event for document in found]
    return [event for event in events if limits[event.subject_id][0] < event.n <= limits[event.subject_id][1]]


async def forget(database: Database, before: int, most: int) -> int:
    """Delete events, as `EventStore.forget_events` does."""
    found = await database.find(
        "events", {"place": {"$gt": 0}}, fields={"at": 1, "place": 1}, order=[("place", 1)], most=most
    )
    old = [document["_id"] for document in found if document["at"] < before]
    if old:
        await database.delete_many("events", {"_id": {"$in": old}})
    return len(old)


async def rename(database: Database, customer_id: str, pseudonym: str, subject_ids: Sequence[str]) -> None:
    """Put the pseudonym in the customer's place, in the events of these reservations."""
    theirs: Query = {"subject": {"$in": list(subject_ids)}}
    await update_all(
        database,
        "events",
        {**theirs, "actor": ActorKind.CUSTOMER.value, "actor_id": customer_id},
        _set(actor_id=pseudonym),
    )
    change = {"$set": {"data.customer_id": pseudonym, "external_id": None}}
    await update_all(database, "events", {**theirs, "data.customer_id": customer_id}, change)


def _set(**fields: str) -> Document:
    return {"$set": fields}


def _query(where: EventFilter) -> Document:
    query: Document = {}
    if where.subject_id is not None:
        query["subject"] = where.subject_id
    if where.actor_id is not None:
        query["actor_id"] = where.actor_id
    if where.types is not None:
        query["type"] = {"$in": sorted(each.value for each in where.types)}
    if where.since is not None:
        query["at"] = {"$gte": where.since}
    return query


def _document(event: Event) -> Document:
    data: Any = msgspec.to_builtins(event.data)
    return {
        "_id": event.id,
        "subject": event.subject_id,
        "n": event.n,
        "type": event.type.value,
        "at": event.at,
        "actor": event.actor.kind.value,
        "actor_id": event.actor.id,
        "data": {name: list(value) if isinstance(value, tuple) else value for name, value in data.items()},
        "external_id": event.external_id,
    }


def logged(document: Document) -> LoggedEvent:
    """The event in a document that has a place."""
    type_ = EventType(document["type"])
    data: EventData = msgspec.convert(whole(document["data"]), data_of(type_))
    return LoggedEvent(
        int(document["place"]),
        Event(
            subject_id=document["subject"],
            n=int(document["n"]),
            type=type_,
            at=int(document["at"]),
            actor=Actor(ActorKind(document["actor"]), document["actor_id"]),
            data=data,
            external_id=document["external_id"],
        ),
    )
