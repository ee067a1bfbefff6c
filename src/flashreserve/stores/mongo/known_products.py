"""Cache of products, and whether many customers have holds already. Plans may use it, because grants have guards."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from flashreserve.core.commands import Command, Reserve
from flashreserve.core.facts import Facts
from flashreserve.core.model import Product
from flashreserve.core.quotas import NO_QUOTAS, Quotas

PRODUCTS_MAX: Final = 10_000
"""Size of the cache, which keeps the products seen last."""


class KnownProducts:
    """Caches `products` by id, and whether to `count_first`.

    That is so if many customers of the last flush already had a hold. A plan that assumes that they have none
    would then fail by its guards and cost twice as much, so their quotas are counted before planning.
    """

    def __init__(self, quotas: Quotas = NO_QUOTAS) -> None:
        self._quotas = quotas
        self.products: dict[str, Product] = {}
        self.count_first = False

    def learn(self, products: Iterable[Product]) -> None:
        """Add the products to the cache, and evict those that weren't seen for longest."""
        for product in products:
            self.products.pop(product.id, None)
            self.products[product.id] = product
        while len(self.products) > PRODUCTS_MAX:
            del self.products[next(iter(self.products))]

    def forget(self) -> None:
        """Clear the cache, so that the next plan needs facts from the database."""
        self.products.clear()

    def facts_for(self, commands: Sequence[Command]) -> Facts | None:
        """Facts on which the commands may be planned, if they are reserves of known products.

        The facts have no claims, as if no key, limit or quota had been used before. If one has been, R2 is refused and
        the units are given back. So that no other request is told SoldOut meanwhile, twice as many units as asked for
        must be available.
        """
        wanted: Counter[str] = Counter()
        keys = False
        for command in commands:
            if type(command) is not Reserve:
                return None
            keys = keys or command.key is not None
            for line in command.lines:
                wanted[line.product_id] += line.quantity
        products = {id_: self.products[id_] for id_ in wanted if id_ in self.products}
        if len(products) < len(wanted) or not wanted:
            return None
        for product in products.values():
            may_give_back = keys or self._quotas.some or product.per_customer_limit is not None
            if product.available < wanted[product.id] * (2 if may_give_back else 1):
                return None
        return Facts(products=products, reservations={}, claims={}, quotas=self._quotas)
