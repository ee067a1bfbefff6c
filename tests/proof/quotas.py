"""Rules of quotas: no customer has more than the quota, and no customer with less is refused.

The holds that must have been open at an instant, and those that may have been, are found as in `stock`. Hours follow
the stamps of the shop's own clocks, as they do in the shop.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from tests.proof.facts import EVER, HistoryFacts, Request, Violation
from tests.proof.records import Held

_HOUR_MS: Final = 3_600_000
_ENDS: Final = frozenset({"confirmed", "already-confirmed", "released", "already-cancelled", "expired"})


class _QuotaSpan(NamedTuple):
    """A hold that is open from `since` to `until`."""

    since: float
    until: float


def check(facts: HistoryFacts) -> Iterator[Violation]:
    """Check all rules of quotas."""
    if facts.ended is None:
        return
    of_user: dict[str, list[Held]] = defaultdict(list)
    for held in facts.final.values():
        of_user[held.user].append(held)
    for user, own in of_user.items():
        if facts.terms.open_holds_max:
            yield from _open(facts, user, own)
        if facts.terms.holds_per_hour_max:
            yield from _hourly(facts, user, own)
            if facts.terms.lapses_per_hour_max:
                yield from _lapses(facts, own)
    for request in facts.by_kind["reserve"]:
        yield from _refused(facts, request, of_user[request.asked.user])


# Grants


def _open(facts: HistoryFacts, user: str, own: list[Held]) -> Iterator[Violation]:
    spans = [_surely_open(facts, held) for held in own]
    for span in spans:
        count = _count_at(spans, span.since)
        if count > facts.terms.open_holds_max:
            yield Violation("quota", f"{user} has {count} open holds at {span.since:.1f}")
            return


def _surely_open(facts: HistoryFacts, held: Held) -> _QuotaSpan:
    """From the answer until somebody may have ended the hold, or the first clock may have found it lapsed."""
    ends = [
        request.asked.at
        for request in facts.about[held.id]
        if request.asked.kind in {"confirm", "cancel"} and request.asked.user == held.user
    ]
    return _QuotaSpan(
        facts.told_at.get(held.id, EVER), min([*ends, facts.true_ms(_first_end(held)) - facts.slack_ms], default=EVER)
    )


def _first_end(held: Held) -> int:
    """The end of the hold without extensions, which may have come late."""
    return min(held.expires_at, held.created_at + held.hold_ms)


def _hourly(facts: HistoryFacts, user: str, own: list[Held]) -> Iterator[Violation]:
    hours: dict[int, int] = defaultdict(int)
    for held in own:
        hours[held.created_at // _HOUR_MS] += 1
    for hour, count in hours.items():
        if count > facts.terms.holds_per_hour_max:
            yield Violation("quota", f"{user} was granted {count} holds in hour {hour}")


def _lapses(facts: HistoryFacts, own: list[Held]) -> Iterator[Violation]:
    """No hold is granted after the quota of lapses in its hour, by the same clock, if none was bought."""
    for held in own:
        grant = facts.grants.get(held.id)
        if grant is None or grant.code != "reserved":
            continue
        hour = [other for other in own if other.created_at // _HOUR_MS == held.created_at // _HOUR_MS]
        lapsed = sum(
            other.status == "EXPIRED"
            and other.expires_at <= held.created_at
            and facts.told_at.get(other.id, EVER) < grant.asked.at
            for other in hour
        )
        if lapsed >= facts.terms.lapses_per_hour_max and not any(other.status == "CONFIRMED" for other in hour):
            yield Violation("quota", f"{held} was granted after {lapsed} had lapsed: {grant.text()}")


# Refusals


def _refused(facts: HistoryFacts, request: Request, own: list[Held]) -> Iterator[Violation]:
    terms, asked = facts.terms, request.asked
    match request.code:
        case "open-holds-reached":
            spans = [_may_be_open(facts, held) for held in own]
            # After a fault, a long flush may count holds by the time of its beginning, and holds granted since.
            if facts.troubled(asked.at, request.end):
                most = sum(span.since <= request.end and asked.at < span.until for span in spans)
            else:
                instants = [asked.at, *(span.since for span in spans if asked.at <= span.since <= request.end)]
                most = max(_count_at(spans, instant) for instant in instants)
            right = 0 < terms.open_holds_max <= most
        case "hourly-holds-reached":
            granted = sum(facts.true_ms(held.created_at) - facts.slack_ms <= request.end for held in own)
            right = 0 < terms.holds_per_hour_max <= granted
        case "lapses-reached":
            lapsed = sum(facts.true_ms(_first_end(held)) - facts.slack_ms <= request.end for held in own)
            bought = not facts.terms.stale_reads and any(
                held.status == "CONFIRMED"
                and any(
                    each.code == "confirmed" and each.end < asked.at for each in facts.asked_about(held.id, "confirm")
                )
                for held in own
            )
            right = 0 < terms.lapses_per_hour_max <= lapsed and not bought
        case _:
            return
    if not right:
        yield Violation("quota", f"refused without reason: {request.text()}")


def _may_be_open(facts: HistoryFacts, held: Held) -> _QuotaSpan:
    """The time in which the hold may have counted as open."""
    grant = facts.grants.get(held.id)
    since = facts.true_ms(held.created_at) - facts.slack_ms
    if grant is not None and grant.code == "reserved":
        since = max(since, grant.asked.at)
    lapsed = facts.true_ms(held.expires_at) + facts.slack_ms
    # An answer about its end comes after the end, whatever the faults. Only an election may forget it for a moment.
    if not facts.terms.stale_reads:
        lapsed = min([lapsed, *(each.end for each in facts.about[held.id] if each.code in _ENDS)])
    ended = held.confirmed_at if held.confirmed_at is not None else held.released_at
    if ended is None or facts.troubled(since, lapsed):
        return _QuotaSpan(since, lapsed)
    return _QuotaSpan(since, min(lapsed, facts.true_ms(ended) + facts.slack_ms + facts.terms.sweep_ms))


def _count_at(spans: list[_QuotaSpan], instant: float) -> int:
    return sum(span.since <= instant < span.until for span in spans)
