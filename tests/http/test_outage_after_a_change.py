"""An outage that begins once a change is made: nobody is told that nothing was changed."""

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from tests.http.owner import NEW, OLD, Owner, an_owner
from tests.http.shop import Admin, HttpAnswer, HttpShop

from flashreserve.core.model import DetailsEdit, Product
from flashreserve.service.catalogue import NewProduct, Put
from flashreserve.service.imports import ImportedProduct, ProductImport
from flashreserve.service.persons import PersonService
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

pytestmark = pytest.mark.asyncio(loop_scope="module")

AwayAfter = Callable[[str], None]


@pytest_asyncio.fixture(loop_scope="module")
async def away_after(shop: HttpShop, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AwayAfter]:
    """Lets the database go away right after the next call of a method of the store."""

    def away_after(name: str) -> None:
        write = getattr(shop.store, name)

        async def and_away(*args: Any) -> Any:
            written = await write(*args)
            monkeypatch.setattr(shop.store, name, write)
            shop.store.away = True
            return written

        monkeypatch.setattr(shop.store, name, and_away)

    yield away_after
    shop.store.heal()


@pytest_asyncio.fixture(loop_scope="module")
async def owner(shop: HttpShop) -> Owner:
    return await an_owner(shop)


def is_unknown(answer: HttpAnswer) -> bool:
    """Whether the answer says so, and asks for no idempotency key: these requests have none."""
    return (answer.status, answer.code) == (503, "outcome-unknown") and "look at" in answer.json["detail"]


async def test_a_password_that_is_changed(shop: HttpShop, owner: Owner, away_after: AwayAfter) -> None:
    away_after("set_password")
    body = {"oldPassword": OLD, "newPassword": NEW}
    assert is_unknown(await owner.ask("POST", "/auth/password", body=body))

    shop.store.heal()
    assert (await owner.login(NEW)).status == 200


@pytest.mark.parametrize(("write", "valid"), [("use_reset_code", OLD), ("set_password", NEW)])
async def test_a_password_that_is_reset(
    shop: HttpShop, admin: Admin, owner: Owner, away_after: AwayAfter, write: str, valid: str
) -> None:
    code = (await admin.ask("POST", f"/accounts/{owner.id}/reset-code")).granted()["code"]
    away_after(write)
    body = {"email": owner.email, "code": code, "newPassword": NEW}
    assert is_unknown(await shop.ask("POST", "/auth/password/reset", body=body))

    shop.store.heal()
    assert (await shop.ask("POST", "/auth/password/reset", body=body)).code == "wrong-code"
    assert (await owner.login(valid)).status == 200


async def test_a_sign_out(shop: HttpShop, owner: Owner, away_after: AwayAfter) -> None:
    away_after("sign_out")
    assert is_unknown(await owner.ask("POST", "/auth/logout-everywhere"))

    shop.store.heal()
    await shop.core.access.refresh()
    assert await owner.me() == "unauthenticated"


@pytest.mark.parametrize(
    ("action", "write", "shown"),
    [("disable", "restrict", ("disabledAt", None)), ("promote", "set_role", ("role", "CUSTOMER"))],
)
async def test_an_account_that_is_changed(
    shop: HttpShop,
    admin: Admin,
    owner: Owner,
    away_after: AwayAfter,
    action: str,
    write: str,
    shown: tuple[str, Any],
) -> None:
    away_after(write)
    assert is_unknown(await admin.ask("POST", f"/accounts/{owner.id}/{action}"))

    shop.store.heal()
    member, before = shown
    assert (await admin.ask("GET", f"/accounts/{owner.id}")).granted(200)[member] != before


async def test_a_key_that_is_made_and_revoked(shop: HttpShop, admin: Admin, away_after: AwayAfter) -> None:
    away_after("add_key")
    made = (await admin.ask("POST", "/api-keys", body={"name": "Backend", "scopes": ["read"]})).granted()
    shop.store.heal()
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert (await shop.ask("GET", "/reservations", headers=headers)).status == 200

    away_after("revoke_key")
    assert (await admin.ask("DELETE", f"/api-keys/{made['apiKey']['id']}")).status == 204
    shop.store.heal()
    await shop.core.access.refresh()
    assert (await shop.ask("GET", "/reservations", headers=headers)).status == 401


async def test_an_endpoint_that_is_enabled(shop: HttpShop, admin: Admin, away_after: AwayAfter) -> None:
    body = {"url": "https://shop.example/hooks", "events": ["*"]}
    path = f"/webhooks/{(await admin.ask('POST', '/webhooks', body=body)).granted()['id']}"
    (await admin.ask("POST", f"{path}/disable")).granted(200)
    away_after("skip_groups")
    assert is_unknown(await admin.ask("POST", f"{path}/enable"))

    shop.store.heal()
    assert (await admin.ask("GET", path)).granted(200)["disabledAt"] is not None
    assert (await admin.ask("POST", f"{path}/enable")).granted(200)["disabledAt"] is None


