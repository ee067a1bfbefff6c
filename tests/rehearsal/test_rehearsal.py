"""Rehearsals of whole sales over HTTP, in a correct shop and in shops with one fault each."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator
from itertools import pairwise

import msgspec
import pytest
from tests.rehearsal.conftest import Perform
from tests.rehearsal.shop import PretendedShop, ShopFault, mint, open_shop

from flashreserve.rehearsal.messages import CrowdOrder, Tick
from flashreserve.rehearsal.plan import Crowd, Press, Shape, Shares, plan
from flashreserve.rehearsal.run import Progress
from flashreserve.rehearsal.server import AuditReport, RehearsalError, listed_tokens
from flashreserve.rehearsal.waves import wave

BUYERS = Shares(confirm=1, walk_away=0, retry=0, double_click=0)


async def test_an_honest_shop_passes(perform: Perform) -> None:
    shop, shown = PretendedShop(), list[Progress]()
    async with open_shop(shop) as server:
        verdict = await perform(server, send=wave, show=shown.append)
    assert verdict.passed
    assert (verdict.oversold, verdict.leaked, verdict.double_grants, verdict.errors) == (0, 0, 0, 0)
    assert verdict.unexpected == {}
    assert verdict.findings == ()
    assert verdict.granted == len(shop.holds) >= 20
    assert verdict.replayed > 0
    assert verdict.refused > 0
    assert verdict.requests == sum(verdict.answers.values())
    assert 0 < verdict.latency_ms.p50 <= verdict.latency_ms.p99 <= verdict.latency_ms.max
    assert (shown[-1].phase, shown[-1].arrived, shown[-1].granted) == ("over", 60, verdict.granted)


async def test_nothing_stays_on_sale_after_the_verdict(perform: Perform) -> None:
    shop = PretendedShop()
    async with open_shop(shop) as server:
        verdict = await perform(server, products=3)
    assert verdict.passed, verdict.findings
    assert [product.on_sale() for product in shop.products.values()] == [False] * 3


async def test_nothing_stays_on_sale_if_the_rehearsal_fails(perform: Perform) -> None:
    shop = PretendedShop()

    async def no_crowd(_: CrowdOrder) -> AsyncGenerator[Tick, None]:
        for tick in list[Tick]():
            yield tick
        assert all(product.on_sale() for product in shop.products.values())
        raise RehearsalError("the crowd is ill")

    async with open_shop(shop) as server:
        with pytest.raises(RehearsalError, match="the crowd is ill"):
            await perform(server, send=no_crowd)
    assert [product.on_sale() for product in shop.products.values()] == [False]


async def test_a_sale_that_cannot_be_ended_is_named(perform: Perform) -> None:
    shop = PretendedShop(fault=ShopFault.NEVER_ENDS_A_SALE)
    async with open_shop(shop) as server:
        with pytest.raises(RehearsalError, match="Still on sale, for a day at most") as failure:
            await perform(server)
    assert [product_id in str(failure.value) for product_id in shop.products] == [True]


async def test_what_lapsed_is_sold_again_to_latecomers(perform: Perform) -> None:
    shop = PretendedShop()
    shares = Shares(confirm=0.5, walk_away=0.5)
    async with open_shop(shop) as server:
        verdict = await perform(server, wait_expiry=True, hold_s=1, shares=shares)
    assert verdict.passed, verdict.findings
    assert verdict.late_customers > 0
    assert verdict.resold == verdict.lapsed > 0
    assert verdict.confirmed == 20
    assert verdict.available == 0
    assert verdict.returned_seconds is not None
    assert verdict.returned_seconds < 0.5


async def test_the_crowd_is_spread_over_all_urls_and_products(perform: Perform) -> None:
    shop = PretendedShop()
    async with open_shop(shop, doors=2) as server:
        verdict = await perform(server, products=3)
    assert verdict.passed, verdict.findings
    assert {hold.product_id for hold in shop.holds.values()} == set(shop.products)
    assert sorted(product.stocked for product in shop.products.values()) == [6, 7, 7]
    assert len(shop.doors) == 2


async def test_requests_are_sent_at_their_times_however_slow_the_shop_is(perform: Perform) -> None:
    shop = PretendedShop(fault=ShopFault.IS_SLOW)
    async with open_shop(shop) as server:
        verdict = await perform(server, units=60, shares=Shares(confirm=0, walk_away=1, retry=0))
    assert verdict.passed, verdict.findings
    assert max(shop.asked_at) - min(shop.asked_at) < 0.8, "all ask before the first is answered"
    assert verdict.latency_ms.p50 >= 1_000


async def test_units_sold_twice_turn_oversold_red(perform: Perform) -> None:
    async with open_shop(PretendedShop(fault=ShopFault.OVERSELLS)) as server:
        verdict = await perform(server)
    assert (verdict.oversold, verdict.leaked, verdict.passed) == (3, 0, False)


async def test_units_sold_twice_and_left_out_of_the_books_turn_oversold_red(perform: Perform) -> None:
    async with open_shop(PretendedShop(fault=ShopFault.OVERSELLS_AND_HIDES_IT)) as server:
        verdict = await perform(server, shares=BUYERS)
    assert (verdict.oversold, verdict.leaked, verdict.passed) == (40, 40, False)


@pytest.mark.parametrize("fault", [ShopFault.LEAKS, ShopFault.FORGETS, ShopFault.EXPIRES_EARLY])
async def test_a_unit_or_a_promise_lost_turns_leaked_red(perform: Perform, fault: ShopFault) -> None:
    async with open_shop(PretendedShop(fault=fault)) as server:
        verdict = await perform(server, units=80, shares=Shares(confirm=0, walk_away=1))
    assert (verdict.oversold, verdict.leaked, verdict.passed) == (0, 1, False)
    assert len(verdict.findings) == 1


async def test_purchases_lost_turn_leaked_red(perform: Perform) -> None:
    async with open_shop(PretendedShop(fault=ShopFault.LOSES_A_PURCHASE)) as server:
        verdict = await perform(server, shares=BUYERS)
    assert (verdict.oversold, verdict.leaked, verdict.passed) == (0, 20, False)


async def test_lapsed_holds_that_never_come_back_turn_leaked_red(perform: Perform) -> None:
    async with open_shop(PretendedShop(fault=ShopFault.NEVER_SWEEPS)) as server:
        verdict = await perform(server, wait_expiry=True, hold_s=1, shares=Shares(confirm=0.5, walk_away=0.5))
    assert verdict.leaked > 0
    assert verdict.returned_seconds is None
    assert not verdict.passed


async def test_two_grants_by_one_key_turn_double_grants_red(perform: Perform) -> None:
    shares = Shares(confirm=0, walk_away=1, retry=0.2, double_click=0.2)
    twice = [s for s in plan(Crowd(seed=7, customers=60, seconds=0.3, shares=shares), run_id="") if s.press != "once"]
    async with open_shop(PretendedShop(fault=ShopFault.IGNORES_KEYS)) as server:
        verdict = await perform(server, units=200, shares=shares)
    assert (verdict.double_grants, verdict.oversold, verdict.passed) == (len(twice), 0, False)
    assert {Press.RETRY, Press.DOUBLE_CLICK} == {script.press for script in twice}


@pytest.mark.parametrize("fault", [ShopFault.FAILS, ShopFault.TALKS_NONSENSE])
async def test_a_failure_turns_errors_red(perform: Perform, fault: ShopFault) -> None:
    async with open_shop(PretendedShop(fault=fault)) as server:
        verdict = await perform(server)
    assert (verdict.errors, verdict.oversold, verdict.leaked, verdict.passed) == (1, 0, 0, False)


async def test_a_customer_who_is_never_answered_turns_errors_red(perform: Perform) -> None:
    async with open_shop(PretendedShop(fault=ShopFault.NEVER_ANSWERS)) as server:
        # On a busy machine, answers to other customers may take most of a second.
        verdict = await perform(server, timeout_s=2, shares=BUYERS)
    assert (verdict.errors, verdict.passed) == (1, False)
    assert verdict.answers["timed out"] == 3
    assert verdict.latency_ms.max >= 6000, "the time until a request is given up counts too"


async def test_busy_without_saying_when_to_come_back_turns_errors_red(perform: Perform) -> None:
    async with open_shop(PretendedShop(fault=ShopFault.IS_BUSY_WITHOUT_SAYING)) as server:
        verdict = await perform(server, shares=BUYERS)
    assert (verdict.errors, verdict.answers["503"], verdict.passed) == (60, 60, False)


async def test_a_connection_lost_after_the_grant_is_resolved_by_the_key(perform: Perform) -> None:
    async with open_shop(PretendedShop(fault=ShopFault.DROPS_THE_FIRST)) as server:
        verdict = await perform(server, units=60, shares=BUYERS)
    assert verdict.passed, verdict.findings
    assert verdict.answers["connection lost"] == 60
    assert (verdict.granted, verdict.replayed) == (60, 60)


async def test_retry_after_is_obeyed_and_is_no_error(perform: Perform) -> None:
    shop = PretendedShop(fault=ShopFault.IS_BUSY_AT_FIRST)
    async with open_shop(shop) as server:
        verdict = await perform(server, shares=BUYERS)
    assert verdict.passed, verdict.findings
    assert verdict.answers["503 and Retry-After"] == 60
    assert max(later - earlier for earlier, later in pairwise(sorted(shop.asked_at))) > 0.5
    assert verdict.latency_ms.p50 > 1_000


async def test_refusals_that_nobody_expects_are_shown_and_a_sale_without_sales_does_not_pass(perform: Perform) -> None:
    async with open_shop(PretendedShop(fault=ShopFault.FORBIDS)) as server:
        verdict = await perform(server, shares=BUYERS)
    assert verdict.unexpected == {"reserve 401 not-signed-in": 60}
    assert verdict.errors == 0
    assert not verdict.passed


async def test_the_shops_own_audit_is_part_of_the_verdict(perform: Perform) -> None:
    async def differs() -> AuditReport:
        return AuditReport(clean=False, report={"differences": 1})

    async with open_shop(PretendedShop(), audit=differs) as server:
        verdict = await perform(server)
    assert not verdict.passed
    assert verdict.audit == AuditReport(clean=False, report={"differences": 1})


async def test_a_wrong_admin_token_is_named(perform: Perform) -> None:
    async with open_shop(PretendedShop()) as server:
        stranger = type(server)(urls=server.urls, admin_token="stranger", mint=server.mint)
        with pytest.raises(RehearsalError, match="token of an admin"):
            await perform(stranger)


async def test_too_few_tokens_are_refused_before_anything_is_put_on_sale(perform: Perform) -> None:
    shop = PretendedShop()
    async with open_shop(shop) as server:
        poor = type(server)(urls=server.urls, admin_token=server.admin_token, mint=listed_tokens(["one"]))
        with pytest.raises(RehearsalError, match="expected one for each of 60 customers, got 1"):
            await perform(poor)
    assert not shop.products


async def test_a_shop_that_is_not_there_is_named(perform: Perform) -> None:
    async with open_shop(PretendedShop()) as server:
        pass
    started = time.monotonic()
    with pytest.raises(RehearsalError, match="POST /products was not answered"):
        await perform(server)
    assert time.monotonic() - started < 10


async def test_the_crowd_ends_when_nobody_listens_to_it_any_more() -> None:
    scene = Crowd(seed=7, customers=60, seconds=600, shape=Shape.EVEN)
    scripts = tuple(plan(scene, run_id="test"))
    shop = PretendedShop()
    async with open_shop(shop) as server:
        order = CrowdOrder(
            urls=server.urls,
            product_ids=("none",),
            tokens=tuple(mint(60)),
            scripts=scripts,
            seed=7,
            timeout_s=5,
            tries_max=1,
        )
        ear, mouth = os.pipe()
        command = (sys.executable, "-m", "flashreserve.rehearsal.crowd")
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=mouth, stderr=asyncio.subprocess.DEVNULL
        )
        os.close(mouth)
        os.close(ear)
        await asyncio.wait_for(process.communicate(msgspec.json.encode(order)), 30)
        assert await process.wait() != 0
