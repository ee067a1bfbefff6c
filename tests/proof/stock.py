"""Rules of stock: nothing oversold, nothing leaked, no refusal without reason, no limit exceeded.

For each product and instant, there are units that must have been held and units that may have been held. The true
number lies between the two.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product as combinations
from typing import NamedTuple

from tests.proof.facts import EVER, HistoryFacts, Request, Violation
from tests.proof.records import FinalProduct, Held
from tests.proof.returns import returned_since, returned_until

_LIVE = frozenset({"PENDING", "CONFIRMED"})
_REFUSED_BY_RULES = frozenset({"stock-taken", "key-reused", "unavailable", "not-found", "invalid"})


class _StockSpan(NamedTuple):
    """A number of units from `since` to `until`."""

    since: float
    until: float
    units: int


def check(facts: HistoryFacts) -> Iterator[Violation]:
    """Check all rules of stock."""
    if facts.ended is None:
        return
    surely = {id_: _surely_held(facts, held) for id_, held in facts.final.items()}
    for left in facts.ended.products:
        yield from _books(facts, left)
        yield from _oversold(facts, left.id, surely)
        yield from _limits(facts, left.id, surely)
        yield from _refusals(facts, left.id)
        yield from _polls(facts, left.id, surely)
    yield from _sold_out(facts)


def _sum_at(spans: Iterable[_StockSpan], instant: float) -> int:
    return sum(span.units for span in spans if span.since <= instant < span.until)


# At the end


def _books(facts: HistoryFacts, left: FinalProduct) -> Iterator[Violation]:
    """available = stocked - held - bought, and `stocked` is the sum of all that was put in."""
    if facts.ended is not None and not facts.ended.books_balance:
        yield Violation("books", f"the shop's own books don't balance: {left}")
    live = sum(held.units(left.id) for held in facts.final.values() if held.status in _LIVE)
    if left.moving == 0 and left.available != left.stocked - live:
        yield Violation("books", f"{left}, but {live} units are held or bought")
    if left.available < 0:
        yield Violation("books", f"{left}")
    possible = {sum(changes) for changes in combinations(*_changes(facts, left.id).values())}
    if left.stocked - facts.goods[left.id].units not in possible:
        yield Violation("restock", f"{left}, but what was put in comes to one of {sorted(possible)} more")


def _changes(facts: HistoryFacts, product: str) -> dict[str, list[int]]:
    """By key, the possible changes, of which one was made; 0 if perhaps none was.

    An unanswered change can't have been made if its request was over before a later one with the key was refused.
    """
    changes: dict[str, list[int]] = {}
    by_key: dict[str, list[Request]] = {}
    for request in facts.by_kind["restock"]:
        if request.asked.of == product:
            by_key.setdefault(request.asked.key or "", []).append(request)
    for key, requests in by_key.items():
        made = {each.asked.change for each in requests if each.code in {"restocked", "restocked-before"}}
        refused_at = max((each.asked.at for each in requests if each.code == "stock-taken"), default=-EVER)
        maybe = {each.asked.change for each in requests if each.unsure and facts.over_at(each) >= refused_at}
        changes[key] = sorted(made) if made else sorted({0, *maybe})
    return changes


# At every instant


def _surely_held(facts: HistoryFacts, held: Held) -> _StockSpan | None:
    """The time in which the reservation must have had its units."""
    since = facts.told_at.get(held.id, EVER)
    slack = facts.slack_ms
    if held.confirmed_at is not None:
        since = min(since, facts.true_ms(held.confirmed_at) + slack)
    match held.status:
        case "CONFIRMED" | "PENDING":
            until = EVER
        case "EXPIRED":
            until = facts.true_ms(held.expires_at) - slack
        case _:
            cancels = facts.asked_about(held.id, "cancel")
            until = min((request.asked.at for request in cancels), default=since)
    return _StockSpan(since, until, 1) if since < until else None


def _oversold(facts: HistoryFacts, product: str, surely: dict[str, _StockSpan | None]) -> Iterator[Violation]:
    spans = _spans_of(facts, product, surely)
    for span in spans:
        held, stocked = _sum_at(spans, span.since), _stocked_most(facts, product, span.since)
        if held > stocked:
            yield Violation("oversold", f"{held} units of {product} held at {span.since:.1f}, {stocked} put in")
            return


def _spans_of(
    facts: HistoryFacts, product: str, surely: dict[str, _StockSpan | None], user: str | None = None
) -> list[_StockSpan]:
    found = []
    for id_, span in surely.items():
        held = facts.final[id_]
        if span is None or user not in {None, held.user}:
            continue
        if held.units(product):
            found.append(span._replace(units=held.units(product)))
        for entry in held.returns:
            until = min(span.until, returned_since(facts, held, entry))
            units = sum(quantity for line, quantity in entry.lines if line == product)
            if units and span.since < until:
                found.append(_StockSpan(span.since, until, units))
    return found


def _stocked_most(facts: HistoryFacts, product: str, instant: float) -> int:
    """The most units that may have been put in by then, minus those certainly taken out before."""
    total = facts.goods[product].units
    for key, changes in _changes(facts, product).items():
        asked = [each for each in facts.by_kind["restock"] if (each.asked.of, each.asked.key) == (product, key)]
        if len(changes) == 1 and changes[0] < 0:
            told = min((each.end for each in asked if each.code == "restocked"), default=EVER)
            total += changes[0] if told <= instant else 0
        elif asked[0].asked.at <= instant:
            total += max(0, *changes)
    return total


def _stocked_least(facts: HistoryFacts, product: str, instant: float) -> int:
    total = facts.goods[product].units
    for key, changes in _changes(facts, product).items():
        asked = [each for each in facts.by_kind["restock"] if (each.asked.of, each.asked.key) == (product, key)]
        if len(changes) == 1 and changes[0] > 0:
            told = min((each.end for each in asked if each.code == "restocked"), default=EVER)
            total += changes[0] if told <= instant else 0
        elif asked[0].asked.at <= instant:
            total += min(0, *changes)
    return total


def _limits(facts: HistoryFacts, product: str, surely: dict[str, _StockSpan | None]) -> Iterator[Violation]:
    """A customer's units, held and bought together, stay within the limit."""
    values = facts.possible_rule(product, "limit")
    if None in values:
        return
    most = max(value for value in values if value is not None)
    for user in sorted({held.user for held in facts.final.values()}):
        spans = _spans_of(facts, product, surely, user)
        for span in spans:
            if _sum_at(spans, span.since) > most:
                yield Violation("limit", f"{user} has {_sum_at(spans, span.since)} of {product}, limit {most}")
                break


