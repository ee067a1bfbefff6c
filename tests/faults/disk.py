"""Slow or full disks for running processes: strace delays their system calls, or lets them fail."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Final, Literal

import pytest

DiskFault = Literal["slow disk", "full disk"]

_SLOW_US: Final = 300_000
_INJECTIONS: Final[dict[DiskFault, tuple[str, str]]] = {
    "slow disk": ("fsync,fdatasync", f"delay_enter={_SLOW_US}"),
    "full disk": ("pwrite64,pwritev,pwritev2,fallocate,ftruncate", "error=ENOSPC"),
}
_END_S: Final = 5.0


def require_strace() -> None:
    """Skip the test if strace is missing or can't attach to processes."""
    if shutil.which("strace") is None:
        pytest.skip("strace is missing, which imitates slow and full disks: install the package strace")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)"]) as other:
        words = ["strace", "-qq", "-e", "trace=none", f"--attach={other.pid}"]
        tried = subprocess.run(words, capture_output=True, text=True, check=False)
    if "Operation not permitted" in tried.stderr:
        pytest.skip(f"strace may not attach to processes here: {tried.stderr.strip()}")


async def spoil(pids: Sequence[int], fault: DiskFault, for_s: float) -> None:
    """Let the disk fail for these processes, and those that they start meanwhile. They may end by it."""
    calls, injection = _INJECTIONS[fault]
    options = ["-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={calls}:{injection}"]
    strace = await asyncio.create_subprocess_exec(
        "strace", *options, *(f"--attach={pid}" for pid in pids), stderr=asyncio.subprocess.PIPE
    )
    try:
        _, said = await asyncio.wait_for(strace.communicate(), for_s)
    except TimeoutError:
        await _end(strace)
    else:
        # strace ends by itself if all processes have ended, or if it can attach to none.
        refused = said.decode().count("Operation not permitted")
        assert refused < len(pids), said.decode()


async def _end(strace: asyncio.subprocess.Process) -> None:
    strace.terminate()  # It detaches from all processes first.
    try:
        await asyncio.wait_for(strace.wait(), _END_S)
    except TimeoutError:
        strace.kill()
        await strace.wait()
