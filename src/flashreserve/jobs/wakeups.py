"""Telling workers when there will be something to sweep. Wake-ups make releases prompt, never right: sweeps do that."""

from collections.abc import Iterable
from typing import Protocol


class Wakeups(Protocol):
    """Takes note of when holds will lapse."""

    def expect(self, instants: Iterable[int]) -> None:
        """Holds that were granted or extended lapse at these instants (UTC milliseconds).

        Returns at once, never raises, and promises nothing.
        """
        ...

    async def close(self) -> None:
        """Let go of the queue, within two seconds. What it hasn't been told yet, it never will be."""
        ...


class NoWakeups:
    """For the embedded engine, which sweeps in the process itself."""

    def expect(self, instants: Iterable[int]) -> None:
        """See `Wakeups`."""

    async def close(self) -> None:
        """See `Wakeups`."""
