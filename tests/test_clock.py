"""A process's clock: it follows the database's clock or the machine's, and adopts a step that lasts."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise

import pytest
from structlog.testing import capture_logs
from tests.moving_clock import START_MS, MovingClock
from typing_extensions import override

from flashreserve.bootstrap import services
from flashreserve.bootstrap.services import Seams, open_books
from flashreserve.bootstrap.work import COMPARE_EVERY_S
from flashreserve.clock import (
    COMPARING_MS_MAX,
    LASTING_MS,
    SLEW,
    STEP_MS,
    UNSEEN_MS_MAX,
    Clock,
    Siblings,
    Sighting,
    SteadyClock,
)
from flashreserve.metrics import Cell
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import StoreUnavailableError

HOUR_S = 3_600.0
LASTING_S = LASTING_MS / 1000
Ask = Callable[[], Awaitable[int | None]]


async def none() -> None:
    """A database without a clock of its own."""


class ScriptedSiblings(Siblings):
    """Other processes whose sightings the test sets."""

    def __init__(self) -> None:
        self.sightings: list[Sighting] = []
        self.told: list[Sighting] = []

    @override
    async def others(self) -> Sequence[Sighting]:
        return self.sightings

    @override
    async def tell(self, sighting: Sighting) -> None:
        self.told.append(sighting)

    @override
    async def close(self) -> None:
        pass


def true_ms(machine: MovingClock) -> int:
    """The true time: that of a clock that was never set."""
    return START_MS + machine.elapsed_ms()


async def pass_by(machine: MovingClock, clock: SteadyClock, seconds: float, ask: Ask = none) -> list[int]:
    """Let time pass with a comparison every second. Returns the clock's difference from the true time after each."""
    apart = []
    for _ in range(round(seconds / COMPARE_EVERY_S)):
        machine.advance(COMPARE_EVERY_S)
        await clock.compare(ask)
        apart.append(clock.now_ms() - true_ms(machine))
    return apart


async def a_clock(machine: MovingClock, others: ScriptedSiblings | None = None, ask: Ask = none) -> SteadyClock:
    clock = SteadyClock(machine, others)
    assert await clock.compare(ask)
    return clock


# A step of the machine's clock


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S, 1.1, -1.1])
async def test_a_step_that_is_taken_back_is_never_adopted(by_s: float) -> None:
    machine = MovingClock()
    clock = await a_clock(machine)
    machine.set_ahead(by_s)
    assert clock.now_ms() == true_ms(machine)
    assert await pass_by(machine, clock, LASTING_S) == [0] * 5
    machine.set_ahead(-by_s)
    assert await pass_by(machine, clock, 10) == [0] * 10


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S, 1.1, -1.1])
async def test_a_step_that_lasts_is_adopted_as_a_whole_after_five_seconds(by_s: float) -> None:
    machine = MovingClock()
    clock = await a_clock(machine)
    machine.set_ahead(by_s)
    # First seen after one second, so it has lasted at the sixth comparison.
    assert await pass_by(machine, clock, 8) == [0] * 5 + [round(by_s * 1000)] * 3
    assert clock.now_ms() == machine.now_ms()


async def test_a_process_begins_by_the_machine_s_clock() -> None:
    machine = MovingClock()
    machine.set_ahead(HOUR_S)
    clock = await a_clock(machine)
    assert clock.now_ms() == machine.now_ms()
    assert clock.step is None


async def test_a_step_that_comes_and_goes_again_and_again_is_not_adopted() -> None:
    machine = MovingClock()
    clock = await a_clock(machine)
    for _ in range(20):
        machine.set_ahead(HOUR_S)
        assert await pass_by(machine, clock, 3) == [0] * 3
        machine.set_ahead(-HOUR_S)
        assert await pass_by(machine, clock, 1) == [0]


