"""Every business rule, once.

`plan(facts, commands, now)` says what each command comes to and what has to be written for it. A store loads the
facts, plans, and applies the effects: in one transaction, or one by one under the guard that each effect carries.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, assert_never

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from flashreserve.core import limits, quotas
from flashreserve.core.commands import Cancel, Command, Confirm, Edit, Expire, Extend, Reserve, Restock, Wanted
from flashreserve.core.effects import (
    ConfirmEffect,
    EditEffect,
    Effect,
    ExtendEffect,
    ReleaseEffect,
    ReserveEffect,
    RestockEffect,
)
from flashreserve.core.facts import Facts, Lookup, idempotency_claim, is_limit_claim, limit_claim
from flashreserve.core.model import LIVE, Adjustment, Line, Product, Reservation, Status
from flashreserve.core.outcomes import (
    AlreadyCancelled,
    AlreadyConfirmed,
    CancelOutcome,
    Confirmed,
    ConfirmOutcome,
    Edited,
    EditOutcome,
    Expired,
    ExpireOutcome,
    Extended,
    ExtendOutcome,
    ExtensionsUsedUp,
    HourlyHoldsReached,
    Invalid,
    KeyReused,
    LapsesReached,
    LimitReached,
    NotDue,
    NotFound,
    NotOnSale,
    OpenHoldsReached,
    QuotaReached,
    Released,
    Replayed,
    Reserved,
    ReserveOutcome,
    Restocked,
    RestockOutcome,
    Ruled,
    RulesFixed,
    SoldOut,
    StockTaken,
)

_PENDING: Final = Status.PENDING
"""The same, without the look through the enumeration's properties that its name costs each time."""


class Plan(msgspec.Struct, frozen=True):
    """What a flush comes to.

    `outcomes` stand in the order of the commands, `effects` in the order to write them; `products` are those of the
    facts as they are once the effects are written.
    """

    outcomes: list[Ruled]
    effects: list[Effect]
    products: dict[str, Product]


def plan(facts: Facts, commands: Sequence[Command], now: int) -> Plan:
    """Decide `commands` as of `now`.

    Within one flush reserves come first, then extends, confirms, cancels, and the rest; each kind by arrival. When
    units came back meanwhile, reserves refused as sold out are tried once more, by arrival.
    """
    book = _Book(facts, now)
    kinds = {type(command) for command in commands}
    outcomes: dict[int, Ruled] = {}
    for kind, decide in _DECISIONS.items():
        if kind in kinds:
            for index, command in enumerate(commands):
                if type(command) is kind:
                    outcomes[index] = decide(book, command)
    if book.units_returned:
        for index, command in enumerate(commands):
            if type(command) is Reserve and type(outcomes[index]) is SoldOut:
                outcomes[index] = _reserve(book, command)
    return Plan([outcomes[index] for index in range(len(commands))], book.effects, book.products)


def basket(lines: Iterable[Wanted]) -> tuple[Wanted, ...]:
    """The lines of one request in product order, the same product summed."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.product_id] = sums.get(line.product_id, 0) + line.quantity
    return tuple(Wanted(product_id, sums[product_id]) for product_id in sorted(sums))


def has_lapsed(expires_at: int, now: int) -> bool:
    """A hold is over at `expires_at`, not after it."""
    return expires_at <= now


def status_at(reservation: Reservation, now: int) -> Status:
    """The status to show: a lapsed hold is EXPIRED, whether or not a sweep has seen it."""
    if reservation.status is Status.PENDING and has_lapsed(reservation.expires_at, now):
        return Status.EXPIRED
    return reservation.status


def refuse_sale(product: Product, now: int) -> NotOnSale | None:
    """A sale begins at `sale_starts_at` and is over at `sale_ends_at`; without them it is always on."""
    starts, ends = product.sale_starts_at, product.sale_ends_at
    if starts is None and ends is None:
        return None
    begun = starts is None or starts <= now
    over = ends is not None and ends <= now
    return None if begun and not over else NotOnSale(product.id, starts, ends)


def refuse_products(products: Sequence[Product], lines: Sequence[Wanted], now: int) -> NotOnSale | SoldOut | None:
    """The first reason why the products, in the order of the lines that ask for them, can't be had at `now`."""
    for product in products:
        off_sale = refuse_sale(product, now)
        if off_sale is not None:
            return off_sale
    for product, wanted in zip(products, lines):  # noqa: B905 - a check here would cost as much as the rule
        # All units or none: a smaller rest isn't handed out.
        if product.available < wanted.quantity:
            return SoldOut(product.id, product.available)
    return None


