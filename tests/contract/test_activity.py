"""How much happened in each second, and whether there is an admin: counts for the operator's overview."""

from msgspec.structs import replace
from tests.contract.requests import do, flush
from tests.core.examples import (
    CUP,
    HOLD_MS,
    NOON,
    a_product,
    an_account,
    cancel,
    confirm,
    reserve,
)

from flashreserve.core.commands import Reserve
from flashreserve.core.events import EventType
from flashreserve.core.model import Role
from flashreserve.stores.filters import LoggedCounts, first_id_at
from flashreserve.stores.port import Store

SECOND = 1_000
AT = NOON // SECOND
_RELAYED = 1_000


def dated(number: int, at: int) -> str:
    """A reservation's id that has this time."""
    return first_id_at(at)[:-12] + f"{number:012x}"


def reserve_at(number: int, at: int) -> Reserve:
    """A command to reserve a cup, whose new id has this time."""
    return replace(reserve(number), reservation_id=dated(number, at))


async def made(store: Store) -> None:
    """Two grants in one second, none in the next, and one in the third."""
    await store.add_products([a_product(CUP, 10)])
    await flush(store, reserve_at(1, NOON), reserve_at(2, NOON))
    await flush(store, reserve_at(3, NOON + 2 * SECOND), at=NOON + 2 * SECOND)


async def test_grants_are_counted_by_second(store: Store) -> None:
    await made(store)

    assert await store.grants(NOON, 100) == {AT: 2, AT + 2: 1}
    assert await store.grants(NOON + 1, 100) == {AT + 2: 1}
    assert await store.grants(NOON + 3 * SECOND, 100) == {}


async def test_at_most_as_many_grants_are_counted_as_asked_for_the_earliest_first(store: Store) -> None:
    await made(store)

    assert await store.grants(NOON, 2) == {AT: 2}


async def test_a_grant_counts_whatever_came_of_it_and_a_refusal_does_not(store: Store) -> None:
    await store.add_products([a_product(CUP, 2)])
    first, second, third = [reserve_at(number, NOON) for number in (1, 2, 3)]
    await flush(store, first, second, third)
    await do(store, replace(confirm(1), reservation_id=dated(1, NOON)))
    await do(store, replace(cancel(2), reservation_id=dated(2, NOON)))

    assert await store.grants(NOON, 100) == {AT: 2}


async def test_logged_events_are_counted_by_second_and_type(store: Store) -> None:
    await store.add_products([a_product(CUP, 10)])
    await flush(store, *[reserve(number) for number in (1, 2, 3)])
    await store.relay(NOON, _RELAYED)
    begin = await store.last_place()
    await flush(store, confirm(1), confirm(2), at=NOON + SECOND)
    await do(store, cancel(3), at=NOON + 3 * SECOND)
    await store.relay(NOON + HOLD_MS, _RELAYED)
    end = await store.last_place()

    assert await store.logged_counts(begin, 100) == LoggedCounts(
        end, {(AT + 1, EventType.RESERVATION_CONFIRMED): 2, (AT + 3, EventType.RESERVATION_CANCELLED): 1}
    )
    assert await store.logged_counts(end, 100) == LoggedCounts(end, {})


async def test_counting_goes_on_where_it_ended(store: Store) -> None:
    await store.add_products([a_product(CUP, 10)])
    await flush(store, *[reserve(number) for number in range(1, 6)])
    await store.relay(NOON, _RELAYED)
    place = await store.last_place()
    await flush(store, *[confirm(number) for number in range(1, 6)], at=NOON + SECOND)
    await store.relay(NOON + SECOND, _RELAYED)

    parts = []
    while True:
        found = await store.logged_counts(place, 2)
        if found.looked_to == place:
            break
        place = found.looked_to
        parts.append(found.counts[AT + 1, EventType.RESERVATION_CONFIRMED])
    assert parts == [2, 2, 1]


async def test_there_is_an_admin_once_one_was_made_even_a_disabled_one(store: Store) -> None:
    assert not await store.has_admin()
    await store.add_account(an_account(1))
    assert not await store.has_admin()
    former = replace(an_account(2, "ben@example.com", Role.ADMIN), disabled_at=NOON)
    await store.add_account(former)
    assert await store.has_admin()
