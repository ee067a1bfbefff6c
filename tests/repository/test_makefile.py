import os
import re
import subprocess
from pathlib import Path

import pytest

TARGET = re.compile(r"^(?P<name>[a-z][a-z-]*|\.venv):[^=].*?(?:## (?P<purpose>.+))?$", re.MULTILINE)
MENTION = re.compile(r"`make ([a-z][a-z-]*)|^make ([a-z][a-z-]*)", re.MULTILINE)


@pytest.fixture(scope="module")
def targets(root: Path) -> dict[str, str]:
    makefile = (root / "Makefile").read_text()
    return {match["name"]: match["purpose"] or "" for match in TARGET.finditer(makefile)}


def make(root: Path, *arguments: str) -> str:
    # Without these variables: under `make test`, this make would inherit the flags of that one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", *arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_target_says_what_it_is_for(targets: dict[str, str]) -> None:
    assert [name for name, purpose in targets.items() if not purpose] == []


def test_make_alone_lists_every_target_with_its_purpose(root: Path, targets: dict[str, str]) -> None:
    listed = dict(line.split(maxsplit=1) for line in make(root).splitlines())

    assert listed == targets


def test_every_target_is_made_whether_or_not_a_file_has_its_name(root: Path, targets: dict[str, str]) -> None:
    makefile = (root / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)

    assert phony is not None
    assert sorted(phony[1].split()) == sorted(targets)


def test_every_target_has_what_it_depends_on(root: Path, targets: dict[str, str]) -> None:
    for name in targets:
        make(root, "--dry-run", name)


def test_every_target_that_a_text_names_exists(texts: dict[Path, str], targets: dict[str, str]) -> None:
    readers = {path: text for path, text in texts.items() if path.suffix in {".md", ".toml"} or path.name == "run"}

    unknown = [
        (str(path), name)
        for path, text in readers.items()
        for name in (first or second for first, second in MENTION.findall(text))
        if name not in targets
    ]

    assert unknown == []
    assert Path(".ci/run") in readers
