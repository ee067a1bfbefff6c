"""Accounts over HTTP: register, sign in and out, and the permissions of each role."""

import asyncio
import json
import re
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.http.shop import Admin, HttpAnswer, HttpCustomer, HttpShop, ShopClock, all_of, new_key, open_shop

from flashreserve.auth.metrics_token import RATE
from flashreserve.auth.passwords import Argon2Cost
from flashreserve.auth.throttle import Rate, TryRates
from flashreserve.core.model import Role
from flashreserve.http.operations import OPERATIONS
from flashreserve.http.operations.operation import Who

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "correct horse"
PROXY = "127.0.0.1"
Credentials = dict[str, str]


class RegisteredCustomer:
    """An account and its credentials."""

    def __init__(self, credentials: Credentials, account: Any) -> None:
        self.credentials = credentials
        self.account = account
        self.mistyped = {**credentials, "password": "correct house"}


@pytest_asyncio.fixture(loop_scope="module")
async def ann(shop: HttpShop) -> RegisteredCustomer:
    return await registered(shop)


async def registered(shop: HttpShop) -> RegisteredCustomer:
    credentials = somebody()
    return RegisteredCustomer(credentials, (await shop.ask("POST", "/auth/register", body=credentials)).granted())


def somebody() -> Credentials:
    """Credentials without an account."""
    return {"email": f"{new_key()}@example.com", "password": PASSWORD}


async def log_in(shop: HttpShop, credentials: Credentials, **headers: str) -> HttpAnswer:
    return await shop.ask("POST", "/auth/login", body=credentials, headers=headers)


def cookies(answer: HttpAnswer) -> dict[str, Morsel[str]]:
    """The cookies that an answer sets, by name."""
    return {name: morsel for line in answer.headers.getall("Set-Cookie") for name, morsel in SimpleCookie(line).items()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_who_registers_is_a_customer_whose_password_is_told_to_nobody(shop: HttpShop, clock: ShopClock) -> None:
    ann = await registered(shop)

    assert ann.account == {
        "id": ann.account["id"],
        "email": ann.credentials["email"],
        "role": "customer",
        "createdAt": clock.instant(),
    }
    (row,) = [row for row in shop.records()["accounts"] if row[0] == ann.account["id"]]
    assert PASSWORD not in str(row)
    assert "$argon2id$" in str(row)


async def test_an_email_registers_once_however_it_is_written(shop: HttpShop, ann: RegisteredCustomer) -> None:
    email = ann.credentials["email"]
    before = shop.records()

    for spelling in (email, email.upper(), f"  {email} "):
        answer = await shop.ask("POST", "/auth/register", body={"email": spelling, "password": PASSWORD})
        assert (answer.status, answer.code) == (409, "email-taken"), spelling

    assert shop.records() == before


async def test_of_registrations_of_one_email_at_once_one_wins(shop: HttpShop) -> None:
    ann = somebody()

    answers = await all_of([shop.ask("POST", "/auth/register", body=ann) for _ in range(5)])

    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409]


async def test_the_token_of_a_login_opens_the_account_as_bearer_and_as_cookie(
    shop: HttpShop, ann: RegisteredCustomer, clock: ShopClock
) -> None:
    answer = await log_in(shop, ann.credentials)

    login = answer.granted(200)
    assert login["expiresAt"] == clock.instant(3600)
    assert cookies(answer)["token"].value == login["token"]
    for headers in (bearer(login["token"]), {"Cookie": f"other=1; token={login['token']}; device=x"}):
        assert (await shop.ask("GET", "/auth/me", headers=headers)).granted(200) == ann.account


async def test_the_cookies_of_a_login_are_out_of_reach_of_scripts_and_other_sites(
    shop: HttpShop, ann: RegisteredCustomer
) -> None:
    set_cookies = cookies(await log_in(shop, ann.credentials))
    token, device = set_cookies["token"], set_cookies["device"]

    assert all(cookie["httponly"] and cookie["samesite"].lower() == "lax" for cookie in (token, device))
    assert not token["secure"]  # Development has no TLS.
    assert (token["path"], token["max-age"]) == ("/", "3600")
    assert device["path"] == "/auth/login"


