"""The edge's parts that requests by ASGI and by the express lane share."""

from collections.abc import Callable

import msgspec

from flashreserve.http.admission import Admission
from flashreserve.http.origins import Origins
from flashreserve.http.request_ids import RequestIds
from flashreserve.http.request_log import RequestLog


class EdgeRules(msgspec.Struct, frozen=True):
    """The edge's parts that every request uses.

    Attributes:
        monotonic: Seconds that never go back.
        log: Counts and logs requests.
        request_ids: Makes ids for requests that have no valid one.
        strict_transport: Whether browsers that came over TLS are told to always use it (HSTS).
        origins: The web sites whose pages may call the service.
        prefix: The prefix of all addresses, see `Place`.
    """

    monotonic: Callable[[], float]
    log: RequestLog
    request_ids: RequestIds
    admission: Admission
    strict_transport: bool
    origins: Origins
    prefix: str
