"""Puts everything together, and takes it apart again. The only place that names concrete stores, clocks and ids."""

import asyncio
import os
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, cast

import msgspec
import structlog

from flashreserve.auth.address import TrustedProxies
from flashreserve.auth.devices import DeviceTokens
from flashreserve.auth.keys import KeyRing
from flashreserve.auth.passwords import Argon2Cost, Passwords
from flashreserve.auth.throttle import MemoryThrottle, TryRates
from flashreserve.auth.tokens import Tokens
from flashreserve.clock import Clock, Ids, SystemClock, SystemIds
from flashreserve.combiner import DEADLINE_S, Combiner
from flashreserve.core import limits as domain_limits
from flashreserve.http.app import create_app
from flashreserve.http.edge import App, Edge, RequestIds
from flashreserve.http.lane import Lane
from flashreserve.http.limits import HttpLimits
from flashreserve.http.services import Services
from flashreserve.jobs.loop import SWEEP_EVERY_S, repeat
from flashreserve.jobs.sweep import recover_once, sweep_once
from flashreserve.metrics import Cell, Metrics, SharedMetrics, render
from flashreserve.service.accounts import AccountService
from flashreserve.service.catalogue import CatalogueService
from flashreserve.service.reservations import ReservationService
from flashreserve.settings import Settings, SettingsError
from flashreserve.stock_view import StockView
from flashreserve.stores.port import Store, StoreUnavailableError
from flashreserve.stores.sqlite import open_sqlite, open_sqlite_to_read
from flashreserve.stores.sqlite.inspection import Inspection, inspect_sqlite, sqlite_version

KEY_FILE: Final = "secret.key"
_PASSWORDS_WAITING_MAX: Final = 64
_OWNER_ALONE: Final = 0o700
"""The mode of a data directory that is made: who bought what, and the signing key, are nobody else's business."""

_log = structlog.get_logger(__name__)


class Seams(msgspec.Struct, frozen=True):
    """What tests and simulations put in the place of the real thing, and the bounds that they tighten.

    `deadline_s` is how long a command waits at most, `queue_max` how many do.
    """

    clock: Clock = msgspec.field(default_factory=SystemClock)
    ids: Ids = msgspec.field(default_factory=SystemIds)
    password_cost: Argon2Cost = Argon2Cost()
    try_rates: TryRates = TryRates()
    queue_max: int = domain_limits.QUEUE_MAX
    deadline_s: float = DEADLINE_S


class Core(msgspec.Struct, frozen=True):
    """The services over one open store, for HTTP and for commands alike."""

    store: Store
    clock: Clock
    combiner: Combiner
    view: StockView
    reservations: ReservationService
    catalogue: CatalogueService
    accounts: AccountService
    tokens: Tokens


def open_store(settings: Settings, *, create: bool) -> Store:
    """The store that the settings name, ready for writing.

    Raises:
        SettingsError: the directory of the database can't be made.
        StoreUnavailableError: there is no such database, or it can't be used.
    """
    path = settings.sqlite_path
    if create:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=_OWNER_ALONE)
        except OSError as error:
            raise SettingsError(f"the directory {path.parent} can't be made: {error.strerror}") from error
    elif not path.exists():
        raise StoreUnavailableError(_no_database(path))
    return open_sqlite(path, create=create)


def open_store_to_read(settings: Settings) -> Store:
    """The store that the settings name, for reading only: nothing is created.

    Raises:
        StoreUnavailableError: there is no such database, or it can't be used.
    """
    if not settings.sqlite_path.exists():
        raise StoreUnavailableError(_no_database(settings.sqlite_path))
    return open_sqlite_to_read(settings.sqlite_path)


def inspect_store(settings: Settings) -> Inspection:
    """What can be said about the database without changing it; takes as long as reading all of it does.

    Raises:
        StoreUnavailableError: there is no such database, or it can't be used.
    """
    if not settings.sqlite_path.exists():
        raise StoreUnavailableError(_no_database(settings.sqlite_path))
    return inspect_sqlite(settings.sqlite_path)


def engine_version() -> tuple[str, bool]:
    """SQLite's version, and whether it is safe with several processes."""
    return sqlite_version()


def _no_database(path: Path) -> str:
    return f"there is none at {path.absolute()}; `flashreserve serve` makes one, FLASHRESERVE_DATA_DIR says where"


