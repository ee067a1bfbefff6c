"""Gathering the facts that commands need, step by step: each lookup depends on the results of the one before.

    commands → products, reservations and keys named in them → limit claims, and the reservations that count for quotas
             → the reservations that hold the claims → the products of these, and the claims that they may give up

`gather_facts` serves every store and does no I/O. It yields lookups, is sent the results, and returns the facts. A
store may send more than the lookup asks for, which saves later lookups.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from typing import assert_never

import msgspec

from flashreserve.core.commands import Cancel, Command, Confirm, Edit, Expire, Extend, Label, Reserve, Restock, Return
from flashreserve.core.facts import Claim, Facts, idempotency_claim, limit_claim
from flashreserve.core.holds import status_at
from flashreserve.core.model import Adjustment, Product, Reservation, Status
from flashreserve.core.quotas import Quotas, hour_at, hour_claim, open_claim


class Lookup(msgspec.Struct):
    """The next lookup of a store.

    - `keys` are claims of idempotency keys, `claims` those of units of limited products. The store looks up the
      reservations that hold them.
    - `customers` are those who reserve, if there are quotas. The store looks up their reservations that count for
      quotas now. A store that keeps quota claims finds them by these claims. Any other store returns in
      `Found.counting` the reservations that may count. Customers without an entry there are in the next lookup again,
      when the products are known.
    - `adjustments` are looked up by product and key. Of `edited_product_ids`, the store looks up whether they were
      ever reserved.
    """

    product_ids: set[str] = msgspec.field(default_factory=set)
    reservation_ids: set[str] = msgspec.field(default_factory=set)
    keys: set[Claim] = msgspec.field(default_factory=set)
    claims: set[Claim] = msgspec.field(default_factory=set)
    customers: set[str] = msgspec.field(default_factory=set)
    adjustments: set[tuple[str, str]] = msgspec.field(default_factory=set)
    edited_product_ids: set[str] = msgspec.field(default_factory=set)


class Found(msgspec.Struct):
    """The result of a lookup. Its fields are those of `Facts`.

    `counting` has, by customer, the ids of all reservations that may count for the quotas. A later lookup asks for
    those not read yet.
    """

    products: Mapping[str, Product] = {}
    reservations: Mapping[str, Reservation] = {}
    claims: Mapping[Claim, str] = {}
    counting: Mapping[str, Collection[str]] = {}
    adjustments: Mapping[tuple[str, str], Adjustment] = {}
    reserved_product_ids: frozenset[str] = frozenset()


Lookups = Generator[Lookup, Found, Facts]
"""Yields lookups, is sent their results, and returns the facts."""


def gather_facts(commands: Iterable[Command], quotas: Quotas, now: int, *, claims_come_along: bool = False) -> Lookups:
    """The facts on which `commands` can be planned as of `now`.

    With `claims_come_along`, the store returns each reservation with all its claims, so no lookup of these is needed.
    """
    facts = Facts(products={}, reservations={}, claims={}, quotas=quotas)
    first, buyers = _named(commands)
    if not quotas.some:
        first.customers.clear()
    found = yield first
    _take_in(facts, found)
    counting = found.counting
    limits = _limit_claims(facts.products, buyers)
    customers = first.customers - counting.keys()
    if limits or customers:
        found = yield Lookup(claims=limits, customers=customers)
        _take_in(facts, found)
        counting = {**counting, **found.counting}
    holders = set(facts.claims.values())
    counted = {id_ for ids in counting.values() for id_ in ids} - holders - facts.reservations.keys()
    unread = holders - facts.reservations.keys() | counted
    if unread:
        _take_in(facts, (yield Lookup(reservation_ids=unread)))
    _forget_former_customers(facts)
    # Only these may be released. Reservations that only count for a quota have not lapsed.
    held = [each for id_, each in facts.reservations.items() if id_ not in counted]
    lines = {(each.user_id, line.product_id) for each in held for line in each.lines}
    missing = {product_id for _, product_id in lines} - facts.products.keys()
    if missing:
        _take_in(facts, (yield Lookup(product_ids=missing)))
    own = _limit_claims(facts.products, lines) - limits if lines and not claims_come_along else None
    if own:
        found = yield Lookup(claims=own)
        facts.claims |= {claim: holder for claim, holder in found.claims.items() if holder in facts.reservations}
    for user_id, ids in counting.items():
        found_ids = facts.reservations.keys() & ids
        theirs = [held for held in map(facts.reservations.__getitem__, found_ids) if held.user_id == user_id]
        facts.claims |= _quota_claims(user_id, theirs, now)
    return facts


def _forget_former_customers(facts: Facts) -> None:
    """Drop the claims on reservations whose customer was erased since a store noted them."""
    held = facts.reservations
    former = [claim for claim, id_ in facts.claims.items() if id_ in held and held[id_].user_id != claim[0]]
    for claim in former:
        del facts.claims[claim]


def _quota_claims(user_id: str, reservations: Iterable[Reservation], now: int) -> dict[Claim, str]:
    """The quota claims that the customer's reservations would have at `now`. Each leads to its reservation's id.

    They are made by counting. A store needn't store quota claims if it reads all of a customer's reservations in the
    transaction that adds one.
    """
    claims: dict[Claim, str] = {}
    hour = hour_at(now)
    opened = granted = 0
    for held in sorted(reservations, key=lambda held: (held.created_at, held.id)):
        if status_at(held, now) is Status.PENDING:
            claims[user_id, open_claim(opened)] = held.id
            opened += 1
        if hour_at(held.created_at) == hour:
            claims[user_id, hour_claim(hour, granted)] = held.id
            granted += 1
    return claims


def facts_from(lookups: Lookups, find: Callable[[Lookup], Found]) -> Facts:
    """The facts. `find` makes each lookup."""
    lookup = next(lookups)
    while True:
        found = find(lookup)
        try:
            lookup = lookups.send(found)
        except StopIteration as end:
            facts: Facts = end.value
            return facts


def _named(commands: Iterable[Command]) -> tuple[Lookup, set[tuple[str, str]]]:
    """The lookup of the ids and keys in the commands; and (customer, product) of each line that somebody reserves."""
    named = Lookup()
    buyers: set[tuple[str, str]] = set()
    for command in commands:
        match command:
            case Reserve():
                named.customers.add(command.user_id)
                for line in command.lines:
                    named.product_ids.add(line.product_id)
                    buyers.add((command.user_id, line.product_id))
                if command.key is not None:
                    named.keys.add((command.user_id, idempotency_claim(command.key)))
            case Restock():
                named.product_ids.add(command.product_id)
                named.adjustments.add((command.product_id, command.key))
            case Edit():
                named.product_ids.add(command.product_id)
                named.edited_product_ids.add(command.product_id)
            case Confirm() | Extend() | Cancel() | Return() | Label() | Expire():
                named.reservation_ids.add(command.reservation_id)
            case _:
                assert_never(command)
    return named, buyers


def _limit_claims(products: Mapping[str, Product], buyers: Iterable[tuple[str, str]]) -> set[Claim]:
    """The claims of all units that each buyer may have of the products, if they are limited."""
    limits = {product.id: product.per_customer_limit for product in products.values() if product.per_customer_limit}
    if not limits:
        return set()
    return {
        (user_id, limit_claim(product_id, unit))
        for user_id, product_id in buyers
        if product_id in limits
        for unit in range(limits[product_id])
    }


def _take_in(facts: Facts, found: Found) -> None:
    facts.products |= found.products
    facts.reservations |= found.reservations
    facts.claims |= found.claims
    facts.adjustments |= found.adjustments
    facts.reserved_product_ids |= found.reserved_product_ids
