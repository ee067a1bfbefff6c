"""The files of other projects in the repository are those that tools/vendor pins, unchanged since they were copied."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

PAGES: Final = Path("src/flashreserve/http/static/web/vendor")
TESTS: Final = Path("tests/browser/vendor")
LIST: Final = "versions.json"


def listed(root: Path, directory: Path) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = json.loads((root / directory / LIST).read_text(encoding="utf-8"))
    return entries


def pins(root: Path, file: str) -> Any:
    return json.loads((root / "tools" / "vendor" / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("directory", [PAGES, TESTS], ids=str)
def test_each_file_is_listed_with_its_hash(root: Path, directory: Path) -> None:
    hashes = {path.name: sha256(path.read_bytes()).hexdigest() for path in (root / directory).iterdir()}
    del hashes[LIST]

    assert {entry["file"]: entry["sha256"] for entry in listed(root, directory)} == hashes


def test_the_versions_and_licences_are_those_of_the_lock(root: Path) -> None:
    locked = {
        name.removeprefix("node_modules/"): (package["version"], package["license"])
        for name, package in pins(root, "package-lock.json")["packages"].items()
        if name
    }
    copied = {
        entry["name"]: (entry["version"], entry["licence"])
        for directory in (PAGES, TESTS)
        for entry in listed(root, directory)
    }

    assert copied == locked
    assert pins(root, "package.json")["dependencies"] == {name: version for name, (version, _) in locked.items()}


def test_the_lock_has_hashes_and_no_address_of_a_registry(root: Path) -> None:
    packages = [package for name, package in pins(root, "package-lock.json")["packages"].items() if name]

    assert all(package["integrity"].startswith("sha512-") for package in packages)
    assert all("resolved" not in package for package in packages)


@pytest.mark.parametrize("directory", [PAGES, TESTS], ids=str)
def test_each_part_comes_with_its_licence(root: Path, directory: Path) -> None:
    entries = listed(root, directory)
    licensed = {entry["name"] for entry in entries if entry["file"].endswith(".LICENSE.txt")}

    assert licensed == {entry["name"] for entry in entries}


def test_the_parts_need_no_build_and_no_file_that_is_not_there(root: Path) -> None:
    scripts = {path.name: path.read_text(encoding="utf-8") for path in (root / PAGES).glob("*.js")}

    assert set(scripts) == {"preact.js", "hooks.js", "htm.js", "uplot.js"}
    assert 'from"./preact.js"' in scripts["hooks.js"]
    assert scripts["uplot.js"].endswith("\nexport default uPlot;\n")
    assert [name for name, text in scripts.items() if "sourceMappingURL" in text or 'from"preact"' in text] == []
