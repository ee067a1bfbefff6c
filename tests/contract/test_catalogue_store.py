"""Products with external ids, their details, and archived products, through every store."""

import asyncio

import pytest
from msgspec.structs import replace
from tests.contract.requests import assert_balanced, do, flush, listed, product
from tests.core.examples import (
    ANN,
    CUP,
    HAT,
    NOON,
    PEN,
    a_product,
    confirm,
    edit,
    granted,
    product_id,
    reserve,
    restock,
)

from flashreserve.core.model import DetailsEdit, ProductDetails
from flashreserve.core.outcomes import Confirmed, Edited, NotFound, Replayed, Restocked
from flashreserve.stores.filters import ProductFilter
from flashreserve.stores.mongo import search as mongo_search
from flashreserve.stores.port import Store, StoreDefectError
from flashreserve.stores.sqlite import search as sqlite_search

DETAILS = ProductDetails(
    "A cup.\nWith a handle: «é» ☕", "https://shop.example/cup.png?a=1&b=2", {"b.c": "1", "$a": ""}
)


class TestExternalIds:
    async def test_each_product_is_added_unless_its_external_id_is_taken(self, store: Store) -> None:
        first, second = a_product(CUP, external_id="sku-1"), a_product(HAT, external_id="SKU-1")
        assert await store.add_each([first, second]) == [True, True]
        assert await store.add_each([a_product(PEN, external_id="sku-1")]) == [False]
        assert await store.product(PEN) is None
        assert await store.products_by_external_id(["sku-1", "sku-2"]) == [first]

    async def test_of_one_call_the_first_of_an_external_id_is_added(self, store: Store) -> None:
        same = [a_product(id_, external_id="sku-1") for id_ in (CUP, HAT)]
        assert await store.add_each([*same, a_product(PEN)]) == [True, False, True]
        assert [found.id for found in await listed(store, 9)] == [CUP, PEN]

    async def test_products_without_external_ids_are_different(self, store: Store) -> None:
        assert await store.add_each([a_product(CUP), a_product(HAT)]) == [True, True]
        assert await store.products_by_external_id([]) == []

    async def test_an_id_used_twice_is_a_defect(self, store: Store) -> None:
        await store.add_each([a_product(CUP, external_id="sku-1")])
        for other in (a_product(CUP), a_product(CUP, external_id="sku-2")):
            with pytest.raises(StoreDefectError):
                await store.add_each([other])
        assert await product(store, CUP) == a_product(CUP, external_id="sku-1")

    async def test_an_external_id_stays_through_edits_and_movements(self, store: Store) -> None:
        await store.add_each([a_product(CUP, external_id="sku-1")])
        await flush(store, edit(CUP, name="Mug"), restock(1), reserve(1))
        (found,) = await store.products_by_external_id(["sku-1"])
        assert (found.name, found.stocked, found.available) == ("Mug", 11, 10)


