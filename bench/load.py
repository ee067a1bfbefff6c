"""One load for all: wrk where it is installed, else a closed loop of our own (slower, so its ratios are kinder)."""

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


class Load(NamedTuple):
    """What to send: a POST with `body` to `url`, over so many connections, for so long."""

    url: str
    token: str
    body: str
    connections: int
    seconds: float


class Result(NamedTuple):
    """What came of it. Latencies in milliseconds; `refused` counts answers other than 2xx."""

    per_second: float
    p50_ms: float
    p99_ms: float
    refused: int


def generator() -> str:
    """The name of the load generator that `run` uses."""
    return "wrk" if shutil.which("wrk") else "closed loop in Python"


def run(load: Load) -> Result:
    """Send the load and measure."""
    return _run_wrk(load) if shutil.which("wrk") else asyncio.run(_run_loop(load))


def _run_wrk(load: Load) -> Result:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write('wrk.method = "POST"\n')
        script.write(f"wrk.body = [[{load.body}]]\n")
        script.write('wrk.headers["content-type"] = "application/json"\n')
        script.write(f'wrk.headers["authorization"] = "Bearer {load.token}"\n')
        script.flush()
        printed = subprocess.run(
            ["wrk", "-t1", f"-c{load.connections}", f"-d{load.seconds:.0f}s", "--latency", "-s", script.name, load.url],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    return Result(
        per_second=float(_find(r"Requests/sec:\s+([\d.]+)", printed)),
        p50_ms=_latency(_find(r"50%\s+([\d.]+\w+)", printed)),
        p99_ms=_latency(_find(r"99%\s+([\d.]+\w+)", printed)),
        refused=int(refused[1]) if refused else 0,
    )


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"wrk printed nothing like {pattern}:\n{text}")
    return found[1]


def _latency(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS_MS[unit]


async def _run_loop(load: Load) -> Result:
    target = urlsplit(load.url)
    request = (
        f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {load.token}\r\nContent-Length: {len(load.body)}\r\n\r\n{load.body}"
    ).encode()
    until = time.monotonic() + load.seconds
    latencies: list[float] = []
    refused = 0

    async def connection() -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        while (sent := time.monotonic()) < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            latencies.append((time.monotonic() - sent) * 1000)
            refused += not head.startswith(b"HTTP/1.1 2")
        writer.close()

    await asyncio.gather(*(connection() for _ in range(load.connections)))
    latencies.sort()
    count = len(latencies)
    return Result(count / load.seconds, latencies[count // 2], latencies[count * 99 // 100], refused)


def project_file(name: str) -> str:
    """A script beside this one."""
    return str(Path(__file__).with_name(name))
