"""A clock that moves only when a test moves it."""

from typing_extensions import override

from flashreserve.clock import Clock

START_MS = 1_795_000_000_000


class MovingClock(Clock):
    def __init__(self) -> None:
        self._elapsed_ms = 0
        self._set_ahead_ms = 0

    @override
    def now_ms(self) -> int:
        return START_MS + self._elapsed_ms + self._set_ahead_ms

    @override
    def monotonic(self) -> float:
        return 1000.0 + self._elapsed_ms / 1000

    @override
    def elapsed_ms(self) -> int:
        return self._elapsed_ms

    def advance(self, seconds: float) -> None:
        self._elapsed_ms += round(seconds * 1000)

    def set_ahead(self, seconds: float) -> None:
        """Set the time of day ahead, or back. Elapsed time stays as it is."""
        self._set_ahead_ms += round(seconds * 1000)
