"""Opens the whole HTTP application of a process."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import msgspec
import structlog

from flashreserve.auth.address import TrustedProxies
from flashreserve.auth.key_sources import LOOK_EVERY_S
from flashreserve.auth.metrics_token import MetricsToken
from flashreserve.auth.throttle import MemoryThrottle
from flashreserve.bootstrap.backlog import MEASURE_EVERY_S, Backlog
from flashreserve.bootstrap.delivery_state import DeliveryState
from flashreserve.bootstrap.first_admin import first_admin, first_admin_token
from flashreserve.bootstrap.issuers import issuers_of
from flashreserve.bootstrap.keys import key_ring
from flashreserve.bootstrap.monitoring import Monitoring, monitoring
from flashreserve.bootstrap.readiness import Readiness
from flashreserve.bootstrap.services import Books, Core, open_core
from flashreserve.bootstrap.shop_report import Doctor, shop_report
from flashreserve.bootstrap.stores import database_identity, open_store, open_store_again
from flashreserve.bootstrap.watchdog import Watchdog
from flashreserve.bootstrap.webhooks import Webhooks, open_webhooks
from flashreserve.bootstrap.work import (
    background,
    counted,
    keep_time,
    leave,
    passes,
    start_deliveries,
    start_jobs,
)
from flashreserve.clock import SystemClock
from flashreserve.core.endpoints import AttemptResult
from flashreserve.health import Check
from flashreserve.http.app import create_app
from flashreserve.http.edge import Edge
from flashreserve.http.lane import Lane
from flashreserve.http.origins import Origins
from flashreserve.http.request_ids import RequestIds
from flashreserve.http.services import Services
from flashreserve.http.site import Cookies, Hosts, Site
from flashreserve.jobs.loop import repeat, run_shielded
from flashreserve.metrics import Metrics, SharedMetrics, render
from flashreserve.server.limits import HttpLimits
from flashreserve.service.access import REFRESH_EVERY_S
from flashreserve.service.events import EventService
from flashreserve.service.orders import OrderService
from flashreserve.service.persons import PersonService
from flashreserve.settings import Settings
from flashreserve.web_origins import read_origins

if TYPE_CHECKING:
    from flashreserve.server.asgi import App

DELIVERY_BOUNDS_S: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3_600.0, 36_000.0, 360_000.0)
"""Most deliveries take part of a second; one that is tried ten times takes three days."""

_METRICS_TRIERS_MAX: Final = 4_096
"""Addresses whose wrong metrics tokens are counted."""

_log = structlog.get_logger(__name__)


class ProcessPlace(msgspec.Struct, frozen=True):
    """A process's place among those that one `serve` started.

    It has the process's name, how many processes there are, and what they share: a directory of metrics files, and the
    database, known by its `database_identity`.
    """

    name: str
    processes: int
    metrics_dir: Path
    database: str


class PreparedShop(msgspec.Struct, frozen=True):
    """The database's identity, and the token of a link that makes the first admin; None if there is an account."""

    database: str
    first_admin: str | None


class OpenShop(msgspec.Struct, frozen=True):
    """The application, and the token of a link that makes the first admin; None if there is an account."""

    edge: Edge
    first_admin: str | None


@asynccontextmanager
async def prepare(settings: Settings) -> AsyncIterator[PreparedShop]:
    """Check keys and issuers, and make missing ones and a missing database, before several processes start.

    A database file stays open as long as the context lasts. So no other file gets its
    inode, and its log stays, even if all processes that serve have died.

    Raises:
        SettingsError: a setting is invalid.
        StoreUnavailableError: the database can't be used.
    """
    keys = key_ring(settings, create=True)
    issuers_of(settings, keys)
    store = await open_store(settings, create=True)
    try:
        token = await first_admin_token(store, keys, SystemClock())
        if settings.clustered:  # Nothing has to stay open.
            await run_shielded(store.close())
        yield PreparedShop(database_identity(settings), token)
    finally:
        if not settings.clustered:
            await store.close()


