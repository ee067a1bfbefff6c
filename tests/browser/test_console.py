"""What an admin does in the console about products, sales and reservations, compared with what the API says."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from playwright.async_api import Request, Route, expect
from tests.browser.console import Console, admin, console, content_of, context, shop
from tests.http.owner import an_owner
from tests.http.shop import Admin, HttpShop

__all__ = ["admin", "console", "context", "shop"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

ID_AT_THE_END: Final = re.compile(r"/demo/[0-9a-f-]{36}$")


async def product_of(admin: Admin, product_id: str) -> Any:
    return (await admin.ask("GET", f"/products/{product_id}")).granted(200)


async def reservation_of(admin: Admin, reservation_id: str) -> Any:
    return (await admin.ask("GET", f"/reservations/{reservation_id}")).granted(200)


async def events_of(admin: Admin, subject: str) -> list[str]:
    trail = (await admin.ask("GET", f"/trail?subject={subject}")).granted(200)
    return [event["type"] for event in trail["items"]]


# Products.


async def test_a_product_is_added_with_errors_at_their_fields(console: Console, admin: Admin) -> None:
    page = console.page
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kolkata"})
    await console.open("products/new", "Add a product")
    await console.button("Add the product").click()
    await expect(page.get_by_label("Name", exact=True)).to_be_focused()
    for label, value in {"Name": "Sneaker 42", "Price": "12.345", "Units in stock": "50"}.items():
        await page.get_by_label(label, exact=True).fill(value)
    await console.button("Add the product").click()
    price = page.get_by_label("Price", exact=True)
    await expect(price).to_have_attribute("aria-invalid", "true")
    await expect(price).to_be_focused()
    await price.fill("129.90")
    await page.get_by_label("Currency").fill("eur")
    await page.get_by_label("The sale opens").fill("2030-05-01T10:00:00")
    await console.shows("In UTC: 2030-05-01 04:30:00")
    await page.get_by_label("Hold time in minutes").fill("2.5")
    await console.button("Add the product").click()
    await console.told("Sneaker 42 is added.")

    await expect(console.link("Its page in the storefront")).to_have_attribute("href", ID_AT_THE_END)
    await console.link("Its page in the console").click()
    await console.heading("Sneaker 42")
    made = await product_of(admin, page.url.rpartition("/")[2])
    assert (made["price"], made["currency"], made["stockQuantity"], made["holdSeconds"]) == ("129.90", "EUR", 50, 150)
    assert made["saleStartsAt"] == "2030-05-01T04:30:00.000Z"
    await console.shows("Made with 50 units at €129.90.")


async def test_a_half_typed_opening_is_refused_and_nothing_goes_on_sale(console: Console, admin: Admin) -> None:
    page = console.page
    await console.open("products/new", "Add a product")
    for label, value in {"Name": "Tea pot", "Price": "12.00", "Units in stock": "3"}.items():
        await page.get_by_label(label, exact=True).fill(value)
    opens = page.get_by_label("The sale opens")
    await opens.press_sequentially("12012030")  # A date, and no time: the field's value is empty.
    await console.button("Add the product").click()
    await console.shows("Type both the date and the time, or neither.")
    await expect(opens).to_be_focused()
    found = (await admin.ask("GET", "/products?limit=200")).granted(200)["items"]
    assert "Tea pot" not in {product["name"] for product in found}

    await opens.fill("2030-12-01T09:00:00")
    await console.button("Add the product").click()
    await console.told("Tea pot is added. The sale opens Dec 1, 2030")


async def test_an_edit_sends_only_what_was_changed(console: Console, admin: Admin) -> None:
    product = await admin.product(name="Lamp", price="20.00", description="Green")
    sent: list[Any] = []

    def note(request: Request) -> None:
        if request.method == "PATCH":
            sent.append(request.post_data_json)

    console.page.on("request", note)
    await console.open(f"products/{product}", "Lamp")
    await console.change("Edit", {"Price": "x"}, effect="Customers see the changes at once.")
    await expect(console.dialog).to_contain_text("Expected a number such as 999.99.")
    await console.confirm({"Price": "18.50"})
    await console.told("Lamp is changed.")

    assert sent == [{"price": "x"}, {"price": "18.50"}]
    assert (await product_of(admin, product))["price"] == "18.50"
    await console.shows("Changed: Price from “20.00” to “18.50”.")


async def test_a_restock_whose_answer_is_lost_counts_once(console: Console, admin: Admin) -> None:
    product = await admin.product(name="Chair", stockQuantity=10)

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await console.open(f"products/{product}", "Chair")
    await console.page.route("**/stock", lose, times=1)
    await console.change("Restock", {"Units to put in": "+5"}, effect="Available now: 10 of 10 units.")
    await expect(console.dialog).to_contain_text("Send it again: it counts once.")
    console.errors.clear()  # That of the lost answer.
    away = {"status": 503, "detail": "the database is away"}
    await console.page.route("**/stock", lambda route: route.fulfill(status=503, json=away), times=1)
    await console.confirm()
    await expect(console.dialog).to_contain_text("The database is away.")
    console.errors.clear()  # That of the refusal.
    await console.page.reload()
    await console.heading("Chair")
    await console.change("Restock", effect="The outcome of this change was not known.")
    await console.told("5 units put in: 15 in stock, 15 available.")

    assert (await product_of(admin, product))["stockQuantity"] == 15
    assert await events_of(admin, product) == ["product.created", "product.stocked"]
    await console.shows("Put in 5 units: 15 in stock, 15 available.")
    await console.change("Restock", {"Units to put in": "-16"})
    await expect(console.dialog.get_by_role("alert")).to_contain_text("15 units can be taken out")
    await console.button("Cancel").click()
    await expect(console.button("Restock")).to_be_focused()


async def test_a_product_is_archived_and_taken_back(console: Console, admin: Admin, shop: HttpShop) -> None:
    product = await admin.product(name="Table", stockQuantity=4)
    await shop.customer().hold(product, 3)
    await console.open(f"products/{product}", "Table")
    await console.shows("3 held")
    await console.change("Archive", effect="3 units on hold stay held")
    await console.told("Table is archived.")
    assert (await product_of(admin, product))["archived"] is True

    await console.open("products?archived=true", "Products")
    await console.link("Table").click()
    await console.change("Take back from the archive", effect="1 unit can be reserved")
    await console.told("Table is listed again.")
    assert (await product_of(admin, product))["archived"] is False


async def test_a_product_has_its_figures_and_its_requests_as_curl(
    console: Console, admin: Admin, shop: HttpShop
) -> None:
    product = await admin.product(name="It's new", stockQuantity=2, perCustomerLimit=1)
    customer = shop.customer()
    await customer.confirm((await customer.hold(product))["id"])
    assert (await customer.reserve(product)).code == "limit-reached"
    await console.open(f"products/{product}", "It's new")
    await console.shows("The customer's limit was reached")
    await console.shows("1 sold")
    await console.page.get_by_text("The same as a table").click()
    await expect(console.page.locator("figure").get_by_role("row").filter(has_text="1")).not_to_have_count(0)

    await console.button("Copy the making of this product as curl").click()
    await console.shows("Copied.")
    copied = await console.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"curl '{shop.url}/products' \\\n")
    assert r'"name":"It' "'\\''s new" in copied
    assert "Authorization: Bearer $TOKEN" in copied


# Sales.


async def test_a_sale_is_paused_resumed_and_opened(console: Console, admin: Admin, shop: HttpShop) -> None:
    starts = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    product = await admin.product(name="Ticket", stockQuantity=40)
    late = await admin.product(name="Late ticket", saleStartsAt=starts)
    await shop.customer().hold(product, 7)
    await console.open("", "Today")
    card = console.page.get_by_role("listitem").filter(has_text="Ticket").filter(has_text="7 held")
    await expect(card).to_contain_text("33 available")

    await console.change(
        "Pause Ticket", {"Reason": "The price is wrong"}, effect="7 units on hold stay held, and can still be paid"
    )
    await console.told("Ticket is paused: nobody gets new units.")
    await expect(card).to_contain_text("Paused: The price is wrong")
    assert (await product_of(admin, product))["pauseReason"] == "The price is wrong"
    await console.change("Resume Ticket", effect="33 units are available")
    await console.told("Ticket is on sale again.")
    assert (await product_of(admin, product))["pauseReason"] is None

    await console.change("Open now: Late ticket", effect="Units on sale: 10.")
    await console.told("Late ticket is open.")
    await expect(console.button("Open now: Late ticket")).to_have_count(0)
    opened = await product_of(admin, late)
    assert abs(datetime.fromisoformat(opened["saleStartsAt"]) - datetime.now(UTC)) < timedelta(minutes=1)


async def test_the_pause_of_all_sales_is_a_banner_on_every_page(console: Console, admin: Admin) -> None:
    product = await admin.product(name="Poster")
    await console.open("", "Today")
    await console.change("Pause all sales", effect="nor of those that you add during the pause")
    await expect(console.dialog).to_contain_text("Needed.")
    await console.confirm({"Reason": "An outage"})
    await console.told("The sale of all products is paused: nobody gets new units.")
    assert (await product_of(admin, product))["pauseReason"] == "An outage"
    await console.open("health", "Health")
    banner = console.page.get_by_role("region", name="Pause of all sales")
    await expect(banner).to_contain_text("All sales are paused. An outage")

    await console.page.get_by_role("link", name="Today").click()
    await console.change("Resume all sales", effect="Customers can reserve again at once.")
    await console.told("The sale of all products is on sale again.")
    await expect(banner).to_have_count(0)
    assert (await product_of(admin, product))["pauseReason"] is None


# Reservations and holds.


async def test_reservations_are_found_and_saved_by_the_same_filter(
    console: Console, admin: Admin, shop: HttpShop
) -> None:
    owner = await an_owner(shop)
    product = await admin.product(name="Vase", stockQuantity=100)
    held = (await owner.ask("POST", f"/products/{product}/reservations", body={"externalId": "order-7"})).granted()
    await shop.hold_for_each(shop.customers(3), product)
    await console.open("reservations", "Reservations")
    await console.page.get_by_label("Customer's e-mail address").fill(owner.email)
    await console.button("Search").click()
    await expect(console.page.get_by_role("status").filter(has_text="Found: 1.")).to_have_count(1)
    await expect(console.row("Vase")).to_have_count(1)
    await console.page.reload()
    await expect(console.row("Vase")).to_have_count(1)
    await console.open(f"reservations?externalId=order-7&status=PENDING&productId={product}", "Reservations")
    await expect(console.page.get_by_label("Product")).to_have_value(product)
    await expect(console.row("Vase")).to_have_count(1)

    async with console.page.expect_download() as saving:
        await console.link("These as a CSV file").click()
    rows = list(csv.DictReader(io.StringIO(await content_of(await saving.value))))
    assert [row["reservationId"] for row in rows] == [held["id"]]
    await console.open("reservations?email=nobody@example.com", "Reservations")
    await console.shows("No account has the address nobody@example.com.")
    await console.open(f"reservations?productId={product}&to=2020-01-01T00:00:00Z", "Reservations")
    await console.shows("No reservation fits.")


async def test_lists_have_pages(console: Console, admin: Admin, shop: HttpShop) -> None:
    product = await admin.product(name="Cup", stockQuantity=100)
    await shop.hold_for_each(shop.customers(60), product)
    await console.open(f"reservations?productId={product}", "Reservations")
    await expect(console.row("Cup")).to_have_count(50)
    await console.link("Next page").click()
    await expect(console.row("Cup")).to_have_count(10)
    await console.page.go_back()
    await expect(console.row("Cup")).to_have_count(50)


async def test_a_hold_is_cancelled_and_a_purchase_returned(console: Console, admin: Admin, shop: HttpShop) -> None:
    product = await admin.product(name="Bowl", stockQuantity=10)
    customer = shop.customer()
    held, bought = await customer.hold(product, 2), await customer.hold(product, 3)
    await customer.confirm(bought["id"])
    await console.open(f"reservations/{held['id']}", "Reservation")
    await console.change("Cancel the hold", effect="2 units go back on sale at once")
    await console.told("The hold is cancelled: 2 units are on sale again.")
    await console.shows("The hold was cancelled: 2 units went back on sale.")
    assert (await reservation_of(admin, held["id"]))["status"] == "CANCELLED"

    await console.open(f"reservations/{bought['id']}", "Reservation")
    await console.button("Return units").click()
    units = console.dialog.get_by_label("Bowl: units to return, of 3")
    await units.fill("4")
    await console.dialog.locator("[type=submit]").click()
    await expect(console.dialog).to_contain_text("Expected a whole number from 0 to 3.")
    await units.fill("1")
    await console.confirm({"Reason": "Broken"})
    await console.told("1 unit is returned, and on sale again.")
    assert (await reservation_of(admin, bought["id"]))["lines"][0]["returned"] == 1
    await console.shows("Returned 1 unit: refund them.")
    await expect(console.row("Bowl")).to_contain_text("$1,999.98")


async def test_holds_are_counted_by_their_end_and_released(console: Console, admin: Admin, shop: HttpShop) -> None:
    product = await admin.product(name="Clock", stockQuantity=10, holdSeconds=300)
    held = await shop.customer().hold(product, 2)
    await console.open("holds", "Holds")
    await expect(console.row("Clock")).to_have_count(1)
    counted = (await admin.ask("GET", "/holds")).granted(200)
    await console.page.get_by_text("The same as a table").click()
    await expect(console.page.locator("figure").get_by_role("row")).to_have_count(1 + len(counted["next"]))
    await console.change(f"Release hold {held['id']}", effect="2 units go back on sale at once")
    await console.told("The hold is cancelled")
    await expect(console.row("Clock")).to_have_count(0)
    assert (await reservation_of(admin, held["id"]))["status"] == "CANCELLED"
