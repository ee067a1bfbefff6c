"""Jobs that wait for a thread, with a fair share of places and turns for everybody.

The threads take one job of each group in turn, so a group with many jobs delays another's by one. When all places are
taken, the group with the most gives its newest up: nobody keeps others out by asking often.
"""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

Job = TypeVar("Job")


class WaitingRoom(Generic[Job]):
    """At most `places` jobs, first come, first served within their group, and groups in turn."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = 0
        # The group whose turn it is stands first.
        self._groups: OrderedDict[str, deque[Job]] = OrderedDict()

    def add(self, group: str, job: Job) -> Job | None:
        """Let the job wait. Returns the one that has no place any more, which may be this one."""
        own = len(self._groups.get(group, ()))
        removed: Job | None = None
        if self._taken >= self._places:
            largest = max(self._groups.values(), key=len, default=None)
            if largest is None or len(largest) <= own + 1:
                return job
            removed = largest.pop()
            self._taken -= 1
        self._groups.setdefault(group, deque()).append(job)
        self._taken += 1
        return removed

    def next(self) -> Job | None:
        """The job whose turn it is; it waits no longer."""
        if not self._groups:
            return None
        group, jobs = self._groups.popitem(last=False)
        job = jobs.popleft()
        self._taken -= 1
        if jobs:
            self._groups[group] = jobs
        return job

    def clear(self) -> list[Job]:
        """All jobs that wait; none of them does afterwards."""
        jobs = [job for group in self._groups.values() for job in group]
        self._groups.clear()
        self._taken = 0
        return jobs
