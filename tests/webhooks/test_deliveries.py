"""Deliveries on every store, to a receiver in a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from tests.contract.factories import FACTORIES, StoreFactory
from tests.contract.requests import do, flush
from tests.core.examples import ADMIN, CUP, HAT, a_product, cancel, confirm, give_back, reservation_id, reserve, restock
from tests.moving_clock import START_MS, MovingClock
from tests.webhooks.conftest import MakeReceiver
from tests.webhooks.delivery_shop import DeliveryShop
from tests.webhooks.receiver import Receipt, ReceiverPlan

from flashreserve.core.endpoints import AttemptResult, DisabledWhy
from flashreserve.core.events import EventType
from flashreserve.core.outcomes import Invalid, NotFound
from flashreserve.service.deliveries import SLOTS
from flashreserve.service.webhooks import EndpointChanged, EndpointMade, EndpointsFull
from flashreserve.stores.filters import ALL_EVENTS
from flashreserve.webhooks.attempts import AttemptError, DeliveryAttempt
from flashreserve.webhooks.backoff import TRIES_MAX, WAITS_MS
from flashreserve.webhooks.sender import TOTAL_S

HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
KINDS: Final = [pytest.param(factory, id=factory.name, marks=factory.marks) for factory in FACTORIES]


@pytest.fixture(params=KINDS)
async def factory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreFactory]:
    made: StoreFactory = request.param(tmp_path)
    yield made
    await made.discard()


@pytest.fixture
async def shop(factory: StoreFactory) -> AsyncIterator[DeliveryShop]:
    made = DeliveryShop(await factory.open(), MovingClock())
    await made.store.add_products([a_product(units=100_000, created_at=START_MS)])
    await made.hand_over()
    yield made
    await made.close()


def told(receipts: Sequence[Receipt]) -> list[tuple[str | None, int | None, int | None]]:
    return [(each.subject, each.sequence, each.previous) for each in receipts]


async def restocked(shop: DeliveryShop, times: int, first: int = 0) -> None:
    for number in range(first, first + times):
        await do(shop.store, restock(1, f"r{number}"), at=shop.clock.now_ms())


async def test_events_come_signed_in_order_with_the_one_before(shop: DeliveryShop, make_receiver: MakeReceiver) -> None:
    receiver = make_receiver()
    made = await shop.subscribe(receiver.url)
    receiver.take(ReceiverPlan(secrets=(made.secret,)))
    await restocked(shop, 3)
    await flush(shop.store, reserve(1), reserve(2), at=shop.clock.now_ms())
    await do(shop.store, confirm(1), at=shop.clock.now_ms())
    await do(shop.store, give_back(1, {CUP: 1}), at=shop.clock.now_ms())
    await do(shop.store, cancel(2), at=shop.clock.now_ms())
    assert await shop.deliver() == 7
    receipts = receiver.receipts()
    assert {(each.verified, each.status) for each in receipts} == {(0, 204)}
    of = {id_: [one for one in told(receipts) if one[0] == id_] for id_ in (CUP, reservation_id(1), reservation_id(2))}
    assert of[CUP] == [(CUP, 2, None), (CUP, 3, 2), (CUP, 4, 3)], "from the endpoint's addition on"
    assert of[reservation_id(1)] == [(reservation_id(1), 2, None), (reservation_id(1), 3, 2)]
    assert of[reservation_id(2)] == [(reservation_id(2), 2, None)]
    assert (made.endpoint.id, 1, None) in told(receipts), "its own addition"
    assert await shop.deliver() == 0


async def test_only_the_chosen_types_come_and_the_chain_has_no_gaps(
    shop: DeliveryShop, make_receiver: MakeReceiver
) -> None:
    receiver = make_receiver()
    await shop.subscribe(receiver.url, EventType.RESERVATION_RETURNED)
    await do(shop.store, reserve(1, quantity=3), at=shop.clock.now_ms())
    await do(shop.store, confirm(1), at=shop.clock.now_ms())
    for number in (1, 2):
        await do(shop.store, give_back(1, {CUP: 1}, f"parcel-{number}"), at=shop.clock.now_ms())
        await shop.deliver()
    assert told(receiver.receipts()) == [(reservation_id(1), 3, None), (reservation_id(1), 4, 3)]


async def test_a_failed_event_is_tried_again_and_holds_up_only_its_subject(
    shop: DeliveryShop, make_receiver: MakeReceiver
) -> None:
    await shop.store.add_products([a_product(HAT)])
    receiver = make_receiver()
    made = await shop.subscribe(receiver.url, EventType.PRODUCT_STOCKED)
    receiver.take(ReceiverPlan(secrets=(made.secret,), fail_first=2))
    await do(shop.store, restock(1, "a"), at=shop.clock.now_ms())
    await shop.deliver()
    await do(shop.store, restock(1, "b"), at=shop.clock.now_ms())
    await do(shop.store, restock(1, "c", of=HAT), at=shop.clock.now_ms())
    await shop.deliver()
    receiver.take(ReceiverPlan(secrets=(made.secret,)))
    await shop.deliver()
    assert [(each.subject, each.sequence, each.status) for each in receiver.receipts()] == [
        (CUP, 2, 500),
        (HAT, 2, 500),
    ], "a new event doesn't shorten the wait"
    shop.clock.advance(2 * WAITS_MS[1] / 1000)
    assert await shop.deliver() == 3
    later = receiver.receipts()[2:]
    assert sorted(told(later)) == [(CUP, 2, None), (CUP, 3, 2), (HAT, 2, None)]
    of_cup = [each for each in receiver.receipts() if (each.subject, each.sequence) == (CUP, 2)]
    assert len({(each.id, each.sha256) for each in of_cup}) == 1, "each try has the same id and bytes"
    attempts = await shop.webhooks.attempts(made.endpoint.id, None, 10)
    assert not isinstance(attempts, NotFound)
    assert sorted((each.number, each.status, each.result) for each in attempts) == [
        (1, 204, AttemptResult.DELIVERED),
        (1, 500, AttemptResult.RETRIED),
        (1, 500, AttemptResult.RETRIED),
        (2, 204, AttemptResult.DELIVERED),
        (2, 204, AttemptResult.DELIVERED),
    ]


async def test_after_the_last_try_the_next_event_follows_and_names_the_one_given_up(
    shop: DeliveryShop, make_receiver: MakeReceiver
) -> None:
    receiver = make_receiver(ReceiverPlan(fail_first=TRIES_MAX))
    made = await shop.subscribe(receiver.url, EventType.PRODUCT_STOCKED)
    await restocked(shop, 1)
    await shop.deliver()
    for wait in WAITS_MS[1:]:
        shop.clock.advance(wait * 1.3 / 1000)
        await shop.deliver()
    assert [each.status for each in receiver.receipts()] == [500] * TRIES_MAX
    receiver.take(ReceiverPlan())
    await restocked(shop, 1, first=1)
    await shop.deliver()
    assert told(receiver.receipts())[-1] == (CUP, 3, 2)
    attempts = await shop.webhooks.attempts(made.endpoint.id, None, 2)
    assert not isinstance(attempts, NotFound)
    assert [each.result for each in attempts] == [AttemptResult.DELIVERED, AttemptResult.FAILED]


async def test_an_endpoint_that_is_gone_is_disabled_at_once(shop: DeliveryShop, make_receiver: MakeReceiver) -> None:
    receiver = make_receiver(ReceiverPlan(status=410))
    made = await shop.subscribe(receiver.url, EventType.PRODUCT_STOCKED)
    await restocked(shop, 2)
    await shop.deliver()
    endpoint = await shop.endpoint(made.endpoint.id)
    assert endpoint.disabled_why is DisabledWhy.GONE
    shop.clock.advance(DAY_S)
    await shop.deliver()
    assert len(receiver.receipts()) == 1


async def test_five_days_of_failures_disable_it_once_and_a_replay_brings_all_of_it_in_order(
    shop: DeliveryShop, make_receiver: MakeReceiver
) -> None:
    receiver = make_receiver(ReceiverPlan(status=500))
    made = await shop.subscribe(receiver.url, EventType.PRODUCT_STOCKED)
    id_ = made.endpoint.id
    began = shop.clock.now_ms()
    days = 0
    while (await shop.endpoint(id_)).disabled_at is None and days < 20:
        await restocked(shop, 1, first=days)
        await shop.deliver()
        for _ in range(12):
            shop.clock.advance(2 * HOUR_S)
            await shop.deliver()
        days += 1
    endpoint = await shop.endpoint(id_)
    assert endpoint.disabled_why is DisabledWhy.FAILING
    assert endpoint.failing_since == began
    assert endpoint.failures >= TRIES_MAX
    assert 5 <= days <= 6
    await shop.deliver()
    log = await shop.store.events(ALL_EVENTS, 0, 1_000)
    assert [each.event.type for each in log.events].count(EventType.ENDPOINT_DISABLED) == 1

    receiver.take(ReceiverPlan(secrets=(made.secret,)))
    before = len(receiver.receipts())
    assert isinstance(await shop.webhooks.enable(id_, endpoint.failing_since, ADMIN), EndpointChanged)
    await restocked(shop, 1, first=days)
    await shop.deliver()
    replayed = receiver.receipts()[before:]
    assert told(replayed) == [(CUP, n, n - 1 if n > 2 else None) for n in range(2, days + 3)]
    assert {each.verified for each in replayed} == {0}


async def test_without_a_replay_it_goes_on_with_what_happens_from_now_on(
    shop: DeliveryShop, make_receiver: MakeReceiver
) -> None:
    receiver = make_receiver(ReceiverPlan(status=500))
    made = await shop.subscribe(receiver.url, EventType.PRODUCT_STOCKED)
    await restocked(shop, 1)
    await shop.deliver()
    assert isinstance(await shop.webhooks.disable(made.endpoint.id, ADMIN), EndpointChanged)
    await restocked(shop, 1, first=1)
    await shop.deliver()
    receiver.take(ReceiverPlan())
    before = len(receiver.receipts())
    assert isinstance(await shop.webhooks.enable(made.endpoint.id, None, ADMIN), EndpointChanged)
    await restocked(shop, 1, first=2)
    await shop.deliver()
    assert [each.sequence for each in receiver.receipts()[before:]] == [4]


async def test_after_a_rotation_both_secrets_verify_for_a_day(shop: DeliveryShop, make_receiver: MakeReceiver) -> None:
    receiver = make_receiver()
    made = await shop.subscribe(receiver.url, EventType.PRODUCT_STOCKED)
    renewed = await shop.webhooks.rotate(made.endpoint.id, ADMIN)
    assert isinstance(renewed, EndpointMade)
    assert renewed.secret != made.secret
    for secret, since_s, verified in (
        (made.secret, 0, 0),
        (renewed.secret, 0, 0),
        (made.secret, DAY_S - 1, 0),
        (made.secret, DAY_S, None),
        (renewed.secret, DAY_S, 0),
    ):
        shop.clock.advance(since_s - (shop.clock.now_ms() - START_MS) // 1000)
        receiver.take(ReceiverPlan(secrets=(secret,)))
        await restocked(shop, 1, first=len(receiver.receipts()))
        await shop.deliver()
        assert receiver.receipts()[-1].verified == verified


async def test_a_removed_endpoint_is_not_called(shop: DeliveryShop, make_receiver: MakeReceiver) -> None:
    receiver = make_receiver(ReceiverPlan(status=500))
    made = await shop.subscribe(receiver.url)
    await restocked(shop, 2)
    await shop.deliver()
    before = len(receiver.receipts())
    assert isinstance(await shop.webhooks.remove(made.endpoint.id, ADMIN), EndpointChanged)
    shop.clock.advance(DAY_S)
    await restocked(shop, 1, first=2)
    await shop.deliver()
    assert len(receiver.receipts()) == before
    assert isinstance(await shop.webhooks.endpoint(made.endpoint.id), NotFound)


async def test_one_event_is_sent_once_more_with_the_same_bytes(shop: DeliveryShop, make_receiver: MakeReceiver) -> None:
    receiver = make_receiver()
    made = await shop.subscribe(receiver.url, EventType.PRODUCT_STOCKED)
    await restocked(shop, 3)
    await shop.deliver()
    await shop.webhooks.resend(made.endpoint.id, f"{CUP}-3")
    await shop.deliver()
    again = receiver.receipts()[-1]
    first = next(each for each in receiver.receipts() if each.sequence == 3)
    assert (again.id, again.sha256) == (first.id, first.sha256)
    assert isinstance(await shop.webhooks.resend(made.endpoint.id, f"{CUP}-9"), NotFound)
    assert isinstance(await shop.webhooks.resend(made.endpoint.id, f"{CUP}-1"), Invalid)
    await shop.webhooks.disable(made.endpoint.id, ADMIN)
    disabled = await shop.webhooks.resend(made.endpoint.id, f"{CUP}-3")
    assert disabled == Invalid("id", "expected an endpoint that isn't disabled; enable it first")


async def test_a_try_of_an_endpoint_says_what_it_answered(shop: DeliveryShop, make_receiver: MakeReceiver) -> None:
    receiver = make_receiver()
    made = await shop.subscribe(receiver.url)
    receiver.take(ReceiverPlan(secrets=(made.secret,)))
    attempt = await shop.webhooks.test(made.endpoint.id)
    assert isinstance(attempt, DeliveryAttempt)
    assert attempt.status == 204
    assert receiver.receipts()[-1].verified == 0
    receiver.stop()
    attempt = await shop.webhooks.test(made.endpoint.id)
    assert isinstance(attempt, DeliveryAttempt)
    assert attempt.error is AttemptError.CONNECT


async def test_a_slow_endpoint_delays_no_other(shop: DeliveryShop, make_receiver: MakeReceiver) -> None:
    slow, quick = make_receiver(ReceiverPlan(hang_s=60)), make_receiver()
    for receiver in (slow, quick):
        await shop.subscribe(receiver.url, EventType.RESERVATION_CONFIRMED)
    numbers = range(1, 301)
    await flush(shop.store, *[reserve(number) for number in numbers], at=shop.clock.now_ms())
    await flush(shop.store, *[confirm(number) for number in numbers], at=shop.clock.now_ms())
    await shop.hand_over()
    await shop.deliveries.pass_on()
    received = await asyncio.to_thread(quick.wait_for, lambda found: len(found) == 300)
    assert received[-1].at_ms - received[0].at_ms < TOTAL_S * 1_000
    assert 1 <= len(slow.receipts()) <= SLOTS


async def test_a_url_that_must_not_be_called_is_refused(shop: DeliveryShop) -> None:
    assert isinstance(await shop.webhooks.add("https://169.254.169.254/", (), ADMIN), Invalid)
    assert isinstance(await shop.webhooks.add("ftp://shop.example/", (), ADMIN), Invalid)


async def test_there_is_a_limit_of_endpoints(shop: DeliveryShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashreserve.core.limits.ENDPOINTS_MAX", 2)
    for _ in range(2):
        await shop.subscribe("https://shop.example/hook")
    assert await shop.webhooks.add("https://shop.example/hook", (), ADMIN) == EndpointsFull(2)
