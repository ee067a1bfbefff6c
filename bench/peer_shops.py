"""The peers as shops. Their dependencies are installed beside them on first use, from their own pins."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import jwt
from bench.backends import MissingError, Servers
from bench.shops import HOLD_S, STOCK, TOKENS, BenchShop, ShopAudit, ShopError, free_port, process

PEERS: Final = Path(__file__).with_name("peers")
_NODE_MAJOR_MIN: Final = 20


@contextmanager
def express(servers: Servers) -> Iterator[BenchShop]:
    """Express, Mongoose and BullMQ; its worker is a process of its own.

    Raises:
        MissingError: Node or a server is missing.
    """
    program = ["node", str(_installed_node() / "shop.mjs")]
    own = {"MONGODB_URL": servers.mongodb(), "REDIS_URL": servers.valkey(1), "NODE_ENV": "production"}
    servers.versions["Express peer"] = _node_versions()
    with _peer(program, own, worker=True) as shop:
        yield shop


@contextmanager
def fastapi_postgresql(servers: Servers) -> Iterator[BenchShop]:
    """FastAPI and asyncpg on PostgreSQL.

    Raises:
        MissingError: there is no PostgreSQL.
    """
    own = {"POSTGRESQL_URL": servers.postgresql()}

    def told(books: Mapping[str, object]) -> None:
        servers.versions["PostgreSQL"] = str(books["server"])

    program = [_installed_python(), str(PEERS / "fastapi_postgresql.py")]
    servers.versions["Python peers"] = _python_versions()
    with _peer(program, own, told=told) as shop:
        yield shop


@contextmanager
def fastapi_redis(servers: Servers) -> Iterator[BenchShop]:
    """FastAPI and a Lua script on Redis.

    Raises:
        MissingError: there is no Valkey.
    """
    program = [_installed_python(), str(PEERS / "fastapi_redis.py")]
    servers.versions["Python peers"] = _python_versions()
    with _peer(program, {"REDIS_URL": servers.valkey(2)}) as shop:
        yield shop


@contextmanager
def _peer(
    program: Sequence[str],
    own: Mapping[str, str],
    *,
    worker: bool = False,
    told: Callable[[Mapping[str, object]], None] = lambda _: None,
) -> Iterator[BenchShop]:
    secret = secrets.token_hex(32)
    env = {**os.environ, **own, "JWT_SECRET": secret, "HOLD_SECONDS": str(HOLD_S), "STOCK": str(STOCK)}
    product = _ask(program, env, "setup")
    port = free_port()
    base = f"http://127.0.0.1:{port}"

    def audit() -> ShopAudit:
        books = json.loads(_ask(program, env, "audit"))
        told(books)
        sums = f"{books['stock']:,} in stock and {books['units']:,} reserved of {books['initial']:,}"
        return ShopAudit(clean=books["clean"], reservations=books["reservations"], summary=sums)

    with ExitStack() as stack:
        if worker:
            stack.enter_context(process([*program, "worker"], None, env))
        pid = stack.enter_context(process([*program, "serve", str(port)], base + "/health", env))
        yield BenchShop(base, tokens=_tokens(secret), posts=(f"/reservations/{product}",), audit=audit, pid=pid)


def _ask(program: Sequence[str], env: Mapping[str, str], command: str) -> str:
    done = subprocess.run([*program, command], env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise ShopError(f"{' '.join(program)} {command} ended with {done.returncode}")
    return done.stdout.strip()


def _tokens(secret: str) -> tuple[str, ...]:
    until_s = int(time.time()) + HOLD_S
    return tuple(
        jwt.encode({"sub": secrets.token_hex(12), "role": "customer", "exp": until_s}, secret, "HS256")
        for _ in range(TOKENS)
    )


def _installed_node() -> Path:
    directory = PEERS / "express"
    node = shutil.which("node")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout if node else "v0"
    if int(version[1:].split(".")[0]) < _NODE_MAJOR_MIN or shutil.which("npm") is None:
        raise MissingError(f"Node is missing: expected node {_NODE_MAJOR_MIN} or later and npm on PATH")
    with _once(directory / "node_modules" / ".installed", directory / "package-lock.json") as wanted:
        if wanted:
            subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=directory, check=True)
    return directory


def _node_versions() -> str:
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    package = json.loads((PEERS / "express" / "package.json").read_text(encoding="utf-8"))
    return ", ".join([f"Node {node}", *(f"{name} {version}" for name, version in package["dependencies"].items())])


def _python_versions() -> str:
    wanted = set((PEERS / "requirements.in").read_text(encoding="utf-8").split())
    lines = (PEERS / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.rstrip("\\ ").split("==") for line in lines if "==" in line]
    return ", ".join(f"{name} {version}" for name, version in pins if name in wanted)


def _installed_python() -> str:
    python = PEERS / ".venv" / "bin" / "python"
    pins = PEERS / "requirements.txt"
    with _once(PEERS / ".venv" / ".installed", pins) as wanted:
        if wanted:
            subprocess.run([sys.executable, "-m", "venv", PEERS / ".venv"], check=True)
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
            subprocess.run([*pip, "install", "--require-hashes", "--requirement", str(pins)], check=True)
    return str(python)


@contextmanager
def _once(stamp: Path, pins: Path) -> Iterator[bool]:
    """Whether to install: there is no stamp, or it is older than the pins. It is set after an installation."""
    wanted = not stamp.exists() or stamp.stat().st_mtime < pins.stat().st_mtime
    if wanted:
        print(f"installing the dependencies of {pins.parent.name} …", file=sys.stderr)
    yield wanted
    if wanted:
        stamp.touch()
