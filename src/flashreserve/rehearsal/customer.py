"""One customer: presses the button, repeats by the same key until there is an answer, then does as planned."""

import asyncio
import math
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

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
    """What a customer reads of the reservation in a 201."""

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
    """What the crowd saw. Bounded by the plan: each script leaves at most three exchanges."""

    def __init__(self) -> None:
        self.arrived = 0
        self.requests = 0
        self.in_flight = 0
        self.lag_ms_max = 0.0
        self._new: list[ShopExchange] = []

    def write(self, exchange: ShopExchange) -> None:
        """Add what a question came to."""
        self._new.append(exchange)
        self.lag_ms_max = max(self.lag_ms_max, exchange.sent_ms - exchange.due_ms)

    def take(self) -> list[ShopExchange]:
        """All that was written since the last take."""
        new, self._new = self._new, []
        return new


class ShopApi:
    """The shop's addresses and products. Customers go round robin over the addresses, and on with each try."""

    def __init__(
        self, clients: Sequence[Client], product_ids: Sequence[str], *, timeout_s: float, tries_max: int
    ) -> None:
        self.tries_max = tries_max
        self._clients = clients
        self._reserve = [f"/reservations/{product_id}" for product_id in product_ids]
        self._timeout_s = timeout_s

    async def ask(self, action: Action, product: int, reservation_id: str, headers: str, *, turn: int) -> Response:
        """One request; `turn` chooses the address. Raises as `Client.ask` does."""
        client = self._clients[turn % len(self._clients)]
        if action is Action.RESERVE:
            request = client.request("POST", self._reserve[product], headers)
        elif action is Action.CONFIRM:
            request = client.request("POST", f"/reservations/confirm/{reservation_id}", headers)
        else:
            request = client.request("DELETE", f"/reservations/{reservation_id}", headers)
        return await client.ask(request, self._timeout_s)


class TryResult(NamedTuple):
    """What one try came to: its word (see `ShopExchange.tries`), and all that an answer brought.

    `wait_s` is the time after which to try again; None where the answer is definite.
    """

    word: str
    outcome: ExchangeOutcome = ExchangeOutcome.UNANSWERED
    wait_s: float | None = None
    code: str = ""
    hold: GrantedHold | None = None
    replayed: bool = False


class Customer:
    """Plays one script. `seed` only spreads the pauses before further tries."""

    def __init__(self, script: Script, token: str, shop: ShopApi, ledger: Ledger, clock: Clock, *, seed: int) -> None:
        self._script = script
        self._shop = shop
        self._ledger = ledger
        self._clock = clock
        self._seed = seed
        self._signed = f"Authorization: Bearer {token}\r\n"
        self._keyed = f"{self._signed}Idempotency-Key: {script.key}\r\n"

    async def visit(self, due_s: float) -> None:
        """Everything this customer does, from the first press at `due_s` of the clock to the last answer."""
        granted = next((id_ for id_ in await self._press(due_s * 1_000) if id_), "")
        if not granted or self._script.decision is Decision.WALK_AWAY:
            return
        await asyncio.sleep(self._script.think_ms / 1_000)
        action = Action.CONFIRM if self._script.decision is Decision.CONFIRM else Action.CANCEL
        await self._ask(action, self._now_ms(), granted)

    async def _press(self, due_ms: float) -> Sequence[str]:
        """Ask for a hold, once or twice; the ids that were granted ("" for none), which should all be one."""
        if self._script.press is Press.DOUBLE_CLICK:
            return await asyncio.gather(*(self._ask(Action.RESERVE, due_ms, turn=turn) for turn in (0, 1)))
        first = await self._ask(Action.RESERVE, due_ms)
        if self._script.press is Press.ONCE:
            return (first,)
        await asyncio.sleep(self._script.repeat_ms / 1_000)
        return first, await self._ask(Action.RESERVE, self._now_ms(), turn=1)

    async def _ask(self, action: Action, due_ms: float, reservation_id: str = "", *, turn: int = 0) -> str:
        """One question with its tries, written into the ledger; the id of the reservation it is now about, or ""."""
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
        """The pause before the next try: what the shop asked for or a growing one, and a little of one's own."""
        rng = random.Random(f"{self._seed} {self._script.key} {tries}")
        backoff_s = min(_BACKOFF_S_MAX, math.ldexp(_BACKOFF_S, tries - 1))
        return max(asked_s, backoff_s) + rng.uniform(0, backoff_s)

    def _now_ms(self) -> float:
        return self._clock.monotonic() * 1_000


def read_answer(action: Action, response: Response) -> TryResult:
    """What an HTTP answer means to a customer.

    503 and 429 are no answers yet: the customer comes back by the same key, after Retry-After where it is given.
    Any other 5xx, and an answer that cannot be read, is a failure of the shop.
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
    """Seconds of Retry-After, at most `RETRY_AFTER_S_MAX`; None where the header is not there or not in seconds."""
    asked = headers.get("retry-after", "")
    return min(float(asked), RETRY_AFTER_S_MAX) if asked.isascii() and asked.isdigit() else None


def _code(body: bytes) -> str:
    try:
        return _PROBLEMS.decode(body).code
    except DECODE_ERRORS:
        return ""
