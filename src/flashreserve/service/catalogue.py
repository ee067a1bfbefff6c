"""Products: their rules, their prices and their stock."""

from collections.abc import Sequence

import msgspec

from flashreserve.clock import Ids
from flashreserve.combiner import Combiner
from flashreserve.core.catalogue import refuse_product
from flashreserve.core.commands import Edit, Restock
from flashreserve.core.model import Product
from flashreserve.core.outcomes import Invalid, NotFound, Outcome
from flashreserve.stock_view import Sight, StockView
from flashreserve.stores.port import CatalogueStore


class NewProduct(msgspec.Struct, frozen=True):
    """A product to be created. Its fields are those of `Product`."""

    name: str
    price: int
    currency: str
    stocked: int
    sale_starts_at: int | None
    sale_ends_at: int | None
    per_customer_limit: int | None
    hold_s: int
    extensions_max: int


class CatalogueService:
    """Creates, edits and restocks products for admins, and reads them for everybody."""

    def __init__(self, store: CatalogueStore, combiner: Combiner, view: StockView, ids: Ids) -> None:
        self._store = store
        self._combiner = combiner
        self._view = view
        self._ids = ids

    async def create(self, new: NewProduct) -> Product | Invalid:
        """Make one product."""
        made = await self.create_all([new])
        return made[0] if isinstance(made, list) else made[1]

    async def create_all(self, new: Sequence[NewProduct]) -> list[Product] | tuple[int, Invalid]:
        """Make all products or none. If none, returns the index of the first invalid product, and its fault."""
        now = self._combiner.now()
        products = [self._product(each, now) for each in new]
        for place, product in enumerate(products):
            refusal = refuse_product(product)
            if refusal is not None:
                return place, refusal
        await self._store.add_products(products)
        return products

    def _product(self, new: NewProduct, now: int) -> Product:
        return Product(
            id=self._ids.new(),
            available=new.stocked,
            created_at=now,
            updated_at=now,
            **msgspec.structs.asdict(new),
        )

    async def edit(self, edit: Edit) -> Outcome:
        """Change a product's description or rules."""
        return await self._combiner.submit(edit)

    async def restock(self, restock: Restock) -> Outcome:
        """Put stock in or take it out, once under the command's key."""
        return await self._combiner.submit(restock)

    async def product(self, product_id: str) -> Product | NotFound:
        """The product as it is now."""
        product = await self._store.product(product_id)
        return product if product is not None else NotFound("product", product_id)

    async def stock(self, product_id: str) -> Sight | NotFound:
        """The product's stock, at most 250 ms old."""
        sight = await self._view.look(product_id)
        return sight if sight is not None else NotFound("product", product_id)

    def stock_seen(self, product_id: str) -> Sight | None:
        """The product's stock without asking the database; None if it isn't in view."""
        return self._view.seen(product_id)

    async def products(self, after: str | None, most: int) -> list[Product]:
        """A page of products, oldest first, with ids above `after`."""
        return await self._store.list_products(after, most)
