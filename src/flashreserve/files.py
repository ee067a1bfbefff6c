"""Files that are only ours: links that somebody else put in their place aren't followed, and modes keep others out."""

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

OWNER_READS_AND_WRITES: Final = 0o600
OWNER_ALONE_MASK: Final = 0o077
"""The umask of every command: nobody else reads a database, its log, figures or an export."""

_OTHERS_BITS: Final = stat.S_IRWXG | stat.S_IRWXO
_ROOT: Final = 0


def is_ours(path: Path) -> bool:
    """Whether what has this name, be it a link, belongs to us or to root."""
    return path.lstat().st_uid in {os.geteuid(), _ROOT}


def exposure_of(path: Path) -> str:
    """Why a secret in this file isn't one, in words; empty where its owner alone may read and write it.

    The owner has to be root or the user that runs this, since an owner may always change the mode.

    Raises:
        OSError: the file isn't there, or can't be looked at.
    """
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & _OTHERS_BITS:
        verb = "written" if mode & (stat.S_IWGRP | stat.S_IWOTH) else "read"
        return f"{path} may be {verb} by others ({mode:04o}): run chmod 600 {path}"
    if found.st_uid not in {_ROOT, os.geteuid()}:
        return f"{path} belongs to another user ({found.st_uid}): give it to the one that runs this"
    return ""


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
