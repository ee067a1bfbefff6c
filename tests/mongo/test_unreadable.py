"""Unreadable documents: each is set aside, named and counted, and all others are served as usual."""

from typing import Any

import pytest
from bson.objectid import ObjectId
from msgspec.structs import replace
from tests.contract.requests import assert_balanced, available, every, flush, listed
from tests.core.examples import (
    ANN,
    CUP,
    HAT,
    HOLD_MS,
    NOON,
    a_key,
    a_product,
    an_account,
    cancel,
    confirm,
    give_back,
    product_id,
    reservation_id,
    reserve,
    user_id,
)

from flashreserve.core.model import Role, Status
from flashreserve.core.outcomes import NotFound, Released, Reserved
from flashreserve.jobs.sweep import sweep_once
from flashreserve.stores.filters import ReservationFilter
from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.port import Swept
from flashreserve.stores.unreadable import RETRY_AFTER_MS

pytestmark = pytest.mark.mongodb

LAPSED = NOON + HOLD_MS
HOLDS = 6
BAD = reservation_id(3)

Change = dict[str, Any]
UNREADABLE: dict[str, Change] = {
    "an unknown status": {"$set": {"status": "REFUNDED"}},
    "no status": {"$unset": {"status": ""}},
    "no lines": {"$unset": {"lines": ""}},
    "empty lines": {"$set": {"lines": []}},
    "a quantity that is a text": {"$set": {"lines.0.quantity": "2"}},
    "a quantity below one": {"$set": {"lines.0.quantity": -2}},
    "no customer": {"$unset": {"user_id": ""}},
    "an end that is a text": {"$set": {"expires_at": "tomorrow"}},
    "lines that are a text": {"$set": {"lines": "CUP"}},
}


WHY: dict[str, str] = {
    "an unknown status": "status: expected PENDING or CONFIRMED or EXPIRED or CANCELLED",
    "no status": "status: missing; expected PENDING or CONFIRMED or EXPIRED or CANCELLED",
    "no lines": "lines: missing; expected a list",
    "empty lines": "expected lines of at least one unit",
    "a quantity that is a text": "lines[0].quantity: expected a whole number; found text",
    "a quantity below one": "expected lines of at least one unit",
    "no customer": "user_id: missing; expected text",
    "an end that is a text": "expires_at: expected a whole number; found text",
    "lines that are a text": "lines: expected a list; found text",
}


@pytest.fixture
async def full(store: MongoStore) -> MongoStore:
    """A store with some holds of one customer."""
    await store.add_products([a_product(units=100)])
    await flush(store, *[reserve(number) for number in range(HOLDS)])
    return store


