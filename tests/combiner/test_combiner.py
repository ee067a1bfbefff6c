"""The combiner: many waiting commands become one flush."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from tests.core.examples import CUP, a_product, reserve
from tests.moving_clock import MovingClock

from flashreserve.clock import SteadyClock
from flashreserve.combiner import Combiner
from flashreserve.core.commands import Command
from flashreserve.core.model import Product
from flashreserve.core.outcomes import Failed, Outcome, OutcomeUnknown, Reserved, SoldOut, Unavailable
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import Flushed, StoreOutcomeUnknownError, StoreUnavailableError, Take


class GatedStore(MemoryStore):
    """A memory store with a gate, by which a test decides how long a flush is in the database."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self.sizes: list[int] = []
        self.nows: list[int] = []
        self.fault: Callable[[Sequence[Command]], Exception | None] = lambda _: None

    async def flush(self, commands: Sequence[Command], now: int) -> Flushed:
        self.sizes.append(len(commands))
        self.nows.append(now)
        await self.open.wait()
        error = self.fault(commands)
        if error is not None:
            raise error
        return await super().flush(commands, now)


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
async def store() -> GatedStore:
    made = GatedStore()
    await made.add_products([a_product(units=10)])
    return made


def combiner(store: GatedStore, clock: MovingClock, *, flush_max: int = 100, queue_max: int = 100) -> Combiner:
    return Combiner(store, clock, _learn_nothing, flush_max=flush_max, queue_max=queue_max, deadline_s=2.0)


def _learn_nothing(_products: Sequence[Product], _sent_at: float) -> None:
    pass


async def submitted(combiner: Combiner, *commands: Command) -> list[asyncio.Task[Outcome]]:
    """Submit the commands; all of them now wait in the combiner or are in flight."""
    tasks = [asyncio.create_task(combiner.submit(command)) for command in commands]
    await turns(3)
    return tasks


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_commands_that_arrive_during_a_flush_go_as_one(store: GatedStore, clock: MovingClock) -> None:
    at_work = combiner(store, clock)
    store.open.clear()
    first = await submitted(at_work, reserve(1))
    others = await submitted(at_work, *(reserve(number) for number in range(2, 8)))
    store.open.set()
    outcomes = await asyncio.gather(*first, *others)
    assert store.sizes == [1, 6]
    assert all(isinstance(outcome, Reserved) for outcome in outcomes)


async def test_a_single_command_is_sent_at_once(store: GatedStore, clock: MovingClock) -> None:
    assert isinstance(await combiner(store, clock).submit(reserve(1)), Reserved)
    assert store.sizes == [1]


async def test_a_flush_takes_no_more_than_its_limit(store: GatedStore, clock: MovingClock) -> None:
    at_work = combiner(store, clock, flush_max=4)
    outcomes = await asyncio.gather(*await submitted(at_work, *(reserve(number) for number in range(1, 11))))
    assert store.sizes == [4, 4, 2]
    assert all(isinstance(outcome, Reserved) for outcome in outcomes)


async def test_grants_go_by_arrival(store: GatedStore, clock: MovingClock) -> None:
    at_work = combiner(store, clock)
    tasks = await submitted(at_work, *(reserve(number) for number in range(1, 21)))
    outcomes = await asyncio.gather(*tasks)
    assert [type(outcome) for outcome in outcomes] == [Reserved] * 10 + [SoldOut] * 10


async def test_past_the_queues_bound_commands_are_refused_at_once(store: GatedStore, clock: MovingClock) -> None:
    at_work = combiner(store, clock, queue_max=3)
    store.open.clear()
    in_flight = await submitted(at_work, reserve(1))
    waiting = await submitted(at_work, *(reserve(number) for number in range(2, 5)))
    refused = await at_work.submit(reserve(5))
    assert isinstance(refused, Unavailable)
    store.open.set()
    assert all(isinstance(outcome, Reserved) for outcome in await asyncio.gather(*in_flight, *waiting))
    assert (await store.product(CUP)).available == 6  # type: ignore[union-attr]


async def test_a_caller_that_goes_away_changes_nothing_for_the_others(store: GatedStore, clock: MovingClock) -> None:
    at_work = combiner(store, clock)
    store.open.clear()
    (in_flight,) = await submitted(at_work, reserve(1))
    left, stays = await submitted(at_work, reserve(2), reserve(3))
    in_flight.cancel()
    left.cancel()
    await turns(2)
    store.open.set()
    assert isinstance(await stays, Reserved)
    # The command that was in the database is done; the one that still waited is never sent.
    assert store.sizes == [1, 1]
    assert (await store.product(CUP)).available == 8  # type: ignore[union-attr]


