"""The records of a history: requests and answers, faults, and the shop's final state.

They hold plain values only, so that a history can come from a simulation or from real processes over HTTP. Instants are
true time, in milliseconds since the beginning of the history, as its recorder sees them. The shop's own stamps (such as
`created_at`) are in milliseconds since 1970, by one of the shop's clocks.
"""

from typing import Literal, NamedTuple

Kind = Literal[
    "reserve",
    "confirm",
    "extend",
    "cancel",
    "return",
    "label",
    "read",
    "list",
    "stock",
    "restock",
    "edit",
    "pause",
    "resume",
    "audit",
]
Lines = tuple[tuple[str, int], ...]
"""Products with their units, each product once and in order."""


class ReturnedUnits(NamedTuple):
    """Units of a reservation that were given back at once; `key` is None if a confirmation of fewer units did it."""

    lines: Lines
    key: str | None


class Held(NamedTuple):
    """A reservation as the shop showed it to somebody. `lines` are as they were granted."""

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
    returns: tuple[ReturnedUnits, ...] = ()
    label: str | None = None
    """The shop's own id of it."""

    def returned(self, product: str) -> int:
        """The units of the product that were given back."""
        return sum(quantity for entry in self.returns for line, quantity in entry.lines if line == product)

    def units(self, product: str) -> int:
        """The units of the product that were not given back."""
        return sum(quantity for line, quantity in self.lines if line == product) - self.returned(product)


class Goods(NamedTuple):
    """A product and its rules, before the first request."""

    id: str
    units: int
    limit: int | None
    hold_ms: int
    extensions_max: int
    sale_starts_at: int | None
    sale_ends_at: int | None


class Subscription(NamedTuple):
    """A webhook endpoint, and the types of events that it wants; none stands for all."""

    url: str
    types: tuple[str, ...]


class Received(NamedTuple):
    """A delivery as its endpoint received it, and the status that it answered. Equal digests mean equal bytes."""

    url: str
    id: str
    subject: str
    n: int
    previous: int | None
    digest: str
    status: int
    signed: bool


class Asked(NamedTuple):
    """A request, at the time when its customer sent it. `of` is the id of the reservation or product it is about.

    A pause or its end without `of` is about all products.

    `lines` are wanted, or are to be returned. In a confirmation, only they are to be bought; without any, all units.
    """

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
    """The rules that an edit sets: limit, hold_ms, extensions_max, sale_starts_at, sale_ends_at."""
    label: str | None = None
    """The label that the reservation is to have afterwards."""


class Answered(NamedTuple):
    """The answer to a request, at the time when its customer got it. `answer` is its code, as in the API's problems."""

    at: float
    number: int
    answer: str
    held: Held | None = None
    several: tuple[Held, ...] = ()
    units: int | None = None
    """The available units, in the answer to a poll or a restock."""
    stocked: int | None = None
    instant: int | None = None
    """The end of the hold, in an answer `expired`."""


class Lost(NamedTuple):
    """A request that gets no answer: the process died, or the customer hung up."""

    at: float
    number: int


class Trouble(NamedTuple):
    """A fault that lasted until `until`. Its `kind` is for counting.

    Its effects may last longer, until a recovery; not if it is `passing`.
    """

    at: float
    until: float
    kind: str
    process: str
    passing: bool = False


class Healed(NamedTuple):
    """The end of all faults: from now on every message is delivered."""

    at: float


class FinalProduct(NamedTuple):
    """A product at the end: its stock, the number of its unfinished movements, and that of its events."""

    id: str
    stocked: int
    available: int
    moving: int
    trail_n: int = 1


class ToldEvent(NamedTuple):
    """An event in the log. Of a reservation it has the state after it; of a product, the change of its stock."""

    place: int
    subject: str
    n: int
    type: str
    at: int
    status: str = ""
    returned: Lines = ()
    extensions: int = 0
    expires_at: int = 0
    given_back: Lines = ()
    change: int = 0
    stocked: int = 0


class Ended(NamedTuple):
    """The shop's final state, read when all is at rest."""

    at: float
    products: tuple[FinalProduct, ...]
    reservations: tuple[Held, ...]
    books_balance: bool
    log: tuple[ToldEvent, ...] | None = None
    """All events in the order of the log; None if it wasn't read."""
    read: tuple[tuple[ToldEvent, ...], ...] = ()
    """The events that each reader of the log has read, page after page, while it grew."""
    subscriptions: tuple[Subscription, ...] = ()
    received: tuple[Received, ...] = ()
    """All deliveries to webhook endpoints, in the order in which they arrived."""


Record = Asked | Answered | Lost | Trouble | Healed | Ended


class Terms(NamedTuple):
    """The terms by which a history is judged.

    `epoch_ms` is the beginning of the history in milliseconds since 1970. `skew_ms` is the greatest difference of any
    clock from true time; if it is more than readiness allows, only the rules of stock hold (`stock_only`). With
    `stale_reads`, reads may show an older state than earlier answers did, as they may after an election.
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
    """The quotas of one customer; 0 is none. The last needs one for holds in an hour."""