async def test_in_production_the_cookies_travel_over_tls_only(tmp_path: Path, clock: ShopClock) -> None:
    async with open_shop(tmp_path, clock, production=True) as shop:
        ann = await registered(shop)
        logged_in = await log_in(shop, ann.credentials)
        sent = f"__Host-token={logged_in.granted(200)['token']}"
        logged_out = await shop.ask("POST", "/auth/logout", headers={"Cookie": sent})

        assert all(cookie["secure"] for answer in (logged_in, logged_out) for cookie in cookies(answer).values())
        # Browsers accept the prefix only with the path / and without a domain.
        set_cookies = cookies(logged_in)
        assert sorted(set_cookies) == ["__Host-device", "__Host-token"]
        assert all((cookie["path"], cookie["domain"]) == ("/", "") for cookie in set_cookies.values())
        assert list(cookies(logged_out)) == ["__Host-token"]
        token = set_cookies["__Host-token"].value
        assert (await shop.ask("GET", "/auth/me", headers={"Cookie": f"__Host-token={token}"})).status == 200
        # A page of another host of the domain could plant this cookie.
        assert (await shop.ask("GET", "/auth/me", headers={"Cookie": f"token={token}"})).status == 401


async def test_with_a_cookie_domain_the_cookies_are_for_all_its_hosts(tmp_path: Path, clock: ShopClock) -> None:
    async with open_shop(tmp_path, clock, production=True, cookie_domain="shop.example") as shop:
        ann = await registered(shop)
        set_cookies = cookies(await log_in(shop, ann.credentials))
        assert sorted(set_cookies) == ["device", "token"]
        assert all((cookie["domain"], cookie["secure"]) == ("shop.example", True) for cookie in set_cookies.values())
        token = set_cookies["token"].value
        assert (await shop.ask("GET", "/auth/me", headers={"Cookie": f"token={token}"})).status == 200


async def test_of_several_cookies_the_one_that_verifies_counts(shop: HttpShop) -> None:
    """Other applications of the site may set cookies of the same name."""
    ann, bob = await registered(shop), await registered(shop)
    anns, again, bobs = [(await log_in(shop, who.credentials)).granted(200)["token"] for who in (ann, ann, bob)]
    edited = anns[:-1] + ("A" if anns[-1] != "A" else "E")

    async def status(*tokens: str) -> int:
        answer = await shop.ask("GET", "/auth/me", headers={"Cookie": "; ".join(f"token={token}" for token in tokens)})
        assert answer.status == 401 or answer.json == ann.account
        return answer.status

    for good in (
        ("other", anns),
        (anns, "other"),
        ("", '"x"', edited, anns),
        ("a", "b", "c", "d", anns),
        ("a", "a", "a", "a", "a", "", anns),
        (anns, again),
    ):
        assert await status(*good) == 200, good
    for bad in (
        ("a", "b", "c", "d", "e", anns),
        (*"abcd", bobs, anns),
        (bobs,) * 5 + (anns,),
        (anns, bobs),
        (bobs, "other", anns),
        ("other", edited),
    ):
        assert await status(*bad) == 401, bad


async def test_of_several_device_cookies_the_one_of_the_account_counts(shop: HttpShop) -> None:
    ann, bob = await registered(shop), await registered(shop)
    anns, bobs = [cookies(await log_in(shop, who.credentials))["device"].value for who in (ann, bob)]
    for _ in range(10):
        await log_in(shop, ann.mistyped)
    assert (await log_in(shop, ann.credentials, Cookie=f"device={bobs}")).status == 429

    planted = [str(number) for number in range(100)]
    for values in (("of-another-app", anns), (anns, "x"), (bobs, anns), (*planted, anns)):
        sent = "; ".join(f"device={value}" for value in values)
        assert (await log_in(shop, ann.credentials, Cookie=sent)).status == 200, values
    assert (await log_in(shop, ann.credentials, Cookie="; ".join(f"device={value}" for value in planted))).status == 429


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "])
async def test_the_scheme_of_a_bearer_token_ignores_case(shop: HttpShop, ann: RegisteredCustomer, scheme: str) -> None:
    token = (await log_in(shop, ann.credentials)).granted(200)["token"]

    me = await shop.ask("GET", "/auth/me", headers={"Authorization": f"{scheme} {token}"})

    assert me.granted(200) == ann.account


