"""Virtual time: a seed decides what happens next, in every process.

Each simulated process has an event loop of its own. All loops share one agenda. Time stands still while
anything is ready to run, and then jumps to the next entry. There are no threads, no sockets and no real waiting.
"""

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from random import Random
from typing import Any, Final, NoReturn, TypeVar

from typing_extensions import override

T = TypeVar("T")

_STEPS_AT_ONCE_MAX: Final = 200_000
"""Limit on callbacks of one process at one instant. Beyond it, the process is in an endless loop."""


class World:
    """The agenda, and the time in seconds since the beginning."""

    def __init__(self, seed: int, *, ties_at_random: bool = False) -> None:
        self.now = 0.0
        self.random = Random(seed)
        self.complaints: list[str] = []
        self._ties_at_random = ties_at_random
        self._agenda: list[tuple[float, float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._entries = 0
        self._awake: deque[ProcessLoop] = deque()
        self._running: ProcessLoop | None = None

    def at(self, when: float, call: Callable[..., object], *args: Any) -> None:
        """Put a call on the agenda, at `when` seconds."""
        self._entries += 1
        tie = self.random.random() if self._ties_at_random else 0.0
        heapq.heappush(self._agenda, (max(self.now, when), tie, self._entries, call, args))

    def after(self, seconds: float, call: Callable[..., object], *args: Any) -> None:
        """Put a call on the agenda, `seconds` from now."""
        self.at(self.now + seconds, call, *args)

    def wake(self, loop: "ProcessLoop") -> None:
        """Let the loop run at this instant."""
        self._awake.append(loop)

    def run(self, until: float) -> None:
        """Run the agenda up to `until`."""
        agenda, awake = self._agenda, self._awake
        outside = events._get_running_loop()
        try:
            while True:
                while awake:
                    loop = awake.popleft()
                    if loop is not self._running:
                        # Only when the loop changes: each call asks the system for the process's id.
                        self._running = loop
                        events._set_running_loop(loop)
                    loop.drain()
                if not agenda or agenda[0][0] > until:
                    break
                self.now, _, _, call, args = heapq.heappop(agenda)
                call(*args)
        finally:
            self._running = None
            events._set_running_loop(outside)
        self.now = max(self.now, until)

    def complain(self, complaint: str) -> None:
        """Record something that must never happen in a play."""
        self.complaints.append(complaint)


class _Entry:
    """A callback of a loop: a cheap `asyncio.TimerHandle`."""

    __slots__ = ("_when", "args", "callback", "context", "is_cancelled")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context, when: float = 0.0
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.is_cancelled = False
        self._when = when

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self._when


class ProcessLoop(asyncio.AbstractEventLoop):
    """The event loop of one process. It runs callbacks in the order of their arrival, as asyncio's own does.

    A frozen loop collects callbacks until it thaws; a dead one never runs anything again.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.dead = False
        self._frozen = False
        self._context = Context()
        self._ready: deque[_Entry] = deque()
        self._queued = False
        self._tasks: list[asyncio.Task[Any]] = []

    @override
    def time(self) -> float:
        return self.world.now

    @override
    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Entry:
        entry = _Entry(callback, args, context or self._context)
        self._append(entry)
        return entry

    @override
    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Entry:
        timer = _Entry(callback, args, context or self._context, when)
        self.world.at(when, self._append, timer)
        return timer

    @override
    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Entry:
        return self.call_at(self.world.now + delay, callback, *args, context=context)

    @override
    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    @override
    def create_task(
        self,
        coro: Coroutine[Any, Any, T],  # type: ignore[override]
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> "asyncio.Task[T]":
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        return task

    @override
    def get_debug(self) -> bool:
        return False

    @override
    def is_running(self) -> bool:
        return not self.dead

    @override
    def is_closed(self) -> bool:
        return self.dead

    @override
    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.dead:
            self.world.complain(f"{context.get('message')}: {context.get('exception')!r}")

    @override
    def default_exception_handler(self, context: dict[str, Any]) -> NoReturn:
        raise AssertionError(context)

    def _append(self, entry: _Entry) -> None:
        if self.dead:
            return
        self._ready.append(entry)
        if not self._queued and not self._frozen:
            self._queued = True
            self.world.wake(self)

    def drain(self) -> None:
        """Run the callbacks that are ready, and those that they make ready."""
        self._queued = False
        ready = self._ready
        steps = 0
        while ready and not self._frozen:
            entry = ready.popleft()
            if entry.is_cancelled:
                continue
            try:
                entry.context.run(entry.callback, *entry.args)
            except Exception as error:  # noqa: BLE001 - as asyncio does
                self.call_exception_handler({"message": "in a callback", "exception": error})
            steps += 1
            if steps > _STEPS_AT_ONCE_MAX:
                self.world.complain("a process is in an endless loop")
                self.kill()

    def freeze(self) -> None:
        """Stop running, as SIGSTOP does."""
        self._frozen = True

    def thaw(self) -> None:
        """Run again. Callbacks that were due meanwhile are due now."""
        self._frozen = False
        if self._ready and not self._queued and not self.dead:
            self._queued = True
            self.world.wake(self)

    @property
    def frozen(self) -> bool:
        return self._frozen

    def kill(self) -> None:
        """End, as SIGKILL does: nothing more is run, clean-up included."""
        self.dead = True
        self._ready.clear()

    def discard(self) -> None:
        """Drop the unfinished tasks: the play is over."""
        self.dead = True
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                with suppress(RuntimeError):  # It awaited something while it closed.
                    task.get_coro().close()
        self._tasks.clear()
        self._ready.clear()
