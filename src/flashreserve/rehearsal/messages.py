"""The messages between the rehearsal and its crowd: one order in, lines of JSON out.

The crowd only records what happened; `verdict` judges it.
"""

from enum import StrEnum

import msgspec

from flashreserve.rehearsal.plan import Script


class Action(StrEnum):
    """A kind of request of a customer."""

    RESERVE = "reserve"
    CONFIRM = "confirm"
    CANCEL = "cancel"


class ExchangeOutcome(StrEnum):
    """How a request ended, after all its tries.

    `DONE` is 201 for a reserve and 200 for the others. `REFUSED` is a refusal that a customer must expect: sold out,
    or a hold that is over. `FAILED` is a 5xx, or an answer that can't be decoded. `UNEXPECTED` is any other definite
    answer. `UNANSWERED` means that no try was answered definitely.
    """

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    UNEXPECTED = "unexpected"
    UNANSWERED = "unanswered"


TIMED_OUT = "timed out"
DROPPED = "connection lost"
UNREADABLE = "unreadable answer"
LATER = " and Retry-After"
"""Suffix of a try's word, after the status, if the answer had Retry-After."""


class ShopExchange(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One request of a customer, with every try until it was answered.

    Times are milliseconds of the machine's monotonic clock: `due_ms` when it was to be sent, `sent_ms` when its first
    try was sent, `done_ms` when the definite answer had come or the last try had failed. `tries` has a word for each
    try: the status ("201", "503 and Retry-After"), or `TIMED_OUT`, `DROPPED` or `UNREADABLE`. `code` is the problem's
    code. `held_ms` is how long the granted hold lasts.
    """

    action: Action
    customer: int
    product: int
    key: str
    due_ms: float
    sent_ms: float
    done_ms: float
    outcome: ExchangeOutcome
    tries: tuple[str, ...]
    code: str = ""
    reservation_id: str = ""
    held_ms: int = 0
    replayed: bool = False


class CrowdOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The crowd's input. Script n is played with token n."""

    urls: tuple[str, ...]
    product_ids: tuple[str, ...]
    tokens: tuple[str, ...]
    scripts: tuple[Script, ...]
    seed: int
    timeout_s: float
    tries_max: int


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """One line from the crowd, several a second: the exchanges since the last one.

    `lag_ms_max` is how late, at worst, the crowd itself sent a first try. A high figure means that the machine is too
    slow for the crowd; latencies include this delay.
    """

    exchanges: tuple[ShopExchange, ...]
    arrived: int
    requests: int
    in_flight: int
    lag_ms_max: float
    over: bool
