"""Rules of single answers: each must have been possible at some time during its request."""

from collections.abc import Callable, Iterator
from typing import Final

from tests.proof.facts import HistoryFacts, Request, Violation
from tests.proof.records import Held

_OF_KIND = {
    "reserve": {
        *("reserved", "replayed", "key-reused", "sale-paused", "not-on-sale", "sold-out", "limit-reached"),
        *("open-holds-reached", "hourly-holds-reached", "lapses-reached"),
    },
    "confirm": {"confirmed", "not-found", "expired", "already-cancelled", "already-confirmed", "too-many"},
    "extend": {"extended", "not-found", "expired", "already-confirmed", "already-cancelled", "extensions-used-up"},
    "cancel": {"released", "not-found", "already-confirmed"},
    "return": {
        *("returned", "returned-before", "not-found", "key-reused", "not-confirmed"),
        *("expired", "already-cancelled", "too-many"),
    },
    "label": {"labelled", "not-found"},
    "read": {"found", "not-found"},
    "list": {"listed"},
    "stock": {"stock"},
    "restock": {"restocked", "restocked-before", "key-reused", "stock-taken"},
    "edit": {"edited", "rules-fixed"},
    "pause": {"paused", "pausing"},
    "resume": {"resumed"},
    "audit": {"balanced", "moving"},
}
"""The answers that each kind may get, apart from `unavailable` and `outcome-unknown`."""


def check(facts: HistoryFacts) -> Iterator[Violation]:
    """Check all rules of answers."""
    for request in facts.requests:
        if request.unsure or request.code == "unavailable":
            continue
        if request.code not in _OF_KIND[request.asked.kind]:
            yield Violation("answers", f"no such answer: {request.text()}")
            continue
        yield from _possible(facts, request)


def _possible(facts: HistoryFacts, request: Request) -> Iterator[Violation]:
    rule = _RULES.get(request.code)
    if rule is not None:
        yield from rule(facts, request)


def _replayed(facts: HistoryFacts, request: Request) -> Iterator[Violation]:
    asked = request.asked
    same = [
        other
        for other in facts.by_kind["reserve"]
        if other is not request
        and (other.asked.user, other.asked.key, other.asked.lines) == (asked.user, asked.key, asked.lines)
        and other.asked.at <= request.end
    ]
    if asked.key is None or not same:
        yield Violation("answers", f"nothing to repeat: {request.text()}")


def _on_sale(facts: HistoryFacts, request: Request) -> Iterator[Violation]:
    """A grant needs the sale to be on, a `not-on-sale` needs it to be off, at some moment of the request."""
    if facts.terms.stock_only:
        return
    since, until = request.asked.at - facts.slack_ms, request.end + facts.slack_ms
    wholly_on, wholly_off = True, False
    for product, _ in request.asked.lines:
        goods = facts.goods[product]
        starts = facts.true_ms(goods.sale_starts_at) if goods.sale_starts_at is not None else float("-inf")
        ends = facts.true_ms(goods.sale_ends_at) if goods.sale_ends_at is not None else float("inf")
        wholly_on = wholly_on and starts <= since and until < ends
        wholly_off = wholly_off or until < starts or ends <= since
    if (request.code == "not-on-sale" and wholly_on) or (request.code == "reserved" and wholly_off):
        yield Violation("on sale", request.text())


def _not_found(facts: HistoryFacts, request: Request) -> Iterator[Violation]:
    """A reservation that its customer was told of is found; another customer's isn't."""
    asked = request.asked
    if facts.terms.stale_reads and asked.kind == "read":
        return
    told_at = facts.told_at.get(asked.of)
    left = facts.final.get(asked.of)
    if told_at is not None and told_at < asked.at and left is not None and left.user == asked.user:
        yield Violation("durable", f"{asked.of} was told of before: {request.text()}")


def _expired(facts: HistoryFacts, request: Request) -> Iterator[Violation]:
    instant = request.answer.instant if request.answer is not None else None
    left = facts.final.get(request.asked.of)
    if instant is None or left is None or instant > left.expires_at:
        yield Violation("time", f"expired at {instant}, but is {left}: {request.text()}")
    elif not facts.terms.stock_only and facts.true_ms(instant) > request.end + facts.slack_ms:
        yield Violation("time", f"told to have expired before it did: {request.text()}")


def _already_confirmed(facts: HistoryFacts, request: Request) -> Iterator[Violation]:
    yield from _somebody_asked(facts, request, "confirm")


def _already_cancelled(facts: HistoryFacts, request: Request) -> Iterator[Violation]:
    yield from _somebody_asked(facts, request, "cancel")


