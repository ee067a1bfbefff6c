"""Granting holds, by stock, limits per customer, quotas and idempotency keys."""

from collections.abc import Sequence
from typing import Final

from flashreserve.core import quotas
from flashreserve.core.book import Book
from flashreserve.core.commands import Reserve
from flashreserve.core.facts import idempotency_claim, limit_claim
from flashreserve.core.holds import has_lapsed, status_at
from flashreserve.core.model import Line, Product, Reservation, Status, Units
from flashreserve.core.outcomes import (
    HourlyHoldsReached,
    KeyReused,
    LapsesReached,
    LimitReached,
    NotFound,
    OpenHoldsReached,
    QuotaReached,
    Replayed,
    Reserved,
    ReserveOutcome,
)
from flashreserve.core.sale import refuse_products

_PENDING: Final = Status.PENDING
"""`Status.PENDING`, kept because each lookup of the name in the enum costs time."""


def reserve(book: Book, command: Reserve) -> ReserveOutcome:
    """Grant a hold, replay a repeated key, or refuse.

    A replay comes first. The order of refusal is NotFound, KeyReused, SalePaused or NotOnSale, SoldOut, LimitReached,
    quotas.
    """
    earlier = None
    if command.key is not None:
        holder = book.claims.get((command.user_id, idempotency_claim(command.key)))
        if holder is not None:
            earlier = book.reservations[holder]
            if _asked_for(earlier) == command.lines:
                return Replayed(earlier.as_granted())
    products: list[Product] = []
    for wanted in command.lines:
        product = book.products.get(wanted.product_id)
        if product is None or product.archived_at is not None:
            return NotFound("product", wanted.product_id)
        products.append(product)
    if earlier is not None and command.key is not None:
        return KeyReused(command.key)
    refusal = refuse_products(products, command.lines, book.now)
    if refusal is not None:
        return refusal
    return _grant(book, command, products)


def _grant(book: Book, command: Reserve, products: Sequence[Product]) -> Reserved | LimitReached | QuotaReached:
    claims: list[str] = []
    lapsed: list[str] = []
    for product, wanted in zip(products, command.lines):  # noqa: B905 - as in `refuse_products`
        if product.per_customer_limit is None:
            continue
        free = _free_claims(book, command.user_id, product, lapsed)
        if len(free) < wanted.quantity:
            return LimitReached(product.id, product.per_customer_limit)
        claims += free[: wanted.quantity]
    if book.facts.quotas.some:
        of_quotas = _quota_claims(book, command.user_id, lapsed)
        if not isinstance(of_quotas, list):
            return of_quotas
        claims += of_quotas
    for reservation_id in lapsed:
        if book.reservations[reservation_id].status is Status.PENDING:
            book.release(book.reservations[reservation_id], Status.EXPIRED)
    if command.key is not None:
        claims.append(idempotency_claim(command.key))
    reservation = _granted(command, products, book.now)
    book.reserve(reservation, tuple(claims))
    return Reserved(reservation)


def _quota_claims(book: Book, user_id: str, lapsed: list[str]) -> list[str] | QuotaReached:
    """The claims for one more hold of the customer. Adds to `lapsed` a lapsed hold that has to be released first."""
    claims: list[str] = []
    if book.facts.quotas.holds_per_hour_max:
        of_hour = quotas.hour_claim(quotas.hour_at(book.now), 0)
        if (user_id, of_hour) in book.claims:
            next_of_hour = _next_of_hour(book, user_id)
            if not isinstance(next_of_hour, str):
                return next_of_hour
            of_hour = next_of_hour
        claims.append(of_hour)
    if book.facts.quotas.open_holds_max:
        of_open = quotas.open_claim(0)
        if (user_id, of_open) in book.claims:
            next_of_open = _next_of_open(book, user_id, lapsed)
            if not isinstance(next_of_open, str):
                return next_of_open
            of_open = next_of_open
        claims.append(of_open)
    return claims


def _next_of_hour(book: Book, user_id: str) -> str | HourlyHoldsReached | LapsesReached:
    """A free claim of the hour, or a refusal. The claims of the hour lead to the customer's holds granted in it."""
    most, lapses_max = book.facts.quotas.holds_per_hour_max, book.facts.quotas.lapses_per_hour_max
    hour = quotas.hour_at(book.now)
    claims = [quotas.hour_claim(hour, place) for place in range(most)]
    holders = {claim: book.claims[user_id, claim] for claim in claims if (user_id, claim) in book.claims}
    became = [status_at(book.reservations[holder], book.now) for holder in holders.values()]
    wait_s = quotas.seconds_until((hour + 1) * quotas.HOUR_MS, book.now)
    bought = Status.CONFIRMED in became
    if lapses_max and became.count(Status.EXPIRED) >= lapses_max and not bought:
        return LapsesReached(lapses_max, wait_s)
    if len(holders) >= most:
        return HourlyHoldsReached(most, wait_s)
    return next(claim for claim in claims if claim not in holders)


def _next_of_open(book: Book, user_id: str, lapsed: list[str]) -> str | OpenHoldsReached:
    """A free open claim; or that of a lapsed hold, which is then added to `lapsed`; or a refusal."""
    holders: list[tuple[Reservation, str]] = []
    for place in range(book.facts.quotas.open_holds_max):
        claim = quotas.open_claim(place)
        holder = book.claims.get((user_id, claim))
        if holder is None:
            return claim
        holders.append((book.reservations[holder], claim))
    first, claim = min(holders, key=lambda held: (held[0].id not in lapsed, held[0].expires_at, held[0].id))
    if not has_lapsed(first.expires_at, book.now):
        return OpenHoldsReached(len(holders), quotas.seconds_until(first.expires_at, book.now))
    if first.id not in lapsed:
        lapsed.append(first.id)
    return claim


def _granted(command: Reserve, products: Sequence[Product], now: int) -> Reservation:
    """The granted reservation. A basket gets the shortest hold time, and the fewest extensions, of its products."""
    lines: list[Line] = []
    for product, wanted in zip(products, command.lines):  # noqa: B905 - as in `refuse_products`
        lines.append(Line(product.id, wanted.quantity, product.price, product.currency))
    one = products[0] if len(products) == 1 else None
    hold_s = one.hold_s if one else min(product.hold_s for product in products)
    return Reservation(
        id=command.reservation_id,
        user_id=command.user_id,
        status=_PENDING,
        lines=tuple(lines),
        created_at=now,
        expires_at=now + hold_s * 1000,
        hold_s=hold_s,
        extensions_max=one.extensions_max if one else min(product.extensions_max for product in products),
        key=command.key,
        external_id=command.external_id,
        metadata=command.metadata,
    )


def _free_claims(book: Book, user_id: str, product: Product, lapsed: list[str]) -> list[str]:
    """The customer's free claims on units of the product, followed by those of the customer's lapsed holds.

    The lapsed holds are added to `lapsed`, because they have to be released before their claims are taken.
    """
    free: list[str] = []
    reclaimed: list[str] = []
    for unit in range(product.per_customer_limit or 0):
        claim = limit_claim(product.id, unit)
        holder = book.claims.get((user_id, claim))
        if holder is None:
            free.append(claim)
        elif status_at(book.reservations[holder], book.now) is Status.EXPIRED:
            reclaimed.append(claim)
            if holder not in lapsed:
                lapsed.append(holder)
    return free + reclaimed


def _asked_for(reservation: Reservation) -> tuple[Units, ...]:
    return tuple(Units(line.product_id, line.quantity) for line in reservation.lines)
