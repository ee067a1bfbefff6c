"""An event loop that the checker controls: calls to the database stay pending until it delivers their replies.

Timers are pending too, and the checker lets them fire at any time. The loop's own time never changes.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from tests.modelcheck.calls import Call, TimerCall

from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

T = TypeVar("T")

_CALLBACKS_MAX = 100_000


class LoopCallback:
    """A callback that is ready, or that waits for a timer."""

    def __init__(
        self, callback: Callable[..., object], arguments: tuple[Any, ...], context: contextvars.Context
    ) -> None:
        self._callback = callback
        self._arguments = arguments
        self._context = context
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    def run(self) -> None:
        if not self._cancelled:
            self._context.run(self._callback, *self._arguments)


class PendingTimer(LoopCallback):
    """A timer. After it is cancelled, it isn't pending any more."""

    def __init__(
        self,
        loop: "SteppedLoop",
        callback: Callable[..., object],
        arguments: tuple[Any, ...],
        context: contextvars.Context,
    ) -> None:
        super().__init__(callback, arguments, context)
        self._loop = loop
        self.number = loop.pend(TimerCall(), self)

    def cancel(self) -> None:
        super().cancel()
        self._loop.pending.pop(self.number, None)

    def when(self) -> float:
        return 0.0


class SteppedLoop(asyncio.AbstractEventLoop):
    """The loop of one process."""

    def __init__(self) -> None:
        self.issued: list[Call] = []
        """All calls so far. A call's number is its place in this list."""
        self.pending: dict[int, tuple[Call, asyncio.Future[Any] | PendingTimer]] = {}
        """The calls without a reply, by number."""
        self.errors: list[str] = []
        self._ready: deque[LoopCallback] = deque()
        self._context = contextvars.Context()
        self._contexts: dict[asyncio.Task[Any], contextvars.Context] = {}

    async def ask(self, call: Call) -> Any:
        """The reply to a call to the database."""
        future = self.create_future()
        self.pend(call, future)
        return await future

    def pend(self, call: Call, waiting: "asyncio.Future[Any] | PendingTimer") -> int:
        """Record a call. Returns its number."""
        number = len(self.issued)
        self.issued.append(call)
        self.pending[number] = call, waiting
        return number

    def deliver(self, number: int, reply: Any) -> None:
        """Deliver the reply to a call, or an error instead, then run all callbacks that are ready."""
        _, waiting = self.pending.pop(number)
        if isinstance(waiting, PendingTimer):
            self._ready.append(waiting)
        elif isinstance(reply, StoreOutcomeUnknownError | StoreUnavailableError):
            waiting.set_exception(type(reply)(*reply.args))  # A new exception, because it will get a traceback.
        else:
            waiting.set_result(reply)
        self.run_ready()

    def run_ready(self) -> None:
        """Run callbacks until all wait for a reply."""
        for _ in range(_CALLBACKS_MAX):
            if not self._ready:
                return
            self._ready.popleft().run()
        raise RuntimeError("the process goes round in circles")

    @contextmanager
    def running(self) -> Iterator[None]:
        """A context in which this is the running loop. At its end, all tasks are dropped."""
        before = asyncio.events._get_running_loop()
        asyncio.events._set_running_loop(self)
        try:
            yield
            for task in asyncio.all_tasks(self):
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                coroutine = task.get_coro()
                if coroutine is not None:
                    self._contexts[task].run(coroutine.close)
            self._ready.clear()
        finally:
            asyncio.events._set_running_loop(before)

    def time(self) -> float:
        return 0.0

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> LoopCallback:
        ready = LoopCallback(callback, args, self._context if context is None else context)
        self._ready.append(ready)
        return ready

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> PendingTimer:
        return PendingTimer(self, callback, args, self._context if context is None else context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> PendingTimer:
        return self.call_later(0.0, callback, *args, context=context)

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T],  # type: ignore[override]
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> "asyncio.Task[T]":
        context = contextvars.copy_context() if context is None else context
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self, name=name, context=context)
        self._contexts[task] = context
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(repr(context.get("exception") or context.get("message")))

    def default_exception_handler(self, context: dict[str, Any]) -> NoReturn:
        raise AssertionError(context)
