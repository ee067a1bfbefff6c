"""The store on a MongoDB server: standalone, replica set or sharded cluster. Any number of processes share it."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from flashreserve.calls import CALL_S, PATIENT_S, patience
from flashreserve.core import limits
from flashreserve.core.commands import Command
from flashreserve.core.model import Account, Product, Reservation, Role, Status
from flashreserve.core.quotas import NO_QUOTAS, Quotas
from flashreserve.stores.mongo import auditing, importing, recovering
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.database import Database, Order
from flashreserve.stores.mongo.documents import (
    INDEXES,
    PRODUCT_FIELDS,
    VISIBLE,
    VOID,
    account_document,
    account_from,
    product_from,
    reservation_from,
)
from flashreserve.stores.mongo.flushing import Flush
from flashreserve.stores.mongo.intents import Ids, LateSettling
from flashreserve.stores.mongo.known import KnownProducts
from flashreserve.stores.mongo.parts import parts
from flashreserve.stores.mongo.releasing import may_still_match
from flashreserve.stores.port import (
    Audit,
    Flushed,
    StoreDefectError,
    StoreOutcomeUnknownError,
    StoreReadOnlyError,
    StoreUnavailableError,
    Swept,
    Take,
)

FLUSHES_MAX: Final = 4
"""Flushes in the database at one time, from one process: the combiner's, the sweep's, and some to spare."""

_FINISH_S: Final = 3.0
"""How long closing waits for settlements."""

_LOOKS_MAX: Final = 50
"""How often one step of a sweep looks for what is due."""


async def open_mongo(url: str, ids: Ids, *, create: bool, quotas: Quotas = NO_QUOTAS) -> "MongoStore":
    """Open the database that the URL names, from within the event loop that will use it.

    `ids` makes new ids for movements, and for reservations that are tried again. With `create` the indexes are made
    where they are missing; without, they must be there.

    Raises:
        StoreUnavailableError: the server can't be reached, or an index is missing or differs.
    """
    return await start(PymongoDatabase(url), ids, create=create, quotas=quotas)


async def start(database: Database, ids: Ids, *, create: bool, quotas: Quotas = NO_QUOTAS) -> "MongoStore":
    """The store on any database, its indexes made or checked."""
    try:
        await database.ensure_indexes(INDEXES, create=create)
    except BaseException:
        await database.close()
        raise
    return MongoStore(database, ids, quotas)


class MongoStore:
    """See `flashreserve.stores.port` for what each method promises."""

    flushes_ahead = 0
    # Finding what is due may cost the server a look at all of it (FerretDB sorts it each time), so it is done rarely.
    # Nobody waits for the whole of a step here.
    sweep_max = 32 * limits.SWEEP_MAX

    def __init__(self, database: Database, ids: Ids, quotas: Quotas = NO_QUOTAS) -> None:
        self._database = database
        self._ids = ids
        self._quotas = quotas
        self._late = LateSettling(database)
        self._known = KnownProducts(quotas)
        self._gate = asyncio.Semaphore(FLUSHES_MAX)

    async def flush_late(self, take: Take) -> Flushed:
        """See `ReservationStore`."""
        async with self._gate:
            commands, now = take()
            return await self._new_flush(now).run(commands)

    async def flush(self, commands: Sequence[Command], now: int) -> Flushed:
        """See `ReservationStore`."""
        async with self._gate:
            return await self._new_flush(now).run(commands)

    def _new_flush(self, now: int) -> Flush:
        return Flush(self._database, self._ids, self._late, self._known, self._quotas, now)

    async def release_lapsed(self, now: int, most: int) -> Swept:
        """See `ReservationStore`."""
        with patience(PATIENT_S):
            return await self._release_lapsed(now, most)

    async def _release_lapsed(self, now: int, most: int) -> Swept:
        released = 0
        for _ in range(_LOOKS_MAX):
            wanted = most - released
            due = await self._due(now, wanted + 1)
            mine = await self._expire_in_turn(due[:wanted], now)
            released += mine
            if mine == len(due[:wanted]):
                return Swept(released, more=len(due) > wanted)
            # Another process sweeps as well and was faster: there may be others left for this one.
        return Swept(released, more=True)

    async def _expire_in_turn(self, due: Sequence[str], now: int) -> int:
        """Release the holds, so many at a time; how many of them this store released.

        Where another process turns out to be at them as well, go on from the other end, away from it.
        """
        left = deque(due[start : start + limits.SWEEP_MAX] for start in range(0, len(due), limits.SWEEP_MAX))
        released, forwards = 0, True
        while left:
            some = left.popleft() if forwards else left.pop()
            mine = await self._expire(some, now)
            released += mine
            if mine < len(some):
                forwards = not forwards
        return released

    async def _expire(self, due: Sequence[str], now: int) -> int:
        """Release the holds, if there are many in some flushes at once; how many of them this store released."""

        async def one(ids: Sequence[str]) -> int:
            async with self._gate:
                documents = await self._database.find("reservations", {"_id": {"$in": list(ids)}})
                left = [document for document in documents if may_still_match(document, "sweep", now)]
                return await self._new_flush(now).expire(left) if left else 0

        results = await asyncio.gather(*[one(part) for part in parts(due)], return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return sum(result for result in results if isinstance(result, int))

    async def _due(self, now: int, most: int) -> list[str]:
        """The ids of holds that have lapsed, the longest lapsed first."""
        lapsed = {"status": Status.PENDING.value, "expires_at": {"$lte": now}}
        found = await self._database.find(
            "reservations", lapsed, fields={"_id": 1}, order=[("expires_at", 1), ("_id", 1)], most=most
        )
        return [document["_id"] for document in found]

    async def recover(self, now: int, most: int) -> int:
        """See `ReservationStore`."""
        with patience(PATIENT_S):
            await self._late.finish()  # What this process has still to settle was abandoned by nobody.
            await importing.recover(self._database, now, most)
            return await recovering.recover(self._database, self._ids, now, most)

    async def reservation(self, reservation_id: str) -> Reservation | None:
        """See `ReservationStore`."""
        found = await self._reservations({"_id": reservation_id}, [("_id", 1)], 1)
        return found[0] if found else None

    async def reservations_of_user(self, user_id: str, before: str | None, most: int) -> list[Reservation]:
        """See `ReservationStore`."""
        page = {"_id": {"$lt": before}} if before else {}
        return await self._reservations({"user_id": user_id, **page}, [("_id", -1)], most)

    async def reservations_of_product(self, product_id: str, after: str | None, most: int) -> list[Reservation]:
        """See `ReservationStore`."""
        return await self._reservations({"product": product_id, **_above(after)}, [("_id", 1)], most)

    async def all_reservations(self, after: str | None, most: int) -> list[Reservation]:
        """See `ReservationStore`."""
        return await self._reservations(_above(after), [("_id", 1)], most)

    async def _reservations(self, query: Mapping[str, Any], order: Order, most: int) -> list[Reservation]:
        found = await self._database.find("reservations", {**query, "status": {"$ne": VOID}}, order=order, most=most)
        return [reservation_from(document) for document in found]

    async def audit(self) -> Audit:
        """See `ReservationStore`."""
        with patience(PATIENT_S):
            return await auditing.audit(self._database)

    async def add_products(self, products: Sequence[Product]) -> None:
        """See `CatalogueStore`."""
        with patience(PATIENT_S if len(products) > 1 else CALL_S):
            await importing.add(self._database, self._ids, products)

    async def product(self, product_id: str) -> Product | None:
        """See `CatalogueStore`."""
        found = await self.products([product_id])
        return found[0] if found else None

    async def products(self, product_ids: Sequence[str]) -> list[Product]:
        """See `CatalogueStore`."""
        query = {"_id": {"$in": list(product_ids)}, **VISIBLE}
        found = [product_from(each) for each in await self._database.find("products", query, fields=PRODUCT_FIELDS)]
        self._known.learn(found)
        return found

    async def list_products(self, after: str | None, most: int) -> list[Product]:
        """See `CatalogueStore`."""
        found = await self._database.find(
            "products", {**_above(after), **VISIBLE}, fields=PRODUCT_FIELDS, order=[("_id", 1)], most=most
        )
        return [product_from(document) for document in found]

    async def add_account(self, account: Account) -> bool:
        """See `AccountStore`."""
        if not await self._database.insert_many("accounts", [account_document(account)]):
            return True
        if await self.account_by_email(account.email) is not None:
            return False
        raise StoreDefectError("an id that should be new is in use")

    async def account_by_email(self, email: str) -> Account | None:
        """See `AccountStore`."""
        return await self._account({"email": email})

    async def account_by_id(self, account_id: str) -> Account | None:
        """See `AccountStore`."""
        return await self._account({"_id": account_id})

    async def _account(self, query: Mapping[str, Any]) -> Account | None:
        found = await self._database.find("accounts", query, most=1)
        return account_from(found[0]) if found else None

    async def replace_password_hash(self, account_id: str, old: str, new: str) -> bool:
        """See `AccountStore`."""
        return await self._change_account({"_id": account_id, "password_hash": old}, {"password_hash": new})

    async def set_role(self, account_id: str, role: Role) -> bool:
        """See `AccountStore`."""
        return await self._change_account({"_id": account_id}, {"role": role.value})

    async def _change_account(self, query: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
        found = await self._database.find_one_and_update("accounts", query, {"$set": change}, fields={"_id": 1})
        return found is not None

    async def check_writable(self) -> None:
        """See `Store`. The update matches no product; its write concern still waits for a primary and a majority."""
        await self._database.find("products", {}, fields={"_id": 1}, most=1)
        try:
            await self._database.update_many("products", {"_id": ""}, {"$set": {"rev": 0}})
        except (StoreUnavailableError, StoreOutcomeUnknownError) as error:
            raise StoreReadOnlyError(str(error)) from error

    async def database_now_ms(self) -> int | None:
        """See `Store`."""
        return await self._database.now_ms()

    def beat(self) -> str:
        """See `Store`."""
        return self._database.beat()

    async def close(self) -> None:
        """See `Store`. A settlement that lasts too long is left to recover."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                await self._late.finish()
        await self._database.close()


def _above(after: str | None) -> dict[str, Any]:
    return {"_id": {"$gt": after}} if after else {}
