"""Everything that may happen in a scene: steps in any order, lost replies, late writes, and what comes by itself.

A scene is a setting of one of the smaller protocols beside the one that moves stock: the log of events, deliveries,
pauses. Its processes are coroutines like those of that protocol (`processes.py`), and its documents any value that can
be hashed. As there, a process that stops for ever or sleeps needs no event of its own: `SceneSpace.violation` looks in
every state at what comes of it if nobody of the scene acts any more.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import msgspec
from typing_extensions import override

from model.documents import brief
from model.fences import ALL_FENCES
from model.interned import Interned
from model.local_states import ENDED, LOST, LocalStates
from model.processes import ModelActor, Program
from model.steps import AtomicStep, Reply, ReplyLostError

Documents = TypeVar("Documents")

_TURNS_MAX = 40
"""As many turns must be enough to finish everything, if nothing goes wrong meanwhile."""


class SceneStep(AtomicStep[Reply], frozen=True, cache_hash=True):
    """One operation on the documents of a scene. It is carried out at one instant."""

    may_be_lost: ClassVar[bool] = True
    """Whether its reply can be lost, if it writes."""

    def outcomes(self, before: Any) -> Sequence[tuple[Any, Reply]]:
        """The possible outcomes, the most favourable first. Most steps have one."""
        return [self.apply(before)]


class Choose(SceneStep[Any], frozen=True):
    """Anything that isn't decided by the database: each of the choices may come."""

    writes: ClassVar[bool] = False
    label: ClassVar[str] = "choice"
    choices: tuple[Any, ...]

    @override
    def outcomes(self, before: Any) -> Sequence[tuple[Any, Any]]:
        return [(before, choice) for choice in self.choices]


class Depart(SceneStep[None], frozen=True):
    """The rest of a command whose reply was lost: each part may arrive later, or never."""

    writes: ClassVar[bool] = False
    label: ClassVar[str] = "in flight"
    parts: tuple[SceneStep[Any], ...]

    @override
    def apply(self, before: Any) -> tuple[Any, None]:
        return before, None


class SceneRules(Protocol[Documents]):
    """What must hold in a scene."""

    def wrong(self, documents: Documents) -> str | None:
        """What is wrong now; None if nothing is."""
        ...

    def passing(self, documents: Documents) -> Iterable[tuple[str, Documents]]:
        """What may happen by itself, such as time that passes; each with the documents afterwards."""
        ...

    def settled(self, documents: Documents) -> Documents:
        """The documents once fresh processes, undisturbed, have done all that is left to do."""
        ...

    def wrong_at_rest(self, documents: Documents) -> str | None:
        """What is wrong when nothing is left to do; None if nothing is."""
        ...


class SceneSetting(msgspec.Struct, Generic[Documents], frozen=True, kw_only=True):
    """The beginning of a scene: the documents, the processes, and the faults that are allowed."""

    documents: Documents
    processes: tuple[Program, ...]
    rules: SceneRules[Documents]
    losses: int = 0
    """So many replies to writes may be lost. The write arrives at any later time, or never."""
    fences: msgspec.Struct


class SceneState(NamedTuple):
    """A state. Numbers name the values kept in `SceneSpace`."""

    documents: int
    in_flight: tuple[int, ...]
    processes: tuple[int, ...]
    losses: int


class SceneEvent(NamedTuple):
    """An event: who acts, the step, its reply, or a note in its place."""

    who: str
    step: int | None = None
    reply: int | None = None
    note: str = ""


