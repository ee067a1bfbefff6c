import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from flashreserve.clock import SystemClock
from flashreserve.rehearsal.crowd import crowd, ticks
from flashreserve.rehearsal.customer import Ledger
from flashreserve.rehearsal.messages import CrowdOrder, Tick
from flashreserve.rehearsal.plan import Crowd
from flashreserve.rehearsal.run import Progress, Rehearsal, Send, rehearse
from flashreserve.rehearsal.server import ServerUnderTest
from flashreserve.rehearsal.verdict import Verdict

Perform = Callable[..., Awaitable[Verdict]]


async def send_from_here(order: CrowdOrder) -> AsyncGenerator[Tick, None]:
    """Play the order in this process: the same requests over HTTP, without the second that starting a process takes."""
    ledger = Ledger()
    playing = asyncio.create_task(crowd(order, ledger, SystemClock()))
    while not playing.done():
        await asyncio.wait([playing], timeout=0.05)
        for tick in ticks(ledger, over=playing.done()):
            yield tick
    await playing


@pytest.fixture
def perform() -> Perform:
    """Rehearses 60 customers on 20 units within 0.3 s, by default."""

    async def performed(
        server: ServerUnderTest,
        *,
        send: Send = send_from_here,
        show: Callable[[Progress], None] = lambda _: None,
        units: int = 20,
        wait_expiry: bool = False,
        timeout_s: float = 5.0,
        **crowd_of: Any,
    ) -> Verdict:
        scene = Crowd(**{"seed": 7, "customers": 60, "seconds": 0.3, "think_s": 0.2, **crowd_of})
        rehearsal = Rehearsal(
            crowd=scene, units=units, wait_expiry=wait_expiry, timeout_s=timeout_s, tries_max=3, still_s=0.3
        )
        return await rehearse(rehearsal, server, run_id="test", clock=SystemClock(), show=show, send=send)

    return performed
