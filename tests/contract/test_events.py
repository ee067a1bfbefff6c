"""The trail and the log of events, through every store."""

import pytest
from msgspec.structs import replace
from tests.contract.factories import StoreFactory
from tests.contract.requests import do, flush, product, reservation
from tests.core.examples import (
    ADMIN,
    ANN,
    BEN,
    CUP,
    HAT,
    HOLD_MS,
    NOON,
    a_key,
    a_product,
    an_account,
    cancel,
    confirm,
    confirm_some,
    edit,
    extend,
    give_back,
    label,
    product_id,
    reservation_id,
    reserve,
    restock,
    units,
    user_id,
)

from flashreserve.core.accounts import Restricted, Restriction
from flashreserve.core.commands import Cancel, Confirm
from flashreserve.core.events import (
    BY_COMMAND_LINE,
    BY_KEY,
    AccessChange,
    Actor,
    ActorKind,
    Event,
    EventData,
    EventType,
    KeyEnd,
    KeyTerms,
    NewProductTerms,
    PauseChange,
    ProductTerms,
    ReservationChange,
    RoleChange,
    StockChange,
    TermsChange,
)
from flashreserve.core.model import Role, Status
from flashreserve.core.outcomes import Confirmed, Edited, Released, Returned
from flashreserve.stores.filters import ALL_EVENTS, EventFilter, EventsFound
from flashreserve.stores.port import Store

_RELAYED = 1_000
_SYSTEM = Actor(ActorKind.SYSTEM, None)
_BY_ANN = Actor(ActorKind.CUSTOMER, ANN)
_BY_ADMIN = Actor(ActorKind.ADMIN, ADMIN)


async def log(store: Store, where: EventFilter = ALL_EVENTS, beyond: int = 0, most: int = 200) -> EventsFound:
    """A page of the log, after adding what isn't in it yet."""
    await store.relay(NOON, _RELAYED)
    return await store.events(where, beyond, most)


async def events_of(store: Store, subject_id: str) -> list[Event]:
    return [logged.event for logged in (await log(store, EventFilter(subject_id=subject_id))).events]


async def types_of(store: Store, subject_id: str) -> list[tuple[int, str]]:
    return [(event.n, event.type.value) for event in await events_of(store, subject_id)]


