"""The auditor judges a history: whether a shop that keeps its promises could have answered so.

It knows nothing of how the shop works. From the requests, the answers and the final state, it derives what must have
been true and what may have been true. Anything that can't have been true is a violation.
"""

from collections.abc import Iterator, Sequence

from tests.proof import answers, deliveries, holds, labels, liveness, pauses, quotas, returns, stock, trail
from tests.proof.facts import HistoryFacts, Violation
from tests.proof.records import Record, Terms

__all__ = ["Violation", "audit"]


def audit(history: Sequence[Record], terms: Terms) -> list[Violation]:
    """The violations in the history: anything that a shop which keeps its promises can't do."""
    facts = HistoryFacts(history, terms)
    return [*_safety(facts), *liveness.check(facts)]


def _safety(facts: HistoryFacts) -> Iterator[Violation]:
    yield from holds.check(facts)
    yield from returns.check(facts)
    yield from labels.check(facts)
    yield from answers.check(facts)
    yield from stock.check(facts)
    yield from quotas.check(facts)
    yield from pauses.check(facts)
    yield from trail.check(facts)
    yield from deliveries.check(facts)
