"""Code and glossary use the same words.

docs/glossary.md has, for each word, the forms in which names of the code contain it, such as `lapsed` and `lapses`. The
test checks two rules:

- Every class and union of the core and of the stores' port is made of these forms and of a few plain words: `NotOnSale`
  of `not` and `on_sale`. So a new class with a new word needs a row in the glossary first.
- Every form occurs in a name of the code, so the glossary keeps no word that the code has dropped.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

PLAIN: Final = frozenset(
    {
        *("access", "already", "error", "fixed", "found", "kind", "many", "new", "not", "reached", "reused", "system"),
        *("too", "type"),
    }
)
"""Words in names of classes that have their usual meaning."""

FORMS_OF_TESTS: Final = frozenset({"simulation", "auditor", "mutants", "receiver"})
"""Words that only the tests use. No name of the package has them."""

CAMEL: Final = re.compile(r"[A-Z][a-z]\w*")
"""The form of names of classes and unions. Constants have another form."""

ROW: Final = re.compile(r"^\| ([^|`]+) \| ((?:`\w+`(?:, )?)+) \| .+ \|$", re.MULTILINE)


def snake(name: str) -> str:
    """The name in lower case, with its words joined by `_`: `SoldOut` becomes `sold_out`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).strip("_").lower()


@pytest.fixture(scope="module")
def glossary(root: Path) -> dict[str, list[str]]:
    """The forms of each word."""
    text = (root / "docs" / "glossary.md").read_text(encoding="utf-8")
    return {word: [snake(form) for form in re.findall(r"`(\w+)`", forms)] for word, forms in ROW.findall(text)}


def classes_and_unions(root: Path) -> Iterator[str]:
    """The names of classes and of aliases such as `Outcome` in the core and the port."""
    package = root / "src" / "flashreserve"
    for path in (*sorted((package / "core").glob("*.py")), package / "stores" / "port.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            match node:
                case ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)) if CAMEL.fullmatch(name):
                    yield name
                case ast.Assign(targets=[ast.Name(id=name)]) if CAMEL.fullmatch(name):
                    yield name
                case _:
                    pass


def rest_of(name: str, forms: Iterable[str]) -> list[str]:
    """The words of a class's name that are left after removing the forms, the longest first."""
    text = f"_{snake(name)}_"
    for form in sorted(forms, key=len, reverse=True):
        while f"_{form}_" in text:
            text = text.replace(f"_{form}_", "_|_", 1)
    return [word for word in text.split("_") if word not in {"", "|"}]


def names_in(paths: Iterable[Path]) -> set[str]:
    """All names and attributes in the modules, and the names of the modules."""
    found: set[str] = set()
    for path in paths:
        found.add(snake(path.stem))
        found |= {snake(word) for word in re.findall(r"[A-Za-z_]\w*", path.read_text(encoding="utf-8")) if "_" in word}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    found.add(snake(name))
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                    found.add(snake(name))
                case _:
                    pass
    return found


def test_the_glossary_has_rows_and_each_word_once(root: Path, glossary: dict[str, list[str]]) -> None:
    text = (root / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| (?!word )\w", line)]

    assert len(glossary) == len(rows)
    forms = [form for of_word in glossary.values() for form in of_word]
    assert [form for form in set(forms) if forms.count(form) > 1] == []


def test_every_class_of_the_domain_is_made_of_words_of_the_glossary(root: Path, glossary: dict[str, list[str]]) -> None:
    forms = {form for of_word in glossary.values() for form in of_word}
    unknown = {name: rest for name in classes_and_unions(root) if (rest := rest_of(name, forms | PLAIN))}

    assert unknown == {}


def test_every_plain_word_is_needed(root: Path, glossary: dict[str, list[str]]) -> None:
    forms = {form for of_word in glossary.values() for form in of_word}
    needed = {word for name in classes_and_unions(root) for word in rest_of(name, forms)}

    assert needed == PLAIN


def test_every_word_of_the_glossary_occurs_in_the_code(root: Path, glossary: dict[str, list[str]]) -> None:
    package = names_in((root / "src" / "flashreserve").rglob("*.py"))
    tests = {snake(path.name.removesuffix(".py")) for path in (root / "tests").rglob("*")}
    unused = [
        f"{word}: {form}"
        for word, forms in glossary.items()
        for form in forms
        if not any(f"_{form}_" in f"_{name}_" for name in (tests if form in FORMS_OF_TESTS else package))
    ]

    assert unused == []


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("SoldOut", []),
        ("NotOnSale", ["not"]),
        ("OutcomeUnknown", []),
        ("ReserveOutcome", ["outcome"]),
        ("SaleClosing", ["closing"]),
    ],
)
def test_a_name_is_split_into_forms_the_longest_first(name: str, rest: list[str]) -> None:
    assert rest_of(name, {"sold_out", "on_sale", "sale", "outcome_unknown", "reserve"}) == rest
