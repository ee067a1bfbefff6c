"""The watchdog: a thread that ends the process when it is stuck, so that its supervisor can start it again.

A process is stuck if its event loop doesn't run, if a call to the database never ends, or if it takes longer to stop
than its grace. The watchdog counts ticks instead of seconds: while the process or the machine sleeps, there are none.
"""

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Final, Self

import structlog

EXIT_STUCK: Final = 70
"""The exit code of a process that the watchdog ended: `EX_SOFTWARE` of sysexits.h."""

STOP_GRACE_S: Final = 28.0
"""How long a process that was asked to stop may take; less than the 30 s after which our Compose file kills it."""

LOOP_STUCK_S: Final = 25.0
"""How long the event loop may take for one turn; less than the grace, because a loop that is stuck sees no signal."""

TICK_S: Final = 0.5
_BEAT_EVERY_TICKS: Final = 2
"""Beats are about a second apart."""
_TELL_S: Final = 2.0
"""Time limit of logging the reason, because the log itself may be stuck."""
_FRAMES_MAX: Final = 8
_TASKS_MAX: Final = 8

_log = structlog.get_logger(__name__)

Beat = Callable[[], str]
"""A function that is called on the event loop once a second. It returns what is stuck, in words, or an empty text."""


class Watchdog:
    """Runs as long as the context lasts. That is longer than the event loop, because stopping the loop may hang too."""

    def __init__(
        self,
        *,
        grace_s: float = STOP_GRACE_S,
        loop_stuck_s: float = LOOP_STUCK_S,
        tick_s: float = TICK_S,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        self._grace_ticks = max(1, round(grace_s / tick_s))
        self._loop_ticks = max(1, round(loop_stuck_s / tick_s))
        self._tick_s = tick_s
        self._end = end
        self._over = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread: int | None = None
        self._stop: asyncio.Event | None = None
        self._beats: list[Beat] = []
        self._asked = self._answered = 0
        """How many turns the event loop was asked for, and how many it has taken."""
        self._stuck = ""
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def attach(self, stop: asyncio.Event) -> None:
        """Limit the time from when `stop` is set to the end of the process. `watch` adds the other checks."""
        self._loop, self._loop_thread, self._stop = asyncio.get_running_loop(), threading.get_ident(), stop

    def watch(self, beat: Beat) -> None:
        """Watch the event loop from now on, and call `beat` once a second to learn what is stuck.

        Call this once the store is open. Opening it may block the loop for long, such as for a new index.
        """
        self._beats.append(beat)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        late = stopping = ticks = 0
        while not self._over.wait(self._tick_s):
            if self._loop is None or self._stop is None:
                continue
            ticks += 1
            late = 0 if self._answered == self._asked else late + 1
            stopping += self._stop.is_set()
            if late >= self._loop_ticks:
                return self._give_up("the event loop is stuck", self._where_the_loop_is())
            if self._stuck:
                return self._give_up("a call to the database is stuck", self._stuck)
            if stopping >= self._grace_ticks:
                return self._give_up("the process didn't stop within its grace", self._what_runs(self._loop))
            if self._beats and not late:
                self._ask(self._loop, beat=ticks % _BEAT_EVERY_TICKS == 0)
        return None

    def _ask(self, loop: asyncio.AbstractEventLoop, *, beat: bool) -> None:
        self._asked += 1
        try:
            loop.call_soon_threadsafe(self._answer, beat)
        except RuntimeError:  # The loop has ended; the process may still take a while.
            self._answered = self._asked

    def _answer(self, beat: bool) -> None:  # noqa: FBT001 - the loop passes by place
        self._answered += 1
        if beat:
            self._stuck = "; ".join(filter(None, (each() for each in self._beats)))

    def _where_the_loop_is(self) -> str:
        frame = sys._current_frames().get(self._loop_thread or 0)  # noqa: SLF001 - the documented way
        if frame is None:
            return "its thread is gone"
        return " < ".join(f"{each.name} ({each.filename}:{each.lineno})" for each in _innermost(frame))

    def _what_runs(self, loop: asyncio.AbstractEventLoop) -> str:
        try:
            names = sorted(str(task.get_coro()) for task in asyncio.all_tasks(loop))
        except RuntimeError:  # The loop changes them meanwhile.
            names = []
        return "; ".join(names[:_TASKS_MAX]) or "no task is left on the event loop"

    def _give_up(self, why: str, what: str) -> None:
        """Log the reason, and end the process even if logging hangs."""
        telling = threading.Thread(
            target=lambda: _log.critical("the watchdog ends the process", reason=why, stuck=what), daemon=True
        )
        telling.start()
        telling.join(_TELL_S)
        self._end(EXIT_STUCK)


def _innermost(frame: FrameType) -> list[traceback.FrameSummary]:
    return list(reversed(traceback.extract_stack(frame)))[:_FRAMES_MAX]
