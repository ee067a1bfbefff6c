"""The shop's backend at several processes of one shop: returns, limits and keys, and access that is revoked."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest
from tests.core.examples import user_id
from tests.faults.backend import BackendShop, backend_shop
from tests.faults.products import PASSWORD

REVOKED_WITHIN_S: Final = 10.0
REFUSALS: Final = 40
"""So many refusals in a row by one process show that it knows of the revocation."""

PAUSE_S: Final = 0.02
CUSTOMER: Final = user_id(1)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ENGINES: Final = ["sqlite", pytest.param("mongodb", marks=pytest.mark.mongodb)]


@pytest.fixture(params=ENGINES)
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BackendShop]:
    """A shop of two processes."""
    async with backend_shop(request.param, tmp_path, 2) as running:
        yield running


@pytest.fixture(params=ENGINES)
async def shop_of_four(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BackendShop]:
    async with backend_shop(request.param, tmp_path, 4) as running:
        yield running


async def test_units_go_back_once_a_key_at_two_processes_and_no_more_than_were_bought(shop: BackendShop) -> None:
    product = await shop.product(115)
    purchase = await shop.bought(CUSTOMER, product, 15)
    assert await shop.available(product) == 100

    answers = await asyncio.gather(*[shop.give_back(n % 2, purchase, product, 5, "parcel-1") for n in range(10)])
    assert [(answer.status, answer.json["lines"][0]["returned"]) for answer in answers] == [(200, 5)] * 10
    assert await shop.available(product) == 105

    more = [await shop.give_back(at, purchase, product, 11, f"parcel-{2 + at}") for at in (0, 1)]
    assert [(answer.status, answer.code) for answer in more] == [(409, "too-many")] * 2
    assert await shop.available(product) == 105

    rest = await shop.give_back(1, purchase, product, 10, "parcel-4")
    assert (rest.status, rest.json["lines"][0]["returned"]) == (200, 15)
    assert await shop.available(product) == 115


async def test_as_many_may_be_bought_again_as_were_returned(shop: BackendShop) -> None:
    product = await shop.product(10, perCustomerLimit=3)
    purchase = await shop.bought(CUSTOMER, product, 3)
    token, path = shop.token(CUSTOMER), f"/reservations/{product}"
    assert (await shop.ask_until_told(1, "POST", path, token, key="fourth")).code == "limit-reached"

    assert (await shop.give_back(0, purchase, product, 2, "parcel-1")).status == 200

    again = [await shop.ask_until_told(1, "POST", path, token, key=f"again-{number}") for number in range(3)]
    assert [answer.status for answer in again] == [201, 201, 409]
    assert again[2].code == "limit-reached"
    assert await shop.available(product) == 7


async def test_a_limit_and_a_key_count_for_the_customer_at_any_process(shop: BackendShop) -> None:
    product = await shop.product(10, perCustomerLimit=2)
    token, path = shop.token(CUSTOMER), f"/reservations/{product}"

    first = await asyncio.gather(
        *[shop.ask_until_told(n % 2, "POST", path, token, key="one") for n in range(5)],
        *[shop.ask_until_told(n % 2, "POST", path, shop.key, of=CUSTOMER, key="one") for n in range(5)],
    )
    assert {answer.status for answer in first} == {201}
    assert len({answer.json["id"] for answer in first}) == 1
    assert await shop.available(product) == 9

    assert (await shop.ask_until_told(0, "POST", path, token, key="two")).status == 201
    third = await shop.ask_until_told(1, "POST", path, shop.key, of=CUSTOMER, key="three")
    assert (third.status, third.code) == (409, "limit-reached")
    assert await shop.available(product) == 8


class AccessProbe:
    """Requests with one credential to one process, again and again. Instants are of the monotonic clock.

    `accepted_at` is when the last request that was accepted was sent. `refused` counts the refusals since then.
    """

    def __init__(self, shop: BackendShop, at: int, product: str, credential: str, of: str | None) -> None:
        self._shop = shop
        self._at = at
        self._path = f"/reservations/{product}"
        self._credential = credential
        self._of = of
        self.accepted_at = 0.0
        self.refused = 0
        self.accepted = 0

    async def ask(self) -> None:
        """Reserve once."""
        sent_at = time.monotonic()
        answer = await self._shop.ask(self._at, "POST", self._path, self._credential, of=self._of)
        if answer.status == 401:
            self.refused += 1
        elif answer.status != 503:  # too busy, which says nothing of the credential
            assert answer.status == 201, answer
            self.accepted, self.refused, self.accepted_at = self.accepted + 1, 0, sent_at

    async def ask_until(self, over: asyncio.Event) -> None:
        while not over.is_set():
            await self.ask()
            await asyncio.sleep(PAUSE_S)


async def test_a_revoked_key_and_a_disabled_account_are_refused_by_four_processes_under_load(
    shop_of_four: BackendShop,
) -> None:
    shop = shop_of_four
    product, others = await shop.product(1_000_000), await shop.product(1_000_000)
    account, token = await sign_up(shop)
    places = range(len(shop.urls))
    revoked = [
        *[AccessProbe(shop, at, product, shop.key, CUSTOMER) for at in places],
        *[AccessProbe(shop, at, product, token, None) for at in places],
    ]
    load = [AccessProbe(shop, at, others, shop.token(user_id(2 + n)), None) for at in places for n in range(2)]
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for probe in (*revoked, *load):
            group.create_task(probe.ask_until(over))
        await until(lambda: all(probe.accepted for probe in (*revoked, *load)))
        key_id = shop.key.split("_")[1]
        assert (await shop.ask(0, "DELETE", f"/api-keys/{key_id}", shop.admin)).status == 204
        assert (await shop.ask(1, "POST", f"/accounts/{account}/disable", shop.admin)).status == 200
        done_at = time.monotonic()
        await until(lambda: all(probe.refused >= REFUSALS for probe in revoked))
        over.set()

    late_s = [max(0.0, probe.accepted_at - done_at) for probe in revoked]
    print(f"accepted for {max(late_s[:4]):.2f} s (key) and {max(late_s[4:]):.2f} s (account)")
    assert max(late_s) <= REVOKED_WITHIN_S
    assert all(probe.refused == 0 for probe in load)


async def sign_up(shop: BackendShop) -> tuple[str, str]:
    """A new account's id and token."""
    body = {"email": "ann@example.com", "password": PASSWORD}
    account = await shop.ask(0, "POST", "/auth/register", "", body)
    assert account.status == 201, account
    login = await shop.ask(0, "POST", "/auth/login", "", body)
    assert login.status == 200, login
    return str(account.json["id"]), str(login.json["token"])


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true, at most as long as the test may take."""
    while not condition():  # noqa: ASYNC110 - depends on other processes
        await asyncio.sleep(PAUSE_S)