class TestReservationEvents:
    async def test_each_transition_is_told_once_with_the_reservation_as_it_was_after_it(self, store: Store) -> None:
        await store.add_products([a_product()])
        await do(store, replace(reserve(1, quantity=3), external_id="cart-1"))
        await do(store, extend(1), at=NOON + 10)
        await do(store, confirm_some(1, {CUP: 2}), at=NOON + 20)
        await do(store, give_back(1, {CUP: 1}), at=NOON + 30)
        held = await reservation(store, 1)
        line = replace(held.lines[0], returned=0)
        extended = ReservationChange(ANN, Status.PENDING, (line,), NOON + 10 + HOLD_MS, 1)
        returned = replace(extended, lines=(replace(line, returned=1),), given_back=units({CUP: 1}))
        confirmed = replace(returned, status=Status.CONFIRMED, given_back=())
        again = replace(confirmed, lines=(replace(line, returned=2),), given_back=units({CUP: 1}))
        told = [
            (2, EventType.RESERVATION_EXTENDED, NOON + 10, _BY_ANN, extended),
            (3, EventType.RESERVATION_RETURNED, NOON + 20, Actor(ActorKind.ADMIN, ANN), returned),
            (4, EventType.RESERVATION_CONFIRMED, NOON + 20, Actor(ActorKind.ADMIN, ANN), confirmed),
            (5, EventType.RESERVATION_RETURNED, NOON + 30, _BY_ADMIN, again),
        ]
        assert await events_of(store, held.id) == [
            Event(held.id, n, type_, at, actor, data, "cart-1") for n, type_, at, actor, data in told
        ]
        assert held.trail_n == 5

    async def test_repeated_requests_tell_nothing_again(self, store: Store) -> None:
        await store.add_products([a_product()])
        await flush(store, reserve(1, key="k"), reserve(2, BEN))
        for _ in range(2):
            await do(store, reserve(1, key="k"))
            assert isinstance(await do(store, confirm(1)), Confirmed)
            assert isinstance(await do(store, give_back(1, {CUP: 1})), Returned)
            assert isinstance(await do(store, cancel(2, BEN)), Released)
        assert await types_of(store, reservation_id(1)) == [(2, "reservation.confirmed"), (3, "reservation.returned")]
        assert await types_of(store, reservation_id(2)) == [(2, "reservation.cancelled")]

    async def test_the_end_of_a_hold_is_told_by_the_system(self, store: Store) -> None:
        """By the sweep, and where a late request of the customer notices it."""
        await store.add_products([a_product()])
        await flush(store, reserve(1), reserve(2), reserve(3))
        late = NOON + HOLD_MS
        await do(store, confirm(1), at=late)
        await do(store, cancel(2), at=late)
        await store.release_lapsed(late, 10)
        for number in (1, 2, 3):
            (event,) = await events_of(store, reservation_id(number))
            assert (event.type, event.at, event.actor) == (EventType.RESERVATION_EXPIRED, late, _SYSTEM)
            assert isinstance(event.data, ReservationChange)
            assert (event.data.customer_id, event.data.status) == (ANN, Status.EXPIRED)

    @pytest.mark.parametrize(
        ("by", "actor"),
        [("customer", _BY_ANN), (ADMIN, _BY_ADMIN), (f"{BY_KEY}k1", Actor(ActorKind.SHOP, "k1"))],
        ids=["customer", "admin", "shop"],
    )
    async def test_it_is_told_who_did_it(self, store: Store, by: str, actor: Actor) -> None:
        await store.add_products([a_product()])
        await flush(store, reserve(1), reserve(2))
        await flush(store, Confirm(reservation_id(1), None, by=by), Cancel(reservation_id(2), None, by=by))
        for number in (1, 2):
            (event,) = await events_of(store, reservation_id(number))
            assert event.actor == actor

    async def test_commands_of_one_flush_by_different_people_are_told_apart(self, store: Store) -> None:
        await store.add_products([a_product()])
        await flush(store, *[reserve(number) for number in range(1, 7)])
        names = ["customer", ADMIN, f"{BY_KEY}k1"]
        confirms = [Confirm(reservation_id(number), None, by=by) for number, by in enumerate(names, start=1)]
        cancels = [Cancel(reservation_id(number), None, by=by) for number, by in enumerate(names, start=4)]
        await flush(store, *confirms, *cancels)
        kinds = [(await events_of(store, reservation_id(number)))[0].actor.kind for number in range(1, 7)]
        assert kinds == [ActorKind.CUSTOMER, ActorKind.ADMIN, ActorKind.SHOP] * 2

    async def test_a_label_is_no_event(self, store: Store) -> None:
        await store.add_products([a_product()])
        await do(store, reserve(1))
        await do(store, label(1, "A-1"))
        assert await events_of(store, reservation_id(1)) == []

    async def test_a_grant_isn_t_stored_as_a_rule(self, store: Store) -> None:
        await store.add_products([a_product()])
        await do(store, reserve(1))
        assert await events_of(store, reservation_id(1)) == []


async def test_with_the_setting_grants_are_told_too(factory: StoreFactory) -> None:
    store = await factory.open(logs_grants=True)
    await store.add_products([a_product()])
    await do(store, reserve(1, quantity=2))
    await do(store, confirm(1), at=NOON + 5)
    created, confirmed = await events_of(store, reservation_id(1))
    assert (created.n, created.type, created.at) == (1, EventType.RESERVATION_CREATED, NOON)
    assert created.actor == _BY_ANN
    assert isinstance(created.data, ReservationChange)
    assert (created.data.status, created.data.lines[0].quantity) == (Status.PENDING, 2)
    assert (confirmed.n, confirmed.type) == (2, EventType.RESERVATION_CONFIRMED)


