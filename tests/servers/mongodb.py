"""A MongoDB server for tests: the first that is there.

1. `FLASHRESERVE_TEST_MONGODB_URL`, a server that somebody else runs. Tests use databases of their own on it.
2. A `mongod` on PATH.
3. What `make servers` installed: a gateway over PostgreSQL that speaks MongoDB's protocol.

One server runs for the whole session and is stopped when it ends. Tests that kill their server start one of their own.
"""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Final, Protocol

import pytest

URL_VARIABLE: Final = "FLASHRESERVE_TEST_MONGODB_URL"
TOOL: Final = Path(__file__).parents[2] / "tools" / "mongodb_server.sh"
MISSING: Final = f"MongoDB is missing: set {URL_VARIABLE}, put mongod on PATH, or run `make servers`"
_START_S: Final = 120
_OURS: Final = "tests-"


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


def require_mongodb() -> str:
    """The URL of the session's server; the test is skipped where none can be had."""
    url = _session_url()
    if url is None:
        pytest.skip(MISSING)
    return url


@cache
def _session_url() -> str | None:
    given = os.environ.get(URL_VARIABLE)
    if given:
        return given if given.endswith("/") else given + "/"
    server = start_server("session")
    if server is None:
        return None
    atexit.register(server.stop)
    os.environ[URL_VARIABLE] = server.url  # for the processes that tests start
    return server.url


def start_server(purpose: str) -> MongoServer | None:
    """A fresh server of one's own; None where none can be started."""
    if shutil.which("mongod") is not None:
        return Mongod()
    if _is_installed():
        _stop_orphans()
        return InstalledServer(f"{_OURS}{os.getpid()}-{purpose}")
    return None


class InstalledServer:
    """What `make servers` installed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.url = _tool("start", name)

    def kill(self) -> None:
        _tool("kill", self._name)

    def resume(self) -> None:
        _tool("resume", self._name)

    def stop(self) -> None:
        _tool("stop", self._name)


def _is_installed() -> bool:
    return os.geteuid() == 0 and subprocess.run([str(TOOL), "installed"], check=False).returncode == 0


def _tool(command: str, name: str = "default") -> str:
    done = subprocess.run([str(TOOL), command, name], stdout=subprocess.PIPE, text=True, check=True, timeout=_START_S)
    return done.stdout.strip()


def _stop_orphans() -> None:
    """Stop the servers of test sessions that were killed."""
    for name in _tool("list").split():
        session = name.removeprefix(_OURS).partition("-")[0]
        if name.startswith(_OURS) and not Path(f"/proc/{session}").exists():
            _tool("stop", name)


class Mongod:
    """A standalone `mongod`."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="flashreserve-mongod-")
        self._port = free_port()
        self.url = f"mongodb://127.0.0.1:{self._port}/"
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        address = ["--bind_ip", "127.0.0.1", "--port", str(self._port)]
        process = subprocess.Popen(
            ["mongod", *address, "--dbpath", self._directory, "--quiet"],  # noqa: S607 - the one on PATH
            stdout=subprocess.DEVNULL,
        )
        _wait_until_it_listens(self._port)
        return process

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=_START_S)

    def resume(self) -> None:
        self._process = self._start()

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self._directory)


def _wait_until_it_listens(port: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
