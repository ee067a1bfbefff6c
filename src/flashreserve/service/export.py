"""Reservations as a table for spreadsheets and shipping software: one row for each line of a reservation."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final

from flashreserve.core.instants import format_instant
from flashreserve.core.limits import PAGE_MAX
from flashreserve.core.model import Reservation
from flashreserve.core.money import format_price
from flashreserve.service.reservations import ReservationService

CSV_COLUMNS: Final = (
    "reservationId",
    "userId",
    "status",
    "productId",
    "quantity",
    "unitPrice",
    "currency",
    "createdAt",
    "expiresAt",
    "confirmedAt",
    "releasedAt",
)


async def reservations_csv(
    reservations: ReservationService, progress: Callable[[int], None] | None = None
) -> AsyncIterator[bytes]:
    """All reservations as CSV (RFC 4180, UTF-8), oldest first: the column names, then a page at a time.

    `progress` is called after each page with the number of reservations done.
    """
    done = 0
    yield _csv([CSV_COLUMNS])
    after: str | None = None
    while page := await reservations.every(after, PAGE_MAX):
        yield _csv(row for held in page for row in csv_rows(held))
        after, done = page[-1].id, done + len(page)
        if progress is not None:
            progress(done)


def csv_rows(held: Reservation) -> list[tuple[str, ...]]:
    """The rows of a reservation, in the order of `CSV_COLUMNS`."""
    return [
        (
            held.id,
            held.user_id,
            held.status.value,
            line.product_id,
            str(line.quantity),
            format_price(line.unit_price, line.currency),
            line.currency,
            format_instant(held.created_at),
            format_instant(held.expires_at),
            "" if held.confirmed_at is None else format_instant(held.confirmed_at),
            "" if held.released_at is None else format_instant(held.released_at),
        )
        for line in held.lines
    ]


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
