"""Shops for testing the rehearsal: a small correct one, and shops with one fault each."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum, auto
from typing import Any

import uuid_utils
from aiohttp import web

from flashreserve.rehearsal.server import AuditReport, ServerUnderTest

PAGE = 100
ADMIN = "the-admin"


class ShopFault(StrEnum):
    """The one fault of a shop."""

    NONE = auto()
    OVERSELLS = auto()
    OVERSELLS_AND_HIDES_IT = auto()
    LEAKS = auto()
    FORGETS = auto()
    LOSES_A_PURCHASE = auto()
    EXPIRES_EARLY = auto()
    IGNORES_KEYS = auto()
    FAILS = auto()
    TALKS_NONSENSE = auto()
    NEVER_ANSWERS = auto()
    DROPS_THE_FIRST = auto()
    IS_SLOW = auto()
    IS_BUSY_AT_FIRST = auto()
    IS_BUSY_WITHOUT_SAYING = auto()
    FORBIDS = auto()
    NEVER_SWEEPS = auto()
    NEVER_ENDS_A_SALE = auto()


@dataclass
class ShopHold:
    id: str
    user_id: str
    product_id: str
    created: float
    expires: float
    status: str = "PENDING"
    hidden: bool = False
    swept: bool = False

    def shown(self, now: float) -> dict[str, Any]:
        return {
            "id": self.id,
            "userId": self.user_id,
            "status": "EXPIRED" if self.lapsed(now) else self.status,
            "lines": [{"productId": self.product_id, "quantity": 1, "unitPrice": "999.00", "currency": "USD"}],
            "expiresAt": instant(self.expires),
            "createdAt": instant(self.created),
            "confirmedAt": None,
            "releasedAt": None,
        }

    def lapsed(self, now: float) -> bool:
        return self.status == "PENDING" and self.expires <= now


@dataclass
class ShopProduct:
    id: str
    stocked: int
    available: int
    hold_s: int
    ends_at: str | None

    def on_sale(self) -> bool:
        return self.ends_at is None or datetime.fromisoformat(self.ends_at) > datetime.now(UTC)


@dataclass
class PretendedShop:
    """Keeps everything in memory. Each request is one step of the event loop, so requests don't interfere."""

    fault: ShopFault = ShopFault.NONE
    products: dict[str, ShopProduct] = field(default_factory=dict)
    holds: dict[str, ShopHold] = field(default_factory=dict)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    asked_at: list[float] = field(default_factory=list)
    doors: set[str] = field(default_factory=set)
    served: int = 0
    connections: Callable[[], int] = lambda: 0
    first_customer: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/products", self.create)
        app.router.add_get("/products/{id}", self.product)
        app.router.add_patch("/products/{id}", self.edit)
        app.router.add_get("/products/{id}/stock", self.product)
        app.router.add_get("/products/{id}/reservations", self.reservations)
        app.router.add_post("/reservations/{id}", self.reserve)
        app.router.add_post("/reservations/confirm/{id}", self.confirm)
        app.router.add_delete("/reservations/{id}", self.cancel)
        return app

    async def create(self, request: web.Request) -> web.Response:
        if signed(request) != ADMIN:
            return problem(403, "forbidden")
        body = await request.json()
        units = body["stockQuantity"]
        product = ShopProduct(str(uuid_utils.uuid7()), units, units, body["holdSeconds"], body.get("saleEndsAt"))
        self.products[product.id] = product
        return web.json_response(self._shown(product), status=201)

    async def edit(self, request: web.Request) -> web.Response:
        if signed(request) != ADMIN:
            return problem(403, "forbidden")
        if self.fault is ShopFault.NEVER_ENDS_A_SALE and self.served:
            return problem(500, "internal")
        product = self.products[request.match_info["id"]]
        product.ends_at = (await request.json())["saleEndsAt"]
        return web.json_response(self._shown(product))

    async def product(self, request: web.Request) -> web.Response:
        self.sweep()
        return web.json_response(self._shown(self.products[request.match_info["id"]]))

    async def reservations(self, request: web.Request) -> web.Response:
        if signed(request) != ADMIN:
            return problem(403, "forbidden")
        now, limit = time.time(), min(PAGE, int(request.query["limit"]))
        start = int(request.query.get("cursor", "0"))
        own = [h for h in self.holds.values() if h.product_id == request.match_info["id"] and not h.hidden]
        more = start + limit if start + limit < len(own) else None
        items = [hold.shown(now) for hold in own[start : start + limit]]
        return web.json_response({"items": items, "nextCursor": more and str(more)})

    async def reserve(self, request: web.Request) -> web.Response:
        user, key = signed(request), request.headers["Idempotency-Key"]
        self.asked_at.append(time.monotonic())
        self.doors.add(request.host)
        self.first_customer.set()
        self.tries[key] = self.tries.get(key, 0) + 1
        if trouble := await self._trouble(request, key):
            return trouble
        self.sweep()
        if (known := self.keys.get((user, key))) and self.fault is not ShopFault.IGNORES_KEYS:
            return self._granted(self.holds[known], replayed=True)
        product = self.products[request.match_info["id"]]
        if not product.on_sale():
            return problem(403, "not-on-sale")
        spare = 3 if self.fault in {ShopFault.OVERSELLS, ShopFault.OVERSELLS_AND_HIDES_IT} else 0
        if product.available + spare <= 0:
            return problem(409, "sold-out")
        hold = self._take(product, user, key)
        return self._granted(hold, replayed=False)

    async def confirm(self, request: web.Request) -> web.Response:
        hold, now = self.holds[request.match_info["id"]], time.time()
        if hold.user_id != signed(request):
            return problem(404, "not-found")
        if hold.status == "CONFIRMED":
            return web.json_response(hold.shown(now))
        if hold.lapsed(now) or hold.status != "PENDING":
            return problem(410, "expired")
        if self.fault is not ShopFault.LOSES_A_PURCHASE:
            hold.status = "CONFIRMED"
        return web.json_response(hold.shown(now) | {"status": "CONFIRMED"})

    async def cancel(self, request: web.Request) -> web.Response:
        hold = self.holds[request.match_info["id"]]
        if hold.status == "PENDING":
            hold.status = "CANCELLED"
            self.products[hold.product_id].available += 1
        return web.json_response(hold.shown(time.time()))

    def sweep(self) -> None:
        if self.fault is ShopFault.NEVER_SWEEPS:
            return
        now = time.time()
        for hold in self.holds.values():
            if hold.lapsed(now):
                hold.status = "EXPIRED"
                self.products[hold.product_id].available += 1

    def _take(self, product: ShopProduct, user: str, key: str) -> ShopHold:
        self.served += 1
        now = time.time()
        hold = ShopHold(str(uuid_utils.uuid7()), user, product.id, now, now + product.hold_s)
        self.holds[hold.id] = hold
        self.keys[user, key] = hold.id
        product.available -= 2 if self.fault is ShopFault.LEAKS and self.served == 3 else 1
        if self.fault is ShopFault.FORGETS and self.served == 3:
            hold.hidden = True
            product.available += 1
        if self.fault is ShopFault.OVERSELLS_AND_HIDES_IT and product.available < 0:
            hold.hidden = True
            product.available += 1
        if self.fault is ShopFault.EXPIRES_EARLY and self.served == 3:
            hold.status = "EXPIRED"
            product.available += 1
        return hold

    def _granted(self, hold: ShopHold, *, replayed: bool) -> web.Response:
        body = hold.shown(hold.created) | {"status": "PENDING"}
        headers = {"Location": f"/reservations/{hold.id}"} | ({"Idempotent-Replayed": "true"} if replayed else {})
        return web.json_response(body, status=201, headers=headers)

    async def _trouble(self, request: web.Request, key: str) -> web.Response | None:
        first = self.tries[key] == 1
        match self.fault:
            case ShopFault.FAILS if len(self.tries) == 3 and first:
                return problem(500, "internal")
            case ShopFault.TALKS_NONSENSE if len(self.tries) == 3 and first:
                return web.Response(status=201, body=b"<html>")
            case ShopFault.NEVER_ANSWERS if key == next(iter(self.tries)):
                await asyncio.sleep(3600)
            case ShopFault.IS_SLOW:
                await asyncio.sleep(1)
            case ShopFault.DROPS_THE_FIRST if first:
                self._take(self.products[request.match_info["id"]], signed(request), key)
                assert request.transport is not None
                request.transport.abort()
            case ShopFault.IS_BUSY_AT_FIRST if first:
                return problem(503, "unavailable", {"Retry-After": "1"})
            case ShopFault.IS_BUSY_WITHOUT_SAYING if first:
                return problem(503, "unavailable")
            case ShopFault.FORBIDS:
                return problem(401, "not-signed-in")
            case _:
                pass
        return None

    def _shown(self, product: ShopProduct) -> dict[str, Any]:
        available = max(0, product.available)
        return {"id": product.id, "productId": product.id, "stockQuantity": product.stocked, "available": available}


def signed(request: web.Request) -> str:
    return request.headers["Authorization"].removeprefix("Bearer ")


def problem(status: int, code: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"type": f"/problems/{code}", "code": code, "title": code, "status": status}
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")


def instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@contextlib.asynccontextmanager
async def open_shop(
    shop: PretendedShop, *, doors: int = 1, audit: Callable[[], Awaitable[AuditReport]] | None = None
) -> AsyncIterator[ServerUnderTest]:
    """Serve the shop on free ports of this machine, as long as the context."""
    runner = web.AppRunner(shop.app(), handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    try:
        shop.connections = lambda: len(runner.server.connections) if runner.server else 0
        for _ in range(doors):
            await web.TCPSite(runner, "127.0.0.1", 0).start()
        urls = tuple(f"http://127.0.0.1:{address[1]}" for address in runner.addresses)
        yield ServerUnderTest(urls=urls, admin_token=ADMIN, mint=mint, audit=audit)
    finally:
        await runner.cleanup()


def mint(count: int) -> list[str]:
    # Unsigned: this shop takes the whole token as the user's id.
    return [f"user-{number}" for number in range(count)]
