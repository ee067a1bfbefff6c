import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILES = ("build", "runtime", "dev", "supply-chain", "clients")
PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?: ; [^\\]+?)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n")


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def pins(root: Path) -> dict[str, dict[str, set[str]]]:
    """By requirements file, the versions of each package; several if they depend on the Python version."""
    found: dict[str, dict[str, set[str]]] = {}
    for file in FILES:
        found[file] = {}
        for match in PIN.finditer((root / "requirements" / f"{file}.txt").read_text()):
            found[file].setdefault(match["name"], set()).add(match["version"])
    return found


@pytest.mark.parametrize("file", FILES)
def test_requirements_are_exact_versions_with_hashes_and_nothing_else(root: Path, file: str) -> None:
    text = (root / "requirements" / f"{file}.txt").read_text()

    # In particular no address of an index and no option, because the index is a setting of each machine.
    assert PIN.sub("", text) == ""
    assert text != ""


def test_every_dependency_of_the_project_is_pinned_to_a_version_it_allows(
    project: dict[str, Any], pins: dict[str, dict[str, set[str]]]
) -> None:
    declared = {
        "build": project["build-system"]["requires"],
        "runtime": project["project"]["dependencies"],
        "dev": project["dependency-groups"]["dev"],
        "supply-chain": project["dependency-groups"]["supply-chain"],
        "clients": project["dependency-groups"]["clients"],
    }

    unmet = [
        f"{file}: {line}"
        for file, lines in declared.items()
        for line in lines
        if not allows(Requirement(line), pins[file])
    ]

    assert unmet == []


def allows(requirement: Requirement, versions: dict[str, set[str]]) -> bool:
    pinned = versions.get(canonicalize_name(requirement.name), set())
    return bool(pinned) and all(requirement.specifier.contains(version) for version in pinned)


def test_a_package_has_the_same_version_in_every_file(pins: dict[str, dict[str, set[str]]]) -> None:
    versions: dict[str, set[frozenset[str]]] = {}
    for packages in pins.values():
        for name, pinned in packages.items():
            versions.setdefault(name, set()).add(frozenset(pinned))

    assert {name for name, pinned in versions.items() if len(pinned) > 1} == set()


def test_npm_packages_are_exact_versions_with_hashes_and_without_the_address_of_a_registry(root: Path) -> None:
    folder = root / "tests" / "clients" / "typescript"
    named = json.loads((folder / "package.json").read_text())["dependencies"]
    locked = json.loads((folder / "package-lock.json").read_text())["packages"]
    whole = locked.pop("")

    assert whole["dependencies"] == named == {name: locked[f"node_modules/{name}"]["version"] for name in named}
    assert [name for name, each in locked.items() if "resolved" in each or "integrity" not in each] == []


def test_the_oldest_python_is_the_same_for_packaging_lint_types_and_pins(root: Path, project: dict[str, Any]) -> None:
    oldest = project["project"]["requires-python"].removeprefix(">=")

    assert project["tool"]["mypy"]["python_version"] == oldest
    assert project["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    assert f"--python-version {oldest} " in (root / "Makefile").read_text()
    assert f"({oldest.replace('.', ', ')})" in (root / "tools" / "find_python.sh").read_text()
