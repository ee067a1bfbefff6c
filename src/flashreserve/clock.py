"""Clocks and new ids. Bootstrap passes the real ones in; tests and the simulation pass in their own.

Each process uses a `SteadyClock`. It advances by elapsed time and follows a reference: the database's clock, or the
machine's if the database has none. Small differences are slewed: the clock runs a little faster or slower. A step (the
reference jumps) is adopted only once it has lasted, so that a clock that is set wrong for a moment opens no sale early
and locks no stock. docs/adr/0014 gives the reasons.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median_low
from typing import Final, NamedTuple, Protocol

import structlog
import uuid_utils
from typing_extensions import override

from flashreserve.metrics import Cell

COMPARISONS: Final = 3
"""How many times one comparison asks the database for its time."""

COMPARING_MS_MAX: Final = 250.0
"""Slower answers are ignored: they are too inexact."""

STEP_MS: Final = 1_000
"""A greater difference is a step, and is adopted as a whole. A smaller one is slewed."""

LASTING_MS: Final = 5_000
"""How long a step has to last before it is adopted."""

TOGETHER_MS: Final = 2_000
"""How long before it adopts a step a process announces it to its siblings, so that all adopt it at one instant."""

UNSEEN_MS_MAX: Final = 3_000
"""After a longer pause between comparisons, a step counts as new: the reference may have been right meanwhile."""

SLEW: Final = 1 / 20
"""How much faster or slower a slewed clock runs, as a part of the true speed."""

_NEVER_MS: Final = 2**63

_SLEWED_OVER_MS: Final = 2_000
"""The longest time that one comparison slews the clock: the next comparison comes sooner."""

_log = structlog.get_logger(__name__)


class Clock(Protocol):
    """Three clocks: one gives the time of day, two measure durations."""

    def now_ms(self) -> int:
        """The time of day, UTC milliseconds since 1970. A machine's clock jumps when somebody sets it."""
        ...

    def monotonic(self) -> float:
        """Seconds since a fixed moment; never goes back."""
        ...

    def elapsed_ms(self) -> int:
        """Milliseconds since a fixed moment; never goes back, and goes on while the machine is suspended."""
        ...


class Ids(Protocol):
    """Makes unique ids."""

    def new(self) -> str:
        """A new UUIDv7 as a text of 36 characters. Each sorts after the earlier ones of this maker."""
        ...


# On Linux, CLOCK_MONOTONIC stops while the machine is suspended. Elsewhere it goes on.
_ELAPSING: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock(Clock):
    """The machine's clocks."""

    @override
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    # The function itself, without a call around it: every request asks several times.
    monotonic = staticmethod(time.monotonic)

    @override
    def elapsed_ms(self) -> int:
        return time.clock_gettime_ns(_ELAPSING) // 1_000_000


class Sighting(NamedTuple):
    """A process's view of the time. All processes of a machine share its elapsed milliseconds.

    `machine_ms` is the machine's time of day as the process sees it, `steady_ms` the time of its `SteadyClock`; both
    are given as the difference from the elapsed milliseconds. `adopting_at_ms` is when, in elapsed milliseconds, the
    process adopts the machine's time; 0 if it doesn't.
    """

    machine_ms: int
    steady_ms: int
    adopting_at_ms: int = 0


class Siblings(Protocol):
    """The other processes on the same machine that use the same database."""

    async def others(self) -> Sequence[Sighting]:
        """The last sighting of each process that is alive."""
        ...

    async def tell(self, sighting: Sighting) -> None:
        """Tell the others. Nothing is raised if that fails."""
        ...

    async def close(self) -> None:
        """Withdraw this process's sighting."""
        ...


class NoSiblings(Siblings):
    """For a database with a clock of its own, and for a single process."""

    @override
    async def others(self) -> Sequence[Sighting]:
        return ()

    @override
    async def tell(self, sighting: Sighting) -> None:
        pass

    @override
    async def close(self) -> None:
        pass


class Reading(NamedTuple):
    """A reference's time of day minus the elapsed milliseconds, exact to within `error_ms`."""

    offset_ms: int
    error_ms: float


class Step(NamedTuple):
    """A step of the reference that hasn't been adopted yet.

    The reference is `by_ms` ahead of the `SteadyClock`. `since_ms` and `seen_ms` are when the step was first and last
    seen, `adopting_at_ms` when it is adopted (0 if that isn't known); all in elapsed milliseconds. `contradicted`: the
    step has lasted, but a sibling sees another time.
    """

    by_ms: int
    offset_ms: int
    since_ms: int
    seen_ms: int
    adopting_at_ms: int = 0
    contradicted: bool = False


