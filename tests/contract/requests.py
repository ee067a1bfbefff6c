"""Short functions by which tests call a store."""

from collections.abc import Sequence
from typing import Any

from tests.core.examples import NOON, reservation_id

from flashreserve.core.commands import Command
from flashreserve.core.model import Product, Reservation
from flashreserve.core.outcomes import Outcome, Unavailable
from flashreserve.stores.port import Store

_ALL = 100_000
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
    return await store.list_products(None, _ALL), await store.all_reservations(None, _ALL)


async def assert_balanced(store: Store) -> None:
    audit = await store.audit()
    assert audit.complete
    assert audit.differences == []


def counted(outcomes: Sequence[Any]) -> dict[str, int]:
    """The number of outcomes of each type, by the type's name."""
    names = [type(outcome).__name__ for outcome in outcomes]
    return {name: names.count(name) for name in names}
