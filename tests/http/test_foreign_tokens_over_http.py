"""Customers whom the shop's own sign-in service has signed in: they reserve and buy with its tokens, and no more."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.auth import sign_in_service
from tests.auth.sign_in_service import AUDIENCE, ISSUER, KeyServer, key_server
from tests.http.shop import HttpAnswer, HttpShop, ShopClock, new_key, open_shop

from flashreserve import logs

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[KeyServer]:
    async with key_server() as server:
        yield server


def settings(server: KeyServer) -> str:
    entry = {"name": "shop", "issuer": ISSUER, "audience": AUDIENCE, "jwks_url": server.url}
    return json.dumps({"issuers": [entry]})


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def partner(server: KeyServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HttpShop]:
    async with open_shop(tmp_path_factory.mktemp("issuers"), ShopClock(), issuers=settings(server)) as shop:
        yield shop


async def test_a_token_that_is_refused_is_no_guess_at_the_metrics_token(server: KeyServer, tmp_path: Path) -> None:
    clock = ShopClock(frozen=True)
    async with open_shop(tmp_path, clock, production=True, metrics_token="scrape-me", issuers=settings(server)) as shop:
        now_s = clock.now_ms() // 1000
        unknown = sign_in_service.token(headers={"kid": "four"}, iat=now_s, exp=now_s + 300)
        expired = sign_in_service.token(iat=now_s - 999, exp=now_s - 900)
        refused = [unknown, unknown[:-8] + "AAAAAAAA", expired, "frk_0123_456", "a.b.c", "a.."]

        async def scrape(sent: str) -> int:
            return (await shop.ask("GET", "/metrics", headers={"Authorization": f"Bearer {sent}"})).status

        assert [await scrape(sent) for sent in (*refused, *refused[2:] * 3)] == [401] * 18
        assert await scrape("scrape-me") == 200
        # Other texts are counted, also those with dots.
        assert [await scrape(f"a.b.c.{number}") for number in range(11)] == [401] * 10 + [429]


def token(shop: HttpShop, sub: str, **claims: Any) -> str:
    now_s = shop.clock.now_ms() // 1000
    return sign_in_service.token(**{"sub": sub, "iat": now_s, "exp": now_s + 300, **claims})


async def ask(shop: HttpShop, method: str, path: str, sent: str, *, body: object = None, **headers: str) -> HttpAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await shop.ask(method, path, headers={"Authorization": f"Bearer {sent}", **named}, body=body)


async def test_a_customer_of_the_shop_reserves_buys_and_looks(partner: HttpShop) -> None:
    admin = await partner.hire()
    product_id = await admin.product(stockQuantity=2)
    ann, bob = token(partner, "ann"), token(partner, "bob")
    for sent in (ann, ann):  # At first looked up, then on the express lane.
        held = (await ask(partner, "POST", f"/reservations/{product_id}", sent, Idempotency_Key="one")).granted()
    path = f"/reservations/{held['id']}"

    assert held["userId"] == "shop:ann"
    assert (await ask(partner, "GET", path, bob)).status == 404
    assert (await ask(partner, "POST", f"/checkout/{held['id']}", bob)).status == 404
    assert (await ask(partner, "POST", f"/checkout/{held['id']}", ann)).granted(200)["status"] == "CONFIRMED"
    listed = (await ask(partner, "GET", "/reservations", ann)).json["items"]
    assert [each["id"] for each in listed] == [held["id"]]
    assert (await admin.reservations(product_id))[0]["userId"] == "shop:ann"


async def test_the_limit_counts_for_the_customer_whoever_asks(partner: HttpShop) -> None:
    """The customer's own token, and the shop's backend with an API key."""
    admin = await partner.hire()
    product_id = await admin.product(stockQuantity=9, perCustomerLimit=2)
    made = await admin.ask("POST", "/api-keys", body={"name": "Backend", "scopes": ["customers"]})
    key, ann = made.granted()["key"], token(partner, "ann-of-the-limit")
    behalf = {"On_Behalf_Of": "shop:ann-of-the-limit"}
    path = f"/reservations/{product_id}"

    first = await ask(partner, "POST", path, ann, Idempotency_Key="same")
    again = await ask(partner, "POST", path, key, Idempotency_Key="same", **behalf)
    assert first.granted()["id"] == again.granted()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await ask(partner, "POST", path, key, Idempotency_Key=new_key(), **behalf)).status == 201
    for sent, more in ((ann, {}), (key, behalf)):
        assert (await ask(partner, "POST", path, sent, Idempotency_Key=new_key(), **more)).code == "limit-reached"


async def test_a_token_of_the_shop_makes_nobody_an_admin_and_has_no_account(partner: HttpShop) -> None:
    sent = token(partner, "eve", role="admin")
    refused = [
        await ask(partner, "POST", "/products", sent, body={"name": "x", "price": "1.00", "stockQuantity": 1}),
        await ask(partner, "GET", "/auth/me", sent),
        await ask(partner, "POST", "/auth/refresh", sent),
        await ask(partner, "GET", "/reservations", sent, On_Behalf_Of="shop:ann"),
    ]

    assert [answer.code for answer in refused] == ["forbidden"] * 4


async def test_the_cookie_takes_own_tokens_only(partner: HttpShop) -> None:
    sent = token(partner, "ann")
    assert (await ask(partner, "GET", "/reservations", sent)).status == 200

    assert (await partner.ask("GET", "/reservations", headers={"Cookie": f"token={sent}"})).code == "unauthenticated"


@pytest.mark.parametrize("claims", [{"aud": "x"}, {"exp": 1}, {"iss": "https://elsewhere.example/"}, {"sub": "a b"}])
async def test_other_tokens_are_refused(partner: HttpShop, claims: dict[str, Any]) -> None:
    answer = await ask(partner, "GET", "/reservations", token(partner, **{"sub": "ann", **claims}))

    assert answer.code == "unauthenticated"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("claims", "reason", "issuer"),
    [
        ({"aud": "elsewhere"}, "wrong-audience", "shop"),
        ({"exp": 1}, "expired", "shop"),
        ({"sub": "a customer"}, "wrong-claims", "shop"),
        ({"iss": "https://elsewhere.example/"}, "malformed", None),
    ],
)
async def test_the_log_says_once_why_a_token_was_refused_and_nothing_that_is_in_it(
    partner: HttpShop, claims: dict[str, Any], reason: str, issuer: str | None
) -> None:
    log = io.StringIO()
    sent = token(partner, **{"sub": "ann-of-the-log", **claims})
    good = token(partner, "ann-of-the-log")
    path = f"/reservations/{await (await partner.hire()).product()}"
    logs.configure("debug", log, colors=False)

    # The express lane takes such requests.
    assert (await ask(partner, "POST", path, sent)).code == "unauthenticated"
    assert (await ask(partner, "POST", path, good)).status == 201

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    told = [{name: line[name] for name in line if name != "time"} for line in lines if line["event"] == "token refused"]
    assert told == [
        {
            "level": "debug",
            "event": "token refused",
            "reason": reason,
            "issuer": issuer,
            "logger": "flashreserve.http.callers",
        }
    ]
    for part in (*sent.split("."), "ann-of-the-log", "elsewhere", "a customer"):
        assert part not in log.getvalue()


async def test_without_its_keys_the_issuers_tokens_are_answered_503(tmp_path: Path, clock: ShopClock) -> None:
    async with key_server() as server:
        server.status = 500
        async with open_shop(tmp_path, clock, issuers=settings(server)) as shop:
            answer = await ask(shop, "GET", "/reservations", token(shop, "ann"))
            own = await shop.customer().ask("GET", "/reservations")

    assert (answer.code, answer.headers["Retry-After"], own.status) == ("unavailable", "5", 200)


async def test_a_token_with_an_unknown_key_is_answered_503_while_the_keys_can_not_be_read(
    tmp_path: Path, clock: ShopClock
) -> None:
    async with key_server() as server, open_shop(tmp_path, clock, issuers=settings(server)) as shop:
        now_s = shop.clock.now_ms() // 1000
        known = token(shop, "ann")
        unknown = sign_in_service.token(headers={"kid": "four"}, sub="ann", iat=now_s, exp=now_s + 300)
        assert (await ask(shop, "GET", "/reservations", unknown)).code == "unauthenticated"
        server.status = 500
        answer = await ask(shop, "GET", "/reservations", unknown)
        assert (answer.code, answer.headers["Retry-After"]) == ("unavailable", "5")
        assert (await ask(shop, "GET", "/reservations", known)).status == 200
