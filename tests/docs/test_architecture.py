"""Names in the texts are correct: files, folders and names of code exist, and ARCHITECTURE.md has every package."""

import re
from pathlib import Path
from typing import Final

import pytest
from tests.docs.pages import DECISIONS, PAGES, ROOT, code_in_prose, name_of

ARCHITECTURE: Final = ROOT / "ARCHITECTURE.md"
PACKAGE: Final = ROOT / "src" / "flashreserve"
TEXTS: Final = (ARCHITECTURE, *PAGES, *DECISIONS)

SOURCES: Final = ("src", "tests", "bench", "tools", "deploy", "docs", "examples", "model", "requirements")
"""Folders that names of code are searched in."""

FILE: Final = re.compile(r"[\w./-]+\.(?:py|md|sh|cfg|js|mjs|toml|yaml)")
FOLDER: Final = re.compile(r"[a-z][\w./-]*/")
NAME: Final = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*(?:\(.*\))?")

MADE_LATER: Final = frozenset({"deploy/secrets/"})
"""Paths that a command makes, so no checkout has them."""

OF_OTHERS: Final = frozenset({"zsh_source", "fish_source"})
"""Names of other programs, which none of our sources has."""


@pytest.fixture(scope="module")
def files() -> list[str]:
    return [
        f"/{path.relative_to(ROOT)}"
        for folder in SOURCES
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ] + [f"/{path.name}" for path in ROOT.iterdir() if path.is_file()]


@pytest.fixture(scope="module")
def words() -> set[str]:
    """Every word of the sources.

    Python's names are included as JSON and MongoDB write them, such as `outcomeUnknown`.
    """
    kinds = {".py", ".sh", ".yaml", ".cfg", ".js", ".mjs", ".toml", ".in"}
    found = {
        word
        for folder in SOURCES
        for path in (ROOT / folder).rglob("*")
        if path.suffix in kinds and path.is_file()
        for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))
    }
    for name in ("Makefile", "compose.yaml", "pyproject.toml", ".ci/run"):
        found |= set(re.findall(r"\w+", (ROOT / name).read_text(encoding="utf-8")))
    return found | {re.sub(r"_([a-z])", lambda letter: letter[1].upper(), word) for word in found}


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_every_file_and_folder_that_a_text_names_exists(page: Path, files: list[str]) -> None:
    named = {code for code in code_in_prose(page) if FILE.fullmatch(code)}
    folders = {code for code in code_in_prose(page) if FOLDER.fullmatch(code)} - MADE_LATER

    assert [name for name in named if not any(path.endswith(f"/{name}") for path in files)] == []
    assert [name for name in folders if not any(f"/{name}" in path for path in files)] == []


# The glossary has parts of names, which tests/repository/test_glossary.py looks up.
@pytest.mark.parametrize("page", [page for page in TEXTS if page.name != "glossary.md"], ids=name_of)
def test_every_name_that_a_text_has_in_code_occurs_in_the_sources(page: Path, words: set[str]) -> None:
    named = {code for code in code_in_prose(page) if NAME.fullmatch(code) and not FILE.fullmatch(code)} - OF_OTHERS

    assert [name for name in named if not set(re.findall(r"\w+", name.partition("(")[0])) <= words] == []


def table_below(heading: str) -> list[list[str]]:
    """The rows of the first table below the heading of ARCHITECTURE.md, without its head."""
    section = ARCHITECTURE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table is not None, heading
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in table[0].splitlines()[2:]]


def test_the_table_of_packages_has_every_package_and_module_and_no_other() -> None:
    named = [name for row in table_below("Layers") for name in re.findall(r"`([^`]+)`", row[0])]
    there = [
        path.name + "/" * path.is_dir()
        for path in PACKAGE.iterdir()
        if not path.name.startswith("__") and (path.is_dir() or path.suffix == ".py")
    ]

    assert sorted(named) == sorted(there)


def test_limits_stand_where_the_architecture_says() -> None:
    rows = table_below("What is bounded")
    assert rows
    for limit, _ in rows:
        name, path = re.findall(r"`([^`]+)`", limit)
        assert re.search(rf"^{name}\b", (PACKAGE / path).read_text(encoding="utf-8"), re.MULTILINE), limit


def test_a_decoded_request_is_as_many_calls_from_the_store_as_the_architecture_says() -> None:
    numbered = [row[0] for row in table_below("A reservation's way") if row[0].startswith("**")]

    assert [cell[2] for cell in numbered] == ["1", "2", "3", "4"]
    assert "four calls away" in ARCHITECTURE.read_text(encoding="utf-8")


def test_the_list_of_decisions_has_each_with_its_number_and_title_and_explains_what_is_missing() -> None:
    text = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    listed = {
        file: (int(n), title)
        for n, file, title in re.findall(r"^\| \[(\d+)\]\((\S+)\) \| (.+) \|$", text, re.MULTILINE)
    }
    there = {
        page.name: (int(page.name[:4]), page.read_text(encoding="utf-8").partition("\n")[0].partition(". ")[2])
        for page in DECISIONS
        if page.name != "README.md"
    }
    numbers = {number for number, _ in there.values()}

    assert listed == there
    assert set(range(1, max(numbers) + 1)) - numbers <= {7, 8, 9, 18}  # 18 comes with the server
    assert "no decisions 7 to 9" in text
