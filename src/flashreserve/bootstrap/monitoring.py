"""Opens the operator's figures and the streams of a process."""

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

import msgspec

from flashreserve.auth.purpose_tokens import PurposeTokens
from flashreserve.bootstrap.services import Core
from flashreserve.bootstrap.stores import open_store_to_read
from flashreserve.bootstrap.work import Start, process_reporter
from flashreserve.clock import SystemIds
from flashreserve.core.audits import Audit
from flashreserve.http.refusal_counts import RefusalCounts
from flashreserve.http.streams.open_streams import TICKET_S, OpenStreams
from flashreserve.http.streams.overview_stream import OverviewStreams
from flashreserve.http.streams.stock_stream import StockStreams
from flashreserve.http.streams.stream_room import STREAMS_PER_ADDRESS_MAX, StreamRoom
from flashreserve.jobs.loop import repeat
from flashreserve.metrics import LATENCY_BOUNDS_S, Metrics
from flashreserve.server.limits import HttpLimits
from flashreserve.service.held_units import REFRESH_EVERY_S, HeldUnits
from flashreserve.service.monitor import LATENCY, LOOK_EVERY_S, QUEUE, STREAMS, Monitor
from flashreserve.service.process_reports import REPORT_EVERY_S, ProcessReporter
from flashreserve.settings import Settings

_LATENCY_METRIC: Final = "flashreserve_http_request_seconds"
_RESERVING: Final = frozenset(
    {("POST", "/products/{id}/reservations"), ("POST", "/reservations/{id}"), ("POST", "/reservations")}
)


class Monitoring(msgspec.Struct, frozen=True):
    """The parts that serve an operator's figures, and the streams."""

    monitor: Monitor
    streams: OpenStreams
    refusals: RefusalCounts
    reporter: ProcessReporter
    held: HeldUnits

    def start(self, start: Start) -> None:
        """Start the loops that keep the figures fresh and the streams going."""
        for name, run_once, every_s in (
            ("held units", self.held.refresh, REFRESH_EVERY_S),
            ("process report", self.reporter.write, REPORT_EVERY_S),
            ("overview", self.monitor.refresh, LOOK_EVERY_S),
        ):
            start(repeat(name, run_once, every_s=every_s, jitter=random.random))
        start(self.streams.room.keep())
        start(self.streams.stock.run())
        start(self.streams.overview.run())


def monitoring(
    settings: Settings, core: Core, metrics: Metrics, role: Literal["all", "api"], limits: HttpLimits
) -> Monitoring:
    """The parts of a process that serves in this role, within `limits`. Nothing runs before `Monitoring.start`."""
    books, refusals = core.books, RefusalCounts()
    now, monotonic = books.combiner.now, books.clock.monotonic
    room = StreamRoom(
        _share(settings.streams_max, limits), monotonic, per_address_max=_share(STREAMS_PER_ADDRESS_MAX, limits)
    )
    metrics.gauge("flashreserve_streams", "Streams of events that are open", lambda: room.count, of_all="sum")

    def counts() -> Mapping[str, float]:
        return {
            QUEUE: books.combiner.waiting,
            STREAMS: room.count,
            **_latencies(metrics),
            **refusals.named(),
        }

    reporter = process_reporter(books.store, role, now, counts)
    held = HeldUnits(books.store, monotonic)
    monitor = Monitor(books.store, held, reporter, SystemIds(), now, monotonic, _audit(settings))
    streams = OpenStreams(
        room,
        StockStreams(books.view, held, room, monotonic),
        OverviewStreams(monitor, room, monotonic),
        PurposeTokens(core.keys, "stream", ttl_s=TICKET_S),
    )
    return Monitoring(monitor, streams, refusals, reporter, held)


def _share(streams: int, limits: HttpLimits) -> int:
    """The same share of the process's connections, where the system allows fewer of them than usual.

    A stream is never closed to make room for another connection, so streams have to leave some for requests.
    """
    return streams * limits.connections_max // HttpLimits().connections_max


def _audit(settings: Settings) -> Callable[[], Awaitable[Audit]]:
    """A function that runs an audit on connections of its own, so that it delays no other reads."""

    async def audit() -> Audit:
        store = await open_store_to_read(settings)
        try:
            return await store.audit()
        finally:
            await store.close()

    return audit


def _latencies(metrics: Metrics) -> dict[str, float]:
    """The counts of reserving's latencies so far, by bucket."""
    total = [0.0] * (len(LATENCY_BOUNDS_S) + 1)
    for family in metrics.families():
        if family.name == _LATENCY_METRIC:
            for labels, numbers in family.samples.items():
                if labels in _RESERVING:
                    total = [one + other for one, other in zip(total, numbers, strict=False)]
    return {f"{LATENCY}:{bucket}": count for bucket, count in enumerate(total) if count}
