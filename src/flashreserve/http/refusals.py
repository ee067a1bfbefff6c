"""Problem documents for the server's own refusals, which the edge never sees."""

from collections.abc import Callable
from typing import Final

from flashreserve.http.added_headers import CONTENT_POLICY, NO_STORE, SECURITY_HEADERS, lines
from flashreserve.http.problems import CONTENT_TYPE, KINDS, encode
from flashreserve.http.request_ids import RequestIds
from flashreserve.server.refusals import RefusalCode, Refuse, ServerRefusal

RETRY_AFTER_S: Final = 1

_ADDED_LINES: Final = lines((*SECURITY_HEADERS, CONTENT_POLICY, NO_STORE))


def server_refusals(request_ids: RequestIds, count: Callable[[int], None]) -> Refuse:
    """A function that writes refusals as problem documents, each with a new request id, and counts them by status."""

    def refuse(code: RefusalCode, detail: str, instance: str) -> ServerRefusal:
        kind = KINDS[code]
        count(kind.status)
        body = encode(code, detail or kind.meaning, instance)
        headers = (
            b"content-type: %b\r\ncontent-length: %d\r\n" % (CONTENT_TYPE.encode(), len(body)),
            b"x-request-id: %b\r\n" % request_ids.new(),
            b"retry-after: %d\r\n" % RETRY_AFTER_S if code == "unavailable" else b"",
            _ADDED_LINES,
        )
        return ServerRefusal(kind.status, b"".join(headers), body)

    return refuse
