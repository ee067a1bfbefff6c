"""Rules of the log of events: each transition is told once, in order, as it was; and no reader misses any."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from tests.proof.facts import HistoryFacts, Violation
from tests.proof.records import FinalProduct, Held, ToldEvent

_ENDS: Final = {
    "reservation.confirmed": "CONFIRMED",
    "reservation.expired": "EXPIRED",
    "reservation.cancelled": "CANCELLED",
}


def check(facts: HistoryFacts) -> Iterator[Violation]:
    """Check all rules of the log."""
    if facts.ended is None or facts.ended.log is None:
        return
    log = facts.ended.log
    places = [told.place for told in log]
    if places != sorted(set(places)):
        yield Violation("log", f"places aren't in order: {places}")
    for number, read in enumerate(facts.ended.read):
        if read != log[: len(read)]:
            yield Violation("log", f"reader {number} read {_first_difference(read, log)}")
    about: dict[str, list[ToldEvent]] = defaultdict(list)
    for told in log:
        about[told.subject].append(told)
    for held in facts.final.values():
        yield from _of_reservation(held, about.pop(held.id, []))
    for product in facts.ended.products:
        yield from _of_product(facts, product, about.pop(product.id, []))
    for subject in about:
        yield Violation("log", f"events of {subject}, which doesn't exist")


def _first_difference(read: Sequence[ToldEvent], log: Sequence[ToldEvent]) -> str:
    pairs = zip(read, [*log, *[None] * len(read)], strict=False)
    return next((f"{one} where the log has {other}" for one, other in pairs if one != other), "more than the log has")


def _of_reservation(held: Held, events: Sequence[ToldEvent]) -> Iterator[Violation]:
    """The events lead from the grant to the final state, step by step."""
    if [told.n for told in events] != list(range(2, len(events) + 2)):
        yield Violation("trail", f"numbers of {held.id}: {[told.n for told in events]}")
    state = ToldEvent(0, held.id, 1, "", 0, "PENDING", (), 0, held.created_at + held.hold_ms)
    returns: list[tuple[tuple[str, int], ...]] = []
    for told in events:
        after = state._replace(place=told.place, n=told.n, type=told.type, at=told.at, given_back=())
        if told.type in _ENDS:
            after = after._replace(status=_ENDS[told.type])
        elif told.type == "reservation.extended":
            after = after._replace(extensions=state.extensions + 1, expires_at=told.expires_at)
        elif told.type == "reservation.returned":
            returns.append(told.given_back)
            after = after._replace(returned=_sum(state.returned, told.given_back), given_back=told.given_back)
        if told != after or (told.type in _ENDS and state.status != "PENDING"):
            yield Violation("trail", f"told {told} after {state}")
        state = after
    if (state.status, state.extensions, state.expires_at) != (held.status, held.extensions, held.expires_at):
        yield Violation("trail", f"told {state} of {held}")
    if returns != [entry.lines for entry in held.returns]:
        yield Violation("trail", f"told the returns {returns} of {held}")
    ended = [told.at for told in events if told.type in _ENDS]
    stamp = held.confirmed_at if held.status == "CONFIRMED" else held.released_at
    if ended != ([] if stamp is None else [stamp]):
        yield Violation("trail", f"told the ends {ended} of {held}")


def _of_product(facts: HistoryFacts, product: FinalProduct, events: Sequence[ToldEvent]) -> Iterator[Violation]:
    """The numbers have no gaps, and the stock is the sum of all changes, each with the figure after it."""
    if [told.n for told in events] != list(range(2, product.trail_n + 1)):
        yield Violation("trail", f"numbers of {product}: {[told.n for told in events]}")
    stocked = facts.goods[product.id].units
    for told in events:
        if told.type == "product.stocked":
            stocked += told.change
            if told.stocked != stocked:
                yield Violation("trail", f"told {told}, but {stocked} were in stock")
    if stocked != product.stocked:
        yield Violation("trail", f"told changes to {stocked} units of {product}")


def _sum(returned: tuple[tuple[str, int], ...], more: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    units = dict(returned)
    for product, quantity in more:
        units[product] = units.get(product, 0) + quantity
    return tuple(sorted(units.items()))
