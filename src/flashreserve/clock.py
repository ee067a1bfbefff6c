"""Time and new ids, as seams: bootstrap passes the real ones in, tests and the simulation pass theirs."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import uuid_utils

COMPARISONS: Final = 3
"""How often a database is asked for its time in one comparison."""

COMPARING_MS_MAX: Final = 250.0
"""An answer that took longer than this says too little about what time it is."""


class Clock(Protocol):
    """Two clocks: one that says when, one that says how long."""

    def now_ms(self) -> int:
        """The time of day, UTC milliseconds since 1970. May jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...


class Ids(Protocol):
    """Makes ids that nobody else makes."""

    def new(self) -> str:
        """A new UUIDv7 in its text form of 36 characters; later ones sort after earlier ones of this maker."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """See `Clock`."""
        return time.time_ns() // 1_000_000

    # See `Clock`. The function itself, because every request asks several times.
    monotonic = staticmethod(time.monotonic)


class DatabaseClock:
    """A machine's clock corrected to the database's, which all processes share.

    Until it has been compared, and where a database has no clock of its own, it is the machine's.
    """

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self.monotonic = machine.monotonic
        self.offset_ms = 0
        """By how much the database's clock is ahead of the machine's."""

    def now_ms(self) -> int:
        """See `Clock`."""
        return self._machine.now_ms() + self.offset_ms

    async def compare(self, database_now_ms: Callable[[], Awaitable[int | None]]) -> bool:
        """Ask the database some times, and believe the answer that came fastest (Cristian's algorithm, 1989).

        If even that one took as long as `COMPARING_MS_MAX`, it says too little, and the offset stays as it was.
        Whatever asking raises is raised.

        Returns:
            Whether an answer could be believed, or the database has no clock of its own.
        """
        best_ms = COMPARING_MS_MAX
        for _ in range(COMPARISONS):
            began_s = self._machine.monotonic()  # The first of all: who sleeps between the two has taken too long.
            asked = self._machine.now_ms()
            theirs = await database_now_ms()
            took_ms = (self._machine.monotonic() - began_s) * 1000
            if theirs is None:
                return True
            if took_ms < best_ms:
                best_ms = took_ms
                self.offset_ms = theirs - asked - round(took_ms / 2)
        return best_ms < COMPARING_MS_MAX


class SystemIds:
    """UUIDv7 (RFC 9562) from the machine's clock and entropy."""

    def new(self) -> str:
        """See `Ids`."""
        return str(uuid_utils.uuid7())
