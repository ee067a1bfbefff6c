"""The operator's view of a shop: its sales, its processes, the holds that will lapse, and its audits.

The figures are read from the database, so they are those of all processes. They are read only while somebody looks, and
once for all who look at this process.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import msgspec

from flashreserve.clock import Ids
from flashreserve.core.audits import Audit
from flashreserve.core.model import Product
from flashreserve.core.monitoring import AuditVerdict, Flows, HoldCount, ProcessReport
from flashreserve.core.outcomes import NotFound
from flashreserve.metrics import LATENCY_BOUNDS_S
from flashreserve.service.activity import REFUSED, Activity, ActivitySeries
from flashreserve.service.held_units import HeldUnits
from flashreserve.service.latency import percentile_s
from flashreserve.service.process_reports import GONE_AFTER_MS, ProcessReporter
from flashreserve.stores.filters import ProductFilter
from flashreserve.stores.monitor import VERDICTS_KEPT, MonitorStore
from flashreserve.stores.outbox import EventStore
from flashreserve.stores.port import CatalogueStore, ReservationStore

LOOK_EVERY_S: Final = 1.0
SALES_MAX: Final = 100
"""Products in the overview: those on sale first, then the others."""

LATENCY: Final = "latency"
"""How the names of counts of reserving's latencies begin in a process's report: `latency:<bucket>`."""

QUEUE: Final = "queue"
STREAMS: Final = "streams"

HOLDS_EVERY_S: Final = 10
HOLDS_BUCKETS: Final = 60
FLOW_POINTS_MAX: Final = 300
_FLOW_STEPS_S: Final = (1, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400)
_FLOW_DAYS_MAX: Final = 300
_WANTED_FOR_S: Final = 60.0
_FRESH_FOR_S: Final = 1.5
_LATENCY_OVER_S: Final = 10


class MonitoredStore(MonitorStore, CatalogueStore, ReservationStore, EventStore, Protocol):
    """The part of a store that monitoring needs."""


class SaleFigures(msgspec.Struct, frozen=True):
    """A product, its units in open holds (None: unknown), and those that were bought and not returned."""

    product: Product
    held: int | None
    sold: int | None


class Overview(msgspec.Struct, frozen=True):
    """The state of a shop at `as_of` (UTC milliseconds). Latencies are those of reserving, in the last 10 s."""

    as_of: int
    sales: list[SaleFigures]
    shop_pause: str | None
    p50_s: float | None
    p99_s: float | None
    queue: int
    streams: int
    oldest_due_s: float
    processes: list[ProcessReport]
    verdict: AuditVerdict | None


class ProductFigures(msgspec.Struct, frozen=True):
    """A product's figures, and the units that were reserved, bought and returned in each `every_s` since `start`.

    `start` is in UTC milliseconds. `refusals` are counted by problem code since the processes started.
    """

    sale: SaleFigures
    start: int
    every_s: int
    flows: Flows
    refusals: dict[str, int]


class AuditRunning(msgspec.Struct, frozen=True, tag=True):
    """This process runs an audit already."""


class Monitor:
    """Reads the figures, and runs audits.

    `now` is the time by which holds lapse, in UTC milliseconds. `audit` reads the whole database beside other requests.
    """

    def __init__(
        self,
        store: MonitoredStore,
        held: HeldUnits,
        reporter: ProcessReporter,
        ids: Ids,
        now: Callable[[], int],
        monotonic: Callable[[], float],
        audit: Callable[[], Awaitable[Audit]],
    ) -> None:
        self._store = store
        self._held = held
        self._reporter = reporter
        self._ids = ids
        self._now = now
        self._monotonic = monotonic
        self._audit = audit
        self._auditing = False
        self._activity: Activity | None = None
        self._looking: asyncio.Task[None] | None = None
        self._wanted_until = self._looked_at = float("-inf")
        self._overview: Overview | None = None
        self._latencies: deque[list[float]] = deque(maxlen=_LATENCY_OVER_S)
        self._sold: dict[str, int] = {}
        self._sold_at_count = 0

    async def overview(self) -> Overview:
        """The state as of the last second.

        Raises:
            StoreUnavailableError: the database doesn't answer.
        """
        self.want()
        if self._overview is None or self._monotonic() - self._looked_at > _FRESH_FOR_S:
            await self._shared_look()
        if self._overview is None:
            raise RuntimeError("a look gives an overview")
        return self._overview

    async def activity(self, seconds: int) -> ActivitySeries:
        """The counts of the last seconds, up to `activity.SECONDS`.

        Raises:
            StoreUnavailableError: the database doesn't answer.
        """
        await self.overview()
        if self._activity is None:
            raise RuntimeError("a look begins the activity")
        return self._activity.series(self._now(), seconds)

    def want(self) -> None:
        """Keep the figures fresh for the next minute."""
        self._wanted_until = self._monotonic() + _WANTED_FOR_S

    async def refresh(self) -> int:
        """Look again if somebody wants the figures.

        Returns:
            0, because nothing was done that the loop could log.

        Raises:
            StoreUnavailableError: the database doesn't answer.
        """
        if self._monotonic() < self._wanted_until:
            await self._shared_look()
        elif self._looking is None:
            self._activity = self._overview = None
            self._latencies.clear()
        return 0

    async def holds(self) -> tuple[int, list[HoldCount]]:
        """The time, and the open holds: lapsed ones, those that lapse in each of the next 10 s, and all later ones."""
        now = self._now()
        return now, await self._store.lapses(now, HOLDS_EVERY_S * 1000, HOLDS_BUCKETS)

    async def figures(self, product_id: str) -> ProductFigures | NotFound:
        """One product's figures since its sale began, or since it was made."""
        product = await self._store.product(product_id)
        if product is None:
            return NotFound("product", product_id)
        held = (await self._store.held_units()).get(product_id, 0)
        now = self._now()
        start, every_s = _span(product, now)
        points = -(-(now - start) // (every_s * 1000)) or 1
        flows = await self._store.flows(product_id, start, every_s * 1000, points)
        return ProductFigures(_sale(product, held), start, every_s, flows, await self._refusals(product_id))

    async def verdicts(self) -> list[AuditVerdict]:
        """The last audits, newest first."""
        return await self._store.verdicts(VERDICTS_KEPT)

    async def run_audit(self, by: str) -> AuditVerdict | AuditRunning:
        """Run an audit, and keep its verdict. `by` is the admin's id.

        Raises:
            StoreUnavailableError: the database can't be read.
        """
        if self._auditing:
            return AuditRunning()
        self._auditing = True
        try:
            began, at = self._monotonic(), self._now()
            found = await self._audit()
            verdict = AuditVerdict(
                id=self._ids.new(),
                at=at,
                took_ms=round((self._monotonic() - began) * 1000),
                by=by,
                audit=found,
            )
            await self._store.add_verdict(verdict)
        finally:
            self._auditing = False
        return verdict

    async def _shared_look(self) -> None:
        """Look, or wait for the look that is under way, and share its error: in an outage each one takes seconds."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(self._looked)
        await asyncio.shield(self._looking)  # A caller that is cancelled doesn't end it for the others.

    def _looked(self, look: asyncio.Task[None]) -> None:
        self._looking = None
        if not look.cancelled():
            look.exception()  # Marks it as retrieved: all callers may have been cancelled.

    async def _look(self) -> None:
        now = self._now()
        processes = await self._processes(now)
        if self._activity is None:
            self._activity = Activity(self._store)
        await self._activity.look(now, processes)
        self._latencies.append(_latencies(processes))
        p50_s, p99_s = (self._percentile(share) for share in (0.5, 0.99))
        due = await self._store.oldest_due(now)
        verdicts = await self._store.verdicts(1)
        self._overview = Overview(
            as_of=now,
            sales=await self._sales(now),
            shop_pause=await self._store.shop_pause(),
            p50_s=p50_s,
            p99_s=p99_s,
            queue=_summed(processes, QUEUE),
            streams=_summed(processes, STREAMS),
            oldest_due_s=0.0 if due is None else (now - due) / 1000,
            processes=processes,
            verdict=verdicts[0] if verdicts else None,
        )
        self._looked_at = self._monotonic()

    async def _processes(self, now: int) -> list[ProcessReport]:
        """The reports of all running processes; that of this one is of this moment."""
        own = self._reporter.report()
        others = await self._store.processes(now - GONE_AFTER_MS)
        return [own, *(each for each in others if each.id != own.id)]

    async def _sales(self, now: int) -> list[SaleFigures]:
        """The products on sale, and then the others, with the units in their holds."""
        self._held.want()
        await self._held.refresh()
        on_sale = await self._store.search_products(ProductFilter(archived=False, on_sale_at=now), None, SALES_MAX)
        left = SALES_MAX - len(on_sale.products)
        others = ProductFilter(archived=False, off_sale_at=now)
        rest = (await self._store.search_products(others, None, left)).products if left else []
        return [self._sale_since_count(product) for product in (*on_sale.products, *rest)]

    def _sale_since_count(self, product: Product) -> SaleFigures:
        """The figures of a product that is newer than the last count of holds.

        Units that went since then count as held. Otherwise a rush would be shown as sold until holds are counted again.
        """
        if self._sold_at_count != self._held.counts:
            self._sold_at_count = self._held.counts
            self._sold.clear()
        counted = _sale(product, self._held.of(product.id))
        if counted.sold is None:
            return counted
        sold = min(product.stocked - product.available, self._sold.setdefault(product.id, counted.sold))
        return SaleFigures(product, max(0, product.stocked - product.available - sold), sold)

    def _percentile(self, share: float) -> float | None:
        first, last = self._latencies[0], self._latencies[-1]
        # A process that has ended takes its counts with it, so a difference may be negative.
        return percentile_s(share, [max(0.0, b - a) for a, b in zip(first, last, strict=True)], LATENCY_BOUNDS_S)

    async def _refusals(self, product_id: str) -> dict[str, int]:
        """The refusals of reserving the product, by problem code."""
        found: dict[str, int] = {}
        for report in await self._processes(self._now()):
            for name, count in report.counts.items():
                kind, _, rest = name.partition(":")
                code, _, product = rest.partition(":")
                if kind == REFUSED and product == product_id:
                    found[code] = found.get(code, 0) + round(count)
        return found


def _sale(product: Product, held: int | None) -> SaleFigures:
    """The product's figures. Units of a movement that isn't finished count as sold for the moment."""
    sold = None if held is None else max(0, product.stocked - product.available - held)
    return SaleFigures(product, held, sold)


def _span(product: Product, now: int) -> tuple[int, int]:
    """Where a chart of the product's sale begins (UTC milliseconds), and the seconds of each of its points."""
    opened = product.created_at
    if product.sale_starts_at is not None and product.sale_starts_at <= now:
        opened = max(opened, product.sale_starts_at)
    start = max(opened, now - _FLOW_DAYS_MAX * 86_400_000)
    every_s = next(step for step in _FLOW_STEPS_S if (now - start) / 1000 / step <= FLOW_POINTS_MAX)
    return start // (every_s * 1000) * every_s * 1000, every_s


def _latencies(processes: Sequence[ProcessReport]) -> list[float]:
    buckets = range(len(LATENCY_BOUNDS_S) + 1)
    return [sum(report.counts.get(f"{LATENCY}:{bucket}", 0) for report in processes) for bucket in buckets]


def _summed(processes: Sequence[ProcessReport], name: str) -> int:
    return round(sum(report.counts.get(name, 0) for report in processes))