async def test_a_token_is_over_when_it_says(shop: HttpShop, ann: RegisteredCustomer, clock: ShopClock) -> None:
    token = (await log_in(shop, ann.credentials)).granted(200)["token"]
    clock.advance(3599.999)
    assert (await shop.ask("GET", "/auth/me", headers=bearer(token))).status == 200
    clock.advance(0.001)

    answer = await shop.ask("GET", "/auth/me", headers=bearer(token))

    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_logging_out_takes_the_cookie_away(shop: HttpShop, ann: RegisteredCustomer) -> None:
    token = (await log_in(shop, ann.credentials)).granted(200)["token"]

    answer = await shop.ask("POST", "/auth/logout", headers={"Cookie": f"token={token}"})

    assert (answer.status, answer.body) == (204, b"")
    gone = cookies(answer)["token"]
    assert (gone.value, gone["max-age"], gone["path"], gone["httponly"]) == ("", "0", "/", True)


async def test_a_form_of_another_site_logs_nobody_out(shop: HttpShop) -> None:
    """A browser doesn't send the cookie with it, because of SameSite, but would let the answer delete the cookie."""
    form = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}

    answer = await shop.ask("POST", "/auth/logout", headers=form)

    assert (answer.status, "Set-Cookie" in answer.headers) == (204, False)


@pytest.mark.parametrize("body", [b"null", b"[]", b'{"a":1}', b'{"a":1,"a":2}'])
async def test_logging_out_takes_no_body(shop: HttpShop, body: bytes) -> None:
    answer = await shop.ask("POST", "/auth/logout", raw=body)
    assert (answer.status, answer.code) == (400, "bad-request")


async def test_a_bearer_token_wins_over_the_cookie(shop: HttpShop) -> None:
    ann, bob = await registered(shop), await registered(shop)
    anns, bobs = [(await log_in(shop, who.credentials)).granted(200)["token"] for who in (ann, bob)]

    me = await shop.ask("GET", "/auth/me", headers={**bearer(anns), "Cookie": f"token={bobs}"})

    assert me.granted(200) == ann.account


async def test_an_unknown_email_and_a_wrong_password_are_answered_alike(
    shop: HttpShop, ann: RegisteredCustomer
) -> None:
    wrong = await log_in(shop, ann.mistyped)
    unknown = await log_in(shop, somebody())

    assert (wrong.status, wrong.code, wrong.body) == (401, "unauthenticated", unknown.body)
    assert "WWW-Authenticate" in wrong.headers
    assert "Set-Cookie" not in wrong.headers


async def test_the_token_of_an_account_that_is_gone_finds_none(customer: HttpCustomer) -> None:
    assert (await customer.ask("GET", "/auth/me")).code == "not-found"


# Throttling.


async def test_after_too_many_tries_at_an_account_the_next_one_has_to_wait(
    shop: HttpShop, ann: RegisteredCustomer, clock: ShopClock
) -> None:
    bob = await registered(shop)
    assert [(await log_in(shop, ann.mistyped)).status for _ in range(10)] == [401] * 10

    refused = await log_in(shop, ann.credentials)  # Refused although the password is right, because it isn't checked.

    assert (refused.status, refused.code) == (429, "too-many-tries")
    wait_s = int(refused.headers["Retry-After"])
    assert 1 <= wait_s <= 60
    assert (await log_in(shop, bob.credentials)).status == 200
    clock.advance(wait_s)
    assert (await log_in(shop, ann.credentials)).status == 200


