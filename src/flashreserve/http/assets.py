"""The files of the front page and the documentation page. They come with the package, so that both work offline."""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

import msgspec

INDEX: Final = "index.html"

CONTENT_TYPES: Final = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}

ASSETS: Final = frozenset({"favicon.svg", "page.css", "page.js", "swagger-ui-bundle.js", "swagger-ui.css"})
"""The files that `INDEX` loads. No others are served."""


class Asset(msgspec.Struct, frozen=True):
    """One file, ready to be sent. `tag` is its ETag, which changes with the content."""

    body: bytes
    content_type: str
    tag: str


@cache
def asset(name: str) -> Asset:
    """The file with this name, one of `ASSETS`. It is read once, then cached."""
    return _read("swagger", name)


@cache
def index(prefix: str) -> Asset:
    """The page that shows the OpenAPI document."""
    return _with_prefix(_read("swagger", INDEX), prefix)


@cache
def front(prefix: str) -> Asset:
    """The page at `/`. It has neither script nor style, so it is sent with the strictest content policy."""
    return _with_prefix(_read("front", INDEX), prefix)


def _read(directory: str, name: str) -> Asset:
    body = (files("flashreserve.http") / "static" / directory / name).read_bytes()
    return Asset(body, CONTENT_TYPES[name.rpartition(".")[2]], tag_of(body))


def _with_prefix(page: Asset, prefix: str) -> Asset:
    """The page with the prefix (see `places.Place`) before each address in its attributes."""
    body = page.body.replace(b'="/', b'="%b/' % prefix.encode("ascii"))
    return Asset(body, page.content_type, tag_of(body))


def tag_of(body: bytes) -> str:
    """A strong ETag: the same for equal bodies only."""
    return f'"{sha256(body).hexdigest()[:20]}"'
