"""One flush: plan on facts that may be stale, carry the effects out under their guards, and plan the rest again."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from msgspec.structs import replace

from flashreserve.core import rules
from flashreserve.core.commands import Command, Edit, Expire, Reserve
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
from flashreserve.core.quotas import Quotas
from flashreserve.core.rules import Plan
from flashreserve.stores.mongo.carrying import Carrier
from flashreserve.stores.mongo.database import Database, Document
from flashreserve.stores.mongo.facts import Loaded, facts_to_expire, load
from flashreserve.stores.mongo.fates import Fate, Fates, Written
from flashreserve.stores.mongo.intents import Ids, LateSettling, Sightings
from flashreserve.stores.mongo.known import KnownProducts
from flashreserve.stores.port import Flushed, StoreDefectError, StoreOutcomeUnknownError, StoreUnavailableError

TRIES_MAX: Final = 50
"""How often a command is planned, while others keep changing what it was planned on."""


class Flush:
    """The commands of one flush on their way to their outcomes."""

    def __init__(
        self, database: Database, ids: Ids, late: LateSettling, known: KnownProducts, quotas: Quotas, now: int
    ) -> None:
        self._database = database
        self._ids = ids
        self._late = late
        self._known = known
        self._quotas = quotas
        self._now = now
        self._seen = Sightings()
        self._carrier = Carrier(database, ids, late, now, self._seen)
        self._outcomes: dict[int, Outcome] = {}

    async def run(self, commands: Sequence[Command]) -> Flushed:
        """Decide and write the commands.

        Raises:
            StoreUnavailableError: nothing was written.
            StoreDefectError: nothing was written.
            StoreOutcomeUnknownError: something may have been, but by a fault of ours it isn't known what.
        """
        left = dict(enumerate(commands))
        _refuse_same_ids(commands)
        loaded, plan = self._plan_on_what_is_known(commands) or await self._plan_on_first_load(left)
        await self._write(left, plan, loaded)
        products = list(self._seen.products.values())
        return Flushed([self._outcomes[place] for place in range(len(commands))], products)

    async def expire(self, documents: Sequence[Document]) -> int:
        """Release holds that have lapsed, as they were just read; how many of them this flush released.

        Raises:
            StoreUnavailableError: nothing was written.
            StoreOutcomeUnknownError: as for `run`.
        """
        left: dict[int, Command] = {place: Expire(document["_id"]) for place, document in enumerate(documents)}
        facts = await facts_to_expire(self._database, documents, self._known.products)
        plan = rules.plan(facts, list(left.values()), self._now)
        await self._write(left, plan, Loaded(facts=facts, moves={}, used_ids=set(), void_ids=set()))
        return sum(type(outcome) is Released for outcome in self._outcomes.values())

    async def _write(self, left: dict[int, Command], plan: Plan, loaded: Loaded) -> None:
        try:
            await self._finish(left, plan, loaded)
        except Exception as error:
            # In the middle. Whatever was begun, recover finishes or undoes; nobody may try as if nothing had been.
            raise StoreOutcomeUnknownError(f"carrying out a flush: {error!r}") from error
        if any(type(outcome) in {Unavailable, OutcomeUnknown} for outcome in self._outcomes.values()):
            self._known.forget()  # Should the database be away, the next flush finds out by reading, before it writes.
        else:
            self._known.learn(self._seen.products.values())

    def _plan_on_what_is_known(self, commands: Sequence[Command]) -> tuple[Loaded, Plan] | None:
        """A plan without asking the database first, if it grants everything; R1 then tells how the products are.

        Whatever isn't as it was known to be meets a guard. A refusal has none, so it needs facts just loaded.
        """
        facts = self._known.facts_for(commands)
        if facts is None:
            return None
        plan = rules.plan(facts, commands, self._now)
        if not all(type(outcome) is Reserved for outcome in plan.outcomes):
            return None
        return Loaded(facts=facts, moves={}, used_ids=set(), void_ids=set()), plan

    async def _plan_on_first_load(self, left: dict[int, Command]) -> tuple[Loaded, Plan]:
        """A plan on facts just loaded. An id that is used by then is a fault of the caller's."""
        if any(type(command) is Edit for command in left.values()):
            await self._late.finish()  # A limit may only be set on a product on which nothing is open.
        loaded = await self._load(left)
        if loaded.used_ids:
            raise StoreDefectError("an id that should be new is in use")
        for place, command in left.items():
            if isinstance(command, Reserve) and command.reservation_id in loaded.void_ids:
                left[place] = replace(command, reservation_id=self._ids.new())
        return loaded, rules.plan(loaded.facts, list(left.values()), self._now)

    async def _load(self, left: Mapping[int, Command], *, again: bool = False) -> Loaded:
        loaded = await load(self._database, list(left.values()), self._quotas, self._now, again=again)
        self._seen.products |= loaded.facts.products
        return loaded

    async def _finish(self, left: dict[int, Command], plan: Plan, loaded: Loaded) -> None:
        """Carry the plan out, and plan again what failed, until every command has an outcome."""
        for tries_left in reversed(range(TRIES_MAX)):
            fates = await self._carrier.carry_out(plan, loaded)
            left = self._judge(left, plan, fates)
            if not left or not tries_left:
                break
            try:
                loaded = await self._load(left, again=True)
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


def _refuse_same_ids(commands: Sequence[Command]) -> None:
    new_ids = [command.reservation_id for command in commands if type(command) is Reserve]
    if len(set(new_ids)) < len(new_ids):
        raise StoreDefectError("two reserves in one flush have the same id")


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
