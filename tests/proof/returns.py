"""Rules of returns: asked for, once a key, no more than was bought, and no refusal without reason."""

from collections.abc import Iterable, Iterator

from tests.proof.facts import EVER, HistoryFacts, Request, Violation
from tests.proof.records import Held, Lines, ReturnedUnits

_TOLD = frozenset({"returned", "returned-before"})


def check(facts: HistoryFacts) -> Iterator[Violation]:
    """Check all rules of returns."""
    for held in facts.final.values():
        yield from _entries(facts, held)
    for request in facts.requests:
        if request.asked.kind in {"return", "confirm"} and not request.unsure:
            yield from _answer(facts, request, facts.final.get(request.asked.of))


def returned_since(facts: HistoryFacts, held: Held, entry: ReturnedUnits) -> float:
    """When the first request was sent that may have given these units back; before, they certainly weren't."""
    return min((request.asked.at for request in _causes(facts, held, entry)), default=EVER)


def returned_until(facts: HistoryFacts, held: Held, entry: ReturnedUnits) -> float:
    """When a customer was first told that these units were given back; `EVER` if nobody was."""
    told = (
        request.end
        for request in facts.about[held.id]
        if request.answer is not None and request.answer.held is not None and entry in request.answer.held.returns
    )
    return min(told, default=EVER)


def _entries(facts: HistoryFacts, held: Held) -> Iterator[Violation]:
    """Each return was asked for, there is one for a key, and no line is below zero."""
    keys = [entry.key for entry in held.returns if entry.key is not None]
    if len(set(keys)) < len(keys):
        yield Violation("returns", f"a key has two returns: {held}")
    for product, _ in held.lines:
        if held.units(product) < 0:
            yield Violation("returns", f"more of {product} went back than was there: {held}")
    if held.status != "CONFIRMED" and any(entry.key is not None for entry in held.returns):
        yield Violation("returns", f"units went back that weren't bought: {held}")
    for entry in held.returns:
        if not _causes(facts, held, entry):
            yield Violation("asked for", f"nobody asked for {entry} of {held}")


def _causes(facts: HistoryFacts, held: Held, entry: ReturnedUnits) -> list[Request]:
    """The requests that may have made this return. Customers who were told that nothing was done don't count."""
    kind = "return" if entry.key is not None else "confirm"
    return [
        request
        for request in facts.asked_about(held.id, kind)
        if request.asked.user == held.user
        and request.code != "unavailable"
        and (_fits(held, entry, request) if entry.key is None else _is_of(entry, request))
    ]


def _is_of(entry: ReturnedUnits, request: Request) -> bool:
    return (request.asked.key, request.asked.lines) == (entry.key, entry.lines)


def _fits(held: Held, entry: ReturnedUnits, request: Request) -> bool:
    """Whether the entry leaves just the units that the confirmation names."""
    before = held.returns[: held.returns.index(entry) + 1]
    left = held._replace(returns=before)
    return _left(left) == request.asked.lines


def _left(held: Held) -> Lines:
    units = ((product, held.units(product)) for product, _ in held.lines)
    return tuple((product, quantity) for product, quantity in units if quantity)


def _as_bought(held: Held) -> Held:
    """The reservation without the returns that came after its confirmation."""
    return held._replace(returns=tuple(entry for entry in held.returns if entry.key is None))


def _answer(facts: HistoryFacts, request: Request, left: Held | None) -> Iterator[Violation]:
    asked, told = request.asked, request.answer.held if request.answer is not None else None
    mine = [entry for entry in left.returns if entry.key == asked.key] if left is not None else []
    match request.code:
        case "returned" | "returned-before":
            yield from _returned(request, told, left, mine)
        case "key-reused":
            if all(entry.lines == asked.lines for entry in mine):
                yield Violation("one a key", f"the key stands for nothing else: {request.text()}")
        case "too-many" if left is not None:
            yield from _too_many(request, left, mine)
        case "not-confirmed":
            if any(each.code == "confirmed" and each.end < asked.at for each in facts.asked_about(asked.of, "confirm")):
                yield Violation("returns", f"refused as not confirmed: {request.text()}")
        case "confirmed":
            if asked.lines and told is not None and asked.lines not in {_left(told), _left(_as_bought(told))}:
                yield Violation("returns", f"{asked.lines} were to be bought, told {told}: {request.text()}")
        case _:
            pass


def _returned(
    request: Request, told: Held | None, left: Held | None, mine: Iterable[ReturnedUnits]
) -> Iterator[Violation]:
    """The return is there at the end, after those of which the customer was told with it."""
    if told is None or left is None or told.returns != left.returns[: len(told.returns)]:
        yield Violation("returns", f"told {told}, is {left}: {request.text()}")
    elif not any(entry in told.returns and _is_of(entry, request) for entry in mine):
        yield Violation("returns", f"told of a return that isn't there: {request.text()}")


def _too_many(request: Request, left: Held, mine: Iterable[ReturnedUnits]) -> Iterator[Violation]:
    """The refusal stands: units left only become fewer, so they don't suffice at the end either."""
    if all(quantity <= left.units(product) for product, quantity in request.asked.lines):
        yield Violation("returns", f"refused, though there are enough: {request.text()}")
    if request.asked.kind == "return" and any(_is_of(entry, request) for entry in mine):
        yield Violation("one a key", f"carried out although it was refused: {request.text()}")
