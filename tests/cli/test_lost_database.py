"""A running server that loses its database stops selling, and no process makes an empty database in its place."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandAnswer, CommandShop, Running

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.tokens import Tokens
from flashreserve.clock import SystemClock, SystemIds
from flashreserve.core.model import Role

Serve = Callable[..., Running]
WITHIN_S = 2.0
WAIT_S = 60.0


class WaitingCrowd:
    """New customers who reserve at a server, one after another."""

    def __init__(self, server: Running, product: str, shop: CommandShop) -> None:
        self._server = server
        self._product = product
        self._tokens = Tokens(KeyRing.parse(shop.settings.key_path.read_text().strip()), ttl_s=3600)
        self.granted: list[str] = []

    def reserve(self) -> CommandAnswer:
        token = self._tokens.issue(SystemIds().new(), Role.CUSTOMER, SystemClock().now_ms()).token
        answer = self._server.ask("POST", f"/reservations/{self._product}", token=token)
        if answer.status == 201:
            self.granted.append(answer.json["id"])
        return answer

    def until_refused(self) -> float:
        """Reserve until a 503. Returns the seconds from the call to the last granted hold."""
        begin_s = last_s = time.monotonic()
        while True:
            asked_s = time.monotonic()
            status = self.reserve().status
            if status == 503:
                return last_s - begin_s
            assert status == 201
            assert asked_s - begin_s < WAIT_S
            last_s = asked_s


def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def log_of(shop: CommandShop) -> Path:
    return Path(f"{shop.settings.sqlite_path}-wal")


def lose(shop: CommandShop, how: str) -> None:
    match how:
        case "removed":
            shop.settings.sqlite_path.unlink()
        case "directory renamed":
            shop.settings.data_dir.rename(shop.directory / "renamed")
        case "log removed":
            log_of(shop).unlink()
        case _:
            raise AssertionError(how)


@pytest.mark.parametrize("how", ["removed", "directory renamed", "log removed"])
def test_a_server_that_has_lost_its_files_sells_nothing_more_and_is_not_ready(
    shop: CommandShop, serve: Serve, how: str
) -> None:
    product = shop.stock(units=100_000)
    server = serve()
    crowd = WaitingCrowd(server, product, shop)
    assert crowd.reserve().status == 201

    lose(shop, how)
    granted_for_s = crowd.until_refused()

    assert granted_for_s < WITHIN_S
    assert server.ask("GET", "/readyz").status == 503
    assert crowd.reserve().status == 503
    lines = server.stop_and_read()
    (lost,) = [line for line in lines if line["event"] == "database lost"]
    assert lost["reason"].endswith("removed or renamed")
    if how == "directory renamed":
        (shop.directory / "renamed").rename(shop.settings.data_dir)
    if how != "removed":  # All that was granted is in the file.
        export = shop.run("reservations", "export").out
        assert all(each in export for each in crowd.granted)
        assert shop.run("audit").code == 0


def processes_of(server: Running) -> set[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return {int(word) for word in children.read_text().split()}


def kill_all(pids: Iterable[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("how", ["removed", "directory renamed", "log removed"])
def test_a_child_that_is_started_again_makes_no_shop_beside_its_siblings(
    shop: CommandShop, serve: Serve, how: str
) -> None:
    product = shop.stock(units=100_000)
    server = serve("--workers", "2")
    server.wait_for("worker ready")
    server.wait_for("worker ready")
    WaitingCrowd(server, product, shop).reserve()
    lose(shop, how)

    kill_all(processes_of(server))
    for _ in range(4):
        assert server.wait_for("worker died")["exit_code"] in {-signal.SIGKILL, 1}

    assert not shop.settings.sqlite_path.exists() or how == "log removed"
    assert log_of(shop).exists() == (how == "removed")
    assert not (shop.settings.data_dir / "secret.key").exists() or how != "directory renamed"
    assert server.stop().code == 0
    assert not any(line["event"].startswith("made a new database") for line in server.log)


def test_children_work_again_when_the_directory_is_back(shop: CommandShop, serve: Serve) -> None:
    product = shop.stock(units=100_000)
    server = serve("--workers", "2")
    server.wait_for("worker ready")
    server.wait_for("worker ready")
    crowd = WaitingCrowd(server, product, shop)
    lose(shop, "directory renamed")
    kill_all(processes_of(server))
    server.wait_for("worker died")

    (shop.directory / "renamed").rename(shop.settings.data_dir)

    until(lambda: processes_of(server) != set() and crowd.reserve().status == 201)
    assert server.stop().code == 0
    assert shop.run("audit").code == 0


@pytest.mark.parametrize("args", [["worker"], ["serve", "--role", "worker"], ["sweep"], ["recover"], ["audit"]])
def test_only_serve_and_what_fills_a_shop_make_a_database(shop: CommandShop, args: list[str]) -> None:
    ended = shop.finish(*args)
    assert ended.code == (3 if args == ["audit"] else 1)
    assert f"there is none at {shop.settings.sqlite_path}" in ended.err
    assert shop.files() == []


@pytest.mark.parametrize(
    "args",
    [["worker"], ["sweep"], ["recover"], ["audit"], ["products", "list"], ["doctor"], ["reservations", "export"]],
)
def test_an_empty_file_is_no_database(shop: CommandShop, args: list[str]) -> None:
    shop.settings.data_dir.mkdir()
    shop.settings.sqlite_path.touch()
    ended = shop.finish(*args)
    assert ended.code == (3 if args == ["audit"] else 1)
    assert f"{shop.settings.sqlite_path} is empty, so it is no database" in ended.err + ended.out
    assert shop.settings.sqlite_path.stat().st_size == 0


def test_a_server_makes_one_of_an_empty_file_and_says_so(shop: CommandShop, serve: Serve) -> None:
    shop.settings.data_dir.mkdir()
    shop.settings.sqlite_path.touch()
    said = f"made a new database at {shop.settings.sqlite_path}"
    assert said in [line["event"] for line in serve().stop_and_read()]


def test_what_makes_a_database_says_where(shop: CommandShop, serve: Serve) -> None:
    said = f"made a new database at {shop.settings.sqlite_path}"
    assert said in [line["event"] for line in serve().stop_and_read()]
    assert said not in [line["event"] for line in serve().stop_and_read()]
    ended = shop.finish(
        "admin",
        "create",
        "a@example.com",
        "--password-stdin",
        stdin="correct horse battery\n",
        FLASHRESERVE_DATA_DIR="b",
    )
    assert ended.code == 0, ended.err
    assert f"made a new database at {shop.directory / 'b' / 'flashreserve.db'}" in ended.err


def test_a_server_refuses_to_begin_anew_beside_a_log(shop: CommandShop, serve: Serve) -> None:
    server = serve()
    server.process.kill()
    server.process.wait()
    shop.settings.sqlite_path.unlink()
    before = log_of(shop).read_bytes()

    ended = shop.finish("serve", "--port", "0")

    assert ended.code == 1
    assert "there is a log" in ended.err
    assert log_of(shop).read_bytes() == before
