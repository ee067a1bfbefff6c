"""Carrying out a plan's effects, each as guarded writes."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from flashreserve.core.effects import ReleaseEffect
from flashreserve.core.model import Status
from flashreserve.core.rules import Plan
from flashreserve.stores.mongo import product_writes, reservation_writes
from flashreserve.stores.mongo.database import Database
from flashreserve.stores.mongo.facts import Loaded
from flashreserve.stores.mongo.intents import IdSource, LateSettling, Mode, Sightings
from flashreserve.stores.mongo.release_movement import Releasing, as_released, release
from flashreserve.stores.mongo.reserve_movement import reserve
from flashreserve.stores.mongo.stages import PlannedEdit, Stage, arrange, intended
from flashreserve.stores.mongo.write_results import WriteResult, WriteResults

_MODES: Final[dict[Status, Mode]] = {Status.EXPIRED: "sweep", Status.CANCELLED: "cancel"}


class Carrier:
    """Writes effects as of `now`; what it sees of products on the way goes to `seen`."""

    def __init__(self, database: Database, ids: IdSource, late: LateSettling, now: int, seen: Sightings) -> None:
        self._database = database
        self._ids = ids
        self._late = late
        self._now = now
        self._seen = seen
        self._adjusted: Counter[str] = Counter()
        """By product, the adjustments of this plan that were written: each is a move that an edit may know of."""

    async def carry_out(self, plan: Plan, loaded: Loaded, wanted: Callable[[str], bool]) -> WriteResults:
        """Write the plan's effects, stage by stage, until one of them fails: what comes later was planned on it.

        No reservation is inserted whose id isn't `wanted` at that moment.
        """
        results = WriteResults()
        self._adjusted.clear()
        for effect in plan.effects:
            results.expect(intended(effect))
        for stage in arrange(plan.effects, loaded.facts.products):
            await self._carry_out_stage(stage, loaded, results, wanted)
            if any(results.of(intended(effect)) is not WriteResult.APPLIED for effect in stage.effects()):
                break
        return results

    async def _carry_out_stage(
        self, stage: Stage, loaded: Loaded, results: WriteResults, wanted: Callable[[str], bool]
    ) -> None:
        parts: list[Awaitable[None]] = []
        if stage.reserves:
            parts.append(self._reserve(stage, results, wanted))
        for status, mode in _MODES.items():
            releases = [effect for effect in stage.releases if effect.after.status is status]
            if releases:
                parts.append(self._release(releases, mode, results))
        if stage.confirmations:
            parts.append(self._confirm(stage, results))
        if stage.prolongs:
            parts.append(self._extend(stage, results))
        parts += [self._adjust(stage, loaded, results)] if stage.adjusts else []
        parts += [self._rewrite(stage.edits, loaded, results)] if stage.edits else []
        if len(parts) == 1:
            await parts[0]
            return
        for ended in await asyncio.gather(*parts, return_exceptions=True):
            if isinstance(ended, BaseException):
                raise ended

    async def _reserve(self, stage: Stage, results: WriteResults, wanted: Callable[[str], bool]) -> None:
        met = await reserve(self._database, self._ids, self._late, stage.reserves, self._now, self._seen, wanted)
        for planned, result in zip(stage.reserves, met, strict=True):
            results.meet(planned.effect.reservation, result)

    async def _release(self, effects: Sequence[ReleaseEffect], mode: Mode, results: WriteResults) -> None:
        releasing = Releasing(mode, [effect.after for effect in effects], self._now)
        met = await release(self._database, self._ids, releasing, self._now, self._seen)
        for effect in effects:
            result, document = met[effect.after.id]
            written = None
            if result is WriteResult.APPLIED and document is not None:
                written = as_released(effect.after, document)
            results.meet(effect.after, result, written)

    async def _confirm(self, stage: Stage, results: WriteResults) -> None:
        met = await reservation_writes.confirm(self._database, stage.confirmations)
        for effect, (result, held) in zip(stage.confirmations, met, strict=True):
            results.meet(effect.after, result, held)

    async def _extend(self, stage: Stage, results: WriteResults) -> None:
        met = await reservation_writes.extend(self._database, stage.prolongs, self._now)
        for effect, (result, held) in zip(stage.prolongs, met, strict=True):
            results.meet(effect.after, result, held)

    async def _adjust(self, stage: Stage, loaded: Loaded, results: WriteResults) -> None:
        for effect in stage.adjusts:
            product_id = effect.adjustment.product_id
            result, kept = await product_writes.adjust(self._database, effect, loaded.refusals[product_id], self._seen)
            results.meet(effect.adjustment, result, kept)
            self._adjusted[product_id] += result is WriteResult.APPLIED

    async def _rewrite(self, edits: Sequence[PlannedEdit], loaded: Loaded, results: WriteResults) -> None:
        for edit in edits:
            still = None
            if edit.fixes_limit:
                still = loaded.moves[edit.effect.after.id]
                if still is None:
                    continue  # Something moves on the product: whether anybody has reserved it isn't known yet.
                still += self._adjusted[edit.effect.after.id]
            result, product = await product_writes.rewrite(self._database, edit.effect, still, self._seen)
            results.meet(edit.effect.after, result, product)
