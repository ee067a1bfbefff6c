"""The space of all possible events of processes that run the real code, explored like the model's states.

A process may stop forever at any point. Other processes continue without it, and `CodeSpace.violation` checks the
result of a state if only recovery acts afterwards.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from model.elections import Election, after_write, database_read, next_phase
from tests.modelcheck.calls import FAR, ClockCall, TimerCall
from tests.modelcheck.code_invariants import broken_promise, wrong_books
from tests.modelcheck.code_local_states import CodeLocalStates
from tests.modelcheck.programs import recover_undisturbed
from tests.modelcheck.promises import CodePromise, StoredBooks
from tests.modelcheck.setting import CodeProcess, CodeSetting
from tests.modelcheck.store_seam import DRIVER_RETRIES_WRITES
from tests.modelcheck.stored_documents import Numbered, StoredDocuments

from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

_SHOWN_MAX = 260
_RECOVERIES_MAX = 14
"""Passes of recovery that must be enough to finish everything, without faults meanwhile."""


class CallProgress(NamedTuple):
    """The progress of a call: its parts that were carried out, and whether the driver sent it again."""

    call: int
    done: tuple[tuple[int, int], ...] = ()
    """The places of the parts that were carried out, with the numbers of their results."""
    retried: bool = False


class ProgramPosition(NamedTuple):
    """The position of a process: its local state, and the progress of its pending calls."""

    local: int
    progress: tuple[CallProgress, ...] = ()

    def of(self, call: int) -> CallProgress:
        """The progress of the call."""
        if not self.progress:
            return CallProgress(call)
        return next((each for each in self.progress if each.call == call), CallProgress(call))

    def without(self, call: int) -> tuple[CallProgress, ...]:
        """The progress of the other calls."""
        return self.progress and tuple(each for each in self.progress if each.call != call)


class PendingCall(NamedTuple):
    """A process's call without a reply: its number within the process, and the number of its `IssuedCall`."""

    process: int
    number: int
    issued: int


class CodeState(NamedTuple):
    """A state. Numbers name the values kept in `CodeSpace`."""

    database: int
    told: int
    in_flight: tuple[int, ...]
    """Parts that may still be carried out, of calls whose reply was lost."""
    places: tuple[ProgramPosition, ...]
    losses: int
    clock: int
    """The number of the setting's ticks that have passed."""
    election: Election | None


class CodeEvent(NamedTuple):
    """An event: the process, its call, the part of the call with its result, and the promises made."""

    who: str
    note: str
    call: int | None = None
    part: int | None = None
    result: int | None = None
    told: tuple[CodePromise, ...] = ()


