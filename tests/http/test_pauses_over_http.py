"""Pausing and resuming sales over HTTP."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
import uuid_utils
from tests.http.shop import Admin, HttpAnswer, HttpCustomer, HttpShop, ShopClock, new_key

from flashreserve.core.limits import REASON_LENGTH_MAX
from flashreserve.service.pauses import SETTLING_S_MAX, PauseService, SalePause
from flashreserve.stores.port import StoreUnavailableError
from flashreserve.stores.sqlite import catalogue

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHY: Final = "a fault in the price"
PAUSED: Final = {"paused": True, "settling": 0}
RESUMED: Final = {"paused": False, "settling": 0}


async def pause(admin: Admin, product_id: str | None = None, reason: object = WHY) -> HttpAnswer:
    return await admin.ask("POST", _path(product_id, "pause"), body={"reason": reason})


async def resume(admin: Admin, product_id: str | None = None) -> HttpAnswer:
    return await admin.ask("POST", _path(product_id, "resume"))


def _path(product_id: str | None, what: str) -> str:
    return f"/{what}" if product_id is None else f"/products/{product_id}/{what}"


async def shown(shop: HttpShop, product_id: str) -> Any:
    return (await shop.ask("GET", f"/products/{product_id}")).granted(200)["pauseReason"]


async def test_a_paused_product_is_shown_with_the_reason_and_reserved_by_nobody(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product_id, other = await admin.product(), await admin.product()

    assert (await pause(admin, product_id)).granted(200) == PAUSED
    refused = await customer.reserve(product_id)
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (403, "sale-paused", "30")
    assert (refused.json["reason"], refused.json["productId"]) == (WHY, product_id)
    assert (await customer.reserve_basket((other, 1), (product_id, 1))).code == "sale-paused"
    assert await shown(shop, product_id) == WHY
    assert [item["pauseReason"] async for item in admin.pages("/products") if item["id"] == product_id] == [WHY]
    assert await shown(shop, other) is None

    assert (await resume(admin, product_id)).granted(200) == RESUMED
    (await customer.reserve(product_id, key=new_key())).granted()
    assert await shown(shop, product_id) is None


async def test_holds_are_bought_extended_and_cancelled_during_a_pause(admin: Admin, customer: HttpCustomer) -> None:
    product_id = await admin.product(maxExtensions=1)
    held = [(await customer.hold(product_id))["id"] for _ in range(2)]
    (await pause(admin, product_id)).granted(200)

    (await customer.extend(held[0])).granted(200)
    (await customer.confirm(held[0])).granted(200)
    (await customer.cancel(held[1])).granted(200)


async def test_all_sales_are_paused_and_those_of_new_products(fresh_shop: HttpShop) -> None:
    admin, customer = await fresh_shop.hire(), fresh_shop.customer()
    old = await admin.product()
    assert (await pause(admin)).granted(200) == PAUSED
    made = (await admin.create(metadata={"a": "b"})).granted()
    put = (
        await admin.ask("PUT", "/products/by-external-id/x", body={"name": "x", "price": "1", "stockQuantity": 1})
    ).granted()

    assert [made["pauseReason"], put["pauseReason"], await shown(fresh_shop, old)] == [WHY] * 3
    for product_id in (old, made["id"], put["id"]):
        assert (await customer.reserve(product_id)).code == "sale-paused"

    assert (await resume(admin, old)).granted(200) == PAUSED  # because those of all are
    (await pause(admin, put["id"], "another")).granted(200)
    assert (await resume(admin)).granted(200) == RESUMED
    assert [await shown(fresh_shop, id_) for id_ in (old, made["id"], put["id"])] == [None, None, "another"]
    (await customer.reserve(old, key=new_key())).granted()  # the stock view may refuse without a key for 250 ms


async def test_a_reason_is_one_visible_line(shop: HttpShop, admin: Admin) -> None:
    product_id = await admin.product()
    for reason in ("", " ", "a\nb", "a\u202eb", "x" * (REASON_LENGTH_MAX + 1), None, 1):
        for of in (product_id, None):
            answer = await pause(admin, of, reason)
            assert (answer.status, answer.fields) == (400, ["reason"]), reason
    for body in ({}, {"reason": WHY, "until": "noon"}, None):
        assert (await admin.ask("POST", f"/products/{product_id}/pause", body=body)).status in {400, 415}
    assert await shown(shop, product_id) is None

    longest = "ü" * REASON_LENGTH_MAX
    (await pause(admin, product_id, f"  {longest} ")).granted(200)
    assert await shown(shop, product_id) == longest
    assert (await admin.ask("POST", f"/products/{product_id}/resume", body={"reason": WHY})).fields == ["body"]


async def test_an_unknown_product_is_not_found(admin: Admin) -> None:
    nowhere = str(uuid_utils.uuid7())
    assert (await pause(admin, nowhere)).code == "not-found"
    assert (await resume(admin, nowhere)).code == "not-found"
    assert (await pause(admin, "SKU-1")).fields == ["id"]


async def test_only_admins_and_keys_for_the_catalogue_may_pause(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product_id = await admin.product()
    keys = {
        scope: (await admin.ask("POST", "/api-keys", body={"name": scope, "scopes": [scope]})).granted()["key"]
        for scope in ("catalogue", "read", "customers")
    }
    for what, body in (("pause", {"reason": WHY}), ("resume", None)):
        for path in (f"/products/{product_id}/{what}", f"/{what}"):
            assert (await shop.ask("POST", path, body=body)).status == 401
            assert (await customer.ask("POST", path, body=body)).status == 403
            for scope, key in keys.items():
                answer = await shop.ask("POST", path, body=body, headers={"Authorization": f"Bearer {key}"})
                assert answer.status == (200 if scope == "catalogue" else 403), (path, scope)
    (await resume(admin)).granted(200)


# Waiting for the movements under way.


class SettlingStore:
    """A store with some open movements, one fewer at each look."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.looks: list[str | None] = []

    async def pause_all(self, reason: str, by: str, at: int) -> None:
        """Nothing to do."""

    async def settling(self, product_id: str | None) -> int:
        self.looks.append(product_id)
        self.left -= 1
        return self.left


