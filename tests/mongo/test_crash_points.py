"""Crash points: a process stops before, in or after each of its database calls, or a reply is lost; another recovers.

After recovery the books balance and all acknowledged data exists. The same holds after the stopped process continues,
or the lost message arrives. Recovery itself gets into trouble at each of its calls too.

By default, each call of each scene meets one kind of trouble, and the kinds take turns. The slow set plays every kind
at every call, some 1,500 performances. Then it plays a share of these points again with recovery in trouble at one of
its calls. `TESTS_CRASHES` sets the number of those for each scene: 10 by default, or `all`, some 10,200 (at
a tenth of a second each, twenty minutes). The figures of a run are in pytest's summary.
"""

import os
from collections import Counter
from itertools import count
from typing import Final

import pytest
from tests.mongo.player import Point, play
from tests.mongo.scenes import SCENES, Scene
from tests.mongo.trouble import LOSSES, STOPS, DriverTrouble

from flashreserve.stores.mongo import MongoStore
from flashreserve.stores.mongo.connection import PymongoDatabase

pytestmark = pytest.mark.mongodb

CRASHES: Final = os.environ.get("TESTS_CRASHES", "10")
CALLS_MAX: Final = 60
KINDS: Final = [
    *((trouble, False) for trouble in (*STOPS, *LOSSES)),
    *((trouble, True) for trouble in (DriverTrouble.LOST_LATE, DriverTrouble.LOST_HALF)),
]
"""Kinds of trouble, and whether it is over before another process recovers."""

_numbers = count()
"""Numbers of the performances, each of which has a cast of its own."""

_scenes = pytest.mark.parametrize("scene", [pytest.param(scene, id=scene.name) for scene in SCENES])


@_scenes
async def test_trouble_at_any_call_does_no_harm(
    database: PymongoDatabase, store: MongoStore, scene: Scene, crashes: Counter[str]
) -> None:
    await _play_kinds_in_turn(database, store, scene, crashes)


async def test_nor_does_trouble_with_one_of_several_parts(
    database: PymongoDatabase, store: MongoStore, monkeypatch: pytest.MonkeyPatch, crashes: Counter[str]
) -> None:
    """Large writes are sent in concurrent parts. The other parts continue while one is in trouble."""
    monkeypatch.setattr("flashreserve.stores.mongo.chunks.PART_MIN", 1)
    for name in ("baskets and singles", "sweep"):
        await _play_kinds_in_turn(database, store, _scene(name), crashes)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@_scenes
async def test_any_trouble_at_any_call_does_no_harm_nor_does_recovery_in_trouble(
    database: PymongoDatabase, store: MongoStore, scene: Scene, crashes: Counter[str]
) -> None:
    again: list[Point] = []
    for trouble, before_recovery in KINDS:
        for call in range(CALLS_MAX):
            point = Point(call, trouble, before_recovery=before_recovery)
            played = await play(database, store, scene, next(_numbers), point)
            if not played.met:
                break
            crashes["troubled"] += 1
            again += _with_recovery_in_trouble(point, played.recovery_calls, len(again))
    for point in _share(again):
        await play(database, store, scene, next(_numbers), point)
        crashes["troubled twice"] += 1


def _scene(name: str) -> Scene:
    return next(scene for scene in SCENES if scene.name == name)


async def _play_kinds_in_turn(
    database: PymongoDatabase, store: MongoStore, scene: Scene, crashes: Counter[str]
) -> None:
    start = SCENES.index(scene)
    for call in range(CALLS_MAX):
        trouble, before_recovery = KINDS[(start + call) % len(KINDS)]
        played = await play(database, store, scene, next(_numbers), Point(call, trouble, before_recovery))
        if not played.met:
            break
        crashes["troubled"] += 1
    else:
        pytest.fail("the scene never ends")
    assert call > 1, "the scene makes no calls"


def _with_recovery_in_trouble(point: Point, recovery_calls: int, turn: int) -> list[Point]:
    """The point, with recovery in trouble at each of its calls. The kinds take turns."""
    return [
        Point(point.call, point.trouble, point.before_recovery, call, KINDS[(turn + call) % len(KINDS)][0])
        for call in range(recovery_calls)
    ]


def _share(points: list[Point]) -> list[Point]:
    """An even selection of the points, of the size that the environment sets."""
    wanted = len(points) if CRASHES == "all" else min(int(CRASHES), len(points))
    return [points[place * len(points) // wanted] for place in range(wanted)]
