"""A run of a rehearsal, from putting the products on sale to the verdict."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import msgspec

from flashreserve.clock import Clock
from flashreserve.core.limits import HOLD_S_MAX, STOCK_MAX
from flashreserve.core.model import Status
from flashreserve.rehearsal.admin_client import AdminClient
from flashreserve.rehearsal.client import Client
from flashreserve.rehearsal.messages import Action, CrowdOrder, ExchangeOutcome, ShopExchange, Tick
from flashreserve.rehearsal.plan import Crowd, Script, check, plan, plan_late
from flashreserve.rehearsal.server import AuditReport, RehearsalError, ServerUnderTest, subject_of
from flashreserve.rehearsal.tally import Latency, Tally
from flashreserve.rehearsal.verdict import Evidence, ProductBooks, Verdict, judge
from flashreserve.rehearsal.watch import SignIn, Watch
from flashreserve.rehearsal.waves import wave

Send = Callable[[CrowdOrder], AsyncGenerator[Tick, None]]

_WATCH_S: Final = 0.25
_WATCHED_AT_ONCE: Final = 8
_ADMIN_CONNECTIONS: Final = 4
_END_S: Final = 20.0
"""The longest time for ending the sales."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """The parameters of a rehearsal.

    Attributes:
        crowd: who comes, and how long the products' holds last.
        units: in stock, all products together.
        timeout_s: how long a customer waits for the answer to one try.
        tries_max: the most tries for one request.
        wait_expiry: stay until all holds have lapsed, and sell the returned units to a second wave.
        still_s: books that don't add up count as a leak once they have not changed for so long.
    """

    crowd: Crowd
    units: int
    timeout_s: float = 10.0
    tries_max: int = 8
    wait_expiry: bool = False
    still_s: float = 10.0

    def check(self) -> None:
        """Refuse invalid parameters.

        Raises:
            ValueError: the text names the parameter and what was expected.
        """
        check(self.crowd)
        if not self.crowd.products <= self.units <= STOCK_MAX:
            raise ValueError(f"units: expected one a product at least and {STOCK_MAX:,} at most, got {self.units:,}")
        if not 1 <= self.crowd.hold_s <= HOLD_S_MAX:
            raise ValueError(f"hold seconds: expected 1 to {HOLD_S_MAX:,}, got {self.crowd.hold_s:,}")
        if not self.timeout_s > 0:
            raise ValueError(f"timeout: expected more than 0 seconds, got {self.timeout_s}")

    def units_each(self) -> tuple[int, ...]:
        """Units of each product; they differ by one at most."""
        each, left = divmod(self.units, self.crowd.products)
        return tuple(each + (product < left) for product in range(self.crowd.products))


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a rehearsal. `available` is None until the stock was read for the first time."""

    phase: str
    customers: int
    arrived: int
    requests: int
    in_flight: int
    granted: int
    confirmed: int
    refused: int
    errors: int
    available: int | None
    latency: Latency
    elapsed_s: float


async def rehearse(
    rehearsal: Rehearsal,
    server: ServerUnderTest,
    *,
    run_id: str,
    clock: Clock,
    show: Callable[[Progress], None],
    send: Send = wave,
    watch: Watch | None = None,
) -> Verdict:
    """Send the crowd, and judge the shop.

    Args:
        rehearsal: its parameters.
        server: the shop under test.
        run_id: unique to this run; part of the products' names and of the idempotency keys.
        clock: the machine's.
        show: called several times a second.
        send: plays an order; by default in a separate process.
        watch: lets somebody watch a fresh shop in the browser, before, during and after the sale.

    Raises:
        ValueError: a parameter is invalid.
        RehearsalError: the rehearsal could not take place, or broke off.
    """
    rehearsal.check()
    tokens = server.mint(rehearsal.crowd.customers)
    client = Client(server.urls[0], connections_max=_ADMIN_CONNECTIONS)
    try:
        admin = AdminClient(client, server.admin_token, clock)
        stage = _RehearsalRun(rehearsal, server.urls, tokens, admin, run_id, clock, show, send)
        async with stage.sale(0.0 if watch is None else watch.opens_in_s):
            if watch is not None and server.sign_in is not None:
                await stage.begin_watch(watch, server.sign_in)
            async with stage.watched():
                await stage.first_wave()
                if rehearsal.wait_expiry:
                    await stage.second_wave()
            books = await stage.final_books()
            if watch is not None:
                await watch.end()
    finally:
        client.close()
    return stage.verdict(books, await server.audit() if server.audit else None)


