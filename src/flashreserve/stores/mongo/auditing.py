"""Rule 1, exact at every instant, movements in the middle included.

available = stocked - Σ live units - Σ reserve-intent items without a reservation that the movement took units for
            - Σ lines released by f of open release intents
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from flashreserve.core.model import LIVE
from flashreserve.stores.mongo.database import Database, Document
from flashreserve.stores.mongo.documents import VISIBLE, VOID
from flashreserve.stores.port import Audit, Difference

LOOKS_MAX: Final = 20
"""How often a product that moves is summed again."""

_FIELDS: Final = {"stocked": 1, "available": 1, "moves": 1, "intents": 1}
_LIVE: Final = sorted(LIVE)


class _Sum(msgspec.Struct):
    """Units of one product: held or bought, and released by each movement."""

    live: int = 0
    released: dict[str, int] = {}


async def audit(database: Database) -> Audit:
    """Sum all products at once; those that moved meanwhile, or look wrong, are looked at again one by one."""
    before = {each["_id"]: each for each in await database.find("products", VISIBLE, fields=_FIELDS)}
    sums = await _sums(database, {})
    after = {each["_id"]: each for each in await database.find("products", VISIBLE, fields=_FIELDS)}
    differences: list[Difference] = []
    complete = True
    for id_, product in before.items():
        still = after.get(id_, product)["moves"] == product["moves"] and not product["intents"]
        if still and _book(product, sums.get(id_, _Sum()), 0) is None:
            continue
        found, seen_still = await _look(database, id_)
        complete = complete and seen_still
        differences += [found] if found is not None else []
    return Audit(len(before), await _count(database), differences, complete)


async def _look(database: Database, product_id: str) -> tuple[Difference | None, bool]:
    """The product's difference, if any, and whether a still picture of it could be had.

    A picture is still when no movement began or ended on the product while it was summed, and no reservation of an
    open one appeared. What else may happen meanwhile leaves the sum alone: confirming keeps units live, and releasing
    under an open intent takes them from live to released.
    """
    for _ in range(LOOKS_MAX):
        found = await database.find("products", {"_id": product_id}, fields=_FIELDS)
        if not found:
            return None, True
        product = found[0]
        missing = await _missing(database, product)
        sums = await _sums(database, {"product": product_id})
        again = await database.find("products", {"_id": product_id}, fields={"moves": 1})
        if again and again[0]["moves"] == product["moves"] and await _missing(database, product) == missing:
            return _book(product, sums.get(product_id, _Sum()), missing), True
    return None, False


def _book(product: Document, total: _Sum, missing: int) -> Difference | None:
    """What is wrong with the product's books."""
    releases = [intent["f"] for intent in product["intents"] if intent["kind"] == "release"]
    moving = missing + sum(total.released.get(f, 0) for f in releases)
    if product["available"] == product["stocked"] - total.live - moving:
        return None
    return Difference(product["_id"], product["stocked"], product["available"], total.live, moving)


async def _missing(database: Database, product: Document) -> int:
    """Units taken for reservations that don't exist (yet, or never will)."""
    reserves = [intent for intent in product["intents"] if intent["kind"] == "reserve"]
    ids = [item["id"] for intent in reserves for item in intent["items"]]
    if not ids:
        return 0
    query = {"_id": {"$in": ids}, "status": {"$ne": VOID}}
    found = await database.find("reservations", query, fields={"taken_by": 1})
    there = {(document["_id"], document["taken_by"]) for document in found}
    return sum(
        item["quantity"] for intent in reserves for item in intent["items"] if (item["id"], intent["f"]) not in there
    )


async def _sums(database: Database, which: Mapping[str, Any]) -> dict[str, _Sum]:
    """By product. In one scan, so that no reservation is counted twice or left out while its status changes."""
    groups = await database.aggregate(
        "reservations",
        [
            {"$match": {**which, "status": {"$ne": VOID}}},
            {"$unwind": "$lines"},
            {
                "$group": {
                    "_id": {
                        "product": "$lines.product_id",
                        "live": {"$in": ["$status", _LIVE]},
                        "by": {"$ifNull": ["$released_by", None]},
                    },
                    "units": {"$sum": "$lines.quantity"},
                }
            },
        ],
    )
    return _by_product(groups)


def _by_product(groups: Iterable[Document]) -> dict[str, _Sum]:
    sums: dict[str, _Sum] = {}
    for group in groups:
        total = sums.setdefault(group["_id"]["product"], _Sum())
        if group["_id"]["live"]:
            total.live += group["units"]
        elif group["_id"]["by"] is not None:
            total.released[group["_id"]["by"]] = total.released.get(group["_id"]["by"], 0) + group["units"]
    return sums


async def _count(database: Database) -> int:
    counted: Sequence[Document] = await database.aggregate(
        "reservations", [{"$match": {"status": {"$ne": VOID}}}, {"$group": {"_id": None, "n": {"$sum": 1}}}]
    )
    return counted[0]["n"] if counted else 0
