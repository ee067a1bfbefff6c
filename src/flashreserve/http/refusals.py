"""Problem documents for the server's own refusals, which the edge never sees."""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import UNSET

from flashreserve.http.added_headers import CONTENT_POLICY, NO_STORE, SECURITY_HEADERS, lines
from flashreserve.http.origins import Origins
from flashreserve.http.places import Place, without_prefix
from flashreserve.http.problems import CONTENT_TYPE, KINDS, encode
from flashreserve.http.request_ids import RequestIds
from flashreserve.server.asgi import Header
from flashreserve.server.refusals import RefusalCode, Refuse, ServerRefusal

RETRY_AFTER_S: Final = 1

_ADDED_LINES: Final = lines((*SECURITY_HEADERS, CONTENT_POLICY, NO_STORE))


def server_refusals(request_ids: RequestIds, count: Callable[[int], None], prefix: str, origins: Origins) -> Refuse:
    """A function that writes refusals as problem documents, each with a new request id, and counts them by status."""

    def refuse(code: RefusalCode, detail: str, instance: str, sent: Iterable[Header]) -> ServerRefusal:
        kind = KINDS[code]
        count(kind.status)
        after_s = RETRY_AFTER_S if code == "unavailable" else UNSET
        place = Place(without_prefix(instance, prefix), prefix)
        body = encode(code, detail or kind.meaning, place, retry_after_seconds=after_s)
        headers = (
            b"content-type: %b\r\ncontent-length: %d\r\n" % (CONTENT_TYPE.encode(), len(body)),
            b"x-request-id: %b\r\n" % request_ids.new(),
            b"" if after_s is UNSET else b"retry-after: %d\r\n" % after_s,
            _ADDED_LINES,
            origins.lines(dict(sent)),
        )
        return ServerRefusal(kind.status, b"".join(headers), body)

    return refuse
