"""One flush: plan on facts that may be stale, carry out the effects under their guards, and plan the rest again."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, assert_never, cast

from msgspec.structs import replace

from flashreserve.core import rules
from flashreserve.core.commands import Cancel, Command, Confirm, Edit, Expire, Extend, Label, Reserve, Restock, Return
from flashreserve.core.effects import ReleaseEffect, ReserveEffect, RestockEffect, ReturnEffect
from flashreserve.core.facts import idempotency_claim
from flashreserve.core.model import Adjustment, Product, Reservation
from flashreserve.core.outcomes import (
    Confirmed,
    Edited,
    Expired,
    Extended,
    Invalid,
    KeyReused,
    Labelled,
    NotConfirmed,
    NotFound,
    Outcome,
    OutcomeUnknown,
    Refused,
    Released,
    Replayed,
    Reserved,
    Restocked,
    Returned,
    Ruled,
    StockTaken,
    Unavailable,
)
from flashreserve.core.quotas import Quotas, is_quota_claim
from flashreserve.core.rules import Plan
from flashreserve.stores.mongo import product_writes
from flashreserve.stores.mongo.carrier import Carrier
from flashreserve.stores.mongo.database import Database, Document
from flashreserve.stores.mongo.facts import Loaded, facts_to_expire, load
from flashreserve.stores.mongo.intents import IdSource, LateSettling, Sightings
from flashreserve.stores.mongo.known_products import KnownProducts
from flashreserve.stores.mongo.write_results import WriteResult, WriteResults, Written
from flashreserve.stores.port import Flushed, StoreDefectError, StoreOutcomeUnknownError, StoreUnavailableError

TRIES_MAX: Final = 50
"""How often a command is planned at most, when its facts keep changing."""

FLUSH_S: Final = 5.0
"""How long a flush retries. After that no caller waits for it any more (`combiner.DEADLINE_S`)."""

_RETURNING_PART: Final = 4
"""Count quotas before planning if at least one in this many reserves is from a customer who already has a hold."""

_MOVING_LOOKS_MAX: Final = 3
"""How often a refused reserve is planned again while an earlier request with its key is in flight."""


_UNSEEN: Final = frozenset({NotFound, NotConfirmed})
"""Refusals that a stale read causes if it doesn't show a reservation yet, or its confirmation."""


