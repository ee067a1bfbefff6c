"""Short functions by which tests call a store."""

from collections.abc import Sequence
from typing import Any

from tests.core.examples import NOON, reservation_id

from flashreserve.core.commands import Command
from flashreserve.core.model import Product, Reservation
from flashreserve.core.outcomes import Outcome, Unavailable
from flashreserve.stores.filters import ALL_PRODUCTS, ALL_RESERVATIONS, ReservationFilter
from flashreserve.stores.port import Store

_ALL = 100_000
_PAGE = 200
_TRIES_MAX = 5


async def flush(store: Store, *commands: Command, at: int = NOON) -> list[Outcome]:
    """Flush the commands. Returns their outcomes."""
    return list((await store.flush(commands, at)).outcomes)


async def do(store: Store, command: Command, at: int = NOON) -> Outcome:
    """Flush one command alone. Returns its outcome."""
    (outcome,) = await flush(store, command, at=at)
    return outcome


async def do_until_available(store: Store, command: Command) -> Outcome:
    """Like `do`, but retries after `Unavailable`, which concurrent commands can get on a busy machine."""
    for _ in range(_TRIES_MAX - 1):
        outcome = await do(store, command)
        if not isinstance(outcome, Unavailable):
            return outcome
    return await do(store, command)


async def product(store: Store, id_: str) -> Product:
    found = await store.product(id_)
    assert found is not None
    return found


async def available(store: Store, id_: str) -> int:
    return (await product(store, id_)).available


async def reservation(store: Store, number: int) -> Reservation:
    found = await store.reservation(reservation_id(number))
    assert found is not None
    return found


async def everything(store: Store) -> tuple[list[Product], list[Reservation]]:
    """All products and reservations, to check whether anything has changed."""
    return await listed(store, _ALL), await every(store)


async def listed(store: Store, most: int, after: str | None = None) -> list[Product]:
    """The first `most` products with ids above `after`."""
    return (await store.search_products(ALL_PRODUCTS, after, most)).products


async def assert_balanced(store: Store) -> None:
    audit = await store.audit()
    assert audit.complete
    assert audit.differences == []


async def every(
    store: Store, where: ReservationFilter = ALL_RESERVATIONS, *, newest_first: bool = False
) -> list[Reservation]:
    """All reservations that the filter allows, page by page."""
    found, beyond = await store.search_reservations(where, None, _PAGE, NOON, newest_first=newest_first)
    while beyond is not None:
        more, beyond = await store.search_reservations(where, beyond, _PAGE, NOON, newest_first=newest_first)
        found += more
    return found


def counted(outcomes: Sequence[Any]) -> dict[str, int]:
    """The number of outcomes of each type, by the type's name."""
    names = [type(outcome).__name__ for outcome in outcomes]
    return {name: names.count(name) for name in names}
