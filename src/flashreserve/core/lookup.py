"""The facts that commands need, step by step: what to look up next depends on what was found.

    commands → products, reservations and keys named → limit claims, and what counts for quotas
             → the reservations that hold them → the products of these, and the claims that they may give up

`gather_facts` is the recipe for every store, without I/O: it yields what to look up, is sent what was found, and
returns the facts. A store may find more than it was asked for, and so be asked less.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from typing import assert_never

import msgspec

from flashreserve.core.commands import Cancel, Command, Confirm, Edit, Expire, Extend, Reserve, Restock
from flashreserve.core.facts import Claim, Facts, idempotency_claim, limit_claim
from flashreserve.core.holds import status_at
from flashreserve.core.model import Adjustment, Product, Reservation, Status
from flashreserve.core.quotas import Quotas, hour_at, hour_claim, open_claim


class Lookup(msgspec.Struct):
    """What a store has to look up next.

    - `keys`: claims to idempotency keys, `claims`: those to units of limited products. Which reservations hold them?
    - `customers`: those who reserve, where there are quotas. Which of their reservations count now? A store that keeps
      quota claims finds the reservations that hold them, another one says in `Found.counting` which may count.
      Customers without an entry there are asked for once more in the next lookup, when the products are known.
    - `adjustments`: restocks by product and key. `edited_product_ids`: were these products ever reserved?
    """

    product_ids: set[str] = msgspec.field(default_factory=set)
    reservation_ids: set[str] = msgspec.field(default_factory=set)
    keys: set[Claim] = msgspec.field(default_factory=set)
    claims: set[Claim] = msgspec.field(default_factory=set)
    customers: set[str] = msgspec.field(default_factory=set)
    adjustments: set[tuple[str, str]] = msgspec.field(default_factory=set)
    edited_product_ids: set[str] = msgspec.field(default_factory=set)


class Found(msgspec.Struct):
    """What a store found; its fields are those of `Facts`.

    `counting` has, by customer, the ids of all reservations that may count for the quotas. They are looked up next.
    """

    products: Mapping[str, Product] = {}
    reservations: Mapping[str, Reservation] = {}
    claims: Mapping[Claim, str] = {}
    counting: Mapping[str, Collection[str]] = {}
    adjustments: Mapping[tuple[str, str], Adjustment] = {}
    reserved_product_ids: frozenset[str] = frozenset()


Lookups = Generator[Lookup, Found, Facts]
"""Yields what to look up, is sent what was found, and returns the facts."""


def gather_facts(commands: Iterable[Command], quotas: Quotas, now: int, *, claims_come_along: bool = False) -> Lookups:
    """The facts on which `commands` can be planned as of `now`.

    `claims_come_along`: the store finds reservations with all their claims, so that these needn't be looked up.
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
    # Those that may be released: what only counts for a quota has not lapsed.
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
        theirs = [facts.reservations[id_] for id_ in ids if id_ in facts.reservations]
        facts.claims |= _quota_claims(user_id, theirs, now)
    return facts


def _quota_claims(user_id: str, reservations: Iterable[Reservation], now: int) -> dict[Claim, str]:
    """The quota claims of the customer's reservations, counted as of `now`, each with the id of its reservation.

    A store that looks at all of a customer's reservations in the transaction that makes the next needs to keep none.
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
    """The facts of a recipe, with `find` to look up each step."""
    lookup = next(lookups)
    while True:
        found = find(lookup)
        try:
            lookup = lookups.send(found)
        except StopIteration as end:
            facts: Facts = end.value
            return facts


def _named(commands: Iterable[Command]) -> tuple[Lookup, set[tuple[str, str]]]:
    """What the commands name by themselves; and the customers who reserve, each with a product that they reserve."""
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
            case Confirm() | Extend() | Cancel() | Expire():
                named.reservation_ids.add(command.reservation_id)
            case _:
                assert_never(command)
    return named, buyers


def _limit_claims(products: Mapping[str, Product], buyers: Iterable[tuple[str, str]]) -> set[Claim]:
    """The claims to all units of the products that each buyer may have, where the products are limited."""
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
