"""Rules of single reservations: durable, asked for, one per key, one end, and stamps that fit their time."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.proof.facts import GRANTS, HistoryFacts, Request, Violation
from tests.proof.records import Held

_ENDS = {
    "confirmed": "CONFIRMED",
    "already-confirmed": "CONFIRMED",
    "expired": "EXPIRED",
    "already-cancelled": "CANCELLED",
}
"""The final status that an answer promises."""


def check(facts: HistoryFacts) -> Iterator[Violation]:
    """Check all rules of reservations."""
    yield from _durable(facts)
    yield from _asked_for(facts)
    yield from _one_a_key(facts)
    yield from _one_end(facts)
    for held in facts.final.values():
        yield from _stamps(facts, held)


def _durable(facts: HistoryFacts) -> Iterator[Violation]:
    """A granted reservation exists at the end, as it was granted, and each grant was told to one request."""
    granted_to: dict[str, int] = {}
    for request in facts.by_kind["reserve"]:
        if request.code not in GRANTS or request.answer is None:
            continue
        told = request.answer.held
        if told is None:
            yield Violation("durable", f"a grant without a reservation: {request.text()}")
            continue
        yield from _granted_as_asked(facts, request, told)
        left = facts.final.get(told.id)
        if left is None:
            yield Violation("durable", f"{told.id} was granted and isn't there: {request.text()}")
        elif (left.user, left.lines, left.key, left.created_at, left.hold_ms) != (
            told.user,
            told.lines,
            told.key,
            told.created_at,
            told.hold_ms,
        ):
            yield Violation("durable", f"{told.id} was granted as {told} and is {left}")
        if request.code == "reserved" and granted_to.setdefault(told.id, request.asked.number) != request.asked.number:
            yield Violation("durable", f"{told.id} was granted to two requests: {request.text()}")


def _granted_as_asked(facts: HistoryFacts, request: Request, told: Held) -> Iterator[Violation]:
    asked = request.asked
    if (told.user, told.lines, told.key) != (asked.user, _summed(asked.lines), asked.key):
        yield Violation("as asked", f"{told} for {request.text()}")
    fresh = (told.status, told.extensions, told.confirmed_at, told.released_at, told.returns) == (
        *("PENDING", 0, None, None),
        (),
    )
    if not fresh or told.expires_at != told.created_at + told.hold_ms:
        yield Violation("as granted", f"{told} isn't as it was granted: {request.text()}")
    terms_of_hold = {value for product, _ in told.lines for value in facts.possible_rule(product, "hold_ms")}
    if told.hold_ms not in terms_of_hold:
        yield Violation("as granted", f"{told} is held for another time than its products say: {request.text()}")
    created = facts.true_ms(told.created_at)
    if request.code == "reserved" and not asked.at - facts.slack_ms <= created <= request.end + facts.slack_ms:
        yield Violation("as asked", f"{told.id} was made at {created}, out of {request.text()}")


def _summed(lines: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    sums: dict[str, int] = defaultdict(int)
    for product, quantity in lines:
        sums[product] += quantity
    return tuple(sorted(sums.items()))


def _asked_for(facts: HistoryFacts) -> Iterator[Violation]:
    """Each reservation that nobody was told of belongs to a request without a known outcome, one to one."""
    untold = [held for id_, held in facts.final.items() if id_ not in facts.told_at]
    unsure = [request for request in facts.by_kind["reserve"] if request.unsure]
    fits = [[place for place, request in enumerate(unsure) if _may_be_of(facts, held, request)] for held in untold]
    taken_by: dict[int, int] = {}
    for place, held in enumerate(untold):
        if not _assign(place, fits, taken_by, set()):
            yield Violation("asked for", f"nobody asked for {held}")


def _may_be_of(facts: HistoryFacts, held: Held, request: Request) -> bool:
    asked = request.asked
    if (held.user, held.lines, held.key) != (asked.user, _summed(asked.lines), asked.key):
        return False
    created = facts.true_ms(held.created_at)
    # A request without an answer may have been served later.
    latest = request.end + facts.slack_ms if request.answer is not None else float("inf")
    return asked.at - facts.slack_ms <= created <= latest


def _assign(place: int, fits: list[list[int]], taken_by: dict[int, int], tried: set[int]) -> bool:
    """Assign a request to the reservation; others are moved to another request if need be (Kuhn's matching)."""
    for request in fits[place]:
        if request in tried:
            continue
        tried.add(request)
        if request not in taken_by or _assign(taken_by[request], fits, taken_by, tried):
            taken_by[request] = place
            return True
    return False


def _one_a_key(facts: HistoryFacts) -> Iterator[Violation]:
    """A key has one reservation, and every repeated request is told of that one."""
    bound: dict[tuple[str, str], Held] = {}
    for held in facts.final.values():
        if held.key is None:
            continue
        other = bound.setdefault((held.user, held.key), held)
        if other is not held:
            yield Violation("one a key", f"{held.user}'s key {held.key} has {other.id} and {held.id}")
    for request in facts.by_kind["reserve"]:
        if request.asked.key is None:
            continue
        yield from _key_obeyed(request, bound.get((request.asked.user, request.asked.key)), facts)
        yield from _refusal_stands(request, bound.get((request.asked.user, request.asked.key)), facts)


def _refusal_stands(request: Request, bound: Held | None, facts: HistoryFacts) -> Iterator[Violation]:
    """After a refusal under a key, no message of an earlier request with the key is carried out.

    A request for entirely different products under the same key is the caller's mistake, and is left out.
    """
    if bound is None or request.unsure or request.code in {"unavailable", "key-reused", *GRANTS}:
        return
    if not {product_id for product_id, _ in request.asked.lines} & {product_id for product_id, _ in bound.lines}:
        return
    others = [
        other
        for other in facts.by_kind["reserve"]
        if other is not request and (other.asked.user, other.asked.key) == (request.asked.user, request.asked.key)
    ]
    if all(facts.over_at(other) < request.asked.at for other in others):
        yield Violation("one a key", f"an earlier request was served after the refusal of {request.text()}")


def _key_obeyed(request: Request, bound: Held | None, facts: HistoryFacts) -> Iterator[Violation]:
    asked, told = request.asked, request.answer.held if request.answer is not None else None
    if told is not None and bound is not None and told.id != bound.id:
        yield Violation("one a key", f"told of {told.id}, but the key has {bound.id}: {request.text()}")
    if request.code == "key-reused" and (bound is None or bound.lines == _summed(asked.lines)):
        yield Violation("one a key", f"the key stands for nothing else: {request.text()}")
    if bound is None or request.unsure or request.code in {"unavailable", "key-reused", "replayed"}:
        return
    if facts.told_at.get(bound.id, float("inf")) < asked.at:
        yield Violation("one a key", f"{bound.id} had been told of before: {request.text()}")


def _one_end(facts: HistoryFacts) -> Iterator[Violation]:
    """Every customer who was told of a reservation's end was told the same, and the truth."""
    for request in facts.requests:
        if request.answer is None:
            continue
        told = request.answer.held
        promised = _ENDS.get(request.code)
        if request.code == "released" and told is not None:
            promised = told.status
        if promised is None:
            continue
        left = facts.final.get(request.asked.of)
        if promised not in {"CONFIRMED", "EXPIRED", "CANCELLED"} or left is None or left.status != promised:
            yield Violation("one end", f"told {promised}, is {left}: {request.text()}")
        elif told is not None and request.code in {"confirmed", "released"}:
            yield from _end_as_told(request, told, left)


def _end_as_told(request: Request, told: Held, left: Held) -> Iterator[Violation]:
    if (told.confirmed_at, told.released_at, told.expires_at) != (
        left.confirmed_at,
        left.released_at,
        left.expires_at,
    ) or told.returns != left.returns[: len(told.returns)]:
        yield Violation("one end", f"told {told}, is {left}: {request.text()}")


def _stamps(facts: HistoryFacts, held: Held) -> Iterator[Violation]:
    """The stamps of a reservation fit its status, by the shop's own clocks, and somebody asked for its end."""
    match held.status:
        case "CONFIRMED":
            right = held.confirmed_at is not None and held.confirmed_at < held.expires_at and held.released_at is None
            asked = _stamped_in_time(facts, held, "confirm", held.confirmed_at)
        case "CANCELLED":
            right = held.released_at is not None and held.released_at < held.expires_at and held.confirmed_at is None
            asked = _stamped_in_time(facts, held, "cancel", held.released_at)
        case "EXPIRED":
            right = held.released_at is not None and held.released_at >= held.expires_at and held.confirmed_at is None
            asked = True
        case _:
            right = held.released_at is None and held.confirmed_at is None
            asked = True
    if not right:
        yield Violation("time", f"{held} ended against its time")
    if not asked:
        yield Violation("asked for", f"nobody asked for the end of {held}")
    yield from _extensions(facts, held)


def _stamped_in_time(facts: HistoryFacts, held: Held, kind: str, stamp: int | None) -> bool:
    """Whether somebody asked for it then. Customers who were told that nothing was done don't count."""
    if stamp is None:
        return False
    slack = facts.slack_ms
    return any(
        request.asked.user == held.user
        and request.code != "unavailable"
        and request.asked.at - slack <= facts.true_ms(stamp)
        and (request.answer is None or facts.true_ms(stamp) <= request.end + slack)
        for request in facts.asked_about(held.id, kind)
    )


def _extensions(facts: HistoryFacts, held: Held) -> Iterator[Violation]:
    """Extensions were asked for and allowed, each ends later, and each was told once, or to overlapping requests."""
    first = held.created_at + held.hold_ms
    asked = [
        request
        for request in facts.asked_about(held.id, "extend")
        if request.asked.user == held.user and request.code != "unavailable"
    ]
    told: dict[int, int] = {0: first}
    tellings: dict[int, Request] = {}
    for request in asked:
        if request.code != "extended" or request.answer is None or request.answer.held is None:
            continue
        number, until = request.answer.held.extensions, request.answer.held.expires_at
        together = number in tellings and told[number] == until and _at_once(tellings[number], request)
        if number in told and not together:
            yield Violation("extensions", f"number {number} was told twice: {request.text()}")
        tellings.setdefault(number, request)
        told[number] = until
        if number > held.extensions or until > held.expires_at:
            yield Violation("extensions", f"told {request.answer.held}, is {held}")
    for number, until in told.items():
        before = told.get(number - 1)
        if before is not None and not (until - held.hold_ms < before < until or until == before + 1):
            yield Violation("extensions", f"from {before} to {until} of {held}")
    allowed = [facts.possible_rule(product, "extensions_max") for product, _ in held.lines]
    most = min(max(value or 0 for value in each) for each in allowed)
    if held.extensions > most or held.extensions > len(asked) or (held.extensions == 0 and held.expires_at != first):
        yield Violation("extensions", f"{held} was extended too often, or when nobody asked")


def _at_once(one: Request, other: Request) -> bool:
    """Whether the requests overlapped, so that both may have been told of one extension.

    Both ask for the next extension in the same millisecond, so both would leave the same hold. One of them does. The
    other, whose own reply was lost, reads the hold, finds it as it wanted it, and takes that for its own write.
    """
    return one.asked.at <= other.end and other.asked.at <= one.end
