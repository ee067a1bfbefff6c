"""Writing a plan's effects, each under its guard."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import assert_never, cast

from flashreserve.core.effects import (
    ConfirmEffect,
    ExtendEffect,
    LabelEffect,
    ReleaseEffect,
    RestockEffect,
    ReturnEffect,
)
from flashreserve.core.model import Status
from flashreserve.core.rules import Plan
from flashreserve.side_by_side import all_ended
from flashreserve.stores.mongo import product_writes, reservation_writes
from flashreserve.stores.mongo.database import Database
from flashreserve.stores.mongo.facts import Loaded
from flashreserve.stores.mongo.intents import IdSource, LateSettling, Mode, Sightings
from flashreserve.stores.mongo.release_movement import Releasing, as_released, release
from flashreserve.stores.mongo.reserve_movement import PlannedReserve, reserve
from flashreserve.stores.mongo.return_movement import return_all
from flashreserve.stores.mongo.stages import PlannedEdit, PlannedWrite, Stage, arrange, intended
from flashreserve.stores.mongo.write_results import WriteResult, WriteResults


class Carrier:
    """Writes effects as of `now`. Adds the products that it sees meanwhile to `seen`."""

    def __init__(
        self,
        database: Database,
        ids: IdSource,
        late: LateSettling,
        now: int,
        seen: Sightings,
        *,
        logs_grants: bool = False,
    ) -> None:
        self._database = database
        self._ids = ids
        self._late = late
        self._now = now
        self._seen = seen
        self._logs_grants = logs_grants
        self._restocked: Counter[str] = Counter()
        """Adjustments of this plan that were written, by product. Each raised `moves`, which guards an edit."""
        self._labelled: Counter[str] = Counter()
        """Labels of this plan that were written, by reservation. Each raised `label_rev`, which guards the next."""

    async def carry_out(self, plan: Plan, loaded: Loaded, may_insert: Callable[[str], bool]) -> WriteResults:
        """Write the plan's effects, stage by stage, until one fails, because later stages were planned on it.

        A reservation is inserted only if `may_insert` is true for its id at that moment.
        """
        results = WriteResults()
        self._restocked.clear()
        self._labelled.clear()
        for effect in plan.effects:
            results.add_planned(intended(effect))
        for stage in arrange(plan.effects, loaded.facts.products):
            await self._carry_out_stage(stage, loaded, results, may_insert)
            if any(results.of(intended(effect)) is not WriteResult.APPLIED for effect in stage.effects()):
                break
        return results

    async def _carry_out_stage(
        self, stage: Stage, loaded: Loaded, results: WriteResults, may_insert: Callable[[str], bool]
    ) -> None:
        await all_ended([self._write(writes, loaded, results, may_insert) for writes in stage.by_kind()])

    def _write(
        self, writes: Sequence[PlannedWrite], loaded: Loaded, results: WriteResults, may_insert: Callable[[str], bool]
    ) -> Awaitable[None]:
        """Carry out writes of one type."""
        match writes[0]:
            case PlannedReserve():
                return self._reserve(cast("Sequence[PlannedReserve]", writes), results, may_insert)
            case ExtendEffect():
                return self._extend(cast("Sequence[ExtendEffect]", writes), results)
            case ConfirmEffect():
                return self._confirm(cast("Sequence[ConfirmEffect]", writes), results)
            case ReleaseEffect():
                return self._release(cast("Sequence[ReleaseEffect]", writes), results)
            case ReturnEffect():
                return self._return(cast("Sequence[ReturnEffect]", writes), results)
            case LabelEffect():
                return self._label(cast("Sequence[LabelEffect]", writes), loaded, results)
            case RestockEffect():
                return self._restock(cast("Sequence[RestockEffect]", writes), loaded, results)
            case PlannedEdit():
                return self._edit(cast("Sequence[PlannedEdit]", writes), loaded, results)
            case _:
                assert_never(writes[0])

    async def _reserve(
        self, reserves: Sequence[PlannedReserve], results: WriteResults, may_insert: Callable[[str], bool]
    ) -> None:
        met = await reserve(
            self._database,
            self._ids,
            self._late,
            reserves,
            self._now,
            self._seen,
            may_insert,
            logs_grants=self._logs_grants,
        )
        for planned, result in zip(reserves, met, strict=True):
            results.record(planned.effect.reservation, result)

    async def _release(self, releases: Sequence[ReleaseEffect], results: WriteResults) -> None:
        """Release together the holds of each mode, which have the same guard, and each `by`, which have one entry."""
        kinds: dict[tuple[Mode, str], list[ReleaseEffect]] = {}
        for effect in releases:
            mode: Mode = "sweep" if effect.after.status is Status.EXPIRED else "cancel"
            kinds.setdefault((mode, effect.by), []).append(effect)
        await all_ended([self._release_by(mode, by, effects, results) for (mode, by), effects in kinds.items()])

    async def _release_by(self, mode: Mode, by: str, releases: Sequence[ReleaseEffect], results: WriteResults) -> None:
        releasing = Releasing(mode, [effect.after for effect in releases], self._now, by)
        met = await release(self._database, self._ids, releasing, self._now, self._seen)
        for effect in releases:
            result, document = met[effect.after.id]
            written = None
            if result is WriteResult.APPLIED and document is not None:
                written = as_released(effect.after, document)
            results.record(effect.after, result, written)

    async def _confirm(self, confirms: Sequence[ConfirmEffect], results: WriteResults) -> None:
        met = await reservation_writes.confirm(self._database, confirms, self._now)
        for effect, (result, held) in zip(confirms, met, strict=True):
            results.record(effect.after, result, held)

    async def _extend(self, extends: Sequence[ExtendEffect], results: WriteResults) -> None:
        met = await reservation_writes.extend(self._database, extends, self._now)
        for effect, (result, held) in zip(extends, met, strict=True):
            results.record(effect.after, result, held)

    async def _return(self, returns: Sequence[ReturnEffect], results: WriteResults) -> None:
        met = await return_all(self._database, self._ids, returns, self._now, self._seen)
        for effect, (result, held) in zip(returns, met, strict=True):
            results.record(effect.after, result, held)

    async def _label(self, labels: Sequence[LabelEffect], loaded: Loaded, results: WriteResults) -> None:
        for effect in labels:
            id_ = effect.after.id
            rev = loaded.label_revs.get(id_, 0) + self._labelled[id_]
            result, held = await reservation_writes.label(self._database, effect, rev)
            results.record(effect.after, result, held)
            self._labelled[id_] += result is WriteResult.APPLIED

    async def _restock(self, restocks: Sequence[RestockEffect], loaded: Loaded, results: WriteResults) -> None:
        for effect in restocks:
            product_id = effect.adjustment.product_id
            refusals = loaded.refusals[product_id]
            result, kept = await product_writes.restock(self._database, effect, refusals, self._seen)
            results.record(effect.adjustment, result, kept)
            self._restocked[product_id] += result is WriteResult.APPLIED

    async def _edit(self, edits: Sequence[PlannedEdit], loaded: Loaded, results: WriteResults) -> None:
        for edit in edits:
            still = None
            if edit.fixes_limit:
                still = loaded.moves[edit.effect.after.id]
                if still is None:
                    continue  # A movement is open on the product, so it isn't known yet whether it was ever reserved.
                still += self._restocked[edit.effect.after.id]
            result, product = await product_writes.edit(self._database, edit.effect, still, self._seen)
            results.record(edit.effect.after, result, product)
