"""The local states of processes, as numbers: a program, and the replies that it got so far.

A coroutine can't be copied. So it is run again from its beginning, and is given the replies that it got before; that
happens once for each local state, since what came of it is kept.
"""

from typing import Any, Final

from model.fences import Fences
from model.interned import Interned
from model.processes import ModelActor, ModelPromise, Program
from model.steps import AtomicStep, ReplyLostError

LOST: Final = object()
"""The reply that was lost."""

ENDED: Final = -1
"""Stands for the next step of a process that has ended."""

Promises = tuple[ModelPromise, ...]


class LocalStates:
    """The local states of all processes of a configuration."""

    def __init__(self, fences: Fences, steps: Interned[AtomicStep[Any]], replies: Interned[Any]) -> None:
        self._fences = fences
        self._steps = steps
        self._replies = replies
        self._states: Interned[tuple[Program, tuple[int, ...]] | None] = Interned()
        self._next_step: list[int] = []
        self._after: dict[tuple[int, int], tuple[int, Promises]] = {}

    def start(self, program: Program) -> int:
        """The local state of a program at its first step."""
        return self._run(program, ())[0]

    def next_step(self, state: int) -> int:
        """The step that the process takes next, or `ENDED`."""
        return self._next_step[state]

    def after(self, state: int, reply: int) -> tuple[int, Promises]:
        """The local state once its next step was replied to, and the promises that were made on the way."""
        found = self._after.get((state, reply))
        if found is None:
            program_and_replies = self._states[state]
            if program_and_replies is None:
                raise ValueError("a process that has ended gets no reply")
            program, replies = program_and_replies
            found = self._after[state, reply] = self._run(program, (*replies, reply))
        return found

    def _run(self, program: Program, replies: tuple[int, ...]) -> tuple[int, Promises]:
        """Run a program up to the step after these replies; or the one that it goes on with, up to its first step."""
        promises: Promises = ()
        following: Program | None = program
        while following is not None:
            program = following
            step, following, new = self._replay(program, replies)
            promises += new
            if step is not None:
                return self._state((program, replies), self._steps.add(step)), promises
            replies = ()
        return self._state(None, ENDED), promises

    def _state(self, key: tuple[Program, tuple[int, ...]] | None, step: int) -> int:
        state = self._states.add(key)
        if state == len(self._next_step):
            self._next_step.append(step)
        return state

    def _replay(
        self, program: Program, replies: tuple[int, ...]
    ) -> tuple[AtomicStep[Any] | None, Program | None, Promises]:
        """The step that is awaited after the replies, or else what the coroutine returned; and the newest promises."""
        actor = ModelActor(program.name, self._fences)
        coroutine = program.run(actor, *program.arguments)
        promised = 0
        try:
            step = coroutine.send(None)
            for reply in replies:
                promised = len(actor.promises)
                value = self._replies[reply]
                step = coroutine.throw(ReplyLostError()) if value is LOST else coroutine.send(value)
        except StopIteration as end:
            return None, end.value, tuple(actor.promises[promised:])
        finally:
            coroutine.close()
        return step, None, tuple(actor.promises[promised:])
