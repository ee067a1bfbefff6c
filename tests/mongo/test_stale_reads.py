"""Reads that show an older state than was acknowledged, as after an election, or that come after a request's end."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from tests.contract.requests import available, do, product, reservation
from tests.core.examples import (
    CUP,
    HAT,
    NOON,
    a_key,
    a_product,
    an_account,
    confirm,
    edit,
    granted,
    label,
    reserve,
    restock,
)
from tests.mongo.trouble import DriverTrouble, TroubledDatabase
from typing_extensions import override

from flashreserve.clock import SystemIds
from flashreserve.core.commands import Command, Edit
from flashreserve.core.model import Role
from flashreserve.core.outcomes import (
    Confirmed,
    Edited,
    Labelled,
    Outcome,
    OutcomeUnknown,
    Restocked,
    RulesFixed,
    StockTaken,
)
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.database import Collection, Database, Document, Fields, Order, Query, Update
from flashreserve.stores.port import StoreUnavailableError, Taken

pytestmark = pytest.mark.mongodb


class NewPrimary(TroubledDatabase):
    """A database that shows nothing of a collection but `shown`, except to current reads.

    With `after_a_write`, it does so from the first write of several documents on. Without a majority (`confirmed`
    false), it answers no current read.
    """

    def __init__(
        self,
        inner: Database,
        hidden: Collection,
        shown: Sequence[Document] = (),
        *,
        after_a_write: bool = False,
        confirmed: bool = True,
    ) -> None:
        super().__init__(inner, None, DriverTrouble.STOP_BEFORE)
        self._hidden = hidden
        self._shown = shown
        self._elected = not after_a_write
        self._confirmed = confirmed

    @override
    async def find(
        self,
        collection: Collection,
        query: Query,
        *,
        fields: Fields | None = None,
        order: Order | None = None,
        most: int = 0,
        current: bool = False,
    ) -> list[Document]:
        if self._elected and current and not self._confirmed:
            raise StoreUnavailableError("no majority")
        found = await super().find(collection, query, fields=fields, order=order, most=most, current=current)
        return list(self._shown) if self._elected and collection == self._hidden and not current else found

    @override
    async def update_many(self, collection: Collection, query: Query, update: Update) -> None:
        await super().update_many(collection, query, update)
        self._elected = True


@pytest.mark.parametrize("confirmed", [True, False])
async def test_a_purchase_that_a_new_primary_does_not_show_yet_is_never_told_as_nothing_done(
    store: MongoStore, database: PymongoDatabase, *, confirmed: bool
) -> None:
    await store.add_products([a_product()])
    granted(await do(store, reserve(1)))
    behind = NewPrimary(database, "reservations", after_a_write=True, confirmed=confirmed)
    outcome = await do(MongoStore(behind, SystemIds()), confirm(1))
    bought = await reservation(store, 1)
    assert outcome == (Confirmed(bought) if confirmed else OutcomeUnknown())
    assert bought.confirmed_at == NOON


async def test_a_limit_is_not_set_because_a_new_primary_shows_no_reservation_yet(
    store: MongoStore, database: PymongoDatabase
) -> None:
    await store.add_products([a_product(per_customer_limit=None)])
    granted(await do(store, reserve(1, quantity=3)))
    await store._late.finish()
    behind = NewPrimary(database, "reservations")
    assert isinstance(await do(MongoStore(behind, SystemIds()), edit(per_customer_limit=2)), RulesFixed)


@pytest.mark.parametrize("command", [edit(price=100), edit(per_customer_limit=None), restock(1)])
async def test_nothing_is_told_of_a_product_that_a_new_primary_shows_as_it_was(
    store: MongoStore, database: PymongoDatabase, command: Command
) -> None:
    """To the read, the product has the wanted price already, or isn't there at all."""
    await store.add_products([a_product(price=100)])
    before = (await database.find("products", {}))[0]
    assert isinstance(await do(store, edit(price=200, per_customer_limit=7)), Edited)
    behind = NewPrimary(database, "products", [before] if isinstance(command, Edit) else [])
    assert isinstance(await do(MongoStore(behind, SystemIds()), command), Edited | Restocked)
    left = await product(store, CUP)
    assert (left.price, left.per_customer_limit, left.stocked) == {
        edit(price=100): (100, 7, 10),
        edit(per_customer_limit=None): (200, None, 10),
        restock(1): (200, 7, 11),
    }[command]


async def test_a_label_is_not_set_by_what_its_process_reads_after_a_later_change(
    store: MongoStore, database: PymongoDatabase
) -> None:
    """The process planned the label, and sleeps. Others set it, and take it away again."""
    await store.add_products([a_product()])
    granted(await do(store, reserve(1)))
    asleep = TroubledDatabase(database, 2, DriverTrouble.STOP_BEFORE)  # after it has read the reservation and product
    first = asyncio.ensure_future(flush_late(MongoStore(asleep, SystemIds()), label(1, "order-1"), lambda _place: over))
    over = False
    await asleep.stopped.wait()
    over = True
    for wanted in ("order-1", None):
        assert isinstance(await do(store, label(1, wanted)), Labelled)
    await asleep.go_on()
    assert await first == OutcomeUnknown()
    assert (await reservation(store, 1)).external_id is None


