"""Coalesced reads: callers that wait at the same time share one read, and reads begin at a limited rate.

A read that has begun isn't shared with later callers: it may have begun before what they look for was stored.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from flashreserve.side_by_side import end_all

READS_AT_ONCE_MAX: Final = 2
"""Reads that run at the same time, at most. Two, so that one that hangs doesn't hold up all callers."""


class SharedRead:
    """A read that waiting callers share. Each caller gets one that begins after its call.

    Args:
        read: Reads, and keeps what it found.
        every_s: Reads begin at least this many seconds apart, however many callers there are.
        monotonic: Seconds since a fixed moment.
        pause: Waits for some seconds.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[None]],
        every_s: float,
        monotonic: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._read = read
        self._every_s = every_s
        self._monotonic = monotonic
        self._pause = pause
        self._began_s = float("-inf")
        self._room = asyncio.Semaphore(READS_AT_ONCE_MAX)
        self._next: asyncio.Task[None] | None = None
        """The read that hasn't begun; None if nobody waits for one."""
        self._tasks: set[asyncio.Task[None]] = set()
        """That read and the running ones, since an event loop alone doesn't keep a task alive."""

    async def read_anew(self) -> None:
        """Wait for a read that begins after this call.

        Raises what the read raises, and `CancelledError` if it is closed meanwhile.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._read_when_due())
            self._tasks.add(self._next)
            self._next.add_done_callback(self._ended)
        task = self._next
        await asyncio.wait((task,))  # A caller that is cancelled doesn't stop it.
        task.result()

    async def close(self) -> None:
        """Stop reading. Callers that still wait are cancelled."""
        await end_all(*self._tasks)

    async def _read_when_due(self) -> None:
        async with self._room:
            await self._pause(max(0.0, self._began_s + self._every_s - self._monotonic()))
            self._next = None
            self._began_s = self._monotonic()
            await self._read()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._next is task:  # It was cancelled before it began.
            self._next = None
        if not task.cancelled():
            task.exception()  # Marks the exception as retrieved: all callers may have been cancelled.
