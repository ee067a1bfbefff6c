"""Waves of customers: the crowd's process, and its ticks."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import msgspec

from flashreserve.rehearsal.messages import CrowdOrder, Tick
from flashreserve.rehearsal.processes import end, last_words
from flashreserve.rehearsal.server import RehearsalError

_LINE_BYTES_MAX: Final = 16 * 1024 * 1024
_COMPLAINT_BYTES_MAX: Final = 8_192


async def wave(order: CrowdOrder) -> AsyncGenerator[Tick, None]:
    """Start a crowd that plays the order; yields its ticks until it is over.

    Raises:
        RehearsalError: the crowd's process ended early.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "flashreserve.rehearsal.crowd",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES_MAX,
        # Ctrl-C at the terminal must reach the rehearsal only, which then ends its crowd.
        start_new_session=True,
    )
    assert process.stderr is not None  # noqa: S101 - asked for above
    complaint = asyncio.create_task(last_words(process.stderr, _COMPLAINT_BYTES_MAX))
    try:
        await _hand_over(process, order)
        over = False
        async for tick in _ticks(process):
            over = tick.over
            yield tick
        if await process.wait() or not over:
            raise RehearsalError(f"the crowd broke off: {await complaint or 'it said nothing'}")
    finally:
        # If it still runs, nobody reads its ticks any more.
        if process.returncode is None:
            await end(process, grace_s=0)
        await complaint


async def _hand_over(process: asyncio.subprocess.Process, order: CrowdOrder) -> None:
    assert process.stdin is not None  # noqa: S101 - asked for above
    # If the process has ended already, reading its ticks will tell.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(msgspec.json.encode(order))
        await process.stdin.drain()
        process.stdin.close()


async def _ticks(process: asyncio.subprocess.Process) -> AsyncIterator[Tick]:
    assert process.stdout is not None  # noqa: S101 - asked for above
    decoder = msgspec.json.Decoder(Tick)
    while line := await process.stdout.readline():
        yield decoder.decode(line)
