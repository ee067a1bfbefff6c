"""Endpoints and deliveries on the MongoDB server.

A group is one document, and each step changes it by one guarded write. Two processes may raise the same groups at once,
or again after a crash: `upto` only grows, and an idle group becomes due only if it has events that aren't done. A
process that sleeps through its lease finds another one in its place, and writes nothing.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from typing_extensions import override

from flashreserve.core.endpoints import (
    Delivery,
    DeliveryBacklog,
    DeliveryEnd,
    Endpoint,
    EndpointChange,
    GroupRaise,
    LoggedAttempt,
    added,
    enables,
)
from flashreserve.stores.mongo.alike import GuardedUpdate, update_alike
from flashreserve.stores.mongo.database import Database, Document, Query, Update
from flashreserve.stores.mongo.documents import id_of, read_struct, struct_document
from flashreserve.stores.mongo.trail import entry_of, made, recording
from flashreserve.stores.outbox import DeliveryStore
from flashreserve.stores.port import StoreDefectError, StoreUnavailableError
from flashreserve.stores.unreadable import UnreadableItems

_ID: Final = {"_id": 1}
_STATE: Final = frozenset({"id", "seen", "failing_since", "failures", "trail_n"})
"""Fields of an endpoint that a change doesn't write, unless it enables the endpoint again."""

_TRIES_MAX: Final = 20
_STEP_MAX: Final = 1_000
"""Groups that one command skips, so that it ends within its time."""

_DUE: Final[Document] = {"next_at": {"$type": "number"}}
_ENDED: Final[Document] = {"lease": None, "leased_until": 0}


