"""A store raises an error for an unknown command or effect, and writes nothing.

The type checker finds such gaps first (tests/repository/test_pretended_members.py). This test is for unchecked code.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from tests.contract.requests import assert_balanced, available, everything, flush
from tests.core.examples import CUP, a_product, reserve

from flashreserve.core import rules
from flashreserve.core.facts import Facts
from flashreserve.core.rules import Plan
from flashreserve.http.answers import from_outcome
from flashreserve.http.places import Place
from flashreserve.stores.port import Store, StoreOutcomeUnknownError

REFUSALS = (AssertionError, StoreOutcomeUnknownError)
"""`assert_never` raises AssertionError. The MongoDB store reports any error within a flush as an unknown outcome."""


class Unheard(msgspec.Struct, frozen=True, gc=False):
    """A struct that is in no union. The tests use it as a command and as an effect."""

    id: str = "unheard-of"


async def test_an_unknown_command_is_refused_and_nothing_is_written(store: Store) -> None:
    await store.add_products([a_product()])
    before = await everything(store)
    unknown: Any = Unheard()
    with pytest.raises(REFUSALS):
        await flush(store, unknown)
    assert await everything(store) == before


async def test_an_unknown_effect_is_refused_and_nothing_is_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = rules.plan

    def plan(facts: Facts, commands: Sequence[Any], now: int) -> Plan:
        planned = decide(facts, commands, now)
        unknown: Any = Unheard()
        return msgspec.structs.replace(planned, effects=[unknown, *planned.effects])

    await store.add_products([a_product()])
    before = await everything(store)
    monkeypatch.setattr(rules, "plan", plan)
    with pytest.raises(REFUSALS):
        await flush(store, reserve(1))
    monkeypatch.undo()
    assert await everything(store) == before
    assert await available(store, CUP) == 10
    await assert_balanced(store)


def test_an_unknown_outcome_has_no_answer() -> None:
    unknown: Any = Unheard()
    with pytest.raises(AssertionError):
        from_outcome(unknown, Place("/reservations"))