class _RehearsalRun:
    """One run: its parameters, and what the crowd has seen so far."""

    def __init__(
        self,
        rehearsal: Rehearsal,
        urls: tuple[str, ...],
        tokens: Sequence[str],
        admin: AdminClient,
        run_id: str,
        clock: Clock,
        show: Callable[[Progress], None],
        send: Send,
    ) -> None:
        self._rehearsal = rehearsal
        self._urls = urls
        self._tokens = tokens
        self._admin = admin
        self._run_id = run_id
        self._clock = clock
        self._show = show
        self._send = send
        self._began_s = clock.monotonic()
        self._units = rehearsal.units_each()
        self._product_ids: tuple[str, ...] = ()
        self._phase = "putting the products on sale"
        self._tally = Tally()
        self._exchanges: list[ShopExchange] = []
        self._arrived = 0
        self._late = 0
        self._in_flight = 0
        self._available: int | None = None
        self._lag_ms_max = 0.0
        self._returned_s: float | None = None

    @contextlib.asynccontextmanager
    async def sale(self, opens_in_s: float) -> AsyncIterator[None]:
        """Put the products on sale, in so many seconds.

        Their sale ends with the context, even by an error: the shop may be a live one.
        """
        product_ids: list[str] = []
        try:
            for number, units in enumerate(self._units, 1):
                name = f"Rehearsal {self._run_id} #{number}"
                hold_s = self._rehearsal.crowd.hold_s
                product_ids.append(await self._admin.create(name, units=units, hold_s=hold_s))
            for product_id in product_ids:
                await self._admin.put_on_sale(product_id, opens_in_s)
            self._product_ids = tuple(product_ids)
            yield
        except RehearsalError as error:
            await self._end_sales(product_ids, after=f"{error}. ")
            raise
        except BaseException:
            await self._end_sales(product_ids)
            raise
        await self._end_sales(product_ids)

    async def begin_watch(self, watch: Watch, sign_in: SignIn) -> None:
        """Tell where to look, and wait for the opening of the sale."""
        self._phase = "waiting for the opening"
        watch.begin(self._urls[0], self._product_ids, sign_in)
        await asyncio.sleep(watch.opens_in_s)

    async def _end_sales(self, product_ids: Sequence[str], after: str = "") -> None:
        """End the sales, all within a bounded time."""
        ending = [asyncio.create_task(self._admin.end_sale(product_id)) for product_id in product_ids]
        if not ending:
            return
        _, late = await asyncio.wait(ending, timeout=_END_S)
        for task in late:
            task.cancel()
        ended = await asyncio.gather(*ending, return_exceptions=True)
        left = [product_id for product_id, error in zip(product_ids, ended, strict=True) if error is not None]
        if left:
            advice = 'end each by PATCH /products/{id} {"saleStartsAt": null, "saleEndsAt": "2000-01-01T00:00:00Z"}'
            raise RehearsalError(f"{after}Still on sale, for a day at most: {', '.join(left)}; {advice}")

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """As long as the context, read the stock and show the progress."""
        watches = [asyncio.create_task(self._watch_stock()), asyncio.create_task(self._draw())]
        try:
            yield
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def first_wave(self) -> None:
        self._phase = "the sale is on"
        await self._play(plan(self._rehearsal.crowd, run_id=self._run_id))

    async def second_wave(self) -> None:
        """Wait until the holds of those who walked away have lapsed, and sell the returned units."""
        self._phase = "waiting for holds to lapse"
        lapse_s = self._last_lapse_s()
        await asyncio.sleep(max(0.0, lapse_s - self._clock.monotonic()))
        self._returned_s = await self._back_on_sale(lapse_s)
        self._phase = "selling what came back"
        returned = [await self._admin.available([id_]) for id_ in self._product_ids]
        late = plan_late(self._rehearsal.crowd, customers=self._empty_handed(), returned=returned, run_id=self._run_id)
        self._late = len(late)
        if late:
            await self._play(late)

    async def final_books(self) -> tuple[ProductBooks, ...]:
        self._phase = "reading the books"
        self._show(self._progress())
        books = await self._admin.still_books(self._product_ids, self._units, self._rehearsal.still_s)
        self._available = sum(product.available for product in books)
        self._phase = "over"
        self._show(self._progress())
        return books

    def verdict(self, books: tuple[ProductBooks, ...], audit: AuditReport | None) -> Verdict:
        tally, crowd = self._tally, self._rehearsal.crowd
        evidence = Evidence(
            units=self._units,
            exchanges=tuple(self._exchanges),
            subjects=tuple(map(subject_of, self._tokens)),
            books=books,
        )
        found = judge(evidence)
        clean = not (found.oversold or found.leaked or found.double_grants or found.errors)
        statuses = [entry.status for product in books for entry in product.entries]
        return Verdict(
            passed=clean and bool(tally.granted) and (audit is None or audit.clean is True),
            oversold=found.oversold,
            leaked=found.leaked,
            double_grants=found.double_grants,
            errors=found.errors,
            latency_ms=tally.latency(),
            unexpected=found.unexpected,
            findings=found.findings,
            audit=audit,
            seed=crowd.seed,
            customers=crowd.customers,
            late_customers=self._late,
            units=self._rehearsal.units,
            products=crowd.products,
            hold_seconds=crowd.hold_s,
            requests=tally.requests,
            requests_per_second_max=tally.per_second_max,
            answers=dict(sorted(tally.answers.items())),
            granted=len(tally.granted),
            replayed=tally.replayed,
            refused=tally.refused,
            confirmed=len(tally.confirmed),
            cancelled=len(tally.cancelled),
            too_late=tally.too_late,
            lapsed=statuses.count(Status.EXPIRED),
            resold=sum(max(0, len(p.entries) - units) for p, units in zip(books, self._units, strict=True)),
            available=sum(product.available for product in books),
            returned_seconds=self._returned_s,
            elapsed_seconds=self._clock.monotonic() - self._began_s,
            crowd_lag_ms_max=self._lag_ms_max,
        )

    async def _play(self, scripts: Sequence[Script]) -> None:
        order = CrowdOrder(
            urls=self._urls,
            product_ids=self._product_ids,
            tokens=tuple(self._tokens[script.customer] for script in scripts),
            scripts=tuple(scripts),
            seed=self._rehearsal.crowd.seed,
            timeout_s=self._rehearsal.timeout_s,
            tries_max=self._rehearsal.tries_max,
        )
        arrived = self._arrived
        async with aclosing(self._send(order)) as ticks:
            async for tick in ticks:
                self._note(tick)
                self._arrived = arrived + tick.arrived
        if self._arrived != arrived + len(scripts):
            raise RehearsalError(f"only {self._arrived - arrived:,} of {len(scripts):,} customers came")

    def _note(self, tick: Tick) -> None:
        self._exchanges += tick.exchanges
        self._tally.add(tick.exchanges)
        self._in_flight = tick.in_flight
        self._lag_ms_max = max(self._lag_ms_max, tick.lag_ms_max)

    async def _watch_stock(self) -> None:
        pause_s = _WATCH_S * max(1.0, len(self._product_ids) / _WATCHED_AT_ONCE)
        while True:
            # The shop may be away for a while: go on reading.
            with contextlib.suppress(RehearsalError):
                self._available = await self._admin.available(self._product_ids)
            await asyncio.sleep(pause_s)

    async def _draw(self) -> None:
        while True:
            self._show(self._progress())
            await asyncio.sleep(_WATCH_S)

    def _progress(self) -> Progress:
        tally = self._tally
        return Progress(
            phase=self._phase,
            customers=self._rehearsal.crowd.customers + self._late,
            arrived=self._arrived,
            requests=tally.requests,
            in_flight=self._in_flight,
            granted=len(tally.granted),
            confirmed=len(tally.confirmed),
            refused=tally.refused,
            errors=tally.errors,
            available=self._available,
            latency=tally.latency(),
            elapsed_s=self._clock.monotonic() - self._began_s,
        )

    def _last_lapse_s(self) -> float:
        """When the last hold that was neither confirmed nor cancelled is surely over, by the monotonic clock."""
        ended = self._tally.confirmed | self._tally.cancelled
        lapses = (x.done_ms + x.held_ms for x in self._exchanges if x.held_ms and x.reservation_id not in ended)
        return max(lapses, default=0.0) / 1_000

    async def _back_on_sale(self, lapse_s: float) -> float | None:
        """Seconds from the last lapse until all units that nobody bought are on sale; None after `still_s`."""
        expected = self._rehearsal.units - len(self._tally.confirmed)
        while (waited_s := self._clock.monotonic() - lapse_s) < self._rehearsal.still_s:
            if await self._admin.available(self._product_ids) >= expected:
                return max(0.0, waited_s)
            await asyncio.sleep(_WATCH_S)
        return None

    def _empty_handed(self) -> list[int]:
        """Customers of the first wave who got nothing, in order of arrival; all customers if everybody was served."""
        asked = [x for x in self._exchanges if x.action is Action.RESERVE]
        served = {x.customer for x in asked if x.outcome is ExchangeOutcome.DONE}
        arrivals = dict.fromkeys(x.customer for x in sorted(asked, key=lambda x: x.due_ms))
        return [customer for customer in arrivals if customer not in served] or list(arrivals)