async def test_strangers_who_try_do_not_lock_the_owner_out_of_a_browser_that_was_signed_in(
    shop: HttpShop, ann: RegisteredCustomer
) -> None:
    device = cookies(await log_in(shop, ann.credentials))["device"].value
    for _ in range(10):
        await log_in(shop, ann.mistyped)
    assert (await log_in(shop, ann.credentials)).status == 429

    assert (await log_in(shop, ann.credentials, Cookie=f"device={device}")).status == 200
    assert (await log_in(shop, ann.credentials, Cookie="device=made-up")).status == 429


async def test_a_right_password_uses_no_try_up(shop: HttpShop, ann: RegisteredCustomer) -> None:
    assert [(await log_in(shop, ann.credentials)).status for _ in range(15)] == [200] * 15


@pytest.mark.parametrize(("trusted", "answered"), [("", [401, 401, 429, 429]), (PROXY, [401, 401, 401, 401])])
async def test_x_forwarded_for_tells_addresses_apart_only_when_a_trusted_proxy_wrote_it(
    tmp_path: Path, clock: ShopClock, trusted: str, answered: list[int]
) -> None:
    rates = TryRates(login_address=Rate(burst=2, every_ms=60_000))
    async with open_shop(tmp_path, clock, trusted_proxies=trusted, seams={"try_rates": rates}) as shop:
        tries = [await log_in(shop, somebody(), **{"X-Forwarded-For": f"192.0.2.{number}"}) for number in range(4)]

    assert [answer.status for answer in tries] == answered


async def test_one_address_with_right_passwords_keeps_nobody_from_signing_in(tmp_path: Path, clock: ShopClock) -> None:
    """Eight accounts sign in without pause, more at once than there are places. Others are served nevertheless."""
    seams = {"password_cost": Argon2Cost(memory_kib=4_096, passes=2), "passwords_waiting_max": 4}
    async with open_shop(tmp_path, clock, trusted_proxies=PROXY, seams=seams) as shop:
        eight = [await registered(shop) for _ in range(8)]
        ann = await registered(shop)
        over, busy = asyncio.Event(), asyncio.Event()
        statuses = set[int]()

        async def hammer(who: RegisteredCustomer) -> None:
            while not over.is_set():
                status = (await log_in(shop, who.credentials, **{"X-Forwarded-For": "192.0.2.1"})).status
                statuses.add(status)
                if status == 503:
                    busy.set()

        hammering = asyncio.gather(*(hammer(eight[number % 8]) for number in range(16)))
        async with asyncio.timeout(60):
            await busy.wait()
        signed_in = [
            await log_in(shop, ann.credentials, **{"X-Forwarded-For": f"198.51.100.{number}"}) for number in range(8)
        ]
        over.set()
        await hammering
        assert [answer.status for answer in signed_in] == [200] * 8
        assert statuses <= {200, 429, 503}


async def test_a_stranger_does_not_lock_the_owner_out_of_a_new_browser(tmp_path: Path, clock: ShopClock) -> None:
    async with open_shop(tmp_path, clock, trusted_proxies=PROXY) as shop:
        ann = await registered(shop)
        for _ in range(3):
            tries = [await log_in(shop, ann.mistyped, **{"X-Forwarded-For": "192.0.2.1"}) for _ in range(11)]
            assert tries[-1].status == 429
            assert (await log_in(shop, ann.credentials, **{"X-Forwarded-For": "198.51.100.1"})).status == 200
            clock.advance(60)


async def test_behind_a_trusted_proxy_the_entry_that_it_wrote_itself_counts(tmp_path: Path, clock: ShopClock) -> None:
    rates = TryRates(login_address=Rate(burst=2, every_ms=60_000))
    async with open_shop(tmp_path, clock, trusted_proxies=PROXY, seams={"try_rates": rates}) as shop:
        tries = [
            await log_in(
                shop,
                somebody(),
                **{"X-Forwarded-For": f"198.51.100.{number}, 192.0.2.1"},
            )
            for number in range(4)
        ]

    assert [answer.status for answer in tries] == [401, 401, 429, 429]


