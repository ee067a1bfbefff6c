"""A fair queue of jobs that wait for a thread, by groups of clients.

The threads take one job of each group in turn, so a group with many jobs delays another group's job by one. If all
places are taken, the group with the most jobs loses its newest one. So a client that sends many requests can't keep
others out.

Groups are nested, as networks are. So the owner of a large network counts as one group, even with many addresses.
Places and turns are shared among the widest groups first, then within each of them.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from operator import attrgetter
from typing import Generic, TypeVar

Job = TypeVar("Job")


class WaitingRoom(Generic[Job]):
    """At most `places` jobs. Groups take turns; within the narrowest group, the order is first in, first out."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._all: _ClientGroup[Job] = _ClientGroup()

    def add(self, groups: Sequence[str], job: Job) -> Job | None:
        """Add a job. Returns the job that loses its place, if any, which may be this one.

        `groups` are the job's, the widest first.
        """
        removed: Job | None = None
        if self._all.size >= self._places:
            removed = self._all.give_way(groups)
            if removed is None:
                return job
        self._all.add(groups, job)
        return removed

    def next(self) -> Job | None:
        """Remove and return the job whose turn it is; None if no job waits."""
        return self._all.next() if self._all.size else None

    def clear(self) -> list[Job]:
        """Remove and return all jobs."""
        return [self._all.next() for _ in range(self._all.size)]


class _ClientGroup(Generic[Job]):
    """A group. It holds narrower groups, the one whose turn it is first, or jobs."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: OrderedDict[str, _ClientGroup[Job]] = OrderedDict()
        self._own: deque[Job] = deque()

    def add(self, groups: Sequence[str], job: Job) -> None:
        self.size += 1
        if not groups:
            self._own.append(job)
            return
        self._parts.setdefault(groups[0], _ClientGroup()).add(groups[1:], job)

    def next(self) -> Job:
        """Remove and return the job whose turn it is."""
        self.size -= 1
        if self._own:
            return self._own.popleft()
        name, part = self._parts.popitem(last=False)
        job = part.next()
        if part.size:
            self._parts[name] = part
        return job

    def give_way(self, groups: Sequence[str]) -> Job | None:
        """Make room for a job of `groups`: remove and return the newest job of the largest part.

        None if the part that the job belongs to would not be smaller than that, even with the job.
        """
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
        """Remove and return the newest job of the largest part's largest part, and so on."""
        self.size -= 1
        if self._own:
            return self._own.pop()
        name, largest = max(self._parts.items(), key=lambda part: part[1].size)
        job = largest.give_up()
        if not largest.size:
            del self._parts[name]
        return job
