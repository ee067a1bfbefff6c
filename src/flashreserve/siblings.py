"""Files by which the processes on one database file compare their clocks; see `flashreserve.clock.Siblings`.

Each process keeps a small file of its own in a directory beside the database, locked as long as the process lives. It
holds the time as the process sees it, and the elapsed time at which it was written. All processes of a machine share
the elapsed time, so a process can detect that only its own clock has stepped.
"""

import asyncio
import fcntl
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import structlog
from typing_extensions import override

from flashreserve.clock import Siblings, Sighting

FRESH_MS: Final = 10_000
"""A process that hasn't written for this long is suspended, and is ignored."""

SIBLINGS_MAX: Final = 256
"""Processes whose files are read, at most."""

_OWNER_ALONE: Final = 0o700
_RECORD: Final = struct.Struct("<qqqqI")

_log = structlog.get_logger(__name__)


class SiblingFiles(Siblings):
    """The siblings, by their files in `directory`, which is created when needed. `name` is this process's name."""

    def __init__(self, directory: Path, name: str, elapsed_ms: Callable[[], int]) -> None:
        self._directory = directory
        self._path = directory / f"{name}.clock"
        self._elapsed_ms = elapsed_ms
        self._descriptor: int | None = None
        self._failed = False

    @override
    async def others(self) -> Sequence[Sighting]:
        return await asyncio.to_thread(lambda: list(self._others()))

    @override
    async def tell(self, sighting: Sighting) -> None:
        await asyncio.to_thread(self._tell, sighting)

    @override
    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _others(self) -> Iterator[Sighting]:
        now_ms = self._elapsed_ms()
        for path in islice(self._directory.glob("*.clock"), SIBLINGS_MAX):
            record = _read(path) if path != self._path else None
            if record is not None and abs(now_ms - record[0]) <= FRESH_MS:
                yield record[1]

    def _tell(self, sighting: Sighting) -> None:
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            packed = _RECORD.pack(self._elapsed_ms(), *sighting, 0)[:-4]
            os.pwrite(self._descriptor, packed + zlib.crc32(packed).to_bytes(4, "little"), 0)
        except OSError as error:
            if not self._failed:
                _log.warning("clocks can't be compared with other processes'", error=error.strerror)
            self._failed = True

    def _open(self) -> int:
        """The process's own file, locked before it gets its name: an unlocked file counts as a dead process's."""
        self._directory.mkdir(mode=_OWNER_ALONE, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fresh.rename(self._path)
        return descriptor

    def _close(self) -> None:
        if self._descriptor is None:
            return
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
            self._directory.rmdir()
        os.close(self._descriptor)
        self._descriptor = None


def _read(path: Path) -> tuple[int, Sighting] | None:
    """The time and the sighting in a living process's file; None for a dead one's file, which is removed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        record = os.pread(descriptor, _RECORD.size, 0)
        if len(record) < _RECORD.size or zlib.crc32(record[:-4]) != int.from_bytes(record[-4:], "little"):
            return None
        at_ms, machine_ms, steady_ms, adopting_at_ms, _ = _RECORD.unpack(record)
        return at_ms, Sighting(machine_ms, steady_ms, adopting_at_ms)
    except OSError:
        return None
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return None
    finally:
        os.close(descriptor)
