"""Jobs that wait for a thread, with a fair share of places and turns for everybody.

The threads take one job of each group in turn, so a group with many jobs delays another's by one. When all places are
taken, the group with the most gives its newest up: nobody keeps others out by asking often.

Groups lie within each other, as networks do: whoever has a whole network is one party, in however many of its parts
they ask. Places and turns are shared among the widest groups first, then within each of them.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from operator import attrgetter
from typing import Generic, TypeVar

Job = TypeVar("Job")


class WaitingRoom(Generic[Job]):
    """At most `places` jobs, first come, first served within their narrowest group, and groups in turn."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._all: _Party[Job] = _Party()

    def add(self, groups: Sequence[str], job: Job) -> Job | None:
        """Let the job wait. Returns the one that has no place any more, which may be this one.

        `groups` are those that the job belongs to, the widest first.
        """
        removed: Job | None = None
        if self._all.size >= self._places:
            removed = self._all.give_way(groups)
            if removed is None:
                return job
        self._all.add(groups, job)
        return removed

    def next(self) -> Job | None:
        """The job whose turn it is; it waits no longer."""
        return self._all.next() if self._all.size else None

    def clear(self) -> list[Job]:
        """All jobs that wait; none of them does afterwards."""
        return [self._all.next() for _ in range(self._all.size)]


class _Party(Generic[Job]):
    """A group: the jobs of its narrower groups, the one whose turn it is standing first, or its own."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: OrderedDict[str, _Party[Job]] = OrderedDict()
        self._own: deque[Job] = deque()

    def add(self, groups: Sequence[str], job: Job) -> None:
        self.size += 1
        if not groups:
            self._own.append(job)
            return
        self._parts.setdefault(groups[0], _Party()).add(groups[1:], job)

    def next(self) -> Job:
        """The job whose turn it is."""
        self.size -= 1
        if self._own:
            return self._own.popleft()
        name, part = self._parts.popitem(last=False)
        job = part.next()
        if part.size:
            self._parts[name] = part
        return job

    def give_way(self, groups: Sequence[str]) -> Job | None:
        """The newest job of the part that has most, if whoever asks has fewer even with one more; else None."""
        if not groups or not self._parts:
            return None
        own = self._parts.get(groups[0])
        largest = max(self._parts.values(), key=attrgetter("size"))
        if largest.size > (own.size if own else 0) + 1:
            removed: Job | None = self.give_up()
        else:
            removed = own.give_way(groups[1:]) if own else None
            self.size -= removed is not None
        return removed

    def give_up(self) -> Job:
        """The newest job of the part that has most, and within that of the part that has most, and so on."""
        self.size -= 1
        if self._own:
            return self._own.pop()
        name, largest = max(self._parts.items(), key=lambda part: part[1].size)
        job = largest.give_up()
        if not largest.size:
            del self._parts[name]
        return job
