"""Reads a request's headers. Routes and the express lane read them by the same functions."""

import re
from collections.abc import Mapping
from typing import Final

from flashreserve.core import limits
from flashreserve.core.customers import EXPECTED, is_customer_id
from flashreserve.http.answers import bad_request

RequestHeaders = Mapping[bytes, bytes]
"""A request's headers by lower-case name; the edge has joined the values of repeated ones."""

KEY_HEADER: Final = "Idempotency-Key"
CUSTOMER_HEADER: Final = "On-Behalf-Of"
CUSTOMER_HEADER_NAME: Final = CUSTOMER_HEADER.lower().encode()
"""The same as in `RequestHeaders`."""

_KEY_NAME: Final = KEY_HEADER.lower().encode()
_PADDING: Final = b" \t"
"""Characters around a header's value that aren't part of it (RFC 9110, 5.5)."""
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


def on_behalf_of(headers: RequestHeaders) -> str | None:
    """The On-Behalf-Of header: the id of the customer for whom an API key's request acts.

    Raises:
        RefusalError: The id is invalid.
    """
    sent = headers.get(CUSTOMER_HEADER_NAME)
    if sent is None:
        return None
    customer_id = sent.strip(_PADDING).decode("latin-1")
    if not is_customer_id(customer_id):
        raise bad_request(CUSTOMER_HEADER, f"expected a customer's id: {EXPECTED}")
    return customer_id


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


def required_key(headers: RequestHeaders) -> str:
    """The same where it is required.

    Raises:
        RefusalError: The key is missing or invalid.
    """
    key = idempotency_key(headers)
    if key is None:
        raise bad_request(KEY_HEADER, "expected this header: it keeps a repeated request from counting twice")
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


def accepts_gzip(headers: RequestHeaders) -> bool:
    """Whether the Accept-Encoding header names gzip, or any encoding (RFC 9110, 12.5.3)."""
    sent = text_of(headers, b"accept-encoding") or ""
    codings = [each.replace(" ", "").replace("\t", "").lower() for each in sent.split(",")]
    accepted = {each.partition(";")[0]: _REFUSED.search(each) is None for each in codings}
    return accepted.get("gzip", accepted.get("*", False))