async def test_a_clock_that_is_set_to_one_time_after_the_other_is_followed_once_it_stays() -> None:
    machine = MovingClock()
    clock = await a_clock(machine)
    for by_s in (HOUR_S, -2 * HOUR_S, 300.0):
        machine.set_ahead(by_s)
        assert set(await pass_by(machine, clock, 4)) == {0}
    assert (await pass_by(machine, clock, 3))[-1] == machine.now_ms() - true_ms(machine)


async def test_a_step_that_was_not_looked_at_in_between_counts_as_begun_anew() -> None:
    machine = MovingClock()
    clock = await a_clock(machine)
    machine.set_ahead(HOUR_S)
    await pass_by(machine, clock, 1)
    machine.advance(60)  # The process is suspended: the clock may have been right meanwhile.
    assert UNSEEN_MS_MAX < 60_000
    assert await pass_by(machine, clock, 5) == [0] * 5
    assert await pass_by(machine, clock, 1) == [3_600_000]


async def test_a_resumed_machine_goes_on_at_the_time_it_is_by_then() -> None:
    """The elapsed time includes the time in which the machine was suspended, so there is no step to adopt."""
    machine = MovingClock()
    clock = await a_clock(machine)
    machine.advance(HOUR_S)
    assert clock.now_ms() == machine.now_ms()
    await clock.compare(none)
    assert clock.step is None


async def test_a_step_is_logged_and_counted_when_it_is_seen_adopted_or_taken_back() -> None:
    machine, steps, adopted = MovingClock(), Cell(), Cell()
    clock = await a_clock(machine)
    clock.count_in(steps, adopted)
    with capture_logs() as logged:
        machine.set_ahead(HOUR_S)
        await pass_by(machine, clock, 2)
        machine.set_ahead(-HOUR_S)
        await pass_by(machine, clock, 2)
        machine.set_ahead(-HOUR_S)
        await pass_by(machine, clock, 8)
    assert [entry["event"] for entry in logged] == [
        "clock stepped",
        "clock right again",
        "clock stepped",
        "clock's step adopted",
    ]
    assert [entry.get("by_s") for entry in logged] == [3600.0, None, -3600.0, -3600.0]
    assert (steps.count, adopted.count) == (2, 1)


# Small differences


@pytest.mark.parametrize("by_ms", [STEP_MS, -STEP_MS, 40, -40])
async def test_a_small_difference_is_slewed_and_time_never_goes_back(by_ms: int) -> None:
    machine = MovingClock()
    clock = await a_clock(machine)
    machine.set_ahead(by_ms / 1000)
    told = [clock.now_ms()]
    for step in range(30_000):
        machine.advance(0.001)
        if step % 1000 == 0:
            await clock.compare(none)
        told.append(clock.now_ms())
    gone = [after - before for before, after in pairwise(told)]
    assert min(gone) >= 0
    assert max(gone) <= 2
    assert abs(clock.now_ms() - machine.now_ms()) <= 2
    assert told[1000] - told[0] - 1000 == pytest.approx(max(-1000 * SLEW, min(1000 * SLEW, by_ms)), abs=3)


async def test_a_moment_s_small_difference_moves_the_clock_by_a_twentieth_of_it_at_most() -> None:
    machine = MovingClock()
    clock = await a_clock(machine)
    machine.set_ahead(0.9)
    assert max(await pass_by(machine, clock, 2)) <= 50
    machine.set_ahead(-0.9)
    assert (await pass_by(machine, clock, 10))[-1] <= 2


async def test_an_adopted_step_back_is_the_only_time_that_goes_back() -> None:
    machine = MovingClock()
    clock = await a_clock(machine)
    machine.set_ahead(-HOUR_S)
    told = []
    for _ in range(20):
        await pass_by(machine, clock, 1)
        told.append(clock.now_ms())
    back = [before - after for before, after in pairwise(told) if after < before]
    assert len(back) == 1
    assert back[0] == 3_600_000 - 1_000


# Other processes on the same database file


def at(machine: MovingClock, machine_s: float = 0.0, steady_s: float = 0.0) -> Sighting:
    """The sighting of another process whose clocks are this far from the true time."""
    offset_ms = true_ms(machine) - machine.elapsed_ms()
    return Sighting(offset_ms + round(machine_s * 1000), offset_ms + round(steady_s * 1000))


