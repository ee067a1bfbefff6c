"""Every console block of the docs runs and prints the shown output; every command, request and target exists.

The word after a block's language says how the block is treated: see `pages`.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest
from tests.clients.generators import NODE_MODULES, PYTHON_TOOLS, require_generators
from tests.docs.console import ShownCommand, commands_in, difference, run_blocks
from tests.docs.pages import (
    EXAMPLES,
    MARKS,
    PAGES,
    ROOT,
    RUNNABLE,
    CodeBlock,
    blocks_of,
    code_in_prose,
    files_of,
    name_of,
)
from tests.mongo.databases import url
from tests.servers.node import require_node
from tests.servers.valkey import MakeValkey, own_valkey

from flashreserve.cli.main import CommandEntry, flashreserve

__all__ = ["own_valkey", "url"]

PASSWORD: Final = "correct horse battery"

INSTEAD: Final = {
    # A terminal would ask for the password; here the test gives it.
    "admin create you@example.com": f"admin create you@example.com --password-stdin <<< '{PASSWORD}'",
}

# Replacements for `pipx install WHEEL` and `uvx --from WHEEL COMMAND`: an environment with the wheel. Its dependencies
# come from the tests' own environment, because they are pinned and installed there already.
TOOLS: Final = f"""
unset PYTHONPATH
install() {{
    {sys.executable} -m venv --without-pip installed
    echo {Path(pytest.__file__).parents[1]} > "$(echo installed/lib/python*/site-packages)/of-the-tests.pth"
    {sys.executable} -m pip --quiet --python installed/bin/python install --no-deps --no-index "$1"
    PATH="$PWD/installed/bin:$PATH"
    hash -r
}}
pipx() {{ install "$2"; }}
uvx() {{ install "$2"; "${{@:3}}"; }}
"""

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel made by `pip wheel --no-deps .`, as the README says."""
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", directory, ROOT],
        check=True,
        capture_output=True,
    )
    (made,) = directory.glob("*.whl")
    return made


def pages_with(mark: str) -> list[object]:
    """The pages that have console blocks with this mark, as parameters of a test."""
    return [pytest.param(page, id=name_of(page)) for page in PAGES if console_blocks(page, mark)]


def console_blocks(page: Path, mark: str = "") -> list[CodeBlock]:
    return [block for block in blocks_of(page) if (block.language, block.mark) == ("console", mark)]


def test_every_block_of_commands_is_run_or_says_why_not() -> None:
    sh_is_run = {"README.md"}  # by test_readme.py
    unknown = [
        f"{name_of(page)}: {block.language} {block.mark}"
        for page in PAGES
        for block in blocks_of(page)
        if block.language in RUNNABLE
        and (block.mark not in MARKS or block.language not in {"console", *(["sh"] if page.name in sh_is_run else [])})
    ]
    assert unknown == []


@needs_curl
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", pages_with(""))
def test_the_console_blocks_of_a_page_print_what_it_shows(page: Path, tmp_path: Path, wheel: Path) -> None:
    before = []
    if page.name == "README.md":
        shutil.copy(wheel, tmp_path)
        before = [TOOLS]
    if any(block.language == "js" for block in blocks_of(page)):
        require_node()
    run_blocks(console_blocks(page), tmp_path, files=files_of(page), instead=INSTEAD, before=before)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", pages_with("slow"))
def test_the_long_console_blocks_of_a_page_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    run_blocks(console_blocks(page, "slow"), tmp_path, files=files_of(page), instead=INSTEAD, timeout_s=800)


@pytest.mark.slow
@pytest.mark.mongodb
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", pages_with("servers"))
def test_the_console_blocks_that_need_servers_print_what_the_page_shows(
    page: Path, tmp_path: Path, url: str, own_valkey: MakeValkey
) -> None:
    instead = {
        "mongodb://localhost:27017/shop": url,
        "redis://localhost:6379/0": own_valkey(persistent=True).url,
    }
    run_blocks(console_blocks(page, "servers"), tmp_path, files=files_of(page), instead=instead | INSTEAD)


def test_the_files_that_a_page_shows_are_its_examples() -> None:
    """A page and its example are changed together: copy the one into the other."""
    folders = {folder.name: folder for folder in EXAMPLES.iterdir()}
    pages = {page.stem: page for page in PAGES if page.stem in folders}

    assert pages.keys() == folders.keys()
    for name, folder in folders.items():
        files = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.is_file()}
        assert files_of(pages[name]) == files, name


@needs_curl
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", pages_with("clients"))
def test_the_console_blocks_that_make_clients_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    require_generators()
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    before = [
        f'PATH="{PYTHON_TOOLS}:$PATH"',
        "flashreserve serve 2> server.log &",
        'curl -s --retry 60 --retry-connrefused --retry-delay 1 "localhost:$FLASHRESERVE_PORT/readyz"',
    ]
    run_blocks(console_blocks(page, "clients"), tmp_path, before=before)


