"""Rules of liveness: every answer comes within its bound, and after the healing all comes to rest."""

from collections.abc import Iterator

from tests.proof.facts import EVER, HistoryFacts, Violation

_QUEUED = {"reserve", "confirm", "extend", "cancel", "return", "label", "restock", "edit"}
"""The kinds of requests that wait in a queue with a deadline."""


def check(facts: HistoryFacts) -> Iterator[Violation]:
    """Check all rules of liveness."""
    yield from _answers(facts)
    yield from _rest(facts)
    yield from _promptness(facts)


def _answers(facts: HistoryFacts) -> Iterator[Violation]:
    for request in facts.requests:
        asked = request.asked
        if request.end == EVER:
            if facts.ended is not None:
                yield Violation("answered", f"never: {request.text()}")
        elif asked.kind in _QUEUED and request.end - asked.at > facts.terms.answer_ms:
            slept = any(
                trouble.process == asked.process
                and trouble.kind.startswith("freeze")
                and trouble.at <= request.end
                and asked.at <= trouble.until
                for trouble in facts.troubles
            )
            if not slept:
                yield Violation("answered", f"after {request.end - asked.at:.0f} ms: {request.text()}")


def _rest(facts: HistoryFacts) -> Iterator[Violation]:
    """At the end no movement is unfinished, and no hold has outlived its time."""
    if facts.ended is None:
        return
    for left in facts.ended.products:
        if left.moving:
            yield Violation("rest", f"movements are left unfinished: {left}")
    for held in facts.final.values():
        lapsed_for = facts.ended.at - facts.slack_ms - facts.true_ms(held.expires_at)
        if held.status == "PENDING" and lapsed_for > facts.terms.recovery_ms:
            yield Violation("rest", f"the hold was over {lapsed_for:.0f} ms ago: {held}")


def _promptness(facts: HistoryFacts) -> Iterator[Violation]:
    """A lapsed hold is released soon: within the sweep's bound, or within recovery's after a fault."""
    if facts.terms.stock_only or facts.ended is None:
        return
    for held in facts.final.values():
        if held.status != "EXPIRED" or held.released_at is None:
            continue
        lapses, released = facts.true_ms(held.expires_at), facts.true_ms(held.released_at)
        latest = lapses + facts.terms.sweep_ms
        if facts.troubled(lapses - facts.slack_ms, latest + facts.slack_ms):
            latest = max(lapses, facts.healed_at) + facts.terms.recovery_ms
        if released > latest + 2 * facts.slack_ms:
            yield Violation("prompt", f"released {released - lapses:.0f} ms after its time: {held}")
