"""The local states of processes that run the real code, as numbers.

A coroutine can't be copied. So a process is run again from its beginning, with the replies that it got before, in the
same order. Two histories are the same local state if the same calls got the same replies, with the same result.
"""

from typing import Any, NamedTuple

from tests.modelcheck.calls import Call, ClockCall, Part, TimerCall
from tests.modelcheck.promises import CodePromise, ProcessError
from tests.modelcheck.setting import CodeProcess, CodeSetting, Seat
from tests.modelcheck.stepped_loop import SteppedLoop
from tests.modelcheck.stored_documents import Numbered, encoded

Replies = tuple[tuple[int, int], ...]
"""The numbers of calls and of their replies, in the order of the replies."""


class IssuedCall(NamedTuple):
    """A call and its parts, by their numbers."""

    call: Call
    parts: tuple[int, ...]


class LocalState(NamedTuple):
    """A local state. `past` has the replies that lead to it; None if the process has ended."""

    pending: tuple[tuple[int, int], ...]
    """The number of each call without a reply, and the number of its `IssuedCall`."""
    told: tuple[CodePromise, ...]
    past: tuple[int, Replies] | None


class CodeLocalStates:
    """The local states of the processes of a setting, with their calls, parts of calls and replies."""

    def __init__(self, setting: CodeSetting, programs: "tuple[CodeProcess, ...]") -> None:
        self.calls: Numbered[IssuedCall] = Numbered()
        self.parts: Numbered[Part] = Numbered()
        self.replies: Numbered[Any] = Numbered()
        self._setting = setting
        self._programs = programs
        self._states: Numbered[LocalState] = Numbered()
        self._after: dict[tuple[int, int, int], tuple[int, tuple[CodePromise, ...]]] = {}

    def __getitem__(self, state: int) -> LocalState:
        return self._states[state]

    def reply(self, value: Any) -> int:
        """The number of a reply, or of an error instead of a reply."""
        return self.replies.add(repr(value) if isinstance(value, Exception) else encoded(value), value)

    def start(self, program: int) -> int:
        """The local state of a program at its first calls."""
        return self._state(program, ())

    def after(self, state: int, call: int, reply: int) -> tuple[int, tuple[CodePromise, ...]]:
        """The local state after the reply to a call, and the promises made meanwhile."""
        key = state, call, reply
        found = self._after.get(key)
        if found is None:
            before = self._states[state]
            if before.past is None:
                raise ValueError("a process that is over gets no reply")
            program, replies = before.past
            after = self._state(program, (*replies, (call, reply)))
            found = self._after[key] = after, self._states[after].told[len(before.told) :]
        return found

    def _state(self, program: int, replies: Replies) -> int:
        loop = SteppedLoop()  # type: ignore[abstract]  # methods of asyncio that this code doesn't use
        with loop.running():
            pending, told = self._run(loop, program, replies)
        issued = tuple(self._call(call) for call in loop.issued)
        calls = tuple((number, issued[number]) for number in pending)
        if not calls:  # Ended: all ends with the same result are one state.
            return self._states.add(("over", program, told), LocalState((), told, None))
        key = program, frozenset(replies), issued, calls, told
        return self._states.add(key, LocalState(calls, told, (program, replies)))

    def _run(self, loop: SteppedLoop, program: int, replies: Replies) -> tuple[list[int], tuple[CodePromise, ...]]:
        """The calls that are pending after the replies, and the promises made."""
        name, run = self._programs[program]
        seat = Seat(name, loop, self._setting)
        task = loop.create_task(run(seat))
        loop.run_ready()
        for call, reply in replies:
            loop.deliver(call, self.replies[reply])
        errors = list(loop.errors)
        if task.done() and (error := task.exception()) is not None:
            errors.insert(0, repr(error))
        if not task.done() and not loop.pending:
            errors.append("it waits for nothing")
        return sorted(loop.pending), (*seat.told, *map(ProcessError, errors))

    def _call(self, call: Call) -> int:
        key = repr(call)
        known = self.calls.numbers.get(key)
        if known is not None:
            return known
        parts = () if isinstance(call, ClockCall | TimerCall) else call.parts(self._setting.rules)
        return self.calls.add(key, IssuedCall(call, tuple(self.parts.add(repr(part), part) for part in parts)))
