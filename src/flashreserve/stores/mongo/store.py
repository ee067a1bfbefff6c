"""The store on a MongoDB server: standalone, replica set or sharded cluster. Any number of processes can share it."""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Final

from typing_extensions import override

from flashreserve.calls import PATIENT_S, patience
from flashreserve.core import limits
from flashreserve.core.audits import Audit, SetAside
from flashreserve.core.commands import Command
from flashreserve.core.events import Event
from flashreserve.core.model import Reservation
from flashreserve.core.quotas import NO_QUOTAS, Quotas
from flashreserve.side_by_side import all_ended
from flashreserve.stores.filters import (
    EventFilter,
    EventsFound,
    LoggedCounts,
    ReservationFilter,
    ReservationsFound,
)
from flashreserve.stores.mongo import audit, event_log, product_import, recovery, version
from flashreserve.stores.mongo.accounts import MongoAccounts, MongoKeys
from flashreserve.stores.mongo.catalogue import MongoCatalogue
from flashreserve.stores.mongo.chunks import parts
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.database import Database, Document
from flashreserve.stores.mongo.deliveries import MongoDeliveries
from flashreserve.stores.mongo.documents import (
    INDEXES,
    VOID,
    due,
    id_of,
    reservation_from,
)
from flashreserve.stores.mongo.flush import Flush
from flashreserve.stores.mongo.inspection import grants, oldest_due
from flashreserve.stores.mongo.intents import IdSource, LateSettling
from flashreserve.stores.mongo.known_products import KnownProducts
from flashreserve.stores.mongo.monitor import MongoMonitor
from flashreserve.stores.mongo.persons import MongoPersons
from flashreserve.stores.mongo.release_movement import may_still_match
from flashreserve.stores.mongo.search import search
from flashreserve.stores.port import (
    Flushed,
    Progress,
    Store,
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


async def open_mongo(
    url: str, ids: IdSource, *, create: bool, quotas: Quotas = NO_QUOTAS, logs_grants: bool = False
) -> "MongoStore":
    """Open the database that the URL names, from within the event loop that will use it.

    `ids` makes new ids for movements, and for reservations that are tried again. With `create`, missing indexes are
    created; without, they must exist. With `logs_grants`, the grants of holds are in the log of events too.

    Raises:
        StoreUnavailableError: the server can't be reached, the database is of a version that this program can't use,
            or an index is missing or differs.
    """
    return await start(PymongoDatabase(url), ids, create=create, quotas=quotas, logs_grants=logs_grants)


async def start(
    database: Database, ids: IdSource, *, create: bool, quotas: Quotas = NO_QUOTAS, logs_grants: bool = False
) -> "MongoStore":
    """Make the store on any database, after writing or checking its version and indexes."""
    try:
        with patience(PATIENT_S):  # A server that has just started answers slowly at first.
            await _prepare(database, create=create)
    except BaseException:
        await database.close()
        raise
    return MongoStore(database, ids, quotas, logs_grants=logs_grants)


async def _prepare(database: Database, *, create: bool) -> None:
    noted = await version.check(database, create=create)
    await database.ensure_indexes(INDEXES, create=create)
    if not noted:
        raise StoreUnavailableError("the database's version isn't noted; start `flashreserve serve`, which does so")


class MongoStore(MongoCatalogue, MongoAccounts, MongoKeys, MongoPersons, MongoDeliveries, MongoMonitor, Store):
    """Its methods are documented in `flashreserve.stores.port`."""

    flushes_ahead = 0
    # A search for due holds may make the server read all of them (FerretDB sorts them each time), so searches are rare
    # and large. No request waits for a whole step.
    sweep_max = 32 * limits.SWEEP_MAX

    def __init__(
        self, database: Database, ids: IdSource, quotas: Quotas = NO_QUOTAS, *, logs_grants: bool = False
    ) -> None:
        aside = UnreadableItems()
        MongoCatalogue.__init__(self, database, ids, KnownProducts(quotas), aside)
        MongoAccounts.__init__(self, database, aside)
        self._quotas = quotas
        self._logs_grants = logs_grants
        self._late = LateSettling(database)
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
        return Flush(
            self._database,
            self._ids,
            self._late,
            self._known,
            self._quotas,
            now,
            logs_grants=self._logs_grants,
        )

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
    async def search_reservations(
        self, where: ReservationFilter, beyond: str | None, most: int, now: int, *, newest_first: bool = False
    ) -> ReservationsFound:
        found, after = await search(self._database, where, beyond, most, now, newest_first=newest_first)
        return ReservationsFound(self._readable_reservations(found), after)

    def _readable_reservations(self, documents: Sequence[Document]) -> list[Reservation]:
        return self._aside.readable("reservation", documents, id_of, reservation_from)

    @override
    async def grants(self, since: int, most: int) -> dict[int, int]:
        return await grants(self._database, since, most)

    @override
    async def oldest_due(self, now: int) -> int | None:
        return await oldest_due(self._database, now)

    @override
    async def audit(self, progress: Progress | None = None) -> Audit:
        with patience(PATIENT_S):
            return await audit.audit(self._database, progress)

    @override
    async def settling(self, product_id: str | None) -> int:
        await self._late.finish()  # This process's own movements, of which only the last step is left.
        return await super().settling(product_id)

    @override
    async def events(self, where: EventFilter, beyond: int, most: int) -> EventsFound:
        return await event_log.search(self._database, where, beyond, most)

    @override
    async def last_place(self) -> int:
        return await event_log.last_place(self._database)

    @override
    async def logged_counts(self, beyond: int, most: int) -> LoggedCounts:
        return await event_log.logged_counts(self._database, beyond, most)

    @override
    async def place_before(self, at: int) -> int:
        return await event_log.place_before(self._database, at)

    @override
    async def subject_events(self, wanted: Sequence[tuple[str, int, int]]) -> list[Event]:
        return await event_log.subject_events(self._database, wanted)

    @override
    async def relay(self, now: int, most: int) -> int:
        with patience(PATIENT_S):
            return await event_log.relay(self._database, self._aside, now, most)

    @override
    async def forget_events(self, before: int, most: int) -> int:
        return await event_log.forget(self._database, before, most)

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
