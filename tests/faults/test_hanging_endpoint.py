"""An endpoint that hangs delays no other: of 1,000 events, the healthy one has 99 of 100 within three seconds."""

import asyncio
import random
from pathlib import Path
from typing import Final

import pytest
from tests.faults.cancelled_holds import cancel_holds
from tests.faults.deliveries import subscribe
from tests.faults.linked_shop import LinkedShop, clustered_shop, embedded_shop
from tests.faults.products import a_product, make_products
from tests.webhooks.receiver import ReceiverPlan
from tests.webhooks.receiver_process import ReceiverProcess

EVENTS: Final = 1_000
OVER_S: Final = 10.0
HANGS_S: Final = 15.0
LATE_MS: Final = 3_000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.mongodb
async def test_a_hanging_endpoint_delays_no_other_on_the_clustered_engine(tmp_path: Path) -> None:
    async with clustered_shop(tmp_path, random.Random(1), apis=1, workers=1) as shop:
        await no_other_is_delayed(shop, tmp_path)


async def test_a_hanging_endpoint_delays_no_other_on_the_embedded_engine(tmp_path: Path) -> None:
    async with embedded_shop(tmp_path, random.Random(1), apis=1) as shop:
        await no_other_is_delayed(shop, tmp_path)


async def no_other_is_delayed(shop: LinkedShop, directory: Path) -> None:
    url = shop.apis[0].url
    (product,) = await make_products(shop.settings, url, a_product(EVENTS))
    with (
        ReceiverProcess(directory / "hanging.jsonl", ReceiverPlan(hang_s=HANGS_S)) as hanging,
        ReceiverProcess(directory / "healthy.jsonl") as healthy,
    ):
        for receiver in (hanging, healthy):
            await asyncio.to_thread(subscribe, shop.settings, receiver)
        await cancel_holds(url, product, EVENTS, OVER_S)
        received = await asyncio.to_thread(healthy.wait_for, lambda found: len(found) >= EVENTS)
        asked = len(hanging.receipts())
    took_ms = sorted(each.at_ms - each.told_ms for each in received if each.told_ms is not None)
    print(f"{len(took_ms)} events: half within {took_ms[len(took_ms) // 2]} ms, 99 of 100 within {_p99(took_ms)} ms")
    assert _p99(took_ms) < LATE_MS
    assert 1 <= asked < EVENTS


def _p99(ordered: list[int]) -> int:
    return ordered[len(ordered) * 99 // 100]
