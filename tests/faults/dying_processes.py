"""Starts processes that die at one of their calls (`tests.faults.dying`)."""

import asyncio
import signal
import subprocess
import sys
from typing import Final

from tests.contract.factories import SqliteFactory
from tests.mongo.factory import MongoFactory

CALLS_MAX: Final = 60
KILLED: Final = -signal.SIGKILL


def place_of(factory: MongoFactory | SqliteFactory) -> str:
    """The database that the factory's stores are on, as the processes are told."""
    return factory.url if isinstance(factory, MongoFactory) else str(factory._path)


class DyingProcesses:
    """A program that forks a process for each act. Close it."""

    def __init__(self, place: str) -> None:
        self._forking = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.dying", place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def die(self, call: int, moment: str, act: str) -> int:
        """Let a process act, and die at the call; its exit code."""
        return await asyncio.to_thread(self._ask, f"{call} {moment} {act}\n")

    def _ask(self, line: str) -> int:
        assert self._forking.stdin is not None
        assert self._forking.stdout is not None
        self._forking.stdin.write(line)
        self._forking.stdin.flush()
        return int(self._forking.stdout.readline())

    def close(self) -> None:
        self._forking.communicate()