def _somebody_asked(facts: HistoryFacts, request: Request, kind: str) -> Iterator[Violation]:
    if not any(other.asked.at <= request.end for other in facts.asked_about(request.asked.of, kind)):
        yield Violation("answers", f"nobody asked to {kind}: {request.text()}")


def _used_up(facts: HistoryFacts, request: Request) -> Iterator[Violation]:
    held = facts.final.get(request.asked.of)
    if held is None:
        return
    earlier = sum(
        other is not request and other.asked.at <= request.end
        for other in facts.asked_about(request.asked.of, "extend")
    )
    allowed = min(value or 0 for product, _ in held.lines for value in facts.possible_rule(product, "extensions_max"))
    if earlier < allowed:
        yield Violation("extensions", f"refused the extension number {earlier + 1} of {allowed}: {request.text()}")


def _found(facts: HistoryFacts, request: Request) -> Iterator[Violation]:
    shown = request.answer.held if request.answer is not None else None
    if shown is None or shown.user != request.asked.user or shown.id != request.asked.of:
        yield Violation("answers", f"shown {shown}: {request.text()}")
        return
    yield from _shown(facts, request, shown)


def _listed(facts: HistoryFacts, request: Request) -> Iterator[Violation]:
    shown = {held.id: held for held in request.answer.several} if request.answer is not None else {}
    for held in shown.values():
        if held.user != request.asked.user:
            yield Violation("answers", f"shown another's {held}: {request.text()}")
        yield from _shown(facts, request, held)
    if facts.terms.stale_reads:
        return
    for id_, told_at in facts.told_at.items():
        left = facts.final.get(id_)
        if told_at < request.asked.at and left is not None and left.user == request.asked.user and id_ not in shown:
            yield Violation("durable", f"{id_} was told of before and isn't listed: {request.text()}")


def _shown(facts: HistoryFacts, request: Request, shown: Held) -> Iterator[Violation]:
    """A reservation is shown in its final state or an earlier one; a lapsed one as EXPIRED even before its release."""
    left = facts.final.get(shown.id)
    if left is None or (left.user, left.lines, left.created_at) != (shown.user, shown.lines, shown.created_at):
        yield Violation("durable", f"shown {shown}, is {left}: {request.text()}")
        return
    if shown.returns != left.returns[: len(shown.returns)]:
        yield Violation("returns", f"shown {shown}, is {left}: {request.text()}")
    if shown.status in {"CONFIRMED", "CANCELLED"} and shown.status != left.status:
        yield Violation("one end", f"shown {shown}, is {left}: {request.text()}")
    if (
        not facts.terms.stale_reads
        and shown.status == "PENDING"
        and any(
            other.end < request.asked.at and other.code in {"confirmed", "released", "expired", "returned"}
            for other in facts.about[shown.id]
        )
    ):
        yield Violation("one end", f"shown {shown} after its end: {request.text()}")
    if facts.terms.stock_only:
        return
    lapses = facts.true_ms(shown.expires_at)
    if shown.status == "EXPIRED" and lapses > request.end + facts.slack_ms:
        yield Violation("time", f"shown {shown} before its time: {request.text()}")
    if shown.status == "PENDING" and lapses < request.asked.at - facts.slack_ms:
        yield Violation("time", f"shown {shown} after its time: {request.text()}")


def _edited(facts: HistoryFacts, request: Request) -> Iterator[Violation]:
    """A limit isn't set, lowered or removed once somebody has reserved. Checked only if it was edited once."""
    product = request.asked.of
    limits = [
        other
        for other in facts.by_kind["edit"]
        if other.asked.of == product and any(rule == "limit" for rule, _ in other.asked.rules)
    ]
    if limits != [request]:
        return
    old, new = facts.goods[product].limit, dict(request.asked.rules)["limit"]
    if new == old or (old is not None and new is not None and new > old):
        return
    for id_, told_at in facts.told_at.items():
        left = facts.final.get(id_)
        if told_at < request.asked.at and left is not None and any(line == product for line, _ in left.lines):
            yield Violation("limit", f"changed although {id_} was granted before: {request.text()}")
            return


_RULES: Final[dict[str, Callable[[HistoryFacts, Request], Iterator[Violation]]]] = {
    "replayed": _replayed,
    "reserved": _on_sale,
    "not-on-sale": _on_sale,
    "not-found": _not_found,
    "expired": _expired,
    "already-confirmed": _already_confirmed,
    "already-cancelled": _already_cancelled,
    "extensions-used-up": _used_up,
    "found": _found,
    "listed": _listed,
    "edited": _edited,
}
"""By answer, the rule that it has to keep."""
