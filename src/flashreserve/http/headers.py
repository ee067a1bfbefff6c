"""Reads a request's headers. Routes and the express lane read them by the same functions."""

import re
from collections.abc import Mapping
from typing import Final

from flashreserve.core import limits
from flashreserve.http.answers import bad_request

RequestHeaders = Mapping[bytes, bytes]
"""A request's headers by lower-case name; the edge has joined the values of repeated ones."""

KEY_HEADER: Final = "Idempotency-Key"

_KEY_NAME: Final = KEY_HEADER.lower().encode()
_VISIBLE: Final = re.compile("[!-~]+").fullmatch
_REFUSED: Final = re.compile(r";q=0(\.0*)?$")
"""A weight of 0 means that this media type is not wanted (RFC 9110, 12.4.2)."""


def text_of(headers: RequestHeaders, name: bytes) -> str | None:
    """The value of a header, given its lower-case name."""
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def bearer_token(headers: RequestHeaders) -> str | None:
    """The token of the Authorization header; None without that header, or if its scheme is another.

    Schemes ignore case (RFC 9110, 11.1).
    """
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else None


def idempotency_key(headers: RequestHeaders) -> str | None:
    """The Idempotency-Key header: 1 to 255 visible ASCII characters.

    Raises:
        RefusalError: The key is invalid.
    """
    sent = headers.get(_KEY_NAME)
    if sent is None:
        return None
    key = sent.decode("latin-1")
    if not _VISIBLE(key) or len(key) > limits.KEY_LENGTH_MAX:
        raise bad_request(KEY_HEADER, f"expected 1 to {limits.KEY_LENGTH_MAX} visible ASCII characters")
    return key


def names_tag(headers: RequestHeaders, tag: str) -> bool:
    """Whether If-None-Match names the tag: the client has this version. Tags compare weakly (RFC 9110, 13.1.2)."""
    sent = headers.get(b"if-none-match")
    if sent is None:
        return False
    names = {name.strip().removeprefix("W/") for name in sent.decode("latin-1").split(",")}
    return "*" in names or tag.removeprefix("W/") in names


def wants_html(headers: RequestHeaders) -> bool:
    """Whether the Accept header names HTML, as browsers' do; `*/*` does not."""
    accepted = text_of(headers, b"accept") or ""
    ranges = [each.replace(" ", "").lower() for each in accepted.split(",")]
    return any(each.partition(";")[0] == "text/html" and not _REFUSED.search(each) for each in ranges)
