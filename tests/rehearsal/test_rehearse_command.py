"""The command `flashreserve rehearse`, against running shops and with a fresh one."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.rehearsal.shop import ADMIN, PretendedShop, ShopFault, mint, open_shop

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.tokens import Tokens
from flashreserve.cli.rehearse import rehearse
from flashreserve.clock import SystemClock, SystemIds
from flashreserve.rehearsal.fresh_shop import embedded
from flashreserve.rehearsal.server import RehearsalError
from flashreserve.settings import Settings

COMMAND = (sys.executable, "-m", "flashreserve", "rehearse")
SMALL = ("--customers", "40", "--units", "10", "--seconds", "0.3", "--hold-seconds", "1")
SECRET = "test:rehearsal-tests-sign-with-these-letters"


async def start(*options: str, **environment: str) -> asyncio.subprocess.Process:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLASHRESERVE_")}
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        *options,
        env={**clean, "COLUMNS": "120", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(*options: str, **environment: str) -> tuple[int, str, str]:
    process = await start(*options, **environment)
    out, err = await process.communicate()
    return await process.wait(), out.decode(), err.decode()


def _written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


def urls(of: Sequence[str]) -> list[str]:
    return [word for url in of for word in ("--url", url)]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return _written(tmp_path / "tokens.txt", "\n".join(mint(40)) + "\n")


async def test_an_honest_shop_gets_a_verdict_in_words_and_exit_code_0(tokens: Path) -> None:
    async with open_shop(PretendedShop(), doors=2) as server:
        code, out, err = await run(*urls(server.urls), "--tokens", str(tokens), "--admin-token", ADMIN, *SMALL)
    assert code == 0, err
    assert "PASSED" in out
    assert "the sale is on" in err


async def test_an_overselling_shop_gets_exit_code_1_and_json_says_why(tokens: Path) -> None:
    async with open_shop(PretendedShop(fault=ShopFault.OVERSELLS)) as server:
        options = (*urls(server.urls), "--tokens", str(tokens), "--json", *SMALL, "--hold-seconds", "60")
        code, out, err = await run(*options, REHEARSAL_ADMIN_TOKEN=ADMIN)
    assert code == 1, err
    verdict = json.loads(out)
    assert verdict["oversold"] == 3
    assert verdict["passed"] is False
    assert set(verdict["latencyMs"]) == {"p50", "p99", "max"}


async def test_tokens_are_minted_with_the_shops_own_key() -> None:
    shop = PretendedShop()
    async with open_shop(shop) as server:
        options = (*urls(server.urls), "--admin-token", ADMIN, *SMALL)
        code, _, err = await run(*options, FLASHRESERVE_SECRET_KEYS=SECRET)
    assert code == 0, err
    verifier, now_ms = Tokens(KeyRing.parse(SECRET), ttl_s=Settings().token_s), SystemClock().now_ms()
    users = [verifier.verify(hold.user_id, now_ms) for hold in shop.holds.values()]
    assert {type(user).__name__ for user in users} == {"Identity"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_rehearsal_its_crowd_and_its_sale(tokens: Path, number: signal.Signals) -> None:
    shop = PretendedShop(fault=ShopFault.IS_SLOW)
    async with open_shop(shop) as server:
        options = ("--tokens", str(tokens), "--admin-token", ADMIN, *SMALL, "--seconds", "60", "--shape", "even")
        process = await start(*urls(server.urls), *options)
        async with asyncio.timeout(30):
            await shop.first_customer.wait()
            process.send_signal(number)
            await process.communicate()
        assert await process.wait() == 128 + number
        assert [product.on_sale() for product in shop.products.values()] == [False]
        async with asyncio.timeout(10):
            while shop.connections():  # noqa: ASYNC110 - connections set no event when they end
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--customers", "0"), "customers"),
        (("--customers", "many"), "--customers"),
        (("--units", "0"), "units"),
        (("--products", "2000"), "products"),
        (("--hold-seconds", "0"), "hold seconds"),
        (("--timeout", "0"), "timeout"),
        (("--timeout", "nan"), "timeout"),
        (("--seconds", "-1"), "seconds"),
        (("--confirm-share", "1.5"), "confirm share"),
        (("--shape", "square"), "--shape"),
        (("--tokens", "/dev/null"), "--tokens"),
        (("--url", "nowhere"), "--url"),
        (("--url", "http://localhost:1"), "--admin-token"),
        (("--url", "http://localhost:1", "--admin-token", "x"), "--tokens"),
    ],
)
def test_options_that_make_no_sense_are_named_with_exit_code_2(
    options: Sequence[str], named: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(rehearse, options, obj={"FLASHRESERVE_DATA_DIR": str(tmp_path)})
    assert result.exit_code == 2
    assert named in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


async def test_a_rehearsal_that_cannot_take_place_says_why_with_exit_code_2(tmp_path: Path) -> None:
    tokens = await asyncio.to_thread(_written, tmp_path / "bad", "one two\n")
    async with open_shop(PretendedShop()) as server:
        shop = (*urls(server.urls), "--admin-token", ADMIN)
        code, _, err = await run(*shop, "--tokens", str(tokens), *SMALL)
        assert (code, "line 1: expected one token" in err) == (2, True), err
        code, _, err = await run(*shop, *SMALL, FLASHRESERVE_SECRET_KEYS="a:short")
        assert (code, "FLASHRESERVE_SECRET_KEYS" in err) == (2, True), err


async def test_a_fresh_shop_is_started_rehearsed_audited_and_cleared_away(tmp_path: Path) -> None:
    options = ("--wait-expiry", "--walk-away-share", "0.5", "--confirm-share", "0.5", "--json")
    code, out, err = await run(*SMALL, *options, TMPDIR=str(tmp_path), FLASHRESERVE_PORT="nonsense for the fresh one")
    verdict = json.loads(out)
    assert (code, verdict["passed"]) == (0, True), err
    assert verdict["audit"]["clean"] is True
    assert verdict["audit"]["report"]["reservations"] == verdict["granted"]
    assert verdict["lapsed"] > 0
    assert verdict["confirmed"] == 10
    assert await asyncio.to_thread(os.listdir, tmp_path) == []


async def test_a_fresh_shop_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    await asyncio.to_thread(_written, tmp_path / "flashreserve.db", "no database " * 1_000)
    with pytest.raises(RehearsalError, match=r"the server ended with .*[Ll]og ends with") as failure:
        async with embedded(tmp_path, SystemIds(), SystemClock()):
            pass
    assert "database" in str(failure.value)
