"""Figures for operators, from the MongoDB server."""

from typing import Final, NamedTuple

import msgspec
from typing_extensions import override

from flashreserve.core.model import Status
from flashreserve.core.monitoring import COUNTS_MAX, AuditVerdict, Flows, HoldCount, ProcessReport
from flashreserve.stores.filters import IDS_APART_MS, first_id_at
from flashreserve.stores.mongo.database import Database, Document, Query
from flashreserve.stores.mongo.documents import read_struct, readable, struct_document
from flashreserve.stores.monitor import (
    FLOW_RESERVATIONS_MAX,
    PROCESSES_MAX,
    REPORTS_KEPT_MS,
    VERDICTS_KEPT,
    MonitorStore,
)
from flashreserve.stores.port import StoreDefectError
from flashreserve.stores.unreadable import UnreadableError

_PAGE: Final = 10_000
"""Reservations that one command sums up, so that it ends within its time."""

_LAST_ID: Final = "~"
"""It sorts after every id."""

_ID: Final = {"_id": 1}
_PENDING: Final[Query] = {"status": Status.PENDING.value, "expires_at": {"$gt": 0}}
"""The open holds. The second condition lets the server use the index of due holds."""


class MongoMonitor(MonitorStore):
    """Its methods are documented in `flashreserve.stores.monitor`."""

    _database: Database

    @override
    async def held_units(self) -> dict[str, int]:
        units = {"quantity": {"$sum": "$lines.quantity"}, "returned": {"$sum": "$lines.returned"}}
        found = await self._database.aggregate(
            "reservations",
            [{"$match": _PENDING}, {"$unwind": "$lines"}, {"$group": {"_id": "$lines.product_id", **units}}],
        )
        held = {str(each.get("_id")): int(each["quantity"] - each["returned"]) for each in found}
        return {product_id: units for product_id, units in held.items() if units > 0}

    @override
    async def lapses(self, now: int, bucket_ms: int, buckets: int) -> list[HoldCount]:
        ended = {"$ceil": {"$divide": [{"$subtract": ["$expires_at", now]}, bucket_ms]}}
        place = {"$max": [0, {"$min": [ended, buckets + 1]}]}
        quantity, returned = {"$sum": "$lines.quantity"}, {"$sum": "$lines.returned"}
        sums = {"holds": {"$sum": 1}, "quantity": {"$sum": quantity}, "returned": {"$sum": returned}}
        found = await self._database.aggregate(
            "reservations", [{"$match": _PENDING}, {"$group": {"_id": place, **sums}}]
        )
        counts = [HoldCount() for _ in range(buckets + 2)]
        for each in found:
            counts[int(each["_id"])] = HoldCount(int(each["holds"]), int(each["quantity"] - each["returned"]))
        return counts

    @override
    async def flows(self, product_id: str, since: int, bucket_ms: int, buckets: int) -> Flows:
        """Sum the reservations up in pages, the newest first."""
        flows = Flows.none(buckets)
        moves = _Moves(product_id, since, bucket_ms, buckets)
        ids = {"$gt": first_id_at(since - IDS_APART_MS), "$lt": _LAST_ID}
        for most in [min(_PAGE, FLOW_RESERVATIONS_MAX - done) for done in range(0, FLOW_RESERVATIONS_MAX, _PAGE)]:
            page: list[Document] = [
                {"$match": {"product": product_id, "_id": ids}},
                {"$sort": {"_id": -1}},
                {"$limit": most},
            ]
            found = await self._database.aggregate("reservations", page + moves.summed())
            for each in found:
                if each["_id"]["bucket"] >= 0:
                    flows.add(each["_id"]["direction"], int(each["_id"]["bucket"]), int(each["units"]))
            if sum(each["number"] for each in found if each["_id"]["direction"] == "reserved") < most:
                break
            ids["$lt"] = min(each["last"] for each in found)
        return flows

    @override
    async def note_process(self, report: ProcessReport) -> None:
        if not report.is_bounded:
            raise StoreDefectError(f"a process's report has more than {COUNTS_MAX} counts")
        document = struct_document(report)
        # Pairs, because MongoDB would take a name with a dot apart if it were a field's.
        document["counts"] = sorted([name, count] for name, count in report.counts.items())
        fields = {name: value for name, value in document.items() if name != "_id"}
        own: Query = {"_id": report.id}
        if await self._database.find_one_and_update("processes", own, {"$set": fields}, fields=_ID) is None:
            await self._database.insert_many("processes", [document])
        await self._database.delete_many("processes", {"seen_at": {"$lt": report.seen_at - REPORTS_KEPT_MS}})

    @override
    async def processes(self, since: int) -> list[ProcessReport]:
        found = await self._database.find(
            "processes", {"seen_at": {"$gte": since}}, order=[("started_at", 1), ("_id", 1)], most=PROCESSES_MAX
        )
        return list(readable(found, _report_from).values())

    @override
    async def add_verdict(self, verdict: AuditVerdict) -> None:
        if await self._database.insert_many("verdicts", [struct_document(verdict.shortened())]):
            raise StoreDefectError("an id that should be new is in use")
        kept = await self._database.find("verdicts", {}, fields=_ID, order=[("_id", -1)], most=VERDICTS_KEPT)
        if len(kept) == VERDICTS_KEPT:
            await self._database.delete_many("verdicts", {"_id": {"$lt": kept[-1]["_id"]}})

    @override
    async def verdicts(self, most: int) -> list[AuditVerdict]:
        found = await self._database.find("verdicts", {}, order=[("_id", -1)], most=most)
        return list(readable(found, _verdict_from).values())


