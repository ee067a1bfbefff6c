"""Signals that ask a command to end: each works like Ctrl-C, so that files and connections are cleaned up."""

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Final

_BY_OTHERS: Final = (signal.SIGTERM, signal.SIGHUP)
_ENDING: Final = (*_BY_OTHERS, signal.SIGINT)


class Interrupts:
    """The signals that this process received. `exit_code` is that of shells, 128 and the signal's number."""

    def __init__(self) -> None:
        self.exit_code = 128 + signal.SIGINT
        self._watching = False

    def watch(self, numbers: Iterable[signal.Signals] = _BY_OTHERS) -> None:
        """End by these signals as by Ctrl-C from now on. A signal that the parent had ignored stays ignored."""
        self._watching = True
        for number in numbers:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._interrupt)

    def ignore(self) -> None:
        """Let no signal change how this process ends: its command is over. Without effect in another's, as in a test.

        Children that are started from now on would inherit it.
        """
        for number in _ENDING if self._watching else ():
            signal.signal(number, signal.SIG_IGN)

    @contextmanager
    def held(self) -> Iterator[Callable[[], AbstractContextManager[None]]]:
        """Keep signals waiting within this context, but for the context in it that this yields.

        So what is made there is cleaned up, however many signals come. The first that waited is heard at the end.
        """
        waiting: list[int] = []
        heard = {number: handler for number in _ENDING if callable(handler := signal.getsignal(number))}

        def hold() -> None:
            for number in heard:
                signal.signal(number, lambda number, _: waiting.append(number))

        def release() -> None:
            for number, handler in heard.items():
                signal.signal(number, handler)
            if waiting:
                signal.raise_signal(waiting.pop(0))

        @contextmanager
        def hearing() -> Iterator[None]:
            try:
                release()
                yield
            finally:
                hold()

        hold()
        try:
            yield hearing
        finally:
            release()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.exit_code = 128 + number
        by_ctrl_c = signal.getsignal(signal.SIGINT)
        if not callable(by_ctrl_c):  # Shells let their background processes ignore Ctrl-C.
            raise KeyboardInterrupt
        # asyncio's handler cancels the main task, Python's own raises.
        by_ctrl_c(number, frame)


interrupts: Final = Interrupts()
"""Signals belong to the process, so there is one."""
