"""A machine's clock that is set wrong while a process runs: libfaketime gives the process another time of day."""

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

_LIBRARIES: Final = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1")

FOLLOWED_S: Final = 2.0
"""How long until a process sees that its clock was set: libfaketime reads its file once per second of its own time."""

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - libfaketime shares its state here


def require_libfaketime(directory: Path) -> Path:
    """The path of libfaketime. Skips the test if it isn't installed, or has no effect."""
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
    """Remove libfaketime's shared memory of these processes: killed ones could not do so."""
    for pid in pids:
        for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
            (_SHARED_MEMORY / name).unlink(missing_ok=True)


class MachineClock:
    """A clock that is ahead of the true time by a set number of seconds. The monotonic clock stays right."""

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
        """Set the clock; the process sees it within `FOLLOWED_S`."""
        fresh = self._told_in.with_suffix(".new")
        fresh.write_text(f"{ahead_s:+.3f}\n")
        fresh.replace(self._told_in)