@asynccontextmanager
async def open_service(
    settings: Settings, *, sweeps: bool, place: ProcessPlace | None, limits: HttpLimits, watchdog: Watchdog
) -> AsyncIterator[OpenShop]:
    """Open the whole application, ready to be served. With `sweeps`, it runs the background jobs too.

    Only a process that was started alone, without a `place`, makes a key and a database if they are missing.
    `watchdog` watches the store from when it is open.

    Raises:
        SettingsError: a setting is invalid.
        StoreUnavailableError: the database can't be used.
    """
    if place is None:
        keys = key_ring(settings, create=True)
        issuers_of(settings, keys)  # Before a database is made.
        store = await open_store(settings, create=True)
    else:  # The database first: an outage may pass, whereas a missing key ends all processes.
        store = await open_store_again(settings, place.database)
        keys = key_ring(settings, create=False)
    async with (
        open_core(settings, store, keys, processes=1 if place is None else place.processes) as core,
        open_edge(settings, core, sweeps=sweeps, place=place, limits=limits) as edge,
    ):
        watchdog.watch(core.books.store.beat)
        yield OpenShop(edge, await first_admin_token(core.books.store, keys, core.books.clock))


@asynccontextmanager
async def open_edge(
    settings: Settings, core: Core, *, sweeps: bool, place: ProcessPlace | None, limits: HttpLimits
) -> AsyncIterator[Edge]:
    """Open the application over services that are open already; see `open_service`."""
    async with open_webhooks(settings, core.books.store, core.keys, core.books.clock) as webhooks:
        opened = _open_edge(settings, core, webhooks, sweeps=sweeps, place=place, limits=limits)
        async with opened as edge:
            yield edge


@asynccontextmanager
async def _open_edge(
    settings: Settings, core: Core, webhooks: Webhooks, *, sweeps: bool, place: ProcessPlace | None, limits: HttpLimits
) -> AsyncIterator[Edge]:
    proxies, hosts = trusted_proxies(settings), _hosts(settings)
    metrics, books = Metrics(), core.books
    shared = None if place is None else SharedMetrics(metrics, place.metrics_dir, place.name, books.clock.now_ms)
    backlog = Backlog(books.store, books.combiner.now)
    monitored = monitoring(settings, core, metrics, "all" if sweeps else "api", limits)
    readiness = Readiness(books, backlog)
    edge = _edge(settings, core, webhooks, monitored, proxies, hosts, metrics, shared, limits, readiness)
    _measure(books, webhooks, metrics)
    backlog.show(metrics)
    state = DeliveryState(books.store, books.combiner.now)
    state.show(metrics)
    async with background() as start:
        start(books.view.keep_fresh())
        keep_time(books.store, books.clock, start)
        start(repeat("access", core.access.refresh, every_s=REFRESH_EVERY_S, jitter=random.random))
        if core.key_sources.any:
            start(repeat("issuer keys", core.key_sources.refresh, every_s=LOOK_EVERY_S, jitter=random.random))
        monitored.start(start)
        start(repeat("backlog", backlog.measure, every_s=MEASURE_EVERY_S, jitter=random.random))
        start(repeat("delivery state", state.measure, every_s=MEASURE_EVERY_S, jitter=random.random))
        if sweeps:
            run = counted(passes(books.store, books.combiner.now, settings), metrics)
            start_jobs(settings, books.clock, start, run)
            start_deliveries(webhooks, books.combiner.now, start)
        if shared is not None:
            shared.take_over()
            start(repeat("metrics", _sharing(shared), every_s=1.0, jitter=random.random))
        try:
            yield edge
        finally:
            await run_shielded(leave(monitored.reporter))


def _edge(
    settings: Settings,
    core: Core,
    webhooks: Webhooks,
    monitored: Monitoring,
    proxies: TrustedProxies,
    hosts: Hosts,
    metrics: Metrics,
    shared: SharedMetrics | None,
    limits: HttpLimits,
    readiness: Readiness,
) -> Edge:
    async def health() -> list[Check]:
        return await readiness.checks(draining=edge.draining)

    def figures() -> bytes:
        return render(metrics.families() if shared is None else shared.total())

    services = _services(settings, core, webhooks, monitored, proxies, health, figures)
    app = cast("App", create_app(services))
    edge = Edge(
        Lane(app, services) if settings.express_lane else app,
        metrics=metrics,
        log=_log,
        monotonic=core.books.clock.monotonic,
        request_ids=RequestIds(secrets.token_hex(4)),
        limits=limits,
        site=Site(services.cookies, hosts, proxies, Origins(read_origins(settings.origins)), settings.path_prefix),
        log_every_request=settings.log_level == "debug",
        strict_transport=settings.production,
        on_drain=monitored.streams.room.close,
    )
    return edge


