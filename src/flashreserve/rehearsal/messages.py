"""What goes over the pipe between the rehearsal and its crowd: one order in, lines of JSON out.

Also the words for what a request came to. The crowd writes down what happened; `verdict` judges.
"""

from enum import StrEnum

import msgspec

from flashreserve.rehearsal.plan import Script


class Action(StrEnum):
    """What a customer asked the shop for."""

    RESERVE = "reserve"
    CONFIRM = "confirm"
    CANCEL = "cancel"


class ExchangeOutcome(StrEnum):
    """What a question came to, after all its tries.

    `DONE` is 201 for a reserve and 200 for the others. `REFUSED` is a refusal that a customer must expect: sold out,
    or a hold that is over. `FAILED` is a 5xx, or an answer that cannot be read. `UNEXPECTED` is any other definite
    answer. `UNANSWERED` means that the tries ran out.
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
"""Follows the status in a try's word when the answer said when to come back."""


class ShopExchange(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One question of a customer, with every try until it was answered.

    Times are milliseconds of the machine's monotonic clock: `due_ms` when it was to be sent, `sent_ms` when its first
    try was, `done_ms` when the definite answer was there or the last try had failed. `tries` has a word for each try:
    the status ("201", "503 and Retry-After"), or what happened instead of one. `code` is the problem's code.
    `held_ms` is how long the granted hold lasts.
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
    """All that the crowd needs to know. `tokens` and `scripts` are in step: script n goes with token n."""

    urls: tuple[str, ...]
    product_ids: tuple[str, ...]
    tokens: tuple[str, ...]
    scripts: tuple[Script, ...]
    seed: int
    timeout_s: float
    tries_max: int


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """One line from the crowd, several a second: what happened since the last one.

    `lag_ms_max` is how late, at worst, the crowd itself was in sending a first try; a high figure means that the
    machine could not keep up with the crowd, and that latencies include that.
    """

    exchanges: tuple[ShopExchange, ...]
    arrived: int
    requests: int
    in_flight: int
    lag_ms_max: float
    over: bool
