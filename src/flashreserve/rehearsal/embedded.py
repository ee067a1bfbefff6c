"""A fresh shop for one rehearsal: the product's own commands, on a free port and an empty data directory."""

import asyncio
import contextlib
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from flashreserve.auth.keys import KeyRing
from flashreserve.clock import Clock, Ids
from flashreserve.rehearsal.client import Client, ConnectionLostError
from flashreserve.rehearsal.minting import TOKEN_S, minter
from flashreserve.rehearsal.processes import end
from flashreserve.rehearsal.server import Audit, RehearsalError, ServerUnderTest

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
    """Start a shop on the embedded engine, with an admin; end it in the end.

    Args:
        data_dir: an empty directory, by its absolute path; database and server log are left in it.
        ids: for the users of the minted tokens.
        clock: for their times.

    Raises:
        RehearsalError: a command failed, or the server did not get ready; the text has the end of its log.
    """
    port = _free_port()
    keys = f"rehearsal:{secrets.token_urlsafe(32)}"
    commands = _Commands(data_dir, port, keys)
    url = f"http://{_HOST}:{port}"
    async with commands.serving() as server:
        await _ready(url, server, commands, clock)
        password = secrets.token_urlsafe(24)
        await commands.run("admin", "create", _ADMIN, "--password-stdin", stdin=f"{password}\n")

        async def audit() -> Audit:
            await end(server, grace_s=_STOP_S)
            return await commands.audit()

        yield ServerUnderTest(
            urls=(url,),
            admin_token=await _login(url, password),
            mint=minter(KeyRing.parse(keys), ids, clock),
            audit=audit,
        )


class _Commands:
    """Runs `flashreserve …` on the one data directory, whatever is set in the environment or a `.env` nearby."""

    def __init__(self, data_dir: Path, port: int, keys: str) -> None:
        self._data_dir = data_dir
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FLASHRESERVE_")},
            "FLASHRESERVE_DATA_DIR": str(data_dir),
            "FLASHRESERVE_STORE": f"sqlite:///{data_dir / 'flashreserve.db'}",
            "FLASHRESERVE_SECRET_KEYS": keys,
            "FLASHRESERVE_TOKEN_SECONDS": str(TOKEN_S),
            "FLASHRESERVE_HOST": _HOST,
            "FLASHRESERVE_PORT": str(port),
        }

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """`flashreserve serve`, its output in the log file."""
        with (self._data_dir / LOG_FILE).open("wb") as log:
            server = await self._start("serve", stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield server
        finally:
            await end(server, grace_s=_STOP_S)

    async def run(self, *command: str, stdin: str = "") -> None:
        """A command that has to succeed."""
        code, _, said = await self._finish(*command, stdin=stdin)
        if code:
            raise RehearsalError(f"flashreserve {' '.join(command)} ended with {code}: {said}")

    async def audit(self) -> Audit:
        """`flashreserve audit --json`."""
        code, out, said = await self._finish("audit", "--json")
        try:
            return Audit(clean=_AUDIT_VERDICTS[code], report=msgspec.json.decode(out))
        except (KeyError, msgspec.DecodeError) as error:
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
            # A Ctrl-C at the terminal is for the rehearsal, which then ends its server in order.
            start_new_session=True,
            **streams,  # type: ignore[arg-type]
        )


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as probe:
        return int(probe.getsockname()[1])


async def _ready(url: str, server: asyncio.subprocess.Process, commands: _Commands, clock: Clock) -> None:
    deadline = clock.monotonic() + _READY_S
    while server.returncode is None and clock.monotonic() < deadline:
        if await _asks(url, "GET", "/readyz") is not None:
            return
        await asyncio.sleep(_POLL_S)
    state = "did not get ready" if server.returncode is None else f"ended with {server.returncode}"
    raise RehearsalError(f"the server {state}. Its log ends with:\n{commands.log_tail()}")


class _LoggedIn(msgspec.Struct):
    token: str


async def _login(url: str, password: str) -> str:
    body = await _asks(url, "POST", "/auth/login", msgspec.json.encode({"email": _ADMIN, "password": password}))
    if body is None:
        raise RehearsalError("the server did not let its new admin sign in")
    return msgspec.json.decode(body, type=_LoggedIn).token


async def _asks(url: str, method: str, path: str, body: bytes = b"") -> bytes | None:
    """The body of a 200; None for anything else."""
    client = Client(url, connections_max=1)
    try:
        headers = "Content-Type: application/json\r\n" if body else ""
        response = await client.ask(client.request(method, path, headers, body), timeout_s=10.0)
    except (TimeoutError, ConnectionLostError):
        return None
    finally:
        client.close()
    return response.body if response.status == _OK else None
