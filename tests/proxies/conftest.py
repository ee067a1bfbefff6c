"""A server as a process of its own, reached directly, through HAProxy with our configuration, or through nginx."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from socket import create_connection, socket
from typing import Any

import pytest
from tests.cli.conftest import CommandShop, Running
from tests.servers.proxies import find, haproxy, nginx, require

TIMEOUT_S = 30.0
PATIENCE_S = 60.0
WAYS = ("directly", "HAProxy", "nginx, buffered", "nginx, unbuffered")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Way:
    """One way to the server, at the level of bytes."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self) -> socket:
        return create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)

    def ask(self, *parts: bytes | str) -> Reply:
        """Send one request on a new connection, and read its answer."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part if isinstance(part, bytes) else part.encode())
            return reply(connection)


def reply(connection: socket) -> Reply:
    response = HTTPResponse(connection)
    response.begin()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


@dataclass(frozen=True)
class ProxyPlace:
    """The shop's server, which trusts the proxies on this machine."""

    shop: CommandShop
    running: Running
    way_by: Mapping[str, Way]

    @property
    def pid(self) -> int:
        return self.running.process.pid

    def memory_kib(self) -> int:
        """The memory of the server's process."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])

    def way(self, name: str) -> Way:
        if name != WAYS[0]:
            require(name.partition(",")[0].lower())
        return self.way_by[name]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> CommandShop:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLASHRESERVE_")}
    return CommandShop(tmp_path_factory.mktemp("shop"), environment)


@pytest.fixture(scope="module")
def place(shop: CommandShop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyPlace]:
    with ExitStack() as stack:
        settings = {"FLASHRESERVE_TRUSTED_PROXIES": "127.0.0.1", "FLASHRESERVE_HOSTS": "shop.test"}
        process = stack.enter_context(shop.start("serve", "--port", "0", **settings))
        stack.callback(process.kill)
        running = Running(process)
        port = int(running.url.rpartition(":")[2])
        ports = {WAYS[0]: port}
        if find("haproxy"):
            ports["HAProxy"] = stack.enter_context(haproxy(tmp_path_factory.mktemp("haproxy"), port))
        if find("nginx"):
            fronts = stack.enter_context(nginx(tmp_path_factory.mktemp("nginx"), port))
            ports |= {f"nginx, {name}": front for name, front in fronts.items()}
        ways = {name: Way(number) for name, number in ports.items()}
        for way in ways.values():
            until(lambda way=way: way.ask("GET /livez HTTP/1.1\r\nHost: shop.test\r\n\r\n").status == 200)  # type: ignore[misc]
        yield ProxyPlace(shop, running, ways)


def until(condition: Callable[[], Any]) -> Any:
    """Wait until the condition is true, and return its value."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found
