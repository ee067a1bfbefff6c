"""A MongoDB server for tests: the first one available.

1. The server at `TESTS_MONGODB_URL`, which is already running. Tests use databases of their own on it. 2. A `mongod` on
PATH. 3. The server that `make servers` installed: a gateway over PostgreSQL that speaks MongoDB's protocol.

One server runs for the whole session and is stopped when it ends. A test that kills its server starts one of its own.
"""

import atexit
import os
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from flashreserve.rehearsal.servers.mongodb import MongoServer, ask_tool, is_installed, start_mongodb
from flashreserve.rehearsal.servers.ports import free_port

__all__ = ["MISSING", "MongoServer", "free_port", "require_mongodb", "start_server"]

URL_VARIABLE: Final = "TESTS_MONGODB_URL"
MISSING: Final = f"MongoDB is missing: set {URL_VARIABLE}, put mongod on PATH, or run `make servers`"
_OURS: Final = "tests-"


def require_mongodb() -> str:
    """The URL of the session's server. Without a server, the test is skipped."""
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
    """A fresh server for one test; None if none can be started."""
    if is_installed():
        _stop_orphans()
    return start_mongodb(f"{_OURS}{os.getpid()}-{purpose}")


def _stop_orphans() -> None:
    """Stop the servers of test sessions that were killed."""
    for name in ask_tool("list").split():
        session = name.removeprefix(_OURS).partition("-")[0]
        if name.startswith(_OURS) and not Path(f"/proc/{session}").exists():
            ask_tool("stop", name)