class MongoDeliveries(DeliveryStore):
    """Its methods are documented in `flashreserve.stores.outbox`. Several endpoints added at once may exceed `most`."""

    _database: Database
    _aside: UnreadableItems

    @override
    async def add_endpoint(self, endpoint: Endpoint, most: int) -> bool:
        if len(await self.endpoints()) >= most:
            return False
        document = made(struct_document(endpoint), entry_of(added(endpoint), endpoint.created_by))
        if await self._database.insert_many("endpoints", [document]):
            raise StoreDefectError("an id that should be new is in use")
        return True

    @override
    async def endpoints(self) -> list[Endpoint]:
        return await self._endpoints({})

    @override
    async def endpoint(self, endpoint_id: str) -> Endpoint | None:
        found = await self._endpoints({"_id": endpoint_id})
        return found[0] if found else None

    async def _endpoints(self, query: Query) -> list[Endpoint]:
        found = await self._database.find(
            "endpoints", {**query, "removed_at": None}, fields={"trail": 0}, order=[("_id", 1)], current=True
        )
        return self._aside.readable("endpoint", found, id_of, _endpoint)

    @override
    async def change_endpoint(self, before: Endpoint, change: EndpointChange, by: str) -> bool:
        after = change.after
        fields: Document = struct_document(after)
        del fields["_id"]
        written = {name: value for name, value in fields.items() if enables(before, after) or name not in _STATE}
        written.pop("trail_n", None)
        guard = {"_id": before.id, "trail_n": before.trail_n, "removed_at": None}
        update = recording({"$set": written}, *[entry_of(event, by) for event in change.events])
        return await self._database.find_one_and_update("endpoints", guard, update, fields=_ID) is not None

    @override
    async def note_failures(self, endpoint_id: str, at: int, count: int) -> None:
        since = {"$ifNull": ["$failing_since", at]}
        change = [{"$set": {"failing_since": since, "failures": {"$add": ["$failures", count]}}}]
        await self._database.find_one_and_update("endpoints", {"_id": endpoint_id}, change, fields=_ID)

    @override
    async def note_success(self, endpoint_id: str) -> None:
        change = {"$set": {"failing_since": None, "failures": 0}}
        await self._database.find_one_and_update("endpoints", {"_id": endpoint_id}, change, fields=_ID)

    @override
    async def raise_groups(self, endpoint: Endpoint, raises: Sequence[GroupRaise], seen: int, now: int) -> bool:
        if raises:
            await self._raise(endpoint.id, raises, now)
        change = {"$set": {"seen": seen}}
        guard = {"_id": endpoint.id, "seen": endpoint.seen, "trail_n": endpoint.trail_n}
        return await self._database.find_one_and_update("endpoints", guard, change, fields=_ID) is not None

    async def _raise(self, endpoint_id: str, raises: Sequence[GroupRaise], now: int) -> None:
        """Raise all groups. One that is deleted meanwhile, because it was idle for so long, is inserted anew."""
        left = raises
        for _ in range(_TRIES_MAX):
            there = await self._raise_once(endpoint_id, left, now)
            query = {"_id": {"$in": [_group_id(endpoint_id, each.subject_id) for each in there]}}
            found = await self._database.find("deliveries", query, fields=_ID, current=True) if there else []
            kept = {document["_id"] for document in found}
            left = [each for each in there if _group_id(endpoint_id, each.subject_id) not in kept]
            if not left:
                return
        raise StoreUnavailableError("groups are deleted as fast as they are raised")

    async def _raise_once(self, endpoint_id: str, raises: Sequence[GroupRaise], now: int) -> list[GroupRaise]:
        """Insert the groups, and raise those that are there already. Returns the raises of these."""
        fresh = [_group(endpoint_id, each, now) for each in raises]
        there = await self._database.insert_many("deliveries", fresh)
        updates: list[tuple[Query, Update]] = []
        for place in there:
            each, id_ = raises[place], fresh[place]["_id"]
            if each.again:
                updates.append(_beginning_again(id_, each, now))
        if updates:
            await self._database.bulk_update("deliveries", updates)
        if there:
            await self._database.bulk_update(
                "deliveries", [({"_id": fresh[place]["_id"]}, _raising(raises[place], now)) for place in there]
            )
        return [raises[place] for place in there]

    @override
    async def skip_groups(self, endpoint_id: str, now: int) -> None:
        skipped: Document = {"done": "$upto", "tries": 0, "next_at": None, **_ENDED}
        # A late copy may arrive when the endpoint is long enabled: groups that have got events since are safe from it.
        due: Query = {"endpoint_id": endpoint_id, **_DUE, "at": {"$lte": now}}
        while found := await self._database.find("deliveries", due, fields=_ID, most=_STEP_MAX, current=True):
            some = {**due, "_id": {"$in": [document["_id"] for document in found]}}
            await self._database.update_many("deliveries", some, [{"$set": skipped}])

    @override
    async def resend(self, delivery: Delivery, now: int) -> None:
        document: Document = {
            **msgspec.to_builtins(delivery),
            "_id": _group_id(delivery.endpoint_id, delivery.key),
            "next_at": now,
            "at": now,
            **_ENDED,
        }
        if await self._database.insert_many("deliveries", [document]):
            fields = {name: value for name, value in document.items() if name != "_id"}
            await self._database.find_one_and_update(
                "deliveries", {"_id": document["_id"]}, {"$set": fields}, fields=_ID
            )

    @override
    async def claim(self, endpoint_id: str, now: int, most: int, lease: str, until: int) -> list[Delivery]:
        free: Document = {"next_at": {"$lte": now, "$type": "number"}, "leased_until": {"$lte": now}}
        due = await self._database.find(
            "deliveries",
            {"endpoint_id": endpoint_id, **free},
            fields=_ID,
            order=[("next_at", 1)],
            most=most,
        )
        if not due:
            return []
        ids = {"_id": {"$in": [document["_id"] for document in due]}}
        await self._database.update_many(
            "deliveries", {**ids, **free}, {"$set": {"lease": lease, "leased_until": until}}
        )
        found = await self._database.find("deliveries", {**ids, "lease": lease}, current=True)
        return [read_struct(document, Delivery) for document in found]

    @override
    async def end_turns(self, ends: Sequence[DeliveryEnd], lease: str, now: int) -> None:
        if ends:
            await update_alike(self._database, "deliveries", [_ending(end, lease, now) for end in ends])

    @override
    async def log_attempts(self, attempts: Sequence[LoggedAttempt]) -> None:
        if attempts:
            await self._database.insert_many("attempts", [struct_document(each) for each in attempts])

    @override
    async def attempts(self, endpoint_id: str, beyond: str | None, most: int) -> list[LoggedAttempt]:
        query: Document = {"endpoint_id": endpoint_id} | ({} if beyond is None else {"_id": {"$lt": beyond}})
        found = await self._database.find("attempts", query, order=[("_id", -1)], most=most)
        return [read_struct(document, LoggedAttempt) for document in found]

    @override
    async def backlog(self, endpoint_id: str) -> DeliveryBacklog:
        count = {"_id": None, "groups": {"$sum": 1}, "oldest_due": {"$min": "$next_at"}}
        found = await self._database.aggregate(
            "deliveries", [{"$match": {"endpoint_id": endpoint_id, **_DUE}}, {"$group": count}]
        )
        return (
            DeliveryBacklog(int(found[0]["groups"]), int(found[0]["oldest_due"])) if found else DeliveryBacklog(0, None)
        )

    @override
    async def forget_deliveries(self, before: int, most: int) -> int:
        old = await self._database.find("attempts", {}, fields={"at": 1}, order=[("_id", 1)], most=most)
        ids = [document["_id"] for document in old if document["at"] < before]
        if ids:
            await self._database.delete_many("attempts", {"_id": {"$in": ids}})
        stale: Document = {"at": {"$lt": before}, "next_at": None}
        idle = await self._database.find("deliveries", stale, fields=_ID, order=[("at", 1)], most=most)
        if idle:
            await self._database.delete_many(
                "deliveries", {**stale, "_id": {"$in": [document["_id"] for document in idle]}}
            )
        return len(ids) + len(idle) + await self._forget_removed(before, most)

    async def _forget_removed(self, before: int, most: int) -> int:
        """Delete groups of endpoints that were removed since. Others have had all that time to be emptied."""
        removed = await self._database.find("endpoints", {"removed_at": {"$gte": before}}, fields=_ID, most=most)
        deleted = 0
        for endpoint_id in map(id_of, removed):
            theirs: Query = {"_id": {"$gte": _group_id(endpoint_id, ""), "$lt": f"{endpoint_id};"}}  # ; comes after :
            found = await self._database.find("deliveries", theirs, fields=_ID, most=most - deleted)
            if found:
                ids = [document["_id"] for document in found]
                await self._database.delete_many("deliveries", {"_id": {"$in": ids}})
            deleted += len(found)
            if deleted == most:
                break
        return deleted


