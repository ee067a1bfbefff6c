"""`flashreserve serve` and `flashreserve worker`, as processes of their own."""

import inspect
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, cast

import pytest
from tests.cli.conftest import KEYS, PASSWORD, CommandShop, Running

from flashreserve.bootstrap import ProcessPlace
from flashreserve.cli import serve
from flashreserve.cli.banner import Serving, banner
from flashreserve.cli.lifeline import ORPHANED
from flashreserve.server.workers import WorkerPlace
from flashreserve.settings import Settings

Serve = Callable[..., Running]
PATIENCE_S = 60.0


def until(condition: Callable[[], Any]) -> Any:
    """Wait until the condition is true, and return its value."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def token(shop: CommandShop, count: int = 1) -> list[str]:
    return shop.run("token", "--count", str(count)).out.splitlines()


def test_a_server_says_where_it_is_answers_and_ends_when_told(shop: CommandShop, serve: Serve) -> None:
    server = serve()
    ready = server.log[-1]

    assert ready["docs"] == f"{server.url}/api-docs"
    assert (ready["role"], ready["engine"], ready["workers"]) == ("all", "embedded (SQLite)", 1)
    assert ready["data"] == str(shop.settings.sqlite_path)
    assert server.ask("GET", "/readyz").status == 200
    assert server.ask("GET", "/api-docs").status == 200
    ended = server.stop()
    assert (ended.code, ended.out) == (0, "")


def test_a_server_that_is_stopped_under_load_answers_what_it_took(shop: CommandShop, serve: Serve) -> None:
    product_id = shop.stock(units=1_000_000)
    server = serve(FLASHRESERVE_OPEN_HOLDS_MAX="0", FLASHRESERVE_HOLDS_PER_HOUR_MAX="0")
    buyers = [SteadyBuyer(server, product_id, each) for each in token(shop, 8)]
    for buyer in buyers:
        buyer.start()
    until(lambda: all(buyer.granted for buyer in buyers))

    ended = server.stop()

    for buyer in buyers:
        buyer.join(PATIENCE_S)
    assert ended.code == 0
    assert [buyer.unanswered for buyer in buyers] == [[]] * len(buyers)
    # Every hold was acknowledged to its customer, and every acknowledged hold exists.
    assert shop.available() == {product_id: 1_000_000 - sum(buyer.granted for buyer in buyers)}
    assert shop.run("audit").code == 0


@pytest.mark.parametrize(("settings", "most"), [({}, 20), ({"FLASHRESERVE_OPEN_HOLDS_MAX": "3"}, 3)])
def test_one_customer_has_only_so_many_open_holds(
    shop: CommandShop, serve: Serve, settings: dict[str, str], most: int
) -> None:
    product_id = shop.stock(units=1_000)
    server = serve("--workers", "2", **settings)
    greedy, other = token(shop, 2)
    answers = [server.ask("POST", f"/reservations/{product_id}", token=greedy) for _ in range(most + 2)]
    assert [answer.status for answer in answers] == [201] * most + [429] * 2
    assert answers[-1].json["code"] == "open-holds-reached"
    assert server.ask("POST", f"/reservations/{product_id}", token=other).status == 201
    assert server.stop().code == 0
    assert shop.available() == {product_id: 1_000 - most - 1}


class SteadyBuyer(threading.Thread):
    """Reserves on one connection at a time, until it can't connect."""

    def __init__(self, server: Running, product_id: str, token: str) -> None:
        super().__init__(daemon=True)
        self.granted = 0
        self.unanswered: list[str] = []
        self._server = server
        self._request = ("POST", f"/reservations/{product_id}", None, {"Authorization": f"Bearer {token}"})

    def run(self) -> None:
        connection = self._server.connect()
        while True:
            try:
                connection.connect()
            except OSError:
                return
            try:
                while True:
                    connection.request(*self._request)
                    response = connection.getresponse()
                    response.read()
                    self.granted += response.status == 201
                    if response.will_close:
                        break
            except (OSError, HTTPException) as error:
                self.unanswered.append(repr(error))
                return
            finally:
                connection.close()


def test_a_server_whose_terminal_is_closed_answers_what_it_took(serve: Serve) -> None:
    server = serve()
    connection = _begin_request(server)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("stopping")
    connection.send(b"{}")
    assert connection.getresponse().status == 400
    assert server.stop_and_read()


