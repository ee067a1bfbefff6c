"""The running figures of a rehearsal, counted from the crowd's exchanges."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import assert_never

import msgspec

from flashreserve.rehearsal.messages import LATER, UNREADABLE, Action, ExchangeOutcome, ShopExchange

_ALLOWED_5XX = f"503{LATER}"


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds from when a request was due until its definite answer; zeros if there was no request."""

    p50: float
    p99: float
    max: float


class Tally:
    """Counts exchanges as they come in. Latencies are those of reserve requests, unanswered ones included."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        """Tries by their words (see `ShopExchange.tries`)."""
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
        """Count these as well."""
        for exchange in exchanges:
            self._count(exchange)

    @property
    def errors(self) -> int:
        """Failed tries (5xx except 503 with Retry-After, unreadable answers) plus customers who were never answered."""
        return self.failures + len(self.unanswered)

    @property
    def requests(self) -> int:
        """All tries."""
        return self.answers.total()

    @property
    def per_second_max(self) -> int:
        """Tries in the busiest second; a try counts in the second in which its exchange ended."""
        return max(self._per_second.values(), default=0)

    def latency(self) -> Latency:
        """The latency of all reserve requests so far."""
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
        refused = exchange.outcome is ExchangeOutcome.REFUSED
        done = {exchange.reservation_id} if exchange.outcome is ExchangeOutcome.DONE else set()
        match exchange.action:
            case Action.RESERVE:
                self._latencies.append(exchange.done_ms - exchange.due_ms)
                self.refused += refused
                self.replayed += exchange.replayed
                self.granted |= done
            case Action.CONFIRM:
                self.too_late += refused
                self.confirmed |= done
            case Action.CANCEL:
                self.cancelled |= done
            case _:
                assert_never(exchange.action)


def is_failure(word: str) -> bool:
    """Whether a try's word is a failure of the shop: a 5xx other than 503 with Retry-After, or an unreadable answer."""
    return word == UNREADABLE or (word.startswith("5") and word != _ALLOWED_5XX)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the ordered values doesn't exceed (nearest rank); 0 for none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
