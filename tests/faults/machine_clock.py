"""The clock of a machine, set wrong while its process runs: libfaketime tells the process another time of day."""

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

_LIBRARIES: Final = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1")


FOLLOWED_S: Final = 2.0
"""How soon a process knows that its clock was set: libfaketime looks once in a second of its own time."""

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where libfaketime keeps what the children of a process share


def require_libfaketime(directory: Path) -> Path:
    """The library; the test is skipped where it isn't installed, or has no effect."""
    for pattern in _LIBRARIES:
        for library in Path("/").glob(pattern.removeprefix("/")):
            clock = MachineClock(library, directory / "clock")
            clock.set(3_600)
            words = [sys.executable, "-c", "import time; print(time.time())"]
            told = subprocess.run(words, env=clock.environment, capture_output=True, text=True, check=True).stdout
            if float(told) - time.time() > 3_000:
                return library
    pytest.skip("libfaketime is missing, which sets clocks wrong: install the package libfaketime")


def clear_shared_memory(pids: Iterable[int]) -> None:
    """Remove what libfaketime left of these processes: those that were killed couldn't."""
    for pid in pids:
        for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
            (_SHARED_MEMORY / name).unlink(missing_ok=True)


class MachineClock:
    """A clock ahead of the true time by what it was last set to. The monotonic one stays right."""

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
        """Set it; heard within `FOLLOWED_S`."""
        fresh = self._told_in.with_suffix(".new")
        fresh.write_text(f"{ahead_s:+.3f}\n")
        fresh.replace(self._told_in)
