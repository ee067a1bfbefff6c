"""The models of the protocols keep every promise, and break one without any of their fences. README has the figures."""

import re
from pathlib import Path
from typing import Final

import msgspec
import pytest
from model.__main__ import is_as_expected
from model.configuration import Configuration
from model.configurations import CONFIGURATIONS
from model.deliveries.fences import DeliveryFences
from model.event_log.fences import LogFences
from model.explorer import explore
from model.fences import ALL_FENCES, Fences
from model.pauses.fences import PauseFences
from model.space import Setting

README: Final = Path(__file__).parents[2] / "model/README.md"
SMALL: Final = [each for each in CONFIGURATIONS if each.size == "small"]
ROW: Final = re.compile(
    r"^\| `(?P<name>[a-z0-9-]+)` \| (?P<purpose>[^|]+) \| \d \| (?P<states>[0-9,]+) \|", re.MULTILINE
)


@pytest.fixture(scope="module")
def stated() -> dict[str, tuple[str, int]]:
    """By configuration, the purpose and the number of states that README's tables give."""
    text = README.read_text(encoding="utf-8")
    return {row["name"]: (row["purpose"], int(row["states"].replace(",", ""))) for row in ROW.finditer(text)}


@pytest.mark.parametrize("configuration", SMALL, ids=lambda each: each.name)
def test_a_small_configuration_comes_out_as_it_must(
    configuration: Configuration, stated: dict[str, tuple[str, int]]
) -> None:
    found = explore(configuration.space(), states_max=200_000, seconds_max=110)

    assert is_as_expected(configuration, found), "\n".join([found.verdict, *found.trace])
    assert found.states == stated[configuration.name][1]


def test_the_readme_lists_every_configuration_with_its_purpose(stated: dict[str, tuple[str, int]]) -> None:
    assert {name: purpose for name, (purpose, _) in stated.items()} == {
        each.name: each.purpose for each in CONFIGURATIONS
    }


def test_every_fence_is_left_out_where_its_loss_must_be_found() -> None:
    judged = [each.setting.fences for each in _of_movements() if each.expected is not None]

    assert [name for name in Fences.__struct_fields__ if all(getattr(fences, name) for fences in judged)] == [
        "owner_guard"  # a second fence: without it, no promise breaks
    ]


def test_what_must_hold_is_explored_with_every_fence_but_second_locks() -> None:
    locks = msgspec.structs.replace(ALL_FENCES, owner_guard=False)

    assert {each.setting.fences for each in _of_movements() if each.expected is None} == {ALL_FENCES, locks}


@pytest.mark.parametrize("kind", [LogFences, DeliveryFences, PauseFences])
def test_each_fence_of_a_scene_is_left_out_alone_where_its_loss_must_be_found(kind: type[msgspec.Struct]) -> None:
    left_out = [_left_out(each) for each in _of_scenes(kind) if each.expected is not None]

    assert sorted(left_out) == sorted([name] for name in kind.__struct_fields__)


@pytest.mark.parametrize("kind", [LogFences, DeliveryFences, PauseFences])
def test_what_must_hold_in_a_scene_is_explored_with_every_fence(kind: type[msgspec.Struct]) -> None:
    assert {str(_left_out(each)) for each in _of_scenes(kind) if each.expected is None} == {"[]"}


def _of_movements() -> list[Configuration]:
    return [each for each in CONFIGURATIONS if isinstance(each.setting, Setting)]


def _of_scenes(kind: type[msgspec.Struct]) -> list[Configuration]:
    return [each for each in CONFIGURATIONS if isinstance(each.setting.fences, kind)]


def _left_out(configuration: Configuration) -> list[str]:
    fences = configuration.setting.fences
    return [name for name in fences.__struct_fields__ if not getattr(fences, name)]