async def test_a_poison_command_fails_alone(store: GatedStore, clock: MovingClock) -> None:
    poison = reserve(5)
    store.fault = lambda commands: RuntimeError("poison") if poison in commands else None
    at_work = combiner(store, clock)
    commands = [*(reserve(number) for number in range(1, 5)), poison, reserve(6), reserve(7)]
    outcomes = await asyncio.gather(*await submitted(at_work, *commands))
    assert [type(outcome) for outcome in outcomes] == [Reserved] * 4 + [Failed] + [Reserved] * 2
    assert isinstance(await at_work.submit(reserve(8)), Reserved)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(StoreUnavailableError("away"), Unavailable), (StoreOutcomeUnknownError("cut"), OutcomeUnknown)],
)
async def test_the_stores_errors_become_outcomes_for_all_in_the_flush(
    store: GatedStore, clock: MovingClock, error: Exception, outcome: type[Outcome]
) -> None:
    store.fault = lambda _: error
    at_work = combiner(store, clock)
    outcomes = await asyncio.gather(*await submitted(at_work, reserve(1), reserve(2)))
    assert [type(each) for each in outcomes] == [outcome, outcome]
    assert store.sizes == [2], "nothing is tried again: only the caller knows whether that is wanted"


async def test_past_the_deadline_the_sent_are_unknown_and_the_waiting_never_sent(
    store: GatedStore, clock: MovingClock
) -> None:
    at_work = combiner(store, clock)
    store.open.clear()
    (sent,) = await submitted(at_work, reserve(1))
    (waits,) = await submitted(at_work, reserve(2))
    clock.advance(2.1)
    assert isinstance(await sent, OutcomeUnknown)
    assert isinstance(await waits, Unavailable)
    store.open.set()
    assert isinstance(await at_work.submit(reserve(3)), Reserved)
    assert await store.reservation(reserve(2).reservation_id) is None
    assert await store.reservation(reserve(1).reservation_id) is not None


@pytest.mark.parametrize("told_before", [True, False])
async def test_what_is_sent_again_after_a_poison_command_leaves_out_those_past_their_deadline(
    store: GatedStore, clock: MovingClock, *, told_before: bool
) -> None:
    """Their callers may have sent the request again, and have been refused elsewhere. Each is told, before or after."""
    poison = reserve(2)
    store.fault = lambda commands: RuntimeError("poison") if poison in commands else None
    at_work = combiner(store, clock)
    store.open.clear()
    given_up = await submitted(at_work, reserve(1), poison)
    clock.advance(2.1)
    if told_before:
        await asyncio.gather(*given_up)
    store.open.set()
    outcomes = await asyncio.wait_for(asyncio.gather(*given_up), 30)
    assert {type(outcome) for outcome in outcomes} <= {OutcomeUnknown, Unavailable}
    await at_work.close()
    assert await store.reservation(reserve(1).reservation_id) is None


async def test_a_moment_s_step_of_the_machine_s_clock_stamps_no_flush(store: GatedStore, clock: MovingClock) -> None:
    at_work = Combiner(store, SteadyClock(clock), _learn_nothing)
    for number, by_s in enumerate((0, 3600, -3600, -60, 60)):
        clock.set_ahead(by_s)
        clock.advance(1)
        await at_work.submit(reserve(number))
    assert [now - store.nows[0] for now in store.nows] == [0, 1000, 2000, 3000, 4000]


async def test_now_is_stamped_when_the_flush_is_sent(store: GatedStore, clock: MovingClock) -> None:
    at_work = combiner(store, clock)
    store.open.clear()
    first = await submitted(at_work, reserve(1))
    second = await submitted(at_work, reserve(2))
    clock.advance(1)
    store.open.set()
    await asyncio.gather(*first, *second)
    assert store.nows[1] - store.nows[0] == 1000


async def test_closing_answers_what_was_taken_and_takes_no_more(store: GatedStore, clock: MovingClock) -> None:
    at_work = combiner(store, clock)
    store.open.clear()
    taken = await submitted(at_work, reserve(1), reserve(2))
    closing: Awaitable[None] = asyncio.create_task(at_work.close())
    await turns(2)
    assert isinstance(await at_work.submit(reserve(3)), Unavailable)
    store.open.set()
    await closing
    assert all(isinstance(outcome, Reserved) for outcome in await asyncio.gather(*taken))


async def test_the_view_learns_what_each_flush_left(store: GatedStore, clock: MovingClock) -> None:
    learned: list[tuple[int, float]] = []
    at_work = Combiner(store, clock, lambda products, at: learned.extend((p.available, at) for p in products))
    sent_at = clock.monotonic()
    await at_work.submit(reserve(1, quantity=4))
    assert learned == [(6, sent_at)]


async def test_a_callback_is_told_the_same_as_a_waiting_caller(store: GatedStore, clock: MovingClock) -> None:
    at_work = combiner(store, clock, queue_max=2)
    store.open.clear()
    told: list[Outcome] = []
    at_work.submit_soon(reserve(1), told.append)
    await turns(3)
    for number in range(2, 5):
        at_work.submit_soon(reserve(number), told.append)
    assert [type(outcome) for outcome in told] == [Unavailable]
    store.open.set()
    await at_work.close()
    assert [type(outcome) for outcome in told] == [Unavailable, Reserved, Reserved, Reserved]
    at_work.submit_soon(reserve(5), told.append)
    assert isinstance(told[-1], Unavailable)


