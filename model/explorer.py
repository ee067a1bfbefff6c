"""Breadth-first search through every state of a space, and the shortest way to one that breaks a promise."""

import time
from collections import deque
from collections.abc import Hashable, Iterable
from typing import Any, Protocol, TypeVar

import msgspec

State = TypeVar("State", bound=Hashable)


class Space(Protocol[State]):
    """A space of states: a first one, and those that may follow each."""

    @property
    def first(self) -> State:
        """The state that everything begins in."""
        ...

    def violation(self, state: State) -> str | None:
        """The violation in the state; None if there is none."""
        ...

    def successors(self, state: State) -> Iterable[tuple[Any, State]]:
        """The states that may come next, each with what happens; in the same order each time."""
        ...

    def describe(self, event: Any) -> str:
        """In a line, what happens: `event` is what `successors` gave."""
        ...


class Exploration(msgspec.Struct, frozen=True):
    """The result: how much was explored, and what was found."""

    states: int
    transitions: int
    seconds: float
    exhausted: bool
    """Whether every state was seen. If not, a bound was reached, or a violation ended the search."""
    violation: str | None
    trace: list[str]
    """The shortest way to the violation, an event a line."""

    @property
    def verdict(self) -> str:
        """The result in words."""
        if self.violation is not None:
            return f"VIOLATION: {self.violation}"
        return "exhausted, no violation" if self.exhausted else "not exhausted, no violation so far"


def explore(space: Space[State], states_max: int, seconds_max: float) -> Exploration:
    """Search until a violation is found, every state was seen, or a bound is reached.

    A state is kept as the key to the state that it was first reached from: that takes least memory, and a trace is made
    by asking for the successors again.
    """
    began = time.monotonic()
    reached_from: dict[State, State | None] = {space.first: None}
    queue = deque(reached_from)
    transitions, violation, trace = 0, None, list[str]()
    while queue and len(reached_from) <= states_max and time.monotonic() - began <= seconds_max:
        state = queue.popleft()
        violation = space.violation(state)
        if violation is not None:
            trace = _way_to(space, state, reached_from)
            break
        for _, after in space.successors(state):
            transitions += 1
            if after not in reached_from:
                reached_from[after] = state
                queue.append(after)
    seconds = time.monotonic() - began
    return Exploration(len(reached_from), transitions, seconds, not queue and violation is None, violation, trace)


def _way_to(space: Space[State], state: State, reached_from: dict[State, State | None]) -> list[str]:
    events: list[str] = []
    while (before := reached_from[state]) is not None:
        events.append(next(space.describe(event) for event, after in space.successors(before) if after == state))
        state = before
    return events[::-1]
