"""The receiver that other tests and the bench use: it verifies, records and answers as planned."""

import asyncio
import hashlib
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from tests.webhooks.conftest import MakeReceiver
from tests.webhooks.receiver import ReceiverPlan
from tests.webhooks.receiver_process import ReceiverProcess

from flashreserve.clock import SystemClock
from flashreserve.webhooks.addresses import Destinations, read_networks
from flashreserve.webhooks.attempts import AttemptError, DeliveryAttempt
from flashreserve.webhooks.sender import Sender
from flashreserve.webhooks.signatures import signed_headers

SECRET: Final = "whsec_" + "A" * 43 + "="
OTHER: Final = "whsec_" + "Q" * 42 + "E="
LOCAL: Final = Destinations(read_networks("127.0.0.0/8"), production=False)


@asynccontextmanager
async def sender(**options: Any) -> AsyncIterator[Sender]:
    made = Sender(LOCAL, SystemClock(), **options)
    try:
        yield made
    finally:
        await made.close()


def event(number: int) -> bytes:
    told: Mapping[str, Any] = {
        "id": f"r{number}-2",
        "type": "reservation.confirmed",
        "sequence": 2,
        "timestamp": "2026-11-30T12:00:00.250Z",
        "previous": 1,
        "subject": {"kind": "reservation", "id": f"r{number}"},
    }
    return msgspec.json.encode(told)


async def deliver(
    made: Sender, receiver: ReceiverProcess, number: int, secret: str = SECRET, ahead_ms: int = 0
) -> DeliveryAttempt:
    now_ms = time.time_ns() // 1_000_000 + ahead_ms
    body = event(number)
    return await made.send(receiver.url, signed_headers((secret,), f"r{number}-2", body, now_ms), body)


async def test_a_delivery_is_verified_recorded_and_answered(make_receiver: MakeReceiver) -> None:
    receiver = make_receiver(ReceiverPlan(secrets=(OTHER, SECRET)))
    async with sender() as made:
        assert (await deliver(made, receiver, 1)).status == 204

    (receipt,) = receiver.receipts()
    assert (receipt.id, receipt.subject, receipt.sequence, receipt.previous) == ("r1-2", "r1", 2, 1)
    assert receipt.told_ms == 1_796_040_000_250
    assert (receipt.verified, receipt.fresh, receipt.status, receipt.path) == (1, True, 204, "/hook")
    assert receipt.sha256 == hashlib.sha256(event(1)).hexdigest()
    assert abs(receipt.at_ms - time.time() * 1000) < 60_000


async def test_a_wrong_signature_and_an_old_time_are_told_apart(make_receiver: MakeReceiver) -> None:
    receiver = make_receiver(ReceiverPlan(secrets=(SECRET,)))
    async with sender() as made:
        await deliver(made, receiver, 1, secret=OTHER)
        await deliver(made, receiver, 2, ahead_ms=-3_600_000)
        await made.send(receiver.url, {}, b"no event \xff")

    found = [(receipt.verified, receipt.fresh, receipt.subject) for receipt in receiver.receipts()]
    assert found == [(None, False, "r1"), (0, False, "r2"), (None, False, None)]


async def test_a_share_of_the_deliveries_fails_the_same_ones_for_the_same_seed(make_receiver: MakeReceiver) -> None:
    plan = ReceiverPlan(secrets=(SECRET,), fail_share=0.3, seed=7)
    receivers = [make_receiver(plan), make_receiver(plan)]
    async with sender() as made:
        found = [[(await deliver(made, each, number)).status for number in range(100)] for each in receivers]

    assert found[0] == found[1]
    assert 15 < found[0].count(500) < 45
    assert [receipt.status for receipt in receivers[0].receipts()] == found[0]


async def test_the_plan_can_be_changed_while_it_runs(make_receiver: MakeReceiver) -> None:
    receiver = make_receiver()
    async with sender() as made:
        receiver.take(ReceiverPlan(status=410))
        gone = await deliver(made, receiver, 1)
        receiver.take(ReceiverPlan(status=503, retry_after="120"))
        later = await deliver(made, receiver, 2)
        receiver.take(ReceiverPlan(fail_first=2))
        recovering = [(await deliver(made, receiver, 3)).status for _ in range(3)]

    assert (gone.status, later.status, later.retry_after_s) == (410, 503, 120)
    assert recovering == [500, 500, 204]


async def test_a_hanging_receiver_has_the_delivery_though_it_does_not_answer(make_receiver: MakeReceiver) -> None:
    receiver = make_receiver(ReceiverPlan(secrets=(SECRET,), hang_s=60))
    async with sender(total_s=0.5) as made:
        found = await deliver(made, receiver, 1)

    assert (found.status, found.error) == (None, AttemptError.TIMEOUT)
    received = await asyncio.to_thread(receiver.wait_for, lambda receipts: len(receipts) == 1)
    assert received[0].verified == 0


async def test_it_speaks_https_and_can_be_killed_and_started_again(
    make_receiver: MakeReceiver, certificate: Path
) -> None:
    receiver = make_receiver(ReceiverPlan(secrets=(SECRET,)), certificate)
    async with sender(tls=ssl.create_default_context(cafile=certificate)) as made:
        before = await deliver(made, receiver, 1)
        receiver.stop()
        during = await deliver(made, receiver, 2)
        receiver.start()
        after = await deliver(made, receiver, 3)

    assert [each.error for each in (before, during, after)] == [None, AttemptError.CONNECT, None]
    assert [receipt.subject for receipt in receiver.receipts()] == ["r1", "r3"]
