"""A shop in the test's own process, behind a real socket, with customers and admins."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import aiohttp
import apsw
import uuid_utils
from multidict import CIMultiDictProxy
from tests.server.sockets import RawClient
from yarl import URL

from flashreserve.auth.address import throttled_as
from flashreserve.auth.passwords import Argon2Cost
from flashreserve.auth.purpose_tokens import PurposeTokens
from flashreserve.bootstrap import Core, Seams, key_ring, open_core, open_edge
from flashreserve.clock import Clock
from flashreserve.core.commands import Command
from flashreserve.core.instants import format_instant, instant_of
from flashreserve.core.model import Account, Role, Units
from flashreserve.core.outcomes import Reserved
from flashreserve.core.quotas import NO_QUOTAS, Quotas
from flashreserve.http.edge import Edge
from flashreserve.jobs.sweep import sweep_once
from flashreserve.server.limits import HttpLimits
from flashreserve.server.process import Hooks, serve
from flashreserve.server.sockets import bind
from flashreserve.service.first_admin import LINK_S
from flashreserve.settings import Settings
from flashreserve.stores.port import Flushed, StoreOutcomeUnknownError, StoreUnavailableError, Swept, Take
from flashreserve.stores.sqlite import SqliteStore, open_sqlite

T = TypeVar("T")

RAW_HOST: Final = "shop.test"
"""The Host header of clients over bare sockets (`HttpShop.connect`)."""

SECRET_KEYS: Final = "test:a-secret-that-is-good-for-nothing-but-tests"
CHEAP_PASSWORDS: Final = Argon2Cost(memory_kib=64, passes=1, lanes=1)
DATABASE: Final = "flashreserve.db"
CONNECTIONS: Final = 128
ANSWER_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 5.0


class ShopClock:
    """A clock that moves only when a test moves it.

    Its elapsed time is the machine's plus these moves, or with `frozen` the moves alone.
    """

    def __init__(self, *, frozen: bool = False) -> None:
        self._now_ms = ms("2026-11-23T10:00:00.000Z")
        self._moved_s = 0.0
        self._frozen = frozen

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._moved_s + (1_000.0 if self._frozen else time.monotonic())

    def elapsed_ms(self) -> int:
        return round(self._moved_s * 1000)

    def advance(self, seconds: float) -> None:
        self._now_ms += round(seconds * 1000)
        self._moved_s += seconds

    def move_to(self, instant: str) -> None:
        ahead_ms = ms(instant) - self._now_ms
        assert ahead_ms >= 0
        self.advance(ahead_ms / 1000)

    def instant(self, ahead_s: float = 0.0) -> str:
        """The clock's time, `ahead_s` later."""
        return format_instant(self._now_ms + round(ahead_s * 1000))


class FragileStore(SqliteStore):
    """The real store, with simulated database outages, and a gate that flushes wait at."""

    flushes_ahead = 0

    def __init__(self, whole: SqliteStore) -> None:
        super().__init__(whole._writer, whole._reader, pulse=whole._pulse, quotas=whole._quotas, files=whole._files)
        self.away = False
        """Whether the database is away: reads and writes fail before they reach it."""
        self.loses_replies = False
        """Whether replies are lost: writes are done, but their replies never arrive."""
        self.door = asyncio.Event()
        """The gate: flushes wait until it is set."""
        self.door.set()
        self.flushing = False
        """Whether a flush waits at the gate."""
        self.flushes = 0
        self.sweeps_refused = 0

    def heal(self) -> None:
        self.away = self.loses_replies = False
        self.door.set()

    async def flush_late(self, take: Take) -> Flushed:
        taken = take()
        return await self.flush(taken.commands, taken.now)

    async def flush(self, commands: Sequence[Command], now: int) -> Flushed:
        self.flushes += 1
        self.flushing = True
        await self.door.wait()
        self.flushing = False
        return await super().flush(commands, now)

    async def release_lapsed(self, now: int, most: int) -> Swept:
        self.sweeps_refused += self.away
        return await super().release_lapsed(now, most)

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        if self.away:
            raise StoreUnavailableError("unplugged")
        written = await super()._write(work)
        if self.loses_replies:
            raise StoreOutcomeUnknownError("reply lost")
        return written

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        if self.away:
            raise StoreUnavailableError("unplugged")
        return await super()._read(work)


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    took_s: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's code; for other answers, a text with the status."""
        if self.headers.get("content-type") != "application/problem+json":
            return f"no problem but {self.status}"
        problem = self.json
        assert problem["status"] == self.status
        return str(problem["code"])

    @property
    def fields(self) -> list[str]:
        """The fields that a problem names."""
        return [error["field"] for error in self.json.get("errors", [])]

    def granted(self, status: int = 201) -> Any:
        """The body of an answer that must have this status."""
        assert self.status == status, self.body
        return self.json


