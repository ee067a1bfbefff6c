"""Carrying out a plan's effects, each as guarded writes."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from flashreserve.core.effects import Release
from flashreserve.core.model import Status
from flashreserve.core.rules import Plan
from flashreserve.stores.mongo import holding, stocking
from flashreserve.stores.mongo.database import Database
from flashreserve.stores.mongo.facts import Loaded
from flashreserve.stores.mongo.fates import Fate, Fates
from flashreserve.stores.mongo.intents import Ids, LateSettling, Mode, Sightings
from flashreserve.stores.mongo.releasing import Releasing, as_released, release
from flashreserve.stores.mongo.reserving import reserve
from flashreserve.stores.mongo.stages import Edition, Stage, arrange, left_behind

_MODES: Final[dict[Status, Mode]] = {Status.EXPIRED: "sweep", Status.CANCELLED: "cancel"}


class Carrier:
    """Writes effects as of `now`; what it sees of products on the way goes to `seen`."""

    def __init__(self, database: Database, ids: Ids, late: LateSettling, now: int, seen: Sightings) -> None:
        self._database = database
        self._ids = ids
        self._late = late
        self._now = now
        self._seen = seen
        self._adjusted: Counter[str] = Counter()
        """By product, the adjustments of this plan that were written: each is a move that an edit may know of."""

    async def carry_out(self, plan: Plan, loaded: Loaded, wanted: Callable[[str], bool]) -> Fates:
        """Write the plan's effects, stage by stage, until one of them fails: what comes later was planned on it.

        No reservation is inserted whose id isn't `wanted` at that moment.
        """
        fates = Fates()
        self._adjusted.clear()
        for effect in plan.effects:
            fates.expect(left_behind(effect))
        for stage in arrange(plan.effects, loaded.facts.products):
            await self._carry_out_stage(stage, loaded, fates, wanted)
            if any(fates.of(left_behind(effect)) is not Fate.APPLIED for effect in stage.effects()):
                break
        return fates

    async def _carry_out_stage(self, stage: Stage, loaded: Loaded, fates: Fates, wanted: Callable[[str], bool]) -> None:
        parts: list[Awaitable[None]] = []
        if stage.takings:
            parts.append(self._reserve(stage, fates, wanted))
        for status, mode in _MODES.items():
            releases = [effect for effect in stage.releases if effect.after.status is status]
            if releases:
                parts.append(self._release(releases, mode, fates))
        if stage.confirmations:
            parts.append(self._confirm(stage, fates))
        if stage.prolongs:
            parts.append(self._extend(stage, fates))
        parts += [self._adjust(stage, loaded, fates)] if stage.adjusts else []
        parts += [self._rewrite(stage.editions, loaded, fates)] if stage.editions else []
        if len(parts) == 1:
            await parts[0]
            return
        results = await asyncio.gather(*parts, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _reserve(self, stage: Stage, fates: Fates, wanted: Callable[[str], bool]) -> None:
        met = await reserve(self._database, self._ids, self._late, stage.takings, self._now, self._seen, wanted)
        for taking, fate in zip(stage.takings, met, strict=True):
            fates.meet(taking.hold.reservation, fate)

    async def _release(self, effects: Sequence[Release], mode: Mode, fates: Fates) -> None:
        releasing = Releasing(mode, [effect.after for effect in effects], self._now)
        met = await release(self._database, self._ids, releasing, self._now, self._seen)
        for effect in effects:
            fate, document = met[effect.after.id]
            written = None
            if fate is Fate.APPLIED and document is not None:
                written = as_released(effect.after, document)
            fates.meet(effect.after, fate, written)

    async def _confirm(self, stage: Stage, fates: Fates) -> None:
        met = await holding.confirm(self._database, stage.confirmations)
        for effect, (fate, held) in zip(stage.confirmations, met, strict=True):
            fates.meet(effect.after, fate, held)

    async def _extend(self, stage: Stage, fates: Fates) -> None:
        met = await holding.extend(self._database, stage.prolongs, self._now)
        for effect, (fate, held) in zip(stage.prolongs, met, strict=True):
            fates.meet(effect.after, fate, held)

    async def _adjust(self, stage: Stage, loaded: Loaded, fates: Fates) -> None:
        for effect in stage.adjusts:
            product_id = effect.adjustment.product_id
            fate, kept = await stocking.adjust(self._database, effect, loaded.refusals[product_id], self._seen)
            fates.meet(effect.adjustment, fate, kept)
            self._adjusted[product_id] += fate is Fate.APPLIED

    async def _rewrite(self, editions: Sequence[Edition], loaded: Loaded, fates: Fates) -> None:
        for edition in editions:
            still = None
            if edition.fixes_limit:
                still = loaded.moves[edition.effect.after.id]
                if still is None:
                    continue  # Something moves on the product: whether anybody has reserved it isn't known yet.
                still += self._adjusted[edition.effect.after.id]
            fate, product = await stocking.rewrite(self._database, edition.effect, still, self._seen)
            fates.meet(edition.effect.after, fate, product)
