"""The database servers of a run: each is started once, on first use, and stopped at the end."""

import asyncio
import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest
from pymongo import AsyncMongoClient
from tests.servers.mongodb import MISSING, URL_VARIABLE, start_server
from tests.servers.valkey import ValkeyProcess

POSTGRESQL_TOOL: Final = Path(__file__).parents[1] / "tools" / "postgresql_server.sh"
_OURS: Final = "bench-"


class MissingError(Exception):
    """A program isn't installed on this machine. The text names it, and says how to install it."""


class Servers:
    """The servers of one run. `versions` lists those that were started."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self._urls: dict[str, str] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def mongodb(self) -> str:
        """The URL of a new database, with its name.

        Raises:
            MissingError: there is no MongoDB server.
        """
        url = self._once("MongoDB", self._start_mongodb)
        name = "bench_" + secrets.token_hex(4)
        self._stack.callback(lambda: asyncio.run(_drop(url, name)))
        return url + name

    def valkey(self, database: int) -> str:
        """The URL of one of the Valkey server's numbered databases, emptied.

        Raises:
            MissingError: there is no Valkey server.
        """
        self._once("Valkey", self._start_valkey)
        self._valkey.flush_database(database)
        return self._valkey.url_of(database)

    def postgresql(self) -> str:
        """The URL of the PostgreSQL server's one database.

        Raises:
            MissingError: there is no PostgreSQL server.
        """
        return self._once("PostgreSQL", self._start_postgresql)

    def _once(self, name: str, start: Callable[[], str]) -> str:
        if name not in self._urls:
            self._urls[name] = start()
        return self._urls[name]

    def _start_mongodb(self) -> str:
        given = os.environ.get(URL_VARIABLE)
        if given:
            url = given if given.endswith("/") else given + "/"
        else:
            server = start_server("bench")
            if server is None:
                raise MissingError(MISSING)
            self._stack.callback(server.stop)
            url = server.url
        self.versions["MongoDB server"] = asyncio.run(_mongodb_version(url))
        return url

    def _start_valkey(self) -> str:
        directory = self._stack.enter_context(tempfile.TemporaryDirectory())
        try:
            self._valkey = self._stack.enter_context(_Valkey(Path(directory)))
        except pytest.skip.Exception as skipped:
            raise MissingError(str(skipped)) from None
        self.versions["Valkey"] = self._valkey.version()
        return self._valkey.url

    def _start_postgresql(self) -> str:
        if subprocess.run([POSTGRESQL_TOOL, "available"], check=False).returncode:
            raise MissingError("PostgreSQL is missing: run `make servers`, or install Debian's, as root")
        _stop_orphans()
        name = f"{_OURS}{os.getpid()}"
        url = _postgresql("start", name)
        self._stack.callback(_postgresql, "stop", name)
        return url


class _Valkey(ValkeyProcess):
    """The tests' server, with numbered databases. It is not durable, which favours a shop that uses only it."""

    def url_of(self, database: int) -> str:
        return re.sub(r"/\d+$", f"/{database}", self.url)

    def flush_database(self, database: int) -> None:
        with self.client() as client:
            client.select(database)
            client.flushdb()

    def version(self) -> str:
        with self.client() as client:
            info = client.info("server")
        return str(info.get("valkey_version", info["redis_version"]))


async def _mongodb_version(url: str) -> str:
    async with AsyncMongoClient[dict[str, object]](url) as client:
        built = await client.admin.command("buildInfo")
    ferretdb = built.get("ferretdb")
    said = f"reports {built['version']}"
    return f"FerretDB {ferretdb['version']} over PostgreSQL and DocumentDB ({said})" if ferretdb else said


async def _drop(url: str, name: str) -> None:
    async with AsyncMongoClient[dict[str, object]](url) as client:
        await client.drop_database(name)


def _postgresql(command: str, name: str = "default") -> str:
    done = subprocess.run([POSTGRESQL_TOOL, command, name], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def _stop_orphans() -> None:
    """Stop the servers of runs that were killed."""
    for name in _postgresql("list").split():
        if name.startswith(_OURS) and not Path(f"/proc/{name.removeprefix(_OURS)}").exists():
            _postgresql("stop", name)