@pytest.mark.parametrize(("first", "second"), [("198.51.100.{}", "192.0.2.1"), ("192.0.2.{}", "192.0.2.1, 127.0.0.1")])
async def test_x_forwarded_for_in_two_lines_is_read_as_one(
    tmp_path: Path, clock: ShopClock, first: str, second: str
) -> None:
    rates = TryRates(login_address=Rate(burst=2, every_ms=60_000))
    async with open_shop(tmp_path, clock, trusted_proxies=PROXY, seams={"try_rates": rates}) as shop:
        client = await shop.connect()
        tries = [
            await client.post(
                "/auth/login",
                json.dumps(somebody()).encode(),
                "Content-Type: application/json",
                "X-Forwarded-For: " + first.format(number),
                "X-Forwarded-For: " + second,
            )
            for number in range(4)
        ]
        await client.close()

    assert [answer.status for answer in tries] == [401, 401, 429, 429]


async def test_a_proxy_that_adds_a_line_of_its_own_does_not_make_all_customers_one(
    tmp_path: Path, clock: ShopClock
) -> None:
    rates = TryRates(login_address=Rate(burst=1, every_ms=60_000))
    async with open_shop(tmp_path, clock, trusted_proxies=PROXY, seams={"try_rates": rates}) as shop:
        client = await shop.connect()
        for number in range(4):
            reply = await client.post(
                "/auth/login",
                json.dumps(somebody()).encode(),
                "Content-Type: application/json",
                f"X-Forwarded-For: 192.0.2.{number}",
                f"X-Forwarded-For: {PROXY}",
            )
            assert reply.status == 401
        await client.close()


async def test_the_shop_signs_its_customers_in_and_up_by_an_api_key(tmp_path: Path, clock: ShopClock) -> None:
    once = Rate(burst=1, every_ms=60_000)
    rates = TryRates(register_address=once, login_address=once, login_address_work=once)
    async with open_shop(tmp_path, clock, seams={"try_rates": rates}) as shop:
        admin = await shop.hire()
        made = [
            (await admin.ask("POST", "/api-keys", body={"name": "Backend", "scopes": [scope]})).granted()
            for scope in ("customers", "read")
        ]
        key, weak = (bearer(each["key"]) for each in made)
        for _ in range(3):
            customer = somebody()
            (await shop.ask("POST", "/auth/register", body=customer, headers=key)).granted()
            assert (await log_in(shop, {**customer, "password": "correct house"}, **key)).status == 401
            (await log_in(shop, customer, **key)).granted(200)
            reset = {"email": customer["email"], "code": "wrong", "newPassword": PASSWORD}
            assert (await shop.ask("POST", "/auth/password/reset", body=reset, headers=key)).code == "wrong-code"
        assert (await log_in(shop, customer, **weak)).code == "forbidden"
        assert (await log_in(shop, customer, **bearer(made[0]["key"][:-1] + "!"))).code == "unauthenticated"
        assert (await log_in(shop, customer, **key, **{"On-Behalf-Of": "ann"})).code == "bad-request"
        # Another token has no effect, such as an expired one of a page that signs in again.
        tries = [await log_in(shop, customer, **bearer("a.b.c")) for _ in range(2)]
        assert [answer.status for answer in tries] == [200, 429]


async def test_registrations_from_one_address_are_throttled(tmp_path: Path, clock: ShopClock) -> None:
    rates = TryRates(register_address=Rate(burst=2, every_ms=60_000))
    async with open_shop(tmp_path, clock, seams={"try_rates": rates}) as shop:
        tries = [await shop.ask("POST", "/auth/register", body=somebody()) for number in range(3)]
        assert len(shop.records()["accounts"]) == 2

    assert [answer.status for answer in tries] == [201, 201, 429]
    assert int(tries[-1].headers["Retry-After"]) >= 1


