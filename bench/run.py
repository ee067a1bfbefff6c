"""`make bench`: durable reservations on one hot product against a bare ASGI answer from memory, in one run.

Both servers run as one process each, in turn, several times; the ratio is of the medians. The run ends with an
audit: a figure from a run that doesn't audit clean is not a figure.
"""

import argparse
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.load import Load, Result, generator, project_file, run

PASSWORD = "bench-bench-bench"  # noqa: S105 - guards a database that lives for this run


def main() -> None:
    """Measure, print a table, audit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lane", choices=["on", "off"], default="on", help="the express lane before the framework")
    parser.add_argument("--data-dir", type=Path, help="where the database is made (default: a temporary directory)")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.data_dir) as directory:
        figures = measure(Path(directory), asked.connections, asked.seconds, asked.rounds, asked.lane)
        audit = flashreserve(Path(directory), "audit", "--json").stdout
    figures["audit"] = json.loads(audit)
    print(json.dumps(figures, indent=2) if asked.json else table(figures))


def measure(directory: Path, connections: int, seconds: float, rounds: int, lane: str) -> dict[str, object]:
    """Run both servers side by side and load them in turn."""
    bare: list[Result] = []
    durable: list[Result] = []
    with bare_server() as bare_url, durable_server(directory, lane) as (url, token):
        for _ in range(rounds):
            bare.append(run(Load(bare_url, token, '{"quantity":1}', connections, seconds)))
            durable.append(run(Load(url, token, '{"quantity":1}', connections, seconds)))
    rows = {"bare ASGI, in memory": bare, "durable reservation, SQLite, one hot product": durable}
    return {
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "generator": generator(),
        "connections": connections,
        "rounds": rounds,
        "lane": lane,
        "rows": {
            name: {
                "per_second": round(statistics.median(r.per_second for r in results)),
                "lowest": round(min(r.per_second for r in results)),
                "highest": round(max(r.per_second for r in results)),
                "p50_ms": statistics.median(r.p50_ms for r in results),
                "p99_ms": statistics.median(r.p99_ms for r in results),
                "refused": sum(r.refused for r in results),
            }
            for name, results in rows.items()
        },
        "ratio": round(
            statistics.median(r.per_second for r in durable) / statistics.median(r.per_second for r in bare), 3
        ),
    }


def table(figures: dict[str, object]) -> str:
    """The figures for people."""
    rows: dict[str, dict[str, float]] = figures["rows"]  # type: ignore[assignment]
    audit: dict[str, object] = figures["audit"]  # type: ignore[assignment]
    lines = [
        (
            f"{figures['machine']}; {figures['generator']} on the same cores, {figures['connections']} connections, "
            f"median of {figures['rounds']} rounds"
        ),
        f"{'':46}{'requests/s':>12}{'lowest':>9}{'highest':>9}{'p50 ms':>9}{'p99 ms':>9}{'refused':>9}",
    ]
    for name, row in rows.items():
        lines.append(
            f"{name:46}{row['per_second']:>12}{row['lowest']:>9}{row['highest']:>9}"
            f"{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}{row['refused']:>9}"
        )
    lines.append(f"durable / bare: {figures['ratio']} (express lane {figures['lane']})")
    lines.append(f"audit: {json.dumps(audit)}")
    return "\n".join(lines)


def flashreserve(directory: Path, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command on the bench's own data."""
    return subprocess.run(
        [sys.executable, "-m", "flashreserve", *arguments],
        env=environment(directory),
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
    )


def environment(directory: Path) -> dict[str, str]:
    """The machine's environment, with the settings of this run only."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("FLASHRESERVE_")}
    return own | {"FLASHRESERVE_DATA_DIR": str(directory), "FLASHRESERVE_LOG_LEVEL": "warning"}


@contextmanager
def process(
    arguments: list[str], directory: Path | None, ready_url: str, settings: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A server for as long as the context lasts."""
    env = (environment(directory) if directory else dict(os.environ)) | dict(settings or {})
    server = subprocess.Popen([sys.executable, *arguments], env=env, stdout=subprocess.DEVNULL)
    try:
        wait_for(ready_url, server)
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Return when the server answers."""
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310 - our own server
        except OSError:
            if server.poll() is not None:
                raise SystemExit("the server ended before it was ready") from None
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing answered at {url}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def bare_server() -> Iterator[str]:
    """The ceiling's URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with process([project_file("bare.py"), str(port)], None, url):
        yield url


@contextmanager
def durable_server(directory: Path, lane: str) -> Iterator[tuple[str, str]]:
    """The URL of a hot product on a fresh database, and a customer's token."""
    flashreserve(directory, "admin", "create", "bench@example.com", "--password-stdin", stdin=PASSWORD + "\n")
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    settings = {"FLASHRESERVE_EXPRESS_LANE": lane}
    with process(["-m", "flashreserve", "serve", "--port", str(port)], directory, base + "/readyz", settings):
        admin = post(base + "/auth/login", {"email": "bench@example.com", "password": PASSWORD})["token"]
        product = post(base + "/products", {"name": "hot", "price": 1, "stockQuantity": 10**9}, admin)
        token = flashreserve(directory, "token", "--role", "customer", "--count", "1").stdout.strip()
        yield f"{base}/reservations/{product['id']}", token


def post(url: str, body: dict[str, object], token: str | None = None) -> dict[str, str]:
    """The decoded answer to a POST."""
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
        decoded: dict[str, str] = json.load(answer)
        return decoded


if __name__ == "__main__":
    main()
