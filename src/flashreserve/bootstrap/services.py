"""The services over an open store, for HTTP, jobs and commands alike; opened and closed in order."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import msgspec

from flashreserve.auth.devices import DeviceTokens
from flashreserve.auth.keys import KeyRing
from flashreserve.auth.passwords import Argon2Cost, Passwords
from flashreserve.auth.redis_throttle import open_redis_throttle
from flashreserve.auth.throttle import MemoryThrottle, Throttle, TryRates
from flashreserve.auth.tokens import Tokens
from flashreserve.clock import COMPARING_MS_MAX, Clock, DatabaseClock, Ids, SystemClock, SystemIds
from flashreserve.combiner import DEADLINE_S, Combiner
from flashreserve.core import limits as domain_limits
from flashreserve.jobs.bullmq import open_wakeups
from flashreserve.service.accounts import AccountService
from flashreserve.service.catalogue import CatalogueService
from flashreserve.service.reservations import ReservationService
from flashreserve.settings import Settings, SettingsError
from flashreserve.stock_view import StockView
from flashreserve.stores.port import Store, StoreUnavailableError

_PASSWORDS_WAITING_MAX: Final = 64

_CLOCK_WAIT_S: Final = 10.0
_CLOCK_TRY_AFTER_S: Final = 0.1


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


class Books(msgspec.Struct, frozen=True):
    """The services that need no keys, for commands that read, import and tidy up."""

    store: Store
    clock: DatabaseClock
    combiner: Combiner
    view: StockView
    reservations: ReservationService
    catalogue: CatalogueService


class Core(msgspec.Struct, frozen=True):
    """The services over one open store, accounts included."""

    store: Store
    clock: DatabaseClock
    combiner: Combiner
    view: StockView
    reservations: ReservationService
    catalogue: CatalogueService
    accounts: AccountService
    tokens: Tokens


@asynccontextmanager
async def open_books(
    store: Store, seams: Seams | None = None, *, expect: Callable[[Iterable[int]], None] | None = None
) -> AsyncIterator[Books]:
    """The services over `store`; on the way out, what was taken is answered and the store closed.

    `expect` is told when the holds will lapse that are granted or extended.

    Raises:
        StoreUnavailableError: the database doesn't answer, or too slowly to tell the time by it.
    """
    seams = seams or Seams()
    clock, ids = DatabaseClock(seams.clock), seams.ids
    view = StockView(store, clock)
    combiner = Combiner(store, clock, view.learn, expect=expect, queue_max=seams.queue_max, deadline_s=seams.deadline_s)
    try:
        await _set_clock(clock, store)
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


async def _set_clock(clock: DatabaseClock, store: Store) -> None:
    """Let the clock go by the database's: by a machine's that was never compared, holds would lapse at a wrong time."""
    end_s = clock.monotonic() + _CLOCK_WAIT_S
    while not await clock.compare(store.database_now_ms):
        if clock.monotonic() > end_s:
            raise StoreUnavailableError(f"the database never told its time within {COMPARING_MS_MAX:.0f} ms")
        await asyncio.sleep(_CLOCK_TRY_AFTER_S)


@asynccontextmanager
async def open_core(settings: Settings, store: Store, keys: KeyRing, seams: Seams | None = None) -> AsyncIterator[Core]:
    """The services over `store`, accounts included; on the way out, as `open_books`.

    Raises:
        SettingsError: the Redis URL can't be meant.
        StoreUnavailableError: the database doesn't answer.
    """
    seams = seams or Seams()
    tokens = Tokens(keys, ttl_s=settings.token_s)
    async with AsyncExitStack() as stack:
        passwords = Passwords(threads=os.cpu_count() or 1, waiting_max=_PASSWORDS_WAITING_MAX, cost=seams.password_cost)
        stack.callback(passwords.close)
        throttle, expect = _shared(settings, seams.clock, stack)
        books = await stack.enter_async_context(open_books(store, seams, expect=expect))
        accounts = AccountService(
            store=store,
            passwords=passwords,
            tokens=tokens,
            devices=DeviceTokens(keys),
            throttle=throttle,
            rates=seams.try_rates,
            clock=books.clock,
            ids=seams.ids,
        )
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


def _shared(
    settings: Settings, clock: Clock, stack: AsyncExitStack
) -> tuple[Throttle, Callable[[Iterable[int]], None] | None]:
    """What processes share through Redis, where there is one: the counting of tries, and wake-ups."""
    alone = MemoryThrottle(clock)
    if not settings.redis_url:
        return alone, None
    try:
        throttle = open_redis_throttle(settings.redis_url, alone, clock)
        stack.push_async_callback(throttle.close)
        wakeups = open_wakeups(settings.redis_url, clock)
    except ValueError as error:
        raise SettingsError(f"FLASHRESERVE_REDIS_URL: {error}") from error
    stack.push_async_callback(wakeups.close)
    return throttle, wakeups.expect
