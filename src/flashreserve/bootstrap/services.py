"""Opens the services over an open store, for HTTP, jobs and commands, and closes all of it in order."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from flashreserve.auth.devices import DeviceTokens
from flashreserve.auth.foreign_tokens import ForeignTokens
from flashreserve.auth.key_sources import KeySources
from flashreserve.auth.keys import KeyRing
from flashreserve.auth.passwords import WAITING_MAX, Argon2Cost, Passwords, hashing_threads
from flashreserve.auth.throttle import MemoryThrottle, Throttle, TryRates
from flashreserve.auth.tokens import Tokens
from flashreserve.auth.weak_passwords import shop_names
from flashreserve.bootstrap.issuers import issuers_of, key_sources
from flashreserve.clock import COMPARING_MS_MAX, Clock, Ids, SteadyClock, SystemClock, SystemIds
from flashreserve.combiner import DEADLINE_S, QUEUE_MAX, Combiner
from flashreserve.jobs.loop import run_shielded
from flashreserve.processors import usable_processors
from flashreserve.service.access import AccessService
from flashreserve.service.account_changes import AccountChanges
from flashreserve.service.accounts import AccountService
from flashreserve.service.catalogue import CatalogueService
from flashreserve.service.pauses import PauseService
from flashreserve.service.reservations import ReservationService
from flashreserve.settings import Settings, SettingsError
from flashreserve.siblings import SiblingFiles
from flashreserve.stock_view import StockView
from flashreserve.stores.port import Store, StoreUnavailableError

_CLOCK_WAIT_S: Final = 10.0
_CLOCK_TRY_AFTER_S: Final = 0.1


class Seams(msgspec.Struct, frozen=True):
    """Parts that tests and simulations replace, and bounds that they tighten.

    `deadline_s` is the longest that a command waits for a flush, `queue_max` how many commands may wait, and
    `passwords_waiting_max` how many sign-ins may wait for hashing.
    """

    clock: Clock = msgspec.field(default_factory=SystemClock)
    ids: Ids = msgspec.field(default_factory=SystemIds)
    password_cost: Argon2Cost = Argon2Cost()
    passwords_waiting_max: int = WAITING_MAX
    try_rates: TryRates = TryRates()
    queue_max: int = QUEUE_MAX
    deadline_s: float = DEADLINE_S


class Books(msgspec.Struct, frozen=True):
    """The services that need no signing keys, with the parts that they use. Workers and most commands need no more.

    It isn't the books of the glossary, which are stock and reservations.
    """

    store: Store
    clock: SteadyClock
    combiner: Combiner
    view: StockView
    reservations: ReservationService
    catalogue: CatalogueService
    pauses: PauseService


class Core(msgspec.Struct, frozen=True):
    """All services over one open store, those for accounts included. It isn't the package `core`."""

    books: Books
    accounts: AccountService
    account_changes: AccountChanges
    access: AccessService
    key_sources: KeySources
    tokens: Tokens
    keys: KeyRing


@asynccontextmanager
async def open_books(
    store: Store,
    seams: Seams | None = None,
    *,
    clock: SteadyClock | None = None,
    expect: Callable[[Iterable[int]], None] | None = None,
) -> AsyncIterator[Books]:
    """Open the services over `store`. On exit, accepted commands are answered, and the store is closed.

    Args:
        store: the open store.
        seams: replacements for tests.
        clock: made by `steady_clock`. Without it, the process ignores the clocks of others on the same file.
        expect: called with the instants (UTC milliseconds) at which holds that are granted or extended will lapse.

    Raises:
        StoreUnavailableError: the database doesn't answer, or too slowly to tell the time by it.
    """
    seams = seams or Seams()
    clock, ids = clock or SteadyClock(seams.clock), seams.ids
    view = StockView(store, clock)
    combiner = Combiner(store, clock, view.learn, expect=expect, queue_max=seams.queue_max, deadline_s=seams.deadline_s)
    try:
        await _begin_clock(clock, store)
        yield Books(
            store=store,
            clock=clock,
            combiner=combiner,
            view=view,
            reservations=ReservationService(store, combiner, view, ids),
            catalogue=CatalogueService(store, combiner, view, ids),
            pauses=PauseService(store, combiner, clock),
        )
    finally:
        await run_shielded(_close(combiner, store, clock))


async def _close(combiner: Combiner, store: Store, clock: SteadyClock) -> None:
    await combiner.close()
    await store.close()
    await clock.close()


