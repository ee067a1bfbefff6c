"""A new command, effect or outcome: the type checker names every place that has to handle it.

A copy of the sources gets one more member of each union, as at the start of a feature. Every place that handles the
union is then a type error. A place that ignored the new member silently would be missing among the errors.
tests/contract/test_unknown_members.py checks the same at run time.
"""

import ast
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, get_args

import pytest

from flashreserve.core import commands, effects, outcomes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MEMBERS: Final = {
    "PretendedCommand": ("Command",),
    "PretendedEffect": ("Effect", "PlannedWrite"),
    "PretendedOutcome": ("Ruled",),
    "PretendedRefusal": ("Refused", "Ruled"),
}
"""Each pretended member, and the unions that get it. It is defined in the module of the first one.

`PlannedWrite` is the MongoDB store's own union. The error in `stages.py` leads a developer of a new effect to it.
"""

HANDLERS: Final = {
    "PretendedCommand": {
        "src/flashreserve/core/rules.py _turn",
        "src/flashreserve/core/rules.py _decide",
        "src/flashreserve/core/lookup.py",
        "src/flashreserve/stores/mongo/flush.py",
    },
    "PretendedEffect": {
        "src/flashreserve/stores/memory.py",
        "src/flashreserve/stores/sqlite/",
        "src/flashreserve/stores/mongo/stages.py",
        "src/flashreserve/stores/mongo/carrier.py",
    },
    "PretendedOutcome": {
        "src/flashreserve/stores/mongo/flush.py",
        "src/flashreserve/http/answers.py",
        "tests/modelcheck/programs.py",
        "tests/mongo/player.py",
        "tests/simulation/crowd.py",
    },
    "PretendedRefusal": {
        "src/flashreserve/http/answers.py",
        "tests/simulation/crowd.py",
    },
}
"""By member, the functions, files and packages that must be among the places named."""

UNIONS: Final = {
    "PretendedCommand": commands.Command,
    "PretendedEffect": effects.Effect,
    "PretendedOutcome": outcomes.Outcome,
}

PARTS: Final = {
    "QuotaReached",
    "_Success",
    "_ReserveRefused",
    "_ChangeRefused",
    "_ReturnRefused",
    "_ProductRefused",
    "_Trouble",
}
"""Unions of some outcomes, which `answers.from_outcome` divides them into; the type checker holds it to all of them."""

DEFINITION: Final = '''
class {}(msgspec.Struct, frozen=True, gc=False):
    """Nothing handles this."""

    id: str


'''


@pytest.fixture(scope="module")
def sources(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and of the tests, with the pretended members."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("src", "tests"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", copy)
    for member, (first, *others) in MEMBERS.items():
        home = _add(copy, first, member, DEFINITION.format(member))
        module = ".".join(home.relative_to(copy / "src").with_suffix("").parts)
        for union in others:
            _add(copy, union, member, f"from {module} import {member}\n\n")
    return copy


def _add(copy: Path, union: str, member: str, before: str) -> Path:
    """Add the member to the union, with `before` in front of the union. Returns the file that defines the union."""
    (home,) = (path for path in (copy / "src").rglob("*.py") if f"\n{union} = " in path.read_text(encoding="utf-8"))
    text = home.read_text(encoding="utf-8")
    defined = f"class {member}(" in text
    added = f"\n{'' if defined else before}{union} = {member} | "
    home.write_text(text.replace(f"\n{union} = ", added), encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def named(sources: Path) -> dict[str, set[str]]:
    """By pretended member, the places that the type checker names, as `file function`."""
    tests = [path for path in (sources / "tests").rglob("*.py") if "assert_never(" in path.read_text(encoding="utf-8")]
    command = [sys.executable, "-m", "mypy", "--cache-dir", ".cache", "--no-pretty", "src"]
    began = time.monotonic()
    checked = subprocess.run(
        [*command, *(str(path.relative_to(sources)) for path in tests)],
        cwd=sources,
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"mypy took {time.monotonic() - began:.0f} s on the copy")  # noqa: T201 - shown by `pytest -rP`
    assert checked.returncode == 1, checked.stdout + checked.stderr
    places: dict[str, set[str]] = {member: set() for member in MEMBERS}
    for file, line, message in re.findall(r"^([^:\n]+):(\d+): error: (.*)$", checked.stdout, re.MULTILINE):
        for member in re.findall(r"Pretended[A-Z][a-z]+", message):
            places[member].add(_place(sources, sources / file, int(line)))
    for member, found in places.items():
        print(f"{member} has to be handled in:", *sorted(found), sep="\n  ")  # noqa: T201 - as above
    return places


@pytest.mark.parametrize("member", MEMBERS)
def test_the_type_checker_names_a_place_in_every_layer_that_handles_the_union(
    named: dict[str, set[str]], member: str
) -> None:
    missing = {wanted for wanted in HANDLERS[member] if not any(place.startswith(wanted) for place in named[member])}
    assert missing == set()


@pytest.mark.parametrize("member", UNIONS)
def test_the_type_checker_names_every_match_over_the_union(
    sources: Path, named: dict[str, set[str]], member: str
) -> None:
    union = UNIONS[member]
    classes = {each.__name__ for each in get_args(union)}
    matches = {
        _place(sources, path, node.lineno)
        for path in (sources / "src").rglob("*.py")
        for node in _matches(path)
        if _matched(node) <= classes
    }
    assert matches
    assert matches <= named[member]


def _matches(path: Path) -> Iterator[ast.Match]:
    """The file's matches over classes, except of a parameter that is declared as a part of a union."""
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            declared = {each.arg: each.annotation for each in function.args.args}
            for node in ast.walk(function):
                if isinstance(node, ast.Match) and _matched(node) and not _is_of_a_part(node.subject, declared):
                    yield node


def _is_of_a_part(subject: ast.expr, declared: Mapping[str, ast.expr | None]) -> bool:
    """Whether the subject is a parameter declared as a part of an outcome, such as `QuotaReached`."""
    kind = declared.get(subject.id) if isinstance(subject, ast.Name) else None
    return isinstance(kind, ast.Name) and kind.id in PARTS


def _matched(node: ast.Match) -> set[str]:
    """The classes that have a case in the `match`."""
    classes = [
        pattern.cls for case in node.cases for pattern in ast.walk(case.pattern) if isinstance(pattern, ast.MatchClass)
    ]
    return {each.id for each in classes if isinstance(each, ast.Name)}


def _place(sources: Path, path: Path, line: int) -> str:
    """The file and the innermost function around the line."""
    around = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    innermost = max(around, key=lambda node: node.lineno, default=None)
    return f"{path.relative_to(sources)} {innermost.name if innermost else ''}".rstrip()
