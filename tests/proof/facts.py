"""The facts of a history, arranged for the rules."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from tests.proof.records import Answered, Asked, Ended, Goods, Healed, Held, Lost, Record, Terms, Trouble

EVER: Final = float("inf")
GRANTS: Final = frozenset({"reserved", "replayed"})
UNSURE: Final = frozenset({"", "outcome-unknown"})
"""Answers that leave open whether anything was done. The empty one stands for no answer."""

_ELECTED_MS: Final = 300
"""The most by which an election begins, and so ends, later than its record says."""

_TRUNCATED_MS: Final = 1.5
"""The error of a stamp, which is in whole milliseconds."""


class Violation(NamedTuple):
    """A broken rule, and how it was broken."""

    rule: str
    what: str


class Request(NamedTuple):
    """A request with its answer. `end` is when the customer got it or gave up; `EVER` if neither happened."""

    asked: Asked
    end: float
    answer: Answered | None

    @property
    def code(self) -> str:
        """The code of the answer; empty if there was none."""
        return self.answer.answer if self.answer is not None else ""

    @property
    def unsure(self) -> bool:
        """Whether the request may have been carried out unknown to the customer."""
        return self.code in UNSURE

    def text(self) -> str:
        """The request in words, for a violation."""
        asked = self.asked
        what = asked.of or " ".join(f"{quantity} {product}" for product, quantity in asked.lines)
        key = f" key {asked.key}" if asked.key else ""
        return f"#{asked.number} {asked.user} {asked.kind} {what}{key} [{asked.at:.1f}, {self.end:.1f}] {self.code}"


class HistoryFacts:
    """A whole history: its requests, faults and final state."""

    def __init__(self, history: Sequence[Record], terms: Terms) -> None:
        self.terms = terms
        self.slack_ms = terms.skew_ms + _TRUNCATED_MS
        self.goods: dict[str, Goods] = {each.id: each for each in terms.goods}
        self.troubles: list[Trouble] = []
        self.healed_at = EVER
        self.ended: Ended | None = None
        self.requests: list[Request] = _paired(history)
        for record in history:
            match record:
                case Trouble():
                    self.troubles.append(record)
                case Healed(at):
                    self.healed_at = at
                case Ended():
                    self.ended = record
                case _:
                    pass
        self.final: dict[str, Held] = {}
        if self.ended is not None:
            self.final = {each.id: each for each in self.ended.reservations}
        self.by_kind: dict[str, list[Request]] = defaultdict(list)
        self.about: dict[str, list[Request]] = defaultdict(list)
        for request in self.requests:
            self.by_kind[request.asked.kind].append(request)
            if request.asked.of:
                self.about[request.asked.of].append(request)
        self.told_at: dict[str, float] = {}
        """By reservation, when a customer was first told of its grant."""
        self.grants: dict[str, Request] = {}
        """By reservation, the request that was first answered with its grant."""
        self._note_grants()

    def _note_grants(self) -> None:
        for request in sorted(self.by_kind["reserve"], key=lambda each: each.end):
            if request.code in GRANTS and request.answer is not None and request.answer.held is not None:
                id_ = request.answer.held.id
                if id_ not in self.told_at:
                    self.told_at[id_] = request.end
                    self.grants[id_] = request

    def true_ms(self, stamp: int) -> float:
        """A stamp as time since the beginning, exact to within `slack_ms`."""
        return float(stamp - self.terms.epoch_ms)

    def troubled(self, since: float, until: float) -> bool:
        """Whether a fault, or its effects, may overlap this time."""
        return any(trouble.at <= until and since <= self._effects_end(trouble) for trouble in self.troubles)

    def _effects_end(self, trouble: Trouble) -> float:
        return trouble.until if trouble.passing else trouble.until + self.terms.recovery_ms

    def oldest_read_ms(self, request: Request) -> float:
        """The time of the oldest state that the request may have read: an election shows that of its beginning.

        A request with a key is refused only by current reads.
        """
        if request.asked.key is not None:
            return request.asked.at
        elections = [
            trouble.at
            for trouble in self.troubles
            if trouble.kind == "election"
            and trouble.at <= request.end
            and request.asked.at <= trouble.until + _ELECTED_MS
        ]
        return min([request.asked.at, *elections])

    def over_at(self, request: Request) -> float:
        """When the request was answered or its process died. After that, only messages already sent can arrive."""
        if request.answer is not None:
            return request.end
        asked = request.asked
        deaths = [
            trouble.at
            for trouble in self.troubles
            if trouble.process == asked.process and trouble.kind.startswith("crash") and trouble.at >= asked.at
        ]
        return min(deaths, default=EVER)

    def asked_about(self, id_: str, kind: str) -> list[Request]:
        """The requests of a kind about a reservation."""
        return [request for request in self.about[id_] if request.asked.kind == kind]

    def possible_rule(self, product: str, rule: str) -> set[int | None]:
        """All values that a rule of the product may have had."""
        goods = self.goods[product]
        first: int | None = getattr(goods, rule)
        edits = [
            value
            for request in self.by_kind["edit"]
            if request.asked.of == product and (request.unsure or request.code == "edited")
            for name, value in request.asked.rules
            if name == rule
        ]
        return {first, *edits}


def _paired(history: Iterable[Record]) -> list[Request]:
    asked: list[Asked] = []
    ends: dict[int, float] = {}
    answers: dict[int, Answered] = {}
    for record in history:
        match record:
            case Asked():
                asked.append(record)
            case Answered():
                answers[record.number] = record
                ends[record.number] = record.at
            case Lost():
                ends[record.number] = record.at
            case _:
                pass
    return [Request(each, ends.get(each.number, EVER), answers.get(each.number)) for each in asked]
