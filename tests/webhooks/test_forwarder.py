"""Forwarding to a receiver during development: order, tries and the numbers that events name."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from tests.moving_clock import MovingClock

from flashreserve.core.events import Actor, ActorKind, Event, EventType, PauseChange
from flashreserve.http.event_views import delivery_body
from flashreserve.service import forwarder
from flashreserve.service.forwarder import TRIES_MAX, ForwardAttempt, Forwarder
from flashreserve.side_by_side import end_all
from flashreserve.webhooks.attempts import AttemptError, DeliveryAttempt, error_of_status

SECRET = "whsec_" + "A" * 43 + "="
DOWN = DeliveryAttempt(None, 1, AttemptError.CONNECT)


def answer(status: int) -> DeliveryAttempt:
    return DeliveryAttempt(status, 1, error_of_status(status))


def event(subject: str, n: int) -> Event:
    return Event(
        subject, n, EventType.PRODUCT_PAUSED, 1_000, Actor(ActorKind.ADMIN, None), PauseChange("x", all_products=False)
    )


class ScriptedSender:
    """Answers by a list, then 204; records id and `previous` of each request."""

    def __init__(self, answers: Sequence[DeliveryAttempt]) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, int | None]] = []

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> DeliveryAttempt:
        self.sent.append((headers["webhook-id"], msgspec.json.decode(body)["previous"]))
        return self.answers.pop(0) if self.answers else answer(204)


async def forward(sender: ScriptedSender, *events: Event) -> list[ForwardAttempt]:
    """Forward all events. Returns what was told."""
    told: list[ForwardAttempt] = []
    done = asyncio.Event()

    def tell(result: ForwardAttempt) -> None:
        told.append(result)
        if result.event is events[-1] and result.again_s is None:
            done.set()

    made = Forwarder(
        sender=sender, url="http://x/", secret=SECRET, encode=delivery_body, clock=MovingClock(), tell=tell
    )
    for each in events:
        made.add(each)
    running = asyncio.create_task(made.run())
    async with asyncio.timeout(10):
        await done.wait()
    await end_all(running)
    assert made.waiting == 0
    return told


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "WAITS_S", (0.0,) * (TRIES_MAX - 1))


async def test_events_are_sent_in_order_each_with_the_number_of_the_one_before() -> None:
    sender = ScriptedSender([])
    await forward(sender, event("a", 2), event("b", 1), event("a", 5))
    assert sender.sent == [("a-2", None), ("b-1", None), ("a-5", 2)]


@pytest.mark.parametrize("failure", [DOWN, answer(500), answer(302)])
async def test_a_failed_event_is_given_up_after_some_tries_and_the_next_one_names_it(failure: DeliveryAttempt) -> None:
    sender = ScriptedSender([failure] * TRIES_MAX)
    told = await forward(sender, event("a", 1), event("a", 2))
    assert sender.sent == [("a-1", None)] * TRIES_MAX + [("a-2", 1)]
    assert [(each.tries, each.again_s) for each in told] == [(1, 0.0), (2, 0.0), (3, 0.0), (4, None), (1, None)]


async def test_a_receiver_that_is_gone_gets_the_event_once() -> None:
    sender = ScriptedSender([answer(410)])
    await forward(sender, event("a", 1), event("a", 2))
    assert sender.sent == [("a-1", None), ("a-2", 1)]


async def test_a_limited_number_of_subjects_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "SUBJECTS_MAX", 2)
    sender = ScriptedSender([])
    await forward(sender, event("a", 1), event("b", 1), event("a", 2), event("c", 1), event("a", 3), event("b", 2))
    assert sender.sent[-2:] == [("a-3", 2), ("b-2", None)]
