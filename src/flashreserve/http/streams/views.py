"""What streams tell, and the tickets that open them, as JSON."""

from msgspec import Struct

from flashreserve.http.fields import Id, InstantText, Reason, Stock


class StockEventView(Struct, frozen=True, rename="camel"):
    """A product's stock and the state of its sale, as a stream tells them.

    `held` are the units in open holds as of the last count, which is made every second, and less often where it takes
    long; null until they are known.
    """

    product_id: Id
    stock_quantity: Stock
    available: Stock
    held: Stock | None
    pause_reason: Reason | None
    sale_starts_at: InstantText | None
    sale_ends_at: InstantText | None
    archived: bool
    as_of: InstantText


class TicketView(Struct, frozen=True, rename="camel"):
    """A ticket that opens a stream, as the query parameter `ticket`."""

    ticket: str
    expires_at: InstantText