class CodeSpace:
    """The states of a setting, for the explorer."""

    def __init__(self, setting: CodeSetting) -> None:
        self._setting = setting
        self._stored = StoredDocuments(moves_count=setting.moves_count)
        recoverer = CodeProcess("Z", recover_undisturbed)
        self._locals = CodeLocalStates(setting, (*setting.processes, recoverer))
        self._recoverer = len(setting.processes)
        self._told: Numbered[frozenset[CodePromise]] = Numbered()
        self._carried_out: dict[tuple[int, int], tuple[int, int]] = {}
        self._violations: dict[tuple[int, int], str | None] = {}
        self._recovered: dict[int, tuple[int, str | None]] = {}
        self._endings: dict[tuple[int, tuple[int, ...], int], str | None] = {}
        self._lost = self._locals.reply(StoreOutcomeUnknownError("lost"))
        self._away = self._locals.reply(StoreUnavailableError("away"))
        self._fired = self._locals.reply(None)

    @property
    def first(self) -> CodeState:
        """The initial state."""
        starts = [self._locals.start(program) for program in range(self._recoverer)]
        told = {promise for start in starts for promise in self._locals[start].told}
        return CodeState(
            database=self._stored.first_database(self._setting.documents),
            told=self._told_number(frozenset(told)),
            in_flight=(),
            places=tuple(ProgramPosition(start) for start in starts),
            losses=self._setting.losses,
            clock=0,
            election=None,
        )

    def violation(self, state: CodeState) -> str | None:
        """A violation now, or one that follows if all processes stop here, by recovery and late parts."""
        now = self._violation(state.database, state.told)
        return now or self._violation_in_the_end(state.database, state.in_flight, state.told)

    def successors(self, state: CodeState) -> Iterator[tuple[CodeEvent, CodeState]]:
        """The possible next states, each with its event."""
        if state.clock < len(self._setting.ticks):
            note = f"it is {self._setting.ticks[state.clock]} ms"
            yield CodeEvent("clock", note), state._replace(clock=state.clock + 1)
        if self._setting.election and (following := next_phase(state.election, state.database)) is not None:
            note, election = following
            yield CodeEvent("ELECTION", note), state._replace(election=election)
        for place, part in enumerate(state.in_flight):
            if place == 0 or state.in_flight[place - 1] != part:
                database, result = self._carry_out(state.database, part)
                rest = state.in_flight[:place] + state.in_flight[place + 1 :]
                after = state._replace(database=database, in_flight=rest)
                yield CodeEvent("LATE", "", None, part, result), after
        for process, standing in enumerate(state.places):
            for number, issued in self._locals[standing.local].pending:
                yield from self._call_goes_on(state, PendingCall(process, number, issued))

    def _call_goes_on(self, state: CodeState, pending: PendingCall) -> Iterator[tuple[CodeEvent, CodeState]]:
        """All possible next events of a pending call."""
        call, parts = self._locals.calls[pending.issued]
        if isinstance(call, ClockCall | TimerCall):
            reply = self._fired if isinstance(call, TimerCall) else self._locals.reply(self._now(state))
            yield self._replied(state, pending, reply, "")
            return
        progress = state.places[pending.process].of(pending.number)
        did = {place for place, _ in progress.done}
        rest = [place for place in range(len(parts)) if place not in did]
        if not rest:
            yield self._replied(state, pending, self._locals.reply(call.reply([])), "touches nothing")
        for place in rest[:1] if self._setting.in_order else rest:
            yield self._part_carried_out(state, pending, progress, place)
        if state.losses:
            yield from self._call_fails(state, pending, progress, rest)

    def _call_fails(
        self, state: CodeState, pending: PendingCall, progress: CallProgress, rest: list[int]
    ) -> Iterator[tuple[CodeEvent, CodeState]]:
        """Events: the reply is lost, or the call isn't carried out. `rest` are the places of the other parts."""
        call, parts = self._locals.calls[pending.issued]
        fewer = state._replace(losses=state.losses - 1)
        untouched = not progress.done and not progress.retried
        if call.writes:
            in_flight = tuple(sorted((*state.in_flight, *(parts[place] for place in rest))))
            note = f"REPLY LOST, {len(rest)} of {len(parts)} parts in flight"
            yield self._replied(fewer._replace(in_flight=in_flight), pending, self._lost, note)
            if self._setting.driver_retries and DRIVER_RETRIES_WRITES and call.retried_by_driver and untouched:
                again = self._with_progress(fewer, pending, progress._replace(retried=True))
                yield self._event(pending, "THE DRIVER SENDS IT AGAIN, the first copy is in flight"), again
        if self._setting.unavailable and untouched:
            yield self._replied(fewer, pending, self._away, "UNAVAILABLE, surely not sent")

    def _part_carried_out(
        self, state: CodeState, pending: PendingCall, progress: CallProgress, place: int
    ) -> tuple[CodeEvent, CodeState]:
        """The event in which a part of a call is carried out. After the last part, the reply comes."""
        call, parts = self._locals.calls[pending.issued]
        part, election, in_flight = parts[place], state.election, state.in_flight
        seen = state.database if call.writes or call.current else database_read(election, state.database)
        database, result = self._carry_out(seen, part)
        if progress.retried and self._is_refusal(result):
            # The reply is the refusal of the second copy, but the first may still be carried out.
            in_flight = tuple(sorted((*in_flight, part)))
        done = tuple(sorted((*progress.done, (place, result))))
        last = len(done) == len(parts)
        if call.writes:
            election = after_write(election) if last else election
            state = state._replace(database=database, in_flight=in_flight, election=election)
        if not last:
            event = self._event(pending, "", part, result)
            return event, self._with_progress(state, pending, progress._replace(done=done))
        reply = self._locals.reply(call.reply([self._locals.replies[each] for _, each in done]))
        return self._replied(state, pending, reply, "", part, result)

    def _is_refusal(self, result: int) -> bool:
        value = self._locals.replies[result]
        return value is False or value is None

    def _replied(
        self,
        state: CodeState,
        pending: PendingCall,
        reply: int,
        note: str,
        part: int | None = None,
        result: int | None = None,
    ) -> tuple[CodeEvent, CodeState]:
        """The event in which the process gets the reply to its call."""
        standing, told = state.places[pending.process], state.told
        local, new = self._locals.after(standing.local, pending.number, reply)
        if new:
            told = self._told_number(self._told[told].union(new))
        places = _put(state.places, pending.process, ProgramPosition(local, standing.without(pending.number)))
        return self._event(pending, note, part, result, new), state._replace(places=places, told=told)

    def _with_progress(self, state: CodeState, pending: PendingCall, progress: CallProgress) -> CodeState:
        """The state with the progress of a call that has no reply yet."""
        standing = state.places[pending.process]
        changed = tuple(sorted((*standing.without(pending.number), progress)))
        return state._replace(places=_put(state.places, pending.process, standing._replace(progress=changed)))

    def _event(
        self,
        pending: PendingCall,
        note: str,
        part: int | None = None,
        result: int | None = None,
        told: tuple[CodePromise, ...] = (),
    ) -> CodeEvent:
        return CodeEvent(self._setting.processes[pending.process].name, note, pending.issued, part, result, told)

    def _now(self, state: CodeState) -> int:
        return self._setting.ticks[state.clock - 1] if state.clock else 0

    def _carry_out(self, database: int, part: int) -> tuple[int, int]:
        """The database after a part of a call, and the number of its result."""
        key = database, part
        found = self._carried_out.get(key)
        if found is None:
            what = self._locals.parts[part]
            documents = self._stored.collection(database, what.collection)
            written, result = what.carry_out(documents, self._stored.canonical)
            after = database if written is None else self._stored.with_document(database, what.collection, written)
            found = self._carried_out[key] = after, self._locals.reply(result)
        return found

    def _told_number(self, told: frozenset[CodePromise]) -> int:
        return self._told.add(told, told)

    def _violation(self, database: int, told: int) -> str | None:
        key = database, told
        if key not in self._violations:
            products, reservations = (self._stored.collection(database, each) for each in ("products", "reservations"))
            books, check = StoredBooks(products, reservations), self._setting.check
            found = wrong_books(books) or broken_promise(books, self._told[told])
            self._violations[key] = found or (check(books) if check is not None else None)
        return self._violations[key]

    def _violation_in_the_end(self, database: int, in_flight: tuple[int, ...], told: int) -> str | None:
        """A violation after recovery alone, and after the parts in flight in any order, each followed by recovery."""
        key = database, in_flight, told
        if key not in self._endings:
            recovered, found = self._recover(database)
            found = found or self._violation(recovered, told)
            for place, part in enumerate(in_flight):
                if found is not None:
                    break
                if place == 0 or in_flight[place - 1] != part:
                    rest = in_flight[:place] + in_flight[place + 1 :]
                    found = self._violation_in_the_end(self._carry_out(recovered, part)[0], rest, told)
                    found = None if found is None else f"{found}, after a late {short(self._locals.parts[part])}"
            self._endings[key] = found
        return self._endings[key]

    def _recover(self, database: int) -> tuple[int, str | None]:
        """The database after undisturbed recovery has finished everything, and the fault if it can't."""
        if database not in self._recovered:
            after, wrong = database, None
            for _ in range(_RECOVERIES_MAX):
                if self._is_at_rest(after):
                    break
                after = self._recover_once(after)
            else:
                wrong = "STUCK: movements that recovery never finishes"
            self._recovered[database] = after, wrong
        return self._recovered[database]

    def _is_at_rest(self, database: int) -> bool:
        """Whether no movement and no import is open."""
        products, batches = (self._stored.collection(database, each) for each in ("products", "batches"))
        moving = any(product["intents"] for product in products.values())
        return not moving and not any(batch["state"] in {"open", "committed"} for batch in batches.values())

    def _recover_once(self, database: int) -> int:
        """The database after a complete pass of recovery, with no other process."""
        local = self._locals.start(self._recoverer)
        while pending := self._locals[local].pending:
            call, number = pending[0]
            issued, parts = self._locals.calls[number]
            match issued:
                case ClockCall():
                    reply: Any = FAR
                case TimerCall():
                    reply = None
                case _:
                    results = []
                    for part in parts:
                        database, result = self._carry_out(database, part)
                        results.append(self._locals.replies[result])
                    reply = issued.reply(results)
            local, _ = self._locals.after(local, call, self._locals.reply(reply))
        return database

    def describe(self, event: CodeEvent) -> str:
        """An event as a line of a trace."""
        text = f"{event.who}: "
        if event.call is not None:
            text += f"{short(self._locals.calls[event.call].call)} "
        if event.part is not None and event.result is not None:
            text += f"part {short(self._locals.parts[event.part])} → {short(self._locals.replies[event.result])}"
        return text + event.note + "".join(f"  TELLS {promise!r}" for promise in event.told)


def _put(places: tuple[ProgramPosition, ...], process: int, place: ProgramPosition) -> tuple[ProgramPosition, ...]:
    return (*places[:process], place, *places[process + 1 :])


def short(value: Any) -> str:
    """A value as text for a trace, shortened if it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}…"
