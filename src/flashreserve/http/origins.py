"""Origins: the web sites whose pages may call this service from a browser (CORS).

Source: the Fetch standard, "CORS protocol". Before it sends a request for a page of another origin, a browser asks
whether it may (a preflight).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from flashreserve.server.asgi import Header

_MAX_AGE_S: Final = 7_200
_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_SENT: Final = b"Authorization, Content-Type, Idempotency-Key, If-None-Match, On-Behalf-Of, X-Request-Id"
_SHOWN: Final = b"ETag, Idempotent-Replayed, Location, Retry-After, X-Request-Id"

_VARY: Final[Header] = (b"vary", b"Origin")
"""Caches must keep the answers to different origins apart, even the answer to none."""


class Origins:
    """The allowed origins. Without any, no answer has a header for pages of other origins."""

    def __init__(self, origins: Sequence[str] = ()) -> None:
        """Takes origins as browsers send them, such as `https://shop.example`."""
        allowed = [origin.encode("ascii") for origin in origins]
        self._headers = {origin: _of_answers(origin) for origin in allowed}
        self._lines = {origin: _lines(headers) for origin, headers in self._headers.items()}
        self._others = [_VARY] if allowed else []
        self._other_lines = _lines(self._others)
        self.any = bool(allowed)

    def allow(self, origin: bytes | None) -> bool:
        """Whether pages of this origin may call the service, and send its cookies."""
        return origin in self._headers

    def headers(self, request: Mapping[bytes, bytes]) -> Sequence[Header]:
        """The headers that the answer to this request needs."""
        return self._headers.get(request.get(b"origin", b""), self._others)

    def lines(self, request: Mapping[bytes, bytes]) -> bytes:
        """The same as bytes, one line each."""
        return self._lines.get(request.get(b"origin", b""), self._other_lines)

    def preflight(self, method: str, request: Mapping[bytes, bytes]) -> list[Header] | None:
        """The headers of the answer to a preflight of an allowed origin; None if the request isn't one."""
        if method != "OPTIONS" or b"access-control-request-method" not in request:
            return None
        if not self.allow(request.get(b"origin")):
            return None
        return [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _SENT),
            (b"access-control-max-age", b"%d" % _MAX_AGE_S),
        ]


def _of_answers(origin: bytes) -> list[Header]:
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", _SHOWN),
        _VARY,
    ]


def _lines(headers: Sequence[Header]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)
