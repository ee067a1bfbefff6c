"""A scene's space has every order of a command's parts, and every end of a command whose reply was lost."""

from collections.abc import Iterable
from typing import Any

import msgspec
from model.explorer import explore
from model.processes import ModelActor, Program
from model.scene_space import Choose, SceneRules, SceneSetting, SceneSpace, SceneStep, carry_out, run_alone
from model.steps import ReplyLostError
from typing_extensions import override

Marks = tuple[str, ...]


class Mark(SceneStep[bool], frozen=True):
    name: str

    @override
    def apply(self, before: Marks) -> tuple[Marks, bool]:
        return (*before, self.name), True


class Forbidden(SceneRules[Marks]):
    """These marks must not come about; those in `finishing` are added to what there is at rest."""

    def __init__(self, now: Iterable[Marks] = (), at_rest: Iterable[Marks] = (), finishing: Marks = ()) -> None:
        self.now, self.at_rest, self.finishing = set(now), set(at_rest), finishing

    @override
    def wrong(self, documents: Marks) -> str | None:
        return f"now {documents}" if documents in self.now else None

    @override
    def passing(self, documents: Marks) -> Iterable[tuple[str, Marks]]:
        return [("time passes", ("t",))] if not documents else []

    @override
    def settled(self, documents: Marks) -> Marks:
        return documents + self.finishing

    @override
    def wrong_at_rest(self, documents: Marks) -> str | None:
        return f"at rest {documents}" if documents in self.at_rest else None


class NoFences(msgspec.Struct, frozen=True):
    """A scene without fences."""


async def mark_both(_actor: ModelActor) -> None:
    try:
        await carry_out([Mark("a"), Mark("b")])
    except ReplyLostError:
        await Mark("lost")


async def mark_a_choice(_actor: ModelActor) -> None:
    await Mark(await Choose(("x", "y")))


def _found(rules: Forbidden, program: Any, losses: int = 0) -> str | None:
    process = Program("P", program)
    setting = SceneSetting(documents=(), processes=(process,), rules=rules, losses=losses, fences=NoFences())
    return explore(SceneSpace(setting), states_max=1_000, seconds_max=10).violation


def test_the_parts_of_a_command_are_carried_out_in_any_order() -> None:
    for both in (("a", "b"), ("b", "a")):
        assert _found(Forbidden(now=[both]), mark_both) == f"now {both}"


def test_each_choice_is_made() -> None:
    for choice in ("x", "y"):
        assert _found(Forbidden(now=[(choice,)]), mark_a_choice) == f"now {(choice,)}"


def test_after_a_lost_reply_each_part_arrives_earlier_or_later_or_never() -> None:
    for marks in (("lost",), ("a", "lost"), ("lost", "a"), ("lost", "b", "a"), ("b", "lost", "a"), ("a", "lost", "b")):
        assert str(_found(Forbidden(now=[marks]), mark_both, losses=1)).startswith(f"now {marks}")
    assert _found(Forbidden(now=[("lost",)]), mark_both) is None


def test_time_may_pass() -> None:
    assert _found(Forbidden(now=[("t",)]), mark_both) == "now ('t',)"


def test_in_every_state_all_may_stop_and_fresh_processes_finish() -> None:
    assert _found(Forbidden(at_rest=[("a", "z")], finishing=("z",)), mark_both) == "at rest ('a', 'z')"


def test_at_rest_a_late_write_may_still_arrive_and_is_followed_by_fresh_processes() -> None:
    rules = Forbidden(at_rest=[("b", "lost", "z", "a", "z")], finishing=("z",))

    found = _found(rules, mark_both, losses=1)

    assert found is not None
    assert found.startswith("at rest ('b', 'lost', 'z', 'a', 'z'), after a late read Mark")


def test_a_program_that_runs_alone_gets_the_most_favourable_outcomes() -> None:
    assert run_alone((), Program("P", mark_both)) == ("a", "b")
    assert run_alone((), Program("P", mark_a_choice)) == ("x",)
