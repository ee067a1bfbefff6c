"""Admission: refuses invalid requests before they reach a route."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from flashreserve.http.problems import Code
from flashreserve.http.site import Site
from flashreserve.server.asgi import Header

CLOSE: Final[Header] = (b"connection", b"close")
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

AdmissionRefusal: TypeAlias = tuple[Code, str] | tuple[Code, str, Header]
"""A refusal's code and detail, and an extra header if it needs one."""

_ONCE_ONLY: Final = frozenset(
    {b"host", b"authorization", b"content-type", b"content-encoding", b"idempotency-key", b"origin", b"sec-fetch-site"}
)
_NO_HOST: Final = "the header host is missing; HTTP/1.1 requires it"
_NOT_SERVED: Final = "the header host names none of the hosts served here; expected one of FLASHRESERVE_HOSTS"


class Admission:
    """Checks the heads of requests.

    Args:
        site: The shop's hosts and cookies.
        body_bytes_max: The largest allowed body.
    """

    def __init__(self, site: Site, body_bytes_max: int) -> None:
        self._site = site
        self._serves_all_hosts = site.hosts.all_names
        self.body_bytes_max = body_bytes_max
        self.too_large = f"the body may have at most {body_bytes_max} bytes"

    def refusal(
        self,
        headers: dict[bytes, bytes],
        sent: Sequence[Header],
        method: str,
        http_version: str,
        peer: tuple[str, int] | None,
    ) -> AdmissionRefusal | None:
        """The reason to refuse this request, or None. Merges repeated headers of `sent` into `headers`."""
        if len(headers) != len(sent):
            twice = _merge_repeated(headers, sent)
            if twice is not None:
                return "bad-request", f"the header {twice} was sent more than once; expected once"
        host = headers.get(b"host")
        if host is None:
            if http_version == "1.1":
                return "bad-request", _NO_HOST
        elif not self._serves_all_hosts and not self._site.hosts.serves(host):
            return "bad-request", _NOT_SERVED
        length = headers.get(b"content-length")
        if length is not None and int(length) > self.body_bytes_max:
            return "too-large", self.too_large, CLOSE
        if b"transfer-encoding" in headers and headers[b"transfer-encoding"].lower() != b"chunked":
            return "bad-request", "the header transfer-encoding names a coding other than chunked", CLOSE
        if b"cookie" in headers and method not in SAFE_METHODS and self._site.is_foreign(headers, peer):
            return "cross-site", "a change by cookie must be asked for by a page of this site"
        return None


def _merge_repeated(merged: dict[bytes, bytes], headers: Sequence[Header]) -> str | None:
    """Join the values of repeated headers in their order, by commas or, for cookies, by semicolons (RFC 9110, 5.3).

    Returns:
        The name of a header that must not be repeated and was, or None.
    """
    values_of: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values_of.setdefault(name, []).append(value)
    for name, values in values_of.items():
        if len(values) > 1:
            if name in _ONCE_ONLY:
                return name.decode("ascii")
            merged[name] = (b"; " if name == b"cookie" else b", ").join(values)
    return None
