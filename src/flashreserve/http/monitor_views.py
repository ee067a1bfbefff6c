"""The operator's figures as JSON."""

from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from flashreserve.core import money
from flashreserve.core.instants import format_instant
from flashreserve.core.monitoring import HoldCount, ProcessReport
from flashreserve.health import ShopReport
from flashreserve.http.audit_views import VerdictView, verdict_view
from flashreserve.http.fields import CurrencyCode, Id, InstantText, PriceText, Reason, Stock
from flashreserve.http.views import format_optional
from flashreserve.service.activity import ActivitySeries
from flashreserve.service.monitor import HOLDS_EVERY_S, Overview, ProductFigures, SaleFigures

RECENT_S: Final = 10
"""Seconds of the activity that an overview repeats: some figures of the last seconds still change."""

Count = Annotated[int, Meta(ge=0)]


class TimeView(Struct, frozen=True):
    """The time by which holds and sales begin and end."""

    now: InstantText


class FirstAdminView(Struct, frozen=True):
    """The link can be used."""

    open: bool


class SaleView(Struct, frozen=True, rename="camel"):
    """A product's sale. `sold` are the units bought and not returned; while a movement is unfinished, its units too."""

    id: Id
    name: str
    price: PriceText
    currency: CurrencyCode
    stock_quantity: Stock
    available: Stock
    held: Stock | None
    sold: Stock | None
    sale_starts_at: InstantText | None
    sale_ends_at: InstantText | None
    pause_reason: Reason | None


class ActivityView(Struct, frozen=True, rename="camel"):
    """Holds granted, bought, refused and returned in each second from `start` on. Null: unknown."""

    start: InstantText
    every_seconds: Count
    reserved: list[Count]
    bought: list[Count]
    refused: list[Count | None]
    returned: list[Count]


class RatesView(Struct, frozen=True):
    """The same for the last whole second."""

    reserved: Count
    bought: Count
    refused: Count | None
    returned: Count


class LatencyView(Struct, frozen=True):
    """Estimated percentiles of reserving, in milliseconds, in the last ten seconds."""

    p50: float
    p99: float


class ProcessView(Struct, frozen=True, rename="camel"):
    """A running process. `role` is `all` (serves and runs the jobs), `api` or `worker`."""

    id: str
    role: str
    host: str
    pid: int
    version: str
    started_at: InstantText
    seen_at: InstantText


class OverviewView(Struct, frozen=True, rename="camel"):
    """The state of the shop: its sales (at most 100, those that are on first), its processes, and the last audit."""

    as_of: InstantText
    sales: list[SaleView]
    shop_pause_reason: Reason | None
    rates: RatesView
    recent: ActivityView
    latency_ms: LatencyView | None
    queue: Count
    oldest_due_seconds: float
    streams: Count
    processes: list[ProcessView]
    audit: VerdictView | None


class HoldCountView(Struct, frozen=True):
    """Open holds, and their units."""

    holds: Count
    units: Count


class HoldsView(Struct, frozen=True, rename="camel"):
    """Open holds by the time at which they lapse.

    `lapsed` aren't released yet; `next` has those that lapse in each of the next intervals, `later` all others.
    """

    as_of: InstantText
    every_seconds: Count
    lapsed: HoldCountView
    next: list[HoldCountView]
    later: HoldCountView


class ProductFiguresView(Struct, frozen=True, rename="camel"):
    """A product's figures, and the units reserved, bought and returned in each interval since its sale began.

    `refusals` counts refused requests by problem code, since the processes that run now were started.
    """

    product_id: Id
    stock_quantity: Stock
    available: Stock
    held: Stock | None
    sold: Stock | None
    start: InstantText
    every_seconds: Count
    reserved: list[Count]
    bought: list[Count]
    returned: list[Count]
    refusals: dict[str, Count]


class NamedValue(Struct, frozen=True):
    """A version or a setting, by its name."""

    name: str
    value: str


class CheckedPart(Struct, frozen=True):
    """A part that this process needs (`needed`), or that an operator should know about, and its state."""

    name: str
    ok: bool
    detail: str
    needed: bool


class FindingView(Struct, frozen=True):
    """A finding of `flashreserve doctor` about the machine and the settings."""

    verdict: str
    what: str
    seen: str
    advice: str


