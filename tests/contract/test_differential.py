"""Every store gives the same outcomes for random command streams as the reference, and has the same books at the end.

`TESTS_STREAMS` sets the number of streams for each store: 40 by default, some thousands for a night.
"""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.contract.factories import FACTORIES, MemoryFactory, StoreFactory
from tests.contract.requests import every, listed
from tests.core import streams
from tests.core.examples import NOON
from tests.mongo.factory import MongoFactory

from flashreserve.core.commands import Command
from flashreserve.core.quotas import NO_QUOTAS, Quotas
from flashreserve.stores.filters import ReservationFilter
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.port import Flushed, Store

STREAMS: Final = int(os.environ.get("TESTS_STREAMS", "40"))
_ALL: Final = 10_000


class DifferentialStep(NamedTuple):
    """A flush after a pause, and perhaps a sweep after it."""

    pause_ms: int
    batch: list[Command]
    sweep_most: int | None


_steps = st.lists(
    st.builds(DifferentialStep, streams.pauses_ms, streams.batches, streams.sweeps), min_size=1, max_size=30
)


_quotas = st.sampled_from([NO_QUOTAS, NO_QUOTAS, Quotas(2, 9, 0), Quotas(2, 6, 2), Quotas(3, 0, 0)])


@asynccontextmanager
async def opened(factory: type[StoreFactory], quotas: Quotas = NO_QUOTAS) -> AsyncIterator[Store]:
    """A store with the streams' products. It isn't a fixture, because Hypothesis runs many streams in one test."""
    with tempfile.TemporaryDirectory() as directory:
        made = factory(Path(directory))
        store = await made.open(quotas)
        try:
            await store.add_products(streams.products())
            yield store
        finally:
            await made.discard()


def in_order(flushed: Flushed) -> tuple[object, object]:
    """The result of a flush, without the order of its products, which is arbitrary."""
    return flushed.outcomes, sorted(flushed.products, key=lambda product: product.id)


async def books(store: Store) -> list[object]:
    """All data that can be read."""
    products = await listed(store, _ALL)
    return [
        products,
        await every(store),
        [await every(store, ReservationFilter(product_id=product.id)) for product in products],
        [await every(store, ReservationFilter(user_id=user_id), newest_first=True) for user_id in streams.CUSTOMERS],
    ]


@pytest.mark.timeout(900)  # a database server on a busy machine takes minutes
@pytest.mark.parametrize(
    "factory",
    [pytest.param(kind, id=kind.name, marks=kind.marks) for kind in FACTORIES if kind is not MemoryFactory],
)
@settings(max_examples=STREAMS, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])
@given(steps=_steps, quotas=_quotas)
async def test_random_streams_come_to_the_same(
    factory: type[StoreFactory], steps: list[DifferentialStep], quotas: Quotas
) -> None:
    if factory is MongoFactory:  # It tries a customer's second hold again under another id, so the books differ.
        quotas = NO_QUOTAS
    async with opened(MemoryFactory, quotas) as reference, opened(factory, quotas) as store:
        now = NOON
        numbers = streams.new_numbers()
        for step in steps:
            now += step.pause_ms
            commands = streams.numbered(step.batch, numbers)
            expected = await reference.flush(commands, now)
            if isinstance(store, MongoStore):
                # With cached products, it doesn't read limits first, and tries a hold beyond them again under another
                # id.
                store._known.forget()
            assert in_order(await store.flush(commands, now)) == in_order(expected)
            if step.sweep_most is not None:
                swept = await reference.release_lapsed(now, step.sweep_most)
                assert await store.release_lapsed(now, step.sweep_most) == swept
        assert await books(store) == await books(reference)
        assert await store.audit() == await reference.audit()
        assert (await store.audit()).differences == []