async def test_a_step_that_another_process_does_not_see_is_not_adopted() -> None:
    machine, others = MovingClock(), ScriptedSiblings()
    others.sightings = [at(machine)]
    clock = await a_clock(machine, others)
    machine.set_ahead(HOUR_S)
    with capture_logs() as logged:
        assert await pass_by(machine, clock, 60) == [0] * 60
    assert [entry["event"] for entry in logged] == ["clock stepped", "clock contradicted by another process's"]
    assert clock.step is not None
    assert clock.step.contradicted
    others.sightings = [at(machine, machine_s=HOUR_S)]
    assert await pass_by(machine, clock, 3) == [0, 0, 3_600_000]
    assert clock.step is None


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
async def test_processes_that_see_the_same_step_adopt_it_at_one_instant(by_s: float) -> None:
    machine = MovingClock()
    others = [ScriptedSiblings(), ScriptedSiblings(), ScriptedSiblings()]
    clocks = [await a_clock(machine, each) for each in others]
    machine.set_ahead(by_s)
    changed = []
    for passed_ms in range(10_000):
        machine.advance(0.001)
        for place, clock in enumerate(clocks):
            if passed_ms % 1000 == 300 * place:  # They compare one after the other.
                await clock.compare(none)
                await clock.tell_siblings()
                for each in others:
                    each.sightings = [other.told[-1] for other in others if other is not each and other.told]
        apart = {clock.now_ms() - true_ms(machine) for clock in clocks}
        assert len(apart) == 1
        changed += [passed_ms] if apart != {0} else []
    assert changed == list(range(changed[0], 10_000))
    assert clocks[0].now_ms() == machine.now_ms()
    assert [clock.step for clock in clocks] == [None] * 3


async def test_a_process_that_looks_late_adopts_at_once_what_the_others_have_adopted() -> None:
    machine, others = MovingClock(), ScriptedSiblings()
    others.sightings = [at(machine)]
    clock = await a_clock(machine, others)
    machine.set_ahead(HOUR_S)
    await pass_by(machine, clock, 1)
    others.sightings = [at(machine, machine_s=HOUR_S, steady_s=HOUR_S)]
    assert await pass_by(machine, clock, 5) == [0, 0, 0, 0, 3_600_000]


async def test_a_process_that_begins_beside_others_goes_by_their_time() -> None:
    machine, others = MovingClock(), ScriptedSiblings()
    others.sightings = [at(machine)]
    machine.set_ahead(HOUR_S)
    clock = await a_clock(machine, others)
    assert clock.now_ms() == true_ms(machine)
    assert clock.step is not None
    others.sightings = []
    assert (await pass_by(machine, clock, 5))[-1] == 3_600_000


async def test_the_others_are_told_what_the_machine_says_and_what_the_process_goes_by() -> None:
    machine, others = MovingClock(), ScriptedSiblings()
    clock = await a_clock(machine, others)
    machine.set_ahead(HOUR_S)
    await clock.tell_siblings()
    assert others.told == [at(machine, machine_s=HOUR_S)]


# The database's clock


class MachineBesideDatabase(Clock):
    """A machine, and a database `ahead_ms` ahead of it. Each answer takes the next of `took_ms`, half each way."""

    def __init__(self, ahead_ms: int, *took_ms: float) -> None:
        self.passed_ms = 0.0
        self.ahead_ms = ahead_ms
        self._took_ms = list(took_ms)

    @override
    def now_ms(self) -> int:
        return START_MS + int(self.passed_ms)

    @override
    def monotonic(self) -> float:
        return self.passed_ms / 1000

    @override
    def elapsed_ms(self) -> int:
        return int(self.passed_ms)

    async def database_now_ms(self) -> int:
        took_ms = self._took_ms.pop(0)
        self.passed_ms += took_ms / 2
        told = self.now_ms() + self.ahead_ms
        self.passed_ms += took_ms / 2
        return told


