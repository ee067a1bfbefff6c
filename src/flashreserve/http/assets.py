"""The files of the front page and the documentation page. They are part of the package: no other site is needed."""

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
"""What `INDEX` asks for, and all that is served beside it."""


class Asset(msgspec.Struct, frozen=True):
    """One file, ready to be sent. `tag` is its ETag: it changes with what is in it."""

    body: bytes
    content_type: str
    tag: str


@cache
def asset(name: str) -> Asset:
    """The file of that name, which must be `INDEX` or one of `ASSETS`: read once, then kept."""
    body = (files("flashreserve.http") / "static" / "swagger" / name).read_bytes()
    content_type = CONTENT_TYPES[name.rpartition(".")[2]]
    return Asset(body, content_type, tag_of(body))


@cache
def front() -> Asset:
    """The page at `/`. It has neither script nor style, so the strictest content policy holds for it."""
    body = (files("flashreserve.http") / "static" / "front" / "index.html").read_bytes()
    return Asset(body, CONTENT_TYPES["html"], tag_of(body))


def tag_of(body: bytes) -> str:
    """A strong ETag for a body that always has the same bytes."""
    return f'"{sha256(body).hexdigest()[:20]}"'
