"""Finds the files that a web application loads: those that its page names, and those that its modules import."""

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Final

import flashreserve.http

WEB: Final = Path(flashreserve.http.__file__).parent / "static" / "web"
_IMPORTED: Final = re.compile(
    r"(?:^|;)\s*(?:import|export)\b(?:[^;'\"=()]*?\bfrom)?\s*[\"']([^\"']+)[\"']", re.MULTILINE
)
_IMPORTED_LATER: Final = re.compile(r"\bimport\(\s*[\"']([^\"']+)[\"']")
_OF_STYLES: Final = re.compile(r"(?:@import\s+|url\(\s*)[\"']?([^\"')\s]+)")


def page_of(application: str) -> str:
    """The application's page, as the repository has it."""
    return (WEB / application / "index.html").read_text(encoding="utf-8")


def loaded_by(page: str) -> set[str]:
    """The files below `/assets/` that a page loads at once, with those that these load in turn."""
    return loaded_with(address.removeprefix("/assets/") for address in Addresses.of(page).loaded)


def loaded_with(names: Iterable[str]) -> set[str]:
    """These files, with all that they load at once."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imports_of(name)
    return found


def imports_of(name: str) -> list[str]:
    """The files that a module or style sheet loads at once. A bare import is left as it is."""
    return _named_in(name, _OF_STYLES if name.endswith(".css") else _IMPORTED)


def later_imports_of(name: str) -> list[str]:
    """The files that a module loads when it needs them, by `import()`."""
    return _named_in(name, _IMPORTED_LATER)


def _named_in(name: str, pattern: re.Pattern[str]) -> list[str]:
    path = WEB / name
    if not path.is_file() or path.suffix not in {".js", ".css"}:
        return []
    named = pattern.findall(path.read_text(encoding="utf-8"))
    return [
        normpath(join(dirname(name), each)) if each.startswith(".") or path.suffix == ".css" else each for each in named
    ]


class Addresses(HTMLParser):
    """The addresses in a page's attributes: those that it loads, and those that it links."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.inline = 0
        """Scripts, styles and event handlers in the page itself, which its content policy forbids."""

    @classmethod
    def of(cls, page: str) -> "Addresses":
        """Those of this page."""
        addresses = cls()
        addresses.feed(page)
        return addresses

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        address = named.get("src") or named.get("href")
        self.inline += sum(name == "style" or name.startswith("on") for name in named)
        self.inline += tag == "style" or (tag == "script" and not address)
        if address:
            (self.linked if tag == "a" else self.loaded).append(address)
