"""Compare the rehearsal's HTTP client with aiohttp's: `python -m bench.clients`.

The figure that decides is client/server: a client's processor time per request, divided by the server's. At 1, the
client alone takes as much of the machine as the shop that it is to measure, and the crowd's own work comes on top.
Ours stays as long as aiohttp's figure for "sold out" is well above ours; most of a crowd gets that answer, and it is
the shop's cheapest. Both clients take turns on one server, so their ratio holds even on a busy machine.
"""

import argparse
import asyncio
import itertools
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import uvloop

from bench import machine, shops
from flashreserve.rehearsal.client import Client

Ask = Callable[[str, str, str], Awaitable[int]]
"""A function that sends one POST to a path, with a token and an idempotency key, and returns the answer's status."""

_CONNECTIONS: Final = 64
_TIMEOUT_S: Final = 30.0
_WARM_UP_S: Final = 1.0
_MICROSECONDS: Final = 1e6


class ClientRun(NamedTuple):
    """The figures of one run. Processor time is in microseconds per request."""

    per_second: float
    client_us: float
    server_us: float


class ClientLoad(NamedTuple):
    """One run of a client: POSTs to one path, with `tokens` in turn.

    Attributes:
        status: The expected status of every answer; any other status ends the run.
    """

    client: str
    base: str
    path: str
    tokens: tuple[str, ...]
    seconds: float
    server_pid: int
    status: int


@asynccontextmanager
async def _ours(base: str) -> AsyncIterator[Ask]:
    client = Client(base, connections_max=_CONNECTIONS)

    async def ask(path: str, token: str, key: str) -> int:
        headers = f"Authorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n"
        return (await client.ask(client.request("POST", path, headers), _TIMEOUT_S)).status

    yield ask
    client.close()


@asynccontextmanager
async def _aiohttp(base: str) -> AsyncIterator[Ask]:
    """Use aiohttp with its cheapest options: no cookies, no decompression, no headers of its own."""
    session = aiohttp.ClientSession(
        base,
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
    )

    async def ask(path: str, token: str, key: str) -> int:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        async with session.post(path, headers=headers) as answer:
            await answer.read()
            return answer.status

    async with session:
        yield ask


CLIENTS: Final[dict[str, Callable[[str], AbstractAsyncContextManager[Ask]]]] = {"ours": _ours, "aiohttp": _aiohttp}


async def _run(load: ClientLoad) -> ClientRun:
    async with CLIENTS[load.client](load.base) as ask:
        await _crowd(load, ask, _WARM_UP_S)
        began_s, own_s, server_s = time.monotonic(), time.process_time(), machine.processor_s(load.server_pid)
        count = await _crowd(load, ask, load.seconds)
        took_s, used_s = time.monotonic() - began_s, time.process_time() - own_s
        return ClientRun(
            per_second=count / took_s,
            client_us=used_s / count * _MICROSECONDS,
            server_us=(machine.processor_s(load.server_pid) - server_s) / count * _MICROSECONDS,
        )


async def _crowd(load: ClientLoad, ask: Ask, seconds: float) -> int:
    """Send requests as fast as answers come. Returns their number."""
    tokens, run_key, numbers = itertools.cycle(load.tokens), secrets.token_hex(6), itertools.count()
    until_s = time.monotonic() + seconds

    async def customer() -> None:
        while time.monotonic() < until_s:
            status = await ask(load.path, next(tokens), f"{run_key}-{next(numbers)}")
            if status != load.status:
                raise shops.ShopError(f"{load.client}: expected {load.status}, got {status}")

    await asyncio.gather(*(customer() for _ in range(_CONNECTIONS)))
    return next(numbers)


def _measured(load: ClientLoad) -> ClientRun:
    """The figures of a run in a process of its own, like the crowd's."""
    command = [sys.executable, "-m", "bench.clients", "--run"]
    done = subprocess.run(command, input=json.dumps(load), check=True, stdout=subprocess.PIPE, text=True)
    return ClientRun(*json.loads(done.stdout))


def main() -> None:
    """Measure both clients in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run (3)")
    parser.add_argument("--rounds", type=int, default=7, help="of each client (7)")
    parser.add_argument("--run", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        print(json.dumps(uvloop.run(_run(ClientLoad(*json.load(sys.stdin))))))
        return
    shops.log_to_stderr()
    with tempfile.TemporaryDirectory() as directory, shops.embedded(Path(directory)) as shop:
        print("\n".join(f"{name}: {value}" for name, value in machine.conditions(Path(directory)).items()))
        for name, path, status in (("granted", shop.posts[0], 201), ("sold out", shop.sold_out, 409)):
            loads = [
                ClientLoad(client, shop.base, path, shop.tokens, asked.seconds, shop.pid, status) for client in CLIENTS
            ]
            _print(name, [tuple(map(_measured, loads)) for _ in range(asked.rounds)])


def _print(name: str, rounds: list[tuple[ClientRun, ...]]) -> None:
    print(f"\n{name} ({len(rounds)} rounds, {_CONNECTIONS} connections; medians)")
    for client, runs in zip(CLIENTS, zip(*rounds, strict=True), strict=True):
        per_second, client_us, server_us = (statistics.median(figures) for figures in zip(*runs, strict=True))
        print(
            f"  {client:8} {per_second:6.0f} requests/s  client {client_us:4.0f} µs  server {server_us:4.0f} µs  "
            f"client/server {client_us / server_us:.2f}"
        )
    ratios = [theirs.client_us / ours.client_us for ours, theirs in rounds]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"  processor time, aiohttp/ours: {statistics.median(ratios):.2f} ({spread})")


if __name__ == "__main__":
    main()
