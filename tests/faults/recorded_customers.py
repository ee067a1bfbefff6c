"""Customers over HTTP. Their requests and answers are recorded in a history for the auditor."""

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, assert_never

import aiohttp
from tests.proof.records import Answered, Asked, Held, Kind, Lost, Record

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.tokens import Tokens
from flashreserve.clock import SystemClock, SystemIds
from flashreserve.core.model import Role

PATIENCE_S: Final = 8.0
_VANISH: Final = 0.03
_DONE: Final[dict[str, str]] = {
    "confirm": "confirmed",
    "extend": "extended",
    "cancel": "released",
    "read": "found",
    "stock": "stock",
}


class RecordedCustomers:
    """`size` customers at some addresses. They reserve, and confirm, extend, cancel and read their reservations."""

    def __init__(
        self, urls: Sequence[str], products: Sequence[str], *, size: int, secret_keys: str, chance: random.Random
    ) -> None:
        self._urls = urls
        self._products = products
        self._tokens = Tokens(KeyRing.parse(secret_keys), ttl_s=3_600)
        self._chance = chance
        self._users = [SystemIds().new() for _ in range(size)]
        self._own: dict[str, list[str]] = {user: [] for user in self._users}
        self._numbers = itertools.count()
        self._keys = itertools.count()
        self.epoch_ms = SystemClock().now_ms()
        self._began_s = time.monotonic()
        self.vanish = _VANISH
        """Share of requests whose customer doesn't wait for the answer."""
        self.history: list[Record] = []

    def now(self) -> float:
        """Milliseconds since the history began."""
        return (time.monotonic() - self._began_s) * 1_000

    async def shop(self, until: asyncio.Event) -> None:
        """Let all customers shop until the event is set."""
        async with self.session() as http:
            await asyncio.gather(*(self._one(http, user, until) for user in self._users))

    def session(self) -> aiohttp.ClientSession:
        """A session for their requests."""
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S), middlewares=[_sent_once])

    async def _one(self, http: aiohttp.ClientSession, user: str, until: asyncio.Event) -> None:
        while not until.is_set():
            await self._act(http, user)
            await asyncio.sleep(self._chance.uniform(0, 0.05))

    async def _act(self, http: aiohttp.ClientSession, user: str) -> None:
        chance = self._chance
        own = self._own[user]
        if own and chance.random() < 0.5:
            kind: Kind = chance.choice(("confirm", "cancel", "extend", "read", "read"))
            await self.ask(http, Asked(0, 0, "", kind, user, of=chance.choice(own[-3:])))
        elif chance.random() < 0.1:
            await self.ask(http, Asked(0, 0, "", "stock", user, of=chance.choice(self._products)))
        else:
            lines = ((chance.choice(self._products), chance.choice((1, 1, 2))),)
            key = f"key-{next(self._keys)}" if chance.random() < 0.7 else None
            for _ in range(3):
                done = await self.ask(http, Asked(0, 0, "", "reserve", user, lines, key))
                if done or key is None:
                    break

    async def ask(self, http: aiohttp.ClientSession, asked: Asked) -> bool:
        """Send a request to a random address, and record it; whether there was a definite answer."""
        number, place = next(self._numbers), self._chance.randrange(len(self._urls))
        asked = asked._replace(at=self.now(), number=number, process=f"api {place}")
        self.history.append(asked)
        patience_s = self._chance.uniform(0, 0.05) if self._chance.random() < self.vanish else PATIENCE_S
        try:
            async with asyncio.timeout(patience_s):
                answer = await self._over_http(http, self._urls[place], asked)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            self.history.append(Lost(self.now(), number))
            return False
        self.history.append(answer._replace(at=self.now(), number=number))
        if answer.held is not None and answer.answer == "reserved":
            self._own[asked.user].append(answer.held.id)
        return answer.answer not in {"unavailable", "outcome-unknown"}

    async def _over_http(self, http: aiohttp.ClientSession, url: str, asked: Asked) -> Answered:
        method, path, body = _request(asked)
        token = self._tokens.issue(asked.user, Role.CUSTOMER, SystemClock().now_ms()).token
        headers = {"Authorization": f"Bearer {token}"}
        if asked.key is not None:
            headers["Idempotency-Key"] = asked.key
        async with http.request(method, url + path, json=body, headers=headers) as answer:
            told = await answer.json(content_type=None)
            return _understood(asked, answer.status, "Idempotent-Replayed" in answer.headers, told)


async def _sent_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Let a request be sent only once, because each sending must have its own record.

    aiohttp retries a DELETE by itself if the connection breaks, and then returns the answer to the second one.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientError(str(error)) from error  # of a class that aiohttp doesn't retry


def _request(asked: Asked) -> tuple[str, str, Any]:
    match asked.kind:
        case "reserve":
            ((product, quantity),) = asked.lines
            return "POST", f"/reservations/{product}", {"quantity": quantity}
        case "confirm":
            return "POST", f"/checkout/{asked.of}", None
        case "extend":
            return "POST", f"/reservations/{asked.of}/extend", None
        case "cancel":
            return "DELETE", f"/reservations/{asked.of}", None
        case "read":
            return "GET", f"/reservations/{asked.of}", None
        case "stock":
            return "GET", f"/products/{asked.of}/stock", None
        case "list" | "restock" | "edit" | "audit":
            raise ValueError(f"these customers send no request of the kind {asked.kind}")
        case _:
            assert_never(asked.kind)


def _understood(asked: Asked, status: int, replayed: bool, told: Any) -> Answered:  # noqa: FBT001 - one of the answer's facts
    if status == 201:
        return Answered(0, 0, "replayed" if replayed else "reserved", _held(told, asked.key))
    if status != 200:
        code = str(told["code"])
        return Answered(0, 0, "already-cancelled" if code == "cancelled" else code)
    if asked.kind == "stock":
        return Answered(0, 0, "stock", units=told["available"])
    # The API doesn't show how often a hold was extended.
    return Answered(0, 0, _DONE[asked.kind], _held(told, None) if asked.kind != "extend" else None)


def _held(told: Any, key: str | None) -> Held:
    """The reservation as the API shows it; `completed` adds what the API doesn't show."""
    created, expires = _ms(told["createdAt"]), _ms(told["expiresAt"])
    return Held(
        id=told["id"],
        user=told["userId"],
        status=told["status"],
        lines=tuple((line["productId"], line["quantity"]) for line in told["lines"]),
        created_at=created or 0,
        expires_at=expires or 0,
        hold_ms=(expires or 0) - (created or 0),
        extensions=0,
        confirmed_at=_ms(told["confirmedAt"]),
        released_at=_ms(told["releasedAt"]),
        key=key,
    )


def _ms(instant: str | None) -> int | None:
    return None if instant is None else round(datetime.fromisoformat(instant).timestamp() * 1_000)


def completed(history: Sequence[Record], left: Sequence[Held]) -> list[Record]:
    """The history with facts that the API doesn't show: when expired holds were over, from the reservations `left`."""
    final = {held.id: held for held in left}
    asked = {record.number: record for record in history if isinstance(record, Asked)}
    whole: list[Record] = []
    for record in history:
        if isinstance(record, Answered) and record.answer == "expired" and asked[record.number].of in final:
            whole.append(record._replace(instant=final[asked[record.number].of].expires_at))
        else:
            whole.append(record)
    return whole
