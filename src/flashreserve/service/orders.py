"""Orders: reservations with what shipping them needs, which other parts of the database have."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from flashreserve.core.model import Product, Reservation
from flashreserve.stores.port import AccountStore, CatalogueStore


class OrderStore(AccountStore, CatalogueStore, Protocol):
    """The part of a store that orders need."""


class Order(msgspec.Struct, frozen=True):
    """A reservation, the e-mail address of its customer's own account if there is one, and its products by id."""

    reservation: Reservation
    email: str | None
    products: Mapping[str, Product]


class OrderService:
    """Makes orders of reservations."""

    def __init__(self, store: OrderStore) -> None:
        self._store = store

    async def of(self, reservations: Sequence[Reservation]) -> list[Order]:
        """The reservations as orders, in the same order."""
        if not reservations:
            return []
        product_ids = {line.product_id for held in reservations for line in held.lines}
        products = {product.id: product for product in await self._store.products(sorted(product_ids))}
        accounts = await self._store.accounts(sorted({held.user_id for held in reservations}))
        emails = {account.id: account.email for account in accounts}
        return [Order(held, emails.get(held.user_id), products) for held in reservations]
