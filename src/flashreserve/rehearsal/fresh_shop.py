"""A fresh shop for one rehearsal: FlashReserve's own commands, on free ports and an empty database."""

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from flashreserve.auth.keys import KeyRing
from flashreserve.clock import Clock, Ids
from flashreserve.decode_errors import DECODE_ERRORS
from flashreserve.rehearsal.client import Client, ConnectionLostError
from flashreserve.rehearsal.processes import end
from flashreserve.rehearsal.server import AuditReport, RehearsalError, ServerUnderTest
from flashreserve.rehearsal.servers.mongodb import start_mongodb
from flashreserve.rehearsal.servers.ports import free_port
from flashreserve.rehearsal.servers.valkey import ValkeyError, ValkeyProcess
from flashreserve.rehearsal.token_mint import TOKEN_S, minter
from flashreserve.rehearsal.watch import SignIn

LOG_FILE: Final = "server.log"
_HOST: Final = "127.0.0.1"
_ADMIN: Final = "rehearsal@example.com"
_READY_S: Final = 30.0
_POLL_S: Final = 0.1
_STOP_S: Final = 20.0
_COMMAND_S: Final = 60.0
_LOG_TAIL_CHARS: Final = 1_000
_OK: Final = 200
_AUDIT_VERDICTS: Final[Mapping[int, bool | None]] = {0: True, 1: False, 3: None}


@contextlib.asynccontextmanager
async def embedded(data_dir: Path, ids: Ids, clock: Clock) -> AsyncIterator[ServerUnderTest]:
    """A shop on the embedded engine, with an admin; it runs as long as the context.

    Args:
        data_dir: the absolute path of an empty directory; the database and the server's log stay in it.
        ids: for the users of the minted tokens.
        clock: for their times.

    Raises:
        RehearsalError: a command failed, or the server did not get ready; the text has the end of the server's log.
    """
    engine = {"FLASHRESERVE_STORE": f"sqlite:///{data_dir / 'flashreserve.db'}"}
    async with _open(_CommandRunner(data_dir, engine), [("serve",)], ids, clock) as shop:
        yield shop


@contextlib.asynccontextmanager
async def clustered(
    data_dir: Path, ids: Ids, clock: Clock, *, apis: int, workers: int
) -> AsyncIterator[ServerUnderTest]:
    """A shop on the clustered engine, with database and queue servers; all of it runs as long as the context.

    Args:
        data_dir: the absolute path of an empty directory; the log stays in it.
        ids: for the users of the minted tokens, and the database server's name.
        clock: for the tokens' times.
        apis: number of API processes.
        workers: number of workers, which release lapsed holds.

    Raises:
        RehearsalError: no database or queue server can be started here, or one of the reasons of `embedded`.
    """
    with contextlib.ExitStack() as stack:
        store, redis_url = await asyncio.to_thread(_start_servers, data_dir, f"rehearsal-{ids.new()}", stack)
        engine = {"FLASHRESERVE_STORE": f"{store}rehearsal", "FLASHRESERVE_REDIS_URL": redis_url}
        parts = [("serve", "--role", "api")] * apis + [("worker",)] * workers
        async with _open(_CommandRunner(data_dir, engine), parts, ids, clock) as shop:
            yield shop


def _start_servers(data_dir: Path, name: str, stack: contextlib.ExitStack) -> tuple[str, str]:
    """The URLs of a database server and of a queue server, which the stack stops."""
    queue = ValkeyProcess(data_dir)
    try:
        queue.start()
    except ValkeyError as error:
        raise RehearsalError(f"--engine clustered: no Redis or Valkey: {error}") from error
    stack.callback(queue.stop)
    try:
        database = start_mongodb(name)
    except (OSError, subprocess.SubprocessError) as error:
        raise RehearsalError(f"--engine clustered: the MongoDB server doesn't start: {error}") from error
    if database is None:
        raise RehearsalError("--engine clustered: put mongod on PATH, or run `make servers` in a checkout as root")
    stack.callback(database.stop)
    return database.url, queue.url


@contextlib.asynccontextmanager
async def _open(
    commands: "_CommandRunner", parts: Sequence[tuple[str, ...]], ids: Ids, clock: Clock
) -> AsyncIterator[ServerUnderTest]:
    """The shop that consists of these processes, with an admin."""
    async with commands.running(parts) as (urls, processes):
        for url in urls:
            await _ready(url, processes, commands, clock)
        password = secrets.token_urlsafe(24)
        await commands.run("admin", "create", _ADMIN, "--password-stdin", stdin=f"{password}\n")

        async def audit() -> AuditReport:
            await _end_all(processes)
            return await commands.audit()

        yield ServerUnderTest(
            urls=urls,
            admin_token=await _login(urls[0], password),
            mint=minter(KeyRing.parse(commands.keys), ids, clock, ttl_s=TOKEN_S),
            audit=audit,
            sign_in=SignIn(_ADMIN, password),
        )