def steady_clock(settings: Settings, machine: Clock | None = None) -> SteadyClock:
    """The clock for `open_books`. On a database file, it is compared with those of other processes on the same file."""
    machine = machine or SystemClock()
    if settings.clustered:
        return SteadyClock(machine)
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    return SteadyClock(machine, SiblingFiles(_clocks_beside(settings), name, machine.elapsed_ms))


async def times_ahead_ms(settings: Settings) -> list[int]:
    """How far the clock of each running process on the database file is ahead of the machine's, in milliseconds."""
    machine = SystemClock()
    directory = _clocks_beside(settings)
    others = await SiblingFiles(directory, "", machine.elapsed_ms).others()
    return [other.steady_ms + machine.elapsed_ms() - machine.now_ms() for other in others]


def _clocks_beside(settings: Settings) -> Path:
    path = settings.sqlite_path
    return path.with_name(f"{path.name}-clocks")


async def _begin_clock(clock: SteadyClock, store: Store) -> None:
    """Adopt the reference's time. With a clock that was never compared, holds would lapse at wrong times."""
    end_s = clock.monotonic() + _CLOCK_WAIT_S
    while not await clock.compare(store.database_now_ms):
        if clock.monotonic() > end_s:
            raise StoreUnavailableError(f"the database never told its time within {COMPARING_MS_MAX:.0f} ms")
        await asyncio.sleep(_CLOCK_TRY_AFTER_S)


@asynccontextmanager
async def open_core(
    settings: Settings, store: Store, keys: KeyRing, seams: Seams | None = None, *, processes: int = 1
) -> AsyncIterator[Core]:
    """Open all services over `store`; on exit, as `open_books`.

    `processes` is the number of processes that share the processors, this one included.

    Raises:
        SettingsError: the Redis URL or an issuer is invalid.
        StoreUnavailableError: the database doesn't answer.
    """
    seams = seams or Seams()
    issuers = issuers_of(settings, keys)
    foreign = ForeignTokens(issuers)
    tokens = Tokens(keys, ttl_s=settings.token_s, foreign=foreign)
    async with AsyncExitStack() as stack:
        passwords = Passwords(
            threads=hashing_threads(usable_processors(), processes=processes),
            waiting_max=seams.passwords_waiting_max,
            cost=seams.password_cost,
        )
        stack.callback(passwords.close)
        clock = steady_clock(settings, seams.clock)
        throttle, expect = _shared(settings, clock, stack)
        books = await stack.enter_async_context(open_books(store, seams, clock=clock, expect=expect))
        accounts = AccountService(
            store=store,
            passwords=passwords,
            tokens=tokens,
            devices=DeviceTokens(keys),
            throttle=throttle,
            rates=seams.try_rates,
            clock=books.clock,
            ids=seams.ids,
            shop_names=shop_names(_host_names(settings)),
        )
        sources = key_sources(issuers, foreign, books.clock.monotonic)
        stack.push_async_callback(sources.close)
        access = AccessService(store, tokens, sources, books.clock, seams.ids, token_s=settings.token_s)
        stack.push_async_callback(access.close)
        changes = AccountChanges(
            store=store,
            passwords=passwords,
            tokens=tokens,
            throttle=throttle,
            rates=seams.try_rates,
            clock=books.clock,
            shop_names=shop_names(_host_names(settings)),
        )
        yield Core(books, accounts, changes, access, sources, tokens, keys)


def _shared(
    settings: Settings, clock: Clock, stack: AsyncExitStack
) -> tuple[Throttle, Callable[[Iterable[int]], None] | None]:
    """The parts shared through Redis, if there is one: the throttle of sign-ins, and `expect` of the wake-ups."""
    alone = MemoryThrottle(clock)
    if not settings.redis_url:
        return alone, None
    # Imported where used: Redis and BullMQ take a quarter of a second, and most commands need neither.
    from flashreserve.auth.redis_throttle import open_redis_throttle  # noqa: PLC0415
    from flashreserve.jobs.bullmq import open_wakeups  # noqa: PLC0415

    try:
        throttle = open_redis_throttle(settings.redis_url, alone, clock)
        stack.push_async_callback(throttle.close)
        wakeups = open_wakeups(settings.redis_url, clock)
    except ValueError as error:
        raise SettingsError(f"FLASHRESERVE_REDIS_URL: {error}") from error
    stack.push_async_callback(wakeups.close)
    return throttle, wakeups.expect


def _host_names(settings: Settings) -> list[str]:
    """The names of the shop's hosts that the settings contain."""
    named = [*settings.hosts.lower().split(","), settings.cookie_domain]
    return [name for entry in named if (name := entry.strip().removeprefix("*."))]
