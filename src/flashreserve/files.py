"""Private files: links that another user put in their place aren't followed, and modes keep other users out."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

OWNER_READS_AND_WRITES: Final = 0o600
OWNER_ALONE_MASK: Final = 0o077
"""The umask of every command: no other user can read a database, its log, metrics or an export."""

_OTHERS_BITS: Final = stat.S_IRWXG | stat.S_IRWXO
_WRITE_BITS: Final = stat.S_IWGRP | stat.S_IWOTH
_ROOT: Final = 0


def is_ours(path: Path) -> bool:
    """Whether the file, or the link itself, belongs to our user or to root."""
    return path.lstat().st_uid in {os.geteuid(), _ROOT}


def is_file_or_pipe(path: Path) -> bool:
    """Whether a secret may be read from this path: a file, a named pipe, or a link to one."""
    return path.is_file() or path.is_fifo()


def exposure_of(path: Path) -> str:
    """Why others could read or write a secret in this file, in words; empty if only its owner can.

    The owner has to be root or our user, since an owner can always change the mode.

    Raises:
        OSError: the file doesn't exist, or can't be examined.
    """
    return _open_to(path, path.stat().st_mode & _OTHERS_BITS) or _foreign_owner(path)


def exposure_of_database(path: Path) -> str:
    """Why others could read or write a database, in words; empty if they can't, or if there is no database.

    This examines the modes of the folder, which may keep others out, of the file, and of the files that SQLite puts
    beside it with the same mode. The owner doesn't matter: an operator may examine the shop of the user that runs the
    server. A group of this process may read and write, since volumes are shared that way.

    Raises:
        OSError: a file can't be examined.
    """
    folder = path.parent
    if not folder.is_dir() or not (let_in := _others_bits(folder)):
        return ""
    if let_in & _WRITE_BITS and not folder.stat().st_mode & stat.S_ISVTX:
        return _open_to(folder, let_in, close_by=0o700)
    for ending in ("", "-wal", "-shm"):
        part = path.with_name(path.name + ending)
        with suppress(FileNotFoundError):  # not made yet, or removed by the last process that closed it
            if exposure := _open_to(part, _others_bits(part)):
                return exposure
    return ""


def _open_to(path: Path, bits: int, *, close_by: int = OWNER_READS_AND_WRITES) -> str:
    """The access that these bits give others, and the mode without it, in words; empty if none of the bits is set."""
    if not bits:
        return ""
    verb = "written" if bits & _WRITE_BITS else "read"
    return f"{path} may be {verb} by others ({stat.S_IMODE(path.stat().st_mode):04o}): run chmod {close_by:o} {path}"


def _others_bits(path: Path) -> int:
    """The bits of the mode that let in others than the owner and the groups of this process.

    When root examines another user's file, the group doesn't count: that user decides with whom to share it.
    """
    found = path.stat()
    of_own_group = found.st_gid in {os.getegid(), *os.getgroups()} or os.geteuid() == _ROOT != found.st_uid
    return found.st_mode & (stat.S_IRWXO if of_own_group else _OTHERS_BITS)


def _foreign_owner(path: Path) -> str:
    """The foreign owner of a file, or of a link to it, in words; empty if it is ours. An owner can change the mode."""
    for found in (path.stat(), path.lstat()):
        if found.st_uid not in {_ROOT, os.geteuid()}:
            return f"{path} belongs to another user ({found.st_uid}): give it to the one that runs this"
    return ""


def write_anew(path: Path, content: bytes) -> None:
    """Write a new file. A file or link that had its name before is removed.

    Raises:
        OSError: it can't be made, or another process took the name meanwhile.
    """
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, OWNER_READS_AND_WRITES), "wb") as file:
        file.write(content)


def read_regular(path: Path, *, bytes_max: int) -> bytes | None:
    """The content of a file; None for a link, a pipe, a device, a file over `bytes_max`, or if there is no file."""
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
    """Whether the path is a name that the system gives to a device or an open file, such as /dev/stdout."""
    directory = path.parent.resolve()
    return directory == Path("/dev") or (directory.parts[:2] == ("/", "proc") and directory.name == "fd")


def open_stream(path: Path) -> BinaryIO:
    """Open a device or a pipe for writing. A link is refused: another user may have put it there since the check.

    Raises:
        OSError: it can't be opened.
    """
    if is_machines_own(path):
        return path.open("wb")
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_NOFOLLOW), "wb")
