"""The tables of states, and the rule that nothing else changes a state."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

import flashreserve.server
from flashreserve.server import states

_TABLE_OF: Final = {"reading": "READING", "state": "CONNECTION", "body_state": "BODY", "answer_state": "ANSWER"}
_OWNERS: Final = {"connection.py", "exchange.py", "request_reader.py"}


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
    sources = {path.name: path.read_text() for path in Path(flashreserve.server.__path__[0]).glob("*.py")}
    # Another `state` is the application's own, in modules that don't use these states.
    changes = {name: list(_changes(source)) for name, source in sources.items() if "server.states import" in source}

    assert {name for name, found in changes.items() if found} == _OWNERS
    assert [each for found in changes.values() for each in found if not each.by_table] == []


@pytest.mark.parametrize(
    "change",
    [
        "self.state = CLOSED",
        "self.state: str = CLOSED",
        "self.state += CLOSED",
        "self.state = BODY[self.state][CLOSE]",
        "a.state = CONNECTION[b.state][CLOSE]",
    ],
)
def test_another_change_would_be_found(change: str) -> None:
    (found,) = _changes(change)

    assert not found.by_table


class _Change(NamedTuple):
    statement: str
    by_table: bool


def _changes(source: str) -> Iterator[_Change]:
    """The statements that assign a state."""
    for node in ast.walk(ast.parse(source)):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for state in targets:
            if isinstance(state, ast.Attribute) and state.attr in _TABLE_OF:
                statement, target = ast.unparse(node), ast.unparse(state)
                yield _Change(statement, statement.startswith(f"{target} = {_TABLE_OF[state.attr]}[{target}]["))
