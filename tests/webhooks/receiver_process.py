"""Starts a receiver (`tests.webhooks.receiver`) in a process of its own, and reads its record."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec
from tests.webhooks.receiver import Receipt, ReceiverPlan

ROOT: Final = Path(__file__).parents[2]
WAIT_S: Final = 30.0
_PAUSE_S: Final = 0.01
_receipt: Final = msgspec.json.Decoder(Receipt)


class ReceiverProcess:
    """A running receiver. With `certificate` (a PEM file with certificate and key) it speaks https.

    A context manager; entering starts it. A stopped one can be started again, on the same port with the same record.
    """

    def __init__(self, record: Path, plan: ReceiverPlan | None = None, certificate: Path | None = None) -> None:
        self.record = record
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self._plan = ReceiverPlan() if plan is None else plan
        self._certificate = certificate

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The URL that deliveries are sent to."""
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}/hook"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        options = ["--record", str(self.record), "--port", str(self.port)]
        options += ["--plan", msgspec.json.encode(self._plan).decode()]
        options += [] if self._certificate is None else ["--certificate", str(self._certificate)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.webhooks.receiver", *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.strip().isdigit(), f"the receiver didn't start: {line!r}, exit code {self.process.poll()}"
        self.port = int(line)

    def stop(self) -> None:
        """End it at once, as by `kill -9`."""
        if self.process is None:
            return
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.process.wait()
        self.process = None

    def take(self, plan: ReceiverPlan) -> None:
        """Let it go by another plan from now on. Not for one that speaks https."""
        self._plan = plan
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/plan", msgspec.json.encode(plan), method="PUT")
        urllib.request.urlopen(request, timeout=WAIT_S).close()  # noqa: S310 - the same

    def receipts(self) -> Sequence[Receipt]:
        """All deliveries until now, in the order of their arrival."""
        written = self.record.read_bytes() if self.record.exists() else b""
        *lines, _begun = written.split(b"\n")
        return [_receipt.decode(line) for line in lines]

    def wait_for(self, reached: Callable[[Sequence[Receipt]], bool]) -> Sequence[Receipt]:
        """The deliveries, once they fulfil the condition. Blocks, so a test with a loop calls it on a thread."""
        until = time.monotonic() + WAIT_S
        while not reached(found := self.receipts()):
            if time.monotonic() > until:
                shown = json.dumps([msgspec.to_builtins(each) for each in found[-5:]])
                raise AssertionError(f"{len(found)} deliveries within {WAIT_S:.0f} s, and not those awaited: {shown}")
            time.sleep(_PAUSE_S)
        return found
