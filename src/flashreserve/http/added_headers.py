"""The headers that the edge adds to every answer: security, caching, and the request's id."""

from collections.abc import Mapping, Sequence
from typing import Final

from flashreserve.http.answers import Answer
from flashreserve.server.asgi import Header

SECURITY_HEADERS: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
NO_STORE: Final[Header] = (b"cache-control", b"no-store")
CONTENT_POLICY: Final[Header] = (
    b"content-security-policy",
    # base-uri, form-action and frame-ancestors don't fall back to default-src, so each is set.
    b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
USUAL_HEADERS: Final[tuple[Header, ...]] = (
    *SECURITY_HEADERS,
    NO_STORE,
    CONTENT_POLICY,
    (b"content-type", b"application/json"),
)
"""Headers of nearly every answer."""

_NOT_MODIFIED: Final = 304

DOCS_PREFIX: Final = "/api-docs"
_DOCS_POLICY: Final[Header] = (
    b"content-security-policy",
    # Swagger UI draws its icons from data: addresses and sets some styles in the markup.
    (
        b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        b"connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
)
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""The content policy of the web applications. Their answers carry it themselves."""
_STRICT_TRANSPORT: Final[Header] = (b"strict-transport-security", b"max-age=31536000")


def lines(headers: Sequence[Header]) -> bytes:
    """Headers as bytes, one line each."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)


_LINES: Final = lines((*SECURITY_HEADERS, NO_STORE, CONTENT_POLICY))
_LINES_WITH_OWN_CACHING: Final = lines((*SECURITY_HEADERS, CONTENT_POLICY))
_STRICT_LINE: Final = lines([_STRICT_TRANSPORT])


def with_added_headers(own: Sequence[Header], request_id: bytes, path: str, *, strict: bool) -> list[Header]:
    """An answer's own headers and the added ones.

    If the answer sets caching or a content policy itself, that one stays.
    """
    names = dict(own)
    headers = [*own, (b"x-request-id", request_id), *SECURITY_HEADERS]
    if b"cache-control" not in names:
        headers.append(NO_STORE)
    if b"content-security-policy" not in names:
        headers.append(_DOCS_POLICY if path.startswith(DOCS_PREFIX) else CONTENT_POLICY)
    if strict:
        headers.append(_STRICT_TRANSPORT)
    return headers


def answer_lines(answer: Answer, request_id: bytes, *, strict: bool) -> bytes:
    """The same for an answer of the express lane, as bytes. Such an answer has no content policy of its own."""
    own = ""
    for name, value in answer.headers:
        own += f"{name}: {value}\r\n"
    if answer.status != _NOT_MODIFIED:
        own += f"content-type: {answer.content_type}\r\ncontent-length: {len(answer.body)}\r\n"
    added = _LINES_WITH_OWN_CACHING if "cache-control: " in own else _LINES
    written = b"%bx-request-id: %b\r\n%b" % (own.encode("latin-1"), request_id, added)
    return written + _STRICT_LINE if strict else written


def over_tls(scheme: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether the client's connection is encrypted. Behind proxies, a header that they add says so.

    Several proxies write a list, whose first entry is the client's. Any client can send a false entry, but harms only
    itself: browsers obey HSTS only if it came over TLS (RFC 6797, 8.1).
    """
    proto = headers.get(b"x-forwarded-proto")
    if proto is None:
        return scheme == "https"
    return proto == b"https" or proto.partition(b",")[0].strip().lower() == b"https"
