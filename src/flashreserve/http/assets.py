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
    """The file with this name, which must be `INDEX` or one of `ASSETS`. It is read once, then cached."""
    body = (files("flashreserve.http") / "static" / "swagger" / name).read_bytes()
    content_type = CONTENT_TYPES[name.rpartition(".")[2]]
    return Asset(body, content_type, tag_of(body))


@cache
def front() -> Asset:
    """The page at `/`. It has neither script nor style, so it is sent with the strictest content policy."""
    body = (files("flashreserve.http") / "static" / "front" / "index.html").read_bytes()
    return Asset(body, CONTENT_TYPES["html"], tag_of(body))


def tag_of(body: bytes) -> str:
    """A strong ETag: the same for equal bodies only."""
    return f'"{sha256(body).hexdigest()[:20]}"'
