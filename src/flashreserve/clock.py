"""Time and new ids, as seams: bootstrap passes the real ones in, tests and the simulation pass theirs."""

import time
from typing import Protocol

import uuid_utils


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

    def monotonic(self) -> float:
        """See `Clock`."""
        return time.monotonic()


class SystemIds:
    """UUIDv7 (RFC 9562) from the machine's clock and entropy."""

    def new(self) -> str:
        """See `Ids`."""
        return str(uuid_utils.uuid7())
