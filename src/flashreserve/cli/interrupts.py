"""Signals that ask a command to end: each works like Ctrl-C, so that files and connections are cleaned up."""

import signal
from collections.abc import Iterable
from types import FrameType
from typing import Final

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """The signals that this process received. `exit_code` is that of shells, 128 and the signal's number."""

    def __init__(self) -> None:
        self.exit_code = 128 + signal.SIGINT

    def watch(self, numbers: Iterable[signal.Signals] = _ENDING) -> None:
        """End by these signals as by Ctrl-C from now on. A signal that the parent had ignored stays ignored."""
        for number in numbers:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.exit_code = 128 + number
        by_ctrl_c = signal.getsignal(signal.SIGINT)
        if not callable(by_ctrl_c):  # Shells let their background processes ignore Ctrl-C.
            raise KeyboardInterrupt
        # asyncio's handler cancels the main task, Python's own raises.
        by_ctrl_c(number, frame)


interrupts: Final = Interrupts()
"""Signals belong to the process, so there is one."""
