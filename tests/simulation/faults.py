"""The faults, by name.

Some happen at a given time: a process dies (`crash`), shuts down in order (`stop`) or sleeps (`freeze`); its link is
cut (`cut`); the network or the disk is slow (`slow`); the database dies (`server-crash`); a clock jumps, for a moment
or for good (`clock`); messages of all processes are disturbed for a while (`storm`); the database elects a new primary,
whose reads show less than was acknowledged, for a while (`election`). Others wait for a message, or for work on the
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
"""Faults at the first write that a process sends after the fault's time.

The process dies or sleeps before the message leaves (`-before`), after it was carried out (`-after`), or when a part
was (`crash-part`); or it dies, and the message arrives later (`crash-late`). The message was certainly not sent
(`refused`), is lost (`lost`), is carried out but not answered (`unanswered`), or is given up and carried out later
(`late`) or in part (`part`). A command on many documents misses one (`missed`). A message just takes long (`delayed`).
With `sent-again`, the reply is lost and the driver sends the write again by itself, if it is set to: the caller gets
the second copy's reply, and the first copy arrives later. With `stranded`, the reply is lost and the database dies; the
message arrives when the database is back.
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
"""Faults of SQLite, at the first transaction that begins after the fault's time.

The process dies or sleeps before or after the commit; another process writes for too long (`busy`); the disk is full
(`full`); the disk fails when nothing (`-before`) or everything (`-after`) has reached it; or the work just takes long.
"""

AT_A_READ: Final = ("read-fails", "read-delayed")


class SimulatedFault(NamedTuple):
    """A fault at `at` seconds, or, if it waits for a message, at the first one after that, `skip` others left out.

    `seconds` is the duration of the sleep, the cut or the delay.
    """

    at: float
    kind: str
    process: int
    seconds: float
    skip: int = 0
