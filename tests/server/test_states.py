"""The tables of states, and the rule that nothing else changes a state."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

import flashreserve.server
from flashreserve.server import states

_TABLE_OF: Final = {"reading": "READING", "state": "CONNECTION", "body_state": "BODY", "answer_state": "ANSWER"}
_OWNERS: Final = ("connection.py", "exchange.py", "request_reader.py")


@pytest.mark.parametrize(
    ("table", "first"),
    [
        (states.READING, states.IDLE),
        (states.CONNECTION, states.OPEN),
        (states.BODY, states.COMING),
        (states.ANSWER, states.QUEUED),
    ],
    ids=_TABLE_OF.values(),
)
def test_every_state_can_be_reached_and_has_its_row(table: Mapping[str, Mapping[str, str]], first: str) -> None:
    reached = {first}
    while more := {state for each in reached for state in table[each].values()} - reached:
        reached |= more
    assert reached == set(table)


def test_a_state_is_changed_only_by_its_table() -> None:
    changes = [
        (name, ast.unparse(change))
        for name in _OWNERS
        for change in ast.walk(ast.parse((Path(flashreserve.server.__path__[0]) / name).read_text()))
        if isinstance(change, ast.Assign | ast.AugAssign) and _state_of(change) is not None
    ]
    assert {name for name, _ in changes} == set(_OWNERS)
    assert not [each for each in changes if not _is_by_table(each[1])]


@pytest.mark.parametrize(
    "change", ["self.state = CLOSED", "self.state = BODY[self.state][CLOSE]", "a.state = CONNECTION[b.state][CLOSE]"]
)
def test_other_changes_would_be_found(change: str) -> None:
    assert not _is_by_table(change)


def _is_by_table(text: str) -> bool:
    change = ast.parse(text).body[0]
    assert isinstance(change, ast.Assign | ast.AugAssign)
    state = _state_of(change)
    assert state is not None
    target = ast.unparse(state)
    return text.startswith(f"{target} = {_TABLE_OF[state.attr]}[{target}][")


def _state_of(change: ast.Assign | ast.AugAssign) -> ast.Attribute | None:
    """The state that this assignment changes, or None."""
    targets = change.targets if isinstance(change, ast.Assign) else [change.target]
    return next((each for each in targets if isinstance(each, ast.Attribute) and each.attr in _TABLE_OF), None)
