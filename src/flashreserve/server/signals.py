"""When to stop: on a signal, or when the parent process is gone."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

HURRY_S: Final = 0.8
"""Seconds that a process may take to end after a second Ctrl-C."""

INTERRUPTED: Final = 130
"""The exit code of a process that took longer; shells use it for Ctrl-C."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextlib.contextmanager
def stop_on_signals(stop: asyncio.Event, afterwards: Callable[[], None] = lambda: None) -> Iterator[asyncio.Event]:
    """Set `stop` on SIGTERM, SIGINT (Ctrl-C) or SIGHUP (the terminal was closed).

    On exit, the former handlers are restored, unless `afterwards` sets others. The loop's own signal handlers aren't
    used: removing one sets the system's default for a moment, which ends the process if another thread gets the signal
    then. The loop must be uvloop's, which wakes up for a signal; asyncio's own doesn't.

    Yields:
        An event that is set by a SIGINT while the process is already stopping. The process then ends within a second,
        by force if the caller doesn't return in time.
    """
    loop = asyncio.get_running_loop()
    hurry = asyncio.Event()

    def interrupted() -> None:
        if stop.is_set() and not hurry.is_set():
            hurry.set()
            end = threading.Timer(HURRY_S, os._exit, (INTERRUPTED,))
            end.daemon = True
            end.start()
        stop.set()

    # nohup ignores SIGHUP so that the process goes on.
    heard = [n for n in _SIGNALS if n is not signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]

    def hear(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(interrupted if number == signal.SIGINT else stop.set)

    earlier = {number: signal.signal(number, hear) for number in heard}
    try:
        yield hurry
    finally:
        afterwards()
        for number, handler in earlier.items():
            if signal.getsignal(number) is hear:
                signal.signal(number, handler)


def stop_with_parent(stop: asyncio.Event, lifeline_fd: int) -> None:
    """Set `stop` when the process at the other end of the pipe has ended, for any reason."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(lifeline_fd)
        stop.set()

    loop.add_reader(lifeline_fd, gone)
