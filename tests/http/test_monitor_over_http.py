"""The operator's figures: the overview, a product's figures, holds, audits and health."""

import asyncio
from collections.abc import Callable
from typing import Any

import apsw
import pytest
from tests.http.shop import DATABASE, Admin, HttpCustomer, HttpShop, ShopClock

from flashreserve.service import persons

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOR_ADMINS = ["/overview", "/overview/history", "/holds", "/audits", "/health"]
UNKNOWN = "0199f3a2-5b00-7c41-9d2e-000000000000"


async def eventually(admin: Admin, path: str, holds: Callable[[Any], bool]) -> Any:
    """The body of a GET, once `holds` is true of it: the overview is up to two seconds old."""
    async with asyncio.timeout(20):
        while not holds(body := (await admin.ask("GET", path)).granted(200)):  # noqa: ASYNC110 - figures set no event
            await asyncio.sleep(0.05)
    return body


def sale_of(overview: Any, product_id: str) -> Any:
    """The sale of a product in an overview; an empty one if it isn't there."""
    return next((sale for sale in overview["sales"] if sale["id"] == product_id), {})


@pytest.mark.parametrize("path", FOR_ADMINS)
async def test_the_figures_are_for_admins(shop: HttpShop, customer: HttpCustomer, path: str) -> None:
    assert (await shop.ask("GET", path)).code == "unauthenticated"
    assert (await customer.ask("GET", path)).code == "forbidden"


async def test_the_time_is_that_of_the_shop(shop: HttpShop, clock: ShopClock) -> None:
    assert (await shop.ask("GET", "/time")).granted(200) == {"now": clock.instant()}


