"""Reservations as a table for spreadsheets and shipping software: one row for each line of a reservation."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from flashreserve.core.instants import format_instant
from flashreserve.core.limits import PAGE_MAX
from flashreserve.core.model import Line
from flashreserve.core.money import format_price
from flashreserve.service.orders import Order, OrderService
from flashreserve.service.reservations import ReservationService
from flashreserve.stores.filters import ALL_RESERVATIONS, ReservationFilter

CSV_COLUMNS: Final = (
    "reservationId",
    "externalId",
    "userId",
    "email",
    "status",
    "productId",
    "productExternalId",
    "productName",
    "quantity",
    "returned",
    "unitPrice",
    "amount",
    "currency",
    "createdAt",
    "expiresAt",
    "confirmedAt",
    "releasedAt",
    "metadata",
)

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet reads a cell that begins so as a formula, which could run programs or send data.

Source: OWASP, "CSV Injection".
"""


async def reservations_csv(
    reservations: ReservationService,
    orders: OrderService,
    where: ReservationFilter = ALL_RESERVATIONS,
    progress: Callable[[int], None] | None = None,
) -> AsyncIterator[bytes]:
    """Reservations as CSV (RFC 4180, UTF-8), oldest first: the column names, then a page at a time.

    `progress` is called after each page with the number of reservations done.
    """
    done = 0
    yield csv_bytes([CSV_COLUMNS])
    page = await reservations.search(where, None, PAGE_MAX)
    while True:
        yield csv_bytes(row for order in await orders.of(page.reservations) for row in csv_rows(order))
        done += len(page.reservations)
        if progress is not None:
            progress(done)
        if page.beyond is None:
            return
        page = await reservations.search(where, page.beyond, PAGE_MAX)


def csv_rows(order: Order) -> list[tuple[str, ...]]:
    """The rows of an order, in the order of `CSV_COLUMNS`. `amount` is the price of the units that weren't returned."""
    return [_row(order, line) for line in order.reservation.lines]


def _row(order: Order, line: Line) -> tuple[str, ...]:
    held, product = order.reservation, order.products.get(line.product_id)
    return (
        held.id,
        cell(held.external_id),
        cell(held.user_id),
        cell(order.email),
        held.status.value,
        line.product_id,
        cell(None if product is None else product.external_id),
        cell(None if product is None else product.name),
        str(line.quantity),
        str(line.returned),
        format_price(line.unit_price, line.currency),
        format_price(line.unit_price * line.left, line.currency),
        line.currency,
        format_instant(held.created_at),
        format_instant(held.expires_at),
        "" if held.confirmed_at is None else format_instant(held.confirmed_at),
        "" if held.released_at is None else format_instant(held.released_at),
        cell(_object(held.metadata)),
    )


def cell(value: str | None) -> str:
    """A text as a cell. A quotation mark keeps a spreadsheet from reading it as a formula."""
    if value is None:
        return ""
    return f"'{value}" if value.startswith(_FORMULA_STARTS) else value


def _object(metadata: Mapping[str, str]) -> str | None:
    """The metadata as a JSON object in one line, its keys sorted, so that equal ones are equal texts; None if empty."""
    return msgspec.json.encode(metadata, order="sorted").decode() if metadata else None


def csv_bytes(rows: Iterable[Sequence[str]]) -> bytes:
    """The rows as CSV (RFC 4180, UTF-8)."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
