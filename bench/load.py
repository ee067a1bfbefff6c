"""The load generator: wrk if it is installed, otherwise a loop of our own (slower, so ratios look better).

Both send as fast as answers come, or at a fixed rate that doesn't depend on the answers, as a crowd does.
"""

import asyncio
import itertools
import json
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from flashreserve.rehearsal.client import Client, ConnectionLostError

BODY: Final = '{"quantity":1}'
_UNITS_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_TIMEOUT_S: Final = 30.0
_LATE_S: Final = 0.005
_OK_END: Final = 300


class Load(NamedTuple):
    """The requests to send: for `paths` in turn, with `tokens` in turn.

    Attributes:
        base: `http://host:port`.
        method: POST sends `BODY`, GET no body.
        keys: each request has an idempotency key of its own.
        rate: requests per second on a fixed schedule; None for as many as are answered.
        customers: the customers for whom an API key acts, in turn; none for a customer's own requests.
        origin: the page that sends the requests; empty for other clients.
    """

    base: str
    paths: tuple[str, ...]
    tokens: tuple[str, ...]
    connections: int
    seconds: float
    method: str = "POST"
    keys: bool = False
    rate: float | None = None
    customers: tuple[str, ...] = ()
    origin: str = ""


class Result(NamedTuple):
    """The result of a load. Latencies are in milliseconds, from sending to the end of the answer.

    Attributes:
        answers: answers that came in time.
        refused: answers other than 2xx, included in `answers`.
        errors: connections that failed, and requests that were not answered in time.
        late_share: at a fixed rate, the share of requests sent more than 5 ms after their scheduled time.
        server_us: processor time of the serving processes for each answer, in microseconds; 0 if it wasn't measured.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    answers: int
    refused: int
    errors: int
    late_share: float = 0.0
    server_us: float = 0.0


def timed(took_s: list[float], seconds: float, answers: int, refused: int) -> Result:
    """The result of calls within this process that took `took_s` each, `seconds` altogether."""
    ordered = sorted(took_s)
    half_ms, most_ms = (ordered[len(ordered) * part // 100] * 1000 for part in (50, 99))
    return Result((answers - refused) / seconds, half_ms, most_ms, answers, refused, errors=0)


def generator() -> str:
    """The name and version of the load generator that `run` uses."""
    if not shutil.which("wrk"):
        return "the bench's own loop in Python"
    said = subprocess.run(["wrk", "--version"], check=False, capture_output=True, text=True).stdout
    return " ".join(said.split()[:2])


def run(load: Load) -> Result:
    """Send the load and measure the answers."""
    return _run_wrk(load) if shutil.which("wrk") else asyncio.run(_run_loop(load))


def _heads(load: Load) -> list[str]:
    """The different requests, each up to the CR LF of its last header."""
    host = urlsplit(load.base).netloc
    length = f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n" if load.method == "POST" else ""
    origin = f"Origin: {load.origin}\r\n" if load.origin else ""
    customers = [f"On-Behalf-Of: {customer}\r\n" for customer in load.customers] or [""]
    turns = zip(*map(itertools.cycle, (load.paths, load.tokens, customers)), strict=False)
    return [
        f"{load.method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{customer}{origin}{length}"
        for path, token, customer in itertools.islice(turns, max(len(load.paths), len(load.tokens), len(customers)))
    ]


def _tail(load: Load) -> str:
    return "\r\n" + (BODY if load.method == "POST" else "")


# ------------------------------------------------------------------------------------------------------------------ wrk


def _run_wrk(load: Load) -> Result:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as plan:
        plan.write(_plan(load))
        plan.flush()
        script = str(Path(__file__).with_name("load.lua"))
        shape = ["-t1", f"-c{load.connections}", f"-d{max(1, round(load.seconds))}s", f"--timeout={_TIMEOUT_S:.0f}s"]
        command = ["wrk", *shape, "--latency", "-s", script, load.base, "--", plan.name]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:  # The server no longer listens.
        return Result(0.0, 0.0, 0.0, answers=0, refused=0, errors=load.connections)
    return _read_wrk(done.stdout)


def _plan(load: Load) -> str:
    """The argument of load.lua. Strings of these characters are written alike in JSON and Lua."""
    fields = ["requests = {" + ",\n".join(map(json.dumps, _heads(load))) + "}", f"tail = {json.dumps(_tail(load))}"]
    if load.keys:
        fields.append(f"keys = {json.dumps(secrets.token_hex(6) + '-')}")
    if load.rate is not None:
        fields.append(f"rate = {load.rate:.3f}")
    return "return {" + ",\n".join(fields) + "}\n"


def _read_wrk(printed: str) -> Result:
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", printed)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    late, scheduled = re.findall(r"Late: (\d+) of (\d+)", printed)[0]
    return Result(
        per_second=float(_find(r"Requests/sec:\s+([\d.]+)", printed)),
        p50_ms=_latency(_find(r"50%\s+([\d.]+\w+)", printed)),
        p99_ms=_latency(_find(r"99%\s+([\d.]+\w+)", printed)),
        answers=int(_find(r"(\d+) requests in ", printed)),
        refused=int(refused[1]) if refused else 0,
        errors=sum(map(int, errors.groups())) if errors else 0,
        late_share=int(late) / max(1, int(scheduled)),
    )


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"wrk printed nothing like {pattern}:\n{text}")
    return found[1]


def _latency(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS_MS[unit]


# ------------------------------------------------------------------------------------------------ the bench's own loop


class _Tally:
    """The counts of one run, over all its tasks."""

    def __init__(self) -> None:
        self.latencies_ms: list[float] = []
        self.refused = 0
        self.errors = 0
        self.late = 0
        self.sent = 0

    async def ask(self, client: Client, request: bytes, since_s: float) -> None:
        """Send one request; its latency counts from `since_s`."""
        try:
            response = await client.ask(request, _TIMEOUT_S)
        except (ConnectionLostError, TimeoutError):
            self.errors += 1
            return
        self.latencies_ms.append((time.monotonic() - since_s) * 1000)
        self.refused += response.status >= _OK_END

    def result(self, seconds: float) -> Result:
        """The result of a run that took `seconds`."""
        ordered = sorted(self.latencies_ms) or [0.0]
        count = len(self.latencies_ms)
        return Result(
            per_second=count / seconds,
            p50_ms=ordered[count // 2],
            p99_ms=ordered[count * 99 // 100],
            answers=count,
            refused=self.refused,
            errors=self.errors,
            late_share=self.late / max(1, self.sent),
        )


async def _run_loop(load: Load) -> Result:
    client = Client(load.base, connections_max=load.connections)
    tally, requests, start_s = _Tally(), whole_requests(load), time.monotonic()
    if load.rate is None:
        await asyncio.gather(
            *(_in_turn(client, requests, tally, start_s + load.seconds) for _ in range(load.connections))
        )
    else:
        await _on_schedule(client, requests, tally, load.rate, round(load.rate * load.seconds))
    client.close()
    return tally.result(time.monotonic() - start_s)


def whole_requests(load: Load) -> Iterator[bytes]:
    """The requests, one after the other, endlessly."""
    run_key, tail = secrets.token_hex(6), _tail(load)
    for number, head in enumerate(itertools.cycle(_heads(load))):
        key = f"Idempotency-Key: {run_key}-{number}\r\n" if load.keys else ""
        yield (head + key + tail).encode()


async def _in_turn(client: Client, requests: Iterator[bytes], tally: _Tally, until_s: float) -> None:
    while (now_s := time.monotonic()) < until_s:
        await tally.ask(client, next(requests), now_s)


async def _on_schedule(client: Client, requests: Iterator[bytes], tally: _Tally, rate: float, count: int) -> None:
    start_s = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            due_s = start_s + number / rate
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            tally.sent += 1
            tally.late += time.monotonic() - due_s > _LATE_S
            tasks.create_task(tally.ask(client, next(requests), due_s))
