"""Files in directories where somebody else may have put something: links are replaced, never followed."""

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

OWNER_READS_AND_WRITES: Final = 0o600
_ROOT: Final = 0


def is_ours(path: Path) -> bool:
    """Whether what has this name, be it a link, belongs to us or to root."""
    return path.lstat().st_uid in {os.geteuid(), _ROOT}


def write_anew(path: Path, content: bytes) -> None:
    """Write a file that is made for this; what had its name before is removed.

    Raises:
        OSError: it can't be made, or somebody was quicker to take the name.
    """
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, OWNER_READS_AND_WRITES), "wb") as file:
        file.write(content)


def read_regular(path: Path, *, bytes_max: int) -> bytes | None:
    """The content of a file; None for a link, a pipe or a device, for a file that is too large, or without a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > bytes_max:
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(bytes_max)
    finally:
        os.close(descriptor)


def is_machines_own(path: Path) -> bool:
    """Whether the name is one of those that the system gives to devices and open files, such as /dev/stdout."""
    directory = path.parent.resolve()
    return directory == Path("/dev") or (directory.parts[:2] == ("/", "proc") and directory.name == "fd")


def open_stream(path: Path) -> BinaryIO:
    """Open a device or a pipe for writing; not a link to one, which may have been put there since it was looked at.

    Raises:
        OSError: it can't be opened.
    """
    if is_machines_own(path):
        return path.open("wb")
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_NOFOLLOW), "wb")
