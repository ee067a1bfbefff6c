"""Real `flashreserve` processes, which tests start, kill and freeze."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from typing_extensions import override

from flashreserve.rehearsal.servers.ports import free_port

READY_S = 240.0
"""How long a start may take on a busy machine."""

SECRET_KEYS = "faults:fault-tests-sign-with-these-very-letters"

Environment = dict[str, str]


def environment(**settings: str) -> Environment:
    """The machine's environment with only the test's settings.

    Quotas are off, because few customers send all the load. Webhooks may go to this machine.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("FLASHRESERVE_")}
    unhindered = {
        "FLASHRESERVE_OPEN_HOLDS_MAX": "0",
        "FLASHRESERVE_HOLDS_PER_HOUR_MAX": "0",
        "FLASHRESERVE_WEBHOOK_NETWORKS": "127.0.0.0/8",
    }
    return own | unhindered | {"FLASHRESERVE_SECRET_KEYS": SECRET_KEYS, "FLASHRESERVE_LOG_LEVEL": "error"} | settings


def embedded(data: Path) -> Environment:
    """The environment of the embedded engine in a data directory."""
    return environment(FLASHRESERVE_DATA_DIR=str(data))


def command(settings: Environment, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a `flashreserve` command to its end. The caller checks the exit code."""
    return subprocess.run(
        [sys.executable, "-m", "flashreserve", *arguments],
        env=settings,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def audit(settings: Environment) -> dict[str, Any]:
    """The findings of `flashreserve audit`, which must be clean."""
    done = command(settings, "audit", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["differences"] == []
    return said


class FlashReserve:
    """A `flashreserve` process. It can be killed, frozen, and started again."""

    def __init__(self, settings: Environment, *arguments: str) -> None:
        self._settings = settings
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.pids: list[int] = []
        """The process ids of all its starts."""

    async def start(self) -> None:
        """Start, and return at once."""
        self._process = subprocess.Popen(  # noqa: ASYNC220 - starting is quick
            [sys.executable, "-m", "flashreserve", *self._arguments], env=self._settings, stdout=subprocess.DEVNULL
        )
        self.pids.append(self._process.pid)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id; None if it doesn't run."""
        return self._process.pid if self._process is not None and self.runs else None

    @property
    def exit_code(self) -> int | None:
        """The exit code of its last run; None while it runs."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """`kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Stop it with SIGSTOP, in the middle of its work."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, with SIGCONT."""
        if self.runs:
            assert self._process is not None
            self._process.send_signal(signal.SIGCONT)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self.runs:
            self.thaw()
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(self._process.wait, 30)
            except subprocess.TimeoutExpired:
                self.kill()


class ServerProcess(FlashReserve):
    """`flashreserve serve` on a free port."""

    def __init__(self, settings: Environment, *arguments: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(settings, "serve", "--port", str(self.port), *arguments)

    @override
    async def start(self) -> None:
        """Start, and return when it is ready."""
        await super().start()
        await self.wait_until_ready()

    async def wait_until_ready(self) -> None:
        async with asyncio.timeout(READY_S):
            while not await self.is_ready():
                assert self.runs, "the server ended before it was ready"
                await asyncio.sleep(0.02)

    async def is_ready(self) -> bool:
        try:
            async with aiohttp.ClientSession() as http, http.get(self.url + "/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False
