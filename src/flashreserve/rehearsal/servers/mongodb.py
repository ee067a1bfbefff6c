"""MongoDB servers for rehearsals and tests: a `mongod` on PATH, or the server that `make servers` installs.

The latter is for machines without mongod: a gateway over PostgreSQL that speaks MongoDB's protocol.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, Protocol

from typing_extensions import override

from flashreserve.rehearsal.servers.ports import free_port

TOOL: Final = Path(__file__).parents[4] / "tools" / "mongodb_server.sh"
"""Exists only in a checkout."""

START_S: Final = 120
_POLL_S: Final = 0.05


class MongoServer(Protocol):
    """A server that can be killed and started again on its data."""

    url: str
    """Names no database; ends with a slash."""

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        ...

    def resume(self) -> None:
        """Start it again on its data."""
        ...

    def stop(self) -> None:
        """End it and remove its data."""
        ...

    def pids(self) -> list[int]:
        """Its processes that write to the disk; empty while it doesn't run."""
        ...


def start_mongodb(name: str) -> MongoServer | None:
    """A fresh server; None if none can be started. `name` must differ from those of other running servers."""
    if shutil.which("mongod") is not None:
        return Mongod()
    return InstalledServer(name) if is_installed() else None


def is_installed() -> bool:
    """Whether `make servers` has been run."""
    return TOOL.exists() and os.geteuid() == 0 and subprocess.run([TOOL, "installed"], check=False).returncode == 0  # noqa: S603 - our own


def ask_tool(command: str, name: str = "default") -> str:
    """Run a command of the installed server's tool; its output.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    words = [str(TOOL), command, name]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, timeout=START_S)  # noqa: S603 - our own
    return done.stdout.strip()


class InstalledServer(MongoServer):
    """The server that `make servers` installs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.url = ask_tool("start", name)

    @override
    def kill(self) -> None:
        ask_tool("kill", self._name)

    @override
    def resume(self) -> None:
        ask_tool("resume", self._name)

    @override
    def stop(self) -> None:
        ask_tool("stop", self._name)

    @override
    def pids(self) -> list[int]:
        return [int(pid) for pid in ask_tool("pids", self._name).split()]


class Mongod(MongoServer):
    """A standalone `mongod`."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="flashreserve-mongod-")
        self._port = free_port()
        self.url = f"mongodb://127.0.0.1:{self._port}/"
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        address = ["--bind_ip", "127.0.0.1", "--port", str(self._port)]
        process = subprocess.Popen(  # noqa: S603 - no argument comes from outside
            ["mongod", *address, "--dbpath", self._directory, "--quiet"],  # noqa: S607 - the one on PATH
            stdout=subprocess.DEVNULL,
        )
        _wait_until_it_listens(self._port)
        return process

    @override
    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=START_S)

    @override
    def resume(self) -> None:
        self._process = self._start()

    @override
    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self._directory)

    @override
    def pids(self) -> list[int]:
        return [self._process.pid] if self._process.poll() is None else []


def _wait_until_it_listens(port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_POLL_S)
    raise TimeoutError(f"nothing listens on port {port}")
