"""Scenes: operations during which a process gets into trouble, and the conditions that must hold afterwards."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from tests.core.examples import ADMIN, HOLD_MS, NOON, a_product, product_id, reservation_id, user_id
from tests.mongo.trouble import DriverTrouble, TroubledDatabase

from flashreserve.clock import SystemIds
from flashreserve.core.commands import Cancel, Command, Confirm, Edit, Extend, Reserve, Restock, Return
from flashreserve.core.model import Units
from flashreserve.core.outcomes import Confirmed, Outcome, OutcomeUnknown, Reserved, Returned, Unavailable
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.database import Database
from flashreserve.stores.mongo.documents import product_document
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

LAPSED: Final = NOON + HOLD_MS
RECOVERY_MS: Final = 31_000
STOCK: Final = 5


class Cast(msgspec.Struct, frozen=True):
    """The ids of one performance: two products, some customers, some reservations. No other performance uses them."""

    number: int

    def product(self, place: int) -> str:
        return product_id(self.number * 10 + place)

    def user(self, place: int) -> str:
        return user_id(self.number * 10 + place)

    def reserve(self, place: int, *products: int, key: str | None = None, quantity: int = 1) -> Reserve:
        lines = tuple(Units(self.product(each), quantity) for each in products)
        return Reserve(reservation_id(self.number * 10 + place), self.user(place), lines, key)

    def confirm(self, place: int, *products: int) -> Confirm:
        """Buy all of the hold, or one unit of each of these products."""
        lines = tuple(Units(self.product(each), 1) for each in products)
        return Confirm(reservation_id(self.number * 10 + place), self.user(place), lines or None, ADMIN)

    def give_back(self, place: int, *products: int, key: str = "parcel") -> Return:
        """Return one unit of each product."""
        lines = tuple(Units(self.product(each), 1) for each in products)
        return Return(reservation_id(self.number * 10 + place), None, lines, key, ADMIN)

    def cancel(self, place: int) -> Cancel:
        return Cancel(reservation_id(self.number * 10 + place), self.user(place))


Prepare = Callable[[MongoStore, Cast], Awaitable[None]]
Perform = Callable[[MongoStore, Cast], Awaitable[Sequence[Outcome]]]


Check = Callable[[MongoStore, Cast, Sequence[Outcome] | None], Awaitable[None]]


class Scene(msgspec.Struct, frozen=True):
    """An operation at `at`, after `prepare`. Limits are those of product 2. `check` is a further condition at the end.

    `check` gets the outcomes, or None while the process is still stopped. `knowing`: the process has the products in
    its cache.
    """

    name: str
    perform: Perform
    at: int = NOON
    prepare: Prepare | None = None
    check: Check | None = None
    knowing: bool = False


async def set_stage(database: Database, cast: Cast) -> None:
    """Make two products. The second one allows one unit per customer."""
    products = [a_product(cast.product(1), STOCK), a_product(cast.product(2), STOCK, per_customer_limit=1)]
    await database.insert_many("products", [product_document(product) for product in products])


def commands(*make: Callable[[Cast], Command], at: int = NOON) -> Perform:
    """An operation that flushes the commands."""

    async def perform(store: MongoStore, cast: Cast) -> Sequence[Outcome]:
        return (await store.flush([each(cast) for each in make], at)).outcomes

    return perform


def flushed(*make: Callable[[Cast], Command]) -> Prepare:
    """A preparation that flushes the commands at NOON. All are granted."""
    perform = commands(*make)

    async def prepare(store: MongoStore, cast: Cast) -> None:
        assert all(isinstance(outcome, Reserved) for outcome in await perform(store, cast))

    return prepare


def bought(*make: Callable[[Cast], Reserve]) -> Prepare:
    """A preparation in which all holds are granted and confirmed."""

    async def prepare(store: MongoStore, cast: Cast) -> None:
        await flushed(*make)(store, cast)
        confirms = [Confirm(made.reservation_id, made.user_id) for made in (each(cast) for each in make)]
        assert all(isinstance(outcome, Confirmed) for outcome in (await store.flush(confirms, NOON)).outcomes)

    return prepare


async def sweep(store: MongoStore, cast: Cast) -> Sequence[Outcome]:
    await store.release_lapsed(LAPSED, 100)
    return []


def crashed(perform: Perform, at_call: int | str, trouble: DriverTrouble, *before: Prepare) -> Prepare:
    """A preparation by a process that stops for good at one of its calls."""

    async def prepare(store: MongoStore, cast: Cast) -> None:
        for each in before:
            await each(store, cast)
        troubled = TroubledDatabase(store._database, at_call, trouble)
        task = asyncio.ensure_future(perform(MongoStore(troubled, SystemIds()), cast))
        await troubled.stopped.wait()
        task.cancel()
        await asyncio.wait([task])

    return prepare


async def reserve_again_and_again(store: MongoStore, cast: Cast) -> Sequence[Outcome]:
    """Three flushes on one product, so that an R1 includes the settlement before it. The last finds too few units."""
    outcomes: list[Outcome] = []
    for place, quantity in ((1, 1), (2, 2), (3, STOCK)):
        try:
            outcomes += (await store.flush([cast.reserve(place, 1, quantity=quantity)], NOON)).outcomes
        except StoreOutcomeUnknownError:
            outcomes.append(OutcomeUnknown())
        except StoreUnavailableError:
            outcomes.append(Unavailable("away"))
    return outcomes


async def recover(store: MongoStore, cast: Cast) -> Sequence[Outcome]:
    await store.recover(LAPSED + RECOVERY_MS, 100)
    return []


async def import_two(store: MongoStore, cast: Cast) -> Sequence[Outcome]:
    await store.add_products([a_product(cast.product(place), updated_at=NOON) for place in (5, 6)])
    return []


async def assert_imported_all_or_none(store: MongoStore, cast: Cast, outcomes: Sequence[Outcome] | None) -> None:
    """Check that the outcome is true. Without an outcome, all or none may exist."""
    told: dict[bool, set[int]] = {True: {2}, False: {0} if outcomes == [Unavailable("away")] else {0, 2}}
    assert len(await store.products([cast.product(5), cast.product(6)])) in told[outcomes == []]


def imported(count: int) -> Check:
    """Check that `count` of the products exist."""

    async def check(store: MongoStore, cast: Cast, outcomes: Sequence[Outcome] | None) -> None:
        assert len(await store.products([cast.product(5), cast.product(6)])) == count

    return check


def returned(keys: int, *, told: type[Outcome] = Returned) -> Check:
    """Check that reservation 1 has at most so many returns; exactly so many if all were `told`."""

    async def check(store: MongoStore, cast: Cast, outcomes: Sequence[Outcome] | None) -> None:
        held = await store.reservation(cast.confirm(1).reservation_id)
        assert held is not None
        assert len(held.returns) <= keys
        if outcomes and all(isinstance(outcome, told) for outcome in outcomes):
            assert len(held.returns) == keys

    return check


_return = commands(lambda c: c.give_back(1, 1))
_return_basket = commands(lambda c: c.give_back(1, 1, 2))
_one_bought = bought(lambda c: c.reserve(1, 1, quantity=3))
_basket_bought = bought(lambda c: c.reserve(1, 1, 2))

_baskets_and_singles = commands(
    lambda c: c.reserve(1, 1, 2),
    lambda c: c.reserve(2, 1),
    lambda c: c.reserve(3, 2),
    lambda c: c.reserve(4, 1, 2, key="k"),
)
_three_held = flushed(lambda c: c.reserve(1, 1), lambda c: c.reserve(2, 1, 2), lambda c: c.reserve(3, 2))

SCENES: Final = (
    Scene(
        "reserve", commands(lambda c: c.reserve(1, 1, key="k"), lambda c: c.reserve(2, 1), lambda c: c.reserve(3, 1))
    ),
    Scene("reserve on two products", commands(lambda c: c.reserve(1, 1), lambda c: c.reserve(2, 2))),
    Scene("reserve one too many", commands(lambda c: c.reserve(1, 1, quantity=STOCK), lambda c: c.reserve(2, 1))),
    Scene(
        "reserve over a lapsed hold",
        commands(
            lambda c: c.reserve(3, 1),
            lambda c: Reserve(reservation_id(c.number * 10 + 4), c.user(1), (Units(c.product(2), 1),)),
            at=LAPSED,
        ),
        at=LAPSED,
        prepare=flushed(lambda c: c.reserve(1, 1, 2)),
    ),
    Scene(
        "reserve what is known",
        commands(lambda c: c.reserve(1, 1), lambda c: c.reserve(2, 1, 2), lambda c: c.reserve(3, 2)),
        knowing=True,
    ),
    Scene(
        "reserve what is known by a key that was used, over a limit that was used up",
        commands(
            lambda c: c.reserve(5, 1),
            lambda c: Reserve(reservation_id(c.number * 10 + 6), c.user(1), (Units(c.product(1), 1),), "k"),
            lambda c: Reserve(reservation_id(c.number * 10 + 7), c.user(2), (Units(c.product(2), 1),)),
        ),
        prepare=flushed(lambda c: c.reserve(1, 1, key="k"), lambda c: c.reserve(2, 2)),
        knowing=True,
    ),
    Scene("reserve again and again", reserve_again_and_again),
    Scene("basket", commands(lambda c: c.reserve(1, 1, 2, key="k"))),
    Scene(
        "baskets and singles",
        _baskets_and_singles,
    ),
    Scene("sweep", sweep, at=LAPSED, prepare=_three_held),
    Scene("cancel", commands(lambda c: c.cancel(1)), prepare=flushed(lambda c: c.reserve(1, 1))),
    Scene(
        "cancel a basket",
        commands(lambda c: c.cancel(1), lambda c: c.cancel(2)),
        prepare=flushed(lambda c: c.reserve(1, 1, 2), lambda c: c.reserve(2, 1)),
    ),
    Scene(
        "confirm",
        commands(lambda c: c.confirm(1), lambda c: c.confirm(2)),
        prepare=flushed(lambda c: c.reserve(1, 1, 2), lambda c: c.reserve(2, 1)),
    ),
    Scene(
        "extend",
        commands(lambda c: Extend(c.reserve(1).reservation_id, c.user(1)), lambda c: c.confirm(2)),
        prepare=flushed(lambda c: c.reserve(1, 1), lambda c: c.reserve(2, 1, 2)),
    ),
    Scene(
        "confirm too late",
        commands(lambda c: c.confirm(1), at=LAPSED),
        at=LAPSED,
        prepare=flushed(lambda c: c.reserve(1, 1, 2)),
    ),
    Scene("return", _return, prepare=_one_bought, check=returned(1)),
    Scene(
        "return twice",
        commands(lambda c: c.give_back(1, 1), lambda c: c.give_back(1, 1), lambda c: c.give_back(1, 1, key="other")),
        prepare=_one_bought,
        check=returned(2),
    ),
    Scene("return a basket", _return_basket, prepare=_basket_bought, check=returned(1)),
    Scene(
        "buy some of a basket",
        commands(lambda c: c.confirm(1, 1)),
        prepare=flushed(lambda c: c.reserve(1, 1, 2)),
        check=returned(1, told=Confirmed),
    ),
    Scene("restock", commands(lambda c: Restock(c.product(1), "delivery", 3, c.user(9)))),
    Scene("edit", commands(lambda c: Edit(c.product(1), price=7))),
    Scene("import", import_two, check=assert_imported_all_or_none),
    Scene(
        "recover a reserve",
        recover,
        at=LAPSED + RECOVERY_MS,
        prepare=crashed(_baskets_and_singles, "insert_many", DriverTrouble.STOP_HALF),
    ),
    Scene(
        "recover a sweep",
        recover,
        at=LAPSED + RECOVERY_MS,
        prepare=crashed(sweep, "update_many", DriverTrouble.STOP_AFTER, _three_held),
    ),
    Scene(
        "recover a sweep announced by half",
        recover,
        at=LAPSED + RECOVERY_MS,
        prepare=crashed(sweep, "bulk_update", DriverTrouble.STOP_HALF, _three_held),
    ),
    Scene(
        "recover a return",
        recover,
        at=LAPSED + RECOVERY_MS,
        prepare=crashed(_return, "find_one_and_update", DriverTrouble.STOP_AFTER, _one_bought),
        check=returned(1),
    ),
    Scene(
        "recover a basket's return announced by half",
        recover,
        at=LAPSED + RECOVERY_MS,
        prepare=crashed(_return_basket, "bulk_update", DriverTrouble.STOP_HALF, _basket_bought),
        check=returned(1),
    ),
    Scene(
        "recover a basket's return that was entered",
        recover,
        at=LAPSED + RECOVERY_MS,
        prepare=crashed(_return_basket, "find_one_and_update", DriverTrouble.STOP_AFTER, _basket_bought),
        check=returned(1),
    ),
    Scene(
        "recover an import not yet decided",
        recover,
        at=LAPSED + RECOVERY_MS,
        prepare=crashed(import_two, 2, DriverTrouble.STOP_HALF),
        check=imported(0),
    ),
    Scene(
        "recover an import that was decided",
        recover,
        at=LAPSED + RECOVERY_MS,
        prepare=crashed(import_two, "find_one_and_update", DriverTrouble.STOP_AFTER),
        check=imported(2),
    ),
)
"""All operations that write."""