@pytest.mark.parametrize(("open_movements", "answered", "looks"), [(1, 0, 1), (5, 0, 5), (1_000, 899, 101)])
async def test_a_pause_waits_until_nothing_is_under_way_or_five_seconds(
    shop: HttpShop, open_movements: int, answered: int, looks: int
) -> None:
    clock, store = ShopClock(frozen=True), SettlingStore(open_movements)

    async def wait(seconds: float) -> None:
        clock.advance(seconds)

    service = PauseService(store, shop.core.books.combiner, clock, wait)  # type: ignore[arg-type]
    assert await service.pause_all(WHY, "an admin") == SalePause(paused=True, settling=answered)
    assert abs(len(store.looks) - looks) <= (looks > 100)
    assert clock.monotonic() - 1_000.0 <= SETTLING_S_MAX + 0.06


# Outages.


@pytest_asyncio.fixture(loop_scope="module")
async def healing(shop: HttpShop, admin: Admin) -> AsyncIterator[None]:
    yield
    shop.store.heal()
    (await resume(admin)).granted(200)


@pytest.mark.usefixtures("healing")
@pytest.mark.parametrize("of_all", [True, False])
async def test_an_outage_after_the_pause_is_answered_as_unknown(
    shop: HttpShop, admin: Admin, monkeypatch: pytest.MonkeyPatch, *, of_all: bool
) -> None:
    product_id = await admin.product()

    async def away(_: str | None) -> int:
        raise StoreUnavailableError("unplugged")

    monkeypatch.setattr(shop.store, "settling", away)
    answer = await pause(admin, None if of_all else product_id)
    assert (answer.status, answer.code) == (503, "outcome-unknown")
    assert await shown(shop, product_id) == WHY


@pytest.mark.usefixtures("healing")
async def test_a_product_that_is_made_and_can_not_be_read_is_answered_as_unknown(
    shop: HttpShop, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: str) -> None:
        raise StoreUnavailableError("unplugged")

    monkeypatch.setattr(shop.store, "product", away)
    assert (await admin.create()).code == "outcome-unknown"


@pytest.mark.usefixtures("healing")
async def test_an_outage_in_the_middle_of_pausing_all_is_answered_as_unknown(
    shop: HttpShop, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    products = [await admin.product() for _ in range(2)]
    monkeypatch.setattr(catalogue, "_PAUSED_AT_ONCE", 1)
    write = shop.store._write

    async def and_away(work: Any) -> Any:
        written = await write(work)
        shop.store.away = True
        return written

    monkeypatch.setattr(shop.store, "_write", and_away)
    assert (await pause(admin)).code == "outcome-unknown"

    monkeypatch.undo()
    shop.store.heal()
    (await pause(admin)).granted(200)
    assert [await shown(shop, product_id) for product_id in products] == [WHY, WHY]


@pytest.mark.usefixtures("healing")
async def test_an_outage_before_the_pause_is_answered_as_unavailable(shop: HttpShop, admin: Admin) -> None:
    product_id = await admin.product()
    key = (await admin.ask("POST", "/api-keys", body={"name": "k", "scopes": ["catalogue"]})).granted()["key"]
    await shop.core.access.refresh()
    shop.store.away = True
    for path in (f"/products/{product_id}/pause", "/pause"):
        answer = await shop.ask("POST", path, body={"reason": WHY}, headers={"Authorization": f"Bearer {key}"})
        assert answer.code == "unavailable"
    shop.store.heal()
    assert await shown(shop, product_id) is None