class _TimeLine(NamedTuple):
    """The time of day as a function of the elapsed milliseconds. Replaced as a whole, because other threads read it.

    The time is `offset_ms` ahead of the elapsed milliseconds. Slewing adds `slope` for each millisecond since
    `since_ms`, for at most `span_ms`. From `next_at_ms` on, the offset is `next_ms` instead. Before `plain_until_ms`
    neither applies, and adding `offset_ms` is enough.
    """

    offset_ms: int
    plain_until_ms: int = _NEVER_MS
    slope: float = 0.0
    since_ms: int = 0
    span_ms: int = 0
    next_at_ms: int = _NEVER_MS
    next_ms: int = 0

    def at(self, elapsed_ms: int) -> int:
        """The time of day, in full."""
        if elapsed_ms >= self.next_at_ms:
            return elapsed_ms + self.next_ms
        return elapsed_ms + self.offset_ms + int(min(elapsed_ms - self.since_ms, self.span_ms) * self.slope)


class SteadyClock(Clock):
    """The clock of a process; see the module. Until the first comparison it shows the machine's time.

    It never goes back, except when it adopts a step back of the reference.
    """

    monotonic: Callable[[], float]
    elapsed_ms: Callable[[], int]

    def __init__(self, machine: Clock, siblings: Siblings | None = None) -> None:
        self._machine = machine
        self._siblings = NoSiblings() if siblings is None else siblings
        self.monotonic = machine.monotonic
        self.elapsed_ms = machine.elapsed_ms
        self._line = _TimeLine(machine.now_ms() - machine.elapsed_ms())
        self._begun = False
        self.step: Step | None = None
        """The step of the reference that hasn't been adopted; None if there is none."""
        self.of_database = False
        """Whether the reference is the database's clock; otherwise it is the machine's."""
        self._machine_wrong = False
        self._steps, self._adopted = Cell(), Cell()

    @override
    def now_ms(self) -> int:
        line = self._line
        elapsed_ms = self.elapsed_ms()
        return elapsed_ms + line.offset_ms if elapsed_ms < line.plain_until_ms else line.at(elapsed_ms)

    @property
    def machine_ahead_ms(self) -> int:
        """How far the machine's clock is ahead of this one."""
        return self._machine.now_ms() - self.now_ms()

    def count_in(self, steps: Cell, adopted: Cell) -> None:
        """From now on, count the steps that are seen and adopted in these cells."""
        self._machine_wrong = False
        self._steps, self._adopted = steps, adopted

    async def compare(self, database_now_ms: Callable[[], Awaitable[int | None]]) -> bool:
        """Compare with the reference and follow it. The first comparison adopts the time that it finds.

        A process that starts beside others takes their time: the machine's clock may be wrong just now. Errors of
        `database_now_ms` are passed on.

        Returns:
            Whether the reference could be read. It couldn't if every answer took too long.
        """
        asked = await self._read_database(database_now_ms)
        if asked is None and self.of_database:
            return False
        reading = asked or self._read_machine()
        if reading is None:
            return False
        others = await self._siblings.others()
        if not self._begun:
            told = [other.steady_ms for other in others]
            self._line = _TimeLine(median_low(told) if told else reading.offset_ms)
            self._begun = True
        self.follow(reading, others)
        if self.of_database:
            self._look_at_machine()
        return True

    async def tell_siblings(self) -> None:
        """Tell the other processes the time of the machine and of this clock."""
        elapsed_ms = self.elapsed_ms()
        adopting_at_ms = self.step.adopting_at_ms if self.step is not None else 0
        machine_ms, steady_ms = self._machine.now_ms() - elapsed_ms, self.now_ms() - elapsed_ms
        await self._siblings.tell(Sighting(machine_ms, steady_ms, adopting_at_ms))

    async def close(self) -> None:
        """Leave the siblings."""
        await self._siblings.close()

    def follow(self, reading: Reading, others: Sequence[Sighting] = ()) -> None:
        """Slew to the reference, or note its step. A step that has lasted, and that all siblings see, is adopted."""
        elapsed_ms = self.elapsed_ms()
        offset_ms = self.now_ms() - elapsed_ms
        apart_ms = reading.offset_ms - offset_ms
        if abs(apart_ms) - reading.error_ms <= STEP_MS:
            self._end_step(elapsed_ms)
            self._slew(elapsed_ms, offset_ms, apart_ms, reading.error_ms)
            return
        self.step = step = self._judged(self._step_seen(elapsed_ms, apart_ms, reading), elapsed_ms, others)
        if not step.adopting_at_ms:
            self._line = _TimeLine(offset_ms)
        elif step.adopting_at_ms > elapsed_ms:
            at_ms = step.adopting_at_ms
            self._line = _TimeLine(offset_ms, at_ms, next_at_ms=at_ms, next_ms=reading.offset_ms)
        else:
            self._line = _TimeLine(reading.offset_ms)
            self._end_step(elapsed_ms)

    def _judged(self, step: Step, elapsed_ms: int, others: Sequence[Sighting]) -> Step:
        """The step, with the time of its adoption, if it has one: all processes of the machine have to see the step."""
        announced = [other.adopting_at_ms for other in others if other.adopting_at_ms]
        if elapsed_ms - step.since_ms < LASTING_MS and not announced:
            return step
        if any(abs(other.machine_ms - step.offset_ms) > 2 * STEP_MS for other in others):
            if not step.contradicted:
                _log.error("clock contradicted by another process's", by_s=step.by_ms / 1000)
            return step._replace(contradicted=True, adopting_at_ms=0)
        if not others or any(abs(other.steady_ms - step.offset_ms) <= STEP_MS for other in others):
            return step._replace(contradicted=False, adopting_at_ms=elapsed_ms)
        own = step.adopting_at_ms or elapsed_ms + TOGETHER_MS
        return step._replace(contradicted=False, adopting_at_ms=min([own, *announced]))

    def _look_at_machine(self) -> None:
        """Log and count steps of the machine's clock. A process that follows the database's clock ignores them."""
        ahead_ms = self.machine_ahead_ms
        wrong = abs(ahead_ms) > STEP_MS
        if wrong and not self._machine_wrong:
            self._steps.count += 1
            _log.warning("machine's clock is wrong", ahead_of_database_s=ahead_ms / 1000)
        elif self._machine_wrong and not wrong:
            _log.info("machine's clock right again")
        self._machine_wrong = wrong

    def _step_seen(self, elapsed_ms: int, apart_ms: int, reading: Reading) -> Step:
        """The current step: the one that was seen before, or a new one."""
        step = self.step
        if step is None:
            self._steps.count += 1
            _log.warning("clock stepped", by_s=apart_ms / 1000, adopted_after_s=LASTING_MS / 1000)
        elif (
            abs(step.offset_ms - reading.offset_ms) <= STEP_MS + reading.error_ms
            and elapsed_ms - step.seen_ms <= UNSEEN_MS_MAX
        ):
            return step._replace(seen_ms=elapsed_ms, by_ms=apart_ms)
        return Step(apart_ms, reading.offset_ms, elapsed_ms, elapsed_ms)

    def _end_step(self, elapsed_ms: int) -> None:
        if self.step is None:
            return
        if 0 < self.step.adopting_at_ms <= elapsed_ms:
            self._adopted.count += 1
            _log.warning("clock's step adopted", by_s=self.step.by_ms / 1000)
        else:
            _log.info("clock right again", was_ahead_s=self.step.by_ms / 1000)
        self.step = None

    def _slew(self, elapsed_ms: int, offset_ms: int, apart_ms: int, error_ms: float) -> None:
        """Run faster or slower until the difference is within the reading's error, or until the next comparison."""
        wrong_ms = abs(apart_ms) - error_ms
        if wrong_ms <= 0:
            self._line = _TimeLine(offset_ms)
            return
        span_ms = min(int(wrong_ms / SLEW), _SLEWED_OVER_MS)
        self._line = _TimeLine(offset_ms, elapsed_ms, SLEW if apart_ms > 0 else -SLEW, elapsed_ms, span_ms)

    def _read_machine(self) -> Reading | None:
        before_ms = self._machine.elapsed_ms()
        told_ms = self._machine.now_ms()
        took_ms = self._machine.elapsed_ms() - before_ms
        # A process that slept between the two has read nothing. Both clocks are rounded down: hence the 2.
        return None if took_ms > COMPARING_MS_MAX else Reading(told_ms - before_ms, took_ms + 2)

    async def _read_database(self, database_now_ms: Callable[[], Awaitable[int | None]]) -> Reading | None:
        """Ask the database several times and use the fastest answer (Cristian's algorithm, 1989).

        None if the fastest took `COMPARING_MS_MAX` or longer, or if the database has no clock of its own.
        """
        best_ms, best = COMPARING_MS_MAX, None
        for _ in range(COMPARISONS):
            began_s, began_ms = self._machine.monotonic(), self._machine.elapsed_ms()
            told_ms = await database_now_ms()
            took_ms = (self._machine.monotonic() - began_s) * 1000
            self.of_database = told_ms is not None
            if told_ms is None:
                return None
            if took_ms < best_ms:
                best_ms = took_ms
                best = Reading(told_ms - began_ms - round(took_ms / 2), took_ms / 2 + 2)
        return best


class SystemIds(Ids):
    """UUIDv7 (RFC 9562) from the machine's clock and entropy."""

    @override
    def new(self) -> str:
        return str(uuid_utils.uuid7())