class TestFilters:
    async def test_products_are_listed_by_each_field(self, store: Store) -> None:
        await store.add_each(
            [
                a_product(CUP, external_id="sku-1", sale_starts_at=NOON),
                a_product(HAT, external_id="sku-2", sale_ends_at=NOON),
                a_product(PEN, archived_at=NOON),
            ]
        )
        expected = {
            ProductFilter(): [CUP, HAT, PEN],
            ProductFilter(external_id="sku-2"): [HAT],
            ProductFilter(external_id="SKU-2"): [],
            ProductFilter(archived=False): [CUP, HAT],
            ProductFilter(archived=True): [PEN],
            ProductFilter(on_sale_at=NOON): [CUP, PEN],
            ProductFilter(on_sale_at=NOON - 1): [HAT, PEN],
            ProductFilter(external_id="sku-1", archived=False, on_sale_at=NOON): [CUP],
            ProductFilter(off_sale_at=NOON): [HAT],
            ProductFilter(off_sale_at=NOON - 1): [CUP],
            ProductFilter(on_sale_at=NOON - 1, off_sale_at=NOON): [HAT],
            ProductFilter(archived=True, off_sale_at=NOON): [],
        }
        for where, ids in expected.items():
            for most in (1, 2, 9):
                assert await self.search(store, where, most) == ids, where
        assert await store.search_products(ProductFilter(external_id="sku-1"), CUP, 9) == ([], None)

    async def test_a_page_looks_at_a_limited_number_and_the_next_one_goes_on(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in (mongo_search, sqlite_search):
            monkeypatch.setattr(module, "SEARCHED_MAX", 2)
        ids = [product_id(number) for number in range(1, 8)]
        archived = {ids[4], ids[6]}
        await store.add_each(
            [a_product(id_, external_id=id_, archived_at=NOON if id_ in archived else None) for id_ in ids]
        )
        for most in (1, 2, 3, 9):
            assert await self.search(store, ProductFilter(), most) == ids
            assert await self.search(store, ProductFilter(archived=True), most) == sorted(archived)
            assert await self.search(store, ProductFilter(archived=False), most) == [*ids[:4], ids[5]]
            assert await self.search(store, ProductFilter(external_id=ids[5]), most) == [ids[5]]

    async def test_the_last_page_has_no_next_one(self, store: Store) -> None:
        await store.add_each([a_product(CUP), a_product(HAT)])
        assert (await store.search_products(ProductFilter(), None, 2)).beyond is None
        assert (await store.search_products(ProductFilter(), None, 1)).beyond == CUP

    @staticmethod
    async def search(store: Store, where: ProductFilter, most: int) -> list[str]:
        """The ids found, page by page."""
        ids: list[str] = []
        beyond: str | None = None
        for _ in range(20):
            page = await store.search_products(where, beyond, most)
            assert len(page.products) <= most
            ids += [product.id for product in page.products]
            beyond = page.beyond
            if beyond is None:
                return ids
        raise AssertionError("pages without end")


class TestDetails:
    async def test_details_are_kept_apart_from_products(self, store: Store) -> None:
        await store.add_products([a_product(CUP), a_product(HAT)])
        await store.set_details({CUP: DETAILS})
        assert await store.details([CUP, HAT, PEN]) == {CUP: DETAILS}
        assert await product(store, CUP) == a_product(CUP)

    async def test_new_details_replace_all_earlier_ones(self, store: Store) -> None:
        await store.add_products([a_product(CUP), a_product(HAT)])
        await store.set_details({CUP: DETAILS, HAT: DETAILS})
        later = ProductDetails(metadata={"size": "L"})
        await store.set_details({CUP: later})
        assert await store.details([CUP, HAT]) == {CUP: later, HAT: DETAILS}
        await store.set_details({})
        assert await store.details([]) == {}

    @pytest.mark.parametrize("before", [ProductDetails(), DETAILS])
    @pytest.mark.parametrize(
        ("edit", "given"),
        [
            (DetailsEdit(description="$name"), {"description": "$name"}),
            (DetailsEdit(description=None), {"description": None}),
            (DetailsEdit(image_url="https://shop.example/b.png"), {"image_url": "https://shop.example/b.png"}),
            (DetailsEdit(metadata={"$b": "$c"}), {"metadata": {"$b": "$c"}}),
            (DetailsEdit(metadata={}), {"metadata": {}}),
            (
                DetailsEdit(metadata={"a": "1", "b": "2"}, pairs={"a": None, "c": "3"}),
                {"metadata": {"b": "2", "c": "3"}},
            ),
        ],
    )
    async def test_an_edit_changes_what_it_gives(
        self, store: Store, before: ProductDetails, edit: DetailsEdit, given: dict[str, object]
    ) -> None:
        await store.add_products([a_product(CUP), a_product(HAT)])
        if before != ProductDetails():
            await store.set_details({CUP: before})
        await store.set_details({HAT: DETAILS})
        after = replace(before, **given)
        assert await store.edit_details(CUP, edit) == after
        assert await store.details([CUP, HAT]) == {CUP: after, HAT: DETAILS}

    async def test_an_edit_of_single_keys_keeps_the_others(self, store: Store) -> None:
        await store.add_products([a_product(CUP)])
        assert (await store.edit_details(CUP, DetailsEdit(pairs={"b.c": "0", "x": None}))).metadata == {"b.c": "0"}
        await store.set_details({CUP: DETAILS})
        edited = await store.edit_details(CUP, DetailsEdit(pairs={"b.c": "$2", "$a": None, "size": "L", "x": None}))
        assert edited == replace(DETAILS, metadata={"b.c": "$2", "size": "L"})
        assert await store.details([CUP]) == {CUP: edited}

    async def test_concurrent_edits_of_different_fields_are_all_kept(self, stores: tuple[Store, Store]) -> None:
        one, other = stores
        await one.add_products([a_product(CUP)])
        for turn in range(10):
            text = str(turn)
            await asyncio.gather(
                one.edit_details(CUP, DetailsEdit(description=text)),
                other.edit_details(CUP, DetailsEdit(image_url=f"https://shop.example/{text}")),
                one.edit_details(CUP, DetailsEdit(pairs={"a": text})),
                other.edit_details(CUP, DetailsEdit(pairs={"b": text})),
            )
            expected = ProductDetails(text, f"https://shop.example/{text}", {"a": text, "b": text})
            assert await other.details([CUP]) == {CUP: expected}


class TestArchivedProducts:
    async def test_an_archived_product_is_not_sold_and_its_holds_go_on(self, store: Store) -> None:
        await store.add_products([a_product()])
        first = granted(await do(store, reserve(1, key="k")))
        archived = await do(store, edit(CUP, archived=True), at=NOON + 5)
        assert isinstance(archived, Edited)
        assert (archived.product.archived_at, archived.product.rev) == (NOON + 5, 2)
        assert await do(store, reserve(2)) == NotFound("product", CUP)
        assert await do(store, reserve(3, key="k")) == Replayed(first)
        assert isinstance(await do(store, confirm(1, ANN)), Confirmed)
        assert isinstance(await do(store, restock(1)), Restocked)
        await assert_balanced(store)

    async def test_archiving_again_changes_nothing_and_it_can_be_taken_back(self, store: Store) -> None:
        await store.add_products([a_product()])
        first = await do(store, edit(CUP, archived=True))
        assert await do(store, edit(CUP, archived=True), at=NOON + 9) == first
        await do(store, edit(CUP, archived=False))
        assert (await product(store, CUP)).archived_at is None
        granted(await do(store, reserve(1)))

    async def test_a_hold_planned_before_the_archiving_is_refused(self, store: Store) -> None:
        await store.add_products([a_product()])
        granted(await do(store, reserve(1)))  # The store may now know the product.
        await do(store, edit(CUP, archived=True))
        assert await do(store, reserve(2)) == NotFound("product", CUP)
