"""Readiness: the checks behind `/readyz`.

To add one, write a function that returns a `Check`, and call it in `Readiness.checks`. Every balancer asks `/readyz`
about once a second. So a check only reads results of background jobs; only the database's own check does I/O.
"""

import asyncio
from typing import Final

import structlog

from flashreserve.bootstrap.backlog import Backlog
from flashreserve.bootstrap.services import Books
from flashreserve.clock import LASTING_MS, SteadyClock
from flashreserve.health import Check
from flashreserve.stores.port import Store, StoreReadOnlyError, StoreUnavailableError

CLOCK_APART_MAX_MS: Final = 1_000
"""A process whose clock is further from the database's isn't ready."""

READY_WAIT_S: Final = 2.0
"""How long the database has to answer a check."""

_log = structlog.get_logger(__name__)


class Readiness:
    """The checks of one process."""

    def __init__(self, books: Books, backlog: Backlog) -> None:
        self._books = books
        self._backlog = backlog
        self._asking: asyncio.Task[Check] | None = None
        """The database's check while it runs. Requests that come meanwhile share its answer."""
        self._failed: Check | None = None
        """The last answer, if it was a failure."""

    async def checks(self, *, draining: bool) -> list[Check]:
        """All checks. Redis isn't among them, because the service sells without it."""
        if draining:
            return [Check("process", ok=False, detail="shutting down")]
        return [
            Check("process", ok=True, detail="running"),
            await self._database(),
            _clock(self._books.clock),
            *self._backlog.checks(),
        ]

    async def _database(self) -> Check:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(_ask(self._books.store))
        await asyncio.wait({self._asking}, timeout=READY_WAIT_S)
        if not self._asking.done():
            # If the server is away, the driver searches for it about as long as this waits. So the last failure still
            # counts.
            return self._failed or Check("database", ok=False, detail="the database takes too long to answer")
        found = self._asking.result()
        self._failed = None if found.ok else found
        return found


async def _ask(store: Store) -> Check:
    try:
        await store.check_writable()
    except StoreUnavailableError as error:
        _log.warning("not ready", error=str(error))
        away = "takes no writes" if isinstance(error, StoreReadOnlyError) else "is away"
        return Check("database", ok=False, detail=f"the database {away}")
    except Exception:  # noqa: BLE001 - with any error, the process isn't ready
        _log.exception("not ready")
        return Check("database", ok=False, detail="the database is away")
    return Check("database", ok=True, detail="answers and takes writes")


def _clock(clock: SteadyClock) -> Check:
    """Whether the clock is right.

    A wrong clock makes the process not ready. A step that may still be undone is only reported.
    """
    reference = "the database's clock" if clock.of_database else "this machine's clock"
    step = clock.step
    if step is not None:
        lasted_s = (clock.elapsed_ms() - step.since_ms) / 1000
        seen = f"{reference} has stepped {_side(step.by_ms)} the time that this process goes by, {lasted_s:.1f} s ago"
        if step.contradicted:
            return Check("clock", ok=False, detail=f"{seen}; other processes on this database see another time")
        detail = f"{seen}; a step is adopted once it has lasted {LASTING_MS / 1000:.0f} s"
        return Check("clock", ok=False, detail=detail, needed=False)
    ahead_ms = clock.machine_ahead_ms
    if clock.of_database and abs(ahead_ms) > CLOCK_APART_MAX_MS:
        return Check("clock", ok=False, detail=f"this machine's clock is {_side(ahead_ms)} the database's")
    return Check("clock", ok=True, detail=f"agrees with {reference} to within {abs(ahead_ms) / 1000:.1f} s")


def _side(ahead_ms: int) -> str:
    return f"{abs(ahead_ms) / 1000:.1f} s {'ahead of' if ahead_ms > 0 else 'behind'}"
