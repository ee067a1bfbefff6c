"""The structure of the code: one meaning for a class name, no silent dispatch, no import cycle, nothing too long."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final, get_args

import pytest

from flashreserve.core.commands import Command
from flashreserve.stores.port import Store

FILE_LINES_MAX: Final = 450
FUNCTION_LINES_MAX: Final = 50
TESTED_BY_STORE: Final = {"beat", "database_now_ms", "flush_late", "set_aside"}
"""Operations that differ from store to store, so the contract has no test of them."""

ROOTS: Final = ("src", "tests", "bench", "model")


@pytest.fixture(scope="session")
def trees(root: Path) -> dict[Path, ast.Module]:
    """All modules of the repository, parsed."""
    files = (path for name in ROOTS for path in (root / name).rglob("*.py"))
    return {path.relative_to(root): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(files)}


def test_a_class_name_stands_for_one_thing(trees: dict[Path, ast.Module]) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_file_of_the_package_is_long(root: Path) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (root / "src").rglob("*.py")}
    assert {str(path): lines for path, lines in lengths.items() if lines > FILE_LINES_MAX} == {}


def test_no_function_of_the_package_is_long(trees: dict[Path, ast.Module]) -> None:
    found = {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, tree in trees.items()
        if path.parts[0] == "src"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {place: lines for place, lines in found.items() if lines > FUNCTION_LINES_MAX} == {}


def test_imports_have_no_circle(trees: dict[Path, ast.Module]) -> None:
    modules = {_module(path): tree for path, tree in trees.items() if path.parts[0] == "src"}
    graph = {name: set(_imported(name, tree, modules)) for name, tree in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_every_union_is_matched_to_its_end(trees: dict[Path, ast.Module]) -> None:
    """A wildcard, or a dictionary by class, ignores a new member silently. `assert_never` doesn't."""
    unions = _unions(trees)
    found = [
        f"{path}:{node.lineno}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Match) and _ends_in_a_wildcard(node, unions))
        or (isinstance(node, ast.Dict) and _of_one_union(_names(node.keys), unions))
    ]
    assert found == []


def test_every_command_is_made_outside_the_core(trees: dict[Path, ast.Module]) -> None:
    core = Path("src/flashreserve/core")
    made = {
        name
        for path, tree in trees.items()
        if path.parts[0] == "src" and core not in path.parents
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for name in _names([node.func])
    }
    assert {command.__name__ for command in get_args(Command)} - made == set()


def test_every_store_operation_is_called_by_a_test_of_the_contract(trees: dict[Path, ast.Module]) -> None:
    contract = Path("tests/contract")
    called = {
        node.attr
        for path, tree in trees.items()
        if path.parent == contract
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    }
    operations = {name for name in dir(Store) if not name.startswith("_")}
    assert operations - called == TESTED_BY_STORE


@pytest.mark.parametrize(
    ("source", "silent"),
    [
        ("match x:\n case A(): pass\n case _: pass", True),
        ("match x:\n case A() | B(): pass\n case other: pass", True),
        ("match x:\n case A(): pass\n case _: assert_never(x)", False),
        ("match x:\n case A(): pass\n case B(): pass", False),
        ("match x:\n case 1: pass\n case _: pass", False),
    ],
)
def test_a_wildcard_over_a_union_is_found(source: str, *, silent: bool) -> None:
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.Match)
    assert _ends_in_a_wildcard(node, [frozenset({"A", "B"})]) is silent


def _unions(trees: dict[Path, ast.Module]) -> list[frozenset[str]]:
    """The classes of each union that the package names, such as `Command = Reserve | Extend`."""
    parts: dict[str, frozenset[str]] = {}
    for path, tree in trees.items():
        if path.parts[0] == "src":
            for node in tree.body:
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
                    (target,) = node.targets
                    names = _alternatives(node.value)
                    if names and isinstance(target, ast.Name):
                        parts[target.id] = names
    flat = {name: _flat(name, parts) for name in parts}
    return [names for names in flat.values() if len(names) > 1]


def _flat(name: str, parts: dict[str, frozenset[str]]) -> frozenset[str]:
    return frozenset({name}) if name not in parts else frozenset().union(*(_flat(each, parts) for each in parts[name]))


def _alternatives(node: ast.expr) -> frozenset[str]:
    """The names in `A | B | C`; none for any other expression."""
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            before, after = _alternatives(left), _alternatives(right)
            return before | after if before and after else frozenset()
        case ast.Name(id=name) if name[0].isupper():
            return frozenset({name})
        case _:
            return frozenset()


def _of_one_union(names: set[str], unions: list[frozenset[str]]) -> bool:
    return len(names) > 1 and any(names <= union for union in unions)


def _ends_in_a_wildcard(node: ast.Match, unions: list[frozenset[str]]) -> bool:
    names = {
        name
        for case in node.cases
        for pattern in ast.walk(case.pattern)
        if isinstance(pattern, ast.MatchClass)
        for name in _names([pattern.cls])
    }
    if not names or not any(names <= union for union in unions):
        return False
    last = node.cases[-1]
    is_wildcard = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
    return is_wildcard and not _asserts_never(last.body)


def _asserts_never(body: list[ast.stmt]) -> bool:
    match body:
        case [*_, ast.Expr(value=ast.Call(func=ast.Name(id="assert_never")))]:
            return True
        case _:
            return False


def _names(keys: list[ast.expr | None]) -> set[str]:
    names = {key.id for key in keys if isinstance(key, ast.Name)}
    return names | {key.attr for key in keys if isinstance(key, ast.Attribute)}


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts[1:]).removesuffix(".__init__")


def _imported(name: str, tree: ast.Module, modules: dict[str, ast.Module]) -> Iterator[str]:
    """The package's modules that a module imports anywhere in its code, except its parent packages."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(source), names=names):
                for alias in names:
                    whole = f"{source}.{alias.name}"
                    imported = whole if whole in modules else source
                    if imported in modules and imported != name:
                        yield imported
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name in modules and alias.name != name)
            case _:
                pass
