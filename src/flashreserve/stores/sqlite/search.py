"""Searching reservations and products: a page at a time, and a limited number of rows for each page.

A search of reservations goes along the index that fits the filter best, in the order of ids. It looks at `SEARCHED_MAX`
of them for a page, and reads those that the rest of the filter allows.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import apsw

from flashreserve.core.model import Reservation, Status
from flashreserve.stores.filters import (
    IDS_APART_MS,
    SEARCHED_MAX,
    ProductFilter,
    ProductsFound,
    ReservationFilter,
    ReservationsFound,
    first_id_at,
)
from flashreserve.stores.sqlite.columns import PRODUCTS, RESERVATIONS
from flashreserve.stores.sqlite.rows import has_lapsed

_FIRST_ID: Final = ""
_LAST_ID: Final = "~"
"""They sort before and after every id."""

# Ids along an index: those between two ids, which are left out, in the order of the search.
_BETWEEN: Final = "{id} > :low AND {id} < :high ORDER BY {id} {order} LIMIT :searched"
_IDS: Final = "SELECT id FROM reservations WHERE " + _BETWEEN.replace("{id}", "id")  # noqa: S608
_IDS_OF_EXTERNAL: Final = _IDS.replace("WHERE", "WHERE external_id = :external_id AND")
_IDS_OF_PRODUCT: Final = (
    "SELECT reservation_id AS id FROM lines WHERE product_id = :product_id AND "  # noqa: S608
    + _BETWEEN.replace("{id}", "reservation_id")
)
_IDS_OF_USER: Final = _IDS.replace(
    "reservations",
    """(
        SELECT reservation_id AS id FROM filed WHERE user_id = :user_id
        UNION SELECT reservation_id FROM fresh WHERE user_id = :user_id
    )""",
)

_STATUS_NOW: Final = f"CASE WHEN r.status = 'PENDING' AND r.{has_lapsed(':now')} THEN 'EXPIRED' ELSE r.status END"
"""`core.holds.status_at` in SQL."""
_HAS_PRODUCT: Final = "EXISTS (SELECT 1 FROM lines AS l WHERE l.product_id = :product_id AND l.reservation_id = r.id)"
_ALLOWED: Final = f"""
    (:user_id IS NULL OR r.user_id = :user_id)
    AND (:product_id IS NULL OR {_HAS_PRODUCT})
    AND (:external_id IS NULL OR r.external_id = :external_id)
    AND (:status IS NULL OR {_STATUS_NOW} = :status)
    AND (:since IS NULL OR r.created_at >= :since)
    AND (:before IS NULL OR r.created_at < :before)"""

# One product has an external id, so its page needs no limit of products to look at.
_PRODUCTS_LOOKED_AT: Final = "SELECT * FROM products WHERE id > :beyond ORDER BY id LIMIT :searched"
_PRODUCT_OF_EXTERNAL: Final = "SELECT * FROM products WHERE external_id = :external_id AND id > :beyond"
_PRODUCT_ALLOWED: Final = """
    (:archived IS NULL OR (p.archived_at IS NOT NULL) = :archived)
    AND (:on_sale_at IS NULL OR (
        coalesce(p.sale_starts_at, :on_sale_at) <= :on_sale_at
        AND coalesce(p.sale_ends_at, :on_sale_at + 1) > :on_sale_at
        AND p.pause_reason IS NULL AND p.shop_pause_reason IS NULL))
    AND (:off_sale_at IS NULL OR p.sale_starts_at > :off_sale_at OR p.sale_ends_at <= :off_sale_at
        OR p.pause_reason IS NOT NULL OR p.shop_pause_reason IS NOT NULL)"""


def search(
    connection: apsw.Connection,
    where: ReservationFilter,
    beyond: str | None,
    most: int,
    now: int,
    readable: Callable[[Iterable[Sequence[Any]]], list[Reservation]],
    *,
    newest_first: bool,
) -> ReservationsFound:
    """A page, as `ReservationStore.search_reservations` gives it. `readable` are the rows that can be read."""
    order, edge = ("DESC", "min") if newest_first else ("ASC", "max")
    ids = _ids_of(where).format(order=order)
    values = _values(where, beyond, most, now, newest_first=newest_first)
    looked_at = f"SELECT count(*), {edge}(id) FROM ({ids})"  # noqa: S608
    rows = (
        f"SELECT {RESERVATIONS.select('r')} FROM ({ids}) AS i CROSS JOIN reservations AS r ON r.id = i.id"  # noqa: S608
        f" WHERE {_ALLOWED} ORDER BY i.id {order} LIMIT :most"
    )
    with connection:  # One transaction: holds made between the two reads would shift the ids that the page looks at.
        number, last = connection.execute(looked_at, values).fetchone() or (0, None)
        found = connection.execute(rows, values).fetchall()
    if len(found) == most:
        return ReservationsFound(readable(found), str(found[-1][0]))
    return ReservationsFound(readable(found), last if number == SEARCHED_MAX else None)


def search_products(connection: apsw.Connection, where: ProductFilter, beyond: str | None, most: int) -> ProductsFound:
    """A page, as `CatalogueStore.search_products` gives it."""
    looked_at = _PRODUCTS_LOOKED_AT if where.external_id is None else _PRODUCT_OF_EXTERNAL
    edge = f"SELECT count(*), max(id) FROM ({_PRODUCTS_LOOKED_AT})"  # noqa: S608
    rows = (
        f"SELECT {PRODUCTS.select('p')} FROM ({looked_at}) AS p"  # noqa: S608
        f" WHERE {_PRODUCT_ALLOWED} ORDER BY p.id LIMIT :most"
    )
    values = {
        "beyond": beyond or _FIRST_ID,
        "searched": SEARCHED_MAX,
        "most": most + 1,
        "external_id": where.external_id,
        "archived": where.archived,
        "on_sale_at": where.on_sale_at,
        "off_sale_at": where.off_sale_at,
    }
    with connection:  # One transaction, as above.
        found = [PRODUCTS.struct(row) for row in connection.execute(rows, values)]
        if len(found) > most:
            return ProductsFound(found[:most], found[most - 1].id)
        if where.external_id is not None:
            return ProductsFound(found, None)
        number, last = connection.execute(edge, values).fetchone() or (0, None)
    return ProductsFound(found, last if number == SEARCHED_MAX else None)


def _ids_of(where: ReservationFilter) -> str:
    if where.external_id is not None:
        return _IDS_OF_EXTERNAL
    if where.user_id is not None:
        return _IDS_OF_USER
    return _IDS if where.product_id is None else _IDS_OF_PRODUCT


def _values(
    where: ReservationFilter, beyond: str | None, most: int, now: int, *, newest_first: bool
) -> dict[str, str | int | None]:
    low = _FIRST_ID if where.since is None else first_id_at(where.since - IDS_APART_MS)
    high = _LAST_ID if where.before is None else first_id_at(where.before + IDS_APART_MS)
    if beyond is not None:
        low, high = (low, min(high, beyond)) if newest_first else (max(low, beyond), high)
    status: Status | None = where.status
    return {
        "low": low,
        "high": high,
        "searched": SEARCHED_MAX,
        "most": most,
        "now": now,
        "user_id": where.user_id,
        "product_id": where.product_id,
        "external_id": where.external_id,
        "status": None if status is None else status.value,
        "since": where.since,
        "before": where.before,
    }
