"""A machine's clock, corrected to the database's."""

import pytest

from flashreserve.bootstrap import services
from flashreserve.bootstrap.services import Seams, open_books
from flashreserve.clock import COMPARING_MS_MAX, DatabaseClock
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import StoreUnavailableError


class Machine:
    """A machine, and a database `ahead_ms` ahead of it; each answer takes the next of `took_ms`, half each way."""

    def __init__(self, ahead_ms: int, *took_ms: float) -> None:
        self.elapsed_ms = 0.0
        self._ahead_ms = ahead_ms
        self._took_ms = list(took_ms)

    def now_ms(self) -> int:
        return 1_795_000_000_000 + int(self.elapsed_ms)

    def monotonic(self) -> float:
        return self.elapsed_ms / 1000

    async def database_now_ms(self) -> int:
        took_ms = self._took_ms.pop(0)
        self.elapsed_ms += took_ms / 2
        told = self.now_ms() + self._ahead_ms
        self.elapsed_ms += took_ms / 2
        return told


@pytest.mark.parametrize("ahead_ms", [0, 3_000, -70_000])
async def test_the_database_s_time_is_told(ahead_ms: int) -> None:
    machine = Machine(ahead_ms, 4, 4, 4)
    clock = DatabaseClock(machine)
    assert await clock.compare(machine.database_now_ms)
    assert clock.offset_ms == ahead_ms
    assert clock.now_ms() == machine.now_ms() + ahead_ms


async def test_the_fastest_answer_is_believed() -> None:
    class Uneven(Machine):
        """Slow answers are slow on the way back only, which is what makes them mislead."""

        async def database_now_ms(self) -> int:
            took_ms = self._took_ms.pop(0)
            self.elapsed_ms += 1
            told = self.now_ms() + self._ahead_ms
            self.elapsed_ms += took_ms - 1
            return told

    machine = Uneven(500, 201, 2, 101)
    clock = DatabaseClock(machine)
    await clock.compare(machine.database_now_ms)
    assert clock.offset_ms == 500


async def test_answers_that_take_too_long_say_nothing() -> None:
    machine = Machine(5_000, *[COMPARING_MS_MAX] * 3)
    clock = DatabaseClock(machine)
    assert not await clock.compare(machine.database_now_ms)
    assert clock.offset_ms == 0


async def test_a_database_without_a_clock_of_its_own_leaves_the_machine_s() -> None:
    async def none() -> None:
        return None

    clock = DatabaseClock(Machine(0))
    assert await clock.compare(none)
    assert clock.offset_ms == 0


async def test_a_database_that_is_away_leaves_the_clock_as_it_was() -> None:
    async def away() -> int:
        raise StoreUnavailableError("away")

    machine = Machine(700, 2, 2, 2)
    clock = DatabaseClock(machine)
    await clock.compare(machine.database_now_ms)
    with pytest.raises(StoreUnavailableError):
        await clock.compare(away)
    assert clock.offset_ms == 700


class FarStore(MemoryStore):
    """A store over a bad link: so many answers take too long before one is quick; its clock is 70 s ahead."""

    def __init__(self, slow_answers: int) -> None:
        super().__init__()
        self.machine = Machine(70_000, *[COMPARING_MS_MAX] * slow_answers, *[2.0] * 3)

    async def database_now_ms(self) -> int:
        return await self.machine.database_now_ms()


async def test_nothing_is_done_by_a_clock_that_was_never_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_CLOCK_TRY_AFTER_S", 0.0)
    store = FarStore(7)
    async with open_books(store, Seams(clock=store.machine)) as books:
        assert books.clock.offset_ms == 70_000


async def test_a_database_that_is_too_slow_to_tell_the_time_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_CLOCK_TRY_AFTER_S", 0.0)
    store = FarStore(1_000)
    with pytest.raises(StoreUnavailableError, match="never told its time"):
        async with open_books(store, Seams(clock=store.machine)):
            pytest.fail("opened")