# Requests from other sites.


@pytest.mark.parametrize(
    "origin",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},  # This machine, but another port.
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "{own}"},
    ],
    ids=str,
)
async def test_a_change_by_cookie_from_another_site_is_refused(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, origin: dict[str, str]
) -> None:
    product = await admin.product()
    held = (await customer.hold(product))["id"]
    before = shop.records()
    headers = {name: value.format(own=shop.url) for name, value in origin.items()}
    by_cookie = {**headers, "Cookie": f"token={customer.token}"}

    answers = [
        await shop.ask(method, path, headers=by_cookie)
        for method, path in (
            ("POST", f"/reservations/{product}"),
            ("POST", f"/reservations/confirm/{held}"),
            ("DELETE", f"/reservations/{held}"),
        )
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(403, "cross-site")] * 3
    assert shop.records() == before
    assert (await shop.ask("GET", "/reservations", headers=by_cookie)).status == 200
    assert (await customer.ask("POST", f"/reservations/{product}", headers=headers)).status == 201


@pytest.mark.parametrize(
    "origin", [{}, {"Origin": "{own}"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}], ids=str
)
async def test_a_change_by_cookie_from_the_shops_own_pages_is_served(
    shop: HttpShop, admin: Admin, customer: HttpCustomer, origin: dict[str, str]
) -> None:
    product = await admin.product()
    headers = {name: value.format(own=shop.url) for name, value in origin.items()}

    answer = await shop.ask(
        "POST", f"/reservations/{product}", headers={**headers, "Cookie": f"token={customer.token}"}
    )

    assert answer.granted()["userId"] == customer.id


# Permissions.

NOBODYS = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d4e"


def _addresses(*who: Who) -> list[tuple[str, str]]:
    """Method and path of each operation for these callers, with an id that nobody has."""
    return [
        (operation.method.upper(), re.sub(r"{\w+}", NOBODYS, operation.path))
        for operation in OPERATIONS
        if operation.who in who
    ]


ADMINS_ONLY = _addresses("admin")
SIGNED_IN_ONLY = [*ADMINS_ONLY, *_addresses("signed-in", "customer")]


async def test_who_is_not_signed_in_is_challenged_before_anything_is_looked_at(shop: HttpShop) -> None:
    answers = [await shop.ask(method, path) for method, path in SIGNED_IN_ONLY]

    assert {(answer.status, answer.code) for answer in answers} == {(401, "unauthenticated")}
    assert all(answer.headers["WWW-Authenticate"].startswith("Bearer ") for answer in answers)


async def test_admins_routes_are_closed_to_customers(customer: HttpCustomer) -> None:
    answers = [await customer.ask(method, path) for method, path in ADMINS_ONLY]

    assert {(answer.status, answer.code) for answer in answers} == {(403, "forbidden")}


async def test_a_demoted_admins_token_opens_no_admins_route_from_the_next_request_on(
    shop: HttpShop, admin: Admin
) -> None:
    product = await admin.product()
    before = (await admin.ask("GET", f"/products/{product}")).json
    assert await shop.store.set_role(admin.id, Role.CUSTOMER, at=1)

    answers = [await admin.ask(method, path) for method, path in ADMINS_ONLY]

    assert {(answer.status, answer.code) for answer in answers} == {(403, "forbidden")}
    assert (await admin.edit(product, name="mine")).status == 403
    assert (await admin.ask("GET", f"/products/{product}")).json == before


async def test_an_admins_token_without_an_account_opens_no_admins_route(shop: HttpShop) -> None:
    nobody = Admin(shop, NOBODYS, Role.ADMIN)

    answers = [await nobody.ask(method, path) for method, path in ADMINS_ONLY]

    assert {(answer.status, answer.code) for answer in answers} == {(403, "forbidden")}


