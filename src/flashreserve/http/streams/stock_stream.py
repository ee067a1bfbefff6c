"""The streams of products' stock: one event for each change, at most one in 250 ms.

All streams of a product get the same bytes. An event is the whole state, so a client that misses some needs only the
last one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from msgspec.structs import replace

from flashreserve.core.instants import format_instant
from flashreserve.http.streams.event_stream import encode_event
from flashreserve.http.streams.stream_room import AT_ONCE, StreamRoom
from flashreserve.http.streams.views import StockEventView
from flashreserve.http.views import encode, format_optional
from flashreserve.server.open_stream import OpenStream
from flashreserve.service.held_units import HeldUnits
from flashreserve.stock_view import WATCHED_MAX, Sight, StockView
from flashreserve.stores.port import StoreUnavailableError

EVENT_NAME: Final = "stock"
PRODUCTS_MAX: Final = WATCHED_MAX // 2
"""Products with streams. The stock view has to keep all of them, and those that customers ask for, in view.

A product that it has dropped would cost a query of its own four times a second.
"""

EVENT_EVERY_S: Final = 0.25
"""The least time between two events of one product."""

_LOOK_EVERY_S: Final = 0.05
"""How soon a change is noticed. The stock view itself learns of other processes' changes every 100 ms."""

_log = structlog.get_logger(__name__)


class WatchedProduct:
    """A product with open streams. `sent` is the last event, which tells `facts`, made at `sent_at`."""

    def __init__(self) -> None:
        self.streams: set[OpenStream] = set()
        self.behind: list[OpenStream] = []
        """Streams that couldn't take the last event."""
        self.facts: StockEventView | None = None
        self.sent = b""
        self.sent_at = float("-inf")
        """In monotonic seconds."""


class StockStreams:
    """Sends the stock of each product that somebody watches."""

    def __init__(
        self,
        view: StockView,
        held: HeldUnits,
        room: StreamRoom,
        monotonic: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._view = view
        self._held = held
        self._room = room
        self._monotonic = monotonic
        self._pause = pause
        self._watched: dict[str, WatchedProduct] = {}

    def refusal(self, product_id: str) -> str | None:
        """Why no stream of this product can be opened, as a clause; None if one can."""
        if product_id in self._watched or len(self._watched) < PRODUCTS_MAX:
            return None
        return f"{PRODUCTS_MAX:,} products have streams, as many as this process allows"

    def enter(self, sight: Sight, stream: OpenStream, address: str | None) -> None:
        """Add a stream of the product in `sight`, which is sent at once."""
        product_id = sight.product.id
        watched = self._watched.setdefault(product_id, WatchedProduct())
        watched.streams.add(stream)

        def leave(stream: OpenStream) -> None:
            watched.streams.discard(stream)
            if not watched.streams and self._watched.get(product_id) is watched:
                del self._watched[product_id]

        self._room.enter(stream, address, leave)
        self._held.want()
        if not watched.sent:
            self._renew(watched, sight)
        stream.write(watched.sent)

    async def run(self) -> None:
        """Send events until cancelled."""
        while True:
            for number, (product_id, watched) in enumerate(tuple(self._watched.items()), 1):
                try:
                    await self._look(product_id, watched)
                except Exception:  # noqa: BLE001 - a bug in one look must not end the streams of all products
                    _log.exception("stock not streamed", product=product_id)
                    watched.sent_at = self._monotonic()  # So that it is tried, and logged, four times a second at most.
                if number % AT_ONCE == 0:
                    await self._pause(0)
            await self._pause(_LOOK_EVERY_S)

    async def _look(self, product_id: str, watched: WatchedProduct) -> None:
        """Send the product's state if it has changed, and the last one to streams that couldn't take it before."""
        if self._monotonic() - watched.sent_at < EVENT_EVERY_S:
            return
        self._held.want()
        sight = await self._sight(product_id)
        if sight is not None and self._renew(watched, sight):
            watched.behind = await self._room.write(watched.streams, watched.sent)
        elif watched.behind:
            watched.sent_at = self._monotonic()
            watched.behind = await self._room.write(watched.behind, watched.sent)

    async def _sight(self, product_id: str) -> Sight | None:
        """The product as last seen; None in an outage, in which the streams are silent."""
        try:
            return self._view.seen(product_id) or await self._view.look(product_id)
        except StoreUnavailableError as error:
            _log.debug("stock not streamed", product=product_id, error=str(error))
            return None

    def _renew(self, watched: WatchedProduct, sight: Sight) -> bool:
        """Make a new event if anything but the time has changed. Returns whether it has."""
        facts = _facts(sight, self._held.of(sight.product.id), as_of="")
        if facts == watched.facts:
            return False
        watched.facts = facts
        shown = replace(facts, as_of=format_instant(sight.as_of))
        watched.sent = encode_event(EVENT_NAME, shown.as_of, encode(shown))
        watched.sent_at = self._monotonic()
        return True


def _facts(sight: Sight, held: int | None, as_of: str) -> StockEventView:
    product = sight.product
    return StockEventView(
        product_id=product.id,
        stock_quantity=product.stocked,
        available=product.available,
        held=held,
        pause_reason=product.pause,
        sale_starts_at=format_optional(product.sale_starts_at),
        sale_ends_at=format_optional(product.sale_ends_at),
        archived=product.archived_at is not None,
        as_of=as_of,
    )
