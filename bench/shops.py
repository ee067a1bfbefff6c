"""The measured shops: each is a server with products to reserve, and an audit."""

import csv
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from bench.backends import Servers

from flashreserve import logs

FLASHRESERVE: Final = (sys.executable, "-m", "flashreserve")
PASSWORD: Final = "bench-bench-bench"  # noqa: S105 - guards a database that lives for this run
ADMIN: Final = "bench@example.com"
HOLD_S: Final = 6 * 3600
"""Longer than any run, in seconds, so that no hold lapses during a measurement."""

STOCK: Final = 10**9
MANY: Final = 1_000
TOKENS: Final = 1_000
"""Customers who take turns, each with a token."""

_LAST: Final = "last"
_PAGE: Final = 200
_READY_S: Final = 60.0
_STOP_S: Final = 30.0


class ShopError(Exception):
    """A shop could not be started; the text says why."""


class ShopAudit(NamedTuple):
    """The result of an audit: whether nothing was oversold or leaked, and the number of reservations."""

    clean: bool
    reservations: int
    summary: str


class Credentials(NamedTuple):
    """The credentials of customers, beside the tokens of own accounts.

    Attributes:
        foreign: tokens of an issuer, one for each customer.
        key: an API key that may act for any customer.
        customers: ids of customers for whom it acts.
    """

    foreign: tuple[str, ...] = ()
    key: str = ""
    customers: tuple[str, ...] = ()


class BenchShop(NamedTuple):
    """A shop whose server is running.

    Attributes:
        posts: the paths to reserve by, one for each product; the first is the hot product's.
        sold_out: the path to reserve a product that is sold out.
        stock: the path of the hot product's stock.
        audit: None if there is nothing to audit.
        reservations_before: the number of reservations before the load.
        pid: the serving process, or the parent of the serving processes.
        credentials: those that aren't own accounts' tokens.
        rest: waits until the shop has done the work that a load left to it; None if loads leave none.
    """

    base: str
    tokens: tuple[str, ...]
    posts: tuple[str, ...]
    sold_out: str = ""
    stock: str = "/"
    audit: Callable[[], ShopAudit] | None = None
    reservations_before: int = 0
    pid: int = 0
    credentials: Credentials = Credentials()
    rest: Callable[[], None] | None = None


# ----------------------------------------------------------------------------------------------------------- processes


def log_to_stderr() -> None:
    """Send this process's log to standard error: standard output is for the figures."""
    logs.configure("warning", sys.stderr, colors=False)


