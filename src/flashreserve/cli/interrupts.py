"""Signals that ask a command to end: each works like Ctrl-C, so that files and connections are cleaned up."""

import signal
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from types import FrameType
from typing import Any, Final, TypeVar, cast

T = TypeVar("T")

Handler = Callable[[int, FrameType | None], object]

_BY_OTHERS: Final = (signal.SIGTERM, signal.SIGHUP)
_ENDING: Final = (*_BY_OTHERS, signal.SIGINT)


class Interrupts:
    """The signals that this process received. `exit_code` is that of shells, 128 and the signal's number."""

    def __init__(self) -> None:
        self.exit_code = 128 + signal.SIGINT
        self._watching = False
        self._held: dict[signal.Signals, Handler] = {}
        """The handlers to restore when signals are no longer held."""
        self._waiting: list[int] = []
        self._heard = False
        """Whether the latest inner context of `held` has been interrupted."""
        self._cancel: Callable[[], object] | None = None
        """Cancels the task of `run`, in a process that ignores Ctrl-C."""

    def watch(self, numbers: Iterable[signal.Signals] = _BY_OTHERS) -> None:
        """From now on, end on these signals as on Ctrl-C. A signal that the parent had ignored stays ignored."""
        self._watching = True
        for number in numbers:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._interrupt)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` as `asyncio.run` does: a signal cancels `main`, which then ends by a `KeyboardInterrupt`.

        asyncio cancels in its handler of Ctrl-C. It sets that handler only in place of Python's own: not in a process
        that ignores Ctrl-C, as a shell's background processes do, and not within `held`. Without it, an exception would
        be raised in the middle of some coroutine.
        """
        # Imported where used: until this module is imported, no signal is watched.
        import asyncio  # noqa: PLC0415

        by_ctrl_c = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        return asyncio.run(main if by_ctrl_c else self._cancellable(main))

    async def _cancellable(self, main: Coroutine[Any, Any, T]) -> T:
        import asyncio  # noqa: PLC0415 - see above

        task = cast("asyncio.Task[T]", asyncio.current_task())
        self._cancel = partial(task.get_loop().call_soon_threadsafe, task.cancel)
        try:
            return await main
        except asyncio.CancelledError:
            if self._cancel is None:
                raise KeyboardInterrupt from None
            raise
        finally:
            self._cancel = None

    def ignore(self) -> None:
        """Ignore signals, because the command is over. Without effect if none are watched, as in a test's process."""
        if self._watching:
            _set(dict.fromkeys(_ENDING, _pass_over))

    def ignore_for_good(self) -> None:
        """Ignore signals until the process has ended: while Python shuts down, its handlers give way to the system's.

        Call this only once no other thread can get a signal. Python prints an error for one that came just before.
        """
        if self._watching:
            _set(dict.fromkeys(_ENDING, signal.SIG_IGN))

    def hold(self) -> None:
        """Keep signals waiting until `hear` is called."""
        self._held = {number: handler for number in _ENDING if callable(handler := signal.getsignal(number))}
        self._let_wait()

    def hear(self) -> None:
        """Stop holding signals, and act on the first that waited. Without effect if none are held."""
        held, self._held = self._held, {}
        self._act(held)

    @contextmanager
    def held(self) -> Iterator[Callable[[], AbstractContextManager[None]]]:
        """Hold signals within this context, except in the inner context that it yields.

        So everything that is made in the outer context is cleaned up, even if many signals come. The inner context is
        interrupted once: from the first signal on, all are held again.
        """
        self.hold()
        try:
            yield self._hearing
        finally:
            self.hear()

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        self._heard = False
        try:
            self._act(dict.fromkeys(self._held, self._hear_one))
            yield
        finally:
            # A signal may interrupt even this line. So the handler holds all others before it interrupts anything.
            self._let_wait()

    def _act(self, handlers: Mapping[signal.Signals, Handler]) -> None:
        """Set the handlers, and act on the first signal that waited."""
        _set(handlers)
        waited, self._waiting = self._waiting, []
        if waited:
            signal.raise_signal(waited[0])

    def _let_wait(self) -> None:
        _set(dict.fromkeys(self._held, self._wait))

    def _hear_one(self, number: int, _frame: FrameType | None) -> None:
        self._let_wait()
        if self._heard:  # by another signal's handler, which came in the middle of this one
            self._waiting.append(number)
            return
        self._heard = True
        self.exit_code = 128 + number
        self._cancel_or_raise()

    def _wait(self, number: int, _frame: FrameType | None) -> None:
        self._waiting.append(number)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.exit_code = 128 + number
        by_ctrl_c = signal.getsignal(signal.SIGINT)
        if callable(by_ctrl_c):
            by_ctrl_c(number, frame)  # asyncio's handler cancels the main task, Python's own raises.
            return
        self._cancel_or_raise()

    def _cancel_or_raise(self) -> None:
        cancel, self._cancel = self._cancel, None
        if cancel is None:  # Nothing can be cancelled, or it was, and takes too long.
            raise KeyboardInterrupt
        cancel()


def _pass_over(_number: int, _frame: FrameType | None) -> None:
    """Do nothing."""


def _set(handlers: Mapping[signal.Signals, Handler | signal.Handlers]) -> None:
    """Set all of them, with no signal in between."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, handlers)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


interrupts: Final = Interrupts()
"""Signals belong to the process, so there is one."""