@pytest.mark.parametrize("ahead_ms", [0, 3_000, -70_000])
async def test_the_database_s_time_is_told(ahead_ms: int) -> None:
    machine = MachineBesideDatabase(ahead_ms, 4, 4, 4)
    clock = SteadyClock(machine)
    assert await clock.compare(machine.database_now_ms)
    assert clock.machine_ahead_ms == -ahead_ms
    assert clock.now_ms() == machine.now_ms() + ahead_ms


async def test_the_fastest_answer_is_believed() -> None:
    class UnevenDatabase(MachineBesideDatabase):
        """Slow answers are slow on the way back only: that makes them wrong."""

        @override
        async def database_now_ms(self) -> int:
            took_ms = self._took_ms.pop(0)
            self.passed_ms += 1
            told = self.now_ms() + self.ahead_ms
            self.passed_ms += took_ms - 1
            return told

    machine = UnevenDatabase(500, 201, 2, 101)
    clock = SteadyClock(machine)
    await clock.compare(machine.database_now_ms)
    assert clock.machine_ahead_ms == -500


async def test_answers_that_take_too_long_say_nothing() -> None:
    machine = MachineBesideDatabase(5_000, *[COMPARING_MS_MAX] * 3)
    clock = SteadyClock(machine)
    assert not await clock.compare(machine.database_now_ms)
    assert clock.machine_ahead_ms == 0


async def test_a_database_that_is_away_leaves_the_clock_as_it_was() -> None:
    async def away() -> int:
        raise StoreUnavailableError("away")

    machine = MachineBesideDatabase(700, 2, 2, 2)
    clock = SteadyClock(machine)
    await clock.compare(machine.database_now_ms)
    with pytest.raises(StoreUnavailableError):
        await clock.compare(away)
    assert clock.machine_ahead_ms == -700


async def test_a_machine_whose_clock_steps_goes_on_by_the_database_s() -> None:
    machine = MovingClock()

    async def database() -> int:
        return true_ms(machine)

    clock = await a_clock(machine, ask=database)
    machine.set_ahead(HOUR_S)
    assert clock.now_ms() == true_ms(machine)
    with capture_logs() as logged:
        assert await pass_by(machine, clock, 60, database) == [0] * 60
    assert [entry["event"] for entry in logged] == ["machine's clock is wrong"]
    assert clock.machine_ahead_ms == 3_600_000


@pytest.mark.parametrize(("lasts_s", "adopted"), [(3, False), (8, True)])
async def test_a_step_of_the_database_s_clock_is_adopted_only_if_it_lasts(lasts_s: int, *, adopted: bool) -> None:
    machine, ahead_ms = MovingClock(), 0

    async def database() -> int:
        return true_ms(machine) + ahead_ms

    clock = await a_clock(machine, ask=database)
    ahead_ms = -90_000
    assert (await pass_by(machine, clock, lasts_s, database))[-1] == (ahead_ms if adopted else 0)


class FarStore(MemoryStore):
    """A store over a bad link: the first `slow_answers` answers take too long. Its clock is 70 s ahead."""

    def __init__(self, slow_answers: int) -> None:
        super().__init__()
        self.machine = MachineBesideDatabase(70_000, *[COMPARING_MS_MAX] * slow_answers, *[2.0] * 3)

    async def database_now_ms(self) -> int:
        return await self.machine.database_now_ms()


async def test_nothing_is_done_by_a_clock_that_was_never_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_CLOCK_TRY_AFTER_S", 0.0)
    store = FarStore(7)
    async with open_books(store, Seams(clock=store.machine)) as books:
        assert books.clock.machine_ahead_ms == -70_000


async def test_a_database_that_is_too_slow_to_tell_the_time_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_CLOCK_TRY_AFTER_S", 0.0)
    store = FarStore(1_000)
    with pytest.raises(StoreUnavailableError, match="never told its time"):
        async with open_books(store, Seams(clock=store.machine)):
            pytest.fail("opened")