def environment(directory: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """The machine's environment plus this run's settings, without quotas: a few customers make all reservations."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("FLASHRESERVE_")}
    base = {"FLASHRESERVE_DATA_DIR": str(directory), "FLASHRESERVE_LOG_LEVEL": "error"}
    unhindered = {"FLASHRESERVE_OPEN_HOLDS_MAX": "0", "FLASHRESERVE_HOLDS_PER_HOUR_MAX": "0"}
    return own | base | unhindered | {"FLASHRESERVE_HOLD_SECONDS": str(HOLD_S)} | dict(settings or {})


def flashreserve(env: Mapping[str, str], *arguments: str, stdin: str | None = None) -> str:
    """Run a command on the bench's own data. Returns its output."""
    done = subprocess.run(
        [*FLASHRESERVE, *arguments], env=env, input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode and not done.stdout:
        raise ShopError(f"flashreserve {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def process(command: Sequence[str], ready_url: str | None, env: Mapping[str, str] | None = None) -> Iterator[int]:
    """Run a program within the context; yields its process id, once `ready_url` answers if there is one."""
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    try:
        if ready_url is not None:
            wait_for(ready_url, server)
        yield server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    end_s = time.monotonic() + _READY_S
    while time.monotonic() < end_s:
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310 - our own server
        except OSError:
            if server.poll() is not None:
                raise ShopError(f"{server.args!r} ended before it was ready") from None
            time.sleep(0.05)
        else:
            return
    raise ShopError(f"nothing answered at {url}")


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def post(url: str, body: dict[str, object], token: str | None = None) -> dict[str, str]:
    """Send a POST. Returns the decoded answer."""
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
        decoded: dict[str, str] = json.load(answer)
        return decoded


def instant_ms(text: str) -> float:
    """The milliseconds since 1970 of an instant in an answer."""
    return datetime.fromisoformat(text).timestamp() * 1000


# ----------------------------------------------------------------------------------------------------------- the shops


@contextmanager
def bare(processes: int = 1) -> Iterator[BenchShop]:
    """The reference: a bare ASGI callable that answers from memory."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(Path(__file__).with_name("bare.py")), str(port), str(processes)]
    with process(command, base + "/") as pid:
        yield BenchShop(base, tokens=("bare",), posts=("/reservations/0199c0de-0000-7000-8002-000000000001",), pid=pid)


@contextmanager
def embedded(
    directory: Path,
    *,
    lane: str = "on",
    processes: int = 1,
    fill: Callable[[Path], int] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[BenchShop]:
    """FlashReserve on a SQLite file.

    Args:
        directory: an empty directory for the database.
        lane: `on` or `off`: the express lane in front of the framework.
        processes: the number of serving processes.
        fill: adds reservations to the database before the server starts, and returns their number.
        settings: further settings.
    """
    env = environment(directory, {"FLASHRESERVE_EXPRESS_LANE": lane, **(settings or {})})
    _make_admin_and_products(env, directory)
    before = fill(directory / "flashreserve.db") if fill is not None else 0
    with serving(env, "serve", "--workers", str(processes)) as (base, pid):
        yield _open(base, env)._replace(pid=pid, reservations_before=before)


@contextmanager
def clustered(directory: Path, servers: Servers, *, processes: int = 1) -> Iterator[BenchShop]:
    """FlashReserve on MongoDB and Redis, with separate API and worker processes.

    Raises:
        MissingError: a server is missing.
    """
    with clustered_in(clustered_environment(directory, servers), directory, processes=processes) as shop:
        yield shop


@contextmanager
def clustered_in(env: Mapping[str, str], directory: Path, *, processes: int = 1) -> Iterator[BenchShop]:
    """FlashReserve on MongoDB and Redis in this environment, with separate API and worker processes."""
    _make_admin_and_products(env, directory)
    with (
        process([*FLASHRESERVE, "worker"], None, env),
        serving(env, "serve", "--role", "api", "--workers", str(processes)) as (base, pid),
    ):
        yield _open(base, env)._replace(pid=pid)


def clustered_environment(directory: Path, servers: Servers) -> dict[str, str]:
    """The environment of the clustered engine on a new database.

    Raises:
        MissingError: a server is missing.
    """
    own = {
        "FLASHRESERVE_STORE": servers.mongodb(),
        "FLASHRESERVE_REDIS_URL": servers.valkey(0),
        "FLASHRESERVE_SECRET_KEYS": f"bench:{secrets.token_hex(32)}",
    }
    return environment(directory, own)


def make_admin(env: Mapping[str, str]) -> None:
    """Make an account that may make products."""
    said = flashreserve(env, "admin", "create", ADMIN, "--password-stdin", stdin=PASSWORD + "\n")
    if ADMIN not in said:
        raise ShopError(f"no admin was made: {said}")


def _make_admin_and_products(env: Mapping[str, str], directory: Path) -> None:
    """Make many products that never sell out, and one with a single unit."""
    make_admin(env)
    path = directory / "products.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "price", "stockQuantity"])
        rows.writerows([f"product {number}", "9.99", STOCK] for number in range(MANY))
        rows.writerow([_LAST, "9.99", 1])
    flashreserve(env, "products", "import", str(path))


@contextmanager
def serving(env: Mapping[str, str], *arguments: str) -> Iterator[tuple[str, int]]:
    """Run a server within the context; yields its URL and process id."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with process([*FLASHRESERVE, *arguments, "--port", str(port)], base + "/readyz", env) as pid:
        yield base, pid


def _open(base: str, env: Mapping[str, str]) -> BenchShop:
    """The shop, after the single unit of one product has been reserved."""
    tokens = tuple(flashreserve(env, "token", "--role", "customer", "--count", str(TOKENS)).split())
    ids = dict(_products(base))
    last = ids.pop(_LAST)
    post(f"{base}/reservations/{last}", {"quantity": 1}, tokens[0])
    hot = next(iter(ids.values()))
    return BenchShop(
        base,
        tokens=tokens,
        posts=tuple(f"/reservations/{id_}" for id_ in ids.values()),
        sold_out=f"/reservations/{last}",
        stock=f"/products/{hot}/stock",
        audit=lambda: _audit(env),
    )


def _products(base: str) -> Iterator[tuple[str, str]]:
    """Each product's name and id, in the order of the ids."""
    cursor = ""
    while True:
        url = f"{base}/products?limit={_PAGE}" + (f"&cursor={cursor}" if cursor else "")
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own server
            page = json.load(answer)
        yield from ((item["name"], item["id"]) for item in page["items"])
        cursor = page.get("nextCursor")
        if not cursor:
            return


def _audit(env: Mapping[str, str]) -> ShopAudit:
    found = json.loads(flashreserve(env, "audit", "--json"))
    summary = (
        f"{found['products']:,} products, {found['reservations']:,} reservations, {len(found['differences'])} differ"
    )
    return ShopAudit(clean=found["clean"], reservations=found["reservations"], summary=summary)
