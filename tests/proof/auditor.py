"""Judges a history: whether any shop that keeps its promises could have answered so.

It knows nothing of how the shop works. From what was asked and answered, and from what was left at the end, it works
out what surely was so and what may have been, and calls a violation what can't have been.
"""

from collections.abc import Iterator, Sequence

from tests.proof import answers, holds, liveness, quotas, stock
from tests.proof.facts import HistoryFacts, Violation
from tests.proof.records import Record, Terms

__all__ = ["Violation", "audit"]


def audit(history: Sequence[Record], terms: Terms) -> list[Violation]:
    """Everything in the history that no shop which keeps its promises would do."""
    facts = HistoryFacts(history, terms)
    return [*_safety(facts), *liveness.check(facts)]


def _safety(facts: HistoryFacts) -> Iterator[Violation]:
    yield from holds.check(facts)
    yield from answers.check(facts)
    yield from stock.check(facts)
    yield from quotas.check(facts)