class _Moves(NamedTuple):
    """The expressions that sum up the moves of a product's units by direction and bucket.

    They read lists only where there are lists, and `$sum` leaves out what isn't a number. So a document that can't be
    read doesn't fail the command.
    """

    product_id: str
    since: int
    bucket_ms: int
    buckets: int

    def summed(self) -> list[Document]:
        """The stages after those that choose the reservations. Their last one returns the lowest id, too."""
        mine = {"mine": self._of_product("$lines"), "entries": self._entries()}
        group = {"direction": "$moves.direction", "bucket": self._bucket("$moves.at")}
        sums = {"units": {"$sum": "$moves.units"}, "number": {"$sum": 1}, "last": {"$min": "$_id"}}
        return [
            {"$set": mine},
            {"$project": {"created_at": 1, "moves": _moves()}},
            {"$unwind": "$moves"},
            {"$group": {"_id": group, **sums}},
        ]

    def _entries(self) -> Document:
        """Time and units of each return. `unbought` are those of a confirmation of a part, which has no key."""
        units = {"$let": {"vars": {"own": self._of_product("$$entry.lines")}, "in": {"$sum": "$$own.quantity"}}}
        without_key = {"$eq": [{"$ifNull": ["$$entry.key", None]}, None]}
        entry = {"at": "$$entry.at", "units": units, "unbought": {"$cond": [without_key, units, 0]}}
        return {"$map": {"input": _list("$returns"), "as": "entry", "in": entry}}

    def _of_product(self, lines: str) -> Document:
        cond = {"$eq": ["$$line.product_id", self.product_id]}
        return {"$filter": {"input": _list(lines), "as": "line", "cond": cond}}

    def _bucket(self, at: str) -> Document:
        """The bucket of an instant; -1 outside all buckets, or if the reservation was made before them."""
        end = self.since + self.buckets * self.bucket_ms
        within = {"$and": [{"$gte": ["$created_at", self.since]}, {"$gte": [at, self.since]}, {"$lt": [at, end]}]}
        bucket = {"$floor": {"$divide": [{"$subtract": [at, self.since]}, self.bucket_ms]}}
        return {"$cond": [within, bucket, -1]}


def _moves() -> Document:
    """The moves of one reservation as a list. One that has not happened has no instant."""
    quantity: Document = {"$sum": "$mine.quantity"}
    bought = {"$max": [0, {"$subtract": [quantity, {"$sum": "$entries.unbought"}]}]}
    left = {"$max": [0, {"$subtract": [quantity, {"$sum": "$mine.returned"}]}]}
    once = [
        {"direction": "reserved", "at": "$created_at", "units": quantity},
        {"direction": "bought", "at": "$confirmed_at", "units": bought},
        {"direction": "returned", "at": "$released_at", "units": left},
    ]
    entry = {"direction": "returned", "at": "$$entry.at", "units": "$$entry.units"}
    return {"$concatArrays": [once, {"$map": {"input": "$entries", "as": "entry", "in": entry}}]}


def _list(path: str) -> Document:
    return {"$cond": [{"$isArray": [path]}, path, []]}


def _report_from(document: Document) -> ProcessReport:
    try:
        counts = dict(msgspec.convert(document.get("counts"), list[tuple[str, float]]))
    except msgspec.ValidationError as error:
        raise UnreadableError("expected counts as pairs of a name and a number") from error
    return read_struct({**document, "counts": counts}, ProcessReport)


def _verdict_from(document: Document) -> AuditVerdict:
    return read_struct(document, AuditVerdict)
