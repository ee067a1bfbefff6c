"""The store on a MongoDB server: standalone, replica set or sharded cluster. Any number of processes can share it."""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal

from typing_extensions import override

from flashreserve.calls import CALL_S, PATIENT_S, patience
from flashreserve.core import limits
from flashreserve.core.commands import Command
from flashreserve.core.model import Account, Product, Reservation, Role
from flashreserve.core.quotas import NO_QUOTAS, Quotas
from flashreserve.side_by_side import all_ended
from flashreserve.stores.mongo import audit, product_import, recovery, version
from flashreserve.stores.mongo.chunks import parts
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.database import Database, Document
from flashreserve.stores.mongo.documents import (
    INDEXES,
    PRODUCT_FIELDS,
    VISIBLE,
    VOID,
    account_document,
    account_from,
    due,
    id_of,
    product_from,
    reservation_from,
)
from flashreserve.stores.mongo.flush import Flush
from flashreserve.stores.mongo.inspection import oldest_due
from flashreserve.stores.mongo.intents import IdSource, LateSettling
from flashreserve.stores.mongo.known_products import KnownProducts
from flashreserve.stores.mongo.release_movement import may_still_match
from flashreserve.stores.port import (
    Audit,
    Flushed,
    Progress,
    SetAside,
    Store,
    StoreDefectError,
    StoreOutcomeUnknownError,
    StoreReadOnlyError,
    StoreUnavailableError,
    Swept,
    Take,
)
from flashreserve.stores.unreadable import UnreadableItems

FLUSHES_MAX: Final = 4
"""Flushes that one process runs at a time: that of the combiner, that of the sweep, and two more."""

_FINISH_S: Final = 3.0
"""How long closing waits for settlements."""

_LOOKS_MAX: Final = 50
"""How often one step of a sweep searches for due holds, at most."""


async def open_mongo(url: str, ids: IdSource, *, create: bool, quotas: Quotas = NO_QUOTAS) -> "MongoStore":
    """Open the database that the URL names, from within the event loop that will use it.

    `ids` makes new ids for movements, and for reservations that are tried again. With `create`, missing indexes are
    created; without, they must exist.

    Raises:
        StoreUnavailableError: the server can't be reached, the database is of a version that this program can't use,
            or an index is missing or differs.
    """
    return await start(PymongoDatabase(url), ids, create=create, quotas=quotas)


async def start(database: Database, ids: IdSource, *, create: bool, quotas: Quotas = NO_QUOTAS) -> "MongoStore":
    """Make the store on any database, after writing or checking its version and indexes."""
    try:
        with patience(PATIENT_S):  # A server that has just started answers slowly at first.
            await _prepare(database, create=create)
    except BaseException:
        await database.close()
        raise
    return MongoStore(database, ids, quotas)


async def _prepare(database: Database, *, create: bool) -> None:
    noted = await version.check(database, create=create)
    await database.ensure_indexes(INDEXES, create=create)
    if not noted:
        raise StoreUnavailableError("the database's version isn't noted; start `flashreserve serve`, which does so")


