"""Customers over HTTP. Their requests and answers are recorded in a history for the auditor."""

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, assert_never

import aiohttp
from tests.proof.records import Answered, Asked, Held, Kind, Lines, Lost, Record, ReturnedUnits

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
    "label": "labelled",
    "read": "found",
    "stock": "stock",
}
_KINDS: Final[tuple[Kind, ...]] = (
    *("confirm", "confirm", "cancel", "extend"),
    *("return", "return", "label", "read", "read"),
)
"""What customers ask about their reservations, each as often as it is here."""


class RecordedCustomers:
    """`size` customers at some addresses. They reserve, and confirm, extend, cancel and read their reservations.

    They confirm all units or some. The shop's backend, whose API key is `backend`, returns units for them, and labels
    their reservations.
    """

    def __init__(
        self,
        urls: Sequence[str],
        products: Sequence[str],
        *,
        size: int,
        secret_keys: str,
        chance: random.Random,
        backend: str,
    ) -> None:
        self._urls = urls
        self._products = products
        self._backend = backend
        self._tokens = Tokens(KeyRing.parse(secret_keys), ttl_s=3_600)
        self._chance = chance
        self._users = [SystemIds().new() for _ in range(size)]
        self._own: dict[str, list[str]] = {user: [] for user in self._users}
        self._lines: dict[str, Lines] = {}
        """By reservation, the lines that were granted."""
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
            kind = chance.choice(_KINDS)
            await self._ask_about(http, kind, user, chance.choice(own[-3:]))
        elif chance.random() < 0.1:
            await self.ask(http, Asked(0, 0, "", "stock", user, of=chance.choice(self._products)))
        else:
            products = sorted(chance.sample(self._products, k=chance.choice((1, 1, 1, 2))))
            lines = tuple((product, chance.choice((1, 1, 2))) for product in products)
            key = f"key-{next(self._keys)}" if chance.random() < 0.7 else None
            await self._ask_until_told(http, Asked(0, 0, "", "reserve", user, lines, key))

    async def _ask_about(self, http: aiohttp.ClientSession, kind: Kind, user: str, of: str) -> None:
        chance, lines = self._chance, self._lines[of]
        asked = Asked(0, 0, "", kind, user, of=of)
        if kind == "confirm" and chance.random() < 0.5:
            asked = asked._replace(lines=tuple((product, 1) for product, _ in lines[: chance.choice((1, 2))]))
        if kind == "label":
            asked = asked._replace(label=f"order-{chance.randrange(1_000_000)}")
        if kind == "return":
            some = tuple((product, chance.randint(1, units)) for product, units in lines[: chance.choice((1, 2))])
            # Few keys, so that some are used again, for the same units or for others.
            asked = asked._replace(lines=some, key=f"parcel-{chance.randrange(3)}")
        await self._ask_until_told(http, asked)

    async def _ask_until_told(self, http: aiohttp.ClientSession, asked: Asked) -> None:
        """Send the request, and up to twice again if it has a key and its outcome is unknown."""
        for _ in range(3):
            if await self.ask(http, asked) or asked.key is None:
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
            self._lines[answer.held.id] = answer.held.lines
        return answer.answer not in {"unavailable", "outcome-unknown"}

    async def _over_http(self, http: aiohttp.ClientSession, url: str, asked: Asked) -> Answered:
        method, path, body = _request(asked)
        token = self._tokens.issue(asked.user, Role.CUSTOMER, SystemClock().now_ms()).token
        headers = {"Authorization": f"Bearer {token}"}
        if asked.kind in {"return", "label"}:
            headers = {"Authorization": f"Bearer {self._backend}"}
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
        case "reserve" if len(asked.lines) > 1:
            return "POST", "/reservations", _body(asked.lines)
        case "reserve":
            ((product, quantity),) = asked.lines
            return "POST", f"/reservations/{product}", {"quantity": quantity}
        case "stock":
            return "GET", f"/products/{asked.of}/stock", None
        case "list" | "restock" | "edit" | "audit":
            raise ValueError(f"these customers send no request of the kind {asked.kind}")
        case _:
            return _about_one(asked)


def _about_one(asked: Asked) -> tuple[str, str, Any]:
    """The request about the reservation `asked.of`."""
    match asked.kind:
        case "confirm":
            return "POST", f"/checkout/{asked.of}", _body(asked.lines) if asked.lines else None
        case "return":
            return "POST", f"/reservations/{asked.of}/returns", _body(asked.lines)
        case "label":
            return "PATCH", f"/reservations/{asked.of}", {"externalId": asked.label}
        case "extend":
            return "POST", f"/reservations/{asked.of}/extend", None
        case "cancel":
            return "DELETE", f"/reservations/{asked.of}", None
        case "read":
            return "GET", f"/reservations/{asked.of}", None
        case "reserve" | "stock" | "list" | "restock" | "edit" | "pause" | "resume" | "audit":
            raise ValueError(f"{asked.kind} isn't about a reservation")
        case _:
            assert_never(asked.kind)


def _body(lines: Lines) -> dict[str, Any]:
    return {"lines": [{"productId": product, "quantity": quantity} for product, quantity in lines]}


def _understood(asked: Asked, status: int, replayed: bool, told: Any) -> Answered:  # noqa: FBT001 - one of the answer's facts
    if status == 201:
        return Answered(0, 0, "replayed" if replayed else "reserved", _held(told, asked.key))
    if status != 200:
        code = str(told["code"])
        return Answered(0, 0, "already-cancelled" if code == "cancelled" else code)
    if asked.kind == "stock":
        return Answered(0, 0, "stock", units=told["available"])
    if asked.kind == "return":
        return Answered(0, 0, "returned-before" if replayed else "returned", _held(told, None))
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
        returns=_returns(told["lines"]),
        label=told["externalId"],
    )


def _returns(lines: Any) -> tuple[ReturnedUnits, ...]:
    """All returned units as one return: the API shows their number, not which return was of which."""
    returned = tuple((line["productId"], line["returned"]) for line in lines if line["returned"])
    return (ReturnedUnits(returned, None),) if returned else ()


def _ms(instant: str | None) -> int | None:
    return None if instant is None else round(datetime.fromisoformat(instant).timestamp() * 1_000)


def completed(history: Sequence[Record], left: Sequence[Held]) -> list[Record]:
    """The history with facts that the API doesn't show, from the reservations `left` at the end.

    These are the ends of expired holds, and the single returns of which the API shows the sum.
    """
    final = {held.id: held for held in left}
    asked = {record.number: record for record in history if isinstance(record, Asked)}
    whole: list[Record] = []
    for record in history:
        if isinstance(record, Answered) and record.answer == "expired" and asked[record.number].of in final:
            whole.append(record._replace(instant=final[asked[record.number].of].expires_at))
        elif isinstance(record, Answered) and record.held is not None and record.held.id in final:
            whole.append(record._replace(held=_with_single_returns(record.held, final[record.held.id])))
        else:
            whole.append(record)
    return whole


def _with_single_returns(shown: Held, left: Held) -> Held:
    """The reservation with the first returns of `left` whose sum was shown; unchanged if there are none of that sum."""
    for count in range(len(left.returns) + 1):
        perhaps = shown._replace(returns=left.returns[:count])
        if all(perhaps.units(product) == shown.units(product) for product, _ in shown.lines):
            return perhaps
    return shown
