"""The receivers of docs/webhook-receivers.md, against real deliveries: of a server's sender, and forged ones."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from tests.docs.pages import EXAMPLES
from tests.servers.node import require_node

from flashreserve.bootstrap import LOCAL_DESTINATIONS
from flashreserve.clock import SystemClock
from flashreserve.core.events import Actor, ActorKind, Event, EventType, PauseChange
from flashreserve.http.event_views import delivery_body
from flashreserve.rehearsal.servers.ports import free_port
from flashreserve.webhooks.sender import Sender
from flashreserve.webhooks.signatures import signed_headers

FOLDER: Final = EXAMPLES / "webhook-receivers"
SECRET: Final = "whsec_" + "A" * 43 + "="
OTHER: Final = "whsec_" + "B" * 43 + "="
SUBJECT: Final = "01a20b39-4685-7139-95e5-df707f880fb4"
LATE_MS: Final = 6 * 60 * 1000


class ExampleReceiver:
    """A running receiver of the page."""

    def __init__(self, program: Sequence[str], folder: Path) -> None:
        self.port = free_port()
        self._program = program
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Start it on the same port with the same stored events."""
        own = {"WEBHOOK_SECRET": SECRET, "PORT": str(self.port), "EVENTS": str(self._folder / "events")}
        self.process = subprocess.Popen(
            self._program,
            cwd=FOLDER,
            env=os.environ | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.line() == f"The receiver is at http://localhost:{self.port}/hook"

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def stop(self) -> None:
        """End it, as by `kill -9`."""
        self.process.kill()
        self.process.communicate()

    def send(self, *deliveries: tuple[dict[str, str], bytes]) -> list[int | None]:
        """Send the deliveries one after the other by FlashReserve's own sender. Returns the statuses."""

        async def send_all() -> list[int | None]:
            sender = Sender(LOCAL_DESTINATIONS, SystemClock(), keep_connections=True)
            url = f"http://localhost:{self.port}/hook"
            try:
                return [(await sender.send(url, headers, body)).status for headers, body in deliveries]
            finally:
                await sender.close()

        return asyncio.run(send_all())


@pytest.fixture(params=["python", "node"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ExampleReceiver]:
    program = [sys.executable, "receiver.py"] if request.param == "python" else [require_node(), "receiver.mjs"]
    started = ExampleReceiver(program, tmp_path)
    yield started
    started.stop()


def delivery(
    n: int, previous: int | None, secrets: Sequence[str] = (SECRET,), late_ms: int = 0
) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a delivery of event number `n`."""
    data = PauseChange("The price is wrong", all_products=False)
    event = Event(SUBJECT, n, EventType.PRODUCT_PAUSED, 1_795_000_000_000, Actor(ActorKind.ADMIN, None), data)
    body = delivery_body(event, previous)
    return signed_headers(secrets, event.id, body, time.time_ns() // 1_000_000 - late_ms), body


def test_a_receiver_takes_signed_deliveries_also_while_two_secrets_sign(receiver: ExampleReceiver) -> None:
    assert receiver.send(delivery(1, None), delivery(2, 1, secrets=(OTHER, SECRET))) == [204, 204]
    assert [receiver.line(), receiver.line()] == [
        f"new: product.paused {SUBJECT}-1",
        f"new: product.paused {SUBJECT}-2",
    ]


def changed_body(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    return headers, body.replace(b"wrong", b"right")


def other_id(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    return headers | {"webhook-id": f"{SUBJECT}-9"}, body


def no_signature(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    return {name: value for name, value in headers.items() if name != "webhook-signature"}, body


def no_base64(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    return headers | {"webhook-signature": "v1,=?= v1 nonsense"}, body


Forge = Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]


@pytest.mark.parametrize("forge", [changed_body, other_id, no_signature, no_base64], ids=lambda each: each.__name__)
def test_a_receiver_refuses_a_forged_delivery(receiver: ExampleReceiver, forge: Forge) -> None:
    assert receiver.send(forge(*delivery(1, None)), delivery(1, None)) == [401, 204]
    assert receiver.line() == f"new: product.paused {SUBJECT}-1"


def test_a_receiver_refuses_other_secrets_and_old_deliveries(receiver: ExampleReceiver) -> None:
    forged = [delivery(1, None, secrets=(OTHER,)), delivery(1, None, late_ms=LATE_MS)]
    assert receiver.send(*forged) == [401, 401]


def test_a_receiver_refuses_a_body_that_is_too_long(receiver: ExampleReceiver) -> None:
    headers, body = delivery(1, None)
    assert receiver.send((headers, body + b" " * 100_000)) == [413]


def raw(receiver: ExampleReceiver, request: bytes) -> bytes:
    """Send these bytes and nothing more. Returns the beginning of the answer."""
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(12)


def test_a_receiver_outlives_senders_that_give_up_or_send_nonsense(receiver: ExampleReceiver) -> None:
    raw(receiver, b"POST /hook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
    assert not raw(receiver, b"POST /hook HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n").endswith(b" 2")
    assert receiver.send(delivery(1, None)) == [204]


def test_a_duplicate_is_known_also_after_a_restart(receiver: ExampleReceiver) -> None:
    assert receiver.send(delivery(1, None), delivery(1, None)) == [204, 204]
    assert [receiver.line()[:6], receiver.line()[:6]] == ["new: p", "again:"]
    receiver.stop()
    receiver.start()
    assert receiver.send(delivery(1, None), delivery(2, 1)) == [204, 204]
    assert [receiver.line()[:6], receiver.line()[:6]] == ["again:", "new: p"]


def test_a_gap_is_noticed(receiver: ExampleReceiver) -> None:
    assert receiver.send(delivery(1, None), delivery(4, 3)) == [204, 204]
    assert receiver.line() == f"new: product.paused {SUBJECT}-1"
    assert receiver.line() == f"missing: number 3 of {SUBJECT}; get it from /events?subject={SUBJECT}"


def test_a_line_that_a_crash_cut_off_is_forgotten(tmp_path: Path) -> None:
    """The event was never acknowledged, so it comes again."""
    (tmp_path / "events").write_text(f"{SUBJECT}-1\n{SUBJECT}-2")
    receiver = ExampleReceiver([require_node(), "receiver.mjs"], tmp_path)
    try:
        assert receiver.send(delivery(2, 1)) == [204]
        assert receiver.line() == f"new: product.paused {SUBJECT}-2"
    finally:
        receiver.stop()
