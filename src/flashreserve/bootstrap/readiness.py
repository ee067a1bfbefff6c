"""Readiness: the checks that `/readyz` answers by.

To add one, write a function that returns a `Check`, and call it in `checks`. `/readyz` is asked about once a second by
every balancer: a check reads what a background job has noted, and only the database's own does I/O.
"""

import asyncio
from typing import Final

import structlog

from flashreserve.bootstrap.services import Core
from flashreserve.health import Check
from flashreserve.stores.port import StoreUnavailableError

CLOCK_APART_MAX_MS: Final = 1_000
"""A process whose clock is further from the database's isn't ready."""

READY_WAIT_S: Final = 2.0
"""How long the database has to answer, when it is asked whether it is there."""

_log = structlog.get_logger(__name__)


async def checks(core: Core, *, draining: bool) -> list[Check]:
    """All checks. Redis isn't among them, because the service sells without it."""
    if draining:
        return [Check("process", ok=False, detail="shutting down")]
    return [
        Check("process", ok=True, detail="running"),
        await _database(core),
        _clock(core),
    ]


async def _database(core: Core) -> Check:
    try:
        async with asyncio.timeout(READY_WAIT_S):
            await core.store.ping()
    except (StoreUnavailableError, TimeoutError) as error:
        _log.warning("not ready", error=str(error) or "the database took too long to answer")
        return Check("database", ok=False, detail="the database is away")
    return Check("database", ok=True, detail="answers")


def _clock(core: Core) -> Check:
    apart_ms = core.clock.offset_ms
    side = "behind" if apart_ms > 0 else "ahead of"
    detail = f"this machine's clock is {abs(apart_ms) / 1000:.1f} s {side} the database's"
    return Check("clock", ok=abs(apart_ms) <= CLOCK_APART_MAX_MS, detail=detail)