def _services(
    settings: Settings,
    core: Core,
    webhooks: Webhooks,
    monitored: Monitoring,
    proxies: TrustedProxies,
    health: Callable[[], Awaitable[list[Check]]],
    figures: Callable[[], bytes],
) -> Services:
    doctor = Doctor()
    return Services(
        reservations=core.books.reservations,
        catalogue=core.books.catalogue,
        pauses=core.books.pauses,
        events=EventService(core.books.store),
        webhooks=webhooks.endpoints,
        orders=OrderService(core.books.store),
        accounts=core.accounts,
        account_changes=core.account_changes,
        access=core.access,
        persons=PersonService(core.books.store, core.books.reservations, core.books.clock),
        first_admin=first_admin(core.books.store, core.accounts, core.keys, core.books.clock),
        monitor=monitored.monitor,
        streams=monitored.streams,
        refusals=monitored.refusals,
        clock=core.books.clock,
        proxies=proxies,
        cookies=_cookies(settings),
        hold_s_default=settings.hold_s,
        production=settings.production,
        demo=settings.serves_demo,
        metrics_token=MetricsToken(
            settings.metrics_token, MemoryThrottle(core.books.clock, entries_max=_METRICS_TRIERS_MAX)
        ),
        health=health,
        report=lambda: shop_report(settings, health, doctor),
        metrics=figures,
    )


def _cookies(settings: Settings) -> Cookies:
    return Cookies.named(
        production=settings.production,
        domain=settings.cookie_domain,
        name=settings.cookie_name,
        prefix=settings.path_prefix,
        same_site=settings.cookie_samesite,
    )


def trusted_proxies(settings: Settings) -> TrustedProxies:
    """The proxies whose X-Forwarded-For is believed."""
    return TrustedProxies.parse(settings.trusted_proxies)


def _hosts(settings: Settings) -> Hosts:
    """The hosts that requests may name. In production without this setting, all: the proxy in front decides."""
    return Hosts.parse(settings.hosts, listening=settings.host, all_names=settings.production)


def _measure(books: Books, webhooks: Webhooks, metrics: Metrics) -> None:
    combiner, clock = books.combiner, books.clock
    metrics.gauge("flashreserve_queue", "Commands that wait for a flush", lambda: combiner.waiting, of_all="sum")
    metrics.gauge(
        "flashreserve_clock_apart_seconds",
        "How far the machine's clock is from the time that the process goes by",
        lambda: abs(clock.machine_ahead_ms) / 1000,
        of_all="max",
    )
    clock.count_in(
        metrics.counter("flashreserve_clock_steps", "Steps of over a second of the clock that is followed").cell(),
        metrics.counter("flashreserve_clock_steps_adopted", "Steps that lasted, and were adopted").cell(),
    )
    combiner.count_in(
        metrics.counter("flashreserve_flushes", "Flushes written").cell(),
        metrics.counter("flashreserve_commands", "Commands that went in flushes").cell(),
    )
    attempts = metrics.counter("flashreserve_delivery_attempts", "Attempts to deliver events to endpoints", ("result",))
    webhooks.deliveries.count_in(
        {result: attempts.cell(result.value) for result in AttemptResult},
        metrics.histogram(
            "flashreserve_delivery_seconds",
            "Time from an event to its delivery to an endpoint",
            bounds=DELIVERY_BOUNDS_S,
        ).cell(),
    )


def _sharing(shared: SharedMetrics) -> Callable[[], Awaitable[int]]:
    async def write() -> int:
        await asyncio.to_thread(shared.write, shared.snapshot())
        return 0

    return write