class HealthReportView(Struct, frozen=True):
    """The state of the shop for an operator. Settings have their environment variables' names; secrets are hidden."""

    engine: str
    versions: list[NamedValue]
    checks: list[CheckedPart]
    findings: list[FindingView]
    settings: list[NamedValue]


def history_view(series: ActivitySeries) -> ActivityView:
    """The activity by second."""
    return ActivityView(
        start=format_instant(series.start * 1000),
        every_seconds=1,
        reserved=series.reserved,
        bought=series.bought,
        refused=series.refused,
        returned=series.returned,
    )


def overview_view(overview: Overview, recent: ActivitySeries) -> OverviewView:
    """The overview with its most recent activity, of at least one second."""
    p50, p99 = overview.p50_s, overview.p99_s
    return OverviewView(
        as_of=format_instant(overview.as_of),
        sales=[_sale_view(sale) for sale in overview.sales],
        shop_pause_reason=overview.shop_pause,
        rates=RatesView(recent.reserved[-1], recent.bought[-1], recent.refused[-1], recent.returned[-1]),
        recent=history_view(recent),
        latency_ms=None if p50 is None or p99 is None else LatencyView(_ms(p50), _ms(p99)),
        queue=overview.queue,
        oldest_due_seconds=round(overview.oldest_due_s, 1),
        streams=overview.streams,
        processes=[_process_view(report) for report in overview.processes],
        audit=None if overview.verdict is None else verdict_view(overview.verdict),
    )


def told_by(shown: OverviewView) -> OverviewView:
    """The overview without what changes by itself while nothing happens: times, and seconds without any activity."""
    recent = shown.recent
    counts = (recent.reserved, recent.bought, recent.refused, recent.returned)
    quiet = not any(count for series in counts for count in series)
    still = replace(recent, start="", reserved=[], bought=[], refused=[], returned=[]) if quiet else recent
    processes = [replace(process, seen_at="") for process in shown.processes]
    return replace(shown, as_of="", recent=still, rates=_NO_RATES if quiet else shown.rates, processes=processes)


def holds_view(as_of: int, counts: list[HoldCount]) -> HoldsView:
    """The holds by the time at which they lapse."""
    lapsed, *following, later = [HoldCountView(count.holds, count.units) for count in counts]
    return HoldsView(format_instant(as_of), HOLDS_EVERY_S, lapsed, following, later)


def product_figures_view(figures: ProductFigures) -> ProductFiguresView:
    """A product's figures."""
    sale, flows = figures.sale, figures.flows
    return ProductFiguresView(
        product_id=sale.product.id,
        stock_quantity=sale.product.stocked,
        available=sale.product.available,
        held=sale.held,
        sold=sale.sold,
        start=format_instant(figures.start),
        every_seconds=figures.every_s,
        reserved=flows.reserved,
        bought=flows.bought,
        returned=flows.returned,
        refusals=figures.refusals,
    )


_NO_RATES: Final = RatesView(0, 0, 0, 0)


def _sale_view(sale: SaleFigures) -> SaleView:
    product = sale.product
    return SaleView(
        id=product.id,
        name=product.name,
        price=money.format_price(product.price, product.currency),
        currency=product.currency,
        stock_quantity=product.stocked,
        available=product.available,
        held=sale.held,
        sold=sale.sold,
        sale_starts_at=format_optional(product.sale_starts_at),
        sale_ends_at=format_optional(product.sale_ends_at),
        pause_reason=product.pause,
    )


def _process_view(report: ProcessReport) -> ProcessView:
    return ProcessView(
        id=report.id,
        role=report.role,
        host=report.host,
        pid=report.pid,
        version=report.version,
        started_at=format_instant(report.started_at),
        seen_at=format_instant(report.seen_at),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def health_view(report: ShopReport) -> HealthReportView:
    """The state of the shop for an operator."""
    return HealthReportView(
        engine=report.engine,
        versions=[NamedValue(name, value) for name, value in report.versions.items()],
        checks=[CheckedPart(each.name, each.ok, each.detail, each.needed) for each in report.checks],
        findings=[FindingView(each.verdict, each.what, each.seen, each.advice) for each in report.findings],
        settings=[NamedValue(name, value) for name, value in report.settings.items()],
    )
