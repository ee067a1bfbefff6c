"""What can go wrong, by name.

At its time: a process dies (`crash`), ends in order (`stop`) or sleeps (`freeze`); its link is cut (`cut`); the
network or the disk is slow (`slow`); the database dies (`server-crash`); a clock jumps, for a moment or for good
(`clock`); messages of all processes meet with trouble for a while (`storm`); the database elects a new primary, whose
reads show less than was acknowledged, for a while (`election`). Other faults wait for a message, or for work on the
disk.
"""

from typing import Final, NamedTuple

AT_A_WRITE: Final = (
    "crash-before",
    "crash-after",
    "crash-part",
    "freeze-before",
    "freeze-after",
    "refused",
    "lost",
    "unanswered",
    "late",
    "part",
    "missed",
    "delayed",
    "sent-again",
    "stranded",
    "crash-late",
)
"""Happen at a write that a process sends after their time.

The process dies or sleeps before the message leaves, after it was carried out, or when a part of it was. Or the message
was surely not sent, is lost, is carried out but not answered, is given up and carried out later, or in part; or a
command on many documents misses one; or it just takes long. Or the reply is lost, and the driver sends the write again
by itself, if it is set to: then the second copy's reply is told, and the first copy arrives later.
`stranded`: the reply is lost and the database dies; the message arrives when it is back.
`crash-late`: the process dies, and what it sent arrives later.
"""

AT_A_COMMIT: Final = (
    "crash-before",
    "crash-after",
    "freeze-before",
    "freeze-after",
    "busy",
    "full",
    "disk-fails-before",
    "disk-fails-after",
    "delayed",
)
"""SQLite's, at a transaction that begins after their time.

The process dies or sleeps before or after the commit; another process writes for too long; there is no room; the disk
fails when nothing, or all, has reached it; or it just takes long.
"""

AT_A_READ: Final = ("read-fails", "read-delayed")


class SimulatedFault(NamedTuple):
    """Something that goes wrong at `at` seconds, or at the write (or read) that comes `skip` after that.

    `seconds` is how long it lasts: the sleep, the cut, the delay.
    """

    at: float
    kind: str
    process: int
    seconds: float
    skip: int = 0
