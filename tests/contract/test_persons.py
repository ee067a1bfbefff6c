"""Erasing a person, through every store."""

import asyncio

from msgspec.structs import replace
from tests.contract.factories import StoreFactory
from tests.contract.requests import assert_balanced, do, do_until_available, reservation
from tests.core.examples import (
    ANN,
    BEN,
    CUP,
    NOON,
    a_product,
    an_account,
    cancel,
    confirm,
    give_back,
    granted,
    reservation_id,
    reserve,
)

from flashreserve.core import limits
from flashreserve.core.commands import Confirm
from flashreserve.core.customers import hashed_id
from flashreserve.core.events import EventType
from flashreserve.core.model import Reservation, Role, Status
from flashreserve.core.outcomes import Confirmed, LimitReached, Returned
from flashreserve.core.quotas import Quotas
from flashreserve.stores.filters import ALL_EVENTS, ALL_RESERVATIONS, ReservationFilter
from flashreserve.stores.port import Store

PSEUDONYM = "erased:0123456789abcdef"
FOREIGN = "shop:ann%1@example.com"


async def own(store: Store, customer_id: str) -> list[Reservation]:
    where = ReservationFilter(user_id=customer_id)
    return (await store.search_reservations(where, None, 100, NOON)).reservations


async def rewrite(store: Store, customer_id: str = ANN, most: int = 10) -> int:
    """Put the pseudonym in place of the customer. On MongoDB this waits until the movements before it are settled."""
    for _ in range(500):
        if rewritten := await store.erase_reservations(customer_id, PSEUDONYM, most):
            return rewritten
        await asyncio.sleep(0.01)
    return 0


async def test_the_events_of_a_deleted_account_stay_in_the_log(store: Store) -> None:
    account = an_account()
    await store.add_account(account)
    for role in (Role.ADMIN, Role.CUSTOMER):
        await store.set_role(account.id, role, at=NOON)
    assert await store.begin_erasure(account.id, NOON)
    await store.relay(NOON, 10)
    changed = [EventType.ACCOUNT_ROLE_CHANGED] * 2
    assert [logged.event.type for logged in (await store.events(ALL_EVENTS, 0, 10)).events] == changed


async def test_the_pseudonym_takes_the_place_of_the_customer(store: Store) -> None:
    await store.add_products([a_product(per_customer_limit=3)])
    asked = replace(reserve(1, FOREIGN, 3, key="order-1"), external_id="A-1", metadata={"to": "Ann, 1 Road"})
    granted(await do(store, asked))
    assert isinstance(await do(store, confirm(1, FOREIGN)), Confirmed)
    await do(store, give_back(1, {CUP: 1}, key="r1", reason="Ann didn't like it"))
    await do_until_available(store, reserve(2, BEN, key="order-1"))
    before, bens = await reservation(store, 1), await reservation(store, 2)

    assert await rewrite(store, FOREIGN) == 1
    assert not await store.has_reservations(FOREIGN)

    (entry,) = before.returns
    erased = replace(before, user_id=PSEUDONYM, key=None, external_id=None, metadata={})
    assert await reservation(store, 1) == replace(erased, returns=(replace(entry, reason=None),))
    assert await reservation(store, 2) == bens
    assert await own(store, FOREIGN) == []
    assert [held.id for held in await own(store, PSEUDONYM)] == [reservation_id(1)]
    everything = await store.search_reservations(ALL_RESERVATIONS, None, 100, NOON)
    assert "Ann" not in repr(everything)
    await assert_balanced(store)


async def test_the_books_go_on_under_the_pseudonym(store: Store) -> None:
    await store.add_products([a_product(per_customer_limit=2)])
    granted(await do(store, reserve(1, quantity=2, key="order-1")))
    await do(store, confirm(1))
    assert await rewrite(store) == 1

    assert isinstance(await do_until_available(store, give_back(1, {CUP: 1}, key="r1")), Returned)
    assert isinstance(await do_until_available(store, give_back(1, {CUP: 1}, key="r2")), Returned)
    assert (await store.product(CUP) or a_product()).available == 10
    await assert_balanced(store)


