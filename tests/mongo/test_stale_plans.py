"""Commands whose reservation changes between their plan and their write, or after a write whose reply was lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.contract.requests import assert_balanced, do, flush, reservation
from tests.core.examples import (
    CUP,
    HAT,
    NOON,
    a_product,
    cancel,
    confirm_some,
    granted,
    reservation_id,
    reserve,
    reserve_basket,
)
from tests.mongo.trouble import DriverTrouble, TroubledDatabase

from flashreserve.clock import SystemIds
from flashreserve.core.commands import Label
from flashreserve.core.outcomes import Confirmed, Labelled, NotFound, OutcomeUnknown, Released, TooMany
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.database import Database
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

pytestmark = pytest.mark.mongodb


@pytest.mark.parametrize("first", [None, "order-1"])
async def test_a_late_copy_of_a_label_does_not_undo_the_change_back(
    store: MongoStore, database: PymongoDatabase, first: str | None
) -> None:
    await store.add_products([a_product()])
    granted(await do(store, reserve(1)))
    await do(store, Label(reservation_id(1), None, first))
    troubled = TroubledDatabase(database, "find_one_and_update", DriverTrouble.LOST_LATE)
    changed = await do(MongoStore(troubled, SystemIds()), Label(reservation_id(1), None, "order-2"))
    assert isinstance(changed, Labelled)
    assert changed.reservation.external_id == "order-2"
    assert isinstance(await do(store, Label(reservation_id(1), None, first)), Labelled)
    await troubled.go_on()
    assert (await reservation(store, 1)).external_id == first


async def test_a_cancellation_answers_with_the_units_given_back_since_its_plan(
    store: MongoStore, database: PymongoDatabase
) -> None:
    await store.add_products([a_product()])
    granted(await do(store, reserve(1, quantity=3)))
    waiting = TroubledDatabase(database, "find_one_and_update", DriverTrouble.STOP_BEFORE)
    cancelling = asyncio.ensure_future(flush(MongoStore(waiting, SystemIds()), cancel(1)))
    await waiting.stopped.wait()  # It has planned.
    dying = TroubledDatabase(database, "update_many", DriverTrouble.STOP_BEFORE)
    buying = asyncio.ensure_future(flush(MongoStore(dying, SystemIds()), confirm_some(1, {CUP: 1})))
    await dying.stopped.wait()  # Two units are given back; the rest isn't confirmed, and never will be.
    buying.cancel()
    await asyncio.wait([buying])
    await waiting.go_on()
    assert await cancelling == [Released(await reservation(store, 1))]
    assert (await reservation(store, 1)).lines[0].returned == 2
    await assert_balanced(store)


@pytest.mark.parametrize("wanted", [1, 2])
async def test_of_two_partial_confirmations_only_that_of_the_bought_units_is_confirmed(
    store: MongoStore, database: PymongoDatabase, wanted: int
) -> None:
    """One gives units back, the other gives more back, then the first confirms what is left."""
    await store.add_products([a_product()])
    granted(await do(store, reserve(1, quantity=3)))
    first = TroubledDatabase(database, "update_many", DriverTrouble.STOP_BEFORE)
    of_two = asyncio.ensure_future(do(MongoStore(first, SystemIds()), confirm_some(1, {CUP: 2})))
    await first.stopped.wait()
    second = TroubledDatabase(database, "update_many", DriverTrouble.STOP_BEFORE)
    of_one = asyncio.ensure_future(do(MongoStore(second, SystemIds()), confirm_some(1, {CUP: wanted})))
    await second.stopped.wait()
    await first.go_on()
    await second.go_on()
    told = [await of_two, await of_one]
    bought = Confirmed(await reservation(store, 1))
    assert bought.reservation.lines[0].left == wanted
    assert told == [bought if wanted == 2 else TooMany(reservation_id(1), CUP, 1), bought]
    await assert_balanced(store)


@pytest.mark.parametrize("lines", [{CUP: 3}, {CUP: 3, HAT: 3}])
async def test_a_partial_confirmation_whose_give_back_is_in_flight_is_never_told_as_nothing_done(
    store: MongoStore, database: PymongoDatabase, lines: dict[str, int]
) -> None:
    """The database goes away after the first write of the give-back, whose reply is lost. Recovery finishes it."""
    await store.add_products([a_product(CUP), a_product(HAT)])
    granted(await do(store, reserve_basket(1, lines)))
    away = GoingAway(database)
    outcome = await do(MongoStore(away, SystemIds()), confirm_some(1, dict.fromkeys(lines, 1)))
    assert outcome == OutcomeUnknown()
    for minutes in range(1, 4):
        await store.recover(NOON + minutes * 60_000, 10)
    assert [line.left for line in (await reservation(store, 1)).lines] == [1] * len(lines)
    await assert_balanced(store)


async def test_a_key_that_was_granted_holds_up_no_refusal_while_its_movement_is_open(
    store: MongoStore, database: PymongoDatabase
) -> None:
    await store.add_products([a_product()])
    first = MongoStore(database, SystemIds())
    granted(await do(first, reserve(1, key="k")))
    assert first._late._timer is not None
    first._late._timer.cancel()  # so that it stays open
    assert await do(store, reserve_basket(2, {CUP: 1, HAT: 1}, key="k")) == NotFound("product", HAT)


class GoingAway(TroubledDatabase):
    """A database of which one process gets no reply any more, from its first write on."""

    def __init__(self, inner: Database) -> None:
        super().__init__(inner, None, DriverTrouble.LOST_DONE)
        self._away = False

    async def _call(self, name: str, call: Callable[[], Awaitable[Any]], *, write: bool, halves: object = None) -> Any:
        if self._away:
            raise StoreUnavailableError(f"{name}: the database is away")
        result = await call()
        if write:
            self._away = True
            raise StoreOutcomeUnknownError(f"{name}: the reply was lost")
        return result