@pytest.mark.parametrize("what", ["change a password", "reset a password", "sign out", "disable"])
async def test_all_is_done_if_only_the_list_of_sign_outs_can_not_be_read(
    shop: HttpShop, admin: Admin, owner: Owner, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    code = (await admin.ask("POST", f"/accounts/{owner.id}/reset-code")).granted()["code"]

    async def away(since: int, most: int) -> dict[str, int]:
        raise StoreUnavailableError("unplugged")

    monkeypatch.setattr(shop.store, "signed_out_since", away)
    match what:
        case "change a password":
            body = {"oldPassword": OLD, "newPassword": NEW}
            changed = (await owner.ask("POST", "/auth/password", body=body)).granted(200)
            assert await owner.me(changed["token"]) == "signed in"
        case "reset a password":
            body = {"email": owner.email, "code": code, "newPassword": NEW}
            assert (await shop.ask("POST", "/auth/password/reset", body=body)).status == 204
        case "sign out":
            assert (await owner.ask("POST", "/auth/logout-everywhere")).status == 204
        case _:
            assert (await admin.ask("POST", f"/accounts/{owner.id}/disable")).status == 200

    monkeypatch.undo()
    await shop.core.access.refresh()
    assert await owner.me() == "unauthenticated"


async def test_a_command_that_promotes(shop: HttpShop, owner: Owner, away_after: AwayAfter) -> None:
    away_after("set_role")
    with pytest.raises(StoreOutcomeUnknownError):
        await shop.core.accounts.promote(owner.email)


async def test_a_command_that_erases(shop: HttpShop, owner: Owner, away_after: AwayAfter) -> None:
    async def pause(_: float) -> None:
        """Nothing to wait for."""

    persons = PersonService(shop.store, shop.core.books.reservations, shop.core.books.clock, pause)
    away_after("begin_erasure")
    with pytest.raises(StoreOutcomeUnknownError):
        await persons.erase(owner.id)


async def test_a_product_that_is_made_with_details(shop: HttpShop, admin: Admin, away_after: AwayAfter) -> None:
    away_after("add_each")
    body = {
        "name": "Cup",
        "price": "1.00",
        "stockQuantity": 1,
        "externalId": "made-once",
        "description": "With a handle",
    }
    assert is_unknown(await admin.ask("POST", "/products", body=body))

    shop.store.heal()
    assert (await admin.ask("POST", "/products", body=body)).code == "external-id-taken"
    put = (await admin.ask("PUT", "/products/by-external-id/made-once", body=body)).granted(200)
    assert put["description"] == "With a handle"


async def test_a_product_that_is_edited(shop: HttpShop, admin: Admin, away_after: AwayAfter) -> None:
    product_id = await admin.product()
    away_after("flush_late")
    assert is_unknown(await admin.ask("PATCH", f"/products/{product_id}", body={"name": "Mug"}))

    shop.store.heal()
    assert (await shop.ask("GET", f"/products/{product_id}")).granted(200)["name"] == "Mug"


def imported(external_id: str, name: str) -> ImportedProduct:
    new = NewProduct(name, 0, "EUR", 1, None, None, None, 600, 3, external_id)
    return ImportedProduct(new, Decimal(1), DetailsEdit(description=f"{name}, of steel"), frozenset({"name"}))


async def test_an_import_that_makes_products(shop: HttpShop, away_after: AwayAfter) -> None:
    imports = ProductImport(shop.core.books.catalogue, shop.store)
    wanted = [imported("import-made", "Cup")]
    away_after("add_each")
    with pytest.raises(StoreOutcomeUnknownError):
        await imports.run(wanted)

    shop.store.heal()
    again = await imports.run(wanted)
    assert isinstance(again, list)
    assert [(put.change, put.shown.details.description) for put in again] == [("changed", "Cup, of steel")]


@pytest.mark.parametrize(("name", "error"), [("Mug", StoreOutcomeUnknownError), ("Cup", StoreUnavailableError)])
async def test_an_import_of_which_some_products_are_changed(
    shop: HttpShop, monkeypatch: pytest.MonkeyPatch, name: str, error: type[Exception]
) -> None:
    """The database is away for the first of two products. The second one is changed, or stays the same."""
    imports = ProductImport(shop.core.books.catalogue, shop.store)
    names = [f"import-{name}-{number}" for number in range(2)]
    made = await imports.run([imported(external_id, "Cup") for external_id in names])
    assert isinstance(made, list)
    read, lost = shop.store.product, made[0].shown.product.id

    async def away_for_one(product_id: str) -> Product | None:
        if product_id == lost:
            raise StoreUnavailableError("unplugged")
        return await read(product_id)

    with monkeypatch.context() as away:
        away.setattr(shop.store, "product", away_for_one)
        with pytest.raises(error):
            await imports.run([imported(external_id, name) for external_id in names])
    assert [put.shown.product.name for put in await _looked_at(imports, names)] == ["Cup", name]


async def _looked_at(imports: ProductImport, names: list[str]) -> list[Put]:
    """The products as an import finds them that gives none of their fields."""
    nothing = [ImportedProduct(imported(each, "-").new, Decimal(1), DetailsEdit(), frozenset()) for each in names]
    found = await imports.run(nothing)
    assert isinstance(found, list)
    return found
