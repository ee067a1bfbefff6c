"""How the edge treats every request, whichever way it comes."""

from collections.abc import Callable

import msgspec

from flashreserve.http.admission import Admission
from flashreserve.http.request_ids import RequestIds
from flashreserve.http.request_log import RequestLog


class EdgeRules(msgspec.Struct, frozen=True):
    """How the edge treats every request.

    Attributes:
        monotonic: Seconds that never go back.
        log: Counts and logs them.
        request_ids: Makes the ids of requests that bring no valid one.
        strict_transport: Whether browsers that came over TLS are told to stay there (HSTS).
    """

    monotonic: Callable[[], float]
    log: RequestLog
    request_ids: RequestIds
    admission: Admission
    strict_transport: bool