class TestProductEvents:
    async def test_making_editing_stocking_and_archiving_are_told(self, store: Store) -> None:
        await store.add_each([a_product(external_id="sku-1")], ADMIN)
        assert isinstance(await do(store, edit(name="Mug", price=5, by=ADMIN)), Edited)
        await do(store, restock(7), at=NOON + 1)
        await do(store, edit(archived=True, by=f"{BY_KEY}k1"), at=NOON + 2)
        terms = ProductTerms("Cup", 1_250, "EUR", None, None, None, 600, 3, archived=False)
        mug = replace(terms, name="Mug", price=5)
        archived = TermsChange(mug, replace(mug, archived=True))
        told: list[tuple[EventType, int, Actor, EventData]] = [
            (EventType.PRODUCT_CREATED, NOON - 1_000, _BY_ADMIN, NewProductTerms(10, terms)),
            (EventType.PRODUCT_EDITED, NOON, _BY_ADMIN, TermsChange(terms, mug)),
            (EventType.PRODUCT_STOCKED, NOON + 1, _BY_ADMIN, StockChange(7, 17, 17)),
            (EventType.PRODUCT_ARCHIVED, NOON + 2, Actor(ActorKind.SHOP, "k1"), archived),
        ]
        assert await events_of(store, CUP) == [
            Event(CUP, n, type_, at, actor, data, "sku-1") for n, (type_, at, actor, data) in enumerate(told, start=1)
        ]

    async def test_products_added_together_are_each_told(self, store: Store) -> None:
        await store.add_products([a_product(), a_product(HAT)], BY_COMMAND_LINE)
        for id_ in (CUP, HAT):
            (event,) = await events_of(store, id_)
            assert (event.type, event.actor) == (EventType.PRODUCT_CREATED, Actor(ActorKind.ADMIN, None))

    async def test_a_product_whose_external_id_is_taken_isn_t_told(self, store: Store) -> None:
        await store.add_each([a_product(external_id="sku-1")], ADMIN)
        assert await store.add_each([a_product(HAT, external_id="sku-1")], ADMIN) == [False]
        assert await events_of(store, HAT) == []

    async def test_an_edit_that_changes_nothing_and_a_repeated_restock_tell_nothing(self, store: Store) -> None:
        await store.add_products([a_product()])
        await do(store, edit(name="Cup"))
        for _ in range(2):
            await do(store, restock(7))
        assert await types_of(store, CUP) == [(1, "product.created"), (2, "product.stocked")]

    async def test_a_repeated_pause_is_told_once(self, store: Store) -> None:
        await store.add_products([a_product()])
        for _ in range(2):
            assert isinstance(await do(store, edit(pause_reason="a fault")), Edited)
        assert await types_of(store, CUP) == [(1, "product.created"), (2, "product.paused")]

    async def test_pausing_and_resuming_are_told(self, store: Store) -> None:
        await store.add_products([a_product()])
        await do(store, edit(pause_reason="a fault", by=ADMIN), at=NOON + 1)
        await do(store, edit(pause_reason=None, by=ADMIN), at=NOON + 2)
        await store.pause_all("an outage", ADMIN, NOON + 3)
        await store.resume_all(ADMIN, NOON + 4)
        _, *told = await events_of(store, CUP)
        paused, resumed = EventType.PRODUCT_PAUSED, EventType.PRODUCT_RESUMED
        assert [(event.type, event.at, event.data) for event in told] == [
            (paused, NOON + 1, PauseChange("a fault", all_products=False)),
            (resumed, NOON + 2, PauseChange(None, all_products=False)),
            (paused, NOON + 3, PauseChange("an outage", all_products=True)),
            (resumed, NOON + 4, PauseChange(None, all_products=True)),
        ]
        assert {event.actor for event in told} == {_BY_ADMIN}
        assert (await product(store, CUP)).trail_n == 5


class TestAccountsAndKeys:
    async def test_a_change_of_rights_is_told_with_the_rights_before_and_after(self, store: Store) -> None:
        await store.add_account(an_account(2, "ben@example.com", Role.ADMIN))
        await store.add_account(an_account())
        account_id = user_id(1)
        for _ in range(2):  # the second time changes nothing
            await store.set_role(account_id, Role.ADMIN, 1, ADMIN)
        assert await store.restrict(account_id, Restriction.DEMOTED, 2, ADMIN) is Restricted.DONE
        for _ in range(2):
            assert await store.restrict(account_id, Restriction.DISABLED, 3, ADMIN) is Restricted.DONE
        for _ in range(2):
            await store.enable(account_id, 4)
        told: list[tuple[EventType, int, Actor, EventData]] = [
            (EventType.ACCOUNT_ROLE_CHANGED, 1, _BY_ADMIN, RoleChange(Role.CUSTOMER, Role.ADMIN)),
            (EventType.ACCOUNT_ROLE_CHANGED, 2, _BY_ADMIN, RoleChange(Role.ADMIN, Role.CUSTOMER)),
            (EventType.ACCOUNT_DISABLED, 3, _BY_ADMIN, AccessChange(enabled=False)),
            (EventType.ACCOUNT_ENABLED, 4, Actor(ActorKind.ADMIN, None), AccessChange(enabled=True)),
        ]
        assert await events_of(store, account_id) == [
            Event(account_id, n, type_, at, actor, data) for n, (type_, at, actor, data) in enumerate(told, start=1)
        ]

    async def test_an_admin_s_disabling_is_told(self, store: Store) -> None:
        """Admins' restrictions take turns on MongoDB, so this is another write than a customer's."""
        for number, email in ((1, "ann@example.com"), (2, "ben@example.com")):
            await store.add_account(an_account(number, email, Role.ADMIN))
        assert await store.restrict(user_id(1), Restriction.DISABLED, 3, ADMIN) is Restricted.DONE
        (event,) = await events_of(store, user_id(1))
        assert (event.type, event.actor) == (EventType.ACCOUNT_DISABLED, _BY_ADMIN)

    async def test_a_refused_restriction_is_not_told(self, store: Store) -> None:
        await store.add_account(an_account(role=Role.ADMIN))
        assert await store.restrict(user_id(1), Restriction.DEMOTED, 3, ADMIN) is Restricted.LAST_ADMIN
        assert await events_of(store, user_id(1)) == []

    async def test_making_and_revoking_a_key_are_told_without_its_secret(self, store: Store) -> None:
        key = a_key()
        await store.add_key(key, 9)
        for at in (20, 30):
            await store.revoke_key(key.id, at)
        terms = KeyTerms(key.name, key.scopes, None)
        assert await events_of(store, key.id) == [
            Event(key.id, 1, EventType.KEY_MADE, 10, _BY_ADMIN, terms),
            Event(key.id, 2, EventType.KEY_REVOKED, 20, Actor(ActorKind.ADMIN, None), KeyEnd(key.name)),
        ]


