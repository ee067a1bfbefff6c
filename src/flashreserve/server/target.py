"""Splits a request's target (RFC 9112, 3.2)."""

from functools import lru_cache
from urllib.parse import unquote

import httptools


# Cached: most requests ask for few different targets.
@lru_cache(maxsize=1024)
def split_target(url: bytes) -> tuple[str, bytes, bytes]:
    """The decoded path, the path as it was sent, and the query."""
    if url.startswith(b"/") and b"#" not in url:
        raw_path, _, query = url.partition(b"?")
    else:
        parsed = httptools.parse_url(url)
        raw_path, query = parsed.path or b"/", parsed.query or b""
    path = raw_path.decode("ascii")
    return unquote(path) if "%" in path else path, raw_path, query