async def test_admins_do_not_reserve(shop: HttpShop, admin: Admin) -> None:
    product = await admin.product()

    single = await admin.ask("POST", f"/reservations/{product}")
    basket = await admin.ask("POST", "/reservations", body={"lines": [{"productId": product}]})

    assert {answer.code for answer in (single, basket)} == {"forbidden"}
    assert await shop.available(product) == 10


async def test_in_development_docs_and_metrics_are_open(shop: HttpShop) -> None:
    paths = ("/metrics", "/api-docs", "/openapi.json")

    assert [(await shop.ask("GET", path)).status for path in paths] == [200] * 3


async def test_in_production_docs_and_metrics_are_for_admins_and_the_metrics_token(
    tmp_path: Path, clock: ShopClock
) -> None:
    paths = ("/metrics", "/api-docs", "/openapi.json")
    async with open_shop(tmp_path, clock, production=True, metrics_token="scrape-me") as shop:
        admin, customer = await shop.hire(), shop.customer()

        async def statuses(headers: dict[str, str]) -> list[int]:
            # Long enough that an address has all its tries again.
            clock.advance(60)
            return [(await shop.ask("GET", path, headers=headers)).status for path in paths]

        assert await statuses({}) == [401] * 3
        assert await statuses(bearer("guess")) == [401] * 3
        assert await statuses(bearer("")) == [401] * 3
        assert await statuses(bearer(customer.token)) == [403] * 3
        assert await statuses(bearer(admin.token)) == [200] * 3
        for scheme in ("Bearer", "bearer", "BEARER", "Bearer "):
            assert await statuses({"Authorization": f"{scheme} scrape-me"}) == [200] * 3
        for value in (
            "scrape-me",
            "Basic scrape-me",
            "Bearerscrape-me",
            "Bearer scrape-me x",
            "Bearer Bearer scrape-me",
        ):
            assert await statuses({"Authorization": value}) == [401] * 3, value
        assert (await shop.ask("GET", "/reservations.csv", headers=bearer("scrape-me"))).status == 401
        assert [(await shop.ask("GET", path)).status for path in ("/livez", "/readyz", "/products")] == [200] * 3


async def test_guessing_the_metrics_token_is_braked_for_one_address_and_nobody_else(tmp_path: Path) -> None:
    clock = ShopClock(frozen=True)
    async with open_shop(
        tmp_path, clock, production=True, metrics_token="scrape-me", trusted_proxies="127.0.0.1"
    ) as shop:
        admin, customer = await shop.hire(), shop.customer()

        async def scrape(token: str, address: str = "192.0.2.1") -> HttpAnswer:
            return await shop.ask("GET", "/metrics", headers={**bearer(token), "X-Forwarded-For": address})

        # The right token and the tokens of signed-in people aren't counted.
        for _ in range(2 * RATE.burst):
            assert (await scrape("scrape-me")).status == 200
            assert (await scrape(customer.token)).status == 403
        assert [(await scrape(f"guess-{number}")).status for number in range(RATE.burst)] == [401] * RATE.burst

        braked = await scrape("guess")
        assert (braked.status, braked.code, braked.headers["Retry-After"]) == (429, "too-many-tries", "6")
        # Without tries left, the right token is refused like any other. Otherwise guessing would only be slower.
        assert (await scrape("scrape-me")).status == 429
        assert (await scrape(admin.token)).status == 200
        assert (await scrape("scrape-me", "192.0.2.2")).status == 200
        assert (await shop.ask("GET", "/readyz?verbose", headers=bearer("guess"))).status == 200
        clock.advance(RATE.every_ms / 1000)
        assert (await scrape("scrape-me")).status == 200


async def test_in_production_an_empty_metrics_token_opens_nothing(tmp_path: Path, clock: ShopClock) -> None:
    async with open_shop(tmp_path, clock, production=True) as shop:
        answers = [await shop.ask("GET", "/metrics", headers={"Authorization": value}) for value in ("Bearer ", "")]

    assert [answer.status for answer in answers] == [401, 401]
