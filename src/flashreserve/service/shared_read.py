"""A read that many requests need at the same time, and share."""

import asyncio
from collections.abc import Awaitable, Callable


class SharedRead:
    """Reads again for those who wait. All who ask before a read begins share it.

    Args:
        read: Reads, and keeps what it found.
        every_s: Reads begin at least this many seconds apart, however many ask.
        monotonic: Seconds since a fixed moment.
    """

    def __init__(self, read: Callable[[], Awaitable[None]], every_s: float, monotonic: Callable[[], float]) -> None:
        self._read = read
        self._every_s = every_s
        self._monotonic = monotonic
        self._began_s = float("-inf")
        self._next: asyncio.Task[None] | None = None
        """The read that hasn't begun; None if nobody waits for one."""
        self._running: set[asyncio.Task[None]] = set()

    async def once(self) -> None:
        """Wait until a read that began after this call has ended. Raises what the read raises.

        One that began before may have missed what the caller looks for.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._read_in_time())
            self._running.add(self._next)
            self._next.add_done_callback(self._ended)
        await asyncio.shield(self._next)  # A caller who no longer waits doesn't stop it.

    async def _read_in_time(self) -> None:
        await asyncio.sleep(self._began_s + self._every_s - self._monotonic())
        self._next = None
        self._began_s = self._monotonic()
        await self._read()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._next is task:  # It was cancelled before it began.
            self._next = None
        if not task.cancelled():
            task.exception()  # Marks the exception as retrieved: all callers may have been cancelled.