def _refusals(facts: HistoryFacts, product: str) -> Iterator[Violation]:
    """No customer within the limit is told to have reached it."""
    values = [value for value in facts.possible_rule(product, "limit") if value is not None]
    for request in facts.by_kind["reserve"]:
        if request.code != "limit-reached" or len(request.asked.lines) != 1:
            continue
        ((wanted, quantity),) = request.asked.lines
        if wanted != product:
            continue
        spans = [
            span
            for held in facts.final.values()
            if held.user == request.asked.user
            for span in _may_block_with(facts, held, product)
        ]
        # After a fault, a long flush may count holds by the time of its beginning, and holds granted since.
        troubled = facts.troubled(request.asked.at, request.end)
        most = (_sum_within if troubled else _most_within)(spans, facts.oldest_read_ms(request), request.end)
        if not values or most + quantity <= min(values):
            yield Violation("limit", f"refused with {most} of {product}: {request.text()}")


def _may_block_with(facts: HistoryFacts, held: Held, product: str) -> Iterator[_StockSpan]:
    """The units of the product with which the reservation may have counted; returned ones until that was told."""
    span = _may_block(facts, held)
    if held.units(product):
        yield span._replace(units=held.units(product))
    for entry in held.returns:
        units = sum(quantity for line, quantity in entry.lines if line == product)
        if units:
            yield span._replace(until=min(span.until, returned_until(facts, held, entry)), units=units)


def _may_block(facts: HistoryFacts, held: Held) -> _StockSpan:
    """The time in which the reservation may have counted towards its customer's limit; a lapsed one doesn't."""
    grant = facts.grants.get(held.id)
    since = facts.true_ms(held.created_at) - facts.slack_ms
    if grant is not None and grant.code == "reserved":
        since = max(since, grant.asked.at)
    if held.status in _LIVE:
        return _StockSpan(since, EVER, 1)
    lapsed = facts.true_ms(held.expires_at) + facts.slack_ms
    if held.released_at is None or facts.troubled(since, lapsed):
        return _StockSpan(since, lapsed, 1)
    released = facts.true_ms(held.released_at) + facts.slack_ms + facts.terms.sweep_ms
    return _StockSpan(since, min(lapsed, released), 1)


def _sum_within(spans: Sequence[_StockSpan], since: float, until: float) -> int:
    """The units of all spans that overlap the time."""
    return sum(span.units for span in spans if span.since <= until and since < span.until)