async def _end_all(processes: Sequence[asyncio.subprocess.Process]) -> None:
    await asyncio.gather(*(end(process, grace_s=_STOP_S) for process in processes))


class _CommandRunner:
    """Runs `flashreserve` commands on one database. Settings of the environment and of a `.env` have no effect."""

    def __init__(self, data_dir: Path, engine: Mapping[str, str]) -> None:
        self._data_dir = data_dir
        self.keys = f"rehearsal:{secrets.token_urlsafe(32)}"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FLASHRESERVE_")},
            "FLASHRESERVE_DATA_DIR": str(data_dir),
            "FLASHRESERVE_SECRET_KEYS": self.keys,
            "FLASHRESERVE_TOKEN_SECONDS": str(TOKEN_S),
            "FLASHRESERVE_HOST": _HOST,
            **engine,
        }

    @contextlib.asynccontextmanager
    async def running(
        self, parts: Sequence[tuple[str, ...]]
    ) -> AsyncIterator[tuple[tuple[str, ...], Sequence[asyncio.subprocess.Process]]]:
        """Start the parts as processes, with their output in the log file; the servers' URLs, and the processes."""
        urls: list[str] = []
        processes: list[asyncio.subprocess.Process] = []
        try:
            with (self._data_dir / LOG_FILE).open("ab") as log:
                for part in parts:
                    port: tuple[str, ...] = ()
                    if part[0] == "serve":
                        port = ("--port", str(free_port()))
                        urls.append(f"http://{_HOST}:{port[1]}")
                    words = (*part, *port)
                    processes.append(
                        await self._start(*words, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)
                    )
            yield tuple(urls), processes
        finally:
            await _end_all(processes)

    async def run(self, *command: str, stdin: str = "") -> None:
        """Run a command that must succeed."""
        code, _, said = await self._finish(*command, stdin=stdin)
        if code:
            raise RehearsalError(f"flashreserve {' '.join(command)} ended with {code}: {said}")

    async def audit(self) -> AuditReport:
        """Run `flashreserve audit --json`."""
        code, out, said = await self._finish("audit", "--json")
        try:
            return AuditReport(clean=_AUDIT_VERDICTS[code], report=msgspec.json.decode(out))
        except (KeyError, *DECODE_ERRORS) as error:
            raise RehearsalError(f"flashreserve audit --json ended with {code}: {said or out[:300]!r}") from error

    def log_tail(self) -> str:
        """The end of the server's log."""
        return (self._data_dir / LOG_FILE).read_text(errors="replace")[-_LOG_TAIL_CHARS:].strip()

    async def _finish(self, *command: str, stdin: str = "") -> tuple[int, bytes, str]:
        pipe = asyncio.subprocess.PIPE
        process = await self._start(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            out, said = await asyncio.wait_for(process.communicate(stdin.encode()), _COMMAND_S)
        except TimeoutError as error:
            raise RehearsalError(f"flashreserve {' '.join(command)} did not end within {_COMMAND_S:.0f} s") from error
        finally:
            await end(process, grace_s=0)
        return await process.wait(), out, said.decode(errors="replace").strip()

    async def _start(self, *command: str, **streams: object) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "flashreserve",
            *command,
            cwd=self._data_dir,
            env=self._environment,
            # Ctrl-C at the terminal must reach the rehearsal only, which then ends its server in order.
            start_new_session=True,
            **streams,  # type: ignore[arg-type]
        )


async def _ready(
    url: str, processes: Sequence[asyncio.subprocess.Process], commands: _CommandRunner, clock: Clock
) -> None:
    deadline = clock.monotonic() + _READY_S
    while all(process.returncode is None for process in processes) and clock.monotonic() < deadline:
        if await _asks(url, "GET", "/readyz") is not None:
            return
        await asyncio.sleep(_POLL_S)
    codes = [process.returncode for process in processes if process.returncode is not None]
    state = f"ended with {codes[0]}" if codes else "did not get ready"
    raise RehearsalError(f"the server {state}. Its log ends with:\n{commands.log_tail()}")


class _LoginJson(msgspec.Struct):
    token: str


async def _login(url: str, password: str) -> str:
    body = await _asks(url, "POST", "/auth/login", msgspec.json.encode({"email": _ADMIN, "password": password}))
    if body is None:
        raise RehearsalError("the server did not let its new admin sign in")
    return msgspec.json.decode(body, type=_LoginJson).token


async def _asks(url: str, method: str, path: str, body: bytes = b"") -> bytes | None:
    """The body of a 200; None for any other answer."""
    client = Client(url, connections_max=1)
    try:
        headers = "Content-Type: application/json\r\n" if body else ""
        response = await client.ask(client.request(method, path, headers, body), timeout_s=10.0)
    except (TimeoutError, ConnectionLostError):
        return None
    finally:
        client.close()
    return response.body if response.status == _OK else None
