"""Real server processes on a data directory of the test's own, started, killed and asked."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

SECRET_KEYS = "faults:" + "f" * 40


def environment(data: Path) -> dict[str, str]:
    """The machine's environment with the test's own settings only."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("FLASHRESERVE_")}
    return own | {
        "FLASHRESERVE_DATA_DIR": str(data),
        "FLASHRESERVE_SECRET_KEYS": SECRET_KEYS,
        "FLASHRESERVE_LOG_LEVEL": "warning",
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(data: Path, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `flashreserve` to its end; the exit code is the caller's to judge."""
    return subprocess.run(
        [sys.executable, "-m", "flashreserve", *arguments],
        env=environment(data),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def audit(data: Path) -> dict[str, Any]:
    """What the audit says; it must be clean."""
    done = command(data, "audit", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["differences"] == []
    return said


class ServerProcess:
    """`flashreserve serve` on one port; may be killed and started again on the same data."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._data = data
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start, and return when it is ready."""
        self._process = subprocess.Popen(  # noqa: ASYNC220 - starting is quick
            [sys.executable, "-m", "flashreserve", "serve", "--port", str(self.port), *self._arguments],
            env=environment(self._data),
            stdout=subprocess.DEVNULL,
        )
        async with aiohttp.ClientSession() as http, asyncio.timeout(30):
            while not await self._answers(http):
                assert self._process.poll() is None, "the server ended before it was ready"
                await asyncio.sleep(0.02)

    async def _answers(self, http: aiohttp.ClientSession) -> bool:
        try:
            async with http.get(self.url + "/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def kill(self) -> None:
        """`kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()
