"""Ending a child process, and reading what it has to say."""

import asyncio
import contextlib
import os
import signal


def send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to a child that has not ended.

    Not by `Process.send_signal`, which may reap the child under the hands of the event loop's own watcher; its exit
    status would then be lost.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


async def end(process: asyncio.subprocess.Process, *, grace_s: float) -> bool:
    """End a child politely, and by force once the grace is over; whether it went by itself."""
    if grace_s > 0:
        send(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), grace_s)
            return True
    send(process, signal.SIGKILL)
    await process.wait()
    return False


async def last_words(stream: asyncio.StreamReader, bytes_max: int) -> str:
    """The end of what a child says, read until it says no more."""
    words = b""
    while more := await stream.read(bytes_max):
        words = (words + more)[-bytes_max:]
    return words.decode(errors="replace").strip()