async def test_the_overview_says_for_each_sale_what_is_available_held_and_sold(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product = await admin.product(stockQuantity=10)
    bought, held, cancelled = [await customer.hold(product, quantity) for quantity in (3, 2, 1)]
    await customer.confirm(bought["id"])
    await customer.cancel(cancelled["id"])
    await admin.give_back(bought["id"], (product, 1))

    overview = await eventually(admin, "/overview", lambda body: sale_of(body, product).get("sold") == 2)
    sale = sale_of(overview, product)
    assert (sale["stockQuantity"], sale["available"], sale["held"], sale["sold"]) == (10, 6, 2, 2)
    await customer.cancel(held["id"])


async def test_the_overview_has_this_process_and_its_role(shop: HttpShop, admin: Admin) -> None:
    overview = (await admin.ask("GET", "/overview")).granted(200)
    (process,) = overview["processes"]
    assert process["role"] == "api"
    assert overview["oldestDueSeconds"] == 0.0


async def test_archived_products_are_no_sales(shop: HttpShop, admin: Admin) -> None:
    product = await admin.product()
    await eventually(admin, "/overview", lambda body: bool(sale_of(body, product)))
    await admin.ask("DELETE", f"/products/{product}")
    await eventually(admin, "/overview", lambda body: not sale_of(body, product))


async def test_the_overview_says_why_all_sales_are_paused(fresh_shop: HttpShop) -> None:
    admin = await fresh_shop.hire()
    await admin.product()
    await admin.ask("POST", "/pause", body={"reason": "Fire alarm"})
    overview = await eventually(admin, "/overview", lambda body: body["shopPauseReason"] == "Fire alarm")
    assert overview["sales"][0]["pauseReason"] == "Fire alarm"


async def test_the_history_counts_grants_purchases_refusals_and_returned_holds_by_second(
    fresh_shop: HttpShop, clock: ShopClock
) -> None:
    admin = await fresh_shop.hire()
    product = await admin.product(stockQuantity=3)
    first, second, third, late = fresh_shop.customers(4)
    (await admin.ask("GET", "/overview")).granted(200)  # Refusals are counted from here on.

    clock.advance(2)
    holds = [await customer.hold(product) for customer in (first, second, third)]
    await first.confirm(holds[0]["id"])
    await second.cancel(holds[1]["id"])
    await third.cancel(holds[2]["id"])
    await admin.edit(product, saleEndsAt=clock.instant(0))
    assert (await late.reserve(product)).code == "not-on-sale"
    clock.advance(2)

    history = await eventually(admin, "/overview/history", lambda body: sum(body["returned"]) == 2)
    assert (history["everySeconds"], len(history["reserved"])) == (1, 900)
    counts = {name: sum(filter(None, history[name])) for name in ("reserved", "bought", "refused", "returned")}
    assert counts == {"reserved": 3, "bought": 1, "refused": 1, "returned": 2}
    assert history["reserved"][-2] == 3
    assert history["refused"][0] is None, "before somebody looked, refusals aren't known"


async def test_a_products_figures_begin_with_its_sale_and_count_units(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, clock: ShopClock
) -> None:
    product = await admin.product(stockQuantity=5, perCustomerLimit=3)
    held = await customer.hold(product, 2)
    clock.advance(1)
    await customer.checkout(held["id"], (product, 1))
    assert (await customer.reserve(product, 3)).code == "limit-reached"
    clock.advance(1)

    figures = (await admin.ask("GET", f"/products/{product}/figures")).granted(200)
    assert (figures["available"], figures["held"], figures["sold"]) == (4, 0, 1)
    assert figures["everySeconds"] == 1
    assert sum(figures["reserved"]) == 2
    assert sum(figures["bought"]) == 1
    assert sum(figures["returned"]) == 1
    assert figures["refusals"] == {"limit-reached": 1}
    assert (await admin.ask("GET", f"/products/{UNKNOWN}/figures")).code == "not-found"


async def test_a_long_sale_is_shown_in_few_points(shop: HttpShop, admin: Admin, clock: ShopClock) -> None:
    product = await admin.product()
    clock.advance(3 * 3600)
    fresh = await shop.hire()  # The first one's token has expired.
    figures = (await fresh.ask("GET", f"/products/{product}/figures")).granted(200)
    assert figures["everySeconds"] == 60
    assert 180 <= len(figures["reserved"]) <= 181


async def test_open_holds_are_counted_by_the_time_at_which_they_lapse(fresh_shop: HttpShop, clock: ShopClock) -> None:
    admin, (one, two, three) = await fresh_shop.hire(), fresh_shop.customers(3)
    soon, later = [await admin.product(holdSeconds=seconds) for seconds in (25, 3_600)]
    await one.hold(soon, 2)
    await two.hold(soon)
    await three.hold(later)

    holds = (await admin.ask("GET", "/holds")).granted(200)
    assert (holds["everySeconds"], len(holds["next"])) == (10, 60)
    assert holds["next"][2] == {"holds": 2, "units": 3}
    assert (holds["lapsed"], holds["later"]) == ({"holds": 0, "units": 0}, {"holds": 1, "units": 1})
    clock.advance(26)
    assert (await admin.ask("GET", "/holds")).granted(200)["lapsed"] == {"holds": 2, "units": 3}


async def test_an_audits_verdict_is_kept_and_shown(fresh_shop: HttpShop) -> None:
    admin, customer = await fresh_shop.hire(), fresh_shop.customer()
    product = await admin.product()
    await customer.hold(product)
    assert (await admin.ask("GET", "/audits")).granted(200) == {"items": []}

    verdict = (await admin.ask("POST", "/audits")).granted()
    assert verdict["clean"]
    assert (verdict["products"], verdict["reservations"], verdict["by"]) == (1, 1, admin.id)
    second = (await admin.ask("POST", "/audits")).granted()
    assert (await admin.ask("GET", "/audits")).granted(200) == {"items": [second, verdict]}
    assert (await admin.ask("GET", "/overview")).granted(200)["audit"] == second


async def test_an_audit_names_the_product_whose_books_do_not_balance(fresh_shop: HttpShop) -> None:
    admin = await fresh_shop.hire()
    product = await admin.product(stockQuantity=10)
    await fresh_shop.store._write(lambda open_: open_.execute("UPDATE products SET available = 9"))

    verdict = (await admin.ask("POST", "/audits")).granted()
    assert not verdict["clean"]
    (difference,) = verdict["differences"]
    assert (difference["productId"], difference["available"], difference["expected"]) == (product, 9, 10)
    await fresh_shop.store._write(lambda open_: open_.execute("UPDATE products SET available = 10"))


async def test_health_shows_checks_versions_and_settings_without_secrets(shop: HttpShop, admin: Admin) -> None:
    health = (await admin.ask("GET", "/health")).granted(200)
    assert {check["name"]: check["ok"] for check in health["checks"]}["database"]
    settings = {each["name"]: each["value"] for each in health["settings"]}
    assert settings["FLASHRESERVE_DATA_DIR"] == str(shop.data_dir)
    assert "good-for-nothing" not in str(health)
    assert {"FlashReserve", "Python", "SQLite"} <= {each["name"] for each in health["versions"]}
    assert "clock" in {finding["what"] for finding in health["findings"]}


async def test_an_empty_shops_first_admin_is_made_by_a_link_once(fresh_shop: HttpShop, clock: ShopClock) -> None:
    link = {"token": fresh_shop.first_admin_token(), "email": "me@example.com", "password": "correct horse battery"}
    path = f"/auth/first-admin?token={link['token']}"
    assert (await fresh_shop.ask("GET", path)).granted(200) == {"open": True}
    made = (await fresh_shop.ask("POST", "/auth/first-admin", body=link)).granted()
    assert (made["email"], made["role"]) == ("me@example.com", "admin")

    assert (await fresh_shop.ask("GET", path)).code == "link-used"
    again = {**link, "email": "you@example.com"}
    assert (await fresh_shop.ask("POST", "/auth/first-admin", body=again)).code == "link-used"
    login = {"email": "me@example.com", "password": link["password"]}
    token = (await fresh_shop.ask("POST", "/auth/login", body=login)).granted(200)["token"]
    signed = {"Authorization": f"Bearer {token}"}
    (await fresh_shop.ask("GET", "/overview", headers=signed)).granted(200)


async def test_of_two_who_use_the_link_at_once_one_becomes_admin(fresh_shop: HttpShop) -> None:
    token = fresh_shop.first_admin_token()
    bodies = [
        {"token": token, "email": f"{name}@example.com", "password": "correct horse battery"} for name in ("me", "you")
    ]
    answers = await asyncio.gather(*[fresh_shop.ask("POST", "/auth/first-admin", body=body) for body in bodies])
    assert sorted(answer.status for answer in answers) == [201, 409]


async def test_the_link_is_good_for_a_day_and_only_as_it_was_signed(fresh_shop: HttpShop, clock: ShopClock) -> None:
    token = fresh_shop.first_admin_token()
    forged = token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
    assert (await fresh_shop.ask("GET", "/auth/first-admin")).fields == ["token"]
    for wrong in ("", "none", forged, fresh_shop.customer().token):
        assert (await fresh_shop.ask("GET", f"/auth/first-admin?token={wrong}")).code == "link-used"
    clock.advance(24 * 3600 + 1)
    assert (await fresh_shop.ask("GET", f"/auth/first-admin?token={token}")).code == "link-used"


async def test_the_first_admins_password_is_checked_as_any_other(fresh_shop: HttpShop) -> None:
    link = {"token": fresh_shop.first_admin_token(), "email": "me@example.com", "password": "short"}
    assert (await fresh_shop.ask("POST", "/auth/first-admin", body=link)).fields == ["password"]
    assert (await fresh_shop.ask("POST", "/auth/first-admin", body={**link, "email": "me"})).fields == ["email"]


async def test_what_is_stored_about_a_customer_can_be_exported(
    shop: HttpShop, admin: Admin, customer: HttpCustomer
) -> None:
    product = await admin.product()
    held = await customer.hold(product)
    exported = (await admin.ask("GET", f"/customers/{customer.id}")).granted(200)
    assert (exported["customerId"], exported["account"]) == (customer.id, None)
    (reservation,) = exported["reservations"]
    assert reservation["id"] == held["id"]
    assert reservation["idempotencyKey"] is not None
    assert (await customer.ask("GET", f"/customers/{customer.id}")).code == "forbidden"
    assert (await admin.ask("GET", "/customers/nobody")).code == "not-found"
    assert (await admin.ask("GET", "/customers/erased:1")).fields == ["id"]


async def test_ids_of_a_shops_own_customers_work_in_addresses(shop: HttpShop, admin: Admin) -> None:
    key = (await admin.ask("POST", "/api-keys", body={"name": "shop", "scopes": ["customers"]})).granted()["key"]
    product, theirs = await admin.product(), "auth0|a/b:c"
    signed = {"Authorization": f"Bearer {key}", "On-Behalf-Of": theirs}
    (await shop.ask("POST", f"/products/{product}/reservations", headers=signed)).granted()
    exported = (await admin.ask("GET", "/customers/auth0%7Ca%2Fb%3Ac")).granted(200)
    assert (exported["customerId"], len(exported["reservations"])) == (theirs, 1)


async def test_an_admin_is_not_erased(shop: HttpShop, admin: Admin) -> None:
    assert (await admin.ask("DELETE", f"/customers/{admin.id}")).code == "still-admin"
    assert (await admin.ask("DELETE", "/customers/nobody")).code == "not-found"


async def test_many_who_ask_for_the_health_at_the_same_time_start_one_process(
    shop: HttpShop, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    start = asyncio.create_subprocess_exec

    async def counting(*command: str, **pipes: Any) -> asyncio.subprocess.Process:
        started.append(command)
        return await start(*command, **pipes)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", counting)
    reports = await asyncio.gather(*[admin.ask("GET", "/health") for _ in range(8)])
    assert all(report.granted(200)["findings"] for report in reports)
    assert len(started) == 1


async def test_a_machine_without_room_for_a_process_still_has_a_health_report(
    shop: HttpShop, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: str, **__: Any) -> asyncio.subprocess.Process:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refused)
    (finding,) = (await admin.ask("GET", "/health")).granted(200)["findings"]
    assert (finding["verdict"], finding["what"]) == ("warn", "doctor")


async def test_an_unreadable_verdict_or_report_is_left_out(fresh_shop: HttpShop) -> None:
    admin = await fresh_shop.hire()
    (await admin.ask("POST", "/audits")).granted()
    with apsw.Connection(str(fresh_shop.data_dir / DATABASE)) as connection:
        connection.execute("UPDATE verdicts SET audit = '{}'")
        connection.execute("UPDATE processes SET counts = '[]'")
    assert (await admin.ask("GET", "/audits")).granted(200) == {"items": []}
    overview = await eventually(admin, "/overview", lambda body: body["audit"] is None)
    assert len(overview["processes"]) == 1


async def test_the_trail_names_the_admin_who_erased_a_customer(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persons, "REFUSED_AFTER_S", 0.0)
    held = await customer.hold(await admin.product())
    erased = (await admin.ask("DELETE", f"/customers/{customer.id}")).granted(200)
    assert erased == {"account": False, "reservations": 1}
    (cancelled,) = [
        event
        for event in (await admin.ask("GET", f"/trail?subject={held['id']}")).granted(200)["items"]
        if event["type"] == "reservation.cancelled"
    ]
    assert cancelled["actor"]["id"] == admin.id
