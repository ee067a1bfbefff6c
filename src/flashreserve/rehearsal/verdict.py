"""The verdict: compares the crowd's exchanges with the shop's books. Pure, and independent of the shop's own audit.

Promises to customers are reconstructed from the crowd's side alone. A hold is *surely live* from the moment its 201
was read. That ends when the hold's length has passed since its key was first sent (the hold can't have begun earlier),
or when its cancellation was sent; it never ends if its confirmation was answered. More holds surely live at one time
than there are units is overselling. This holds even if the shop's books say otherwise and clocks differ.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from flashreserve.core.model import LIVE, Status
from flashreserve.rehearsal.messages import Action, ExchangeOutcome, ShopExchange
from flashreserve.rehearsal.server import AuditReport
from flashreserve.rehearsal.tally import Latency, Tally

FINDINGS_MAX: Final = 20


class BookedReservation(msgspec.Struct, frozen=True, gc=False):
    """One reservation in a product's books; `quantity` is in units of that product."""

    id: str
    user_id: str
    status: Status
    quantity: int


class ProductBooks(msgspec.Struct, frozen=True):
    """The shop's stock and reservations of one product. `read_ms` is when reading began, by the monotonic clock."""

    product_id: str
    stocked: int
    available: int
    entries: tuple[BookedReservation, ...]
    read_ms: float

    @property
    def live(self) -> int:
        """Units of PENDING and CONFIRMED reservations."""
        return sum(entry.quantity for entry in self.entries if entry.status in LIVE)

    def gap(self, units: int) -> int:
        """Units that are neither available nor live, or both, or not in stock. Oversold units are counted elsewhere."""
        return max(abs(units - self.available - min(self.live, units)), abs(units - self.stocked))


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The input of `judge`. `units` and `books` are by product; `subjects` are customers' user ids, None if unknown."""

    units: tuple[int, ...]
    exchanges: tuple[ShopExchange, ...]
    subjects: tuple[str | None, ...]
    books: tuple[ProductBooks, ...]


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The counts that must be 0, and a sentence for each finding."""

    oversold: int
    leaked: int
    double_grants: int
    errors: int
    unexpected: dict[str, int]
    findings: tuple[str, ...]


def judge(evidence: Evidence) -> Judgement:
    """Compare the crowd's exchanges with the shop's books."""
    holds = _holds(evidence.exchanges)
    tally = Tally()
    tally.add(evidence.exchanges)
    oversold, leaked, findings = 0, 0, []
    for product, (units, books) in enumerate(zip(evidence.units, evidence.books, strict=True)):
        own = [hold for hold in holds if hold.product == product]
        peak, wrong = most_at_once(own), list(_broken_promises(own, books))
        gap = books.gap(units)
        over = max(0, peak - units, books.live - units)
        oversold += over
        leaked += max(gap, len(wrong))
        if over:
            findings.append(
                f"{books.product_id}: {units} units, but {peak} promised at one time and {books.live} live in the books"
            )
        if gap:
            findings.append(
                f"{books.product_id}: {units} units put in stock, but the books say {books.stocked} in stock, "
                f"{books.available} available and {books.live} live"
            )
        findings += wrong
    doubles = list(_double_grants(evidence))
    findings += [text for _, text in doubles]
    if tally.unanswered:
        findings.append(
            f"{len(tally.unanswered)} customers were never answered, customer {min(tally.unanswered)} first"
        )
    if not tally.granted:
        findings.append("nobody was granted anything, so nothing was rehearsed")
    return Judgement(
        oversold=oversold,
        leaked=leaked,
        double_grants=sum(count for count, _ in doubles),
        errors=tally.errors,
        unexpected=dict(_unexpected(evidence.exchanges, holds)),
        findings=tuple(findings[:FINDINGS_MAX]),
    )


class _PromisedHold(msgspec.Struct, frozen=True, kw_only=True):
    """An acknowledged reservation, and when it is surely live."""

    id: str
    key: str
    product: int
    customer: int
    from_ms: float
    until_ms: float
    confirmed: bool
    cancel_sent: bool
    cancelled: bool


def most_at_once(holds: Iterable[_PromisedHold]) -> int:
    """The most holds that were surely live at one time."""
    # At the same instant, ends sort before beginnings.
    moments = sorted(moment for hold in holds for moment in ((hold.from_ms, 1), (hold.until_ms, -1)) if _lasts(hold))
    live = most = 0
    for _, change in moments:
        live += change
        most = max(most, live)
    return most


def _lasts(hold: _PromisedHold) -> bool:
    return hold.from_ms < hold.until_ms


def _holds(exchanges: Sequence[ShopExchange]) -> list[_PromisedHold]:
    first_sent: dict[str, float] = {}
    granted: dict[str, list[ShopExchange]] = defaultdict(list)
    followed: dict[str, list[ShopExchange]] = defaultdict(list)
    for exchange in exchanges:
        if exchange.action is not Action.RESERVE:
            followed[exchange.reservation_id].append(exchange)
            continue
        first_sent[exchange.key] = min(exchange.sent_ms, first_sent.get(exchange.key, math.inf))
        if exchange.outcome is ExchangeOutcome.DONE:
            granted[exchange.reservation_id].append(exchange)
    return [_hold(id_, seen, followed[id_], first_sent[seen[0].key]) for id_, seen in granted.items()]


def _hold(
    id_: str, granted: Sequence[ShopExchange], followed: Sequence[ShopExchange], first_sent_ms: float
) -> _PromisedHold:
    confirmed = any(x.action is Action.CONFIRM and x.outcome is ExchangeOutcome.DONE for x in followed)
    cancels = [x for x in followed if x.action is Action.CANCEL]
    until_ms = math.inf if confirmed else first_sent_ms + granted[0].held_ms
    return _PromisedHold(
        id=id_,
        key=granted[0].key,
        product=granted[0].product,
        customer=granted[0].customer,
        from_ms=min(exchange.done_ms for exchange in granted),
        until_ms=min([until_ms, *(cancel.sent_ms for cancel in cancels)]),
        confirmed=confirmed,
        cancel_sent=bool(cancels),
        cancelled=any(cancel.outcome is ExchangeOutcome.DONE for cancel in cancels),
    )


def _broken_promises(holds: Iterable[_PromisedHold], books: ProductBooks) -> Iterator[str]:
    """A sentence for each acknowledged reservation that the books lack, or contradict."""
    entries = {entry.id: entry for entry in books.entries}
    for hold in holds:
        entry = entries.get(hold.id)
        if entry is None:
            yield f"reservation {hold.id} was granted to customer {hold.customer}, and the shop does not know it"
        elif reason := _contradiction(hold, entry.status, books.read_ms):
            yield f"reservation {hold.id} of customer {hold.customer} is {entry.status} in the books, but {reason}"


def _contradiction(hold: _PromisedHold, status: Status, read_ms: float) -> str:
    if hold.confirmed:
        return "" if status is Status.CONFIRMED else "its confirmation was acknowledged"
    if hold.cancelled:
        return "its cancellation was acknowledged" if status in LIVE else ""
    if status is Status.CANCELLED and not hold.cancel_sent:
        return "nobody cancelled it"
    if status is Status.EXPIRED and not hold.cancel_sent and read_ms < hold.until_ms:
        return "its time is not over"
    return ""


def _double_grants(evidence: Evidence) -> Iterator[tuple[int, str]]:
    """For each user, the grants beyond one per key, by the exchanges or by the books, with a sentence."""
    by_key: dict[str, set[str]] = defaultdict(set)
    keys: dict[str, set[str]] = defaultdict(set)
    for exchange in evidence.exchanges:
        if exchange.action is Action.RESERVE:
            keys[_subject(evidence, exchange.customer)].add(exchange.key)
            if exchange.outcome is ExchangeOutcome.DONE:
                by_key[exchange.key].add(exchange.reservation_id)
    booked = _booked(evidence.books)
    for subject, used in keys.items():
        seen = sum(max(0, len(by_key[key]) - 1) for key in used)
        extra = max(seen, booked.get(subject, 0) - len(used))
        if extra:
            yield extra, f"user {subject} used {len(used)} key(s) and was granted {len(used) + extra} reservations"


def _booked(books: Iterable[ProductBooks]) -> Mapping[str, int]:
    return Counter(entry.user_id for product in books for entry in product.entries)


def _subject(evidence: Evidence, customer: int) -> str:
    return evidence.subjects[customer] or f"#{customer}"


def _unexpected(exchanges: Sequence[ShopExchange], holds: Sequence[_PromisedHold]) -> Mapping[str, int]:
    """Answers below 500 that no customer could expect, counted by kind."""
    by_id = {hold.id: hold for hold in holds}
    granted_ms: dict[str, float] = {}
    for hold in holds:
        granted_ms[hold.key] = min(hold.from_ms, granted_ms.get(hold.key, math.inf))
    counts: Counter[str] = Counter()
    for exchange in exchanges:
        if exchange.outcome is ExchangeOutcome.UNEXPECTED:
            counts[f"{exchange.action} {exchange.tries[-1]} {exchange.code}".rstrip()] += 1
        elif exchange.outcome is ExchangeOutcome.REFUSED and exchange.action is Action.CONFIRM:
            counts["confirm refused before the hold was over"] += (
                exchange.done_ms < by_id[exchange.reservation_id].until_ms
            )
        elif exchange.outcome is ExchangeOutcome.REFUSED and exchange.sent_ms > granted_ms.get(exchange.key, math.inf):
            counts["the same key refused after it was granted"] += 1
    return +counts


class Verdict(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The result of a rehearsal.

    `unexpected` counts answers below 500 that no customer could expect; `answers` counts all tries by their words.
    `granted` counts distinct reservations, `too_late` confirmations of a hold that was over, `lapsed` reservations
    that the books show as expired, `resold` grants beyond the stock: units that must have been sold again.
    `returned_seconds` is how long after its end the last lapsed hold's unit was back on sale, if that was waited for.
    `crowd_lag_ms_max` is how late the crowd itself sent a request, at worst; latencies include it.
    """

    passed: bool
    oversold: int
    leaked: int
    double_grants: int
    errors: int
    latency_ms: Latency
    unexpected: dict[str, int]
    findings: tuple[str, ...]
    audit: AuditReport | None
    seed: int
    customers: int
    late_customers: int
    units: int
    products: int
    hold_seconds: int
    requests: int
    requests_per_second_max: int
    answers: dict[str, int]
    granted: int
    replayed: int
    refused: int
    confirmed: int
    cancelled: int
    too_late: int
    lapsed: int
    resold: int
    available: int
    returned_seconds: float | None
    elapsed_seconds: float
    crowd_lag_ms_max: float
