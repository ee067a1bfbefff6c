"""The products and customers as this process saw them last: good enough to plan grants on, as each is guarded."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from flashreserve.core.commands import Command, Reserve
from flashreserve.core.facts import Facts
from flashreserve.core.model import Product
from flashreserve.core.quotas import NO_QUOTAS, Quotas

PRODUCTS_MAX: Final = 10_000
"""Products that are remembered, those seen last."""


class KnownProducts:
    """Remembers `products`, by id, and whether customers are `returning`.

    They are where many of the last flush's had a hold already. A plan that supposes that nobody has any would then be
    refused by its guards and cost twice as much, so their quotas are counted first.
    """

    def __init__(self, quotas: Quotas = NO_QUOTAS) -> None:
        self._quotas = quotas
        self.products: dict[str, Product] = {}
        self.returning = False

    def learn(self, products: Iterable[Product]) -> None:
        """Remember the products as they are now; forget what hasn't been seen for longest."""
        for product in products:
            self.products.pop(product.id, None)
            self.products[product.id] = product
        while len(self.products) > PRODUCTS_MAX:
            del self.products[next(iter(self.products))]

    def forget(self) -> None:
        """Remember nothing, so that the next plan needs facts from the database."""
        self.products.clear()

    def facts_for(self, commands: Sequence[Command]) -> Facts | None:
        """Facts on which the commands may be planned, if they are reserves of known products.

        They hold no claim, as if no key had been seen before and no limit or quota been used. One that has is found out
        when R2 is refused, and its units are given back; so that nobody else is sold out meanwhile, twice as many units
        as are asked for must be there.
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