@pytest.mark.parametrize("change", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_reservation_that_cannot_be_read_is_left_out_and_the_others_go_on(
    full: MongoStore, database: PymongoDatabase, change: Change
) -> None:
    await database.update_many("reservations", {"_id": BAD}, change)
    others = [reservation_id(number) for number in range(HOLDS) if number != 3]
    assert [held.id for held in await every(full)] == others
    assert [held.id for held in await every(full)] == others, "a page is filled up"
    assert [held.id for held in await every(full, ReservationFilter(product_id=CUP))] == others
    of_ann = [held.id for held in await every(full, ReservationFilter(user_id=ANN), newest_first=True)]
    assert of_ann == others[::-1]
    assert await full.reservation(BAD) is None
    assert await sweep_once(full, LAPSED) == HOLDS - 1
    assert {held.status for held in await every(full)} == {Status.EXPIRED}
    audit = await full.audit()
    assert audit.unreadable == 1
    assert [(each.kind, each.id) for each in audit.set_aside] == [("reservation", BAD)]
    assert [(each.kind, each.id) for each in full.set_aside()] == [("reservation", BAD)]


@pytest.mark.parametrize("fault", UNREADABLE)
async def test_what_is_wrong_with_a_document_is_told_without_its_values(
    full: MongoStore, database: PymongoDatabase, fault: str
) -> None:
    await database.update_many("reservations", {"_id": BAD}, UNREADABLE[fault])
    assert await full.reservation(BAD) is None
    assert [each.why for each in full.set_aside()] == [WHY[fault]]


async def test_a_lapsed_hold_of_a_deleted_product_is_set_aside_and_released_once_that_is_back(
    full: MongoStore, database: PymongoDatabase
) -> None:
    await full.add_products([a_product(HAT)])
    await flush(full, reserve(100, of=HAT), at=NOON - 1)
    kept = await database.find("products", {"_id": HAT})
    await database._database["products"].delete_one({"_id": HAT})
    assert await full.release_lapsed(LAPSED, 2) == Swept(2, more=True), "the oldest is the bad one"
    assert await sweep_once(full, LAPSED) == HOLDS - 2
    assert await full.oldest_due(LAPSED) == LAPSED - 1
    (aside,) = full.set_aside()
    assert (aside.kind, aside.id, aside.why) == (
        "reservation",
        reservation_id(100),
        f"its product {HAT} isn't there",
    )
    audit = await full.audit()
    assert (audit.differences, audit.unreadable, audit.set_aside) == ([], 1, [aside])
    await database.insert_many("products", kept)
    assert await full.release_lapsed(LAPSED + RETRY_AFTER_MS - 1, 100) == Swept(0, more=False)
    assert await full.release_lapsed(LAPSED + RETRY_AFTER_MS, 100) == Swept(1, more=False)
    assert full.set_aside() == []
    assert await full.oldest_due(LAPSED) is None
    assert await available(full, HAT) == 10
    await assert_balanced(full)


async def test_a_product_that_is_deleted_from_under_a_process_that_knows_it_stops_no_sweep(
    full: MongoStore, database: PymongoDatabase
) -> None:
    await full.add_products([a_product(HAT)])
    await flush(full, reserve(100, of=HAT))
    await full.products([HAT])
    while await database.find("products", {"_id": HAT}):  # A write at the same time may keep the server from it.
        await database._database["products"].delete_one({"_id": HAT})
    assert await sweep_once(full, LAPSED) == HOLDS
    assert len(full.set_aside()) == 1


async def test_numbers_that_were_put_in_by_hand_as_doubles_are_read(
    full: MongoStore, database: PymongoDatabase
) -> None:
    change = {"$set": {"lines.0.quantity": 1.0, "expires_at": float(LAPSED)}}
    await database.update_many("reservations", {"_id": BAD}, change)
    held = await full.reservation(BAD)
    assert held is not None
    assert (held.lines[0].quantity, held.expires_at) == (1, LAPSED)


async def test_a_field_of_a_newer_version_is_left_out_and_a_missing_one_has_its_default(
    full: MongoStore, database: PymongoDatabase
) -> None:
    before = await every(full), await full.product(CUP)
    newer = {"$set": {"gift": True, "lines.0.colour": "red"}}
    await database.update_many("reservations", {}, newer)
    await database.update_many("products", {}, {"$set": {"weight_g": 300}, "$unset": {"rev": ""}})
    assert (await every(full), await full.product(CUP)) == before
    assert full.set_aside() == []
    await assert_balanced(full)


@pytest.mark.parametrize("change", [{"$unset": {"name": ""}}, {"$set": {"available": "7"}}, {"$set": {"price": None}}])
async def test_a_product_that_cannot_be_read_is_left_out_of_lists(
    full: MongoStore, database: PymongoDatabase, change: Change
) -> None:
    await full.add_products([a_product(product_id(number)) for number in range(2, 6)])
    await database.update_many("products", {"_id": product_id(3)}, change)
    shown = [product.id for product in await listed(full, 5)]
    assert shown == [CUP, HAT, product_id(4), product_id(5)]
    assert await full.product(product_id(3)) is None
    audit = await full.audit()
    assert [(each.kind, each.id) for each in audit.set_aside] == [("product", product_id(3))]
    assert audit.differences == []


async def test_an_account_that_cannot_be_read_is_none_and_keeps_its_email(
    store: MongoStore, database: PymongoDatabase
) -> None:
    await store.add_account(an_account())
    await database.update_many("accounts", {}, {"$set": {"role": "owner"}})
    assert await store.account_by_email("ann@example.com") is None
    assert await store.account_by_id(user_id(1)) is None
    assert not await store.add_account(an_account(2))
    assert [each.kind for each in store.set_aside()] == ["account"]
    assert await store.set_role(user_id(1), Role.CUSTOMER, at=1)
    assert await store.account_by_id(user_id(1)) == replace(an_account(), trail_n=1)
    assert store.set_aside() == []


@pytest.mark.parametrize("change", [{"expires_at": 253_402_318_799_000}, {"created_at": -1}, {"scopes": ["x"]}])
async def test_a_key_that_cannot_be_read_is_left_out_and_can_be_revoked(
    store: MongoStore, database: PymongoDatabase, change: Change
) -> None:
    for number in (1, 2, 3):
        await store.add_key(a_key(number), 9)
    await database.update_many("keys", {"_id": a_key(2).id}, {"$set": change})
    assert await store.keys() == [a_key(1), a_key(3)]
    assert [(each.kind, each.id) for each in store.set_aside()] == [("API key", a_key(2).id)]
    assert await store.revoke_key(a_key(2).id, 20)


async def test_a_document_whose_id_is_no_text_is_told_by_the_audit_and_stops_nobody(
    full: MongoStore, database: PymongoDatabase
) -> None:
    (copy,) = await database.find("reservations", {"_id": BAD})
    strange = {**copy, "_id": ObjectId(), "claims": []}
    await database.insert_many("reservations", [strange])
    assert len(await every(full)) == HOLDS
    audit = await full.audit()
    assert [each.id for each in audit.set_aside] == [str(strange["_id"])]
    assert await sweep_once(full, LAPSED) == HOLDS


@pytest.mark.parametrize(
    "bad",
    [
        {"f": "m-1", "owner": "o", "at": NOON, "kind": "reserve"},
        {"f": "m-1", "at": NOON},
        {"at": NOON},
        {"f": "m-1", "owner": "o", "at": NOON, "kind": "reserve", "items": "all"},
        {"f": "m-1", "owner": "o", "at": NOON, "kind": "release", "ids": [BAD]},
    ],
)
async def test_a_movement_that_cannot_be_read_is_set_aside_and_the_others_are_finished(
    full: MongoStore, database: PymongoDatabase, bad: Change
) -> None:
    good = {"f": "m-2", "owner": "o", "at": NOON, "kind": "reserve"}
    item = {"id": reservation_id(900), "user_id": ANN, "quantity": 3}
    await database.update_many(
        "products",
        {"_id": CUP},
        {"$push": {"intents": {"$each": [bad, "no movement", {**good, "items": [item]}]}}, "$inc": {"available": -3}},
    )
    later = NOON + 10 * HOLD_MS
    assert await full.recover(later, 100) == 1
    assert await available(full, CUP) == 100 - HOLDS
    assert [each.kind for each in full.set_aside()] == ["movement"]
    assert await full.recover(later, 100) == 0


@pytest.mark.parametrize("change", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_flush_that_comes_across_one_grants_the_others(
    store: MongoStore, database: PymongoDatabase, change: Change
) -> None:
    await store.add_products([a_product(units=100)])
    await flush(store, reserve(3, key="one"))
    await database.update_many("reservations", {"_id": BAD}, change)
    outcomes = await flush(store, confirm(3), reserve(4, user_id(2)), reserve(5, key="other"), cancel(3))
    assert [type(each) for each in outcomes] == [NotFound, Reserved, Reserved, NotFound]


async def test_a_hold_of_a_deleted_product_is_not_found_and_stops_no_flush(
    full: MongoStore, database: PymongoDatabase
) -> None:
    await full.add_products([a_product(HAT)])
    await flush(full, reserve(100, of=HAT), reserve(101, of=HAT))
    await database._database["products"].delete_one({"_id": HAT})
    outcomes = await flush(full, cancel(100), confirm(101), cancel(0))
    assert [type(each) for each in outcomes] == [NotFound, NotFound, Released]


NO_RETURNS = "lines: expected no units returned, because there are no returns"
ANOTHER_COUNT = "lines: expected as many units returned as its returns have, and as were bought at most"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"$set": {"lines.0.returned": 5}}, ANOTHER_COUNT),
        ({"$set": {"lines.0.returned": -1, "returns.0.lines.0.quantity": -1}}, ANOTHER_COUNT),
        ({"$set": {"lines.0.returned": 2}}, ANOTHER_COUNT),
        ({"$unset": {"returns": ""}}, NO_RETURNS),
        ({"$unset": {"returns.0.f": ""}}, "returns: expected a movement, f, in each entry"),
        ({"$set": {"returns.0.lines": "CUP"}}, "returns[0].lines: expected a list; found text"),
    ],
)
async def test_the_audit_names_a_reservation_whose_returns_contradict_its_lines(
    full: MongoStore, database: PymongoDatabase, change: Change, why: str
) -> None:
    await flush(full, reserve(100, quantity=3), confirm(100), give_back(100, {CUP: 1}))
    await assert_balanced(full)
    await database.update_many("reservations", {"_id": reservation_id(100)}, change)
    audit = await full.audit()
    assert [(each.id, each.why) for each in audit.set_aside] == [(reservation_id(100), why)]


async def test_the_audit_reports_more_units_available_than_stocked(full: MongoStore, database: PymongoDatabase) -> None:
    await flush(full, reserve(100, quantity=3), confirm(100))
    too_many = HOLDS + 10
    await database.update_many("reservations", {"_id": reservation_id(100)}, {"$set": {"lines.0.returned": too_many}})
    await database.update_many("products", {"_id": CUP}, {"$inc": {"available": too_many}})
    audit = await full.audit()
    assert [each.id for each in audit.set_aside] == [reservation_id(100)]
    assert [(each.stocked, each.available) for each in audit.differences] == [(100, 100 + 7)]
