"""Several server processes on one listening socket: starts, watches, restarts and stops them.

Here a worker is one of these server processes, not one that only runs jobs. The parent binds the socket and serves
nothing itself. Each child holds the reading end of a pipe, the lifeline. When
the parent is gone, even by `kill -9`, the children read the end of the pipe and stop too.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from structlog.typing import FilteringBoundLogger

FATAL_EXITS: Final = frozenset({2, 3})
"""Exit codes of a child after which a restart is useless: invalid arguments or settings, or a failure to start."""

KILL_GRACE_S: Final = 2.0
"""Extra seconds that a child gets to stop, beyond its own time limit, before it is killed."""

HURRY_S: Final = 0.5
"""Seconds that a child gets after a second Ctrl-C."""


class WorkerPlace(msgspec.Struct, frozen=True):
    """The start parameters of one child: its number (from 0; its replacement gets the same), and two open files."""

    number: int
    listener_fd: int
    lifeline_fd: int


class Restarts(msgspec.Struct, frozen=True):
    """How long to wait before a child that died is started again.

    The wait doubles from `first_s` to `longest_s` with each death. It begins at `first_s` again after a child has lived
    for `healthy_s`.
    """

    first_s: float = 0.2
    longest_s: float = 30.0
    healthy_s: float = 60.0

    def wait_s(self, deaths: int) -> float:
        """Seconds to wait after this many deaths in a row, at least 1."""
        return min(self.longest_s, self.first_s * 2.0 ** min(deaths - 1, 30))


async def run_workers(
    count: int,
    command: Callable[[WorkerPlace], Sequence[str]],
    *,
    listener: socket.socket,
    stop: asyncio.Event,
    log: FilteringBoundLogger,
    hurry: asyncio.Event | None = None,
    shutdown_timeout_s: float = 30.0,
    restarts: Restarts | None = None,
) -> int:
    """Keep `count` processes of `command` running until `stop` is set; then end them with SIGTERM, and wait.

    The listener is closed as soon as `stop` is set: while any process has it open, clients can connect and would never
    be answered. Once `hurry` is set, the children get a SIGINT, and are killed half a second later. They run in process
    groups of their own, so that Ctrl-C on a terminal reaches only the parent.

    Returns:
        0, or the exit code of a child that can't be started again (see `FATAL_EXITS`). In that case, all are stopped.
    """
    lifeline, held = os.pipe()
    crew = _Crew(
        command,
        (listener.fileno(), lifeline),
        (stop, hurry or asyncio.Event()),
        log,
        shutdown_timeout_s,
        restarts or Restarts(),
    )
    closing = asyncio.ensure_future(_close_when(stop, listener))
    try:
        codes = await asyncio.gather(*(crew.keep(number) for number in range(count)))
    finally:
        closing.cancel()
        os.close(lifeline)
        os.close(held)
    return max(codes)


class _Crew:
    """The children of one parent."""

    def __init__(
        self,
        command: Callable[[WorkerPlace], Sequence[str]],
        fds: tuple[int, int],
        events: tuple[asyncio.Event, asyncio.Event],
        log: FilteringBoundLogger,
        shutdown_timeout_s: float,
        restarts: Restarts,
    ) -> None:
        self._command = command
        self._fds = fds
        self._stop, self._hurry = events
        self._log = log
        self._shutdown_timeout_s = shutdown_timeout_s
        self._restarts = restarts

    async def keep(self, number: int) -> int:
        """Keep one child running until all are to stop."""
        loop = asyncio.get_running_loop()
        deaths = 0
        while not self._stop.is_set():
            born_at = loop.time()
            code = await self._run(number)
            if self._stop.is_set():
                break
            if code in FATAL_EXITS:
                self._log.error("worker cannot start", worker=number, exit_code=code)
                self._stop.set()
                return code
            deaths = 1 if loop.time() - born_at >= self._restarts.healthy_s else deaths + 1
            wait_s = self._restarts.wait_s(deaths)
            self._log.warning("worker died", worker=number, exit_code=code, restart_in_s=wait_s)
            await _wait(self._stop, wait_s)
        return 0

    async def _run(self, number: int) -> int:
        """Run one child until it ends. Returns its exit code."""
        command = self._command(WorkerPlace(number, *self._fds))
        child = await asyncio.create_subprocess_exec(
            *command, pass_fds=self._fds, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        self._log.info("worker started", worker=number, pid=child.pid)
        death = asyncio.ensure_future(child.wait())
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((death, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not death.done():
                await self._end(child, death, number)
        finally:
            stopping.cancel()
            if not death.done():
                child.kill()
        return await death

    async def _end(self, child: asyncio.subprocess.Process, death: asyncio.Future[int], number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        hurry = asyncio.ensure_future(self._hurry.wait())
        timeout_s = self._shutdown_timeout_s + KILL_GRACE_S
        await asyncio.wait((death, hurry), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if hurry.done() and not death.done():
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGINT)
            await asyncio.wait((death,), timeout=HURRY_S)
        hurry.cancel()
        if not death.done():
            self._log.error("worker did not stop in time and is killed", worker=number, pid=child.pid)
            child.kill()


async def _wait(stop: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), timeout_s)


async def _close_when(stop: asyncio.Event, listener: socket.socket) -> None:
    await stop.wait()
    listener.close()
