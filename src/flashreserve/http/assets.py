"""The files of the pages that the service serves. They come with the package, so that all pages work offline."""

import gzip
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

INDEX: Final = "index.html"

CONTENT_TYPES: Final = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "json": "application/json",
    "svg": "image/svg+xml",
    "txt": "text/plain",
}

ASSETS: Final = frozenset({"favicon.svg", "page.css", "page.js", "swagger-ui-bundle.js", "swagger-ui.css"})
"""The files that the page of the OpenAPI document loads. No others are served beside it."""

WebApplication = Literal["admin", "demo"]
"""The web applications, by the name of their directory and of their address."""

_WEB: Final = "web"
_DEMO_LINK: Final = b'href="/demo"'
_STOREFRONT_ON: Final = b'data-storefront="on"'
_STOREFRONT_OFF: Final = b'data-storefront="off"'


class Asset(msgspec.Struct, frozen=True):
    """One file, ready to be sent. `tag` is its ETag, which changes with the content and with the encoding."""

    body: bytes
    content_type: str
    tag: str
    encoding: Literal["", "gzip"] = ""


@cache
def asset(name: str) -> Asset:
    """The file with this name, one of `ASSETS`. It is read once, then cached."""
    return _read("swagger", name)


@cache
def index(prefix: str) -> Asset:
    """The page that shows the OpenAPI document."""
    return _with_prefix(_read("swagger", INDEX), prefix)


@cache
def front(prefix: str, *, demo: bool) -> Asset:
    """The page at `/`. It has neither script nor style, so it is sent with the strictest content policy.

    Without `demo` it lacks the line that links the storefront.
    """
    page = _read("front", INDEX)
    shown = [line for line in page.body.splitlines(keepends=True) if demo or _DEMO_LINK not in line]
    return _with_prefix(replace(page, body=b"".join(shown)), prefix)


@cache
def web_files() -> frozenset[str]:
    """The files of the web applications that are served below `/assets/`, as `directory/name`.

    Requests are compared with these names, and never become a path. So no request reaches another file.
    """
    return frozenset(_names_below(files("flashreserve.http") / "static" / _WEB))


@cache
def web_file(name: str, *, zipped: bool) -> Asset:
    """The file with this name, one of `web_files()`. It is read, and compressed, once."""
    plain = _read(_WEB, name)
    return _gzipped(plain) if zipped else plain


@cache
def web_page(application: WebApplication, prefix: str, *, demo: bool, zipped: bool) -> Asset:
    """The page of a web application. Its script shows a view of its own for each address.

    Without `demo`, the console is told that there is no storefront to link.
    """
    page = _read(_WEB, f"{application}/{INDEX}")
    plain = _with_prefix(
        page if demo else replace(page, body=page.body.replace(_STOREFRONT_ON, _STOREFRONT_OFF)), prefix
    )
    return _gzipped(plain) if zipped else plain


def content_type(name: str) -> str:
    """The content type of the file with this name."""
    return CONTENT_TYPES[name.rpartition(".")[2]]


def tag_of(body: bytes) -> str:
    """A strong ETag: the same for equal bodies only."""
    return f'"{sha256(body).hexdigest()[:20]}"'


def _names_below(directory: Traversable, parents: str = "") -> Iterator[str]:
    for entry in directory.iterdir():
        name = parents + entry.name
        if entry.is_dir():
            yield from _names_below(entry, f"{name}/")
        elif entry.name != INDEX and entry.name.rpartition(".")[2] in CONTENT_TYPES:
            yield name


def _read(directory: str, name: str) -> Asset:
    body = (files("flashreserve.http") / "static" / directory / name).read_bytes()
    return Asset(body, content_type(name), tag_of(body))


def _with_prefix(page: Asset, prefix: str) -> Asset:
    """The page with the prefix (see `places.Place`) before each address in its attributes."""
    body = page.body.replace(b'="/', b'="%b/' % prefix.encode("ascii"))
    return Asset(body, page.content_type, tag_of(body))


def _gzipped(plain: Asset) -> Asset:
    """The same, compressed. Without the time of compression, so that equal files stay equal."""
    body = gzip.compress(plain.body, 9, mtime=0)
    return Asset(body, plain.content_type, tag_of(body), "gzip")
