"""The open streams of a process: how many there may be, what all of them get, and who is dropped."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import msgspec
import structlog

from flashreserve.http.streams.event_stream import COMMENT, RETRY_MS
from flashreserve.server.open_stream import OpenStream

STREAMS_PER_ADDRESS_MAX: Final = 1_000
"""Open at once from one address (IPv6: one /64)."""

COMMENT_EVERY_S: Final = 15.0
SLOW_AFTER_S: Final = 10.0
"""A client that takes nothing of what was written for so long is dropped."""

_LOOK_EVERY_S: Final = 2.5
AT_ONCE: Final = 100
"""Streams that are written to in one turn of the event loop, so that reservations don't wait for thousands."""

_FIRST: Final = b"retry: %d\n\n" % RETRY_MS
_log = structlog.get_logger(__name__)


class StreamReading(msgspec.Struct):
    """How a client takes its data: it had acknowledged `taken` bytes at the last look, the last of them by `since`.

    `since` is in seconds. Unacknowledged bytes alone tell nothing: while a sale is on, each look finds the events of
    the last round trip.
    """

    taken: int = 0
    since: float = 0.0


class StreamRoom:
    """All open streams. `streams_max` is how many there may be; `monotonic` tells seconds."""

    def __init__(
        self,
        streams_max: int,
        monotonic: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        *,
        per_address_max: int = STREAMS_PER_ADDRESS_MAX,
    ) -> None:
        self._streams_max = streams_max
        self._per_address_max = per_address_max
        self._monotonic = monotonic
        self._pause = pause
        self._readings: dict[OpenStream, StreamReading] = {}
        self._by_address: dict[str, int] = {}
        self._closed = False

    @property
    def count(self) -> int:
        """Streams that are open now."""
        return len(self._readings)

    def refusal(self, address: str | None) -> str | None:
        """Why no stream can be opened for a client of this address, as a clause; None if one can."""
        if self._closed:
            return "the server is stopping"
        if len(self._readings) >= self._streams_max:
            return f"{self._streams_max:,} streams are open, as many as this process allows"
        if address is not None and self._by_address.get(address, 0) >= self._per_address_max:
            return f"{self._per_address_max:,} streams are open for this address, as many as one may have"
        return None

    def enter(self, stream: OpenStream, address: str | None, left: Callable[[OpenStream], None]) -> None:
        """Add a stream, and write its beginning. `left` is called when it is over.

        It is ended at once if the room has been closed, or was filled, since its request was admitted.
        """
        has_room = self.refusal(address) is None
        self._readings[stream] = StreamReading(since=self._monotonic())
        if address is not None:
            self._by_address[address] = self._by_address.get(address, 0) + 1

        def leave() -> None:
            del self._readings[stream]
            if address is not None:
                self._leave_address(address)
            left(stream)

        stream.on_end = leave
        stream.write(_FIRST)
        if not has_room:
            stream.end()

    async def write(self, streams: Iterable[OpenStream], data: bytes) -> list[OpenStream]:
        """Write to all of these, a part at a time. Returns those that can't take more now."""
        behind = []
        for number, stream in enumerate(tuple(streams), 1):
            if not stream.write(data) and not stream.over:
                behind.append(stream)
            if number % AT_ONCE == 0:
                await self._pause(0)
        return behind

    async def keep(self) -> None:
        """Send comments, and drop clients that take nothing, until cancelled."""
        comment_at = self._monotonic() + COMMENT_EVERY_S
        while True:
            await self._pause(_LOOK_EVERY_S)
            try:
                await self.drop_slow()
                if self._monotonic() >= comment_at:
                    comment_at = self._monotonic() + COMMENT_EVERY_S
                    await self.write(self._readings, COMMENT)
            except Exception:  # noqa: BLE001 - a bug in one turn must not end all later ones
                _log.exception("streams not kept")

    async def drop_slow(self) -> None:
        """Drop the clients that have taken nothing of what was written for `SLOW_AFTER_S`."""
        for number, (stream, reading) in enumerate(tuple(self._readings.items()), 1):
            if not stream.over:  # It may have ended while others were looked at.
                self._look(stream, reading)
            if number % AT_ONCE == 0:
                await self._pause(0)

    def _look(self, stream: OpenStream, reading: StreamReading) -> None:
        taken, now = stream.taken(), self._monotonic()
        if taken > reading.taken or not stream.untaken():
            reading.since = now
        elif now - reading.since >= SLOW_AFTER_S:
            stream.drop()
        reading.taken = taken

    def close(self) -> None:
        """End all streams; open no more. Browsers connect again, to another process."""
        self._closed = True
        for stream in tuple(self._readings):
            stream.end()

    def _leave_address(self, address: str) -> None:
        left = self._by_address[address] - 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]
