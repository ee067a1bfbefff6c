"""The crowd's plan: who comes when, and what they do. A pure function of the seed.

The spike is that of a real sale: everybody waits for the same second, so the rate of arrivals rises to its peak
within the first thirteenth of the window (a second, by default) and then decays, with stragglers until the end.
"""

import math
import random
from collections.abc import Sequence
from enum import StrEnum

import msgspec

CUSTOMERS_MAX = 200_000
PRODUCTS_MAX = 100

_RISE = 1 / 13
"""Longest delay by slow fingers, pages and clocks, as a share of the window: how steep the spike rises."""
_DECAY = 1 / 4
"""Mean of the exponential decay after the opening, as a share of the window."""
_THINK_HOLD_SHARE = 0.4
"""Longest pause before a decision, as a share of the hold: all who want to buy are in time."""
_REPEAT_MS = (150, 1_200)
_LATE_SURPLUS = 1.25
"""Latecomers for each unit that came back: a few more than can be served."""
_LATE_PER_SECOND_MAX = 500


class Shape(StrEnum):
    """How arrivals spread over the window."""

    SPIKE = "spike"
    EVEN = "even"


class Press(StrEnum):
    """How a customer presses the button, always with one key."""

    ONCE = "once"
    RETRY = "retry"
    DOUBLE_CLICK = "double-click"


class Decision(StrEnum):
    """A customer's action after a hold is granted."""

    CONFIRM = "confirm"
    CANCEL = "cancel"
    WALK_AWAY = "walk-away"


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """Parts of the crowd, each from 0 to 1. Customers who neither confirm nor walk away cancel."""

    confirm: float = 0.7
    walk_away: float = 0.2
    retry: float = 0.1
    double_click: float = 0.1


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a plan.

    `seconds` is the window of arrivals, `hold_s` how long the products' holds last, `think_s` the longest pause
    between a grant and the decision.
    """

    seed: int
    customers: int
    seconds: float
    shape: Shape = Shape.SPIKE
    shares: Shares = Shares()
    products: int = 1
    hold_s: int = 600
    think_s: float = 3.0


class Script(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The actions of one customer.

    `at_ms` counts from the opening. `repeat_ms` is the pause before a retry, `think_ms` the pause between the grant
    and the decision. `product` is an index into the rehearsal's products.
    """

    customer: int
    at_ms: float
    product: int
    press: Press
    repeat_ms: float
    decision: Decision
    think_ms: float
    key: str


def plan(crowd: Crowd, *, run_id: str) -> list[Script]:
    """Every customer's script, in order of arrival.

    Args:
        crowd: its parameters.
        run_id: unique to this run; part of its idempotency keys.

    Raises:
        ValueError: a parameter is out of bounds; the text names it.
    """
    check(crowd)
    rng = random.Random(crowd.seed)
    scripts = [_script(rng, crowd, customer, run_id) for customer in range(crowd.customers)]
    return sorted(scripts, key=lambda script: script.at_ms)


def plan_late(crowd: Crowd, *, customers: Sequence[int], returned: Sequence[int], run_id: str) -> list[Script]:
    """The second wave: customers who come for the units that are back on sale, a few more than there are units.

    Args:
        crowd: the crowd of the first wave.
        customers: who may come, in this order.
        returned: units back on sale, for each product.
        run_id: as in `plan`.

    Returns:
        Scripts that all confirm, at an even rate; empty if no units came back.
    """
    rng = random.Random(crowd.seed + 1)
    wanted = [product for product, units in enumerate(returned) for _ in range(math.ceil(units * _LATE_SURPLUS))]
    rng.shuffle(wanted)
    wanted = wanted[: len(customers)]
    window_ms = max(1_000.0, 1_000 * len(wanted) / _LATE_PER_SECOND_MAX)
    think_ms = min(200.0, crowd.hold_s * 100)
    return [
        Script(customer, window_ms * n / len(wanted), product, Press.ONCE, 0, Decision.CONFIRM, think_ms, key)
        for n, (customer, product) in enumerate(zip(customers, wanted, strict=False))
        for key in (f"late-{run_id}-{customer}",)
    ]


def check(crowd: Crowd) -> None:
    """Refuse invalid parameters.

    Raises:
        ValueError: the text names the parameter and what was expected.
    """
    if not 1 <= crowd.customers <= CUSTOMERS_MAX:
        raise ValueError(f"customers: expected 1 to {CUSTOMERS_MAX:,}, got {crowd.customers:,}")
    if not 0 < crowd.seconds <= 3_600:  # noqa: PLR2004 - an hour
        raise ValueError(f"seconds: expected more than 0 and at most 3600, got {crowd.seconds}")
    if not 1 <= crowd.products <= PRODUCTS_MAX:
        raise ValueError(f"products: expected 1 to {PRODUCTS_MAX}, got {crowd.products}")
    _check_shares("confirm share + walk-away share", crowd.shares.confirm, crowd.shares.walk_away)
    _check_shares("retry share + double-click share", crowd.shares.retry, crowd.shares.double_click)


def _check_shares(names: str, first: float, second: float) -> None:
    # In this form the condition is false for NaN as well.
    if not (first >= 0 and second >= 0 and first + second <= 1 + 1e-9):
        raise ValueError(f"{names}: expected each at least 0 and at most 1 together, got {first} + {second}")


def _script(rng: random.Random, crowd: Crowd, customer: int, run_id: str) -> Script:
    # Every script draws the same count of random numbers, so that a changed share changes no arrival.
    at_ms = _arrival_ms(crowd.shape, crowd.seconds * 1_000, rng.random(), rng.random())
    product = int(rng.random() * crowd.products)
    press = _pick_press(rng.random(), crowd.shares)
    repeat_ms = rng.uniform(*_REPEAT_MS)
    decision = _pick_decision(rng.random(), crowd.shares)
    think_ms = rng.uniform(0.05, 1) * 1_000 * min(crowd.think_s, crowd.hold_s * _THINK_HOLD_SHARE)
    return Script(customer, at_ms, product, press, repeat_ms, decision, think_ms, f"rehearsal-{run_id}-{customer}")


def _arrival_ms(shape: Shape, window_ms: float, u: float, v: float) -> float:
    if shape is Shape.EVEN:
        return u * window_ms
    rise_ms = window_ms * _RISE
    # The inverse of an exponential distribution that ends with the window.
    decayed = -_DECAY * math.log(1 - u * (1 - math.exp(-1 / _DECAY)))
    return rise_ms * v + (window_ms - rise_ms) * decayed


def _pick_press(u: float, shares: Shares) -> Press:
    if u < shares.retry:
        return Press.RETRY
    return Press.DOUBLE_CLICK if u < shares.retry + shares.double_click else Press.ONCE


def _pick_decision(u: float, shares: Shares) -> Decision:
    if u < shares.confirm:
        return Decision.CONFIRM
    return Decision.WALK_AWAY if u < shares.confirm + shares.walk_away else Decision.CANCEL
