"""Readiness: the checks that `/readyz` answers by.

To add one, write a function that returns a `Check`, and call it in `Readiness.checks`. Every balancer asks `/readyz`
about once a second: a check reads what a background job has noted, and only the database's own does I/O.
"""

import asyncio
from typing import Final

import structlog

from flashreserve.bootstrap.services import Core
from flashreserve.health import Check
from flashreserve.stores.port import Store, StoreReadOnlyError, StoreUnavailableError

CLOCK_APART_MAX_MS: Final = 1_000
"""A process whose clock is further from the database's isn't ready."""

READY_WAIT_S: Final = 2.0
"""How long the database has to answer, when it is asked whether it is there."""

_log = structlog.get_logger(__name__)


class Readiness:
    """The checks of one process."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._asking: asyncio.Task[Check] | None = None
        """The question to the database. Requests that come meanwhile share its answer."""

    async def checks(self, *, draining: bool) -> list[Check]:
        """All checks. Redis isn't among them, because the service sells without it."""
        if draining:
            return [Check("process", ok=False, detail="shutting down")]
        return [
            Check("process", ok=True, detail="running"),
            await self._database(),
            _clock(self._core),
        ]

    async def _database(self) -> Check:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(_ask(self._core.store))
        await asyncio.wait({self._asking}, timeout=READY_WAIT_S)
        if not self._asking.done():
            return Check("database", ok=False, detail="the database takes too long to answer")
        return self._asking.result()


async def _ask(store: Store) -> Check:
    try:
        await store.check_writable()
    except StoreUnavailableError as error:
        _log.warning("not ready", error=str(error))
        away = "takes no writes" if isinstance(error, StoreReadOnlyError) else "is away"
        return Check("database", ok=False, detail=f"the database {away}")
    except Exception:  # noqa: BLE001 - whatever it is, the process isn't ready
        _log.exception("not ready")
        return Check("database", ok=False, detail="the database is away")
    return Check("database", ok=True, detail="answers and takes writes")


def _clock(core: Core) -> Check:
    apart_ms = core.clock.offset_ms
    side = "behind" if apart_ms > 0 else "ahead of"
    detail = f"this machine's clock is {abs(apart_ms) / 1000:.1f} s {side} the database's"
    return Check("clock", ok=abs(apart_ms) <= CLOCK_APART_MAX_MS, detail=detail)