def _group_id(endpoint_id: str, key: str) -> str:
    return f"{endpoint_id}:{key}"


def _group(endpoint_id: str, each: GroupRaise, now: int) -> Document:
    """The document of a new group, which is due at once."""
    fresh = Delivery(endpoint_id, each.subject_id, each.subject_id, each.first - 1, each.previous, each.last, 0)
    fields: Document = msgspec.to_builtins(fresh)
    return {**fields, "_id": _group_id(endpoint_id, each.subject_id), "next_at": now, "at": now, **_ENDED}


def _beginning_again(group_id: str, each: GroupRaise, now: int) -> tuple[Query, Update]:
    """Guard: the group is past the event, or its turn is running: the end of that would set it past the event."""
    guard: Document = {"_id": group_id, "$or": [{"done": {"$gte": each.first}}, {"lease": {"$ne": None}}]}
    past: Any = {"$gte": ["$done", each.first]}
    state: Document = {
        "done": {"$cond": [past, each.first - 1, "$done"]},
        "previous": {"$cond": [past, each.previous, "$previous"]},
        "tries": 0,
        "next_at": now,
    }
    return guard, [{"$set": {**state, **_ENDED}}]


def _raising(each: GroupRaise, now: int) -> Update:
    upto: Any = {"$max": ["$upto", each.last]}
    idle: Any = {"$eq": [{"$ifNull": ["$next_at", None]}, None]}
    due: Any = {"$and": [idle, {"$gt": [upto, "$done"]}]}
    done: Any = {"$cond": [idle, {"$max": ["$done", each.first - 1]}, "$done"]}
    return [{"$set": {"upto": upto, "done": done, "next_at": {"$cond": [due, now, "$next_at"]}, "at": now}}]


def _ending(end: DeliveryEnd, lease: str, now: int) -> GuardedUpdate:
    next_at: Any = end.next_at
    if next_at is None:
        next_at = {"$cond": [{"$gt": ["$upto", end.done]}, now, None]}
    state: Document = {"done": end.done, "previous": end.previous, "tries": end.tries, "next_at": next_at, "at": now}
    id_ = _group_id(end.delivery.endpoint_id, end.delivery.key)
    return GuardedUpdate(id_, {"lease": lease}, [{"$set": {**state, **_ENDED}}])


def _endpoint(document: Document) -> Endpoint:
    return read_struct(document, Endpoint)