class Flush:
    """Plans and writes the commands of one flush, until each has an outcome."""

    def __init__(
        self,
        database: Database,
        ids: IdSource,
        late: LateSettling,
        known: KnownProducts,
        quotas: Quotas,
        now: int,
        *,
        logs_grants: bool = False,
    ) -> None:
        self._database = database
        self._ids = ids
        self._late = late
        self._known = known
        self._quotas = quotas
        self._now = now
        self._seen = Sightings()
        self._ends_at = asyncio.get_running_loop().time() + FLUSH_S
        self._carrier = Carrier(database, ids, late, now, self._seen, logs_grants=logs_grants)
        self._given_up: Callable[[int], bool] = _nobody
        self._outcomes: dict[int, Outcome] = {}
        self._reserves = 0
        self._in_flight: set[int] = set()
        """Indices of commands that were sent and may still be carried out, even if they are retried."""
        self._blocked: Counter[int] = Counter()
        """How often a command's refusal was held back, because an earlier request with its key is in flight."""
        self._current = False
        """Whether facts have to be loaded by current reads from now on."""

    async def run(self, commands: Sequence[Command], given_up: Callable[[int], bool] | None = None) -> Flushed:
        """Decide and write the commands. `given_up` is that of `Taken`.

        Raises:
            StoreUnavailableError: nothing was written.
            StoreDefectError: nothing was written.
            StoreOutcomeUnknownError: something may have been written. It isn't known what, because of a defect of ours.
        """
        self._given_up = given_up or _nobody
        self._reserves = sum(type(command) is Reserve for command in commands)
        left = dict(enumerate(commands))
        _refuse_same_ids(commands)
        loaded, plan = self._plan_on_what_is_known(commands) or await self._plan_on_first_load(left)
        await self._write(left, plan, loaded)
        products = list(self._seen.products.values())
        return Flushed([self._outcomes[place] for place in range(len(commands))], products)

    async def expire(self, documents: Sequence[Document]) -> int:
        """Release lapsed holds, given as they were just read. Returns how many of them this flush released.

        Each is tried once. If one can't be released now, the next sweep finds it again, a second later.

        Raises:
            StoreUnavailableError: nothing was written.
            StoreOutcomeUnknownError: as for `run`.
        """
        left: dict[int, Command] = {place: Expire(document["_id"]) for place, document in enumerate(documents)}
        facts = await facts_to_expire(self._database, documents, self._known.products, self._now)
        plan = rules.plan(facts, list(left.values()), self._now)
        await self._write(left, plan, Loaded(facts=facts), tries=1)
        return sum(type(outcome) is Released for outcome in self._outcomes.values())

    async def _write(self, left: dict[int, Command], plan: Plan, loaded: Loaded, tries: int = TRIES_MAX) -> None:
        try:
            await self._finish(left, plan, loaded, tries)
        except Exception as error:
            # Some writes may be done. Recovery finishes or undoes them; a retry as if nothing was written is forbidden.
            raise StoreOutcomeUnknownError(f"carrying out a flush: {error!r}") from error
        if any(type(outcome) in {Unavailable, OutcomeUnknown} for outcome in self._outcomes.values()):
            self._known.forget()  # If the database is away, the next flush learns it from a read, before it writes.
        else:
            self._known.learn(self._seen.products.values())

    def _plan_on_what_is_known(self, commands: Sequence[Command]) -> tuple[Loaded, Plan] | None:
        """A plan without reading the database first, if it grants everything. R1 then returns the products.

        The guards detect facts that are stale. A refusal has no guard, so it needs facts that were just loaded.
        """
        facts = None if self._known.count_first else self._known.facts_for(commands)
        if facts is None:
            return None
        plan = rules.plan(facts, commands, self._now)
        if not all(type(outcome) is Reserved for outcome in plan.outcomes):
            return None
        return Loaded(facts=facts), plan

    async def _plan_on_first_load(self, left: dict[int, Command]) -> tuple[Loaded, Plan]:
        """A plan on facts just loaded. If a new id is in use already, that is a defect of the caller."""
        if any(type(command) is Edit for command in left.values()):
            await self._late.finish()  # A limit may only be set on a product without open movements.
        counting = self._known.count_first
        loaded = await self._load(left, counting=counting)
        self._known.count_first = counting and self._many_return(loaded)
        if loaded.used_ids:
            raise StoreDefectError("an id that should be new is in use")
        for place, command in left.items():
            if isinstance(command, Reserve) and command.reservation_id in loaded.void_ids:
                left[place] = replace(command, reservation_id=self._ids.new())
        return loaded, self._plan(left, loaded)

    def _plan(self, left: dict[int, Command], loaded: Loaded) -> Plan:
        self._drop_given_up(left)
        return rules.plan(loaded.facts, list(left.values()), self._now)

    def _drop_given_up(self, left: dict[int, Command]) -> None:
        """Leave out the commands whose callers have given up: they aren't decided on facts read from now on.

        Such a caller may have sent the request again, and have been refused. A plan on older facts than that does no
        harm, because its guards then refuse the request.
        """
        for place in [place for place in left if self._given_up(place)]:
            self._outcomes[place] = OutcomeUnknown()
            del left[place]

    async def _load(self, left: Mapping[int, Command], *, counting: bool) -> Loaded:
        # An edit that seems to change nothing needs current facts, and so does a refusal of a keyed reserve. Loading
        # them at once saves planning it again, after the flush's later edits.
        current = self._current or any(
            isinstance(command, Edit) or (isinstance(command, Reserve) and command.key is not None)
            for command in left.values()
        )
        loaded = await load(
            self._database, list(left.values()), self._quotas, self._now, counting=counting, current=current
        )
        self._seen.products |= loaded.facts.products
        return loaded

    def _many_return(self, loaded: Loaded) -> bool:
        """Whether so many customers already have holds that counting their quotas before planning costs less."""
        holding = {user_id for user_id, claim in loaded.facts.claims if is_quota_claim(claim)}
        return bool(holding) and len(holding) * _RETURNING_PART >= self._reserves

    async def _finish(self, left: dict[int, Command], plan: Plan, loaded: Loaded, tries: int) -> None:
        """Carry out the plan, and plan again the commands that failed, until each has an outcome."""
        for tries_left in reversed(range(tries)):
            results = await self._carrier.carry_out(plan, loaded, self._wanted(left))
            left = await self._judge(left, plan, results, loaded)
            self._drop_given_up(left)
            if not left or not tries_left or asyncio.get_running_loop().time() >= self._ends_at:
                break
            try:
                loaded = await self._load(left, counting=True)
                self._known.count_first |= self._many_return(loaded)
            except StoreUnavailableError:
                break
            plan = self._plan(left, loaded)
        for place in left:
            self._outcomes[place] = (
                OutcomeUnknown()
                if place in self._in_flight or place in self._blocked
                else Unavailable("others were faster each time, or the database went away")
            )

    def _wanted(self, left: Mapping[int, Command]) -> Callable[[str], bool]:
        """A function that says whether the reservation with an id may still be inserted."""
        places = {command.reservation_id: place for place, command in left.items() if isinstance(command, Reserve)}
        return lambda reservation_id: not self._given_up(places[reservation_id])

    async def _judge(
        self, left: Mapping[int, Command], plan: Plan, results: WriteResults, loaded: Loaded
    ) -> dict[int, Command]:
        """Keep the outcomes that are final. Returns the commands of the others.

        An outcome with an effect is final if the effect was applied. An outcome without one is final only if all
        effects were applied, because a refusal may depend on any of them. A confirmation of a part has two: the units
        that aren't bought go back first. So nothing was done only if nothing of either was.
        """
        released = {effect.after.id: effect.after for effect in plan.effects if isinstance(effect, ReleaseEffect)}
        given_back = {
            effect.after.id: effect.after
            for effect in plan.effects
            if isinstance(effect, ReturnEffect) and effect.entry.key is None
        }
        rest: dict[int, Command] = {}
        for (place, command), outcome in zip(left.items(), plan.outcomes, strict=True):
            planned = _intended_by(outcome, released)
            result = results.of(planned)
            part = results.of(given_back.get(outcome.reservation.id)) if isinstance(outcome, Confirmed) else None
            if part is WriteResult.UNKNOWN:
                result = part
            if WriteResult.IN_FLIGHT in {result, part} or (part is WriteResult.APPLIED and result is not part):
                self._in_flight.add(place)
            if result is WriteResult.APPLIED:
                self._outcomes[place] = _as_written(outcome, results.written(planned))
            elif result is None and results.all_applied:
                told = await self._without_effect(place, command, outcome, plan, loaded)
                if told is None:
                    rest[place] = command
                else:
                    self._outcomes[place] = told
            elif result is WriteResult.UNKNOWN:
                self._outcomes[place] = OutcomeUnknown()
            elif isinstance(command, Reserve) and result is WriteResult.REFUSED:
                # A retry gets a new id, because a message in flight or an intent may still have the old one.
                rest[place] = replace(command, reservation_id=self._ids.new())
            else:
                rest[place] = command
        return rest

    async def _without_effect(
        self, place: int, command: Command, outcome: Ruled, plan: Plan, loaded: Loaded
    ) -> Outcome | None:
        """The outcome of a command whose plan has no effect; None if the command has to be planned again first.

        A refusal has no guard that proves it. If an earlier sending of the command may have taken effect, or still may,
        the refusal needs current facts and a fence against messages in flight.
        """
        match command:
            case Reserve() if command.key is not None and type(outcome) not in {Replayed, KeyReused}:
                return self._refused_key(place, command.user_id, command.key, outcome, loaded)
            case Confirm(id_) | Extend(id_) | Cancel(id_) | Return(id_) | Label(id_) if type(outcome) in _UNSEEN:
                # A reservation that this flush makes after the command's turn didn't exist for the command.
                if loaded.current or _makes(plan, id_):
                    return outcome
                self._current = True
                return None
            case Label() if not loaded.current:
                self._current = True  # A stale read may show a label that was replaced since.
                return None
            case Restock() if type(outcome) is NotFound and not loaded.current:
                self._current = True
                return None
            case Restock() if type(outcome) in {StockTaken, Invalid} and not _uses_key(plan, command):
                result = await product_writes.refuse(self._database, command, loaded.refusals[command.product_id])
                if result is WriteResult.UNKNOWN:
                    return OutcomeUnknown()
                return outcome if result is WriteResult.APPLIED else None
            case Reserve() | Confirm() | Extend() | Cancel() | Return() | Label() | Expire() | Restock() | Edit():
                return outcome
            case _:
                assert_never(command)

    def _refused_key(self, place: int, user_id: str, key: str, outcome: Ruled, loaded: Loaded) -> Outcome | None:
        """The refusal of a keyed reserve, which is final once no earlier request with the key can still be granted.

        None can if one was granted: then the movement that names the key is only not settled yet.
        """
        if (user_id, key) not in loaded.moving or (user_id, idempotency_claim(key)) in loaded.facts.claims:
            return outcome
        self._blocked[place] += 1
        return OutcomeUnknown() if self._blocked[place] > _MOVING_LOOKS_MAX else None