def test_a_server_that_is_told_to_outlive_its_terminal_does(shop: CommandShop) -> None:
    command = ["nohup", sys.executable, "-m", "flashreserve", "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=shop.directory, env=shop.environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        server = Running(process)
        process.send_signal(signal.SIGHUP)
        assert server.ask("GET", "/livez").status == 200
        assert server.stop().code == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_interruption_ends_a_server_that_waits_for_a_request(serve: Serve, workers: int) -> None:
    server = serve("--workers", str(workers))
    connection = _begin_request(server)
    server.process.send_signal(signal.SIGINT)
    server.wait_for("stopping")

    server.process.send_signal(signal.SIGINT)

    # Without the second signal, a request may take 24 s. With it, an idle machine needs one second.
    server.process.wait(15)
    assert connection.getresponse().status == 503


def test_each_of_several_processes_is_told_how_many_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places = []

    async def share(_settings: Settings, _role: str, place: ProcessPlace, *_: object) -> None:
        places.append(place)

    monkeypatch.setattr(serve, "_serve_share", share)
    command = list(serve._command("api", 4, tmp_path, "1:2", WorkerPlace(number=1, listener_fd=5, lifeline_fd=6)))
    options = command[command.index(serve.SHARE) + 1 :]
    parsed = serve.serve_share.make_context(serve.SHARE, options).params
    inspect.unwrap(cast("Callable[..., int]", serve.serve_share.callback))(Settings(), **parsed)

    assert places == [ProcessPlace("worker-1", 4, tmp_path, "1:2")]


def _begin_request(server: Running) -> HTTPConnection:
    """Send a request without its body, and wait until the server waits for the body."""
    connection = server.connect()
    connection.putrequest("POST", "/auth/login")
    for name, value in (("Content-Type", "application/json"), ("Content-Length", "2"), ("Expect", "100-continue")):
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.sock.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
    return connection


def test_few_open_files_are_told_at_the_start(shop: CommandShop) -> None:
    limited = ["sh", "-c", 'ulimit -n 300 && exec "$@"', "sh", sys.executable, "-m", "flashreserve", "serve"]
    with subprocess.Popen(
        [*limited, "--port", "0"], cwd=shop.directory, env=shop.environment, stderr=subprocess.PIPE, text=True
    ) as process:
        server = Running(process)
        warning = next(line for line in server.log if line["level"] == "warning")
        assert (warning["allowed"], warning["needed"], warning["connections_max"]) == (300, 11_257, 135)
        assert server.ask("GET", "/readyz").status == 200
        assert server.stop().code == 0


def test_all_releases_what_lapses_and_api_leaves_it_to_a_worker(shop: CommandShop, serve: Serve) -> None:
    product_id = shop.stock(units=1, hold_s=1)
    server = serve("--role", "api")
    assert server.ask("POST", f"/reservations/{product_id}", token=token(shop)[0]).status == 201
    until(lambda: server.ask("GET", f"/products/{product_id}/stock").json["available"] == 0)

    worker = serve(command="worker")
    until(lambda: server.ask("GET", f"/products/{product_id}/stock").json["available"] == 1)

    assert (worker.log[-1]["role"], "url" in worker.log[-1]) == ("worker", False)
    done = worker.wait_for("job done")
    assert (done["job"], done["count"]) == ("sweep", 1)
    assert worker.stop().code == 0
    assert not [line for line in server.stop_and_read() if line["event"] == "job done"]


def test_a_server_of_role_all_sells_again_what_has_lapsed(shop: CommandShop, serve: Serve) -> None:
    product_id = shop.stock(units=1, hold_s=1)
    server = serve()
    assert server.ask("POST", f"/reservations/{product_id}", token=token(shop)[0]).status == 201

    until(lambda: server.ask("POST", f"/reservations/{product_id}", token=token(shop)[0]).status == 201)


def test_serve_with_role_worker_is_the_worker(shop: CommandShop, serve: Serve) -> None:
    shop.stock()
    worker = serve("--role", "worker")

    assert "url" not in worker.log[-1]
    assert worker.stop(signal.SIGINT).code == 0


def test_several_processes_share_an_address_a_database_and_their_figures(shop: CommandShop, serve: Serve) -> None:
    product_id = shop.stock()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    of_an_earlier_start = shop.directory / "data" / "metrics" / f"127.0.0.1-{port}" / "worker-7.metrics"
    of_an_earlier_start.parent.mkdir(parents=True)
    of_an_earlier_start.write_bytes(b"")
    server = serve("--workers", "2", "--port", str(port))
    server.wait_for("worker ready")
    server.wait_for("worker ready")
    tokens = token(shop, 6)

    assert [server.ask("POST", f"/reservations/{product_id}", token=each).status for each in tokens] == [201] * 6
    until(lambda: granted_by_metrics(server) == 6)
    assert not of_an_earlier_start.exists()
    children = [line["pid"] for line in server.log if line["event"] == "worker started"]
    assert server.stop().code == 0
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert shop.available() == {product_id: 4}


_SLOW_IMPORT = """
import sys, time

class Slowness:
    def find_spec(self, name, path, target=None):
        if name == "uvloop":
            print("importing", flush=True)
            time.sleep(600)

sys.meta_path.insert(0, Slowness())
"""


def test_a_process_of_several_that_still_imports_ends_with_its_parent(shop: CommandShop) -> None:
    (shop.directory / "sitecustomize.py").write_text(_SLOW_IMPORT)
    lifeline, held_by_parent = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        words = serve._command("all", 2, shop.directory, "", WorkerPlace(0, listener.fileno(), lifeline))
        process = subprocess.Popen(
            words,
            cwd=shop.directory,
            env={**shop.environment, "PYTHONPATH": os.pathsep.join([str(shop.directory), *sys.path])},
            pass_fds=(listener.fileno(), lifeline),
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"importing\n"
            assert process.poll() is None
            os.close(held_by_parent)
            assert process.wait(PATIENCE_S) == ORPHANED
        finally:
            os.close(lifeline)
            process.kill()
            process.communicate()


def granted_by_metrics(server: Running) -> float:
    found = re.findall(
        r'requests_total{method="POST",.*status="201"} (.*)', server.ask("GET", "/metrics").body.decode()
    )
    return sum(map(float, found))


def test_processes_that_could_not_start_are_not_started(shop: CommandShop) -> None:
    ended = shop.run("serve", "--port", "0", "--workers", "2", FLASHRESERVE_TRUSTED_PROXIES="everybody")

    assert ended.code == 2
    assert ended.err.startswith("Error: FLASHRESERVE_TRUSTED_PROXIES: ")
    assert ended.err.count("\n") == 1
    assert shop.files() == []


def test_a_taken_port_is_told_and_no_database_is_made(shop: CommandShop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = shop.run("serve", "--port", str(port))

    assert ended.code == 1
    assert ended.err == f"Error: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
    assert shop.files() == []


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--role", "boss"], "--role"),
        (["--workers", "0"], "--workers"),
        (["--workers", "65"], "--workers"),
        (["--port", "65536"], "--port"),
        (["--role", "worker", "--port", "1"], "--role worker"),
        (["--role", "worker", "--workers", "2"], "--role worker"),
    ],
)
def test_options_that_make_no_sense_are_named(shop: CommandShop, args: list[str], named: str) -> None:
    ended = shop.run("serve", *args)

    assert ended.code == 2
    assert named in ended.err
    assert shop.files() == []


def test_production_does_not_start_without_keys(shop: CommandShop) -> None:
    ended = shop.run("serve", "--port", "0", FLASHRESERVE_ENV="production")

    assert ended.code == 2
    assert ended.err.startswith("Error: FLASHRESERVE_SECRET_KEYS: expected kid:secret")
    assert shop.files() == []


def test_production_starts_with_keys_and_makes_none(shop: CommandShop, serve: Serve) -> None:
    server = serve(FLASHRESERVE_ENV="production", FLASHRESERVE_SECRET_KEYS=KEYS)

    assert server.ask("GET", "/metrics").status == 401
    assert "data/secret.key" not in shop.files()


def test_every_command_works_beside_a_server(shop: CommandShop, serve: Serve) -> None:
    server = serve()
    for command in (
        ("products", "import", "-"),
        ("admin", "create", "o@example.com", "--password-stdin"),
        ("products", "list"),
        ("sweep",),
        ("recover",),
        ("reservations", "export"),
        ("audit",),
        ("doctor",),
    ):
        stdin = f"{PASSWORD}\n" if "admin" in command else "name,price,stockQuantity\nA,1,5\n"
        ended = shop.run(*command, stdin=stdin)
        assert ended.code == 0, (command, ended)
    product = server.ask("GET", "/products").json["items"][0]
    admin = shop.run("token", "--role", "admin", "--email", "o@example.com").out.strip()

    assert server.ask("POST", f"/reservations/{product['id']}", token=token(shop)[0]).status == 201
    assert len(server.ask("GET", f"/products/{product['id']}/reservations", token=admin).json["items"]) == 1
    assert shop.run("reservations", "export", "--output", "shipping.csv").code == 0
    exported = (shop.directory / "shipping.csv").read_bytes()
    assert server.ask("GET", "/reservations.csv", token=admin).body == exported


@pytest.mark.parametrize("env", ["development", "production"])
def test_no_secret_is_ever_logged_even_at_debug(shop: CommandShop, serve: Serve, env: str) -> None:
    server = serve(
        FLASHRESERVE_LOG_LEVEL="debug",
        FLASHRESERVE_ENV=env,
        FLASHRESERVE_SECRET_KEYS=KEYS,
        FLASHRESERVE_METRICS_TOKEN="metrics-token-of-the-shop-0123456",
    )
    credentials = {"email": "c@example.com", "password": PASSWORD}
    assert server.ask("POST", "/auth/register", credentials).status == 201
    assert server.ask("POST", "/auth/login", {**credentials, "password": "wrong " + PASSWORD}).status == 401
    signed_in = server.ask("POST", "/auth/login", credentials).json["token"]
    assert server.ask("GET", "/auth/me", token=signed_in).status == 200
    cookie = "__Host-token" if env == "production" else "token"
    assert server.ask("GET", "/auth/me", Cookie=f"{cookie}={signed_in}").status == 200
    server.ask("GET", f"/products?token={signed_in}&password={PASSWORD.replace(' ', '+')}")
    server.ask("GET", f"/products/{signed_in}")
    server.ask("POST", "/auth/login", {"email": PASSWORD, "password": 7})
    assert server.ask("GET", "/metrics", token="metrics-token-of-the-shop-0123456").status == 200
    said = server.stop_and_read()

    text = json.dumps(said)
    assert len([line for line in said if line["event"] == "request"]) >= 9
    for secret in (
        PASSWORD,
        PASSWORD.replace(" ", "+"),
        signed_in,
        "argon2",
        KEYS.partition(":")[2],
        "metrics-token-of-the-shop-0123456",
    ):
        assert secret not in text


def test_on_a_terminal_a_banner_says_what_runs_where(shop: CommandShop) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "flashreserve", "serve", "--port", "0"],
        cwd=shop.directory,
        env={**shop.environment, "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = ""
        while "Ctrl-C ends it." not in shown:
            shown += os.read(ours, 1000).decode()
        process.send_signal(signal.SIGINT)
        while "stopping" not in shown:
            shown += os.read(ours, 1000).decode()
        assert process.wait(PATIENCE_S) == 0
        os.close(ours)
    lines = {name: value for name, _, value in (line.strip().partition("  ") for line in shown.splitlines())}
    url = lines["Shop"].strip()
    assert url.startswith("http://127.0.0.1:")
    assert lines["API docs"].strip() == f"{url}/api-docs"
    assert lines["Engine"].strip() == "embedded (SQLite)"
    assert lines["Role"].strip() == "all (serves, and releases lapsed holds)"
    assert lines["Data"].strip() == str(shop.settings.sqlite_path)
    assert '{"' not in shown


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:3000\n"),
        ("0.0.0.0", "http://localhost:3000 and every address of this machine\n"),  # noqa: S104 - shown only
        ("::1", "http://[::1]:3000\n"),
        ("shop.example.com", "http://shop.example.com:3000\n"),
    ],
)
def test_the_banners_url_can_be_opened(host: str, shown: str) -> None:
    assert shown in banner(Serving(role="api", engine="embedded (SQLite)", data="/srv/shop.db", host=host, port=3000))


def test_the_banner_of_a_closed_shop_says_who_may_see_its_docs() -> None:
    text = banner(
        Serving(
            role="all",
            engine="embedded (SQLite)",
            data="/srv/shop.db",
            host="::",
            port=3000,
            workers=4,
            production=True,
        )
    )

    assert "http://localhost:3000/api-docs (for admins)" in text
    assert "4 processes" in text
