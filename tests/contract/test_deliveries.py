"""Endpoints and deliveries, through every store."""

from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from tests.contract.factories import StoreFactory
from tests.contract.groups import LEASE_MS, ONE, TWO, a_delivery, an_endpoint, claim, current, delivered, raised
from tests.contract.requests import do
from tests.contract.test_events import events_of
from tests.core.examples import ADMIN, CUP, HAT, NOON, a_product, reservation_id, reserve, restock

from flashreserve.core.endpoints import (
    AttemptResult,
    DeliveryBacklog,
    DeliveryEnd,
    DisabledWhy,
    GroupRaise,
    LoggedAttempt,
    changed,
)
from flashreserve.core.events import (
    Actor,
    ActorKind,
    EndpointAccess,
    EndpointTerms,
    Event,
    EventData,
    EventType,
    Rotation,
)
from flashreserve.stores.filters import ALL_EVENTS
from flashreserve.stores.port import Store


class TestEndpoints:
    async def test_they_are_kept_as_they_were_added(self, store: Store) -> None:
        narrow = an_endpoint(TWO, types=(EventType.PRODUCT_EDITED, EventType.RESERVATION_CONFIRMED))
        assert await store.add_endpoint(narrow, 2)
        assert await store.add_endpoint(an_endpoint(), 2)
        assert not await store.add_endpoint(an_endpoint("0199c0de-0000-7000-8005-000000000003"), 2)
        assert await store.endpoints() == [an_endpoint(), narrow]
        assert await store.endpoint(TWO) == narrow
        assert await store.endpoint(CUP) is None

    async def test_each_change_is_told(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        steps: list[dict[str, Any]] = [
            {"types": (EventType.PRODUCT_EDITED,)},
            {"generation": 2, "old_kid": "k1", "old_generation": 1, "old_until": NOON + 9},
            {"disabled_at": NOON, "disabled_why": DisabledWhy.GONE},
            {"disabled_at": None, "disabled_why": None},
            {"removed_at": NOON},
        ]
        for at, step in enumerate(steps, start=1):
            before = await current(store)
            change = changed(before, replace(before, **step), NOON + at, "system" if at == 3 else ADMIN)
            assert await store.change_endpoint(before, change, "system" if at == 3 else ADMIN)
        terms = EndpointTerms("https://shop.example", ())
        narrow = replace(terms, types=(EventType.PRODUCT_EDITED,))
        by_admin, by_system = Actor(ActorKind.ADMIN, ADMIN), Actor(ActorKind.SYSTEM, None)
        told: list[tuple[EventType, Actor, EventData]] = [
            (EventType.ENDPOINT_ADDED, by_admin, terms),
            (EventType.ENDPOINT_EDITED, by_admin, narrow),
            (EventType.ENDPOINT_ROTATED, by_admin, Rotation(2, NOON + 9)),
            (EventType.ENDPOINT_DISABLED, by_system, EndpointAccess(enabled=False, why="gone")),
            (EventType.ENDPOINT_ENABLED, by_admin, EndpointAccess(enabled=True, why=None)),
            (EventType.ENDPOINT_REMOVED, by_admin, narrow),
        ]
        assert await events_of(store, ONE) == [
            Event(ONE, n, type_, NOON + n - 1, actor, data) for n, (type_, actor, data) in enumerate(told, start=1)
        ]
        assert await store.endpoints() == []
        assert await store.endpoint(ONE) is None

    async def test_a_change_of_an_older_state_is_refused(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        before = await current(store)
        first = changed(before, replace(before, url="https://one.example/"), NOON, ADMIN)
        second = changed(before, replace(before, url="https://two.example/"), NOON, ADMIN)
        assert await store.change_endpoint(before, first, ADMIN)
        assert not await store.change_endpoint(before, second, ADMIN)
        assert (await current(store)).url == "https://one.example/"

    async def test_failures_are_counted_from_the_first_and_end_with_a_success(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        await store.note_failures(ONE, NOON + 1, 1)
        await store.note_failures(ONE, NOON + 2, 3)
        assert await current(store) == an_endpoint(failing_since=NOON + 1, failures=4)
        await store.note_success(ONE)
        assert await current(store) == an_endpoint()

    async def test_a_change_leaves_what_deliveries_have_noted(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        before = await current(store)
        await store.note_failures(ONE, NOON + 1, 1)
        await raised(store, GroupRaise(CUP, 1, 1))
        change = changed(before, replace(before, url="https://one.example/"), NOON, ADMIN)
        assert await store.change_endpoint(before, change, ADMIN)
        after = await current(store)
        assert (after.failing_since, after.failures, after.seen) == (NOON + 1, 1, 1)


class TestGroups:
    async def test_a_new_group_is_due_at_once_from_its_first_event_on(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        await raised(store, GroupRaise(CUP, 3, 5))
        assert await store.backlog(ONE) == DeliveryBacklog(1, NOON)
        assert await claim(store, "a") == [a_delivery(done=2, upto=5)]

    async def test_a_claimed_group_is_nobody_else_s_until_its_lease_is_over(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        await raised(store, GroupRaise(CUP, 1, 1))
        (first,) = await claim(store, "a")
        assert await claim(store, "b") == []
        (second,) = await claim(store, "c", NOON + LEASE_MS)
        await store.end_turns([delivered(first, 1)], "a", NOON + LEASE_MS)
        assert (await store.backlog(ONE)).groups == 1, "the sleeper's state isn't written"
        await store.end_turns([delivered(second, 1)], "c", NOON + LEASE_MS)
        assert await store.backlog(ONE) == DeliveryBacklog(0, None)

    async def test_a_group_that_has_further_events_is_due_again_at_once(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        await raised(store, GroupRaise(CUP, 1, 1))
        (first,) = await claim(store, "a")
        await raised(store, GroupRaise(CUP, 2, 3))  # while the first is in flight
        assert await claim(store, "b") == []
        await store.end_turns([delivered(first, 1)], "a", NOON)
        (second,) = await claim(store, "c")
        assert second == a_delivery(done=1, previous=1, upto=3)
        await store.end_turns([delivered(second, 3)], "c", NOON)
        assert await claim(store, "d") == []
        await raised(store, GroupRaise(CUP, 4, 4), now=NOON + 7)
        assert await store.backlog(ONE) == DeliveryBacklog(1, NOON + 7)
        assert await claim(store, "e", NOON + 7) == [a_delivery(done=3, previous=3, upto=4)]

    async def test_a_new_event_does_not_shorten_the_wait_for_the_next_try(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        await raised(store, GroupRaise(CUP, 1, 1))
        (first,) = await claim(store, "a")
        await store.end_turns([DeliveryEnd(first, 0, None, 1, NOON + 5_000)], "a", NOON)
        await raised(store, GroupRaise(CUP, 2, 2), now=NOON + 1)
        assert await claim(store, "b", NOON + 4_999) == []
        assert await claim(store, "c", NOON + 5_000) == [a_delivery(upto=2, tries=1)]

    async def test_raising_again_the_same_events_does_no_harm(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        endpoint = await current(store)
        assert await store.raise_groups(endpoint, [GroupRaise(CUP, 1, 2)], 5, NOON)
        (first,) = await claim(store, "a")
        await store.end_turns([delivered(first, 2)], "a", NOON)
        assert not await store.raise_groups(endpoint, [GroupRaise(CUP, 1, 2)], 5, NOON)
        assert await claim(store, "b") == []
        assert (await current(store)).seen == 5

    async def test_groups_are_claimed_in_the_order_in_which_they_are_due(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        await store.add_endpoint(an_endpoint(TWO), 9)
        await raised(store, GroupRaise(HAT, 1, 1), now=NOON + 2)
        await raised(store, GroupRaise(CUP, 1, 1), now=NOON + 1)
        await raised(store, GroupRaise(CUP, 1, 1), id_=TWO)
        claimed = await claim(store, "a", NOON + 9, most=1)
        assert [each.subject_id for each in claimed] == [CUP]
        claimed = await claim(store, "b", NOON + 9, most=1)
        assert [each.subject_id for each in claimed] == [HAT]

    async def test_events_are_delivered_again_from_a_number_on(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        await raised(store, GroupRaise(CUP, 1, 4), GroupRaise(HAT, 1, 1))
        cup, hat = sorted(await claim(store, "a"), key=lambda each: each.subject_id)
        await store.end_turns([delivered(cup, 4)], "a", NOON)
        await raised(store, GroupRaise(CUP, 3, 4, again=True, previous=2), GroupRaise(HAT, 2, 2, again=True))
        await store.end_turns([delivered(hat, 1)], "a", NOON)  # dropped: it began again meanwhile
        again = sorted(await claim(store, "b"), key=lambda each: each.subject_id)
        assert again == [a_delivery(done=2, previous=2, upto=4), a_delivery(HAT, upto=2)]

    async def test_a_group_that_begins_again_drops_the_turn_that_was_running(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        await raised(store, GroupRaise(CUP, 1, 3))
        (first,) = await claim(store, "a")
        await store.end_turns([DeliveryEnd(first, 2, 2, 0, None)], "a", NOON)
        (second,) = await claim(store, "b")
        await raised(store, GroupRaise(CUP, 1, 3, again=True))
        await store.end_turns([delivered(second, 3)], "b", NOON)
        assert await claim(store, "c") == [a_delivery(upto=3)]

    async def test_a_group_that_begins_again_drops_a_turn_that_has_done_nothing_yet(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        await raised(store, GroupRaise(CUP, 1, 1))
        (first,) = await claim(store, "a")
        await raised(store, GroupRaise(CUP, 1, 1, again=True))
        await store.end_turns([delivered(first, 1)], "a", NOON)
        assert await claim(store, "b") == [a_delivery()]

    async def test_an_endpoint_that_was_changed_meanwhile_has_not_seen_the_log(self, store: Store) -> None:
        """The change may have set it back to an earlier place, from which everything is delivered again."""
        await store.add_endpoint(an_endpoint(seen=5), 9)
        before = await current(store)
        change = changed(before, replace(before, types=(EventType.PRODUCT_EDITED,)), NOON, ADMIN)
        assert await store.change_endpoint(before, change, ADMIN)
        assert not await store.raise_groups(before, [], 9, NOON)
        assert (await current(store)).seen == 5

    async def test_skipped_groups_have_nothing_to_deliver(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        await raised(store, GroupRaise(CUP, 1, 2), GroupRaise(HAT, 1, 1))
        await store.skip_groups(ONE, NOON)
        assert await store.backlog(ONE) == DeliveryBacklog(0, None)
        await raised(store, GroupRaise(CUP, 3, 3))
        assert await claim(store, "a") == [a_delivery(done=2, upto=3)]

    async def test_a_group_that_got_events_since_then_is_not_skipped(self, store: Store) -> None:
        """A command to skip groups may arrive late, when the endpoint is enabled again."""
        await store.add_endpoint(an_endpoint(), 9)
        await raised(store, GroupRaise(CUP, 1, 2))
        await store.skip_groups(ONE, NOON - 1)
        assert await claim(store, "a") == [a_delivery(upto=2)]

    async def test_one_event_is_sent_once_more_beside_its_group(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        await raised(store, GroupRaise(CUP, 1, 2))
        again = a_delivery(key=f"{CUP}-1", done=0, upto=1)
        for _ in range(2):
            await store.resend(again, NOON)
        claimed = await claim(store, "a")
        assert sorted(claimed, key=lambda each: each.key) == [a_delivery(upto=2), again]
        await store.end_turns([delivered(again, 1)], "a", NOON)
        assert (await store.backlog(ONE)).groups == 1

    async def test_the_groups_of_a_removed_endpoint_are_deleted_in_time(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        await store.add_endpoint(an_endpoint(TWO), 9)
        await raised(store, *[GroupRaise(reservation_id(number), 1, 1) for number in range(5)])
        await raised(store, GroupRaise(CUP, 1, 1), id_=TWO)
        before = await current(store)
        change = changed(before, replace(before, removed_at=NOON), NOON, ADMIN)
        assert await store.change_endpoint(before, change, ADMIN)
        assert [await store.forget_deliveries(NOON, 3) for _ in range(3)] == [3, 2, 0]
        assert await claim(store, "a") == []
        assert len(await claim(store, "a", id_=TWO)) == 1

    async def test_groups_are_skipped_in_steps(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("mongo", "sqlite"):
            monkeypatch.setattr(f"flashreserve.stores.{module}.deliveries._STEP_MAX", 2)
        await store.add_endpoint(an_endpoint(), 9)
        await raised(store, *[GroupRaise(reservation_id(number), 1, 1) for number in range(5)])
        await store.skip_groups(ONE, NOON)
        assert await store.backlog(ONE) == DeliveryBacklog(0, None)


class TestAttempts:
    async def test_they_are_listed_newest_first(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        attempts = [
            LoggedAttempt(f"{number:04d}", ONE, f"{CUP}-1", number, NOON, 500, 12, "status", AttemptResult.RETRIED)
            for number in range(1, 5)
        ]
        await store.log_attempts(attempts[:2])
        last = replace(attempts[3], status=None, error=None, result=AttemptResult.DELIVERED)
        await store.log_attempts([attempts[2], last])
        assert await store.attempts(ONE, None, 2) == [last, attempts[2]]
        assert await store.attempts(ONE, attempts[2].id, 9) == [attempts[1], attempts[0]]
        assert await store.attempts(TWO, None, 9) == []

    async def test_old_attempts_and_idle_groups_are_forgotten(self, store: Store) -> None:
        await store.add_endpoint(an_endpoint(), 9)
        for number, at in enumerate((NOON, NOON + 10), start=1):
            attempt = LoggedAttempt(f"{number:04d}", ONE, f"{CUP}-1", 1, at, 200, 12, None, AttemptResult.DELIVERED)
            await store.log_attempts([attempt])
        await raised(store, GroupRaise(CUP, 1, 1), GroupRaise(HAT, 1, 1))
        cup = next(each for each in await claim(store, "a") if each.subject_id == CUP)
        await store.end_turns([delivered(cup, 1)], "a", NOON)
        assert await store.forget_deliveries(NOON, 10) == 0
        assert await store.forget_deliveries(NOON + 1, 10) == 2
        assert [each.id for each in await store.attempts(ONE, None, 9)] == ["0002"]
        assert (await store.backlog(ONE)).groups == 1, "a group with events to deliver stays"


async def test_the_events_of_subjects_are_found_by_their_numbers(store: Store) -> None:
    await store.add_products([a_product(), a_product(HAT)])
    for number in range(3):
        await do(store, restock(1, f"r{number}"), at=NOON + number)
    await do(store, reserve(1))
    await store.relay(NOON, 100)
    found = await store.subject_events([(CUP, 1, 3), (HAT, 0, 9), (reservation_id(1), 0, 9)])
    assert [(event.subject_id, event.n) for event in found] == [(CUP, 2), (CUP, 3), (HAT, 1)]
    assert await store.subject_events([]) == []


async def test_the_place_before_an_instant_is_found(store: Store) -> None:
    await store.add_products([a_product()])
    for number in range(3):
        await do(store, restock(1, f"r{number}"), at=NOON + number)
        await store.relay(NOON, 100)
    assert await store.place_before(0) == 0
    last = await store.last_place()
    assert await store.place_before(NOON + 9) == last
    assert await store.place_before(NOON + 2) == last - 1


async def test_an_old_event_that_is_logged_late_hides_no_newer_one(store: Store) -> None:
    await store.add_products([a_product()])
    for number, at in enumerate((NOON + 5, NOON + 1)):
        await do(store, restock(1, f"r{number}"), at=at)
        await store.relay(NOON, 100)
    newer = await store.last_place() - 1
    assert await store.place_before(NOON + 3) == newer - 1


async def test_the_place_before_any_instant_is_found_in_a_log_with_gaps(store: Store) -> None:
    await store.add_products([a_product()])
    late_s = Random(1)
    for number in range(60):
        at = NOON + number * 1000 - late_s.randrange(20) * 1000
        await do(store, restock(1, f"r{number}"), at=at)
    await store.relay(NOON, 100)
    await store.forget_events(NOON + 5_000, 9)
    logged = (await store.events(ALL_EVENTS, 0, 100)).events
    for at in range(NOON - 30_000, NOON + 61_000, 500):
        places = [each.place for each in logged if each.event.at >= at]
        assert await store.place_before(at) == min(places, default=await store.last_place() + 1) - 1


async def test_endpoints_and_groups_are_durable(durable: StoreFactory) -> None:
    store = await durable.open()
    await store.add_endpoint(an_endpoint(), 9)
    await raised(store, GroupRaise(CUP, 1, 1))
    await store.close()
    store = await durable.open()
    assert await store.endpoints() == [an_endpoint(seen=1)]
    assert await claim(store, "a") == [a_delivery()]
