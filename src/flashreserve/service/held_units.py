"""The units in open holds, by product, as they were last counted. They are counted only while somebody looks at them.

That is every second, or less often where a count takes long.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from flashreserve.stores.monitor import MonitorStore

REFRESH_EVERY_S: Final = 1.0
_WANTED_FOR_S: Final = 5.0
"""How long the figures are kept fresh after somebody looked."""

_SHARE_MAX: Final = 0.05
"""The largest share of the time in which the database counts them."""


class HeldUnits:
    """A cache of `MonitorStore.held_units`. `monotonic` tells seconds."""

    def __init__(self, store: MonitorStore, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._wanted_until = self._next_at = float("-inf")
        self._units: dict[str, int] | None = None
        self._counting = asyncio.Lock()
        self.counts = 0
        """How often they were counted. Between two counts, the figures get old: up to 20 times as long as one takes."""

    def want(self) -> None:
        """Keep the figures fresh for the next seconds."""
        self._wanted_until = self._monotonic() + _WANTED_FOR_S

    def of(self, product_id: str) -> int | None:
        """The units of the product in open holds; None if they aren't known."""
        return None if self._units is None else self._units.get(product_id, 0)

    async def refresh(self) -> int:
        """Count again if somebody looks.

        Returns:
            0, because nothing was done that the loop could log.

        Raises:
            StoreUnavailableError: the database doesn't answer.
        """
        async with self._counting:  # Whoever waits for a count uses it.
            began = self._monotonic()
            if began >= self._wanted_until:
                self._units = None
            elif began >= self._next_at:
                self._units = await self._store.held_units()
                self.counts += 1
                self._next_at = began + (self._monotonic() - began) / _SHARE_MAX
        return 0