def adjusted(product: Product, change: int, at: int) -> Product:
    """The product with `change` units put in, or taken out."""
    return replace(
        product,
        stocked=product.stocked + change,
        available=product.available + change,
        updated_at=max(at, product.updated_at),
    )


def refuse_product(product: Product) -> Invalid | None:
    """What no product may be, beyond what each field alone may hold."""
    starts, ends = product.sale_starts_at, product.sale_ends_at
    if starts is not None and ends is not None and ends <= starts:
        return Invalid("saleEndsAt", "expected an instant after saleStartsAt")
    return None


class _Book:
    """The facts as this plan has changed them so far, and the effects that say so."""

    __slots__ = (
        "_claims_of",
        "adjustments",
        "claims",
        "effects",
        "facts",
        "now",
        "products",
        "reservations",
        "units_returned",
    )

    def __init__(self, facts: Facts, now: int) -> None:
        self.facts = facts
        self.now = now
        self.products = dict(facts.products)
        self.reservations = dict(facts.reservations)
        self.claims = dict(facts.claims)
        self._claims_of: dict[str, list[str]] | None = None
        self.adjustments = dict(facts.adjustments)
        self.effects: list[Effect] = []
        self.units_returned = False

    def hold(self, reservation: Reservation, claims: tuple[str, ...]) -> None:
        self._move(reservation, -1)
        for claim in claims:
            self.claims[reservation.user_id, claim] = reservation.id
        if self._claims_of is not None:
            self._claims_of[reservation.id] = list(claims)
        self.reservations[reservation.id] = reservation
        self.effects.append(ReserveEffect(reservation, claims))

    def release(self, before: Reservation, status: Status) -> Reservation:
        after = replace(before, status=status, released_at=self.now)
        self._move(before, +1)
        claims = self._give_up(before, lambda claim: is_limit_claim(claim) or quotas.is_open_claim(claim))
        self.reservations[before.id] = after
        self.effects.append(ReleaseEffect(after, claims))
        self.units_returned = True
        return after

    def confirm(self, before: Reservation) -> Reservation:
        after = replace(before, status=Status.CONFIRMED, confirmed_at=self.now)
        claims = self._give_up(before, quotas.is_open_claim)
        self.reservations[after.id] = after
        self.effects.append(ConfirmEffect(after, claims))
        return after

    def _move(self, reservation: Reservation, sign: int) -> None:
        for line in reservation.lines:
            product = self.products[line.product_id]
            self.products[product.id] = replace(product, available=product.available + sign * line.quantity)

    def _give_up(self, reservation: Reservation, is_given_up: Callable[[str], bool]) -> tuple[str, ...]:
        """Free those of the reservation's claims; they are looked up by reservation from the first time on."""
        if self._claims_of is None:
            self._claims_of = {}
            for (_, claim), holder in self.claims.items():
                self._claims_of.setdefault(holder, []).append(claim)
        claims = tuple(filter(is_given_up, self._claims_of.get(reservation.id, ())))
        for claim in claims:
            self._claims_of[reservation.id].remove(claim)
            del self.claims[reservation.user_id, claim]
        return claims


def _reserve(book: _Book, command: Reserve) -> ReserveOutcome:
    """Order of refusal: NotFound, KeyReused, NotOnSale, SoldOut, LimitReached, quotas; a replay comes before all."""
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
        if product is None:
            return NotFound("product", wanted.product_id)
        products.append(product)
    if earlier is not None and command.key is not None:
        return KeyReused(command.key)
    refusal = refuse_products(products, command.lines, book.now)
    if refusal is not None:
        return refusal
    return _grant(book, command, products)


def _grant(book: _Book, command: Reserve, products: Sequence[Product]) -> Reserved | LimitReached | QuotaReached:
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
    book.hold(reservation, tuple(claims))
    return Reserved(reservation)


