"""The crowd: a separate process that sends every customer's requests at their times.

It reads one `CrowdOrder` from standard input and writes `Tick`s to standard output, one per line. The load is
open-loop: no customer waits for another, so a slow shop gets as many requests as a fast one.
"""

import asyncio
import contextlib
import resource
import sys
from collections.abc import Iterator
from typing import Final

import msgspec
import uvloop

from flashreserve.clock import Clock, SystemClock
from flashreserve.rehearsal.client import Client
from flashreserve.rehearsal.customer import Customer, Ledger, ShopApi
from flashreserve.rehearsal.messages import CrowdOrder, ShopExchange, Tick

CONNECTIONS_MAX: Final = 8_192
"""Open connections. Further requests wait for one, and the wait counts as latency."""
_TICK_S: Final = 0.2
_TICK_EXCHANGES: Final = 2_000
_FILES_SPARE: Final = 100


async def crowd(order: CrowdOrder, ledger: Ledger, clock: Clock) -> None:
    """Play all scripts of the order to their end, and record what happens in the ledger."""
    connections_max = max(1, raise_open_files() // len(order.urls))
    clients = [Client(url, connections_max=connections_max) for url in order.urls]
    shop = ShopApi(clients, order.product_ids, timeout_s=order.timeout_s, tries_max=order.tries_max)
    opening = clock.monotonic()
    async with asyncio.TaskGroup() as customers:
        for script, token in zip(order.scripts, order.tokens, strict=True):
            due = opening + script.at_ms / 1_000
            if (pause := due - clock.monotonic()) > 0:
                await asyncio.sleep(pause)
            customer = Customer(script, token, shop, ledger, clock, seed=order.seed)
            ledger.arrived += 1
            customers.create_task(customer.visit(due))
    for client in clients:
        client.close()


def raise_open_files() -> int:
    """Raise this process's limit on open files as far as allowed. Returns how many connections that allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + _FILES_SPARE
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(1, allowed - _FILES_SPARE)


async def report(ledger: Ledger, pipe: asyncio.StreamWriter, over: asyncio.Event) -> None:
    """Write new entries of the ledger to the pipe, several times a second, until all of them are written."""
    last = False
    while not last:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), _TICK_S)
        last = over.is_set()
        for tick in ticks(ledger, over=last):
            pipe.write(msgspec.json.encode(tick) + b"\n")
            await pipe.drain()


def ticks(ledger: Ledger, *, over: bool) -> Iterator[Tick]:
    """The new entries of the ledger, in ticks of bounded length. With `over`, the last tick says so."""
    new = ledger.take()
    for start in range(0, max(1, len(new)), _TICK_EXCHANGES):
        yield _tick(ledger, new[start : start + _TICK_EXCHANGES], over=over and start + _TICK_EXCHANGES >= len(new))


def _tick(ledger: Ledger, exchanges: list[ShopExchange], *, over: bool) -> Tick:
    return Tick(
        exchanges=tuple(exchanges),
        arrived=ledger.arrived,
        requests=ledger.requests,
        in_flight=ledger.in_flight,
        lag_ms_max=ledger.lag_ms_max,
        over=over,
    )


async def _main(order: CrowdOrder, clock: Clock) -> None:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout.buffer)
    pipe = asyncio.StreamWriter(transport, protocol, None, loop)
    ledger, over = Ledger(), asyncio.Event()
    # If the pipe has no reader any more, `report` fails, and the group cancels the customers.
    async with asyncio.TaskGroup() as group:
        group.create_task(report(ledger, pipe, over))
        await crowd(order, ledger, clock)
        over.set()
    transport.close()


if __name__ == "__main__":
    uvloop.run(_main(msgspec.json.decode(sys.stdin.buffer.read(), type=CrowdOrder), SystemClock()))
