"""Calls to a driver: each has a time limit, and none is ever cancelled.

A cancellation inside a driver can break it for good. With Python 3.11, one that meets PyMongo's own timeout leaves the
driver's lock locked, and every later call waits for ever. So each call runs as a task of its own. The waiting caller
may be cancelled, or give up at the time limit; the call then ends by the driver's own timeouts.
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar

T = TypeVar("T")

CALL_S: Final = 5.0
"""Time limit of a call, unless `patience` sets another: requests are answered within it."""

PATIENT_S: Final = 30.0
"""Time limit of a call of background work, where nobody waits for an answer."""

ABANDONED_MAX: Final = 512
"""Limit on calls that were given up and still run. At the limit, new calls are refused."""

STUCK_BEATS: Final = 60
"""A call that runs for this many beats is stuck: a driver's own timeouts end a call long before."""

_limit_s: ContextVar[float] = ContextVar("call_limit_s", default=CALL_S)


@contextmanager
def patience(limit_s: float) -> Iterator[None]:
    """Set the time limit (seconds) of the calls that are made within the context."""
    token = _limit_s.set(limit_s)
    try:
        yield
    finally:
        _limit_s.reset(token)


class CallError(Exception):
    """The call has no known result. `sent`: it was too slow; otherwise it was never made."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class Calls:
    """The calls to one driver, all on one event loop. `name` is for messages."""

    def __init__(self, name: str, *, abandoned_max: int = ABANDONED_MAX) -> None:
        self._name = name
        self._abandoned_max = abandoned_max
        self._running: dict[asyncio.Future[Any], tuple[str, int]] = {}
        """The purpose of each call, and the beat at which it began, the oldest first."""
        self._abandoned: set[asyncio.Future[Any]] = set()
        self._beats = 0

    @property
    def abandoned(self) -> int:
        """Calls that were given up and still run."""
        return len(self._abandoned)

    async def run(self, purpose: str, call: Awaitable[T], *, limit_s: float | None = None) -> T:
        """The call's result, or what it raises.

        Raises:
            CallError: the call took longer than `limit_s` seconds (None: the limit that `patience` sets) and was given
                up; or it was never made, because too many others were given up and still run.
        """
        if len(self._abandoned) >= self._abandoned_max:
            if isinstance(call, Coroutine):
                call.close()
            raise CallError(f"{self._name} has {len(self._abandoned)} unfinished calls", sent=False)
        task = asyncio.ensure_future(call)
        self._running[task] = (purpose, self._beats)
        task.add_done_callback(self._ended)
        limit_s = _limit_s.get() if limit_s is None else limit_s
        try:
            await asyncio.wait((task,), timeout=limit_s)
        finally:
            if not task.done():
                self._abandoned.add(task)
        if not task.done():
            raise CallError(f"{self._name} didn't answer within {limit_s:g} s", sent=True)
        return task.result()

    async def finish(self, within_s: float) -> None:
        """Wait for the running calls, at most `within_s` seconds."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=within_s)

    def beat(self) -> str:
        """Count a beat of the process's watchdog, about one a second.

        Beats are counted instead of seconds: a process that was suspended for an hour has had none.

        Returns:
            A description of the call that is stuck, or an empty text.
        """
        self._beats += 1
        oldest = next(iter(self._running.values()), None)
        if oldest is None or self._beats - oldest[1] < STUCK_BEATS:
            return ""
        return f"{self._name}: {oldest[0]}, {len(self._running)} calls in flight"

    def _ended(self, task: "asyncio.Future[Any]") -> None:
        del self._running[task]
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # Marks the exception as retrieved: the waiting caller may have been cancelled just now.
