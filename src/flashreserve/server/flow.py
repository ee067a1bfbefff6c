"""Flow control: bounds the bytes that a connection buffers in each direction."""

import asyncio
import fcntl
import sys
import termios
from typing import Final

from flashreserve.server.limits import HttpLimits

NEVER: Final = float("inf")
"""The deadline of something that may take any time."""

HIGH_WATER_BYTES: Final = 64 * 1024
"""Bytes of a request's body that the application hasn't taken; above this, reading pauses."""


class Flow:
    """Whether a connection reads, whether it may write, and whether the client takes the data fast enough.

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
        """Stop reading; the client's bytes wait in the system's buffers."""
        if not self.read_paused:
            self.read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Start to read again."""
        if self.read_paused:
            self.read_paused = False
            self._transport.resume_reading()

    def pause_writing(self, now: float) -> None:
        """The transport's buffer is full: from now on, the client has limited time to take enough."""
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
        """Called at the deadline. Whether the client has taken too little; if not, sets the next deadline."""
        untaken = self.untaken()
        if self._untaken - untaken < self._limits.write_bytes_min:
            return True
        self._untaken = untaken
        self.deadline = now + self._limits.write_timeout_s
        return False

    def waits_since(self) -> float:
        """When the client's current time limit began."""
        return self.deadline - self._limits.write_timeout_s

    def unsent(self) -> int:
        """Bytes in the process's buffer that the client hasn't taken."""
        return self._transport.get_write_buffer_size()

    def untaken(self) -> int:
        """Bytes that the client hasn't acknowledged, those in the system's buffers included."""
        return self.unsent() + queued_bytes(self._transport, termios.TIOCOUTQ)

    def has_unread(self) -> bool:
        """Whether the client has sent something that the process hasn't read yet."""
        return not self.read_paused and bool(queued_bytes(self._transport, termios.FIONREAD))


def queued_bytes(transport: asyncio.Transport, which: int) -> int:
    """Bytes in the system's queues of this connection: FIONREAD for unread, TIOCOUTQ for unacknowledged ones."""
    endpoint = transport.get_extra_info("socket")
    try:
        return int.from_bytes(fcntl.ioctl(endpoint.fileno(), which, bytes(4)), sys.byteorder)
    except (OSError, ValueError):  # The connection is closed (it has no file any more), or the system doesn't count.
        return 0