def _most_within(spans: Sequence[_StockSpan], since: float, until: float) -> int:
    instants = [since, *(span.since for span in spans if since <= span.since <= until)]
    return max(_sum_at(spans, instant) for instant in instants)


# Refusals as sold out, and polls


def _may_hold(facts: HistoryFacts, product: str) -> list[_StockSpan]:
    """The times in which each request may have had units of the product, if only for a moment."""
    spans = []
    released = _released_at(facts)
    for request in facts.by_kind["reserve"]:
        units = sum(quantity for line, quantity in request.asked.lines if line == product)
        if not units:
            continue
        until = request.end + facts.terms.sweep_ms
        told = request.answer.held if request.answer is not None else None
        if request.unsure:
            until = EVER
        elif request.code == "reserved" and told is not None:
            until = released.get(told.id, EVER)
            left = facts.final.get(told.id)
            for entry in left.returns if left is not None else ():
                given_back = sum(quantity for line, quantity in entry.lines if line == product)
                back_at = returned_until(facts, told, entry) + facts.terms.sweep_ms
                spans.append(_StockSpan(request.asked.at, min(until, back_at), given_back))
                units -= given_back
        spans.append(_StockSpan(request.asked.at, until, units))
    return spans


def _released_at(facts: HistoryFacts) -> dict[str, float]:
    """By reservation, when its units must be back, unless there was a fault."""
    found = {}
    for held in facts.final.values():
        if held.released_at is not None:
            found[held.id] = facts.true_ms(held.released_at) + facts.slack_ms + facts.terms.sweep_ms
    return found


def _sold_out(facts: HistoryFacts) -> Iterator[Violation]:
    """No request is refused as sold out if there certainly was enough stock during all of it."""
    if facts.terms.stock_only:
        return
    spans = {product: _may_hold(facts, product) for product in facts.goods}
    for request in facts.by_kind["reserve"]:
        if request.code != "sold-out":
            continue
        # A request without a key may be refused by the stock view, which is a moment old.
        since = request.asked.at - (facts.terms.view_ms if request.asked.key is None else 0)
        if facts.troubled(since, request.end):
            continue
        if all(
            _least_within(facts, product, _without(spans[product], request), since, request.end) >= quantity
            for product, quantity in request.asked.lines
        ):
            yield Violation("sold out", f"there was enough all the time: {request.text()}")
    for request in facts.by_kind["restock"]:
        if request.code != "stock-taken" or facts.troubled(request.asked.at, request.end):
            continue
        least = _least_within(facts, request.asked.of, spans[request.asked.of], request.asked.at, request.end)
        if least + request.asked.change >= 0:
            yield Violation("sold out", f"there was enough all the time: {request.text()}")


def _without(spans: Sequence[_StockSpan], request: Request) -> list[_StockSpan]:
    """The spans without the request's own, which can't be the reason of its refusal."""
    return [span for span in spans if span.since != request.asked.at]


def _least_within(facts: HistoryFacts, product: str, spans: Sequence[_StockSpan], since: float, until: float) -> int:
    """The least units that may have been available at some instant."""
    instants = [since, *(span.since for span in spans if since <= span.since <= until)]
    instants += [each.asked.at for each in facts.by_kind["restock"] if since <= each.asked.at <= until]
    return min(_stocked_least(facts, product, instant) - _sum_at(spans, instant) for instant in instants)


def _polls(facts: HistoryFacts, product: str, surely: dict[str, _StockSpan | None]) -> Iterator[Violation]:
    """The stock in a poll was available at some moment of the poll, or just before."""
    held = _spans_of(facts, product, surely)
    perhaps: list[_StockSpan] | None = None
    for request in facts.by_kind["stock"]:
        if request.asked.of != product or request.answer is None or request.answer.units is None:
            continue
        shown = request.answer.units
        since, until = request.asked.at - facts.terms.view_ms, request.end
        instants = [since, until, *(span.until for span in held if since <= span.until <= until)]
        instants += [each.asked.at for each in facts.by_kind["restock"] if since <= each.asked.at <= until]
        most = max(_stocked_most(facts, product, instant) - _sum_at(held, instant) for instant in instants)
        if shown > most and not facts.terms.stale_reads:
            yield Violation("poll", f"{shown} of {product} shown, {most} at most were there: {request.text()}")
        if facts.terms.stock_only or facts.troubled(since, until):
            continue
        perhaps = perhaps if perhaps is not None else _may_hold(facts, product)
        if shown < _least_within(facts, product, perhaps, since, until):
            yield Violation("poll", f"{shown} of {product} shown, more were there: {request.text()}")
