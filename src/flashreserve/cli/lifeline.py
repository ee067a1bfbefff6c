"""The lifeline of a process of `serve --workers`, watched while the process still imports its modules.

The parent of several server processes holds one end of a pipe, the lifeline, and each child the other. A server that
runs stops when the parent is gone. Before that, a child imports modules for a second or more. It has the parent's
listener open meanwhile, and clients would connect to an address that nobody serves.
"""

import os
import select
import threading
from collections.abc import Sequence
from typing import Final

OPTION: Final = "--lifeline-fd"
ORPHANED: Final = 1
"""The exit code of a child whose parent is gone. Nobody is left to read it."""

_LOOK_EVERY_MS: Final = 100


class Lifeline:
    """Ends this process as soon as its parent is gone, until the server takes over."""

    def __init__(self) -> None:
        self._taken_over = threading.Event()

    def watch(self, arguments: Sequence[str]) -> None:
        """Watch the open file that the command line names; without effect in a process that isn't such a child."""
        if OPTION in arguments[:-1]:
            descriptor = arguments[arguments.index(OPTION) + 1]
            if descriptor.isdecimal():
                threading.Thread(target=self._watch, args=(int(descriptor),), name="lifeline", daemon=True).start()

    def take_over(self) -> None:
        """Leave the lifeline to the caller from now on."""
        self._taken_over.set()

    def _watch(self, descriptor: int) -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while not self._taken_over.is_set():
            gone = any(event & (select.POLLIN | select.POLLHUP) for _, event in poll.poll(_LOOK_EVERY_MS))
            if gone and not self._taken_over.is_set():
                os._exit(ORPHANED)


lifeline: Final = Lifeline()
"""The only instance: a process has one parent."""
