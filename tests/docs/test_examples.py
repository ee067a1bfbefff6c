"""Every example in the docs runs, or has a reason here why it can't; every command and request in them exists."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import msgspec
import pytest
from tests.docs.shell import run_as_reader

from flashreserve.cli.main import CommandEntry, flashreserve
from flashreserve.http import openapi
from flashreserve.http.site import Cookies

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
PASSWORD: Final = "correct horse battery"

RUN: Final = {
    "README.md": "sh blocks by test_readme.py, console blocks by this file",
    "docs/guide.md": "console and csv blocks by this file",
}
NOT_RUN: Final = {
    "CONTRIBUTING.md": "clones the repository and runs all checks; the make targets are looked up below",
    "docs/clustered.md": "needs servers and containers; its commands are looked up below, tests/clustered runs them",
    "docs/performance.md": "runs for hours; the make targets are looked up below",
    "docs/proof.md": "runs for hours; the make targets are looked up below",
}


def blocks(page: Path, *kinds: str) -> list[str]:
    """The code blocks of these kinds."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for kind, text in found if kind in kinds]


def console(block: str) -> str:
    """The commands of a console block, continued lines included."""
    lines = block.splitlines()
    kept = [line for n, line in enumerate(lines) if line.startswith("$ ") or (n and lines[n - 1].endswith("\\"))]
    return "\n".join(line.removeprefix("$ ") for line in kept)


def test_every_page_with_examples_is_run_or_says_why_not() -> None:
    with_examples = {str(page.relative_to(ROOT)) for page in PAGES if blocks(page, "sh", "console", "bash", "http")}

    assert with_examples <= RUN.keys() | NOT_RUN.keys()
    assert RUN.keys() <= with_examples


def commands_of(page: Path) -> Iterator[str]:
    """Every `flashreserve …` line in code, whole and without what a shell does with it."""
    text = page.read_text(encoding="utf-8")
    code = [console(block) for block in blocks(page, "console")] + blocks(page, "sh")
    code += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    for line in "\n".join(code).replace("\\\n", " ").splitlines():
        for found in re.finditer(r"(?:^|[\s(/])flashreserve (?=[a-z-])([^|&;)<>#]*)", line):
            yield found[1].strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_the_docs_exists_with_its_options(page: Path) -> None:
    for line in commands_of(page):
        if re.search(r"[\[…\\]", line):  # A synopsis, which tests/cli/test_docs.py looks at.
            continue
        command: click.Command = flashreserve
        words = shlex.split(line)
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            entry = command.commands.get(words.pop(0))
            assert entry is not None, line
            command = entry.command() if isinstance(entry, CommandEntry) else entry
        options = {name for each in command.params for name in each.opts} | {"--help", "-h", "--version"}

        assert {word for word in words if word.startswith("-") and word != "-"} <= options, line


def test_every_request_in_the_docs_exists() -> None:
    paths = msgspec.json.decode(openapi.document(Cookies.named(production=False), production=False))["paths"]
    known = {(method.upper(), re.sub(r"{\w+}", "{}", path)) for path, item in paths.items() for method in item}
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)

    named = re.findall(r"`(GET|POST|PATCH|PUT|DELETE) (/[^\s`?]*)[^`]*`", text)

    assert len(named) > 5
    assert {(method, re.sub(r"{\w+}", "{}", path)) for method, path in named} <= known


def test_every_make_target_in_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)

    assert set(re.findall(r"(?:`|^|\$ )make ([a-z-]+)", text, re.MULTILINE)) <= targets


@pytest.fixture
def port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.timeout(300)
def test_the_guide_does_what_it_says(tmp_path: Path, port: str) -> None:
    guide = ROOT / "docs" / "guide.md"
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "products.csv").write_text(blocks(guide, "csv")[0])
    first, *rest = [console(block) for block in blocks(guide, "console")]
    # Where a terminal would ask for the password, the test gives it.
    first = first.replace("you@example.com", f"you@example.com --password-stdin <<< '{PASSWORD}'")
    script = "\n".join(
        [
            "set -euo pipefail",
            'curl() { command curl --fail-with-body "$@" && echo; }',
            first,
            ".venv/bin/flashreserve serve 2> server.log &",
            "trap 'kill %1 && wait' EXIT",
            f"command curl -s -o /dev/null --retry 60 --retry-connrefused --retry-delay 1 localhost:{port}/readyz",
            *(block.replace("localhost:3000", f"localhost:{port}") for block in rest),
        ]
    )
    printed = run_as_reader(script, folder=tmp_path, port=port, timeout_s=240)
    assert "Made 1 product." in printed
    assert [json.loads(line)["stockQuantity"] for line in printed.splitlines() if line.startswith("{")] == [1100]
    assert "All books balance" in printed
    assert (tmp_path / "sold.csv").read_text().startswith("reservationId,")


def test_the_shell_completes_commands_and_options() -> None:
    done = subprocess.run(
        ["bash", "-c", 'eval "$_TEST_BLOCK"; complete -p flashreserve'],  # noqa: S607 - as above
        env=os.environ | {"_TEST_BLOCK": _block_of_readme("_FLASHRESERVE_COMPLETE"), "PATH": _path()},
        capture_output=True,
        text=True,
        check=False,
    )
    asked = {"COMP_WORDS": "flashreserve aud", "COMP_CWORD": "1", "_FLASHRESERVE_COMPLETE": "bash_complete"}
    words = subprocess.run(
        [str(Path(sys.prefix) / "bin" / "flashreserve")],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "flashreserve" in done.stdout, done.stderr
    assert words.stdout == "plain,audit\n"


def test_the_wheel_brings_the_command_of_the_readme(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")

    assert f"./{wheel.name}" in _block_of_readme("pipx")
    with zipfile.ZipFile(wheel) as archive:
        (entry_points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "flashreserve = flashreserve.__main__:main" in archive.read(entry_points).decode()


def _block_of_readme(word: str) -> str:
    return next(console(block) for block in blocks(ROOT / "README.md", "console") if word in block)


def _path() -> str:
    return f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
