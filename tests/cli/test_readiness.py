"""A server whose database accepts no writes isn't ready; it is ready again once writes work."""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.conftest import CommandShop, Running

Serve = Callable[..., Running]
WAIT_S = 30.0


def until_readyz(server: Running, status: int) -> dict[str, Any]:
    """Ask until `/readyz` has this status. Returns the last answer."""
    end_s = time.monotonic() + WAIT_S
    while True:
        answer = server.ask("GET", "/readyz")
        if answer.status == status:
            return dict(answer.json)
        assert time.monotonic() < end_s, answer
        time.sleep(0.02)


def test_a_server_whose_disk_is_full_is_not_ready_until_there_is_room(shop: CommandShop, serve: Serve) -> None:
    server = serve()
    assert server.ask("GET", "/readyz").status == 200
    log = Path(f"{shop.settings.sqlite_path}-wal")
    no_limit = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)

    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, no_limit[1]))
    refused = until_readyz(server, 503)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, no_limit)

    assert refused["detail"] == "the database takes no writes"
    assert until_readyz(server, 200) == {"status": "ok"}