async def test_the_customer_begins_anew(store: Store) -> None:
    """The shop may know the customer still, and sell to it again: earlier keys and limits don't count."""
    await store.add_products([a_product(per_customer_limit=1)])
    granted(await do(store, reserve(1, key="order-1")))
    await do(store, confirm(1))
    assert isinstance(await do(store, reserve(2, key="order-2")), LimitReached)
    assert await rewrite(store) == 1

    granted(await do_until_available(store, reserve(3, key="order-2")))
    assert [held.id for held in await own(store, ANN)] == [reservation_id(3)]


async def test_open_holds_stay_until_they_are_over(store: Store) -> None:
    await store.add_products([a_product()])
    granted(await do(store, reserve(1)))
    assert await store.erase_reservations(ANN, PSEUDONYM, 10) == 0

    await do_until_available(store, cancel(1))
    assert await rewrite(store) == 1
    assert (await reservation(store, 1)).status is Status.CANCELLED
    await assert_balanced(store)


async def test_reservations_are_rewritten_some_at_a_time(store: Store) -> None:
    await store.add_products([a_product(units=9)])
    for number in range(1, 6):
        await do_until_available(store, reserve(number))
        await do_until_available(store, confirm(number))
    done = 0
    while done < 5:
        rewritten = await rewrite(store, most=2)
        assert rewritten in {1, 2}
        done += rewritten
    assert await store.erase_reservations(ANN, PSEUDONYM, 2) == 0


async def test_an_account_is_deleted_and_its_tokens_are_refused(store: Store) -> None:
    ann, ben = an_account(1), an_account(2, "ben@example.com")
    for each in (ann, ben):
        await store.add_account(each)
    await store.set_reset_code(ann.id, "ab", NOON)

    assert await store.begin_erasure(ann.id, NOON) is True

    assert await store.account_by_id(ann.id) is None
    assert await store.account_by_email(ann.email) is None
    assert await store.use_reset_code(ann.id, "ab", NOON - 1) is False
    assert await store.list_accounts(None, 9) == [ben]
    assert await store.add_account(replace(ann, id=an_account(3).id)) is True
    assert await store.signed_out_since(0, 9) == {hashed_id(ann.id): NOON}


async def test_customers_who_were_erased_are_forgotten_once_their_tokens_have_expired(store: Store) -> None:
    later = NOON + limits.ERASURES_KEPT_S * 1000 + 1
    await store.begin_erasure(FOREIGN, NOON)
    await store.begin_erasure(FOREIGN, NOON - 5)
    await store.begin_erasure(BEN, later - 1)
    assert await store.signed_out_since(later, 9) == {hashed_id(FOREIGN): NOON, hashed_id(BEN): later - 1}
    assert await store.signed_out_since(later, 1) == {hashed_id(BEN): later - 1}

    await store.begin_erasure(ANN, later)
    assert await store.signed_out_since(later, 9) == {hashed_id(ANN): later, hashed_id(BEN): later - 1}


async def test_a_key_and_quotas_of_before_do_not_count_for_whoever_has_the_id_afterwards(
    factory: StoreFactory,
) -> None:
    """The process knows the key and the hold from before the erasure, which another process may have done."""
    store = await factory.open(Quotas(open_holds_max=0, holds_per_hour_max=2, lapses_per_hour_max=0))
    await store.add_products([a_product()])
    for command in (reserve(1, key="order-1"), reserve(2)):
        held = granted(await do(store, command))  # MongoDB may give it another id.
        assert isinstance(await do(store, Confirm(held.id, ANN)), Confirmed)
    await do(store, reserve(3, BEN))
    erased = 0
    while erased < 2:
        erased += await rewrite(store)
    again = granted(await do_until_available(store, reserve(4, key="order-1")))
    assert (again.user_id, again.status) == (ANN, Status.PENDING)