def key_ring(settings: Settings, *, create: bool) -> KeyRing:
    """The keys that sign tokens: those of the settings, else the one in the data directory, made on first use.

    Raises:
        SettingsError: a key that can't be used, or none where one is required.
    """
    try:
        if settings.secret_keys:
            return KeyRing.parse(settings.secret_keys)
        if settings.production:
            raise SettingsError("FLASHRESERVE_SECRET_KEYS: expected kid:secret, since FLASHRESERVE_ENV is production")
        return KeyRing.parse(_generated_key(settings.data_dir / KEY_FILE, create=create))
    except ValueError as error:
        raise SettingsError(f"FLASHRESERVE_SECRET_KEYS: {error}") from error


def _generated_key(path: Path, *, create: bool) -> str:
    """The key in the file. Several processes may start at once: a finished file appears, or another's is there."""
    if create and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=_OWNER_ALONE)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - opened with its mode, above
            file.write(f"{secrets.token_hex(4)}:{secrets.token_urlsafe(48)}\n")
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise SettingsError(f"there is no key file at {path.absolute()}; `flashreserve serve` makes one") from None
    except OSError as error:
        raise SettingsError(f"the key file {path.absolute()} can't be read: {error.strerror}") from error


class Books(msgspec.Struct, frozen=True):
    """The services that need no keys, for commands that read, import and tidy up."""

    store: Store
    clock: Clock
    combiner: Combiner
    view: StockView
    reservations: ReservationService
    catalogue: CatalogueService


@asynccontextmanager
async def open_books(store: Store, seams: Seams | None = None) -> AsyncIterator[Books]:
    """The services over `store`; on the way out, what was taken is answered and the store closed."""
    seams = seams or Seams()
    clock, ids = seams.clock, seams.ids
    view = StockView(store, clock)
    combiner = Combiner(store, clock, view.learn, queue_max=seams.queue_max, deadline_s=seams.deadline_s)
    try:
        yield Books(
            store=store,
            clock=clock,
            combiner=combiner,
            view=view,
            reservations=ReservationService(store, combiner, view, ids),
            catalogue=CatalogueService(store, combiner, view, ids),
        )
    finally:
        await combiner.close()
        await store.close()


@asynccontextmanager
async def open_core(settings: Settings, store: Store, keys: KeyRing, seams: Seams | None = None) -> AsyncIterator[Core]:
    """The services over `store`, accounts included; on the way out, as `open_books`."""
    seams = seams or Seams()
    passwords = Passwords(threads=os.cpu_count() or 1, waiting_max=_PASSWORDS_WAITING_MAX, cost=seams.password_cost)
    tokens = Tokens(keys, ttl_s=settings.token_s)
    accounts = AccountService(
        store=store,
        passwords=passwords,
        tokens=tokens,
        devices=DeviceTokens(keys),
        throttle=MemoryThrottle(seams.clock),
        rates=seams.try_rates,
        clock=seams.clock,
        ids=seams.ids,
    )
    try:
        async with open_books(store, seams) as books:
            yield Core(
                store=store,
                clock=books.clock,
                combiner=books.combiner,
                view=books.view,
                reservations=books.reservations,
                catalogue=books.catalogue,
                accounts=accounts,
                tokens=tokens,
            )
    finally:
        passwords.close()


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[None]:
    """Only the jobs: they run as long as the context lasts, and a step that has begun is finished on the way out.

    Raises:
        SettingsError: a setting that can't be meant.
        StoreUnavailableError: the database can't be used.
    """
    async with open_books(open_store(settings, create=True)) as books, _background() as tasks:
        store, now_ms = books.store, books.clock.now_ms
        for name, once in (("sweep", sweep_once), ("recover", recover_once)):
            job = partial(_at, now_ms, partial(once, store))
            tasks(repeat(name, job, every_s=SWEEP_EVERY_S, jitter=random.random))
        yield


async def _at(now_ms: Callable[[], int], once: Callable[[int], Awaitable[int]]) -> int:
    return await once(now_ms())


class Place(msgspec.Struct, frozen=True):
    """Where a process stands among those of one machine: its name, and where they share their figures."""

    name: str
    metrics_dir: Path


async def prepare(settings: Settings) -> None:
    """Refuse what can't be meant, and make what is missing, before several processes do so at once.

    Raises:
        SettingsError: a setting that can't be meant.
        StoreUnavailableError: the database can't be used.
    """
    _proxies(settings)
    key_ring(settings, create=True)
    await open_store(settings, create=True).close()


