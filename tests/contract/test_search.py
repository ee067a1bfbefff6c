"""Searching reservations by every field of the filter, page by page, through every store."""

import pytest
from msgspec.structs import replace
from tests.contract.requests import do
from tests.core.examples import ANN, BEN, CUP, HAT, HOLD_MS, NOON, a_product, cancel, confirm, expire, granted, units

from flashreserve.core.commands import Reserve
from flashreserve.core.model import Status
from flashreserve.stores.filters import ALL_RESERVATIONS, ReservationFilter, first_id_at
from flashreserve.stores.mongo import search as mongo_search
from flashreserve.stores.port import Store
from flashreserve.stores.sqlite import search as sqlite_search

DAY_MS = 24 * 3600 * 1000
LAPSED = NOON + HOLD_MS


def id_at(ms: int, number: int) -> str:
    """An id as the service makes it at this time."""
    return first_id_at(ms)[:-4] + f"{number:04d}"


async def search(
    store: Store, where: ReservationFilter, now: int = NOON, *, most: int = 2, newest_first: bool = False
) -> list[int]:
    """The numbers of the reservations found, page by page."""
    numbers: list[int] = []
    beyond: str | None = None
    for _ in range(20):
        page = await store.search_reservations(where, beyond, most, now, newest_first=newest_first)
        assert len(page.reservations) <= most
        numbers += [int(held.id[-4:]) for held in page.reservations]
        beyond = page.beyond
        if beyond is None:
            return numbers
    raise AssertionError("pages without end")


async def filled(store: Store) -> None:
    """1 to 4 of Ann at noon: held, confirmed, cancelled, expired; 5 and 6 of Ben two days later, of both products."""
    await store.add_products([a_product(CUP, 99), a_product(HAT, 99)])

    async def reserve(number: int, at: int, user: str, lines: dict[str, int], external_id: str | None) -> None:
        command = Reserve(id_at(at, number), user, units(lines), external_id=external_id)
        granted(await do(store, command, at=at))

    for number in (1, 2, 3, 4):
        await reserve(number, NOON, ANN, {CUP: 1}, "order-1" if number % 2 else None)
    for number in (5, 6):
        await reserve(number, NOON + 2 * DAY_MS, BEN, {CUP: 1, HAT: 1}, "order-1")
    await do(store, replace(confirm(0), reservation_id=id_at(NOON, 2)))
    await do(store, replace(cancel(0), reservation_id=id_at(NOON, 3)))
    await do(store, replace(expire(0), reservation_id=id_at(NOON, 4)), at=LAPSED)


async def test_each_field_of_the_filter(store: Store) -> None:
    await filled(store)
    expected = {
        ALL_RESERVATIONS: [1, 2, 3, 4, 5, 6],
        ReservationFilter(user_id=ANN): [1, 2, 3, 4],
        ReservationFilter(product_id=HAT): [5, 6],
        ReservationFilter(external_id="order-1"): [1, 3, 5, 6],
        ReservationFilter(external_id="ORDER-1"): [],
        ReservationFilter(status=Status.CONFIRMED): [2],
        ReservationFilter(status=Status.CANCELLED): [3],
        ReservationFilter(since=NOON): [1, 2, 3, 4, 5, 6],
        ReservationFilter(since=NOON + 1): [5, 6],
        ReservationFilter(before=NOON): [],
        ReservationFilter(before=NOON + 1): [1, 2, 3, 4],
        ReservationFilter(since=NOON + 2 * DAY_MS, before=NOON + 2 * DAY_MS + 1): [5, 6],
        ReservationFilter(ANN, CUP, "order-1", Status.CANCELLED, NOON, NOON + 1): [3],
        ReservationFilter(user_id=BEN, product_id=CUP, external_id="order-1"): [5, 6],
        ReservationFilter(user_id=BEN, status=Status.CONFIRMED): [],
    }
    for where, numbers in expected.items():
        assert await search(store, where) == numbers, where
        assert await search(store, where, newest_first=True) == numbers[::-1], where


async def test_a_lapsed_hold_counts_as_expired(store: Store) -> None:
    await filled(store)
    pending, expired = ReservationFilter(status=Status.PENDING), ReservationFilter(status=Status.EXPIRED)
    assert (await search(store, pending), await search(store, expired)) == ([1, 5, 6], [4])
    assert await search(store, pending, LAPSED) == [5, 6]
    assert await search(store, expired, LAPSED) == [1, 4]


async def test_a_page_looks_at_a_limited_number_and_the_next_one_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(store)
    for module in (mongo_search, sqlite_search):
        monkeypatch.setattr(module, "SEARCHED_MAX", 2)
    for where, numbers in (
        (ReservationFilter(status=Status.CANCELLED), [3]),
        (ReservationFilter(user_id=ANN, status=Status.CANCELLED), [3]),
        (ReservationFilter(product_id=CUP, since=NOON + DAY_MS), [5, 6]),
        (ALL_RESERVATIONS, [1, 2, 3, 4, 5, 6]),
    ):
        assert await search(store, where, most=3) == numbers
        assert await search(store, where, most=3, newest_first=True) == numbers[::-1]
