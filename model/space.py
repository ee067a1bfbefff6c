"""Everything that may happen: steps of processes, lost replies, late writes, retries by the driver, elections, time.

That a process may stop for ever, or sleep for any time, needs no event of its own. In every state, the explorer goes on
without it; and `ModelSpace.violation` looks at what comes of the state if nobody but recovery acts any more.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from model.documents import DatabaseState, brief
from model.elections import Election, after_write, database_read, next_phase
from model.fences import ALL_FENCES, Fences
from model.interned import Interned
from model.invariants import violation_of
from model.local_states import ENDED, LOST, LocalStates, Promises
from model.processes import ModelActor, ModelPromise, Program
from model.recovery import recover
from model.steps import AtomicStep

_RECOVERIES_MAX = 12
"""As many passes of recovery must be enough to finish everything, if nothing goes wrong meanwhile."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A beginning: the database, the processes, and the faults that are allowed."""

    database: DatabaseState
    processes: tuple[Program, ...]
    clock_max: int = 0
    """The time goes on to this, a unit at a time."""
    losses: int = 0
    """So many replies to writes may be lost. The write arrives at any later time, or never."""
    driver_retries: bool = False
    """A loss may also be one that the driver hides: it sends the write a second time by itself."""
    election: bool = False
    """There may be an election. Until it is through, reads that aren't current show an older state."""
    promises: tuple[ModelPromise, ...] = ()
    """Answers that were given before."""
    fences: Fences = ALL_FENCES


class ModelState(NamedTuple):
    """A state. Numbers name the values kept in `ModelSpace`."""

    database: int
    promises: int
    in_flight: tuple[int, ...]
    """Writes whose reply was lost, and that may still arrive."""
    processes: tuple[int, ...]
    losses: int
    election: Election | None


class ModelEvent(NamedTuple):
    """An event: who acts, the step, its reply, and the promises that were made."""

    who: str
    step: int | None = None
    reply: int | None = None
    note: str = ""
    promises: Promises = ()


