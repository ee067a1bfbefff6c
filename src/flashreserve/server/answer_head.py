"""The head of an ASGI answer: encodes the application's headers, and checks them before anything is written."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from flashreserve.server.asgi import Header

NO_LENGTH: Final = float("inf")
"""The length of a body whose length isn't announced."""

_CONTROL: Final = bytes({*range(0x20), 0x7F} - {0x09})
"""Characters that would end or break a header; tabs are allowed."""

# Cached, because applications use few names.
_NAME: Final = lru_cache(maxsize=1024)(re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+").fullmatch)
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})


def header_lines(headers: Iterable[Header]) -> dict[Header, bytes]:
    """Each header mapped to its line of bytes."""
    return {header: b"%b: %b\r\n" % header for header in headers}


def encode_headers(headers: Iterable[Header], usual: Mapping[Header, bytes]) -> tuple[bytes, float, bool]:
    """Encode the application's headers, without those that the server sets itself.

    Args:
        headers: Names are lower-case.
        usual: Headers that are encoded already.

    Returns:
        The lines, the body's length or NO_LENGTH, and whether the application asks to close the connection.

    Raises:
        RuntimeError: a name is invalid, or a value holds a control character.
    """
    length = NO_LENGTH
    closes = False
    parts = []
    for header in headers:
        line = usual.get(header)
        if line is None:
            name, value = header
            if name == b"content-length" and length == NO_LENGTH:
                length = int(value)
            elif name in _FRAMING:
                closes = closes or (name == b"connection" and b"close" in value.lower())
                continue
            elif not _NAME(name):
                raise RuntimeError(f"the header name {name!r} is not lower-case ASCII")
            line = b"%b: %b\r\n" % (name, value)
        parts.append(line)
    # One check for all lines: the only control characters may be the CR and LF that end each line.
    lines = b"".join(parts)
    if len(lines) - len(lines.translate(None, _CONTROL)) != 2 * len(parts):
        raise RuntimeError("a header's value holds a control character")
    return lines, length, closes
