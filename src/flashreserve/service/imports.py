"""Imports: many products at once, from a file of the shop's. An import can be repeated, and then changes nothing."""

import asyncio
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

import msgspec
from msgspec.structs import replace

from flashreserve.core import limits, money
from flashreserve.core.catalogue import refuse_product
from flashreserve.core.commands import Edit
from flashreserve.core.model import DetailsEdit, Product, ProductDetails
from flashreserve.core.outcomes import Invalid, Outcome, OutcomeUnknown
from flashreserve.service.catalogue import NO_DETAILS, CatalogueService, NewProduct, Put, ShownProduct
from flashreserve.stores.outages import after_a_change
from flashreserve.stores.port import CatalogueStore, StoreOutcomeUnknownError

_READ_TOGETHER: Final = 500
_EDITED_TOGETHER: Final = 200

_PASSES_MAX: Final = 3
"""How often an import begins again with products that others made at the same time."""


class ImportedProduct(msgspec.Struct, frozen=True):
    """One product of an import. An existing one takes over the fields in `given`, and keeps the others.

    The price of `new` is still 0. `price` is the decimal that the file has: its smallest unit depends on the currency,
    which is that of the existing product if it isn't given.
    """

    new: NewProduct
    price: Decimal
    details: DetailsEdit
    given: frozenset[str]

    def priced(self, currency: str) -> NewProduct | Invalid:
        """The product with its price in this currency."""
        price = money.parse_price(self.price, currency)
        return price if isinstance(price, Invalid) else replace(self.new, price=price, currency=currency)


class ImportRefused(msgspec.Struct, frozen=True):
    """The product at this place is refused.

    Nothing was changed, unless `begun`: then some products were made or changed, and the same import goes on.
    """

    place: int
    refusal: Outcome
    begun: bool = False


class ProductImport:
    """Imports products."""

    def __init__(self, catalogue: CatalogueService, store: CatalogueStore) -> None:
        self._catalogue = catalogue
        self._store = store

    async def run(self, wanted: Sequence[ImportedProduct]) -> list[Put] | ImportRefused:
        """Make the products that don't exist yet, and edit those whose external id exists.

        An existing product keeps its stock and its currency. A product without an external id is always made. No
        external id may occur twice. All products are checked first. Only a limit that can't be lowered any more, or
        what somebody else changes at the same time, is noticed later.

        Returns:
            For each product what was done, or the first one that is refused.

        Raises:
            StoreUnavailableError: nothing was changed.
            StoreOutcomeUnknownError: some products may have been made or changed. The same import goes on.
        """
        done: dict[int, Put] = {}
        with after_a_change(lambda: _has_begun(done)):
            for _ in range(_PASSES_MAX):
                left = [place for place in range(len(wanted)) if place not in done]
                refused = await self._pass(wanted, left, done)
                if refused is not None:
                    return refused
                if len(done) == len(wanted):
                    return [done[place] for place in range(len(wanted))]
        raise RuntimeError("products that exist weren't found by their external ids")

    async def _pass(
        self, wanted: Sequence[ImportedProduct], places: Iterable[int], done: dict[int, Put]
    ) -> ImportRefused | None:
        named = [wanted[place].new.external_id for place in places]
        known = await self._known([external_id for external_id in named if external_id is not None])
        shown = await self._details([product.id for product in known.values()])
        edits: dict[int, Edit] = {}
        made: dict[int, Product] = {}
        for place in places:
            each = wanted[place]
            found = known.get(each.new.external_id or "")
            step = self._new(each) if found is None else _edit(found, shown.get(found.id, NO_DETAILS), each)
            match step:
                case Invalid():
                    return ImportRefused(place, step, _has_begun(done))
                case Edit():
                    edits[place] = step
                case Product():
                    made[place] = step
        refused = await self._edit(wanted, edits, done)
        if refused is None:
            await self._make(wanted, made, done)
        return refused

    def _new(self, wanted: ImportedProduct) -> Product | Invalid:
        new = wanted.priced(wanted.new.currency)
        return new if isinstance(new, Invalid) else self._catalogue.prepared(new)

    async def _known(self, external_ids: Sequence[str]) -> dict[str, Product]:
        found: dict[str, Product] = {}
        for at in range(0, len(external_ids), _READ_TOGETHER):
            for product in await self._store.products_by_external_id(external_ids[at : at + _READ_TOGETHER]):
                found[product.external_id or ""] = product
        return found

    async def _details(self, product_ids: Sequence[str]) -> dict[str, ProductDetails]:
        found: dict[str, ProductDetails] = {}
        for at in range(0, len(product_ids), _READ_TOGETHER):
            found |= await self._store.details(product_ids[at : at + _READ_TOGETHER])
        return found

    async def _edit(
        self, wanted: Sequence[ImportedProduct], edits: dict[int, Edit], done: dict[int, Put]
    ) -> ImportRefused | None:
        places = list(edits)
        for at in range(0, len(places), _EDITED_TOGETHER):
            some = places[at : at + _EDITED_TOGETHER]
            work = [self._catalogue.revise(edits[place], wanted[place].details) for place in some]
            outcomes = await asyncio.gather(*work, return_exceptions=True)
            done |= {place: put for place, put in zip(some, outcomes, strict=True) if isinstance(put, Put)}
            if any(isinstance(outcome, OutcomeUnknown | StoreOutcomeUnknownError) for outcome in outcomes):
                raise StoreOutcomeUnknownError("whether some products were changed isn't known")
            for place, outcome in zip(some, outcomes, strict=True):
                if isinstance(outcome, BaseException):
                    raise outcome
                if not isinstance(outcome, Put):
                    return ImportRefused(place, outcome, _has_begun(done))
        return None

    async def _make(self, wanted: Sequence[ImportedProduct], made: dict[int, Product], done: dict[int, Put]) -> None:
        """Make new products. Those that somebody else has made meanwhile are left for the next pass."""
        details = {}
        for (place, product), is_new in zip(made.items(), await self._store.add_each(list(made.values())), strict=True):
            if is_new:
                after = wanted[place].details.apply(NO_DETAILS)
                if after != NO_DETAILS:
                    details[product.id] = after
                done[place] = Put(ShownProduct(product, after), "made")
        await self._store.set_details(details)


def _edit(found: Product, shown: ProductDetails, wanted: ImportedProduct) -> Edit | Invalid:
    """The edit that makes the existing product as wanted."""
    if "currency" in wanted.given and wanted.new.currency != found.currency:
        return Invalid("currency", f"expected {found.currency}: a product's currency can't change")
    new = wanted.priced(found.currency)
    if isinstance(new, Invalid):
        return new
    pairs = len(wanted.details.apply(shown).metadata)
    if pairs > limits.METADATA_PAIRS_MAX:
        return Invalid("metadata", f"expected at most {limits.METADATA_PAIRS_MAX} keys; with its others it has {pairs}")
    fields = {field: getattr(new, field) for field in _EDITABLE & wanted.given}
    return refuse_product(replace(found, **fields)) or Edit(found.id, **fields)


_EDITABLE: Final = frozenset(Edit.__struct_fields__) & frozenset(NewProduct.__struct_fields__)


def _has_begun(done: dict[int, Put]) -> bool:
    return any(put.change != "unchanged" for put in done.values())
