"""Each fence is needed: without it, the crash points find a broken rule."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import pytest
from tests.mongo.player import Point, play
from tests.mongo.scenes import SCENES
from tests.mongo.trouble import DriverTrouble

from flashreserve.stores.mongo import MongoStore, intents, recovery, reserve_movement
from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.mongo.database import Database, Document, Query, Update
from flashreserve.stores.mongo.intents import IdSource, Opened, Settlement
from flashreserve.stores.mongo.release_movement import release_under, units_released
from flashreserve.stores.mongo.reserve_movement import _standing
from flashreserve.stores.mongo.write_results import WriteResult

pytestmark = pytest.mark.mongodb


async def assert_harm(database: PymongoDatabase, store: MongoStore, scene: str, trouble: DriverTrouble) -> None:
    """Check that, at some call, this trouble leads to books that don't balance or to a false answer."""
    with pytest.raises(AssertionError):
        await _play_all(database, store, scene, trouble)


async def _play_all(database: PymongoDatabase, store: MongoStore, name: str, trouble: DriverTrouble) -> None:
    (scene,) = [each for each in SCENES if each.name == name]
    for call in count():
        if not (await play(database, store, scene, call, Point(call, trouble))).met:
            return


async def test_a_settlement_needs_its_intent(
    database: PymongoDatabase, store: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closing(settlement: Settlement) -> tuple[Query, Update]:
        pull = {"$pull": {"intents": {"f": settlement.movement.f}}}
        return {"_id": settlement.product_id}, {"$inc": {"available": settlement.units, "moves": 1}, **pull}

    monkeypatch.setattr(intents, "_closing", closing)
    await assert_harm(database, store, "reserve", DriverTrouble.STOP_BEFORE)


async def test_what_is_refunded_needs_a_void(
    database: PymongoDatabase, store: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def decide(database: Database, f: str, user_ids: Mapping[str, str]) -> dict[str, WriteResult]:
        standing = await _standing(database, f, list(user_ids))
        return {id_: WriteResult.APPLIED if standing.get(id_) else WriteResult.REFUSED for id_ in user_ids}

    monkeypatch.setattr(recovery, "decide", decide)
    await assert_harm(database, store, "reserve", DriverTrouble.STOP_BEFORE)


async def test_a_first_step_is_sent_once(
    database: PymongoDatabase, store: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_once = intents.open_all

    async def open_twice(*asked: Any) -> Opened:
        opened = await open_once(*asked)
        return opened if opened.took else await open_once(*asked)

    monkeypatch.setattr(reserve_movement, "open_all", open_twice)
    await assert_harm(database, store, "reserve", DriverTrouble.LOST_LATE)


async def test_a_basket_is_released_under_a_movement_that_all_its_products_carry(
    database: PymongoDatabase, store: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def finish(database: Database, _ids: IdSource, product_id: str, intent: Document, _now: int) -> int:
        ids: Sequence[str] = intent["ids"]
        documents = await release_under(database, intent["f"], ids, intent["mode"], intent["cutoff"], intent["by"])
        return units_released(documents or [], intent["f"], product_id)

    monkeypatch.setattr(recovery, "_finish_release", finish)
    await assert_harm(database, store, "sweep", DriverTrouble.STOP_HALF)
