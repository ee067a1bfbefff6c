"""One customer: reserves, retries with the same key until there is an answer, then confirms, cancels or walks away."""

import asyncio
import math
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, assert_never

import msgspec

from flashreserve.clock import Clock
from flashreserve.decode_errors import DECODE_ERRORS
from flashreserve.rehearsal.client import Client, ConnectionLostError, Response
from flashreserve.rehearsal.messages import DROPPED, LATER, TIMED_OUT, UNREADABLE, Action, ExchangeOutcome, ShopExchange
from flashreserve.rehearsal.plan import Decision, Press, Script

RETRY_AFTER_S_MAX: Final = 30.0
_BACKOFF_S: Final = 0.25
_BACKOFF_S_MAX: Final = 4.0
_SERVER_ERROR: Final = 500
_LATER: Final = frozenset({429, 503})
_EXPECTED: Final = {
    Action.RESERVE: {201: ExchangeOutcome.DONE, 409: ExchangeOutcome.REFUSED},
    Action.CONFIRM: {200: ExchangeOutcome.DONE, 410: ExchangeOutcome.REFUSED},
    Action.CANCEL: {200: ExchangeOutcome.DONE},
}


class GrantedHold(msgspec.Struct, frozen=True, rename="camel"):
    """The fields of a 201's reservation that a customer needs."""

    id: str
    created_at: datetime
    expires_at: datetime

    def held_ms(self) -> int:
        """How long the hold lasts, by the shop's own clock."""
        return round((self.expires_at - self.created_at).total_seconds() * 1_000)


class _ProblemJson(msgspec.Struct, frozen=True):
    code: str = ""


_HOLDS: Final = msgspec.json.Decoder(GrantedHold)
_PROBLEMS: Final = msgspec.json.Decoder(_ProblemJson)


class Ledger:
    """The exchanges of all customers. The plan bounds them: each script leaves at most three."""

    def __init__(self) -> None:
        self.arrived = 0
        self.requests = 0
        self.in_flight = 0
        self.lag_ms_max = 0.0
        self._new: list[ShopExchange] = []

    def write(self, exchange: ShopExchange) -> None:
        """Add an exchange."""
        self._new.append(exchange)
        self.lag_ms_max = max(self.lag_ms_max, exchange.sent_ms - exchange.due_ms)

    def take(self) -> list[ShopExchange]:
        """The exchanges added since the last call."""
        new, self._new = self._new, []
        return new


class ShopApi:
    """The shop's API at all its addresses. Customers use them round robin, and the next one with each try."""

    def __init__(
        self, clients: Sequence[Client], product_ids: Sequence[str], *, timeout_s: float, tries_max: int
    ) -> None:
        self.tries_max = tries_max
        self._clients = clients
        self._reserve = [f"/reservations/{product_id}" for product_id in product_ids]
        self._timeout_s = timeout_s

    async def ask(self, action: Action, product: int, reservation_id: str, headers: str, *, turn: int) -> Response:
        """Send one request; `turn` chooses the address. Raises the same errors as `Client.ask`."""
        client = self._clients[turn % len(self._clients)]
        match action:
            case Action.RESERVE:
                request = client.request("POST", self._reserve[product], headers)
            case Action.CONFIRM:
                request = client.request("POST", f"/reservations/confirm/{reservation_id}", headers)
            case Action.CANCEL:
                request = client.request("DELETE", f"/reservations/{reservation_id}", headers)
            case _:
                assert_never(action)
        return await client.ask(request, self._timeout_s)


class TryResult(NamedTuple):
    """The result of one try: its word (see `ShopExchange.tries`), and what the answer said.

    `wait_s` is the pause before the next try; None if the answer is definite.
    """

    word: str
    outcome: ExchangeOutcome = ExchangeOutcome.UNANSWERED
    wait_s: float | None = None
    code: str = ""
    hold: GrantedHold | None = None
    replayed: bool = False