def _nobody(_place: int) -> bool:
    return False


def _uses_key(plan: Plan, command: Restock) -> bool:
    """Whether another restock of the flush has used the key. It is as good a fence against messages in flight."""
    return any(
        isinstance(effect, RestockEffect)
        and (effect.adjustment.product_id, effect.adjustment.key) == (command.product_id, command.key)
        for effect in plan.effects
    )


def _makes(plan: Plan, reservation_id: str) -> bool:
    return any(isinstance(effect, ReserveEffect) and effect.reservation.id == reservation_id for effect in plan.effects)


def _refuse_same_ids(commands: Sequence[Command]) -> None:
    new_ids = [command.reservation_id for command in commands if type(command) is Reserve]
    if len(set(new_ids)) < len(new_ids):
        raise StoreDefectError("two reserves in one flush have the same id")


def _intended_by(outcome: Ruled, released: Mapping[str, Reservation]) -> Written | None:
    """The document that the outcome's own effect is planned to leave; None if the outcome has no effect."""
    match outcome:
        case Reserved(reservation) | Confirmed(reservation) | Extended(reservation) | Released(reservation):
            return reservation
        case Returned(reservation, _) | Labelled(reservation):
            return reservation
        case Restocked(adjustment, _):
            return adjustment
        case Edited(product):
            return product
        case Expired(reservation_id, _):
            return released.get(reservation_id)
        case Replayed():
            return None
        case _:  # A refusal is asked for last, since that is slow: they are fifteen types.
            if isinstance(outcome, Refused):
                return None
            assert_never(outcome)


def _as_written(outcome: Ruled, written: Written | None) -> Ruled:
    """The outcome with the document that was really written, if stale facts made the plan differ from it."""
    if written is None or isinstance(outcome, Refused):
        return outcome
    match outcome:
        case Confirmed() | Extended() | Released() | Returned() | Labelled():
            return replace(outcome, reservation=cast("Reservation", written))
        case Restocked():
            return replace(outcome, adjustment=cast("Adjustment", written))
        case Edited():
            return replace(outcome, product=cast("Product", written))
        case Reserved() | Replayed() | Expired():
            return outcome
        case _:
            assert_never(outcome)
