"""The section `memory`: how much memory the server needs for requests that wait for the database.

Connections are opened, the database's write lock is taken, each connection sends a reservation, the lock is released,
and all are answered. The kernel reports the peak of the server's memory meanwhile.
"""

import asyncio
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import apsw
from bench.backends import Servers
from bench.figures import Section
from bench.load import Load, whole_requests
from bench.sections import BenchPlan, begin

from bench import shops

WAITING: Final = 2_000
_LOCKED_S: Final = 1.5
_PAUSE_S: Final = 0.3
_GRANTED: Final = b"HTTP/1.1 201"

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def measure_memory(plan: BenchPlan, _servers: Servers) -> Section:
    """Measure the KiB of the server process for 1,000 open connections, and for 1,000 waiting requests."""
    section = begin(plan._replace(seconds=_LOCKED_S, rounds=1))
    directory = plan.directory / "memory"
    directory.mkdir()
    with shops.embedded(directory) as shop:
        database = directory / "flashreserve.db"
        asyncio.run(_wait_together(shop, database, WAITING // 10))  # Allocates all that is allocated once.
        idle, connected, waiting = asyncio.run(_wait_together(shop, database, WAITING))
        books = shop.audit() if shop.audit else None
    section.kib = {
        "server before": idle,
        "1,000 open connections": (connected - idle) * 1000 / WAITING,
        "1,000 waiting requests": (waiting - connected) * 1000 / WAITING,
    }
    section.conditions["requests waiting at once"] = f"{WAITING:,}"
    if books is not None:
        section.audits["SQLite"] = books.summary
        if not books.clean:
            section.kib.clear()
    return section


async def _wait_together(shop: shops.BenchShop, database: Path, count: int) -> tuple[float, float, float]:
    """The server's KiB before, with `count` connections open, and at the peak while a request waits on each."""
    target = urlsplit(shop.base)
    idle = _kib(shop.pid, "VmRSS")
    connections = [await asyncio.open_connection(target.hostname, target.port) for _ in range(count)]
    await asyncio.sleep(_PAUSE_S)
    connected = _kib(shop.pid, "VmRSS")
    _forget_peak(shop.pid)
    requests = whole_requests(Load(shop.base, shop.posts[:1], shop.tokens, count, 0))
    lock = apsw.Connection(str(database))
    lock.execute("BEGIN IMMEDIATE")
    begun_s = time.monotonic()
    for _, writer in connections:
        writer.write(next(requests))
    await asyncio.sleep(_LOCKED_S - (time.monotonic() - begun_s))
    lock.execute("ROLLBACK")
    lock.close()
    heads = await asyncio.gather(*(_answer(each) for each in connections))
    if not all(head.startswith(_GRANTED) for head in heads):
        raise SystemExit("not every waiting request was granted")
    return idle, connected, _kib(shop.pid, "VmHWM")


async def _answer(connection: _Connection) -> bytes:
    reader, writer = connection
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def _kib(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return float(line.split()[1])
    raise KeyError(name)
