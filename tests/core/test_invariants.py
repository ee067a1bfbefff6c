"""Invariants that must hold after every flush, for all commands in all orders."""

from collections.abc import Sequence
from typing import Any, get_args

import pytest
from hypothesis import Phase, find, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace
from tests.core import streams
from tests.core.examples import NOON
from tests.core.shop import CoreShop, finish_now

from flashreserve.core.commands import Command, Reserve
from flashreserve.core.facts import idempotency_claim
from flashreserve.core.holds import live_units
from flashreserve.core.model import LIVE, Product, Reservation, Status
from flashreserve.core.outcomes import (
    AlreadyCancelled,
    AlreadyConfirmed,
    ExtensionsUsedUp,
    Invalid,
    KeyReused,
    LimitReached,
    NotConfirmed,
    NotDue,
    NotFound,
    NotOnSale,
    Outcome,
    Replayed,
    Reserved,
    Restocked,
    Returned,
    ReturnsUsedUp,
    RulesFixed,
    SoldOut,
    StockTaken,
    TooMany,
)
from flashreserve.stores.memory import MemoryStore

_REFUSALS = (
    *(NotFound, KeyReused, NotOnSale, SoldOut, LimitReached, AlreadyCancelled, AlreadyConfirmed),
    *(ExtensionsUsedUp, NotDue, StockTaken, RulesFixed, Invalid, NotConfirmed, TooMany, ReturnsUsedUp),
)


def changes_nothing(outcome: Outcome) -> bool:
    if isinstance(outcome, (Restocked, Returned)):
        return outcome.replayed
    return isinstance(outcome, (*_REFUSALS, Replayed))


def as_ended(held: Reservation) -> Reservation:
    """What nobody may change any more: all but the shop's own id, and what was returned of a purchase.

    Each return is one more event.
    """
    lasting = held.trail_n - len(held.returns)
    return replace(held, lines=held.as_granted().lines, returns=(), external_id=None, trail_n=lasting)


def unlabelled(held: Reservation) -> Reservation:
    return replace(held, external_id=None)


class ShopMachine(RuleBasedStateMachine):
    """Random flushes on the memory store, with a moving clock."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.shop = CoreShop(*streams.products(), store=self.store)
        self.numbers = streams.new_numbers()
        self.now = NOON
        self.ended: dict[str, Reservation] = {}
        self.bound: dict[tuple[str, str], Reservation] = {}

    @rule(batch=streams.batches, pause_ms=streams.pauses_ms)
    def flush(self, batch: list[Command], pause_ms: int) -> None:
        self.now += pause_ms
        commands = streams.numbered(batch, self.numbers)
        before = self.everything()
        outcomes = self.shop.flush(*commands, at=self.now)
        if all(changes_nothing(outcome) for outcome in outcomes):
            assert self.everything() == before
        self.check_keys(commands, outcomes)

    @rule(most=streams.sweeps, pause_ms=streams.pauses_ms)
    def sweep(self, most: int | None, pause_ms: int) -> None:
        self.now += pause_ms
        if most is not None:
            swept = finish_now(self.store.release_lapsed(self.now, most))
            assert swept.released <= most

    def everything(self) -> tuple[Any, ...]:
        return (self.shop.state(), dict(self.store._claims), dict(self.store._adjustments))

    def reservations(self) -> list[Reservation]:
        return self.shop.state()[1]

    def products(self) -> list[Product]:
        return self.shop.state()[0]

    def check_keys(self, commands: Sequence[Command], outcomes: Sequence[Outcome]) -> None:
        """Check that each key is granted once, and that a replay equals the grant."""
        for command, outcome in zip(commands, outcomes, strict=True):
            if isinstance(command, Reserve) and command.key is not None and isinstance(outcome, Reserved):
                assert (command.user_id, command.key) not in self.bound
                self.bound[command.user_id, command.key] = outcome.reservation
        for command, outcome in zip(commands, outcomes, strict=True):
            if isinstance(command, Reserve) and command.key is not None and isinstance(outcome, Replayed):
                assert unlabelled(outcome.reservation) == self.bound[command.user_id, command.key]

    @invariant()
    def nothing_is_oversold_or_leaked(self) -> None:
        for product in self.products():
            assert product.available == product.stocked - live_units(self.reservations(), product.id)
            assert 0 <= product.available <= product.stocked

    @invariant()
    def no_customer_has_more_than_the_limit(self) -> None:
        for product in self.products():
            if product.per_customer_limit is not None:
                for user in streams.CUSTOMERS:
                    own = [held for held in self.reservations() if held.user_id == user]
                    assert live_units(own, product.id) <= product.per_customer_limit

    @invariant()
    def each_live_unit_of_a_limited_product_has_a_claim_and_nothing_else_has(self) -> None:
        limits = {product.id: product.per_customer_limit for product in self.products()}
        by_line: dict[tuple[str, str], int] = {}
        for (user, claim), holder in self.store._claims.items():
            held = self.shop.reservation(int(holder[-12:], 16))
            assert held.user_id == user
            kind, _, rest = claim.partition(":")
            if kind == "limit":
                product, _, unit = rest.rpartition(":")
                assert int(unit) < (limits[product] or 0)
                by_line[held.id, product] = by_line.get((held.id, product), 0) + 1
            else:
                assert held.key is not None
                assert claim == idempotency_claim(held.key)
        assert by_line == {
            (held.id, line.product_id): line.left
            for held in self.reservations()
            for line in held.lines
            if held.status in LIVE and limits[line.product_id] is not None and line.left
        }

    @invariant()
    def what_has_ended_stays_as_it_is(self) -> None:
        for held in self.reservations():
            ended = as_ended(held)
            assert self.ended.get(held.id, ended) == ended
            if held.status is not Status.PENDING:
                self.ended[held.id] = ended

    @invariant()
    def each_return_is_counted_once_and_none_exceeds_the_purchase(self) -> None:
        for held in self.reservations():
            for line in held.lines:
                entries = [units for entry in held.returns for units in entry.lines]
                assert line.returned == sum(each.quantity for each in entries if each.product_id == line.product_id)
                assert 0 <= line.returned <= line.quantity
            keys = [entry.key for entry in held.returns if entry.key is not None]
            assert len(set(keys)) == len(keys)
            assert not keys or held.status is Status.CONFIRMED

    @invariant()
    def instants_and_counts_fit_the_status(self) -> None:
        for held in self.reservations():
            assert (held.confirmed_at is not None) == (held.status is Status.CONFIRMED)
            assert (held.released_at is not None) == (held.status in {Status.EXPIRED, Status.CANCELLED})
            assert 0 <= held.extensions <= held.extensions_max
            assert held.expires_at >= held.created_at + held.hold_s * 1000
            if held.confirmed_at is not None:
                assert held.confirmed_at < held.expires_at
            if held.status is Status.EXPIRED:
                assert held.released_at is not None
                assert held.expires_at <= held.released_at


TestShopMachine = ShopMachine.TestCase
TestShopMachine.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


@pytest.mark.parametrize("kind", get_args(Command))
def test_the_streams_have_every_command(kind: type[Command]) -> None:
    unshrunk = settings(phases=[Phase.generate], database=None)
    find(streams.batches, lambda batch: any(isinstance(command, kind) for command in batch), settings=unshrunk)
