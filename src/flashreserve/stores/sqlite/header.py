"""The headers of a database file and of its log, read directly, without SQLite.

The formats: https://www.sqlite.org/fileformat2.html, sections 1.3 (the database header) and 4.1 (the log).
"""

import os
import struct
from pathlib import Path
from typing import Final

import msgspec

from flashreserve.stores.sqlite.generation import generation_in

APPLICATION_ID: Final = 0x464C5253
"""`FLRS`: marks the file in its header as a FlashReserve database."""

_HEADER_BYTES: Final = 100
_WAL_VERSION: Final = 2
_MAGIC: Final = b"SQLite format 3\0"
_HEADER: Final = struct.Struct(">16sHBB 40x I 4x I")
"""Magic, page size, write and read version, user version, application id."""

_LOG_HEADER: Final = struct.Struct(">I 4x I 4x 8s")
"""Magic, page size, salts."""
_LOG_HEADER_BYTES: Final = 32
_LOG_MAGICS: Final = frozenset({0x377F0682, 0x377F0683})
_FRAME: Final = struct.Struct(">II8s")
"""Page number, pages of the database after a commit or 0, salts."""
_FRAME_BYTES: Final = 24


class Header(msgspec.Struct, frozen=True):
    """A database file's header. `uses_log` is whether the file is in SQLite's WAL mode."""

    page_bytes: int
    uses_log: bool
    generation: int
    application_id: int


class LogSpan(msgspec.Struct, frozen=True):
    """The committed part of a log. `first` and `last` are its generations, None if it doesn't hold the first page."""

    page_bytes: int
    first: int | None
    last: int | None


def log_of(path: Path) -> Path:
    """The write-ahead log. It lies beside the file itself, even if `path` is a symbolic link."""
    return Path(f"{path.resolve()}-wal")


def shared_of(path: Path) -> Path:
    """The file of SQLite's shared memory, in the same place as the log (`log_of`)."""
    return Path(f"{path.resolve()}-shm")


def read_header(descriptor: int) -> Header | None:
    """The header of an open file; None if it isn't an SQLite database."""
    return parse_header(os.pread(descriptor, _HEADER_BYTES, 0))


def parse_header(found: bytes) -> Header | None:
    """The header in a file's first bytes; None if it isn't an SQLite database."""
    if len(found) < _HEADER_BYTES:
        return None
    magic, page_bytes, _, reads, user_version, application_id = _HEADER.unpack_from(found)
    if magic != _MAGIC:
        return None
    return Header(_page_bytes(page_bytes), reads == _WAL_VERSION, generation_in(user_version), application_id)


def read_log(path: Path) -> LogSpan | None:
    """The committed part of the log; None if nothing is committed.

    Raises:
        OSError: the log exists but can't be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return _read_log(descriptor)
    finally:
        os.close(descriptor)


def _read_log(descriptor: int) -> LogSpan | None:
    begin = os.pread(descriptor, _LOG_HEADER_BYTES, 0)
    if len(begin) < _LOG_HEADER_BYTES:
        return None
    magic, page_bytes, salts = _LOG_HEADER.unpack_from(begin)
    if magic not in _LOG_MAGICS:
        return None
    generations: list[int] = []
    committed: int | None = None
    place = _LOG_HEADER_BYTES
    while len(frame := os.pread(descriptor, _FRAME_BYTES + _HEADER_BYTES, place)) == _FRAME_BYTES + _HEADER_BYTES:
        page, pages_after, its_salts = _FRAME.unpack_from(frame)
        if its_salts != salts:  # a frame from before the log was restarted
            break
        if page == 1 and (header := parse_header(frame[_FRAME_BYTES:])) is not None:
            generations.append(header.generation)
        if pages_after:
            committed = len(generations)
        place += _FRAME_BYTES + page_bytes
    if committed is None:
        return None
    within = generations[:committed]
    return LogSpan(page_bytes, within[0], within[-1]) if within else LogSpan(page_bytes, None, None)


def _page_bytes(field: int) -> int:
    return 65_536 if field == 1 else field
