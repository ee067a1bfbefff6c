"""What a history is made of: what was asked and answered, what went wrong meanwhile, and what was left at the end.

Plain values only, so that a history can come from a simulation as well as from real processes over HTTP. Instants are
true time, milliseconds since the beginning of the history, as the one who writes it down sees them; what a shop itself
stamps (`created_at` and the like) is in milliseconds since 1970, by whichever of its clocks.
"""

from typing import Literal, NamedTuple

Kind = Literal["reserve", "confirm", "extend", "cancel", "read", "list", "stock", "restock", "edit", "audit"]
Lines = tuple[tuple[str, int], ...]
"""Products, each once and in order, with how many units."""


class Held(NamedTuple):
    """A reservation as somebody was shown it."""

    id: str
    user: str
    status: str
    lines: Lines
    created_at: int
    expires_at: int
    hold_ms: int
    extensions: int
    confirmed_at: int | None
    released_at: int | None
    key: str | None


class Goods(NamedTuple):
    """A product and its rules, as it stood before the first request."""

    id: str
    units: int
    limit: int | None
    hold_ms: int
    extensions_max: int
    sale_starts_at: int | None
    sale_ends_at: int | None


class Asked(NamedTuple):
    """A request, when it left its customer. `number` is its own; `of` is what it is about."""

    at: float
    number: int
    process: str
    kind: Kind
    user: str
    lines: Lines = ()
    key: str | None = None
    of: str = ""
    change: int = 0
    rules: tuple[tuple[str, int | None], ...] = ()
    """What an edit sets, of: limit, hold_ms, extensions_max, sale_starts_at, sale_ends_at."""


class Answered(NamedTuple):
    """The answer to a request, when its customer had it. `answer` is its code, as in the API's problems."""

    at: float
    number: int
    answer: str
    held: Held | None = None
    several: tuple[Held, ...] = ()
    units: int | None = None
    """Of a poll or a restock: what is available."""
    stocked: int | None = None
    instant: int | None = None
    """Of `expired`: when the hold was over."""


class Lost(NamedTuple):
    """The customer of a request never hears of it: the process died, or the customer went away."""

    at: float
    number: int


class Trouble(NamedTuple):
    """Something went wrong, and lasted until `until`. `kind` is for counting.

    What it left may be felt for longer, until it was recovered from; unless it is `passing`.
    """

    at: float
    until: float
    kind: str
    process: str
    passing: bool = False


class Healed(NamedTuple):
    """From now on nothing goes wrong any more, and every message is delivered."""

    at: float


class Left(NamedTuple):
    """A product at the end: its stock, and the movements on it that aren't finished."""

    id: str
    stocked: int
    available: int
    moving: int


class Ended(NamedTuple):
    """Everything that the shop has at the end, read when all is quiet."""

    at: float
    products: tuple[Left, ...]
    reservations: tuple[Held, ...]
    books_balance: bool


Record = Asked | Answered | Lost | Trouble | Healed | Ended


class Terms(NamedTuple):
    """What a history is to be judged by.

    `epoch_ms` is the beginning of the history in milliseconds since 1970, `skew_ms` how far any clock was from true
    time. Where that is more than readiness allows, only the rules of stock hold (`stock_only`). With `stale_reads`,
    what is only looked at may be older than what was answered before, as it may be after an election.
    """

    goods: tuple[Goods, ...]
    epoch_ms: int
    skew_ms: float
    stock_only: bool = False
    stale_reads: bool = False
    view_ms: float = 250.0
    sweep_ms: float = 2_500.0
    recovery_ms: float = 45_000.0
    answer_ms: float = 5_250.0
    open_holds_max: int = 0
    holds_per_hour_max: int = 0
    lapses_per_hour_max: int = 0
    """Of one customer; 0 is none. The last counts only where there is one for holds in an hour."""
