"""A MongoDB server of one's own: a `mongod` on PATH, or what `make servers` installed beside this checkout.

What `make servers` installs is a gateway over PostgreSQL that speaks MongoDB's protocol, for machines without mongod.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, Protocol

from flashreserve.rehearsal.servers.ports import free_port

TOOL: Final = Path(__file__).parents[4] / "tools" / "mongodb_server.sh"
"""There only in a checkout."""

START_S: Final = 120
_POLL_S: Final = 0.05


class MongoServer(Protocol):
    """A server that can be killed and started again on its data."""

    url: str
    """Without a database; ends with a slash."""

    def kill(self) -> None:
        """End it at once, as kill -9 does."""
        ...

    def resume(self) -> None:
        """Start it again on the data that it had."""
        ...

    def stop(self) -> None:
        """End it and remove its data."""
        ...

    def pids(self) -> list[int]:
        """Its processes that write to the disk; none while it doesn't run."""
        ...


def start_mongodb(name: str) -> MongoServer | None:
    """A fresh server; None where none can be started. `name` is unlike that of any other that runs."""
    if shutil.which("mongod") is not None:
        return Mongod()
    return InstalledServer(name) if is_installed() else None


def is_installed() -> bool:
    """Whether `make servers` has been run."""
    return TOOL.exists() and os.geteuid() == 0 and subprocess.run([TOOL, "installed"], check=False).returncode == 0  # noqa: S603 - our own


def ask_tool(command: str, name: str = "default") -> str:
    """What the installed server's tool prints.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    words = [str(TOOL), command, name]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, timeout=START_S)  # noqa: S603 - our own
    return done.stdout.strip()


class InstalledServer:
    """What `make servers` installed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.url = ask_tool("start", name)

    def kill(self) -> None:
        """See `MongoServer`."""
        ask_tool("kill", self._name)

    def resume(self) -> None:
        """See `MongoServer`."""
        ask_tool("resume", self._name)

    def stop(self) -> None:
        """See `MongoServer`."""
        ask_tool("stop", self._name)

    def pids(self) -> list[int]:
        """See `MongoServer`."""
        return [int(pid) for pid in ask_tool("pids", self._name).split()]


class Mongod:
    """A standalone `mongod`."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="flashreserve-mongod-")
        self._port = free_port()
        self.url = f"mongodb://127.0.0.1:{self._port}/"
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        address = ["--bind_ip", "127.0.0.1", "--port", str(self._port)]
        process = subprocess.Popen(  # noqa: S603 - nothing of it comes from outside
            ["mongod", *address, "--dbpath", self._directory, "--quiet"],  # noqa: S607 - the one on PATH
            stdout=subprocess.DEVNULL,
        )
        _wait_until_it_listens(self._port)
        return process

    def kill(self) -> None:
        """See `MongoServer`."""
        self._process.kill()
        self._process.wait(timeout=START_S)

    def resume(self) -> None:
        """See `MongoServer`."""
        self._process = self._start()

    def stop(self) -> None:
        """See `MongoServer`."""
        self.kill()
        shutil.rmtree(self._directory)

    def pids(self) -> list[int]:
        """See `MongoServer`."""
        return [self._process.pid] if self._process.poll() is None else []


def _wait_until_it_listens(port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_POLL_S)
    raise TimeoutError(f"nothing listens on port {port}")
