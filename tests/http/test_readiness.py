"""`/readyz`: the missing parts, and with `?verbose` every check."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.http.shop import HttpShop, ShopClock, open_shop, until

from flashreserve.bootstrap import readiness
from flashreserve.stores.port import StoreUnavailableError

pytestmark = pytest.mark.asyncio(loop_scope="module")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_ready_shop_lists_its_checks_only_when_asked_to(shop: HttpShop) -> None:
    assert (await shop.ask("GET", "/readyz")).granted(200) == {"status": "ok"}

    verbose = (await shop.ask("GET", "/readyz?verbose")).granted(200)

    assert verbose["status"] == "ok"
    assert {check["name"]: check["ok"] for check in verbose["checks"]} == {
        "process": True,
        "database": True,
        "clock": True,
        "sweep": True,
        "documents": True,
    }
    assert all(check["detail"] for check in verbose["checks"])


async def test_a_shop_that_is_not_ready_is_503_and_says_which_check_failed(fresh_shop: HttpShop) -> None:
    fresh_shop.store.away = True

    short, verbose = [await fresh_shop.ask("GET", path) for path in ("/readyz", "/readyz?verbose=true")]

    assert (short.status, short.code, short.json["detail"]) == (503, "unavailable", "the database is away")
    assert "checks" not in short.json
    assert (verbose.status, verbose.code, verbose.headers["Retry-After"]) == (503, "unavailable", "1")
    assert {check["name"]: check["ok"] for check in verbose.json["checks"]}["database"] is False


async def test_a_database_that_is_away_is_called_so_while_it_is_asked_again(
    fresh_shop: HttpShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def detail() -> str:
        return str((await fresh_shop.ask("GET", "/readyz")).json.get("detail"))

    async def hangs() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(readiness, "READY_WAIT_S", 0.02)
    fresh_shop.store.away = True
    assert await detail() == "the database is away"
    monkeypatch.setattr(fresh_shop.store, "check_writable", hangs)
    assert [await detail() for _ in range(3)] == ["the database is away"] * 3


async def test_a_database_that_answered_last_and_hangs_takes_too_long(
    fresh_shop: HttpShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs() -> None:
        await asyncio.Event().wait()

    fresh_shop.store.away = True
    assert (await fresh_shop.ask("GET", "/readyz")).status == 503
    fresh_shop.store.away = False
    assert (await fresh_shop.ask("GET", "/readyz")).status == 200
    monkeypatch.setattr(readiness, "READY_WAIT_S", 0.02)
    monkeypatch.setattr(fresh_shop.store, "check_writable", hangs)
    assert (await fresh_shop.ask("GET", "/readyz")).json["detail"] == "the database takes too long to answer"


async def test_in_production_strangers_read_the_details_of_what_is_missing_alone(
    tmp_path: Path, clock: ShopClock
) -> None:
    async with open_shop(tmp_path, clock, production=True, metrics_token="scrape-me") as shop:

        async def details(headers: dict[str, str]) -> dict[str, str]:
            checks = (await shop.ask("GET", "/readyz?verbose", headers=headers)).json["checks"]
            return {check["name"]: check["detail"] for check in checks if "detail" in check}

        everything = {"process", "database", "clock", "sweep", "documents"}
        assert await details({}) == {}
        assert await details(bearer("guess")) == {}
        assert await details(bearer(shop.customer().token)) == {}
        assert set(await details(bearer("scrape-me"))) == everything
        assert set(await details(bearer((await shop.hire()).token))) == everything
        shop.store.away = True
        assert await details({}) == {"database": "the database is away"}


async def test_a_database_that_hangs_is_waited_for_once_by_operators_too(
    tmp_path: Path, clock: ShopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The admin's account and the database's state are read concurrently."""
    asked, gives_up = set(), asyncio.Event()

    def hangs(name: str) -> Callable[..., Awaitable[None]]:
        async def ask(*_: object) -> None:
            asked.add(name)
            await gives_up.wait()
            raise StoreUnavailableError("the database takes too long")

        return ask

    async with open_shop(tmp_path, clock, production=True) as shop:
        token = (await shop.hire()).token
        with monkeypatch.context() as patch:
            for name in ("account_by_id", "check_writable"):
                patch.setattr(shop.store, name, hangs(name))
            asking = asyncio.create_task(shop.ask("GET", "/readyz?verbose", headers=bearer(token)))
            await until(lambda: asked == {"account_by_id", "check_writable"})
            gives_up.set()
            answer = await asking

    assert answer.status == 503
    assert {check["name"] for check in answer.json["checks"] if "detail" in check} == {"database"}


async def test_readyz_refuses_parameters_that_it_does_not_know(shop: HttpShop) -> None:
    for query in ("verbos", "verbose=no", "verbose&verbose"):
        assert (await shop.ask("GET", f"/readyz?{query}")).code == "bad-request", query
