"""Products: their rules, their prices, their stock, and what a shop shows of them."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec.structs import asdict

from flashreserve.clock import Ids
from flashreserve.combiner import Combiner
from flashreserve.core.catalogue import refuse_product
from flashreserve.core.commands import Edit, Restock
from flashreserve.core.events import BY_COMMAND_LINE
from flashreserve.core.model import DetailsEdit, Product, ProductDetails
from flashreserve.core.outcomes import Edited, ExternalIdTaken, Invalid, NotFound, Outcome
from flashreserve.stock_view import Sight, StockView
from flashreserve.stores.filters import ProductFilter
from flashreserve.stores.outages import after_a_change
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
    external_id: str | None = None


class ShownProduct(msgspec.Struct, frozen=True):
    """A product with its details."""

    product: Product
    details: ProductDetails


class ShownProductsFound(NamedTuple):
    """`ProductsFound` with details."""

    products: list[ShownProduct]
    beyond: str | None


class Put(msgspec.Struct, frozen=True):
    """The result of `put`, and what it did."""

    shown: ShownProduct
    change: Literal["made", "changed", "unchanged"]


NO_DETAILS: Final = ProductDetails()

_ONCE_ONLY: Final = frozenset({"stocked", "currency", "external_id"})
"""Fields of a new product that `put` doesn't change later. Stock is changed by restocking, once for each key."""


class CatalogueService:
    """Creates, edits and restocks products for admins, and reads them for everybody.

    `by` is the name under which a change is recorded; see `core.events.actor_named`.
    """

    def __init__(self, store: CatalogueStore, combiner: Combiner, view: StockView, ids: Ids) -> None:
        self._store = store
        self._combiner = combiner
        self._view = view
        self._ids = ids

    async def create(
        self, new: NewProduct, details: ProductDetails = NO_DETAILS, by: str = BY_COMMAND_LINE
    ) -> ShownProduct | Invalid | ExternalIdTaken:
        """Make one product."""
        product = self.prepared(new)
        if isinstance(product, Invalid):
            return product
        (added,) = await self._store.add_each([product], by)
        if not added:
            found = await self._by_external_id(new.external_id)
            return ExternalIdTaken(new.external_id or "", found.id if found is not None else "")
        with after_a_change():
            if details != NO_DETAILS:
                await self._store.set_details({product.id: details})
            # The store adds the reason if all sales are paused.
            return ShownProduct(await self._store.product(product.id) or product, details)

    async def put(self, new: NewProduct, details: ProductDetails, by: str = BY_COMMAND_LINE) -> Put | Outcome:
        """Make the product, or edit the one that has its external id. The stock of an existing one stays as it is."""
        found = await self._by_external_id(new.external_id)
        if found is None:
            made = await self.create(new, details, by)
            if isinstance(made, ShownProduct):
                return Put(made, "made")
            found = await self._by_external_id(new.external_id) if isinstance(made, ExternalIdTaken) else None
            if found is None:
                return made
        if found.currency != new.currency:
            return Invalid("currency", f"expected {found.currency}: a product's currency can't change")
        fields = {name: value for name, value in asdict(new).items() if name not in _ONCE_ONLY}
        wanted = DetailsEdit(details.description, details.image_url, details.metadata)
        return await self.revise(Edit(found.id, **fields, by=by), wanted)

    def prepared(self, new: NewProduct) -> Product | Invalid:
        """The product as it will be made, with an id; or the reason why it can't be."""
        now = self._combiner.now()
        product = Product(id=self._ids.new(), available=new.stocked, created_at=now, updated_at=now, **asdict(new))
        return refuse_product(product) or product

    async def revise(self, edit: Edit, details: DetailsEdit) -> Put | Outcome:
        """The same as `change`, and whether it changed anything."""
        found = await self._store.product(edit.product_id)
        before = (None if found is None else found.rev, await self._details_of(edit.product_id))
        shown = await self.change(edit, details)
        if not isinstance(shown, ShownProduct):
            return shown
        return Put(shown, "unchanged" if (shown.product.rev, shown.details) == before else "changed")

    async def edit(self, edit: Edit) -> Outcome:
        """Change a product's name, price or rules."""
        return await self._combiner.submit(edit)

    async def change(self, edit: Edit, details: DetailsEdit) -> ShownProduct | Outcome:
        """Change a product as `edit` does, and then its details."""
        outcome = await self.edit(edit)
        if not isinstance(outcome, Edited):
            return outcome
        with after_a_change():
            shown = await self._details_of(edit.product_id)
            if details.apply(shown) != shown:
                # Only the given fields are written: others may have changed the rest since it was read.
                shown = await self._store.edit_details(edit.product_id, details)
        return ShownProduct(outcome.product, shown)

    async def restock(self, restock: Restock) -> Outcome:
        """Put stock in or take it out, once under the command's key."""
        return await self._combiner.submit(restock)

    async def product(self, product_id: str) -> ShownProduct | NotFound:
        """The product as it is now."""
        product = await self._store.product(product_id)
        if product is None:
            return NotFound("product", product_id)
        return ShownProduct(product, await self._details_of(product_id))

    async def stock(self, product_id: str) -> Sight | NotFound:
        """The product's stock, at most 250 ms old."""
        sight = await self._view.look(product_id)
        return sight if sight is not None else NotFound("product", product_id)

    def stock_seen(self, product_id: str) -> Sight | None:
        """The product's stock without asking the database; None if it isn't in view."""
        return self._view.seen(product_id)

    async def search(self, where: ProductFilter, beyond: str | None, most: int) -> ShownProductsFound:
        """A page of the products that `where` allows, as `CatalogueStore.search_products` gives it."""
        products, after = await self._store.search_products(where, beyond, most)
        return ShownProductsFound(await self._with_details(products), after)

    async def _with_details(self, products: Sequence[Product]) -> list[ShownProduct]:
        details = await self._store.details([product.id for product in products])
        return [ShownProduct(product, details.get(product.id, NO_DETAILS)) for product in products]

    async def _by_external_id(self, external_id: str | None) -> Product | None:
        found = [] if external_id is None else await self._store.products_by_external_id([external_id])
        return found[0] if found else None

    async def _details_of(self, product_id: str) -> ProductDetails:
        return (await self._store.details([product_id])).get(product_id, NO_DETAILS)