async def test_an_import_that_a_new_primary_does_not_show_yet_is_complete(
    store: MongoStore, database: PymongoDatabase
) -> None:
    behind = NewPrimary(database, "batches")
    await MongoStore(behind, SystemIds()).add_products([a_product(CUP), a_product(HAT)])
    assert {each.id for each in await store.products([CUP, HAT])} == {CUP, HAT}


async def test_what_was_there_before_is_told_though_a_new_primary_does_not_show_it_yet(
    store: MongoStore, database: PymongoDatabase
) -> None:
    await store.add_account(an_account(1))
    await store.add_key(a_key(1), 10)
    await store.add_products([a_product(CUP, external_id="cup")])
    assert not await MongoStore(NewPrimary(database, "accounts"), SystemIds()).add_account(an_account(2))
    for _ in range(2):
        assert await MongoStore(NewPrimary(database, "keys"), SystemIds()).revoke_key(a_key(1).id, NOON)
    added = await MongoStore(NewPrimary(database, "products"), SystemIds()).add_each(
        [a_product(HAT, external_id="cup")]
    )
    assert added == [False]


async def test_a_look_up_for_a_request_finds_what_a_new_primary_does_not_show_yet(
    store: MongoStore, database: PymongoDatabase
) -> None:
    account = an_account(1)
    await store.add_account(account)
    await store.set_reset_code(account.id, "code", NOON)
    await store.add_key(a_key(1), 10)
    behind = MongoStore(NewPrimary(database, "accounts"), SystemIds())
    assert await behind.account_by_id(account.id) == await behind.account_by_email(account.email) == account
    assert await behind.has_reset_code(account.id, "code", NOON - 1)
    keys = MongoStore(NewPrimary(database, "keys"), SystemIds())
    assert await keys.keys(current=True) == [a_key(1)]
    assert await keys.keys() == []
    await store.revoke_key(a_key(1).id, NOON)
    assert [key.revoked_at for key in await keys.keys(current=True)] == [NOON]
    await store.sign_out(account.id, NOON)
    signed_out_at = await store.signed_out_at(account.id)
    assert await behind.signed_out_at(account.id) == signed_out_at is not None
    await store.begin_erasure(account.id, NOON + 5_000)
    erased = MongoStore(NewPrimary(database, "erasures"), SystemIds())
    assert await erased.signed_out_at(account.id) == NOON + 5_000


async def test_a_demoted_admin_is_refused_though_a_new_primary_shows_the_role_yet(
    store: MongoStore, database: PymongoDatabase
) -> None:
    admin = an_account(1, role=Role.ADMIN)
    await store.add_account(admin)
    before = await database.find("accounts", {})
    await store.set_role(admin.id, Role.CUSTOMER, at=1)
    behind = MongoStore(NewPrimary(database, "accounts", before), SystemIds())
    found = await behind.account_by_id(admin.id)
    assert found is not None
    assert found.role is Role.CUSTOMER


async def test_a_restock_whose_caller_has_given_up_is_not_decided_on_what_is_read_afterwards(
    store: MongoStore, database: PymongoDatabase
) -> None:
    """The caller sends it again, and is told that the units are held. Then others come, and the first one reads on."""
    await store.add_products([a_product(units=2)])
    granted(await do(store, reserve(1, quantity=2)))
    over = False
    slow = TroubledDatabase(database, "find", DriverTrouble.STOP_BEFORE)
    first = asyncio.ensure_future(flush_late(MongoStore(slow, SystemIds()), restock(-2), lambda _place: over))
    await slow.stopped.wait()
    over = True
    assert isinstance(await do(store, restock(-2)), StockTaken)
    assert isinstance(await do(store, restock(2, "delivery-2")), Restocked)
    await slow.go_on()
    assert await first == OutcomeUnknown()
    assert await available(store, a_product().id) == 2


async def test_an_edit_whose_reply_is_lost_is_not_repeated_after_another_edit(
    store: MongoStore, database: PymongoDatabase
) -> None:
    await store.add_products([a_product()])
    other = AfterwardsEdited(database, store)
    assert await do(MongoStore(other, SystemIds()), edit(price=1)) == OutcomeUnknown()
    assert (await product(store, a_product().id)).price == 2


class AfterwardsEdited(TroubledDatabase):
    """A database that loses the reply of the first edit, which is carried out and followed by another store's edit."""

    def __init__(self, inner: Database, other: MongoStore) -> None:
        super().__init__(inner, "find_one_and_update", DriverTrouble.LOST_DONE)
        self._other = other
        self._edited = False

    @override
    async def find_one_and_update(
        self, collection: Collection, query: Query, update: Update, *, fields: Fields | None = None
    ) -> Document | None:
        if self.met.is_set() and not self._edited:
            self._edited = True
            assert isinstance(await do(self._other, edit(price=2)), Edited)
        return await super().find_one_and_update(collection, query, update, fields=fields)


async def flush_late(store: MongoStore, command: Command, given_up: Callable[[int], bool]) -> Outcome:
    """The outcome of a command whose caller waits only as long as `given_up` is false."""
    (outcome,) = (await store.flush_late(lambda: Taken([command], NOON, given_up))).outcomes
    return outcome
