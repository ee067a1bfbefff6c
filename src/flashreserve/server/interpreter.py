"""Tuning of the Python interpreter while a process serves."""

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import Final

_COLLECT_AFTER: Final = 50_000
"""The garbage collector runs after this many objects were allocated and not freed."""

_TURN_S: Final = 0.0005
"""How long a thread may keep the interpreter's lock (GIL) while another one waits for it, in seconds."""


@contextlib.contextmanager
def tuned_interpreter() -> Iterator[None]:
    """Run the garbage collector less often, and let it skip the objects made so far; let threads switch sooner.

    Requests leave almost no reference cycles. With Python's own thresholds, a collection runs every few dozen requests,
    and some of them examine the objects of all modules: together a tenth of a request's time. The writer's thread needs
    the interpreter's lock several times in each flush, and Python's default lets it wait 5 ms each time.
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
