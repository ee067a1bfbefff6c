"""Many clients that follow one product's stream, in a process of their own.

They come from several addresses of this machine, because one address may have a limited number of streams. Run as
`python -m bench.followers`: it prints a line once all streams are open, and its measurements when its input ends.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple

from typing_extensions import override

PER_ADDRESS: Final = 900
_OPENED_AT_ONCE: Final = 50
_AS_OF: Final = b'"asOf":"'
_INSTANT_BYTES: Final = 24


class FollowedStreams(NamedTuple):
    """What the clients saw: events, the streams that ended, and the age of each event when it came, in milliseconds."""

    open: int
    events: int
    ended: int
    p50_ms: float
    p99_ms: float


class _Stream(asyncio.Protocol):
    """One client. It notes the age of each event: the time since the state that the event tells."""

    def __init__(self, notes: "_Notes", path: str, host: str) -> None:
        self._notes = notes
        self._request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._request)  # type: ignore[attr-defined]

    @override
    def data_received(self, data: bytes) -> None:
        start = data.rfind(_AS_OF)
        if start >= 0:
            self._notes.note(data[start + len(_AS_OF) :][:_INSTANT_BYTES].decode())

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._notes.ended += 1


class _Notes:
    """The notes of all clients. The first event of each is the state at its opening, so it isn't counted."""

    def __init__(self) -> None:
        self.ages_ms: list[float] = []
        self.ended = 0
        self.begun = False
        self._read: dict[str, float] = {}

    def note(self, as_of: str) -> None:
        if self.begun:
            told_s = self._read.get(as_of)
            if told_s is None:
                told_s = self._read[as_of] = datetime.fromisoformat(as_of).timestamp()
            self.ages_ms.append((time.time() - told_s) * 1000)


async def _follow(host: str, port: int, path: str, streams: int) -> None:
    loop, notes = asyncio.get_running_loop(), _Notes()
    transports = []
    for start in range(0, streams, _OPENED_AT_ONCE):
        some = range(start, min(start + _OPENED_AT_ONCE, streams))
        opened = await asyncio.gather(
            *(
                loop.create_connection(
                    lambda: _Stream(notes, path, f"{host}:{port}"), host, port, local_addr=(_address(number), 0)
                )
                for number in some
            )
        )
        transports += [transport for transport, _ in opened]
    print("open", flush=True)
    notes.begun = True
    await loop.run_in_executor(None, sys.stdin.readline)
    ages = sorted(notes.ages_ms) or [0.0]
    found = FollowedStreams(
        len(transports), len(notes.ages_ms), notes.ended, ages[len(ages) // 2], ages[len(ages) * 99 // 100]
    )
    print(json.dumps(found), flush=True)
    for transport in transports:
        transport.abort()


def _address(number: int) -> str:
    return f"127.0.0.{2 + number // PER_ADDRESS}"


class Followers:
    """The running process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def measured(self) -> FollowedStreams:
        """End the clients. Returns what they saw since all streams were open."""
        out, _ = self._process.communicate("\n")
        return FollowedStreams(*json.loads(out))


@contextmanager
def following(host: str, port: int, path: str, streams: int) -> Iterator[Followers]:
    """Follow the path with so many clients. They are open when the context begins."""
    arguments = ["--host", host, "--port", str(port), "--path", path, "--streams", str(streams)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.followers", *arguments], stdin=pipe, stdout=pipe, text=True
    )
    try:
        if process.stdout is None or process.stdout.readline() != "open\n":
            raise SystemExit("the streams can't be opened")
        yield Followers(process)
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Follow until a line comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--streams", type=int, required=True)
    asked = parser.parse_args()
    asyncio.run(_follow(asked.host, asked.port, asked.path, asked.streams))


if __name__ == "__main__":
    main()