class HttpShop:
    """One running instance. `store` is its own; `records` reads the file by another connection."""

    def __init__(self, url: str, core: Core, store: FragileStore, edge: Edge, data_dir: Path) -> None:
        self.url = url
        self.core = core
        self.store = store
        self.edge = edge
        self.clock: Clock = core.books.clock
        self.data_dir = data_dir
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S),
        )

    async def close(self) -> None:
        await self._session.close()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        raw: bytes | None = None,
    ) -> HttpAnswer:
        """Send `body` as JSON, or `raw` unchanged. Both are declared as JSON unless `headers` have another type."""
        sent = dict(headers or {})
        data = json.dumps(body).encode() if body is not None else raw
        if data is not None and "Content-Type" not in sent:
            sent["Content-Type"] = "application/json"
        # The client would write a path that is percent-encoded in another way.
        url = URL(self.url + path, encoded="%" in path)
        began_s = time.monotonic()
        async with self._session.request(
            method, url, headers=sent, data=data, allow_redirects=False, skip_auto_headers=["Content-Type"]
        ) as response:
            # Of a stream, which has no end, only the beginning.
            is_stream = response.content_type == "text/event-stream"
            read = await (response.content.readany() if is_stream else response.read())
            return HttpAnswer(response.status, response.headers, read, time.monotonic() - began_s)

    async def connect(self) -> RawClient:
        """A connection for requests that an HTTP client can't send. The caller closes it."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return RawClient(*await asyncio.open_connection(host, int(port)))

    def customer(self) -> "HttpCustomer":
        """A new customer. Reserving needs no account in the database, only a token signed by the shop."""
        return HttpCustomer(self, str(uuid_utils.uuid7()), Role.CUSTOMER)

    def customers(self, count: int) -> list["HttpCustomer"]:
        return [self.customer() for _ in range(count)]

    def first_admin_token(self) -> str:
        """The token of a link that makes the first admin, as the server prints it when the shop is empty."""
        tokens = PurposeTokens(self.core.keys, "first-admin", ttl_s=LINK_S)
        return tokens.issue("first-admin", self.clock.now_ms()).text

    async def hire(self) -> "Admin":
        """A new admin, with an account."""
        admin = Admin(self, str(uuid_utils.uuid7()), Role.ADMIN)
        account = Account(admin.id, f"{admin.id}@example.com", Role.ADMIN, "-", self.clock.now_ms())
        assert await self.store.add_account(account)
        return admin

    async def hold_for_each(self, customers: Sequence["HttpCustomer"], product_id: str) -> list[str]:
        """Hold one unit for each of the customers, without HTTP. Returns the reservations' ids."""
        wanted = [Units(product_id, 1)]
        held = await asyncio.gather(
            *[self.core.books.reservations.reserve(customer.id, wanted, None) for customer in customers]
        )
        return [outcome.reservation.id for outcome in held if isinstance(outcome, Reserved)]

    async def available(self, product_id: str) -> int:
        """The units available, from the database."""
        answer = await self.ask("GET", f"/products/{product_id}")
        return int(answer.granted(200)["available"])

    async def sweep(self, *, ahead_ms: int = 0, step_max: int | None = None, steps_max: int = 1_000) -> int:
        """One pass of the sweep, by a clock that may be `ahead_ms` ahead of the shop's."""
        now = self.clock.now_ms() + ahead_ms
        return await sweep_once(self.store, now, step_max=step_max, steps_max=steps_max)

    async def check_books(self) -> None:
        """Check rule 1 for every product."""
        audit = await self.store.audit()
        assert audit.differences == []

    def records(self) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of all tables in the file."""
        connection = apsw.Connection(str(self.data_dir / DATABASE), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
            return {str(name): connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in tables}  # noqa: S608
        finally:
            connection.close()


class Person:
    """A user with a token."""

    def __init__(self, shop: HttpShop, user_id: str, role: Role) -> None:
        self.id = user_id
        self._shop = shop
        self._role = role
        self.token = shop.core.tokens.issue(user_id, role, shop.clock.now_ms()).token

    def at(self, shop: HttpShop) -> Self:
        """The same user at another instance."""
        return type(self)(shop, self.id, self._role)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        raw: bytes | None = None,
        key: str | None = None,
    ) -> HttpAnswer:
        signed = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        if key is not None:
            signed["Idempotency-Key"] = key
        return await self._shop.ask(method, path, headers=signed, body=body, raw=raw)


class HttpCustomer(Person):
    """A customer."""

    async def reserve(self, product_id: str, quantity: int | None = None, *, key: str | None = None) -> HttpAnswer:
        body = None if quantity is None else {"quantity": quantity}
        return await self.ask("POST", f"/reservations/{product_id}", body=body, key=key)

    async def reserve_basket(self, *lines: tuple[str, int], key: str | None = None) -> HttpAnswer:
        return await self.ask("POST", "/reservations", body=_lines(lines), key=key)

    async def hold(self, product_id: str, quantity: int = 1) -> Any:
        """Reserve, check that it succeeded, and return the answer's body."""
        return (await self.reserve(product_id, quantity, key=new_key())).granted()

    async def confirm(self, reservation_id: str) -> HttpAnswer:
        return await self.ask("POST", f"/reservations/confirm/{reservation_id}")

    async def checkout(self, reservation_id: str, *lines: tuple[str, int]) -> HttpAnswer:
        return await self.ask("POST", f"/checkout/{reservation_id}", body=_lines(lines) if lines else None)

    async def extend(self, reservation_id: str) -> HttpAnswer:
        return await self.ask("POST", f"/reservations/{reservation_id}/extend")

    async def cancel(self, reservation_id: str) -> HttpAnswer:
        return await self.ask("DELETE", f"/reservations/{reservation_id}")

    async def reservation(self, reservation_id: str) -> Any:
        return (await self.ask("GET", f"/reservations/{reservation_id}")).granted(200)