class Customer:
    """Plays one script. `seed` only randomises the pauses between tries."""

    def __init__(self, script: Script, token: str, shop: ShopApi, ledger: Ledger, clock: Clock, *, seed: int) -> None:
        self._script = script
        self._shop = shop
        self._ledger = ledger
        self._clock = clock
        self._seed = seed
        self._signed = f"Authorization: Bearer {token}\r\n"
        self._keyed = f"{self._signed}Idempotency-Key: {script.key}\r\n"

    async def visit(self, due_s: float) -> None:
        """Play the script, from the first request at `due_s` (of the monotonic clock) to the last answer."""
        granted = next((id_ for id_ in await self._press(due_s * 1_000) if id_), "")
        action = _following(self._script.decision)
        if not granted or action is None:
            return
        await asyncio.sleep(self._script.think_ms / 1_000)
        await self._ask(action, self._now_ms(), granted)

    async def _press(self, due_ms: float) -> Sequence[str]:
        """Ask for a hold, once or twice; the ids of the holds granted ("" for none), which should be the same."""
        match self._script.press:
            case Press.ONCE:
                return (await self._ask(Action.RESERVE, due_ms),)
            case Press.RETRY:
                first = await self._ask(Action.RESERVE, due_ms)
                await asyncio.sleep(self._script.repeat_ms / 1_000)
                return first, await self._ask(Action.RESERVE, self._now_ms(), turn=1)
            case Press.DOUBLE_CLICK:
                return await asyncio.gather(*(self._ask(Action.RESERVE, due_ms, turn=turn) for turn in (0, 1)))
            case _:
                assert_never(self._script.press)

    async def _ask(self, action: Action, due_ms: float, reservation_id: str = "", *, turn: int = 0) -> str:
        """Make one request, with retries, and record it; the id of the reservation that it is about, or ""."""
        sent_ms = self._now_ms()
        tries: list[str] = []
        answer = TryResult("")
        while len(tries) < self._shop.tries_max:
            answer = await self._try(action, reservation_id, turn=self._script.customer + turn + len(tries))
            tries.append(answer.word)
            if answer.wait_s is None:
                break
            if len(tries) < self._shop.tries_max:
                await asyncio.sleep(self._spread(answer.wait_s, len(tries)))
        id_ = answer.hold.id if answer.hold else reservation_id
        self._ledger.write(
            ShopExchange(
                action=action,
                customer=self._script.customer,
                product=self._script.product,
                key=self._script.key,
                due_ms=due_ms,
                sent_ms=sent_ms,
                done_ms=self._now_ms(),
                outcome=answer.outcome,
                tries=tuple(tries),
                code=answer.code,
                reservation_id=id_,
                held_ms=answer.hold.held_ms() if answer.hold else 0,
                replayed=answer.replayed,
            )
        )
        return id_

    async def _try(self, action: Action, reservation_id: str, *, turn: int) -> TryResult:
        headers = self._keyed if action is Action.RESERVE else self._signed
        self._ledger.requests += 1
        self._ledger.in_flight += 1
        try:
            return read_answer(
                action, await self._shop.ask(action, self._script.product, reservation_id, headers, turn=turn)
            )
        except TimeoutError:
            return TryResult(TIMED_OUT, wait_s=0.0)
        except ConnectionLostError:
            return TryResult(DROPPED, wait_s=0.0)
        finally:
            self._ledger.in_flight -= 1

    def _spread(self, asked_s: float, tries: int) -> float:
        """The pause before the next try: Retry-After or an exponential backoff, whichever is longer, with jitter."""
        rng = random.Random(f"{self._seed} {self._script.key} {tries}")
        backoff_s = min(_BACKOFF_S_MAX, math.ldexp(_BACKOFF_S, tries - 1))
        return max(asked_s, backoff_s) + rng.uniform(0, backoff_s)

    def _now_ms(self) -> float:
        return self._clock.monotonic() * 1_000


def _following(decision: Decision) -> Action | None:
    """The request that follows a grant."""
    match decision:
        case Decision.CONFIRM:
            return Action.CONFIRM
        case Decision.CANCEL:
            return Action.CANCEL
        case Decision.WALK_AWAY:
            return None
        case _:
            assert_never(decision)


def read_answer(action: Action, response: Response) -> TryResult:
    """The meaning of an HTTP answer to a customer.

    After 503 and 429 the customer retries with the same key, after Retry-After if there is one. Any other 5xx, and an
    answer that can't be decoded, is a failure of the shop.
    """
    status, headers, body = response
    if status in _LATER:
        asked_s = _retry_after_s(headers)
        word = str(status) if asked_s is None else f"{status}{LATER}"
        return TryResult(word, wait_s=asked_s or 0.0, code=_code(body))
    if status >= _SERVER_ERROR:
        return TryResult(str(status), ExchangeOutcome.FAILED, code=_code(body))
    outcome = _EXPECTED[action].get(status, ExchangeOutcome.UNEXPECTED)
    if outcome is not ExchangeOutcome.DONE:
        return TryResult(str(status), outcome, code=_code(body))
    if action is not Action.RESERVE:
        return TryResult(str(status), outcome)
    try:
        hold = _HOLDS.decode(body)
    except DECODE_ERRORS:
        return TryResult(UNREADABLE, ExchangeOutcome.FAILED)
    return TryResult(str(status), outcome, hold=hold, replayed=headers.get("idempotent-replayed") == "true")


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of Retry-After, at most `RETRY_AFTER_S_MAX`; None if it is missing or not in seconds."""
    asked = headers.get("retry-after", "")
    return min(float(asked), RETRY_AFTER_S_MAX) if asked.isascii() and asked.isdigit() else None


def _code(body: bytes) -> str:
    try:
        return _PROBLEMS.decode(body).code
    except DECODE_ERRORS:
        return ""
