"""Flow control: neither side of a connection sends more than the other takes."""

import asyncio
from typing import Final

HIGH_WATER_BYTES: Final = 64 * 1024
"""Of a body that the application hasn't taken; past it, no more is read."""


class Flow:
    """Whether a connection reads, and whether it may write."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = False
        self.write_paused = False
        self._writable = asyncio.Event()
        self._writable.set()

    async def drain(self) -> None:
        """Wait until the client has taken enough of what was written."""
        await self._writable.wait()

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

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self.write_paused = True
        self._writable.clear()

    def resume_writing(self) -> None:
        """The transport's buffer has room again, or nobody is there to take anything."""
        self.write_paused = False
        self._writable.set()