class ModelSpace:
    """The states of a setting, for the explorer."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._names = [program.name for program in setting.processes]
        self._products = tuple(product.id for product in setting.database.products)
        self._databases: Interned[DatabaseState] = Interned()
        self._steps = Interned[AtomicStep[Any]]()
        self._replies: Interned[Any] = Interned()
        self._promises: Interned[frozenset[ModelPromise]] = Interned()
        self._lost = self._replies.add(LOST)
        self._refused = self._replies.add(False)  # noqa: FBT003 - a reply
        self._locals = LocalStates(setting.fences, self._steps, self._replies)
        self._applied: dict[tuple[int, int], tuple[int, int]] = {}
        self._violations: dict[tuple[int, int], str | None] = {}
        self._recovered: dict[int, tuple[int, str | None]] = {}
        self._endings: dict[tuple[int, tuple[int, ...], int], str | None] = {}

    @property
    def first(self) -> ModelState:
        """The state that everything begins in."""
        return ModelState(
            database=self._databases.add(self._setting.database),
            promises=self._promises.add(frozenset(self._setting.promises)),
            in_flight=(),
            processes=tuple(self._locals.start(program) for program in self._setting.processes),
            losses=self._setting.losses,
            election=None,
        )

    def violation(self, state: ModelState) -> str | None:
        """A violation now, or one that comes about if all processes stop here, and recovery and late writes follow."""
        now = self._violation(state.database, state.promises)
        return now or self._violation_in_the_end(state.database, state.in_flight, state.promises)

    def successors(self, state: ModelState) -> Iterator[tuple[ModelEvent, ModelState]]:
        """The states that may come next, each with what happens."""
        clock = self._databases[state.database].clock
        if clock < self._setting.clock_max:
            later = msgspec.structs.replace(self._databases[state.database], clock=clock + 1)
            yield ModelEvent("clock", note=f"it is {clock + 1}"), state._replace(database=self._databases.add(later))
        if self._setting.election:
            yield from self._election_goes_on(state)
        for place, step in enumerate(state.in_flight):
            if place == 0 or state.in_flight[place - 1] != step:
                database, reply = self._apply(state.database, step)
                rest = state.in_flight[:place] + state.in_flight[place + 1 :]
                yield ModelEvent("LATE", step, reply), state._replace(database=database, in_flight=rest)
        for place, local in enumerate(state.processes):
            step = self._locals.next_step(local)
            if step != ENDED:
                yield from self._process_goes_on(state, place, step)

    def _process_goes_on(self, state: ModelState, place: int, step: int) -> Iterator[tuple[ModelEvent, ModelState]]:
        """The process's next step; or the same with its reply lost; or with the driver sending it again by itself."""
        seen = self._database_seen(state, step)
        after, reply = self._apply(seen, step)
        if not self._steps[step].writes:
            yield self._replied(state, place, reply, "")
            return
        now = state._replace(database=after)
        yield self._replied(now._replace(election=after_write(state.election)), place, reply, "")
        if state.losses:
            in_flight, losses = tuple(sorted((*state.in_flight, step))), state.losses - 1
            lost = state._replace(in_flight=in_flight, losses=losses)
            yield self._replied(lost, place, self._lost, "REPLY LOST, the write is in flight")
            if self._setting.driver_retries:
                # The server carries out one of the two copies, unless the guard of the second fails first.
                still = in_flight if reply == self._refused else state.in_flight
                again = now._replace(in_flight=still, losses=losses)
                yield self._replied(again, place, reply, "THE DRIVER SENT IT AGAIN, the first copy is in flight")

    def _replied(self, state: ModelState, place: int, reply: int, note: str) -> tuple[ModelEvent, ModelState]:
        """The process at `place` goes on from the reply to its step. `state` has what the step changed."""
        database, promises, in_flight, processes, losses, election = state
        local, new = self._locals.after(processes[place], reply)
        if new:
            promises = self._promises.add(self._promises[promises].union(new))
        after = (*processes[:place], local, *processes[place + 1 :])
        event = ModelEvent(self._names[place], self._locals.next_step(processes[place]), reply, note, new)
        return event, ModelState(database, promises, in_flight, after, losses, election)

    def _election_goes_on(self, state: ModelState) -> Iterator[tuple[ModelEvent, ModelState]]:
        following = next_phase(state.election, state.database)
        if following is not None:
            note, election = following
            yield ModelEvent("ELECTION", note=note), state._replace(election=election)

    def _database_seen(self, state: ModelState, step: int) -> int:
        """The database that a step works on: for a read that isn't current, after an election, an older one."""
        kind = self._steps[step]
        if kind.writes or kind.current:
            return state.database
        return database_read(state.election, state.database)

    def _apply(self, database: int, step: int) -> tuple[int, int]:
        found = self._applied.get((database, step))
        if found is None:
            after, reply = self._steps[step].apply(self._databases[database])
            found = self._applied[database, step] = self._databases.add(after), self._replies.add(reply)
        return found

    def _violation(self, database: int, promises: int) -> str | None:
        key = database, promises
        if key not in self._violations:
            self._violations[key] = violation_of(self._databases[database], self._promises[promises])
        return self._violations[key]

    def _violation_in_the_end(self, database: int, in_flight: tuple[int, ...], promises: int) -> str | None:
        """Only recovery acts any more. Then the writes in flight arrive in any order, each followed by recovery."""
        key = database, in_flight, promises
        if key not in self._endings:
            recovered, found = self._recover(database)
            found = found or self._violation(recovered, promises)
            for place, step in enumerate(in_flight):
                if found is not None:
                    break
                if place and in_flight[place - 1] == step:
                    continue
                rest = in_flight[:place] + in_flight[place + 1 :]
                found = self._violation_in_the_end(self._apply(recovered, step)[0], rest, promises)
                found = None if found is None else f"{found}, after a late {self._steps[step]}"
            self._endings[key] = found
        return self._endings[key]

    def _recover(self, database: int) -> tuple[int, str | None]:
        """The database once recovery, undisturbed, has finished every movement; and what is wrong if it can't."""
        if database not in self._recovered:
            after, wrong = self._databases[database], None
            for turn in range(_RECOVERIES_MAX):
                if not any(product.intents for product in after.products):
                    break
                after = _run_alone(after, Program(f"Z{turn}", recover, (self._products,)), self._setting.fences)
            else:
                wrong = "STUCK: recovery never finishes a movement"
            self._recovered[database] = self._databases.add(after), wrong
        return self._recovered[database]

    def describe(self, event: ModelEvent) -> str:
        """An event as a line of a trace."""
        who, step, reply, note, promises = event
        if step is None or reply is None:
            return f"{who}: {note}"
        text = f"{who}: {self._steps[step]}  " + (note or f"→ {brief(self._replies[reply])}")
        return text + "".join(f"  TELLS {promise.kind.name} {promise.subject}" for promise in promises)


def _run_alone(database: DatabaseState, program: Program | None, fences: Fences) -> DatabaseState:
    """The database after a program ran from beginning to end, with nobody else there."""
    while program is not None:
        coroutine = program.run(ModelActor(program.name, fences), *program.arguments)
        try:
            step = coroutine.send(None)
            while True:
                database, reply = step.apply(database)
                step = coroutine.send(reply)
        except StopIteration as end:
            program = end.value
    return database