def _quota_claims(book: _Book, user_id: str, lapsed: list[str]) -> list[str] | QuotaReached:
    """The claims for one more hold of the customer. A lapsed hold that has to make room is added to `lapsed`."""
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


def _next_of_hour(book: _Book, user_id: str) -> str | HourlyHoldsReached | LapsesReached:
    """A claim of the hour that the customer doesn't hold. Those held lead to all holds of the hour."""
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


def _next_of_open(book: _Book, user_id: str, lapsed: list[str]) -> str | OpenHoldsReached:
    """A claim that the customer doesn't hold, or else that of the customer's hold that lapsed first."""
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
    """A basket is held for the shortest time, and extended at most as often, as any of its products allows."""
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
    )


def _free_claims(book: _Book, user_id: str, product: Product, lapsed: list[str]) -> list[str]:
    """The customer's claims on the product that nobody holds, and after them those of the customer's lapsed holds.

    The lapsed holders are added to `lapsed`: they have to be released before their claims are taken.
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


def _asked_for(reservation: Reservation) -> tuple[Wanted, ...]:
    return tuple(Wanted(line.product_id, line.quantity) for line in reservation.lines)


def _own(book: _Book, reservation_id: str, user_id: str) -> Reservation | NotFound:
    """Another customer's reservation is not found, rather than forbidden: ids give nothing away."""
    reservation = book.reservations.get(reservation_id)
    if reservation is None or reservation.user_id != user_id:
        return NotFound("reservation", reservation_id)
    return reservation


def _over(book: _Book, reservation: Reservation) -> Expired | None:
    """Whether the hold's time is over; if so it is released before anybody is told."""
    if status_at(reservation, book.now) is not Status.EXPIRED:
        return None
    if reservation.status is Status.PENDING:
        book.release(reservation, Status.EXPIRED)
    return Expired(reservation.id, reservation.expires_at)


def _confirm(book: _Book, command: Confirm) -> ConfirmOutcome:
    reservation = _own(book, command.reservation_id, command.user_id)
    if isinstance(reservation, NotFound):
        return reservation
    if reservation.status is Status.CONFIRMED:
        return Confirmed(reservation)
    if reservation.status is Status.CANCELLED:
        return AlreadyCancelled(reservation.id)
    over = _over(book, reservation)
    if over is not None:
        return over
    return Confirmed(book.confirm(reservation))


def _extend(book: _Book, command: Extend) -> ExtendOutcome:
    reservation = _own(book, command.reservation_id, command.user_id)
    if isinstance(reservation, NotFound):
        return reservation
    if reservation.status is Status.CONFIRMED:
        return AlreadyConfirmed(reservation.id)
    if reservation.status is Status.CANCELLED:
        return AlreadyCancelled(reservation.id)
    over = _over(book, reservation)
    if over is not None:
        return over
    if reservation.extensions >= reservation.extensions_max:
        return ExtensionsUsedUp(reservation.id, reservation.extensions_max)
    # Never back, and never to the same instant: a late copy of an older extension must not fit again.
    expires_at = max(book.now + reservation.hold_s * 1000, reservation.expires_at + 1)
    after = replace(reservation, expires_at=expires_at, extensions=reservation.extensions + 1)
    book.reservations[after.id] = after
    book.effects.append(ExtendEffect(after))
    return Extended(after)


def _cancel(book: _Book, command: Cancel) -> CancelOutcome:
    reservation = _own(book, command.reservation_id, command.user_id)
    if isinstance(reservation, NotFound):
        return reservation
    if reservation.status is Status.CONFIRMED:
        return AlreadyConfirmed(reservation.id)
    if reservation.status is not Status.PENDING:
        return Released(reservation)
    if has_lapsed(reservation.expires_at, book.now):
        return Released(book.release(reservation, Status.EXPIRED))
    return Released(book.release(reservation, Status.CANCELLED))


def _expire(book: _Book, command: Expire) -> ExpireOutcome:
    reservation = book.reservations.get(command.reservation_id)
    if reservation is None or reservation.status is not Status.PENDING:
        return NotDue(command.reservation_id)
    if not has_lapsed(reservation.expires_at, book.now):
        return NotDue(command.reservation_id)
    return Released(book.release(reservation, Status.EXPIRED))