class SceneSpace(Generic[Documents]):
    """The states of a scene, for the explorer."""

    def __init__(self, setting: SceneSetting[Documents]) -> None:
        self._setting = setting
        self._rules = setting.rules
        self._names = [program.name for program in setting.processes]
        self._documents: Interned[Documents] = Interned()
        self._steps = Interned[AtomicStep[Any]]()
        self._replies: Interned[Any] = Interned()
        self._lost = self._replies.add(LOST)
        self._locals = LocalStates(ALL_FENCES, self._steps, self._replies)
        self._outcomes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._wrong: dict[int, str | None] = {}
        self._settled: dict[int, int] = {}
        self._endings: dict[tuple[int, tuple[int, ...]], str | None] = {}

    @property
    def first(self) -> SceneState:
        """The state that everything begins in."""
        return SceneState(
            documents=self._documents.add(self._setting.documents),
            in_flight=(),
            processes=tuple(self._locals.start(program) for program in self._setting.processes),
            losses=self._setting.losses,
        )

    def violation(self, state: SceneState) -> str | None:
        """A violation now, or one that comes about if all processes stop here, and fresh ones follow."""
        return self._wrong_now(state.documents) or self._wrong_in_the_end(state.documents, state.in_flight)

    def successors(self, state: SceneState) -> Iterator[tuple[SceneEvent, SceneState]]:
        """The states that may come next, each with what happens."""
        for note, after in self._rules.passing(self._documents[state.documents]):
            yield SceneEvent("time", note=note), state._replace(documents=self._documents.add(after))
        for place, step in enumerate(state.in_flight):
            if place == 0 or state.in_flight[place - 1] != step:
                rest = state.in_flight[:place] + state.in_flight[place + 1 :]
                for documents, reply in self._apply(state.documents, step):
                    yield SceneEvent("LATE", step, reply), state._replace(documents=documents, in_flight=rest)
        for place, local in enumerate(state.processes):
            step = self._locals.next_step(local)
            if step != ENDED:
                yield from self._process_goes_on(state, place, step)

    def _process_goes_on(self, state: SceneState, place: int, step: int) -> Iterator[tuple[SceneEvent, SceneState]]:
        """The process's next step; or the same with its reply lost."""
        kind = self._steps[step]
        if isinstance(kind, Depart):
            parts = [self._steps.add(part) for part in kind.parts]
            state = state._replace(in_flight=tuple(sorted((*state.in_flight, *parts))))
        for documents, reply in self._apply(state.documents, step):
            yield self._replied(state._replace(documents=documents), place, reply, "")
        if kind.writes and state.losses and isinstance(kind, SceneStep) and kind.may_be_lost:
            lost = state._replace(in_flight=tuple(sorted((*state.in_flight, step))), losses=state.losses - 1)
            yield self._replied(lost, place, self._lost, "REPLY LOST, the write is in flight")

    def _replied(self, state: SceneState, place: int, reply: int, note: str) -> tuple[SceneEvent, SceneState]:
        local, _ = self._locals.after(state.processes[place], reply)
        after = (*state.processes[:place], local, *state.processes[place + 1 :])
        event = SceneEvent(self._names[place], self._locals.next_step(state.processes[place]), reply, note)
        return event, state._replace(processes=after)

    def _apply(self, documents: int, step: int) -> list[tuple[int, int]]:
        found = self._outcomes.get((documents, step))
        if found is None:
            outcomes = outcomes_of(self._steps[step], self._documents[documents])
            found = [(self._documents.add(after), self._replies.add(reply)) for after, reply in outcomes]
            self._outcomes[documents, step] = found
        return found

    def _wrong_now(self, documents: int) -> str | None:
        if documents not in self._wrong:
            self._wrong[documents] = self._rules.wrong(self._documents[documents])
        return self._wrong[documents]

    def _wrong_in_the_end(self, documents: int, in_flight: tuple[int, ...]) -> str | None:
        """Fresh processes finish. Then the writes in flight arrive in any order, and each time they finish again."""
        key = documents, in_flight
        if key not in self._endings:
            settled = self._settle(documents)
            found = self._wrong_now(settled) or self._rules.wrong_at_rest(self._documents[settled])
            for place, step in enumerate(in_flight):
                rest = in_flight[:place] + in_flight[place + 1 :]
                for after, _ in self._apply(settled, step):
                    late = self._wrong_in_the_end(after, rest)
                    found = found or (late and f"{late}, after a late {self._steps[step]}")
            self._endings[key] = found
        return self._endings[key]

    def _settle(self, documents: int) -> int:
        if documents not in self._settled:
            self._settled[documents] = self._documents.add(self._rules.settled(self._documents[documents]))
        return self._settled[documents]

    def describe(self, event: SceneEvent) -> str:
        """An event as a line of a trace."""
        if event.step is None or event.reply is None:
            return f"{event.who}: {event.note}"
        return f"{event.who}: {self._steps[event.step]}  " + (event.note or f"→ {brief(self._replies[event.reply])}")


def outcomes_of(step: AtomicStep[Any], before: Any) -> Sequence[tuple[Any, Any]]:
    """The possible outcomes of the step."""
    return step.outcomes(before) if isinstance(step, SceneStep) else [step.apply(before)]


async def carry_out(parts: Sequence[SceneStep[Any]]) -> list[Any]:
    """Carry out the parts of one command, in any order. Returns their replies, in that order.

    Raises:
        ReplyLostError: the reply to the command was lost; the parts that weren't carried out may still arrive.
    """
    order = tuple(permutations(range(len(parts)))) if len(parts) > 1 else (tuple(range(len(parts))),)
    chosen = await Choose(order) if len(order) > 1 else order[0]
    replies = []
    for turn, place in enumerate(chosen):
        try:
            replies.append(await parts[place])
        except ReplyLostError:
            rest = tuple(parts[later] for later in chosen[turn + 1 :])
            if rest:
                await Depart(rest)
            raise
    return replies


def run_alone(documents: Any, program: Program | None) -> Any:
    """The documents after the program ran from beginning to end, with nobody else there and nothing lost."""
    turns = 0
    while program is not None:
        turns += 1
        if turns > _TURNS_MAX:
            raise ValueError(f"{program.name} never ends")
        coroutine = program.run(ModelActor(program.name, ALL_FENCES), *program.arguments)
        try:
            step = coroutine.send(None)
            while True:
                documents, reply = outcomes_of(step, documents)[0]
                step = coroutine.send(reply)
        except StopIteration as end:
            program = end.value
    return documents