@asynccontextmanager
async def open_service(
    settings: Settings, *, sweeps: bool, place: Place | None, limits: HttpLimits
) -> AsyncIterator[Edge]:
    """The whole application, ready to be served; with `sweeps`, also releasing what lapses.

    Raises:
        SettingsError: a setting that can't be meant.
        StoreUnavailableError: the database can't be used.
    """
    _proxies(settings)  # Refused before a key or a database is made.
    keys = key_ring(settings, create=True)
    async with (
        open_core(settings, open_store(settings, create=True), keys) as core,
        open_edge(settings, core, sweeps=sweeps, place=place, limits=limits) as edge,
    ):
        yield edge


@asynccontextmanager
async def open_edge(
    settings: Settings, core: Core, *, sweeps: bool, place: Place | None, limits: HttpLimits
) -> AsyncIterator[Edge]:
    """The application over services that are open already; see `open_service`."""
    proxies = _proxies(settings)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        shared = None if place is None else SharedMetrics(metrics, place.metrics_dir, place.name, core.clock.now_ms)
        edge = _edge(settings, core, proxies, metrics, shared, limits)
        _measure(core, metrics)
        tasks = await stack.enter_async_context(_background())
        tasks(core.view.keep_fresh())
        if sweeps:
            tasks(repeat("sweep", _sweeping(core, metrics), every_s=SWEEP_EVERY_S, jitter=random.random))
            tasks(repeat("recover", _recovering(core), every_s=SWEEP_EVERY_S, jitter=random.random))
        if shared is not None:
            shared.take_over()
            tasks(repeat("metrics", _sharing(shared), every_s=1.0, jitter=random.random))
        yield edge


def _edge(
    settings: Settings,
    core: Core,
    proxies: TrustedProxies,
    metrics: Metrics,
    shared: SharedMetrics | None,
    limits: HttpLimits,
) -> Edge:
    async def ready() -> list[str]:
        if edge.draining:
            return ["shutting down"]
        try:
            await core.store.ping()
        except StoreUnavailableError as error:
            _log.warning("not ready", error=str(error))
            return ["the database is away"]
        return []

    services = Services(
        reservations=core.reservations,
        catalogue=core.catalogue,
        accounts=core.accounts,
        tokens=core.tokens,
        clock=core.clock,
        proxies=proxies,
        hold_s_default=settings.hold_s,
        production=settings.production,
        metrics_token=settings.metrics_token,
        ready=ready,
        metrics=lambda: render(metrics.families() if shared is None else shared.total()),
    )
    app = cast("App", create_app(services))
    edge = Edge(
        Lane(app, services) if settings.express_lane else app,
        metrics=metrics,
        log=_log,
        monotonic=core.clock.monotonic,
        request_ids=RequestIds(secrets.token_hex(4)),
        limits=limits,
        log_every_request=settings.log_level == "debug",
        strict_transport=settings.production,
    )
    return edge


def _proxies(settings: Settings) -> TrustedProxies:
    try:
        return TrustedProxies.parse(settings.trusted_proxies)
    except ValueError as error:
        raise SettingsError(f"FLASHRESERVE_TRUSTED_PROXIES: {error}") from error


def _measure(core: Core, metrics: Metrics) -> None:
    combiner = core.combiner
    metrics.gauge("flashreserve_queue", "Commands that wait for a flush", lambda: combiner.waiting, of_all="sum")
    combiner.count_in(
        metrics.counter("flashreserve_flushes", "Flushes written").cell(),
        metrics.counter("flashreserve_commands", "Commands that went in flushes").cell(),
    )


def _sweeping(core: Core, metrics: Metrics) -> Callable[[], Awaitable[int]]:
    released: Cell = metrics.counter("flashreserve_released", "Lapsed holds released by the sweep").cell()

    async def sweep() -> int:
        count = await sweep_once(core.store, core.combiner.now())
        released.count += count
        return count

    return sweep


def _recovering(core: Core) -> Callable[[], Awaitable[int]]:
    return lambda: recover_once(core.store, core.combiner.now())


def _sharing(shared: SharedMetrics) -> Callable[[], Awaitable[int]]:
    async def write() -> int:
        await asyncio.to_thread(shared.write, shared.snapshot())
        return 0

    return write


@asynccontextmanager
async def _background() -> AsyncIterator[Callable[[Coroutine[None, None, None]], None]]:
    """Tasks that run as long as the context lasts."""
    tasks: list[asyncio.Task[None]] = []

    def start(work: Coroutine[None, None, None]) -> None:
        tasks.append(asyncio.create_task(work))

    try:
        yield start
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
