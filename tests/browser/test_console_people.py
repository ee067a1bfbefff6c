"""What an admin does in the console about customers, programs and the service, compared with what the API says."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import expect
from standardwebhooks import Webhook
from tests.browser.console import Console, admin, console, content_of, context, shop
from tests.http.owner import NEW, OLD, an_owner
from tests.http.shop import Admin, HttpShop, until

from flashreserve.service import persons

__all__ = ["admin", "console", "context", "shop"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


class Receiver:
    """A program that takes deliveries: its address, and what it took."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.taken: list[tuple[bytes, dict[str, str]]] = []

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for body, _ in self.taken]

    def verify(self, secret: str) -> None:
        """Check that the last delivery is signed by this secret."""
        body, headers = self.taken[-1]
        Webhook(secret).verify(body, headers)


@pytest_asyncio.fixture(loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async def take(request: web.Request) -> web.Response:
        opened.taken.append((await request.read(), dict(request.headers)))
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    opened = Receiver(f"http://127.0.0.1:{runner.addresses[0][1]}/hook")
    yield opened
    await runner.cleanup()


async def account_of(admin: Admin, account_id: str) -> Any:
    return (await admin.ask("GET", f"/accounts/{account_id}")).granted(200)


# Customers.


async def test_an_account_is_found_disabled_and_signed_out(console: Console, admin: Admin, shop: HttpShop) -> None:
    owner = await an_owner(shop)
    await console.open("customers", "Customers")
    await console.page.get_by_label("E-mail address or customer's id").fill(owner.email)
    await console.button("Search").click()
    await console.link(owner.email).click()
    await console.heading(owner.email)

    await console.change("Sign out everywhere", effect="has to sign in again")
    await console.told("is signed out everywhere.")
    assert await owner.me() == "unauthenticated"
    await console.change("Disable", effect="can no longer sign in")
    await console.told("can no longer sign in.")
    assert (await owner.login(OLD)).status == 401
    assert (await account_of(admin, owner.id))["disabledAt"] is not None
    await console.change("Enable", effect="can sign in again")
    await console.told("can sign in again.")
    assert (await owner.login(OLD)).status == 200

    await console.change("Make a reset code", effect="no mail")
    await console.told("The code is made.")
    code = await console.page.get_by_role("region", name="Reset code").locator("code").inner_text()
    reset = {"email": owner.email, "code": code, "newPassword": NEW}
    assert (await shop.ask("POST", "/auth/password/reset", body=reset)).status == 204


async def test_a_customer_is_exported_and_erased(
    console: Console, admin: Admin, shop: HttpShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persons, "REFUSED_AFTER_S", 0.1)
    owner = await an_owner(shop)
    product = await admin.product(name="Book", perCustomerLimit=4)
    await owner.ask("POST", f"/products/{product}/reservations", body={"quantity": 2})
    await console.open(f"customers/{owner.id}", owner.email)
    await expect(console.row("Book")).to_contain_text("2")

    async with console.page.expect_download() as saving:
        await console.button("Export everything about this customer").click()
    await console.told("The file is saved.")
    saved = json.loads(await content_of(await saving.value))
    assert saved == (await admin.ask("GET", f"/customers/{owner.id}")).granted(200)
    assert saved["account"]["email"] == owner.email

    await console.change("Erase", {f"To confirm, type {owner.email}": "no"}, effect="can't be undone")
    await expect(console.dialog).to_contain_text("That is not the same.")
    await console.confirm({f"To confirm, type {owner.email}": owner.email})
    await console.heading("Customers")
    await console.told("Erased: the account, and the person in 1 reservation.")
    assert (await admin.ask("GET", f"/accounts/{owner.id}")).code == "not-found"


async def test_a_customer_of_the_shop_has_a_page_too(console: Console, admin: Admin, shop: HttpShop) -> None:
    product = await admin.product(name="Map")
    made = (await admin.ask("POST", "/api-keys", body={"name": "Shop", "scopes": ["customers"]})).granted()
    headers = {"Authorization": f"Bearer {made['key']}", "On-Behalf-Of": "shop:4/2"}
    (await shop.ask("POST", f"/products/{product}/reservations", headers=headers, body={"quantity": 3})).granted()
    await console.open("customers?who=shop:4/2", "Customers")
    await console.link("Open the customer whose id is shop:4/2").click()
    await console.heading("Customer shop:4/2")
    assert console.page.url.endswith("/admin/customers/shop%3A4%2F2")
    await console.shows("This customer has no account here")
    await expect(console.row("Map")).to_contain_text("3")
    await console.page.reload()
    await console.heading("Customer shop:4/2")


# Programs.


async def test_an_api_key_is_made_shown_once_and_revoked(console: Console, shop: HttpShop) -> None:
    await console.open("people", "Keys and people")
    await console.change("Make an API key", {"Name": "Follower"}, effect="It is shown once")
    await expect(console.dialog).to_contain_text("Choose at least one scope.")
    await console.dialog.get_by_label("read: read all reservations").check()
    await console.confirm()
    await console.told("The key Follower is made.")
    secret = console.page.get_by_role("region", name="Key Follower")
    key = await secret.locator("code").inner_text()
    headers = {"Authorization": f"Bearer {key}"}
    assert (await shop.ask("GET", "/events", headers=headers)).status == 200

    await console.page.reload()
    await expect(console.row("Follower")).to_contain_text("Works")
    await expect(secret).to_have_count(0)
    await console.change("Revoke Follower", effect="in every process within 10 seconds")
    await console.told("The key Follower is revoked.")
    await expect(console.row("Follower")).to_contain_text("Revoked")
    assert (await shop.ask("GET", "/events", headers=headers)).status == 401


async def test_an_endpoint_is_added_tested_rotated_and_removed(
    console: Console, admin: Admin, receiver: Receiver
) -> None:
    await console.open("webhooks", "Webhooks")
    await console.button("Add an endpoint").click()
    await console.dialog.get_by_label("URL").fill("ftp://example.com")
    await console.confirm()
    await expect(console.dialog.get_by_label("URL")).to_have_attribute("aria-invalid", "true")
    await console.dialog.get_by_label("All, also those of later versions").uncheck()
    await console.dialog.get_by_label("product.stocked").check()
    await console.confirm({"URL": receiver.url})
    await console.told("The endpoint is added.")
    secret = console.page.get_by_role("region", name=f"Secret of {receiver.url}").locator("code")
    first = await secret.inner_text()
    await console.link(receiver.url).click()
    await console.heading("Endpoint")

    await console.change("Send a test", effect="endpoint.tested")
    await console.told("The test was delivered: answered 204")
    receiver.verify(first)
    await admin.restock(await admin.product(), 1)
    await expect(console.row("Delivered")).to_have_count(1)
    assert receiver.types() == ["endpoint.tested", "product.stocked"]
    await console.row("Delivered").get_by_role("button", name="Resend").click()
    await console.confirm()
    await console.told("The event (product.stocked) is sent once more.")
    await until(lambda: receiver.types()[2:] == ["product.stocked"])

    await console.change("Rotate the secret", effect="For 24 hours")
    await console.told("The secret is rotated.")
    second = await secret.inner_text()
    assert second != first
    await console.change("Send a test")
    await expect(console.page.locator(".notice")).to_contain_text("The test was delivered")
    receiver.verify(second)
    await change_and_remove(console, admin)


async def change_and_remove(console: Console, admin: Admin) -> None:
    """Edit, disable, enable and remove the endpoint whose page is shown."""
    endpoint = f"/webhooks/{console.page.url.rpartition('/')[2]}"
    await console.button("Edit").click()
    await console.dialog.get_by_label("product.paused").check()
    await console.confirm()
    await console.told("The endpoint is changed.")
    assert (await admin.ask("GET", endpoint)).json["events"] == ["product.stocked", "product.paused"]
    await console.change("Disable", effect="Nothing more is sent")
    await console.told("The endpoint is disabled.")
    await console.shows("Disabled by an admin")
    await console.change("Enable", {"Replay from": "2026-01-01T00:00:00"}, effect="or again from a time on")
    await console.told("The endpoint is enabled.")
    assert (await admin.ask("GET", endpoint)).json["disabledAt"] is None
    await console.change("Remove", effect="Nothing more is sent to it")
    await console.heading("Webhooks")
    await console.told("The endpoint is removed.")
    assert (await admin.ask("GET", endpoint)).code == "not-found"


async def test_the_types_of_events_are_those_of_the_api(console: Console, admin: Admin) -> None:
    document = (await admin.ask("GET", "/openapi.json")).granted(200)
    known = document["components"]["schemas"]["EndpointBody"]["properties"]["events"]["items"]["enum"]
    await console.open("webhooks", "Webhooks")
    await console.button("Add an endpoint").click()
    offered = await console.dialog.locator("[name=events]").evaluate_all("(all) => all.map(({ value }) => value)")
    assert sorted(offered) == sorted(known)


async def test_an_admin_is_made_and_made_a_customer_again(console: Console, admin: Admin, shop: HttpShop) -> None:
    owner = await an_owner(shop)
    label = "E-mail address of the account"
    await console.open("people", "Keys and people")
    await console.change("Make an admin", {label: "nobody@example.com"}, effect="may do everything in this console")
    await expect(console.dialog).to_contain_text("No account has the address nobody@example.com.")
    await console.confirm({label: owner.email})
    await console.told(f"{owner.email} is an admin now.")
    await expect(console.row(owner.email)).to_have_count(1)
    assert (await account_of(admin, owner.id))["role"] == "admin"

    await console.change(f"Demote to customer: {owner.email}", effect="is signed out of the console")
    await console.told(f"{owner.email} is a customer now.")
    await expect(console.row(owner.email)).to_have_count(0)
    assert (await account_of(admin, owner.id))["role"] == "customer"


# The service.


async def test_an_audit_is_run(console: Console, admin: Admin) -> None:
    await console.open("audit", "Audit")
    await console.shows("There was no audit yet.")
    await console.change("Run an audit now", effect="changes nothing")
    await console.told("The audit is done: The books are right.")
    (verdict,) = (await admin.ask("GET", "/audits")).granted(200)["items"]
    assert verdict["clean"]
    await expect(console.row("The books are right.")).to_contain_text(f"{verdict['products']} product")
    await console.open("", "Today")
    await expect(console.fact("Last audit")).to_contain_text("The books are right.")


async def test_the_health_is_copied_as_a_report(console: Console, admin: Admin) -> None:
    await console.open("health", "Health")
    await expect(console.row("database").first).to_contain_text("OK")
    await console.button("Copy a report").click()
    await console.shows("Copied.")
    report = await console.page.evaluate("navigator.clipboard.readText()")
    for check in (await admin.ask("GET", "/health")).granted(200)["checks"]:
        assert check["name"] in report
    assert "FLASHRESERVE_STREAMS_MAX=" in report

    await console.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()) }")
    await console.button("Copy a report").click()
    shown = console.page.get_by_label("Select the text and copy it")
    await expect(shown).to_be_visible()
    assert await console.page.evaluate("document.activeElement.value.includes('FLASHRESERVE_STREAMS_MAX=')")
