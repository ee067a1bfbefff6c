"""Files that are only ours: links that somebody else put in their place aren't followed, and modes keep others out."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

OWNER_READS_AND_WRITES: Final = 0o600
OWNER_ALONE_MASK: Final = 0o077
"""The umask of every command: nobody else reads a database, its log, figures or an export."""

_OTHERS_BITS: Final = stat.S_IRWXG | stat.S_IRWXO
_WRITE_BITS: Final = stat.S_IWGRP | stat.S_IWOTH
_ROOT: Final = 0


def is_ours(path: Path) -> bool:
    """Whether what has this name, be it a link, belongs to us or to root."""
    return path.lstat().st_uid in {os.geteuid(), _ROOT}


def is_file_or_pipe(path: Path) -> bool:
    """Whether a secret may be read there: the name is of a file, of a named pipe, or of a link to one."""
    return path.is_file() or path.is_fifo()


def exposure_of(path: Path) -> str:
    """Why a secret in this file isn't one, in words; empty where its owner alone may read and write it.

    The owner has to be root or the user that runs this, since an owner may always change the mode.

    Raises:
        OSError: the file isn't there, or can't be looked at.
    """
    return _open_to(path, path.stat().st_mode & _OTHERS_BITS) or _foreign_owner(path)


def exposure_of_database(path: Path) -> str:
    """Why a database isn't its owner's alone, in words; empty where it is, or where there is none.

    Looked at are the modes of the folder, which lets others in or doesn't, of the file, and of those that SQLite puts
    beside it, which get the file's. Who the owner is doesn't matter: an operator may look at the shop of the user that
    runs the server. A group that this process is in may read and write: volumes are shared so.

    Raises:
        OSError: a file can't be looked at.
    """
    folder = path.parent
    if not folder.is_dir() or not (let_in := _others_bits(folder)):
        return ""
    if let_in & _WRITE_BITS and not folder.stat().st_mode & stat.S_ISVTX:
        return _open_to(folder, let_in, close_by=0o700)
    for ending in ("", "-wal", "-shm"):
        part = path.with_name(path.name + ending)
        with suppress(FileNotFoundError):  # not there yet, or taken away by the last process that had it open
            if exposure := _open_to(part, _others_bits(part)):
                return exposure
    return ""


def _open_to(path: Path, bits: int, *, close_by: int = OWNER_READS_AND_WRITES) -> str:
    """What others may do by these bits of the mode, in words, and the mode that keeps them out; empty without any."""
    if not bits:
        return ""
    verb = "written" if bits & _WRITE_BITS else "read"
    return f"{path} may be {verb} by others ({stat.S_IMODE(path.stat().st_mode):04o}): run chmod {close_by:o} {path}"


def _others_bits(path: Path) -> int:
    """What its mode allows to others than its owner and the groups of this process.

    Whom another owner shares it with by group is theirs to say, when root looks.
    """
    found = path.stat()
    of_own_group = found.st_gid in {os.getegid(), *os.getgroups()} or os.geteuid() == _ROOT != found.st_uid
    return found.st_mode & (stat.S_IRWXO if of_own_group else _OTHERS_BITS)


def _foreign_owner(path: Path) -> str:
    """Whose a file is that isn't ours, or a link to it, in words; an owner may always change the mode."""
    for found in (path.stat(), path.lstat()):
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
