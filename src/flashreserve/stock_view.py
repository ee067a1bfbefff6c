"""A process's cache of stock, with its age. It refuses a crowd and answers polls without asking the database."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from flashreserve.clock import Clock
from flashreserve.core.model import Product, Units
from flashreserve.core.outcomes import NotOnSale, SalePaused, SoldOut
from flashreserve.core.sale import refuse_products
from flashreserve.stores.port import CatalogueStore, StoreUnavailableError

WATCHED_MAX: Final = 2_000
"""Products that one process keeps in view."""

REFRESH_EVERY_S: Final = 0.1
STALE_AFTER_S: Final = 0.25
"""An entry is stale, and refuses no request, once its query was sent longer ago than this."""
_FORGET_AFTER_S: Final = 60.0

_log = structlog.get_logger(__name__)


class Sight(msgspec.Struct, frozen=True):
    """A product as it was at a moment after `asked_at` (monotonic seconds). `as_of` is its time in UTC milliseconds."""

    product: Product
    asked_at: float
    as_of: int


class StockView:
    """A cache of the products in use, at most `watched_max`. Products unused for a minute are dropped."""

    def __init__(self, store: CatalogueStore, clock: Clock, *, watched_max: int = WATCHED_MAX) -> None:
        self._store = store
        self._clock = clock
        self._watched_max = watched_max
        self._sights: OrderedDict[str, Sight] = OrderedDict()
        self._used: dict[str, float] = {}

    def refuse(self, lines: Sequence[Units], key: str | None, now: int) -> SalePaused | NotOnSale | SoldOut | None:
        """The refusal that the rules are certain to give, or None if only the database can tell.

        Requests with an idempotency key are never refused here: the key may have been granted before. Nor are requests
        with a product whose entry is missing or stale.
        """
        if key is not None:
            return None
        oldest = self._clock.monotonic() - STALE_AFTER_S
        products: list[Product] = []
        for line in lines:
            sight = self._sights.get(line.product_id)
            if sight is None or sight.asked_at < oldest or sight.product.archived_at is not None:
                return None
            self._used[line.product_id] = sight.asked_at
            products.append(sight.product)
        return refuse_products(products, lines, now)

    async def look(self, product_id: str) -> Sight | None:
        """The product, at most 250 ms old; None if it doesn't exist.

        Raises:
            StoreUnavailableError: the entry is missing or stale, and the database is away.
        """
        sight = self.seen(product_id)
        if sight is None:
            now = self._clock.monotonic()
            as_of = self._clock.now_ms()
            product = await self._store.product(product_id)
            if product is None:
                return None
            self._enter(product, now, as_of)
            sight = self._sights[product_id]
            self._used[product_id] = now
        return sight

    def seen(self, product_id: str) -> Sight | None:
        """The product, at most 250 ms old, without a query; None if the entry is missing or stale."""
        sight = self._sights.get(product_id)
        now = self._clock.monotonic()
        if sight is None or sight.asked_at < now - STALE_AFTER_S:
            return None
        self._used[product_id] = now
        return sight

    def learn(self, products: Sequence[Product], asked_at: float) -> None:
        """Add the products as they are after a flush that was sent at `asked_at`."""
        as_of = self._clock.now_ms()
        for product in products:
            self._enter(product, asked_at, as_of)
            self._used.setdefault(product.id, asked_at)

    async def refresh(self) -> int:
        """Refresh all watched products by one query. Returns how many it found."""
        asked_at = self._clock.monotonic()
        as_of = self._clock.now_ms()
        self._forget(asked_at - _FORGET_AFTER_S)
        if not self._sights:
            return 0
        products = await self._store.products(list(self._sights))
        for product in products:
            self._enter(product, asked_at, as_of)
        return len(products)

    async def keep_fresh(self) -> None:
        """Refresh every 100 ms until cancelled. In an outage, entries become stale and refuse no request."""
        while True:
            try:
                await self.refresh()
            except StoreUnavailableError as error:
                _log.debug("stock view not refreshed", error=str(error))
            await asyncio.sleep(REFRESH_EVERY_S)

    def _enter(self, product: Product, asked_at: float, as_of: int) -> None:
        """Add the product, unless its entry is from a newer query."""
        known = self._sights.get(product.id)
        if known is not None and known.asked_at > asked_at:
            return
        self._sights[product.id] = Sight(product, asked_at, as_of)
        if known is None:
            self._used[product.id] = asked_at
            while len(self._sights) > self._watched_max:
                forgotten, _ = self._sights.popitem(last=False)
                del self._used[forgotten]

    def _forget(self, unused_since: float) -> None:
        for product_id in [id_ for id_, used in self._used.items() if used < unused_since]:
            self._sights.pop(product_id, None)
            del self._used[product_id]
