"""The running figures of a rehearsal, counted from what the crowd saw."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from flashreserve.rehearsal.messages import LATER, UNREADABLE, Action, ExchangeOutcome, ShopExchange

_ALLOWED_5XX = f"503{LATER}"


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds from the moment a request was due until its definite answer; zeros where there was none."""

    p50: float
    p99: float
    max: float


class Tally:
    """Counts exchanges as they come in. Latencies are those of reserve requests, given-up ones included."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        """How many tries came to each word, see `ShopExchange.tries`."""
        self.granted: set[str] = set()
        self.confirmed: set[str] = set()
        self.cancelled: set[str] = set()
        self.refused = 0
        self.replayed = 0
        self.too_late = 0
        self.failures = 0
        self.unanswered: set[int] = set()
        self._latencies: list[float] = []
        self._per_second: Counter[int] = Counter()

    def add(self, exchanges: Iterable[ShopExchange]) -> None:
        """Count some more."""
        for exchange in exchanges:
            self._count(exchange)

    @property
    def errors(self) -> int:
        """Failed tries (5xx but 503 with Retry-After, unreadable answers) and customers who were never answered."""
        return self.failures + len(self.unanswered)

    @property
    def requests(self) -> int:
        """Tries of all kinds."""
        return self.answers.total()

    @property
    def per_second_max(self) -> int:
        """Tries in the busiest second, by when they were over."""
        return max(self._per_second.values(), default=0)

    def latency(self) -> Latency:
        """Of all reserve requests so far."""
        self._latencies.sort()
        return Latency(
            p50=percentile(self._latencies, 0.50),
            p99=percentile(self._latencies, 0.99),
            max=percentile(self._latencies, 1),
        )

    def _count(self, exchange: ShopExchange) -> None:
        self.answers.update(exchange.tries)
        self._per_second[int(exchange.done_ms // 1_000)] += len(exchange.tries)
        self.failures += sum(map(is_failure, exchange.tries))
        if exchange.outcome is ExchangeOutcome.UNANSWERED:
            self.unanswered.add(exchange.customer)
        done, refused = exchange.outcome is ExchangeOutcome.DONE, exchange.outcome is ExchangeOutcome.REFUSED
        if exchange.action is Action.RESERVE:
            self._latencies.append(exchange.done_ms - exchange.due_ms)
            self.refused += refused
            self.replayed += exchange.replayed
            if done:
                self.granted.add(exchange.reservation_id)
        elif exchange.action is Action.CONFIRM:
            self.too_late += refused
            if done:
                self.confirmed.add(exchange.reservation_id)
        elif done:
            self.cancelled.add(exchange.reservation_id)


def is_failure(word: str) -> bool:
    """Whether a try's word is a failure of the shop: a 5xx other than 503 with Retry-After, or an unreadable answer."""
    return word == UNREADABLE or (word.startswith("5") and word != _ALLOWED_5XX)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the ordered values does not exceed (nearest rank); 0 for none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
