"""The clock of a machine, set wrong while its process runs: libfaketime tells the process another time of day."""

from pathlib import Path
from typing import Final

import pytest

_LIBRARIES: Final = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1")


def require_libfaketime() -> Path:
    """The library; the test is skipped where it isn't installed."""
    for pattern in _LIBRARIES:
        for library in Path("/").glob(pattern.removeprefix("/")):
            return library
    pytest.skip("libfaketime is missing, which sets clocks wrong: install the package libfaketime")


class MachineClock:
    """Ahead of the true time by `ahead_s`, which a process follows within a second. Its monotonic clock stays right."""

    def __init__(self, library: Path, told_in: Path) -> None:
        self._told_in = told_in
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(told_in),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        self.set(0.0)

    def set(self, ahead_s: float) -> None:
        """Set it."""
        fresh = self._told_in.with_suffix(".new")
        fresh.write_text(f"{ahead_s:+.3f}\n")
        fresh.replace(self._told_in)
