"""Child processes: signals, their end, and the end of their output."""

import asyncio
import contextlib
import os
import signal


def send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to a child that has not ended.

    `Process.send_signal` may reap the child before the event loop's watcher does, which loses its exit status.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


async def end(process: asyncio.subprocess.Process, *, grace_s: float) -> bool:
    """End a child by SIGTERM, and after `grace_s` by SIGKILL; whether SIGTERM was enough."""
    if grace_s > 0:
        send(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), grace_s)
            return True
    send(process, signal.SIGKILL)
    await process.wait()
    return False


async def last_words(stream: asyncio.StreamReader, bytes_max: int) -> str:
    """The end of a child's output, which is read until it is closed."""
    words = b""
    while more := await stream.read(bytes_max):
        words = (words + more)[-bytes_max:]
    return words.decode(errors="replace").strip()
