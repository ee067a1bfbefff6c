"""Customers who reserve, confirm and cancel as fast as they can, and record every reservation acknowledged to them."""

import asyncio
import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.tokens import Tokens
from flashreserve.clock import SystemClock, SystemIds
from flashreserve.core.model import Role

Promise = dict[str, Any]


class FaultCrowd:
    """`size` customers of some products at some servers.

    `promised` maps each granted key to the reservation as last acknowledged. `unanswered` holds the keys of requests
    that got no definite answer.
    """

    def __init__(self, urls: list[str], products: list[str], *, size: int, secret_keys: str, seed: int) -> None:
        self.urls = urls
        self.products = products
        self._size = size
        self._tokens = Tokens(KeyRing.parse(secret_keys), ttl_s=3600)
        self._random = random.Random(seed)
        self._keys = itertools.count()
        self.users = [SystemIds().new() for _ in range(size)]
        self.promised: dict[str, Promise] = {}
        self.owners: dict[str, str] = {}
        self.unanswered: dict[str, tuple[str, str]] = {}
        self.strange: list[str] = []
        self.refused_503 = 0

    def headers(self, user: str) -> dict[str, str]:
        """A bearer token of the customer's."""
        issued = self._tokens.issue(user, Role.CUSTOMER, SystemClock().now_ms())
        return {"Authorization": f"Bearer {issued.token}"}

    async def rush(self, seconds: float) -> None:
        """Let all customers shop, for this long."""
        until = asyncio.get_running_loop().time() + seconds
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            await asyncio.gather(*(self._shop(http, user, until) for user in self.users))

    async def retry_unanswered(self, url: str) -> None:
        """Retry each unanswered request with its key: each must get a definite answer."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            for key, (user, product) in list(self.unanswered.items()):
                status, body = await self._reserve(http, url, user, product, key)
                assert status in {201, 409}, body
                del self.unanswered[key]

    async def check_promises(self, url: str) -> None:
        """Check that every acknowledged reservation exists, with the acknowledged status or a later one."""
        left = iter(list(self.promised.items()))
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:

            async def check_some() -> None:
                for key, promise in left:
                    await self._check_promise(http, url, self.owners[key], promise)

            await asyncio.gather(*(check_some() for _ in range(self._size)))

    async def _check_promise(self, http: aiohttp.ClientSession, url: str, owner: str, promise: Promise) -> None:
        async with http.get(f"{url}/reservations/{promise['id']}", headers=self.headers(owner)) as answer:
            found = await answer.json()
            assert answer.status == 200, f"the acknowledged reservation {promise['id']} is missing: {found}"
        if promise["status"] == "PENDING":
            assert found["status"] in {"PENDING", "CONFIRMED", "CANCELLED", "EXPIRED"}
        else:
            assert found["status"] == promise["status"]
        assert found["lines"] == promise["lines"]

    async def _shop(self, http: aiohttp.ClientSession, user: str, until: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            url = self._random.choice(self.urls)
            key = f"key-{next(self._keys)}"
            product = self._random.choice(self.products)
            self.unanswered[key] = (user, product)
            try:
                status, body = await self._reserve(http, url, user, product, key)
                if status not in {201, 409, 503}:
                    self.strange.append(f"{status} {body}")
                if status == 503:
                    self.refused_503 += 1
                    await asyncio.sleep(0.02)
                else:
                    self.unanswered.pop(key)
                if status == 201:
                    await self._follow_up(http, url, user, key)
            except (aiohttp.ClientError, TimeoutError):
                # The server was killed during this request, or has not started again yet.
                await asyncio.sleep(0.02)

    async def _reserve(
        self, http: aiohttp.ClientSession, url: str, user: str, product: str, key: str
    ) -> tuple[int, Any]:
        headers = self.headers(user) | {"Idempotency-Key": key}
        async with http.post(f"{url}/reservations/{product}", headers=headers) as answer:
            body = await answer.json()
            if answer.status == 201:
                self._promise(key, user, body)
            return answer.status, body

    def _promise(self, key: str, user: str, body: Promise) -> None:
        before = self.promised.get(key)
        assert before is None or before["id"] == body["id"], f"two reservations for the key {key}"
        if before is None:
            self.promised[key] = body
            self.owners[key] = user

    async def _follow_up(self, http: aiohttp.ClientSession, url: str, user: str, key: str) -> None:
        choice = self._random.random()
        if choice < 0.5:
            return
        reservation = self.promised[key]["id"]
        method, path = ("POST", "/checkout/") if choice < 0.8 else ("DELETE", "/reservations/")
        async with http.request(method, url + path + reservation, headers=self.headers(user)) as answer:
            body = await answer.json()
            if answer.status == 200:
                self.promised[key] = body
            elif answer.status != 503 and not (answer.status == 410 and self._may_be_over(key)):
                self.strange.append(f"{answer.status} {body}")

    def _may_be_over(self, key: str) -> bool:
        """Whether the hold's time may be over, if clocks differ by a second."""
        ends = datetime.fromisoformat(self.promised[key]["expiresAt"])
        return ends <= datetime.now(UTC) + timedelta(seconds=1)