async def test_a_callback_that_raises_keeps_no_other_from_being_told(store: GatedStore, clock: MovingClock) -> None:
    at_work = combiner(store, clock)

    def deaf(outcome: Outcome) -> None:
        raise ZeroDivisionError

    told: list[Outcome] = []
    at_work.submit_soon(reserve(1), deaf)
    at_work.submit_soon(reserve(2), told.append)
    await at_work.close()
    assert [type(outcome) for outcome in told] == [Reserved]


async def test_the_next_flush_is_on_its_way_before_outcomes_are_told(store: GatedStore, clock: MovingClock) -> None:
    at_work = combiner(store, clock, flush_max=1)
    flushed_when_told: list[int] = []
    for number in range(1, 4):
        at_work.submit_soon(reserve(number), lambda _: flushed_when_told.append(len(store.sizes)))
    await at_work.close()
    assert flushed_when_told[0] > 1


class AheadStore(GatedStore):
    """Writes one flush after the other, and takes the next one while it writes."""

    flushes_ahead = 1

    def __init__(self) -> None:
        super().__init__()
        self.turn = asyncio.Lock()
        self.handed_over = 0
        self.broken = False

    async def flush_late(self, take: Take) -> Flushed:
        self.handed_over += 1
        async with self.turn:
            if self.broken:
                raise StoreUnavailableError("before anything was taken")
            return await super().flush_late(take)


@pytest.fixture
async def ahead() -> AheadStore:
    made = AheadStore()
    await made.add_products([a_product(units=10)])
    return made


async def test_a_flush_handed_over_ahead_takes_all_waiting_commands_when_its_turn_comes(
    ahead: AheadStore, clock: MovingClock
) -> None:
    at_work = combiner(ahead, clock)
    ahead.open.clear()
    tasks = await submitted(at_work, reserve(1))
    tasks += await submitted(at_work, reserve(2))
    assert (ahead.handed_over, ahead.sizes) == (2, [1])
    tasks += await submitted(at_work, reserve(3), reserve(4))
    clock.advance(1)
    ahead.open.set()
    assert all(isinstance(outcome, Reserved) for outcome in await asyncio.gather(*tasks))
    assert ahead.sizes[:2] == [1, 3]
    assert ahead.nows[1] - ahead.nows[0] == 1000
    await at_work.close()
    assert sum(ahead.sizes) == 4


async def test_a_flush_handed_over_ahead_takes_no_command_past_its_deadline(
    ahead: AheadStore, clock: MovingClock
) -> None:
    at_work = combiner(ahead, clock)
    ahead.open.clear()
    (sent,) = await submitted(at_work, reserve(1))
    (waits,) = await submitted(at_work, reserve(2))
    clock.advance(2.1)
    assert isinstance(await sent, OutcomeUnknown)
    assert isinstance(await waits, Unavailable)
    ahead.open.set()
    await at_work.close()
    assert await ahead.reservation(reserve(2).reservation_id) is None


async def test_a_process_that_wakes_up_late_sends_no_command_past_its_deadline(
    ahead: AheadStore, clock: MovingClock
) -> None:
    """The store takes the next flush before the deadlines are looked at. Its caller may have been refused elsewhere."""
    at_work = combiner(ahead, clock)
    ahead.open.clear()
    (sent,) = await submitted(at_work, reserve(1))
    (waits,) = await submitted(at_work, reserve(2))
    clock.advance(2.1)
    ahead.open.set()
    await sent
    await at_work.close()
    assert isinstance(await waits, Unavailable)
    assert await ahead.reservation(reserve(2).reservation_id) is None


async def test_a_store_that_fails_before_it_takes_anything_fails_the_waiting_commands(
    ahead: AheadStore, clock: MovingClock
) -> None:
    at_work = combiner(ahead, clock)
    ahead.broken = True
    outcomes = await asyncio.gather(*await submitted(at_work, reserve(1), reserve(2)))
    assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
    assert ahead.sizes == []


async def test_the_caller_of_a_flush_that_broke_is_told_at_the_deadline(store: GatedStore, clock: MovingClock) -> None:
    at_work = combiner(store, clock)
    store.open.clear()
    (sent,) = await submitted(at_work, reserve(1))
    (runner,) = at_work._running.values()
    runner.cancel()
    await turns(3)
    clock.advance(2.1)
    assert isinstance(await sent, OutcomeUnknown)
    store.open.set()
    assert isinstance(await at_work.submit(reserve(2)), Reserved)


async def test_a_flush_that_took_nothing_fails_nobody(ahead: AheadStore, clock: MovingClock) -> None:
    at_work = combiner(ahead, clock)
    ahead.open.clear()
    (first,) = await submitted(at_work, reserve(1))
    (second,) = await submitted(at_work, reserve(2))
    second.cancel()  # Its flush, handed over ahead of time, will find no command.
    ahead.fault = lambda commands: None if commands else StoreOutcomeUnknownError("commit")
    ahead.open.set()
    assert isinstance(await first, Reserved)
    third = asyncio.create_task(at_work.submit(reserve(3)))
    assert isinstance(await third, Reserved)
