"""Pauses: stops the sale of one product or of all for a while, and says when no more units are granted."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from flashreserve.clock import Clock
from flashreserve.combiner import Combiner
from flashreserve.core.commands import Edit
from flashreserve.core.outcomes import Edited, Outcome
from flashreserve.stores.outages import after_a_change
from flashreserve.stores.port import CatalogueStore

SETTLING_S_MAX: Final = 5.0
"""How long a pause waits for the movements that were open when it began."""

_LOOK_EVERY_S: Final = 0.05


class SalePause(msgspec.Struct, frozen=True):
    """The sale is paused, or resumed. `settling` movements may still be granted units; after 0, there is no grant."""

    paused: bool
    settling: int = 0


RESUMED: Final = SalePause(paused=False)


class PauseService:
    """Pauses and resumes sales for admins. Holds can be bought, extended and cancelled meanwhile.

    `by` is the name under which a change is recorded; see `core.events.actor_named`.
    """

    def __init__(
        self,
        store: CatalogueStore,
        combiner: Combiner,
        clock: Clock,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._combiner = combiner
        self._clock = clock
        self._wait = wait

    async def pause(self, product_id: str, reason: str, by: str) -> SalePause | Outcome:
        """Pause the sale of the product. Another reason replaces the one that it has."""
        outcome = await self._combiner.submit(Edit(product_id, pause_reason=reason, by=by))
        if not isinstance(outcome, Edited):
            return outcome
        return SalePause(paused=True, settling=await self._settled(product_id))

    async def resume(self, product_id: str, by: str) -> SalePause | Outcome:
        """End the product's own pause. The sale is still paused if those of all products are."""
        outcome = await self._combiner.submit(Edit(product_id, pause_reason=None, by=by))
        if not isinstance(outcome, Edited):
            return outcome
        still = outcome.product.pause is not None
        return SalePause(paused=True, settling=await self._settled(product_id)) if still else RESUMED

    async def pause_all(self, reason: str, by: str) -> SalePause:
        """Pause the sales of all products, and of those that will be made."""
        await self._store.pause_all(reason, by, self._combiner.now())
        return SalePause(paused=True, settling=await self._settled(None))

    async def resume_all(self, by: str) -> SalePause:
        """Resume the sales of all products, except of those that are paused by themselves."""
        await self._store.resume_all(by, self._combiner.now())
        return RESUMED

    async def _settled(self, product_id: str | None) -> int:
        """Wait until no movement reserves units of the product (None: of any), at most `SETTLING_S_MAX`.

        Returns:
            How many still do.
        """
        end_s = self._clock.monotonic() + SETTLING_S_MAX
        with after_a_change():
            while (left := await self._store.settling(product_id)) and self._clock.monotonic() < end_s:
                await self._wait(_LOOK_EVERY_S)
        return left
