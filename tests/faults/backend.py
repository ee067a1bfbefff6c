"""A shop of several processes, and requests of its backend and of its customers to each of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
from tests.faults.cluster import cluster
from tests.faults.processes import SECRET_KEYS, Environment, ServerProcess, audit, embedded
from tests.faults.products import a_product, hire, make_key

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.tokens import Tokens
from flashreserve.bootstrap import open_store_to_read
from flashreserve.clock import SystemClock
from flashreserve.core.model import Role
from flashreserve.settings import read_settings

TRIES_MAX: Final = 20
ANSWER_S: Final = 60.0
_NOT_DECIDED: Final = 503


class BackendAnswer(NamedTuple):
    """An answer over HTTP, and whether it repeats an earlier one."""

    status: int
    json: Any
    replayed: bool

    @property
    def code(self) -> str:
        return str(self.json["code"])


class BackendShop:
    """The processes' addresses, and the credentials of an admin and of the shop's backend."""

    def __init__(self, http: aiohttp.ClientSession, settings: Environment, urls: Sequence[str], admin: str) -> None:
        self._http = http
        self.settings = settings
        self.urls = urls
        self.admin = admin
        self.key = make_key(settings, "customers")
        self._tokens = Tokens(KeyRing.parse(SECRET_KEYS), ttl_s=3_600)

    def token(self, customer: str) -> str:
        """A token of the customer's own."""
        return self._tokens.issue(customer, Role.CUSTOMER, SystemClock().now_ms()).token

    async def ask(
        self,
        at: int,
        method: str,
        path: str,
        credential: str,
        body: Any = None,
        *,
        of: str | None = None,
        key: str | None = None,
    ) -> BackendAnswer:
        """Send a request once to process number `at`, perhaps on behalf of customer `of`, perhaps with a key."""
        headers = {"Authorization": f"Bearer {credential}"}
        headers |= {} if of is None else {"On-Behalf-Of": of}
        headers |= {} if key is None else {"Idempotency-Key": key}
        async with self._http.request(method, self.urls[at] + path, json=body, headers=headers) as answer:
            told = await answer.json(content_type=None)
            return BackendAnswer(answer.status, told, "Idempotent-Replayed" in answer.headers)

    async def ask_until_told(self, at: int, method: str, path: str, credential: str, **sent: Any) -> BackendAnswer:
        """Send a request, and again while its outcome is unknown or the process is busy: its key makes that safe."""
        for _ in range(TRIES_MAX - 1):
            answer = await self.ask(at, method, path, credential, **sent)
            if answer.status != _NOT_DECIDED:
                return answer
        return await self.ask(at, method, path, credential, **sent)

    async def product(self, units: int, **rules: Any) -> str:
        """The id of a new product."""
        made = await self.ask(0, "POST", "/products", self.admin, a_product(units, **rules))
        assert made.status == 201, made
        return str(made.json["id"])

    async def bought(self, customer: str, product: str, units: int) -> str:
        """The id of a purchase of these units, made at the first process."""
        token, body = self.token(customer), {"quantity": units}
        held = await self.ask_until_told(0, "POST", f"/reservations/{product}", token, body=body, key=f"buy-{product}")
        assert held.status == 201, held
        confirmed = await self.ask_until_told(0, "POST", f"/checkout/{held.json['id']}", token)
        assert confirmed.status == 200, confirmed
        return str(held.json["id"])

    async def give_back(self, at: int, reservation: str, product: str, units: int, key: str) -> BackendAnswer:
        """Return units by the backend's key."""
        body = {"lines": [{"productId": product, "quantity": units}]}
        path = f"/reservations/{reservation}/returns"
        return await self.ask_until_told(at, "POST", path, self.key, body=body, key=key)

    async def available(self, product: str) -> int:
        """The available units in the database, whose books must balance."""
        audit(self.settings)
        own = {name: value for name, value in self.settings.items() if name.startswith("FLASHRESERVE_")}
        store = await open_store_to_read(read_settings(own))
        try:
            found = await store.product(product)
        finally:
            await store.close()
        assert found is not None
        return found.available


@asynccontextmanager
async def backend_shop(engine: str, directory: Path, processes: int) -> AsyncIterator[BackendShop]:
    """A shop of several processes that are ready, on one SQLite file or one MongoDB database."""
    async with AsyncExitStack() as stack:
        if engine == "mongodb":
            running = await stack.enter_async_context(cluster(directory, apis=processes, workers=0))
            settings, urls = running.settings, running.urls
        else:
            settings = embedded(directory)
            servers = [ServerProcess(settings) for _ in range(processes)]
            for server in servers:
                await stack.enter_async_context(server)
            urls = [server.url for server in servers]
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)))
        yield BackendShop(http, settings, urls, await hire(settings, urls[0]))