class Admin(Person):
    """An admin."""

    async def create(self, **fields: object) -> HttpAnswer:
        product = {"name": "a thing", "price": "999.99", "stockQuantity": 10, **fields}
        return await self.ask("POST", "/products", body=product)

    async def product(self, **fields: object) -> str:
        """The id of a new product."""
        return str((await self.create(**fields)).granted()["id"])

    async def edit(self, product_id: str, **fields: object) -> HttpAnswer:
        return await self.ask("PATCH", f"/products/{product_id}", body=fields)

    async def restock(self, product_id: str, change: int, *, key: str | None = None) -> HttpAnswer:
        return await self.ask("POST", f"/products/{product_id}/stock", body={"change": change}, key=key or new_key())

    async def give_back(
        self, reservation_id: str, *lines: tuple[str, int], key: str | None = None, reason: str | None = None
    ) -> HttpAnswer:
        """Return units of a purchase."""
        body = _lines(lines) | ({} if reason is None else {"reason": reason})
        return await self.ask("POST", f"/reservations/{reservation_id}/returns", body=body, key=key or new_key())

    async def reservations(self, product_id: str) -> list[Any]:
        """All reservations of a product, page by page."""
        return [item async for item in self.pages(f"/products/{product_id}/reservations?limit=200")]

    async def pages(self, path: str) -> AsyncIterator[Any]:
        """The items of all pages."""
        cursor = ""
        while True:
            page = (await self.ask("GET", path + cursor)).granted(200)
            for item in page["items"]:
                yield item
            if page["nextCursor"] is None:
                return
            cursor = f"{'&' if '?' in path else '?'}cursor={page['nextCursor']}"


def _lines(lines: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """A body with these products and quantities."""
    return {"lines": [{"productId": product_id, "quantity": quantity} for product_id, quantity in lines]}


@asynccontextmanager
async def open_shop(
    data_dir: Path,
    clock: Clock,
    *,
    sweeps: bool = False,
    production: bool = False,
    trusted_proxies: str = "",
    metrics_token: str = "",
    busy_wait_s: float = 5.0,
    quotas: Quotas = NO_QUOTAS,
    seams: Mapping[str, Any] | None = None,
    limits: HttpLimits | None = None,
    **others: Any,
) -> AsyncIterator[HttpShop]:
    """An instance on the database in `data_dir`, on a free port. Its books are audited when it closes.

    `others` are further settings.
    """
    settings = Settings(
        data_dir=data_dir,
        secret_keys=SECRET_KEYS,
        env="production" if production else "development",
        trusted_proxies=trusted_proxies,
        metrics_token=metrics_token,
        hosts=RAW_HOST,
        **others,
    )
    store = FragileStore(open_sqlite(data_dir / DATABASE, create=True, busy_wait_s=busy_wait_s, quotas=quotas))
    tightened = Seams(**{"clock": clock, "password_cost": CHEAP_PASSWORDS, **(seams or {})})
    limits = limits or HttpLimits()
    async with (
        open_core(settings, store, key_ring(settings, create=False), tightened) as core,
        open_edge(settings, core, sweeps=sweeps, place=None, limits=limits) as edge,
        _served(edge, limits) as url,
    ):
        shop = HttpShop(url, core, store, edge, data_dir)
        try:
            yield shop
        finally:
            await shop.close()
            store.heal()
        await shop.check_books()


@asynccontextmanager
async def _served(edge: Edge, limits: HttpLimits) -> AsyncIterator[str]:
    listener = bind("127.0.0.1", 0, backlog=limits.backlog)
    ready, stop = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(
        serve(
            edge.application(),
            listener=listener,
            limits=limits,
            address_of=throttled_as,
            wall_clock_s=time.time,
            hooks=Hooks(ready=ready.set, draining=edge.drain),
            stop=stop,
            shutdown_timeout_s=_STOP_TIMEOUT_S,
            idle_grace_s=0.0,
        )
    )
    port = listener.getsockname()[1]
    await ready.wait()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        await serving


async def all_of(asked: Sequence[Awaitable[HttpAnswer]]) -> list[HttpAnswer]:
    """Await all of them concurrently."""
    return list(await asyncio.gather(*asked))


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until the condition holds."""
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - other tasks signal no event
            await asyncio.sleep(0.001)


def new_key() -> str:
    return str(uuid_utils.uuid4())


def ms(instant: str) -> int:
    return instant_of(datetime.fromisoformat(instant))
