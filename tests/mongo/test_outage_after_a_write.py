"""The server goes away between two calls of an operation: what says that nothing was written has written nothing."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.contract.requests import do
from tests.contract.test_last_admin import DEMOTED, DISABLED, IDS, able_admins, staff
from tests.core.examples import CUP, HAT, NOON, a_key, a_product, an_account, cancel, granted, reserve, user_id
from tests.mongo.trouble import DriverTrouble, TroubledDatabase
from typing_extensions import override

from flashreserve.clock import SystemIds
from flashreserve.core.accounts import Restricted
from flashreserve.core.model import DetailsEdit, ProductDetails
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.database import Collection, Database
from flashreserve.stores.mongo.documents import VISIBLE
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

pytestmark = pytest.mark.mongodb

CALLS_MAX = 20
MUG = "00000000-0000-4000-8000-0000000000c3"
KEPT: tuple[Collection, ...] = ("details", "reservations", "accounts", "keys", "erasures")


class VanishingDatabase(TroubledDatabase):
    """A database that carries out so many calls, and is away from then on."""

    def __init__(self, inner: Database, lasts: int) -> None:
        super().__init__(inner, None, DriverTrouble.STOP_BEFORE)
        self._lasts = lasts

    @override
    async def _call(self, name: str, call: Callable[[], Awaitable[Any]], **how: Any) -> Any:
        if self.calls >= self._lasts:
            raise StoreUnavailableError("away")
        return await super()._call(name, call, **how)


Operation = Callable[[MongoStore], Awaitable[object]]

OPERATIONS: dict[str, Operation] = {
    "add products": lambda store: store.add_products([a_product(MUG), a_product(user_id(8))]),
    "add each, of which one exists": lambda store: store.add_each(
        [a_product(MUG, external_id="cup"), a_product(user_id(8), external_id="mug")]
    ),
    "add each, of which all exist": lambda store: store.add_each([a_product(MUG, external_id="cup")]),
    "set details": lambda store: store.set_details({CUP: ProductDetails("new"), HAT: ProductDetails("new")}),
    "edit details": lambda store: store.edit_details(CUP, DetailsEdit(description="new")),
    "edit details that can't be read": lambda store: store.edit_details(HAT, DetailsEdit(description="new")),
    "add an account": lambda store: store.add_account(an_account(7)),
    "demote one of two admins": lambda store: store.restrict(IDS["A"], DEMOTED, NOON),
    "disable a customer": lambda store: store.restrict(IDS["C"], DISABLED, NOON),
    "add a key": lambda store: store.add_key(a_key(2), 10),
    "revoke a key": lambda store: store.revoke_key(a_key(1).id, NOON),
    "begin an erasure": lambda store: store.begin_erasure(IDS["C"], NOON),
    "erase reservations": lambda store: store.erase_reservations(user_id(1), "erased:1", 10),
}


async def prepare(store: MongoStore, database: PymongoDatabase) -> None:
    """Put the database back to where every operation has something to do."""
    for name in (*KEPT, "products", "batches", "meta"):
        await database.delete_many(name, {})
    await staff(store, "AB")
    await store.add_each([a_product(CUP, external_id="cup"), a_product(HAT)])
    await store.set_details({CUP: ProductDetails("old")})
    await database.insert_many("details", [{"_id": HAT, "metadata": 5}])
    await store.add_key(a_key(1), 10)
    granted(await do(store, reserve(1)))
    await do(store, cancel(1))
    await store._late.finish()


async def what_is_there(database: PymongoDatabase) -> object:
    """All that the store shows, and the restriction that the next one would carry out."""
    turns = await database.find("meta", {"turn": {"$type": "object"}})
    products = await database.find("products", {**VISIBLE}, order=[("_id", 1)])
    # Whether a relay has been there isn't a change that anybody asked for.
    fields = {"ship_at": 0, "shipped": 0}
    return turns, products, [await database.find(name, {}, fields=fields, order=[("_id", 1)]) for name in KEPT]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_an_operation_that_says_so_has_written_nothing(
    database: PymongoDatabase, store: MongoStore, operation: Operation
) -> None:
    for lasts in range(CALLS_MAX):
        await prepare(store, database)
        before = await what_is_there(database)
        try:
            await operation(MongoStore(VanishingDatabase(database, lasts), SystemIds()))
        except StoreUnavailableError:
            assert await what_is_there(database) == before, f"away after {lasts} calls"
        except StoreOutcomeUnknownError:
            assert lasts > 0
        else:
            return
    raise AssertionError("the calls have no end")


async def test_a_restriction_that_may_still_be_carried_out_is_unknown(
    database: PymongoDatabase, store: MongoStore
) -> None:
    """The database goes away when the turn is taken. The next restriction carries it out."""
    await staff(store, "ABC")
    vanishing = VanishingDatabase(database, 6)  # The sixth call takes the turn.
    with pytest.raises(StoreOutcomeUnknownError):
        await MongoStore(vanishing, SystemIds()).restrict(IDS["A"], DEMOTED, NOON)
    assert await able_admins(store) == "ABC"
    assert await store.restrict(IDS["B"], DEMOTED, NOON) is Restricted.DONE
    assert await able_admins(store) == "C"
