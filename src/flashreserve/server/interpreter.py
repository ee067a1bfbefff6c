"""Settings of the Python interpreter for the time in which a process serves."""

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import Final

_COLLECT_AFTER: Final = 50_000
"""Objects made and not yet freed, when the collector runs."""

_TURN_S: Final = 0.0005
"""How long a thread may go on with the interpreter's lock while another wants it."""


@contextlib.contextmanager
def tuned_interpreter() -> Iterator[None]:
    """Let the garbage collector run less often and leave out what was loaded before; let threads take shorter turns.

    Requests leave next to no cycles behind, but with Python's own thresholds a collection comes every few dozen
    requests, and every so often it walks through all modules: a tenth of a request's time. And the thread that writes
    asks for the interpreter's lock several times a flush, while Python lets it wait for 5 ms each time.
    """
    before, turn_s = gc.get_threshold(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(turn_s)
        gc.set_threshold(*before)
        gc.unfreeze()