def test_what_ci_is_said_to_run_stands_in_its_script() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    checks = re.search(r"^check: (.*?) ##", makefile, re.MULTILINE)
    assert checks is not None
    run = set(re.findall(r"^make ([a-z-]+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE))
    run |= set(checks[1].split()) if "check" in run else set()
    said = "\n".join(block.text for page in PAGES for block in blocks_of(page) if block.mark == "ci")

    found = set(re.findall(r"^(?:\$ )?make ([a-z-]+)", said, re.MULTILINE))
    assert found
    assert found <= run


def test_pages_with_blocks_that_no_test_runs_tell_their_readers() -> None:
    silent = [
        name_of(page) for page in PAGES if console_blocks(page, "not-run") and "**Not run**" not in page.read_text()
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("shown", "printed", "agrees"),
    [
        ((), "anything", True),
        (("Made 1 product.",), "Made 1 product.\n", True),
        (("Made 1 product.",), "Made 2 products.\n", False),
        (('{"id":"…","available":10,…}',), '{"id":"01a2","available":10,"name":"x"}', True),
        (('{"id":"…","available":10,…}',), '{"id":"01a2","available":9,"name":"x"}', False),
        (("first", "…", "last"), "first\nsecond\nthird\nlast\n", True),
        (("first", "…", "last"), "first\nlast\n", True),
        (("first", "last"), "first\nsecond\nlast\n", False),
        (("first",), "first\nsecond\n", False),
    ],
)
def test_output_is_compared_but_for_what_varies(shown: tuple[str, ...], printed: str, *, agrees: bool) -> None:
    assert (difference(shown, printed) == "") is agrees


def test_a_command_of_a_console_block_has_its_continued_lines_and_its_output() -> None:
    assert commands_in("$ one \\\n  more\n$ two\nout\nput\n") == [
        ShownCommand("one \\\n  more", ()),
        ShownCommand("two", ("out", "put")),
    ]


def test_a_block_that_fails_or_prints_something_else_is_told(tmp_path: Path) -> None:
    for name, text, told in (("fails", "$ false\n", "ended with 1"), ("differs", "$ echo yes\nno\n", "printed\nyes")):
        (tmp_path / name).mkdir()
        with pytest.raises(AssertionError, match=told):
            run_blocks([CodeBlock("console", "", text)], tmp_path / name)


def commands_of(page: Path) -> Iterator[str]:
    """Every `flashreserve …` line in code, joined and without shell syntax."""
    code = [line for block in blocks_of(page) if block.language == "console" for line, _ in commands_in(block.text)]
    code += [block.text for block in blocks_of(page) if block.language == "sh"] + code_in_prose(page)
    for line in "\n".join(code).replace("\\\n", " ").splitlines():
        for found in re.finditer(r"(?:^|[\s(/])flashreserve (?=[a-z-])([^|&;)<>#]*)", line):
            yield found[1].strip()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
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


def programs_in_docs() -> dict[str, set[str]]:
    """The repository's programs that the docs name as `python -m NAME`, each with the options that the docs show."""
    found: dict[str, set[str]] = {}
    for page in PAGES:
        code = code_in_prose(page) + [block.text for block in blocks_of(page)]
        for line in "\n".join(code).splitlines():
            for program in re.finditer(r"python -m ((?:tests|bench|model)[\w.]*)([^|&;]*)", line):
                options = found.setdefault(program[1], set())
                options |= {word for word in program[2].split() if word.startswith("--")}
    return found


@pytest.mark.parametrize(("program", "options"), programs_in_docs().items(), ids=programs_in_docs().keys())
def test_every_program_in_the_docs_exists_with_its_options(program: str, options: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", program, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert [option for option in options if option not in done.stdout] == []


def test_every_run_of_pytest_in_the_docs_names_tests_and_variables_that_exist() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    lines = [line for page in PAGES for line in code_in_prose(page) if re.search(r"\bpytest ", line)]

    assert lines
    for line in lines:
        assert [name for name in re.findall(r"([A-Z_]+)=\d", line) if f'"{name}"' not in tests] == []
        assert [name for name in re.findall(r"tests/\S+", line) if not (ROOT / name).exists()] == []


def test_every_make_target_in_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)

    assert set(re.findall(r"(?:`|^|\$ )make ([a-z-]+)", text, re.MULTILINE)) <= targets


def test_the_keys_that_the_docs_make_are_long_enough(tmp_path: Path) -> None:
    """`openssl rand` breaks lines after 64 characters, and a broken line would be two values."""
    made = [line for page in PAGES for line in code_in_prose(page) if line.startswith("openssl rand")]

    assert made
    for line in made:
        done = subprocess.run(shlex.split(line), capture_output=True, text=True, check=True)
        assert len(done.stdout.split()) == 1
        assert len(done.stdout.strip()) >= 32


def test_the_shell_completes_commands_and_options() -> None:
    asked = {"COMP_WORDS": "flashreserve aud", "COMP_CWORD": "1", "_FLASHRESERVE_COMPLETE": "bash_complete"}
    words = subprocess.run(
        [str(Path(sys.prefix) / "bin" / "flashreserve")],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=False,
    )

    assert words.stdout == "plain,audit\n"


def test_the_wheel_brings_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (entry_points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "flashreserve = flashreserve.__main__:main" in archive.read(entry_points).decode()
