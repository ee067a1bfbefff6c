"""Searching reservations while another process makes holds."""

from typing import Any

import pytest
from tests.contract.requests import every, flush
from tests.core.examples import a_product, cancel, reservation_id, reserve

from flashreserve.clock import SystemIds
from flashreserve.core.model import Status
from flashreserve.stores.filters import ReservationFilter
from flashreserve.stores.mongo import MongoStore, open_mongo, search

pytestmark = pytest.mark.mongodb


@pytest.mark.parametrize("newest_first", [True, False])
async def test_no_row_is_lost_or_repeated_although_holds_are_made_between_the_reads_of_a_page(
    store: MongoStore,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    newest_first: bool,  # noqa: FBT001 - pytest's own
) -> None:
    monkeypatch.setattr(search, "SEARCHED_MAX", 4)
    other = await open_mongo(url, SystemIds(), create=False)
    await store.add_products([a_product(units=100)])
    cancelled = [reservation_id(number) for number in range(100, 110)]
    await flush(store, *[reserve(number) for number in range(100, 110)])
    await flush(store, *[cancel(number) for number in range(100, 110)])
    newer = iter(range(110, 200) if newest_first else range(99, 0, -1))
    aggregate = store._database.aggregate

    async def read_then_make_holds(*asked: Any) -> Any:
        found = await aggregate(*asked)
        await flush(other, *[reserve(next(newer)) for _ in range(3)])
        return found

    monkeypatch.setattr(store._database, "aggregate", read_then_make_holds)
    found = await every(store, ReservationFilter(status=Status.CANCELLED), newest_first=newest_first)
    assert [held.id for held in found] == (cancelled[::-1] if newest_first else cancelled)
    await other.close()
