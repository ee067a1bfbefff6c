"""A receiver of webhook deliveries, as a program of its own: it verifies, records and answers by a plan.

`python -m tests.webhooks.receiver --record FILE` listens on a free port of 127.0.0.1 and prints the port. Deliveries
are POSTs to any path. `PUT /plan` with the JSON of a `ReceiverPlan` changes its behaviour.

The record has one line of JSON per delivery (`Receipt`), written before the delivery is answered. Nothing of
FlashReserve is imported, so that both sides can't share a mistake.
"""

import argparse
import asyncio
import functools
import hashlib
import random
import ssl
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import httptools
import msgspec
import uvloop
from standardwebhooks import Webhook, WebhookVerificationError
from typing_extensions import override


class ReceiverPlan(msgspec.Struct, frozen=True):
    """The receiver's behaviour. The default answers 204 to everything.

    Attributes:
        secrets: Those that verify deliveries.
        fail_share: This part of the deliveries, drawn by `seed`, gets 500.
        fail_first: As many deliveries of each id get 500 first.
        status: The answer to the others.
        hang_s: The time before each answer.
        retry_after: The Retry-After of each answer; empty for none.
    """

    secrets: tuple[str, ...] = ()
    fail_share: float = 0.0
    seed: int = 1
    fail_first: int = 0
    status: int = 204
    hang_s: float = 0.0
    retry_after: str = ""


class Receipt(msgspec.Struct, frozen=True):
    """A line of the record: one delivery.

    Attributes:
        at_ms: When its last byte was received.
        path: The path that it was sent to.
        id: `webhook-id`.
        verified: The index of the plan's first secret that has signed it; None if none has.
        fresh: Whether its timestamp is within the five minutes that the library allows.
        status: The status that it is answered with.
        sha256: The digest of the body.
        subject: The id of the event's subject; this and the next three are None if the body isn't an event.
        sequence: The event's number in its subject.
        previous: The number of the event that was sent before.
        told_ms: The event's timestamp, in milliseconds since 1970.
    """

    at_ms: int
    path: str
    id: str
    verified: int | None
    fresh: bool
    status: int
    sha256: str
    subject: str | None
    sequence: int | None
    previous: int | None
    told_ms: int | None


class _Subject(msgspec.Struct):
    id: str


class _Event(msgspec.Struct):
    subject: _Subject
    sequence: int
    timestamp: datetime
    previous: int | None = None


_Told = tuple[str | None, int | None, int | None, int | None]

_PLAN: Final = "/plan"
_event: Final = msgspec.json.Decoder(_Event)


class RecordingReceiver:
    """The plan and the record, shared by all connections."""

    def __init__(self, record: BinaryIO, plan: ReceiverPlan) -> None:
        self._record = record
        self.take(plan)

    def take(self, plan: ReceiverPlan) -> None:
        """Go by this plan from now on."""
        self.plan = plan
        self._webhooks = [Webhook(secret) for secret in plan.secrets]
        self._random = random.Random(plan.seed)
        self._seen: Counter[str] = Counter()

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Record a delivery, and return the status of its answer."""
        at_ms = time.time_ns() // 1_000_000
        id_ = headers.get("webhook-id", "")
        verified, fresh = self._verify(headers, body)
        status = self._status(id_)
        try:
            event = _event.decode(body)
            told_ms = round(event.timestamp.timestamp() * 1000)
            told: _Told = (event.subject.id, event.sequence, event.previous, told_ms)
        except msgspec.MsgspecError:
            told = (None, None, None, None)
        receipt = Receipt(at_ms, path, id_, verified, fresh, status, hashlib.sha256(body).hexdigest(), *told)
        # One unbuffered write per line: readers never see a part of one.
        self._record.write(msgspec.json.encode(receipt) + b"\n")
        return status

    def _status(self, id_: str) -> int:
        self._seen[id_] += 1
        if self._seen[id_] <= self.plan.fail_first or self._random.random() < self.plan.fail_share:
            return 500
        return self.plan.status

    def _verify(self, headers: dict[str, str], body: bytes) -> tuple[int | None, bool]:
        """The first secret that fits, and whether the library accepts the time as well."""
        for index, webhook in enumerate(self._webhooks):
            try:
                webhook.verify(body, headers, json_parse=False)
            except (WebhookVerificationError, ValueError):  # the latter for text that is not UTF-8 or base64
                if _signed_at_its_time(webhook, headers, body):
                    return index, False
            else:
                return index, True
        return None, False


def _signed_at_its_time(webhook: Webhook, headers: dict[str, str], body: bytes) -> bool:
    """Whether only the time keeps the library from accepting it: tests may move the sender's clock."""
    try:
        second = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        expected = webhook.sign(headers["webhook-id"], second, body.decode())
    except (KeyError, ValueError, OverflowError):
        return False
    return expected in headers.get("webhook-signature", "").split(" ")


class ReceiverConnection(asyncio.Protocol):
    """One connection, from bytes to deliveries."""

    def __init__(self, receiver: RecordingReceiver) -> None:
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        self._path = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        path, body = self._path.decode("latin-1"), b"".join(self._body)
        keep = self._parser.should_keep_alive()
        if self._parser.get_method() == b"PUT" and path == _PLAN:
            self._receiver.take(msgspec.json.decode(body, type=ReceiverPlan))
            self._answer(204, "", keep=keep)
            return
        status, plan = self._receiver.receive(path, self._headers, body), self._receiver.plan
        if plan.hang_s:
            loop = asyncio.get_running_loop()
            loop.call_later(plan.hang_s, functools.partial(self._answer, status, plan.retry_after, keep=keep))
        else:
            self._answer(status, plan.retry_after, keep=keep)

    def _answer(self, status: int, retry_after: str, *, keep: bool) -> None:
        if self._transport.is_closing():
            return
        lines = [f"HTTP/1.1 {status} As-Planned"]
        lines += [f"Retry-After: {retry_after}"] if retry_after else []
        lines += [] if status == 204 else ["Content-Length: 0"]
        lines += [] if keep else ["Connection: close"]
        self._transport.write("\r\n".join([*lines, "", ""]).encode())
        if not keep:
            self._transport.close()


async def _serve(options: argparse.Namespace) -> None:
    tls = None
    if options.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate)
    with options.record.open("ab", buffering=0) as record:
        receiver = RecordingReceiver(record, msgspec.json.decode(options.plan, type=ReceiverPlan))
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: ReceiverConnection(receiver), "127.0.0.1", options.port, ssl=tls, backlog=1024
        )
        print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the program's output
        # The starter holds the other end of the input: the receiver ends with it, however it ends.
        await loop.run_in_executor(None, sys.stdin.read)
        server.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.webhooks.receiver", description=__doc__)
    parser.add_argument("--record", type=Path, required=True, help="file to which a line is appended per delivery")
    parser.add_argument("--port", type=int, default=0, help="port of 127.0.0.1; 0 for a free one")
    parser.add_argument("--plan", default="{}", help="JSON of a ReceiverPlan")
    parser.add_argument("--certificate", default="", help="PEM file with certificate and key, for https")
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(_serve(_options()))
