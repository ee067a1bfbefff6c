"""Running a connection's work: on a thread of its own, or on the caller's thread (the simulation)."""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

import apsw
from typing_extensions import override

from flashreserve.stores.port import StoreUnavailableError

T = TypeVar("T")
Work = Callable[[apsw.Connection], T]


class Writer(Protocol):
    """One connection, on which one piece of work runs at a time, in order of arrival."""

    async def run(self, work: Work[T]) -> T:
        """Run `work` to its end, even if the caller is cancelled. Returns its result, or raises its error.

        Raises:
            StoreUnavailableError: the connection is closed.
        """
        ...

    async def close(self) -> None:
        """Wait for the work that was handed over, then close the connection."""
        ...


class InlineWriter(Writer):
    """Runs work at once on the caller's thread."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    @override
    async def run(self, work: Work[T]) -> T:
        return work(self._connection)

    @override
    async def close(self) -> None:
        self._connection.close()


class ThreadWriter(Writer):
    """Runs work on a thread of its own, so that the event loop isn't blocked while the disk syncs.

    The callers bound the queue: the combiner hands over at most two flushes, and every other caller awaits its result
    before it hands over more work. `before_close` is called on the thread when it ends.
    """

    def __init__(self, connection: apsw.Connection, name: str, before_close: Callable[[], None] = lambda: None) -> None:
        self._connection = connection
        self._before_close = before_close
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    @override
    async def run(self, work: Work[T]) -> T:
        if self._closed:
            raise StoreUnavailableError("the database is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def call() -> None:
            try:
                result = work(self._connection)
            except BaseException as error:  # noqa: BLE001 - the caller gets every error
                _post(loop, _fail, future, error)
            else:
                _post(loop, _finish, future, result)

        self._queue.put(call)
        return await future

    @override
    async def close(self) -> None:
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        while (call := self._queue.get()) is not None:
            call()
        self._before_close()
        self._connection.close()


def _post(loop: asyncio.AbstractEventLoop, *call: object) -> None:
    try:
        loop.call_soon_threadsafe(*call)  # type: ignore[arg-type]
    except RuntimeError:
        return  # The loop was closed meanwhile, so no caller waits for the result.


def _finish(future: "asyncio.Future[T]", result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[T]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
