"""Watching an open database: its paths must still lead to the files that this process has open.

On Unix, a process can still use an open file that was removed or replaced. Every write would succeed, and all of them
would be lost when the process ends. So twice a second a thread compares the device and inode of each path with those at
the start. The store refuses work while they differ.
"""

import os
import threading
from pathlib import Path
from typing import Final

import structlog

from flashreserve.stores.port import StoreUnavailableError
from flashreserve.stores.sqlite.generation import GENERATIONS
from flashreserve.stores.sqlite.header import APPLICATION_ID, Header, log_of, read_header, shared_of

_READINGS_MAX: Final = 3
"""Readings of the header before it counts as invalid. One reading may be torn, because SQLite was writing it."""

_log = structlog.get_logger(__name__)

Identity = tuple[int, int]
"""Device and inode."""


def identity_of(path: Path) -> Identity | None:
    """The identity of the file that the path leads to now; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class DatabaseFiles:
    """The database, its log and its shared memory, as they were when this object was made, right after opening.

    `lost` is the reason why the database must not be used now, or empty. Any thread may call `look` and read `lost`.

    Raises:
        StoreUnavailableError: one of the files is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.lost = ""
        self.database_lost = False
        """Whether the database file itself is lost. Then the log must not be copied into any file now at its path."""
        self._parts = {
            self.path: "the database file",
            log_of(self.path): "the database's log (-wal)",
            shared_of(self.path): "the database's shared memory (-shm)",
        }
        self._opened = {part: identity_of(part) for part in self._parts}
        self._looking = threading.Lock()
        fault = next((f"{name} isn't there" for part, name in self._parts.items() if not self._opened[part]), "")
        if fault:
            raise StoreUnavailableError(f"{self.path}: {fault}")
        self._descriptor = _descriptors.open(self.path)
        self._generation = 0
        header = read_header(self._descriptor)
        if header is not None:
            self._generation = header.generation

    def look(self) -> None:
        """Compare the paths and the file's header with the files that were opened."""
        with self._looking:
            path_fault = self._fault_of(self.path) or self._fault_of_content()
            fault = path_fault or next(filter(None, map(self._fault_of, self._parts)), "")
            if fault != self.lost:
                if fault:
                    _log.error("database lost", path=str(self.path), reason=fault)
                else:
                    _log.warning("database is back", path=str(self.path))
            self.database_lost = bool(path_fault)
            self.lost = fault

    def require(self) -> None:
        """Refuse work while a file is lost. It looks again first, so that a file that is back is used at once.

        Raises:
            StoreUnavailableError: a file is lost.
        """
        if self.lost:
            self.look()
        if self.lost:
            raise StoreUnavailableError(f"{self.lost}; stop all servers and put it back")

    def close(self) -> None:
        """Close the descriptor. Called once, after all of SQLite's connections are closed."""
        _descriptors.close(self._descriptor)

    def _fault_of(self, part: Path) -> str:
        now = identity_of(part)
        if now == self._opened[part]:
            return ""
        return f"{self._parts[part]} was {'removed or renamed' if now is None else 'replaced by another file'}"

    def _fault_of_content(self) -> str:
        for _ in range(_READINGS_MAX):
            header = read_header(self._descriptor)
            if self._goes_on(header):
                return ""
        return "the database file was overwritten"

    def _goes_on(self, header: Header | None) -> bool:
        """Whether the header may follow the one seen last. A checkpoint never lowers the generation."""
        if header is None or header.application_id not in {0, APPLICATION_ID}:
            return False
        ahead = (header.generation - self._generation) % GENERATIONS
        if ahead > GENERATIONS // 2:
            return False
        self._generation = header.generation
        return True


class _Descriptors:
    """Descriptors for reading headers, one for each file, shared by all stores of this process.

    When a process closes any descriptor of a file, POSIX drops all locks that the process has on the file, including
    SQLite's (https://www.sqlite.org/howtocorrupt.html, 2.2). So a descriptor stays open while any store has the file
    open.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, tuple[Identity, int]] = {}

    def open(self, path: Path) -> int:
        """A descriptor of the file."""
        with self._lock:
            identity = identity_of(path)
            for descriptor, (its_identity, users) in self._open.items():
                if its_identity == identity:
                    self._open[descriptor] = (its_identity, users + 1)
                    return descriptor
            descriptor = os.open(path, os.O_RDONLY)
            found = os.fstat(descriptor)
            self._open[descriptor] = ((found.st_dev, found.st_ino), 1)
            return descriptor

    def close(self, descriptor: int) -> None:
        """Release the descriptor; the last user closes it."""
        with self._lock:
            identity, users = self._open.pop(descriptor)
            if users > 1:
                self._open[descriptor] = (identity, users - 1)
            else:
                os.close(descriptor)


_descriptors: Final = _Descriptors()
