"""Counting and logging of requests."""

from collections.abc import Callable
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from flashreserve.http.admission import SAFE_METHODS
from flashreserve.http.context import UNKNOWN_ROUTE, RequestContext
from flashreserve.metrics import CELLS_MAX, Cell, Distribution, Metrics

SLOW_S: Final = 1.0
"""Seconds from which a request counts as slow and is logged at any log level."""

LOG_LINES_MAX: Final = 20
"""Failed or slow requests that are logged in one second; the log says how many more were left out."""

_COUNTED_METHODS: Final = SAFE_METHODS | {"POST", "PUT", "PATCH", "DELETE"}
_SERVER_ERROR: Final = 500
_UNAVAILABLE: Final = 503


class RequestLog:
    """Counts all requests, and logs those that failed or were slow.

    Args:
        every_request: Whether to log all requests, at debug level. Slow: use it for debugging only.
    """

    def __init__(
        self,
        metrics: Metrics,
        log: FilteringBoundLogger,
        monotonic: Callable[[], float],
        *,
        every_request: bool,
    ) -> None:
        self._log = log
        self._every_request = every_request
        self._monotonic = monotonic
        self._second = 0
        self._lines = 0
        self._requests = metrics.counter(
            "flashreserve_http_requests", "Requests answered", ("method", "route", "status")
        )
        self._latency = metrics.histogram(
            "flashreserve_http_request_seconds", "From a request's headers to its answer's", ("method", "route")
        )
        self.in_flight = 0
        """Requests that are being answered now."""
        metrics.gauge("flashreserve_http_in_flight", "Requests being answered", lambda: self.in_flight, of_all="sum")
        self._cells: dict[tuple[str, str, int], tuple[Cell, Distribution]] = {}

    def begun(self) -> None:
        """A request begins. Exactly one call of `answered` or `left_alone` must follow."""
        self.in_flight += 1

    def left_alone(self) -> None:
        """The express lane didn't take the request, which begins again by ASGI."""
        self.in_flight -= 1

    def answered(self, context: RequestContext, status: int, took_s: float) -> None:
        """A request ended with this status."""
        self.in_flight -= 1
        key = (context.method, context.route, status)
        cells = self._cells.get(key) or self._new_cells(*key)
        cells[0].count += 1
        cells[1].observe(took_s)
        if self._every_request:
            self._log.debug("request", **_answered_fields(context, status, took_s))
        elif ((status >= _SERVER_ERROR and status != _UNAVAILABLE) or took_s >= SLOW_S) and self._may_log():
            self._log.warning("request", **_answered_fields(context, status, took_s))

    def refused(self, status: int) -> None:
        """The server refused a request before the edge saw it."""
        self._requests.cell("other", UNKNOWN_ROUTE, str(status)).count += 1

    def broken(self, context: RequestContext, error: Exception) -> None:
        """The application raised an error."""
        if self._may_log():
            self._log.error(
                "unhandled error",
                request_id=context.request_id,
                method=context.method,
                path=context.path,
                exc_info=error,
            )

    def ended_early(self, context: RequestContext) -> None:
        """The application raised an error after the client had gone."""
        self._log.debug("request ended early", request_id=context.request_id, path=context.path)

    def _may_log(self) -> bool:
        """Whether another line may be logged in this second. This keeps the log readable and bounds its size."""
        second = int(self._monotonic())
        if second != self._second:
            if self._lines > LOG_LINES_MAX:
                self._log.warning("requests left out of the log", lines=self._lines - LOG_LINES_MAX)
            self._second = second
            self._lines = 0
        self._lines += 1
        return self._lines <= LOG_LINES_MAX

    def _new_cells(self, method: str, route: str, status: int) -> tuple[Cell, Distribution]:
        key = (method, route, status)
        if method not in _COUNTED_METHODS:
            method = "other"
        cells = self._requests.cell(method, route, str(status)), self._latency.cell(method, route)
        if len(self._cells) < CELLS_MAX:
            self._cells[key] = cells
        return cells


def _answered_fields(context: RequestContext, status: int, took_s: float) -> dict[str, Any]:
    """Fields of the log line; never a request's query or headers, which may hold secrets."""
    client = context.client
    return {
        "request_id": context.request_id,
        "method": context.method,
        "path": context.path,
        "route": context.route,
        "status": status,
        "took_ms": round(took_s * 1_000, 1),
        "client": client[0] if client else None,
    }
