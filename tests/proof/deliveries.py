"""Rules of deliveries: each endpoint gets each event that it wants, in order for each subject, with the one before."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from tests.proof.facts import HistoryFacts, Violation
from tests.proof.records import Received, Subscription, ToldEvent

TRIES_MAX: Final = 10
_OK: Final = 204


def check(facts: HistoryFacts) -> Iterator[Violation]:
    """Check all rules of deliveries."""
    if facts.ended is None or facts.ended.log is None:
        return
    for subscription in facts.ended.subscriptions:
        mine = [each for each in facts.ended.received if each.url == subscription.url]
        yield from _of_endpoint(subscription, mine, facts.ended.log)


def _of_endpoint(
    subscription: Subscription, received: list[Received], log: tuple[ToldEvent, ...]
) -> Iterator[Violation]:
    wanted: dict[str, list[int]] = defaultdict(list)
    for told in log:
        if not subscription.types or told.type in subscription.types:
            wanted[told.subject].append(told.n)
    got: dict[str, list[Received]] = defaultdict(list)
    for each in received:
        got[each.subject].append(each)
    for subject, numbers in wanted.items():
        yield from _of_subject(f"{subscription.url} of {subject}", numbers, got.pop(subject, []))
    for subject in got:
        yield Violation("deliveries", f"{subscription.url} got events of {subject}, which it doesn't want")


def _of_subject(where: str, wanted: list[int], received: list[Received]) -> Iterator[Violation]:
    seen: list[int] = []
    accepted: set[int] = set()
    bodies: dict[int, str] = {}
    tries: dict[int, int] = defaultdict(int)
    for each in received:
        if each.n not in seen:
            seen.append(each.n)
        accepted |= {each.n} if each.status == _OK else set()
        tries[each.n] += 1
        if bodies.setdefault(each.n, each.digest) != each.digest:
            yield Violation("deliveries", f"{where}: number {each.n} came with different bytes")
        before = [n for n in wanted if n < each.n]
        if each.previous != (before[-1] if before else None) or not each.signed:
            yield Violation("deliveries", f"{where}: {each} after {before[-1:]}")
    if seen != sorted(seen):
        yield Violation("deliveries", f"{where}: came in the order {seen}")
    if not set(seen) <= set(wanted):
        yield Violation("deliveries", f"{where}: got {seen}, wanted {wanted}")
    for n in wanted:
        # An event that wasn't received at all may have been lost on its way ten times.
        if n not in accepted and tries[n] == 0:
            yield Violation("deliveries", f"{where}: number {n} never came")
