"""Searching reservations and products: a page at a time, and a limited number of documents for each page."""

from typing import Any, Final, NamedTuple

from flashreserve.core.model import Status
from flashreserve.stores.filters import IDS_APART_MS, SEARCHED_MAX, ProductFilter, ReservationFilter, first_id_at
from flashreserve.stores.mongo.database import Collection, Database, Document, Fields
from flashreserve.stores.mongo.documents import PRODUCT_FIELDS, VISIBLE, VOID, due, not_lapsed

_ANY: Final[dict[str, Any]] = {"status": {"$ne": VOID}}


async def search(
    database: Database, where: ReservationFilter, beyond: str | None, most: int, now: int, *, newest_first: bool
) -> tuple[list[Document], str | None]:
    """The documents of a page, and the id beyond which the next page begins; None after the last one."""
    ids = _ids(where, beyond, newest_first=newest_first)
    page = _Page("reservations", _indexed(where), ids, _allowed(where, now))
    return await _search(database, page, most, newest_first=newest_first)


async def search_products(
    database: Database, where: ProductFilter, beyond: str | None, most: int
) -> tuple[list[Document], str | None]:
    """The same for products."""
    external = {} if where.external_id is None else {"external_id": {"$in": [where.external_id], "$type": "string"}}
    page = _Page("products", external, {"$gt": beyond or ""}, {**VISIBLE, **_allowed_products(where)}, PRODUCT_FIELDS)
    found, after = await _search(database, page, most + 1)
    return (found[:most], found[most - 1]["_id"]) if len(found) > most else (found, after)


class _Page(NamedTuple):
    """A page to look for: those of the `indexed` documents with these `ids` that are `allowed`."""

    collection: Collection
    indexed: Document
    ids: Document
    allowed: Document
    fields: Fields | None = None


async def _search(
    database: Database, page: _Page, most: int, *, newest_first: bool = False
) -> tuple[list[Document], str | None]:
    in_order: list[Document] = [
        {"$match": page.indexed | {"_id": page.ids}},
        {"$sort": {"_id": -1 if newest_first else 1}},
    ]
    looked_at: list[Document] = [*in_order, {"$limit": SEARCHED_MAX}]
    chosen: list[Document] = [{"$match": page.allowed}, {"$limit": most}]
    if page.fields is not None:
        chosen.append({"$project": dict(page.fields)})
    found = await database.aggregate(page.collection, [*looked_at, *chosen])
    if len(found) == most:
        return found, found[-1]["_id"]
    edge = {"_id": None, "count": {"$sum": 1}, "last": {"$min" if newest_first else "$max": "$_id"}}
    seen = await database.aggregate(page.collection, [*looked_at, {"$group": edge}])
    if not seen or seen[0]["count"] < SEARCHED_MAX:
        return found, None
    # Documents made between the two reads shift the edge. So read again, up to this edge: the next page begins there.
    last = seen[0]["last"]
    up_to: Document = {"$match": page.indexed | {"_id": page.ids | {"$gte" if newest_first else "$lte": last}}}
    found = await database.aggregate(page.collection, [up_to, *in_order[1:], *chosen])
    return found, found[-1]["_id"] if len(found) == most else last


def _indexed(where: ReservationFilter) -> Document:
    """The part of the filter that has an index."""
    if where.external_id is not None:
        return {"external_id": {"$in": [where.external_id], "$type": "string"}}
    if where.user_id is not None:
        return {"user_id": where.user_id}
    return {} if where.product_id is None else {"product": where.product_id}


def _ids(where: ReservationFilter, beyond: str | None, *, newest_first: bool) -> Document:
    """The range of ids in which the search looks. Only ids that are texts are in it."""
    low = "" if where.since is None else first_id_at(where.since - IDS_APART_MS)
    ids: Document = {"$gt": low}
    if where.before is not None:
        ids["$lt"] = first_id_at(where.before + IDS_APART_MS)
    if beyond is not None and newest_first:
        ids["$lt"] = min(beyond, ids.get("$lt", beyond))
    elif beyond is not None:
        ids["$gt"] = max(beyond, low)
    return ids


def _allowed(where: ReservationFilter, now: int) -> Document:
    conditions: list[Document] = [_ANY if where.status is None else _of_status(where.status, now)]
    if where.user_id is not None:
        conditions.append({"user_id": where.user_id})
    if where.product_id is not None:
        conditions.append({"product": where.product_id})
    if where.since is not None:
        conditions.append({"created_at": {"$gte": where.since}})
    if where.before is not None:
        conditions.append({"created_at": {"$lt": where.before}})
    return {"$and": conditions}


def _of_status(status: Status, now: int) -> Document:
    """`core.holds.status_at` as a query."""
    match status:
        case Status.PENDING:
            return {"status": Status.PENDING.value, "expires_at": not_lapsed(now)}
        case Status.EXPIRED:
            return {"$or": [{"status": Status.EXPIRED.value}, dict(due(now))]}
        case Status.CONFIRMED | Status.CANCELLED:
            return {"status": status.value}


def _allowed_products(where: ProductFilter) -> Document:
    query: Document = {}
    if where.archived is not None:  # A product of an earlier version has no such field, which reads as null.
        query["archived_at"] = {"$ne": None} if where.archived else None
    if where.on_sale_at is not None:
        query["$and"] = [
            {"$or": [{"sale_starts_at": None}, {"sale_starts_at": {"$lte": where.on_sale_at}}]},
            {"$or": [{"sale_ends_at": None}, {"sale_ends_at": {"$gt": where.on_sale_at}}]},
            {"pause_reason": None, "shop_pause_reason": None},
        ]
    if where.off_sale_at is not None:
        query["$or"] = [
            {"sale_starts_at": {"$gt": where.off_sale_at}},
            {"sale_ends_at": {"$lte": where.off_sale_at}},
            {"pause_reason": {"$ne": None}},
            {"shop_pause_reason": {"$ne": None}},
        ]
    return query
