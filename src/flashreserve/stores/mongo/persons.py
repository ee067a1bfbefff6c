"""Erasing a person from the MongoDB server.

A reservation changes its customer in one guarded write, and only while no movement names it. A return that begins
meanwhile finds another customer, and ends without effect (`return_movement.is_over`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from typing_extensions import override

from flashreserve.core import limits
from flashreserve.core.customers import hashed_id
from flashreserve.core.facts import is_limit_claim
from flashreserve.core.model import Role, Status
from flashreserve.stores.mongo import event_log
from flashreserve.stores.mongo.database import Database, Document, Query, Update
from flashreserve.stores.mongo.documents import LABELS, VOID, claims_of, kept_claim
from flashreserve.stores.mongo.trail import UNFLAGGED
from flashreserve.stores.outages import after_a_change
from flashreserve.stores.port import PersonStore, StoreUnavailableError

_PRIVATE: Final = ("key", *LABELS)
_TRIES_MAX: Final = 20


class MongoPersons(PersonStore):
    """Its methods are documented in `flashreserve.stores.port`."""

    _database: Database

    @override
    async def begin_erasure(self, customer_id: str, at: int) -> bool:
        admins: Query = {"_id": customer_id, "role": Role.ADMIN.value}
        if await self._database.find("accounts", admins, fields={"_id": 1}, current=True):
            return False
        hashed = hashed_id(customer_id)
        await self._database.insert_many("erasures", [{"_id": hashed, "at": at}])
        with after_a_change():
            await self._database.update_many("erasures", {"_id": hashed}, {"$max": {"at": at}})
            await self._database.delete_many("erasures", {"at": {"$lt": at - limits.ERASURES_KEPT_S * 1000}})
            return await self._delete_account(customer_id)

    async def _delete_account(self, customer_id: str) -> bool:
        """Delete the account once its events are in the log. Not if it was promoted meanwhile; then False."""
        for _ in range(_TRIES_MAX):
            await event_log.relay_account(self._database, customer_id)
            theirs: Query = {"_id": customer_id, "role": {"$ne": Role.ADMIN.value}}
            await self._database.delete_many("accounts", {**theirs, **UNFLAGGED})
            found = await self._database.find("accounts", {"_id": customer_id}, fields={"role": 1}, current=True)
            if not found:
                return True
            if found[0]["role"] == Role.ADMIN.value:
                return False
        raise StoreUnavailableError("the account is changed again and again")

    @override
    async def has_reservations(self, customer_id: str) -> bool:
        query = {"intents.at": {"$exists": True}, "intents.items.user_id": customer_id}
        if await self._database.find("products", query, fields={"_id": 1}, most=1, current=True):
            return True
        theirs = {"user_id": customer_id}
        return bool(await self._database.find("reservations", theirs, fields={"_id": 1}, most=1, current=True))

    @override
    async def erase_reservations(self, customer_id: str, pseudonym: str, most: int) -> int:
        query = {"user_id": customer_id, "status": {"$ne": Status.PENDING.value}}
        documents = await self._database.find("reservations", query, order=[("_id", 1)], most=most, current=True)
        listed = [document for document in documents if "ship_at" in document]
        await event_log.relay_reservations(self._database, listed)
        moving = await _moving(self._database, documents)
        changes = [_rewriting(document, pseudonym) for document in documents if document["_id"] not in moving]
        if changes:
            # First the events: if this ends in between, the next call finds the reservations and does both.
            ids = [document["_id"] for document in documents]
            await event_log.rename(self._database, customer_id, pseudonym, ids)
            await self._database.bulk_update("reservations", changes)
        return len(changes)


async def _moving(database: Database, documents: Sequence[Document]) -> set[str]:
    """The reservations, of these, that an unfinished movement names."""
    product_ids = {line["product_id"] for document in documents for line in document.get("lines", ())}
    query = {"_id": {"$in": sorted(product_ids)}, "intents.f": {"$exists": True}}
    found = await database.find("products", query, fields={"intents": 1}, current=True) if product_ids else []
    return {id_ for product in found for intent in product["intents"] for id_ in _named_in(intent)}


def _named_in(intent: Mapping[str, Any]) -> Iterator[str]:
    yield from (item["id"] for item in intent.get("items", ()))
    yield from intent.get("ids", ())
    if "reservation_id" in intent:
        yield intent["reservation_id"]


def _rewriting(document: Document, pseudonym: str) -> tuple[Query, Update]:
    """Guard: the customer, the status and the number of returns as they were read. So the claims are too.

    All its events have to be in the log, where they were rewritten: a relay could add others under the customer's id.
    """
    returns = document.get("returns", [])
    guard: Document = {"_id": document["_id"], "user_id": document["user_id"], "status": document["status"]}
    guard |= UNFLAGGED
    if document["status"] == VOID:
        return guard, {"$set": {"user_id": pseudonym}}
    guard[f"returns.{len(returns)}"] = {"$exists": False}
    kept = [kept_claim((pseudonym, claim)) for _, claim in claims_of(document) if is_limit_claim(claim)]
    change: Document = {"user_id": pseudonym, "claims": kept}
    change |= {f"returns.{place}.reason": None for place in range(len(returns))}
    return guard, {"$set": change, "$unset": dict.fromkeys(_PRIVATE, "")}
