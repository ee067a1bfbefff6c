"""The pages of the documentation and their code blocks.

A block begins with a fence, three backticks, and its language. A second word tells the tests how to treat the block:

    console          its commands are run, and the shown output is compared
    console slow     the same, as a slow test: it takes a minute or more
    console servers  the same, with a MongoDB server and a Valkey started by the tests
    console clients  the same, beside a running server, with the generators that `make clients` installs
    console ci       `.ci/run` runs its commands, on every change
    console not-run  it needs something that tests don't have, such as a container engine; the page tells its readers
    sh               run unchanged, without output; `sh ci` as above
    js NAME          a file of that name in the folder where the page's commands are run; so with csv, html, python …
"""

import re
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
DECISIONS: Final = tuple(sorted((ROOT / "docs" / "adr").glob("*.md")))
RUNNABLE: Final = frozenset({"console", "sh", "bash", "shell", "http"})
MARKS: Final = frozenset({"", "slow", "servers", "clients", "ci", "not-run"})
EXAMPLES: Final = ROOT / "examples"
"""For some pages, a folder of the page's name has the files that the page shows."""

_BLOCK: Final = re.compile(r"^( *)```(\w*)(?: (\S+))?\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


class CodeBlock(NamedTuple):
    """A block: its language, the word after that, and its lines."""

    language: str
    mark: str
    text: str


def blocks_of(page: Path) -> list[CodeBlock]:
    """All blocks of the page, in order."""
    return [
        CodeBlock(language, mark, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE))
        for indent, language, mark, text in _BLOCK.findall(page.read_text(encoding="utf-8"))
    ]


def files_of(page: Path) -> dict[str, str]:
    """The files that the page shows: their texts by name."""
    return {block.mark: block.text for block in blocks_of(page) if "." in block.mark}


def prose_of(page: Path) -> str:
    """The page without its blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def code_in_prose(page: Path) -> list[str]:
    """Every text between single backticks."""
    return re.findall(r"`([^`\n]+)`", prose_of(page))


def name_of(page: Path) -> str:
    """The page's path from the root, for messages."""
    return str(page.relative_to(ROOT))