def _restock(book: _Book, command: Restock) -> RestockOutcome:
    product = book.products.get(command.product_id)
    if product is None:
        return NotFound("product", command.product_id)
    earlier = book.adjustments.get((command.product_id, command.key))
    if earlier is not None:
        return Restocked(earlier, replayed=True) if earlier.change == command.change else KeyReused(command.key)
    if product.available + command.change < 0:
        return StockTaken(product.id, product.available)
    if product.stocked + command.change > limits.STOCK_MAX:
        return Invalid("change", f"expected at most {limits.STOCK_MAX - product.stocked} more units")
    after = adjusted(product, command.change, book.now)
    adjustment = Adjustment(
        product_id=product.id,
        key=command.key,
        change=command.change,
        by=command.by,
        at=book.now,
        stocked=after.stocked,
        available=after.available,
    )
    book.products[product.id] = after
    book.adjustments[product.id, command.key] = adjustment
    book.effects.append(RestockEffect(adjustment))
    book.units_returned = book.units_returned or command.change > 0
    return Restocked(adjustment)


def _edit(book: _Book, command: Edit) -> EditOutcome:
    product = book.products.get(command.product_id)
    if product is None:
        return NotFound("product", command.product_id)
    changes = {
        field: value
        for field, value in msgspec.structs.asdict(command).items()
        if field != "product_id" and value is not UNSET and value != getattr(product, field)
    }
    if not changes:
        return Edited(product)
    after = replace(product, **changes, updated_at=max(book.now, product.updated_at), rev=product.rev + 1)
    refusal = _refuse_limit_change(book, product, after) or refuse_product(after)
    if refusal is not None:
        return refusal
    book.products[product.id] = after
    book.effects.append(EditEffect(after, rev_before=product.rev))
    return Edited(after)


def _refuse_limit_change(book: _Book, before: Product, after: Product) -> RulesFixed | None:
    """Each unit a limited customer has carries a claim, so a limit can grow, but not appear or shrink, once sold."""
    old, new = before.per_customer_limit, after.per_customer_limit
    if old == new or not _was_reserved(book, before.id):
        return None
    if old is not None and new is not None and new > old:
        return None
    return RulesFixed("perCustomerLimit", "after the first reservation the limit can only be raised")


def _was_reserved(book: _Book, product_id: str) -> bool:
    """Whether anybody ever reserved the product, in this plan or before."""
    return product_id in book.facts.reserved_product_ids or any(
        line.product_id == product_id for held in book.reservations.values() for line in held.lines
    )


_DECISIONS: dict[type[Command], Callable[[_Book, Any], Ruled]] = {
    Reserve: _reserve,
    Extend: _extend,
    Confirm: _confirm,
    Cancel: _cancel,
    Expire: _expire,
    Restock: _restock,
    Edit: _edit,
}
"""How each kind of command is decided, in the order in which the kinds have their turn."""


def live_units(reservations: Iterable[Reservation], product_id: str) -> int:
    """Units of the product that are held or bought: what rule 1 subtracts from `stocked`."""
    return sum(
        line.quantity
        for reservation in reservations
        if reservation.status in LIVE
        for line in reservation.lines
        if line.product_id == product_id
    )


def lookup(commands: Iterable[Command]) -> Lookup:
    """What a store has to load before it can plan `commands`."""
    wanted = Lookup()
    for command in commands:
        match command:
            case Reserve():
                wanted.customers.add(command.user_id)
                for line in command.lines:
                    wanted.product_ids.add(line.product_id)
                    wanted.buyers.add((command.user_id, line.product_id))
                if command.key is not None:
                    wanted.claims.add((command.user_id, idempotency_claim(command.key)))
            case Restock():
                wanted.product_ids.add(command.product_id)
                wanted.adjustments.add((command.product_id, command.key))
            case Edit():
                wanted.product_ids.add(command.product_id)
                wanted.edited_product_ids.add(command.product_id)
            case Confirm() | Extend() | Cancel() | Expire():
                wanted.reservation_ids.add(command.reservation_id)
            case _:
                assert_never(command)
    return wanted
