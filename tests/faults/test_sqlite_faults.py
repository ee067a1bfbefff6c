"""The embedded engine under load and `kill -9`, with real processes on one file.

`FAULT_ROUNDS` is how often the server is killed (by default 3; `make faults ROUNDS=20` is the full size).
"""

import asyncio
import os
from pathlib import Path

import aiohttp
import pytest
from tests.faults.crowd import FaultCrowd
from tests.faults.processes import SECRET_KEYS, ServerProcess, audit, embedded
from tests.faults.products import a_product, make_products

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "3"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 + 30 * ROUNDS)]


async def test_kill_9_under_load_loses_no_acknowledged_reservation(tmp_path: Path) -> None:
    server = ServerProcess(embedded(tmp_path))
    async with server:
        products = await make_products(
            embedded(tmp_path), server.url, a_product(1_000_000), a_product(400), a_product(50)
        )
        crowd = FaultCrowd([server.url], products, size=32, secret_keys=SECRET_KEYS, seed=1)
        for round_ in range(ROUNDS):
            rush = asyncio.create_task(crowd.rush(1.2))
            await asyncio.sleep(0.3 + 0.6 * (round_ % 7) / 7)
            before = len(crowd.promised)
            server.kill()
            assert before > 0, "the load had not begun"
            audit(embedded(tmp_path))
            await server.start()
            await rush
            await crowd.retry_unanswered(server.url)
            assert crowd.strange == []
        await crowd.check_promises(server.url)
    said = audit(embedded(tmp_path))
    # Every request was answered in the end, so every reservation was acknowledged.
    assert said["reservations"] == len(crowd.promised)


async def test_two_processes_on_one_file_keep_limits_and_keys_together(tmp_path: Path) -> None:
    one, other = ServerProcess(embedded(tmp_path)), ServerProcess(embedded(tmp_path))
    async with one, other:
        products = await make_products(
            embedded(tmp_path), one.url, a_product(1_000_000), a_product(300), a_product(1_000, perCustomerLimit=3)
        )
        crowd = FaultCrowd([one.url, other.url], products, size=32, secret_keys=SECRET_KEYS, seed=2)
        await crowd.rush(4)
        await crowd.retry_unanswered(one.url)
        assert crowd.strange == []
        await crowd.check_promises(other.url)
        await same_key_at_both(crowd, [one.url, other.url], products[0])
        await limit_at_both(crowd, [one.url, other.url], products[2])
    audit(embedded(tmp_path))


async def same_key_at_both(crowd: FaultCrowd, urls: list[str], product: str) -> None:
    """Send forty requests with one key to both processes at once: there must be one reservation."""
    headers = crowd.headers("0199c0de-0000-7000-8003-00000000a001") | {"Idempotency-Key": "one"}
    async with aiohttp.ClientSession() as http:

        async def ask(number: int) -> tuple[int, str]:
            async with http.post(f"{urls[number % 2]}/reservations/{product}", headers=headers) as answer:
                return answer.status, (await answer.json()).get("id")

        answers = await asyncio.gather(*(ask(number) for number in range(40)))
    assert {status for status, _ in answers} == {201}
    assert len({id_ for _, id_ in answers}) == 1


async def limit_at_both(crowd: FaultCrowd, urls: list[str], product: str) -> None:
    """Reserve forty single units for one customer at both processes at once: as many succeed as the limit allows."""
    headers = crowd.headers("0199c0de-0000-7000-8003-00000000a002")
    async with aiohttp.ClientSession() as http:

        async def ask(number: int) -> int:
            async with http.post(f"{urls[number % 2]}/reservations/{product}", headers=headers) as answer:
                return answer.status

        answers = await asyncio.gather(*(ask(number) for number in range(40)))
    assert sorted(answers) == [201] * 3 + [409] * 37
