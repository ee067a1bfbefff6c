"""What a process may be in the middle of when it gets into trouble, and what must hold afterwards."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from tests.core.examples import HOLD_MS, NOON, a_product, product_id, reservation_id, user_id

from flashreserve.core.commands import Cancel, Command, Confirm, Edit, Reserve, Restock, Wanted
from flashreserve.core.outcomes import Outcome, Reserved
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.database import Database
from flashreserve.stores.mongo.documents import product_document

LAPSED: Final = NOON + HOLD_MS
RECOVERY_MS: Final = 31_000
STOCK: Final = 5


class Cast(msgspec.Struct, frozen=True):
    """The ids of one performance: two products, some customers, some reservations, all its own."""

    number: int

    def product(self, place: int) -> str:
        return product_id(self.number * 10 + place)

    def user(self, place: int) -> str:
        return user_id(self.number * 10 + place)

    def reserve(self, place: int, *products: int, key: str | None = None, quantity: int = 1) -> Reserve:
        lines = tuple(Wanted(self.product(each), quantity) for each in products)
        return Reserve(reservation_id(self.number * 10 + place), self.user(place), lines, key)

    def confirm(self, place: int) -> Confirm:
        return Confirm(reservation_id(self.number * 10 + place), self.user(place))

    def cancel(self, place: int) -> Cancel:
        return Cancel(reservation_id(self.number * 10 + place), self.user(place))


Prepare = Callable[[MongoStore, Cast], Awaitable[None]]
Perform = Callable[[MongoStore, Cast], Awaitable[Sequence[Outcome]]]


class Scene(msgspec.Struct, frozen=True):
    """Something done at `at`, after `prepare`; limits are of product 2."""

    name: str
    perform: Perform
    at: int = NOON
    prepare: Prepare | None = None


async def set_stage(database: Database, cast: Cast) -> None:
    """Two products; the second allows one unit a customer."""
    products = [a_product(cast.product(1), STOCK), a_product(cast.product(2), STOCK, per_customer_limit=1)]
    await database.insert_many("products", [product_document(product) for product in products])


def commands(*make: Callable[[Cast], Command], at: int = NOON) -> Perform:
    """A flush of the commands."""

    async def perform(store: MongoStore, cast: Cast) -> Sequence[Outcome]:
        return (await store.flush([each(cast) for each in make], at)).outcomes

    return perform


def flushed(*make: Callable[[Cast], Command]) -> Prepare:
    """The commands flushed at NOON, all granted."""
    perform = commands(*make)

    async def prepare(store: MongoStore, cast: Cast) -> None:
        assert all(isinstance(outcome, Reserved) for outcome in await perform(store, cast))

    return prepare


async def sweep(store: MongoStore, cast: Cast) -> Sequence[Outcome]:
    await store.release_lapsed(LAPSED, 100)
    return []


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
            lambda c: Reserve(reservation_id(c.number * 10 + 4), c.user(1), (Wanted(c.product(2), 1),)),
            at=LAPSED,
        ),
        at=LAPSED,
        prepare=flushed(lambda c: c.reserve(1, 1, 2)),
    ),
    Scene("basket", commands(lambda c: c.reserve(1, 1, 2, key="k"))),
    Scene(
        "baskets and singles",
        commands(
            lambda c: c.reserve(1, 1, 2),
            lambda c: c.reserve(2, 1),
            lambda c: c.reserve(3, 2),
            lambda c: c.reserve(4, 1, 2),
        ),
    ),
    Scene(
        "sweep",
        sweep,
        at=LAPSED,
        prepare=flushed(lambda c: c.reserve(1, 1), lambda c: c.reserve(2, 1, 2), lambda c: c.reserve(3, 2)),
    ),
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
        "confirm too late",
        commands(lambda c: c.confirm(1), at=LAPSED),
        at=LAPSED,
        prepare=flushed(lambda c: c.reserve(1, 1, 2)),
    ),
    Scene("restock", commands(lambda c: Restock(c.product(1), "delivery", 3, c.user(9)))),
    Scene("edit", commands(lambda c: Edit(c.product(1), price=7))),
)
"""Everything that writes, but for recover itself, which every scene ends with."""
