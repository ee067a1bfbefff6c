"""One flush: plan on facts that may be stale, carry the effects out under their guards, and plan the rest again."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from msgspec.structs import replace

from flashreserve.core import rules
from flashreserve.core.commands import Command, Reserve
from flashreserve.core.effects import Release
from flashreserve.core.model import Adjustment, Product, Reservation
from flashreserve.core.outcomes import (
    Confirmed,
    Edited,
    Expired,
    Extended,
    Outcome,
    OutcomeUnknown,
    Released,
    Reserved,
    Restocked,
    Ruled,
    Unavailable,
)
from flashreserve.core.rules import Plan
from flashreserve.stores.mongo.carrying import Carrier
from flashreserve.stores.mongo.database import Database
from flashreserve.stores.mongo.facts import Loaded, load
from flashreserve.stores.mongo.fates import Fate, Fates, Written
from flashreserve.stores.mongo.intents import Ids, LateSettling, Sightings
from flashreserve.stores.port import Flushed, StoreDefectError, StoreOutcomeUnknownError, StoreUnavailableError

TRIES_MAX: Final = 50
"""How often a command is planned, while others keep changing what it was planned on."""


class Flush:
    """The commands of one flush on their way to their outcomes."""

    def __init__(self, database: Database, ids: Ids, late: LateSettling, now: int) -> None:
        self._database = database
        self._ids = ids
        self._now = now
        self._seen = Sightings()
        self._carrier = Carrier(database, ids, late, now, self._seen)
        self._outcomes: dict[int, Outcome] = {}
        self._loaded_ids: dict[str, None] = {}

    async def run(self, commands: Sequence[Command]) -> Flushed:
        """Decide and write the commands.

        Raises:
            StoreUnavailableError: nothing was written.
            StoreDefectError: nothing was written.
            StoreOutcomeUnknownError: something may have been, but by a fault of ours it isn't known what.
        """
        left = dict(enumerate(commands))
        loaded = await self._load_first(left)
        plan = rules.plan(loaded.facts, list(left.values()), self._now)
        try:
            await self._finish(left, plan, loaded)
        except Exception as error:
            # In the middle. Whatever was begun, recover finishes or undoes; nobody may try as if nothing had been.
            raise StoreOutcomeUnknownError(f"carrying out a flush: {error!r}") from error
        products = [self._seen.products[id_] for id_ in self._loaded_ids]
        return Flushed([self._outcomes[place] for place in range(len(commands))], products)

    async def _load_first(self, left: dict[int, Command]) -> Loaded:
        """The first facts, before anything is written. An id that is used by then is a fault of the caller's."""
        new_ids = [command.reservation_id for command in left.values() if isinstance(command, Reserve)]
        if len(set(new_ids)) < len(new_ids):
            raise StoreDefectError("two reserves in one flush have the same id")
        loaded = await self._load(left)
        if loaded.used_ids:
            raise StoreDefectError("an id that should be new is in use")
        for place, command in left.items():
            if isinstance(command, Reserve) and command.reservation_id in loaded.void_ids:
                left[place] = replace(command, reservation_id=self._ids.new())
        return loaded

    async def _load(self, left: Mapping[int, Command]) -> Loaded:
        loaded = await load(self._database, list(left.values()))
        self._seen.products |= loaded.facts.products
        self._loaded_ids |= dict.fromkeys(loaded.facts.products)
        return loaded

    async def _finish(self, left: dict[int, Command], plan: Plan, loaded: Loaded) -> None:
        """Carry the plan out, and plan again what failed, until every command has an outcome."""
        for tries_left in reversed(range(TRIES_MAX)):
            fates = await self._carrier.carry_out(plan, loaded)
            left = self._judge(left, plan, fates)
            if not left or not tries_left:
                break
            try:
                loaded = await self._load(left)
            except StoreUnavailableError:
                break
            plan = rules.plan(loaded.facts, list(left.values()), self._now)
        for place in left:
            self._outcomes[place] = Unavailable("others were faster each time, or the database went away")

    def _judge(self, left: Mapping[int, Command], plan: Plan, fates: Fates) -> dict[int, Command]:
        """Keep the outcomes that hold; the commands of the others are left.

        An outcome holds if its own effect was applied, or if everything was: a refusal may rest on any of the others.
        """
        released = {effect.after.id: effect.after for effect in plan.effects if isinstance(effect, Release)}
        rest: dict[int, Command] = {}
        for (place, command), outcome in zip(left.items(), plan.outcomes, strict=True):
            planned = _effect_of(outcome, released)
            fate = fates.of(planned)
            if fate is Fate.APPLIED or (fate is None and fates.all_applied):
                self._outcomes[place] = _as_written(outcome, fates.written(planned))
            elif fate is Fate.UNKNOWN:
                self._outcomes[place] = OutcomeUnknown()
            elif isinstance(command, Reserve) and fate is Fate.REFUSED:
                # Never again under an id that a message, or an intent, may still name.
                rest[place] = replace(command, reservation_id=self._ids.new())
            else:
                rest[place] = command
        return rest


def _effect_of(outcome: Ruled, released: Mapping[str, Reservation]) -> Written | None:
    """What the effect on which the outcome rests is planned to leave behind."""
    match outcome:
        case Reserved(reservation) | Confirmed(reservation) | Extended(reservation) | Released(reservation):
            return reservation
        case Restocked(adjustment, _):
            return adjustment
        case Edited(product):
            return product
        case Expired(reservation_id, _):
            return released.get(reservation_id)
        case _:
            return None


def _as_written(outcome: Ruled, written: Written | None) -> Ruled:
    """The outcome with what was really written, where that isn't what was planned on facts that were stale."""
    if written is None:
        return outcome
    match outcome:
        case Confirmed() | Extended() | Released():
            return replace(outcome, reservation=cast("Reservation", written))
        case Restocked():
            return replace(outcome, adjustment=cast("Adjustment", written))
        case Edited():
            return replace(outcome, product=cast("Product", written))
        case _:
            return outcome
