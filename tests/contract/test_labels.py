"""Labels: the shop's own id and metadata of a reservation, through every store."""

import asyncio

from msgspec.structs import replace
from tests.contract.requests import assert_balanced, do, do_until_available, flush, reservation
from tests.core.examples import ANN, BEN, CUP, a_product, cancel, confirm, give_back, granted, reservation_id, reserve

from flashreserve.core.commands import Label
from flashreserve.core.outcomes import Labelled, NotFound, Replayed, Returned
from flashreserve.stores.port import Store

METADATA = {"channel": "app", "a.b": "$", "$x": "é ☕", "": ""}


def label(number: int, user: str | None = None, **labels: object) -> Label:
    return Label(reservation_id(number), user, **labels)  # type: ignore[arg-type]


async def test_labels_come_with_the_hold_and_are_no_part_of_its_key(store: Store) -> None:
    await store.add_products([a_product()])
    command = replace(reserve(1, key="k"), external_id="order-1", metadata=METADATA)
    held = granted(await do(store, command))
    assert (held.external_id, held.metadata) == ("order-1", METADATA)
    assert await reservation(store, 1) == held
    other = replace(reserve(2, key="k"), external_id="order-2")
    assert await do(store, other) == Replayed(held)


async def test_many_labels_of_one_reservation_in_one_flush_take_effect_in_their_order(store: Store) -> None:
    await store.add_products([a_product()])
    held = granted(await do(store, reserve(1)))
    labels = [f"order-{number}" for number in range(80)]
    outcomes = await flush(store, *(label(1, external_id=each) for each in labels))
    assert outcomes == [Labelled(replace(held, external_id=each)) for each in labels]
    assert (await reservation(store, 1)).external_id == labels[-1]


async def test_labels_change_one_by_one_and_whatever_the_status(store: Store) -> None:
    await store.add_products([a_product()])
    held = granted(await do(store, reserve(1)))
    assert await do(store, label(1, external_id="order-1")) == Labelled(replace(held, external_id="order-1"))
    assert await do(store, label(1, metadata=METADATA)) == Labelled(
        replace(held, external_id="order-1", metadata=METADATA)
    )
    await do(store, cancel(1))
    cleared = await do(store, label(1, external_id=None, metadata={}))
    found = await reservation(store, 1)
    assert cleared == Labelled(found)
    assert (found.external_id, found.metadata, found.status) == (None, {}, "CANCELLED")


async def test_labels_that_are_there_already_change_nothing(store: Store) -> None:
    await store.add_products([a_product()])
    held = granted(await do(store, replace(reserve(1), external_id="order-1")))
    assert await do(store, label(1)) == Labelled(held)
    assert await do(store, label(1, external_id="order-1", metadata={})) == Labelled(held)


async def test_several_reservations_may_have_one_external_id(store: Store) -> None:
    await store.add_products([a_product()])
    commands = [replace(reserve(number, user), external_id="order-1") for number, user in ((1, ANN), (2, BEN))]
    for outcome in await flush(store, *commands):
        granted(outcome)


async def test_anothers_or_an_unknown_reservation_is_not_found(store: Store) -> None:
    await store.add_products([a_product()])
    granted(await do(store, reserve(1)))
    assert await do(store, label(1, BEN, external_id="x")) == NotFound("reservation", reservation_id(1))
    assert await do(store, label(404, external_id="x")) == NotFound("reservation", reservation_id(404))


async def test_labels_and_movements_of_one_flush_all_stay(store: Store) -> None:
    await store.add_products([a_product()])
    granted(await do(store, reserve(1, quantity=2)))
    await flush(store, confirm(1), label(1, external_id="order-1"), give_back(1, {CUP: 1}), label(1, metadata=METADATA))
    found = await reservation(store, 1)
    assert (found.external_id, found.metadata) == ("order-1", METADATA)
    assert (found.status, found.lines[0].returned) == ("CONFIRMED", 1)
    await assert_balanced(store)


async def test_labels_of_two_processes_at_once_lose_none(stores: tuple[Store, Store]) -> None:
    one, other = stores
    await one.add_products([a_product()])
    granted(await do(one, reserve(1, quantity=9)))
    await do(one, confirm(1))
    outcomes = await asyncio.gather(
        do_until_available(one, label(1, external_id="order-1")),
        do_until_available(other, label(1, metadata=METADATA)),
        do_until_available(other, give_back(1, {CUP: 1})),
    )
    assert [type(outcome) for outcome in outcomes] == [Labelled, Labelled, Returned]
    found = await reservation(other, 1)
    assert (found.external_id, found.metadata, found.lines[0].returned) == ("order-1", METADATA, 1)
