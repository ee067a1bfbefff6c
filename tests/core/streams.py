"""Random commands that conflict: there are few products, customers and keys, and the clock often stops at deadlines."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Final

from hypothesis import strategies as st
from msgspec.structs import replace
from tests.core.examples import (
    ANN,
    BEN,
    CUP,
    HAT,
    NOON,
    PEN,
    a_product,
    cancel,
    confirm,
    confirm_some,
    edit,
    expire,
    extend,
    give_back,
    label,
    product_id,
    reservation_id,
    reserve_basket,
    restock,
    user_id,
)

from flashreserve.core.commands import Command, Reserve
from flashreserve.core.model import Product

CUSTOMERS: Final = (ANN, BEN, user_id(3))
UNKNOWN: Final = product_id(404)
_TARGET_MAX: Final = 25


def products() -> list[Product]:
    """The products of the commands: one without a limit, one with a limit, and one on sale for a limited time."""
    return [
        a_product(CUP, 6, hold_s=10, extensions_max=2),
        a_product(HAT, 5, hold_s=20, extensions_max=1, per_customer_limit=2),
        a_product(PEN, 4, hold_s=5, per_customer_limit=3, sale_starts_at=NOON + 1, sale_ends_at=NOON + 30_000),
    ]


_customers = st.sampled_from(CUSTOMERS)
_keys = st.sampled_from([None, "k1", "k2"])
_targets = st.integers(1, _TARGET_MAX)
_quantities = st.sampled_from([1, 1, 1, 2, 3, 7])
_lines = st.dictionaries(st.sampled_from([CUP, CUP, HAT, HAT, PEN, UNKNOWN]), _quantities, min_size=1, max_size=3)
_reserves = st.builds(lambda lines, user, key: reserve_basket(0, lines, user, key=key), _lines, _customers, _keys)
_windows = st.sampled_from([None, NOON, NOON + 1, NOON + 10_000, NOON + 100_000])
_edits = st.one_of(
    st.builds(lambda of, price: edit(of, price=price), st.sampled_from([CUP, HAT]), st.integers(0, 3)),
    st.builds(
        lambda of, to: edit(of, per_customer_limit=to), st.sampled_from([CUP, HAT]), st.sampled_from([None, 1, 4])
    ),
    st.builds(lambda start, end: edit(PEN, sale_starts_at=start, sale_ends_at=end), _windows, _windows),
    st.builds(
        lambda hold_s, most: edit(CUP, hold_s=hold_s, extensions_max=most), st.integers(1, 20), st.integers(0, 2)
    ),
)
_restocks = st.builds(
    lambda change, key, of: restock(change, key, of=of),
    st.integers(-6, 6),
    st.sampled_from(["r1", "r2", "r3", "r4"]),
    st.sampled_from([CUP, HAT, UNKNOWN]),
)
_units_back = st.dictionaries(st.sampled_from([CUP, CUP, HAT, PEN]), st.sampled_from([1, 1, 2]), min_size=1, max_size=2)
_returns = st.builds(
    lambda number, lines, key, user: give_back(number, lines, key, user=user),
    _targets,
    _units_back,
    st.sampled_from(["g1", "g2"]),
    st.sampled_from([None, None, *CUSTOMERS]),
)
_labels = st.builds(label, _targets, st.sampled_from([None, "order-1", "order-2"]))
_commands: st.SearchStrategy[Command] = st.one_of(
    _reserves,
    _reserves,
    _reserves,
    st.builds(confirm, _targets, _customers),
    st.builds(confirm_some, _targets, _lines, _customers),
    _returns,
    _labels,
    st.builds(extend, _targets, _customers),
    st.builds(cancel, _targets, _customers),
    st.builds(expire, _targets),
    _restocks,
    _edits,
)

batches: Final[st.SearchStrategy[list[Command]]] = st.lists(_commands, min_size=1, max_size=8)
"""Commands that arrive together. Reserves have no id yet: see `numbered`."""

pauses_ms: Final[st.SearchStrategy[int]] = st.sampled_from([0, 0, 0, 1, 999, 4_999, 5_000, 9_999, 10_000, 20_000])
"""Milliseconds until the next arrival. Many end exactly when a hold ends."""

sweeps: Final[st.SearchStrategy[int | None]] = st.sampled_from([None, None, None, 1, 100])
"""The most lapsed holds to release in a sweep; None for no sweep."""


def numbered(commands: Iterable[Command], numbers: Iterator[int]) -> list[Command]:
    """The commands, with the next numbers as the ids of new reservations."""
    return [
        replace(command, reservation_id=reservation_id(next(numbers))) if isinstance(command, Reserve) else command
        for command in commands
    ]


def new_numbers() -> Iterator[int]:
    return itertools.count(1)
