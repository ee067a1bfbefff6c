"""Flow control: neither side of a connection keeps more than its bound of what the other hasn't taken."""

import asyncio
import fcntl
import sys
import termios
from typing import Final

from flashreserve.server.limits import HttpLimits

NEVER: Final = float("inf")
"""The deadline of what may take any time."""

HIGH_WATER_BYTES: Final = 64 * 1024
"""Of a body that the application hasn't taken; past it, no more is read."""


class Flow:
    """Whether a connection reads, whether it may write, and whether the client takes what is written.

    `deadline` is when the client must have taken enough, in the loop's time.
    """

    def __init__(self, transport: asyncio.Transport, limits: HttpLimits) -> None:
        self._transport = transport
        self._limits = limits
        self.read_paused = False
        self.write_paused = False
        self.deadline = NEVER
        self._untaken = 0
        self._writable = asyncio.Event()
        self._writable.set()

    def pause_reading(self) -> None:
        """Let the client's bytes wait in the system."""
        if not self.read_paused:
            self.read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self.read_paused:
            self.read_paused = False
            self._transport.resume_reading()

    def pause_writing(self, now: float) -> None:
        """The transport's buffer is full: give a client that takes little or nothing some time, not all of it."""
        self.write_paused = True
        self._writable.clear()
        self.deadline = now + self._limits.write_timeout_s
        self._untaken = self.untaken()

    def resume_writing(self) -> None:
        """The transport's buffer has room again, or the connection is lost."""
        self.write_paused = False
        self._writable.set()
        self.deadline = NEVER

    async def writable(self) -> None:
        """Wait until the client has taken enough of what was written."""
        await self._writable.wait()

    def stalls(self, now: float) -> bool:
        """At the deadline: whether the client has taken too little. If not, it gets another while."""
        untaken = self.untaken()
        if self._untaken - untaken < self._limits.write_bytes_min:
            return True
        self._untaken = untaken
        self.deadline = now + self._limits.write_timeout_s
        return False

    def waits_since(self) -> float:
        """Since when the client has been given time."""
        return self.deadline - self._limits.write_timeout_s

    def unsent(self) -> int:
        """Bytes that the process keeps for the client."""
        return self._transport.get_write_buffer_size()

    def untaken(self) -> int:
        """Bytes that the client hasn't acknowledged: those that the system keeps too."""
        return self.unsent() + queued_bytes(self._transport, termios.TIOCOUTQ)

    def has_unread(self) -> bool:
        """Whether the client has sent something that the process would read next."""
        return not self.read_paused and bool(queued_bytes(self._transport, termios.FIONREAD))


def queued_bytes(transport: asyncio.Transport, which: int) -> int:
    """Bytes in the system's queues of this connection: FIONREAD those to be read, TIOCOUTQ those not acknowledged."""
    endpoint = transport.get_extra_info("socket")
    try:
        return int.from_bytes(fcntl.ioctl(endpoint.fileno(), which, bytes(4)), sys.byteorder)
    except OSError:  # The connection is closed, or the system doesn't count.
        return 0
