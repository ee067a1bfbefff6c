"""Customers who reserve a unit each and cancel at once: two transitions, of which the second is an event."""

import asyncio
from typing import Final

import aiohttp
from tests.faults.processes import SECRET_KEYS

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.tokens import Tokens
from flashreserve.clock import SystemClock, SystemIds
from flashreserve.core.model import Role

_AT_ONCE: Final = 20


async def cancel_holds(url: str, product: str, count: int, seconds: float) -> None:
    """Reserve and cancel as many times, a few at a time, evenly over these seconds."""
    tokens = Tokens(KeyRing.parse(SECRET_KEYS), ttl_s=3_600)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with aiohttp.ClientSession() as http:

        async def cancel_one(number: int) -> None:
            await asyncio.sleep(max(0.0, begun + seconds * number / count - loop.time()))
            token = tokens.issue(SystemIds().new(), Role.CUSTOMER, SystemClock().now_ms()).token
            customer = {"Authorization": f"Bearer {token}"}
            async with http.post(f"{url}/reservations/{product}", json={"quantity": 1}, headers=customer) as answer:
                assert answer.status == 201, await answer.text()
                made = await answer.json()
            async with http.delete(f"{url}/reservations/{made['id']}", headers=customer) as answer:
                assert answer.status == 200, await answer.text()

        for first in range(0, count, _AT_ONCE):
            await asyncio.gather(*map(cancel_one, range(first, min(first + _AT_ONCE, count))))