class MongoStore(Store):
    """Its methods are documented in `flashreserve.stores.port`."""

    flushes_ahead = 0
    # A search for due holds may make the server read all of them (FerretDB sorts them each time), so searches are rare
    # and large. No request waits for a whole step.
    sweep_max = 32 * limits.SWEEP_MAX

    def __init__(self, database: Database, ids: IdSource, quotas: Quotas = NO_QUOTAS) -> None:
        self._database = database
        self._ids = ids
        self._quotas = quotas
        self._late = LateSettling(database)
        self._known = KnownProducts(quotas)
        self._aside = UnreadableItems()
        self._gate = asyncio.Semaphore(FLUSHES_MAX)

    @override
    async def flush_late(self, take: Take) -> Flushed:
        async with self._gate:
            taken = take()
            return await self._new_flush(taken.now).run(taken.commands, taken.given_up)

    @override
    async def flush(self, commands: Sequence[Command], now: int) -> Flushed:
        async with self._gate:
            return await self._new_flush(now).run(commands)

    def _new_flush(self, now: int) -> Flush:
        return Flush(self._database, self._ids, self._late, self._known, self._quotas, now)

    @override
    async def release_lapsed(self, now: int, most: int) -> Swept:
        with patience(PATIENT_S):
            return await self._release_lapsed(now, most)

    async def _release_lapsed(self, now: int, most: int) -> Swept:
        released = 0
        tried: set[str] = set()
        for _ in range(_LOOKS_MAX):
            wanted = most - released
            due = await self._due(now, wanted + 1, tried)
            mine = await self._expire_in_turn(due[:wanted], now)
            released += mine
            if mine == len(due[:wanted]):
                return Swept(released, more=len(due) > wanted)
            # Another process sweeps too and was faster, or a product has no room for a release. There may be other due
            # holds for this process. Those that it has tried wait for the next sweep.
            tried.update(map(str, due[:wanted]))
        return Swept(released, more=True)

    async def _expire_in_turn(self, due: Sequence[str], now: int) -> int:
        """Release the holds in batches. Returns how many of them this store released.

        If another process is releasing the same holds, continue from the other end of the list, away from it.
        """
        left = deque(due[start : start + limits.SWEEP_MAX] for start in range(0, len(due), limits.SWEEP_MAX))
        released, forwards = 0, True
        while left:
            some = left.popleft() if forwards else left.pop()
            mine = await self._expire_apart(some, now)
            released += mine
            if mine < len(some):
                forwards = not forwards
        return released

    async def _expire_apart(self, due: Sequence[str], now: int) -> int:
        """Release the holds. If one makes that fail, halve the list until that one is alone, and set it aside."""
        try:
            return await self._expire(due, now)
        except (StoreUnavailableError, StoreOutcomeUnknownError):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of one; the others must be released
            if len(due) == 1:
                self._aside.postpone("reservation", due[0], f"can't be released: {error!r}", now)
                return 0
        half = len(due) // 2
        return await self._expire_apart(due[:half], now) + await self._expire_apart(due[half:], now)

    async def _expire(self, due: Sequence[str], now: int) -> int:
        """Release the holds, by several concurrent flushes if there are many. Returns how many this store released."""

        async def one(ids: Sequence[str]) -> int:
            async with self._gate:
                documents = await self._database.find("reservations", {"_id": {"$in": list(ids)}})
                left = [document for document in documents if may_still_match(document, "sweep", now)]
                sound = await self._releasable(left, now)
                return await self._new_flush(now).expire(sound) if sound else 0

        return sum(await all_ended([one(part) for part in parts(due)]))

    async def _releasable(self, documents: Sequence[Document], now: int) -> list[Document]:
        """The documents that can be read and whose products exist. The others are set aside."""
        held = {each.id: each for each in self._readable_reservations(documents)}
        named = {line.product_id for each in held.values() for line in each.lines}
        query = {"_id": {"$in": list(named)}}
        found = await self._database.find("products", query, fields={"_id": 1}) if named else []
        there = {each["_id"] for each in found}
        sound: list[Document] = []
        for document in documents:
            mine = held.get(document["_id"])
            if mine is None:
                self._aside.postpone("reservation", id_of(document), "can't be read", now)
            elif lost := {line.product_id for line in mine.lines} - there:
                self._aside.postpone("reservation", mine.id, f"its product {min(lost)} isn't there", now)
            else:
                sound.append(document)
        return sound

    async def _due(self, now: int, most: int, tried: Collection[str] = ()) -> list[str]:
        """The ids of lapsed holds, the earliest first, without those that are set aside or were `tried` before."""
        passed_over = {*self._aside.postponed("reservation", now), *tried}
        found = await self._database.find(
            "reservations",
            due(now),
            fields={"_id": 1},
            order=[("expires_at", 1), ("_id", 1)],
            most=most + len(passed_over),
        )
        return [document["_id"] for document in found if id_of(document) not in passed_over][:most]

    @override
    async def recover(self, now: int, most: int) -> int:
        with patience(PATIENT_S):
            await self._late.finish()  # Settle this process's own movements first, because they aren't abandoned.
            await product_import.recover(self._database, now, most)
            return await recovery.recover(self._database, self._ids, self._aside, now, most)

    @override
    async def reservation(self, reservation_id: str) -> Reservation | None:
        found = await self._database.find("reservations", {"_id": reservation_id, "status": {"$ne": VOID}}, most=1)
        return next(iter(self._readable_reservations(found)), None)

    @override
    async def reservations_of_user(self, user_id: str, before: str | None, most: int) -> list[Reservation]:
        return await self._reservations({"user_id": user_id}, before, most, direction=-1)

    @override
    async def reservations_of_product(self, product_id: str, after: str | None, most: int) -> list[Reservation]:
        return await self._reservations({"product": product_id}, after, most)

    @override
    async def all_reservations(self, after: str | None, most: int) -> list[Reservation]:
        return await self._reservations({}, after, most)

    async def _reservations(
        self, query: Mapping[str, Any], after: str | None, most: int, *, direction: Literal[1, -1] = 1
    ) -> list[Reservation]:
        """A page of reservations. Documents that can't be read are replaced by the next ones."""
        query = {**query, "status": {"$ne": VOID}}
        page: list[Reservation] = []
        while (wanted := most - len(page)) > 0:
            beyond = {} if after is None else {"_id": {"$gt" if direction == 1 else "$lt": after}}
            found = await self._database.find(
                "reservations", {**query, **beyond}, order=[("_id", direction)], most=wanted
            )
            page += self._readable_reservations(found)
            if len(found) < wanted:
                break
            after = found[-1]["_id"]
        return page

    def _readable_reservations(self, documents: Sequence[Document]) -> list[Reservation]:
        return self._aside.readable("reservation", documents, id_of, reservation_from)

    @override
    async def oldest_due(self, now: int) -> int | None:
        return await oldest_due(self._database, now)

    @override
    async def audit(self, progress: Progress | None = None) -> Audit:
        with patience(PATIENT_S):
            return await audit.audit(self._database, progress)

    @override
    async def add_products(self, products: Sequence[Product]) -> None:
        with patience(PATIENT_S if len(products) > 1 else CALL_S):
            await product_import.add(self._database, self._ids, products)

    @override
    async def product(self, product_id: str) -> Product | None:
        found = await self.products([product_id])
        return found[0] if found else None

    @override
    async def products(self, product_ids: Sequence[str]) -> list[Product]:
        query = {"_id": {"$in": list(product_ids)}, **VISIBLE}
        found = self._readable_products(await self._database.find("products", query, fields=PRODUCT_FIELDS))
        self._known.learn(found)
        return found

    @override
    async def list_products(self, after: str | None, most: int) -> list[Product]:
        page: list[Product] = []
        while (wanted := most - len(page)) > 0:
            query = {**_above(after), **VISIBLE}
            found = await self._database.find("products", query, fields=PRODUCT_FIELDS, order=[("_id", 1)], most=wanted)
            page += self._readable_products(found)
            if len(found) < wanted:
                break
            after = found[-1]["_id"]
        return page

    def _readable_products(self, documents: Sequence[Document]) -> list[Product]:
        return self._aside.readable("product", documents, id_of, product_from)

    @override
    async def add_account(self, account: Account) -> bool:
        if not await self._database.insert_many("accounts", [account_document(account)]):
            return True
        if await self._database.find("accounts", {"email": account.email}, fields={"_id": 1}, most=1):
            return False
        raise StoreDefectError("an id that should be new is in use")

    @override
    async def account_by_email(self, email: str) -> Account | None:
        return await self._account({"email": email})

    @override
    async def account_by_id(self, account_id: str) -> Account | None:
        return await self._account({"_id": account_id})

    async def _account(self, query: Mapping[str, Any]) -> Account | None:
        found = await self._database.find("accounts", query, most=1)
        return next(iter(self._aside.readable("account", found, id_of, account_from)), None)

    @override
    async def replace_password_hash(self, account_id: str, old: str, new: str) -> bool:
        return await self._change_account({"_id": account_id, "password_hash": old}, {"password_hash": new})

    @override
    async def set_role(self, account_id: str, role: Role) -> bool:
        return await self._change_account({"_id": account_id}, {"role": role.value})

    async def _change_account(self, query: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
        found = await self._database.find_one_and_update("accounts", query, {"$set": change}, fields={"_id": 1})
        return found is not None

    @override
    async def check_writable(self) -> None:
        """Make a journalled write that is acknowledged by a majority."""
        await self._database.find("products", {}, fields={"_id": 1}, most=1)
        try:
            await version.touch(self._database)
        except (StoreUnavailableError, StoreOutcomeUnknownError) as error:
            raise StoreReadOnlyError(str(error)) from error

    @override
    async def database_now_ms(self) -> int | None:
        return await self._database.now_ms()

    @override
    def set_aside(self) -> Sequence[SetAside]:
        return self._aside.all()

    @override
    def beat(self) -> str:
        return self._database.beat()

    @override
    async def close(self) -> None:
        """Close the database. A settlement that takes too long is left to recovery."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                await self._late.finish()
        await self._database.close()


def _above(after: str | None) -> dict[str, Any]:
    return {"_id": {"$gt": after}} if after else {}