class TestLog:
    async def test_pages_go_on_where_the_last_one_ended(self, store: Store) -> None:
        await store.add_products([a_product(product_id(number)) for number in range(1, 6)])
        first = await log(store, most=2)
        assert (len(first.events), first.more) == (2, True)
        second = await log(store, beyond=first.looked_to, most=2)
        third = await log(store, beyond=second.looked_to, most=2)
        assert (len(third.events), third.more) == (1, False)
        told = [logged.event.subject_id for found in (first, second, third) for logged in found.events]
        assert sorted(told) == [product_id(number) for number in range(1, 6)]
        places = [logged.place for found in (first, second, third) for logged in found.events]
        assert places == sorted(set(places))
        assert await store.last_place() == places[-1] == third.looked_to

    async def test_later_events_come_after_the_place_up_to_which_was_looked(self, store: Store) -> None:
        await store.add_products([a_product()])
        seen = await log(store)
        assert (await log(store, beyond=seen.looked_to)).events == []
        await do(store, restock(1))
        later = await log(store, beyond=seen.looked_to)
        assert [logged.event.type for logged in later.events] == [EventType.PRODUCT_STOCKED]

    async def test_an_empty_log_has_no_places(self, store: Store) -> None:
        assert await store.last_place() == 0
        assert await log(store) == EventsFound([], 0, more=False)

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (EventFilter(actor_id=ANN), ["reservation.confirmed"]),
            (EventFilter(types=frozenset({EventType.PRODUCT_STOCKED})), ["product.stocked"]),
            (EventFilter(since=NOON + 5), ["product.stocked"]),
            (EventFilter(subject_id=CUP, since=NOON), ["product.stocked"]),
        ],
        ids=["actor", "type", "since", "subject"],
    )
    async def test_a_filter_leaves_out_the_others(self, store: Store, where: EventFilter, expected: list[str]) -> None:
        await store.add_products([a_product()])
        await do(store, reserve(1))
        await do(store, confirm(1), at=NOON + 1)
        await do(store, restock(1), at=NOON + 5)
        found = await log(store, where)
        assert [logged.event.type.value for logged in found.events] == expected
        assert found.looked_to == await store.last_place()

    async def test_old_events_are_forgotten_and_their_numbers_are_not_used_again(self, store: Store) -> None:
        await store.add_products([a_product()])
        await do(store, restock(1), at=NOON)
        before = await log(store)
        assert await store.forget_events(NOON, 10) == 1
        assert await types_of(store, CUP) == [(2, "product.stocked")]
        assert await store.forget_events(NOON + 1, 10) == 1
        assert await store.forget_events(NOON + 1, 10) == 0
        assert await store.last_place() == before.looked_to
        await do(store, restock(1, "delivery-2"), at=NOON + 2)
        assert await types_of(store, CUP) == [(3, "product.stocked")]
        assert (await log(store, beyond=before.looked_to)).events != []


async def test_the_log_is_durable(durable: StoreFactory) -> None:
    store = await durable.open()
    await store.add_products([a_product()])
    await do(store, reserve(1))
    await do(store, confirm(1))
    before = await log(store)
    await store.close()
    store = await durable.open()
    assert await log(store) == before
    assert len(before.events) == 2


async def test_an_erased_customer_is_named_in_no_event(store: Store) -> None:
    await store.add_products([a_product()])
    await do(store, replace(reserve(1), external_id="ann-1"))
    await do(store, confirm(1))
    await log(store)
    await do(store, give_back(1, {CUP: 1}))
    for _ in range(2):
        await store.erase_reservations(ANN, "erased:1", 10)
    events = await events_of(store, reservation_id(1))
    assert [event.type for event in events] == [EventType.RESERVATION_CONFIRMED, EventType.RESERVATION_RETURNED]
    assert events[0].actor == Actor(ActorKind.CUSTOMER, "erased:1")
    for event in events:
        assert isinstance(event.data, ReservationChange)
        assert (event.data.customer_id, event.external_id) == ("erased:1", None)
