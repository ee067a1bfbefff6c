"""A shop for testing the rules: a store that is called without an event loop."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.contract.requests import every, listed
from tests.core.examples import NOON, reservation_id

from flashreserve.core.commands import Command
from flashreserve.core.model import Product, Reservation
from flashreserve.core.outcomes import Outcome
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import Store

T = TypeVar("T")
_ALL = 100_000


def finish_now(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("the coroutine waits for something")


class CoreShop:
    """Runs commands on a store whose calls never wait, by default the memory store."""

    def __init__(self, *products: Product, store: Store | None = None) -> None:
        self.store: Store = store or MemoryStore()
        finish_now(self.store.add_products(products))

    def do(self, command: Command, at: int = NOON) -> Outcome:
        """Flush one command alone. Returns its outcome."""
        (outcome,) = self.flush(command, at=at)
        return outcome

    def flush(self, *commands: Command, at: int = NOON) -> list[Outcome]:
        return list(finish_now(self.store.flush(commands, at)).outcomes)

    def product(self, id_: str) -> Product:
        product = finish_now(self.store.product(id_))
        assert product is not None
        return product

    def available(self, id_: str) -> int:
        return self.product(id_).available

    def reservation(self, number: int) -> Reservation:
        reservation = finish_now(self.store.reservation(reservation_id(number)))
        assert reservation is not None
        return reservation

    def state(self) -> tuple[list[Product], list[Reservation]]:
        """All products and reservations of the store."""
        products = finish_now(listed(self.store, _ALL))
        return products, finish_now(every(self.store))
