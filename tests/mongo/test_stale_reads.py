"""Reads that show an older state than was acknowledged, as after an election, or that come after a request's end."""

import asyncio
from collections.abc import Callable

import pytest
from tests.contract.requests import available, do, product, reservation
from tests.core.examples import NOON, a_product, confirm, edit, granted, reserve, restock
from tests.mongo.trouble import DriverTrouble, TroubledDatabase
from typing_extensions import override

from flashreserve.clock import SystemIds
from flashreserve.core.commands import Command
from flashreserve.core.outcomes import Confirmed, Edited, Outcome, OutcomeUnknown, Restocked, RulesFixed, StockTaken
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.database import Collection, Database, Document, Fields, Order, Query, Update
from flashreserve.stores.port import StoreUnavailableError, Taken

pytestmark = pytest.mark.mongodb


class NewPrimary(TroubledDatabase):
    """A database that shows no reservation from the first `at_a_write` on, except to current reads.

    Without a majority (`confirmed` false), it answers no current read.
    """

    def __init__(self, inner: Database, *, at_a_write: bool, confirmed: bool) -> None:
        super().__init__(inner, None, DriverTrouble.STOP_BEFORE)
        self._elected = not at_a_write
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
        return [] if self._elected and collection == "reservations" and not current else found

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
    behind = NewPrimary(database, at_a_write=True, confirmed=confirmed)
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
    behind = NewPrimary(database, at_a_write=False, confirmed=True)
    assert isinstance(await do(MongoStore(behind, SystemIds()), edit(per_customer_limit=2)), RulesFixed)


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
