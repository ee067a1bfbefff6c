"""Products and their details on the MongoDB server."""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from flashreserve.calls import CALL_S, PATIENT_S, patience
from flashreserve.core.events import BY_COMMAND_LINE
from flashreserve.core.model import DetailsEdit, Product, ProductDetails
from flashreserve.stores.filters import ProductFilter, ProductsFound
from flashreserve.stores.mongo import pauses, product_import
from flashreserve.stores.mongo.database import Database, Document
from flashreserve.stores.mongo.documents import (
    PRODUCT_FIELDS,
    VISIBLE,
    details_change,
    details_document,
    details_from,
    id_of,
    product_from,
    readable,
)
from flashreserve.stores.mongo.intents import IdSource
from flashreserve.stores.mongo.known_products import KnownProducts
from flashreserve.stores.mongo.search import search_products
from flashreserve.stores.outages import after_a_change
from flashreserve.stores.port import CatalogueStore, StoreDefectError
from flashreserve.stores.unreadable import UnreadableItems


class MongoCatalogue(CatalogueStore):
    """Its methods are documented in `flashreserve.stores.port`."""

    def __init__(self, database: Database, ids: IdSource, known: KnownProducts, aside: UnreadableItems) -> None:
        self._database = database
        self._ids = ids
        self._known = known
        self._aside = aside

    @override
    async def add_products(self, products: Sequence[Product], by: str = BY_COMMAND_LINE) -> None:
        with patience(PATIENT_S if len(products) > 1 else CALL_S):
            await product_import.add(self._database, self._ids, products, by)

    @override
    async def pause_all(self, reason: str, by: str, at: int) -> None:
        with patience(PATIENT_S):
            await pauses.change_all(self._database, reason, by, at)

    @override
    async def resume_all(self, by: str, at: int) -> None:
        with patience(PATIENT_S):
            await pauses.change_all(self._database, None, by, at)

    @override
    async def shop_pause(self) -> str | None:
        return (await pauses.read(self._database)).reason

    @override
    async def settling(self, product_id: str | None) -> int:
        return await pauses.settling(self._database, product_id)

    @override
    async def product(self, product_id: str) -> Product | None:
        found = await self.products([product_id])
        return found[0] if found else None

    @override
    async def products(self, product_ids: Sequence[str]) -> list[Product]:
        query = {"_id": {"$in": list(product_ids)}, **VISIBLE}
        found = self._readable_products(await self._database.find("products", query, fields=PRODUCT_FIELDS))
        self._known.learn(found)
        return found

    @override
    async def add_each(self, products: Sequence[Product], by: str = BY_COMMAND_LINE) -> list[bool]:
        if not products:
            return []
        with patience(PATIENT_S if len(products) > 1 else CALL_S):
            refused = await self._database.insert_many(
                "products", [product_import.new_document(product, by) for product in products]
            )
            added = [product.id for place, product in enumerate(products) if place not in refused]
            with after_a_change(lambda: bool(added)):
                await pauses.start_if_possible(self._database, added)
                taken = {product.external_id: product.id for product in await self._with_ids_of(products, refused)}
        for place in refused:
            if taken.get(products[place].external_id) in {None, products[place].id}:
                raise StoreDefectError("an id that should be new is in use")
        return [place not in refused for place in range(len(products))]

    async def _with_ids_of(self, products: Sequence[Product], places: Sequence[int]) -> list[Product]:
        """The products in the database that have the external ids of those at `places`."""
        wanted = [id_ for place in places if (id_ := products[place].external_id) is not None]
        return await self._by_external_ids(wanted, current=True) if wanted else []

    @override
    async def products_by_external_id(self, external_ids: Sequence[str]) -> list[Product]:
        return await self._by_external_ids(external_ids)

    async def _by_external_ids(self, external_ids: Sequence[str], *, current: bool = False) -> list[Product]:
        # With the type in the query, MongoDB can use the partial index.
        query = {"external_id": {"$in": list(external_ids), "$type": "string"}, **VISIBLE}
        found = await self._database.find("products", query, fields=PRODUCT_FIELDS, current=current)
        return self._readable_products(found)

    @override
    async def set_details(self, details: Mapping[str, ProductDetails]) -> None:
        documents = [details_document(id_, each) for id_, each in details.items()]
        if not documents:
            return
        existing = await self._database.insert_many("details", documents)
        replaced = 0
        with after_a_change(lambda: replaced > 0 or len(existing) < len(documents)):
            for place in existing:
                fields = {name: value for name, value in documents[place].items() if name != "_id"}
                await self._database.find_one_and_update(
                    "details", {"_id": documents[place]["_id"]}, {"$set": fields}, fields={"_id": 1}
                )
                replaced += 1

    @override
    async def edit_details(self, product_id: str, edit: DetailsEdit) -> ProductDetails:
        after = edit.apply(ProductDetails())
        if not await self._database.insert_many("details", [details_document(product_id, after)]):
            return after
        found = await self._database.find_one_and_update("details", {"_id": product_id}, details_change(edit))
        if found is None:
            raise StoreDefectError("a product's details were deleted, which nothing does")
        known = readable([found], details_from)
        if product_id not in known:  # Details that can't be read count as none, so the edit is all that there is.
            with after_a_change():
                await self.set_details({product_id: after})
        return known.get(product_id, after)

    @override
    async def details(self, product_ids: Sequence[str]) -> dict[str, ProductDetails]:
        found = await self._database.find("details", {"_id": {"$in": list(product_ids)}})
        return readable(found, details_from)

    @override
    async def search_products(self, where: ProductFilter, beyond: str | None, most: int) -> ProductsFound:
        found, after = await search_products(self._database, where, beyond, most)
        return ProductsFound(self._readable_products(found), after)

    def _readable_products(self, documents: Sequence[Document]) -> list[Product]:
        return self._aside.readable("product", documents, id_of, product_from)


def above(after: str | None) -> dict[str, Any]:
    """The query of a page: ids above `after`."""
    return {"_id": {"$gt": after}} if after else {}
