import asyncio

import pytest
from tests.contract.requests import every
from tests.core.examples import ANN, CUP, HOLD_MS, NOON, a_product, confirm, reserve

from flashreserve.bootstrap.work import passes
from flashreserve.core.endpoints import AttemptResult, LoggedAttempt
from flashreserve.core.model import Status
from flashreserve.jobs.event_retention import forget_events_once
from flashreserve.jobs.job_list import JOBS
from flashreserve.jobs.loop import repeat, run_shielded
from flashreserve.jobs.recovery import recover_once
from flashreserve.jobs.sweep import sweep_once
from flashreserve.settings import Settings
from flashreserve.side_by_side import end_all
from flashreserve.stores.filters import ALL_EVENTS
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import StoreUnavailableError, Swept

LAPSED = NOON + HOLD_MS


@pytest.fixture
async def store() -> MemoryStore:
    made = MemoryStore()
    await made.add_products([a_product(units=25)])
    await made.flush([reserve(number, ANN) for number in range(25)], NOON)
    return made


async def test_a_sweep_releases_all_that_is_due_in_bounded_steps(store: MemoryStore) -> None:
    assert await sweep_once(store, LAPSED, step_max=10) == 25
    assert (await store.audit()).differences == []
    assert {held.status for held in await every(store)} == {Status.EXPIRED}


async def test_a_sweep_leaves_alone_what_is_not_due(store: MemoryStore) -> None:
    assert await sweep_once(store, LAPSED - 1) == 0


async def test_a_sweep_ends_after_its_last_step(store: MemoryStore) -> None:
    assert await sweep_once(store, LAPSED, step_max=10, steps_max=2) == 20
    assert await sweep_once(store, LAPSED, step_max=10, steps_max=2) == 5


async def test_sweeping_again_returns_nothing_twice(store: MemoryStore) -> None:
    await sweep_once(store, LAPSED)
    assert await sweep_once(store, LAPSED) == 0
    assert (await store.audit()).differences == []


DAY_MS = 24 * 3600 * 1000


async def bought(store: MemoryStore, at: int) -> None:
    """Add an event, the purchase of the next hold, at this time."""
    number = len((await store.events(ALL_EVENTS, 0, 200)).events) - 1
    await store.flush([confirm(number, ANN)], at)


async def test_events_are_kept_for_the_days_of_the_setting_and_no_longer(store: MemoryStore) -> None:
    for second in range(5):
        await bought(store, NOON + second * 1000)
    now = NOON + 10 * DAY_MS + 2_000

    assert await forget_events_once(store, now, days=11) == 0
    # The product was made before noon. An event of exactly that age stays.
    assert await forget_events_once(store, now, days=10) == 3
    left = [logged.event.at for logged in (await store.events(ALL_EVENTS, 0, 200)).events]
    assert left == [NOON + 2_000, NOON + 3_000, NOON + 4_000]
    assert await forget_events_once(store, NOON + 400 * DAY_MS) == 0
    assert await forget_events_once(store, NOON + 401 * DAY_MS) == 3


async def test_events_are_deleted_in_bounded_steps(store: MemoryStore) -> None:
    for second in range(5):
        await bought(store, NOON + second * 1000)
    later = NOON + 500 * DAY_MS

    assert await forget_events_once(store, later, step_max=2, steps_max=2) == 4
    assert await forget_events_once(store, later, step_max=2, steps_max=2) == 2


async def test_attempts_are_deleted_with_the_events_that_they_were_about(store: MemoryStore) -> None:
    attempts = [
        LoggedAttempt(f"{number:04d}", "endpoint", f"{CUP}-1", 1, NOON + number, 200, 9, None, AttemptResult.DELIVERED)
        for number in range(5)
    ]
    await store.log_attempts(attempts)

    await forget_events_once(store, NOON + 10 * DAY_MS + 4, days=10, step_max=2)
    assert await store.attempts("endpoint", None, 9) == attempts[4:]


async def test_a_job_that_depends_on_a_setting_is_run_by_it(store: MemoryStore) -> None:
    (job,) = [job for job in JOBS if job.name == "forget-events"]
    await bought(store, NOON)
    now = NOON + 8 * DAY_MS

    assert await job.pass_by(Settings(events_days=9))(store, now) == 0
    assert await job.run_once(store, now) == 0
    assert await passes(store, lambda: now, Settings(events_days=7))(job) == 2


async def test_others_get_their_turn_between_the_steps(store: MemoryStore) -> None:
    steps: list[str] = []

    class SteppedStore(MemoryStore):
        async def release_lapsed(self, now: int, most: int) -> Swept:
            steps.append("sweep")
            await asyncio.sleep(0)
            return await store.release_lapsed(now, most)

    async def other() -> None:
        steps.append("other")

    await asyncio.gather(sweep_once(SteppedStore(), LAPSED, step_max=10), other())
    assert steps == ["sweep", "other", "sweep", "sweep"]


async def test_a_store_with_transactions_has_nothing_to_recover(store: MemoryStore) -> None:
    assert await recover_once(store, LAPSED) == 0


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), RuntimeError("a bug")])
async def test_a_pass_that_fails_does_not_end_the_loop(error: Exception) -> None:
    went_on = asyncio.Event()
    faults = [error]

    async def job() -> int:
        if faults:
            raise faults.pop()
        went_on.set()
        return 1

    loop = asyncio.create_task(repeat("test", job, every_s=0.001, jitter=lambda: 0.0))
    await asyncio.wait_for(went_on.wait(), timeout=5)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop


async def test_a_loop_ends_even_if_its_job_swallows_a_cancellation() -> None:
    swallowed = 0

    async def deaf() -> int:
        nonlocal swallowed
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            swallowed += 1
            if swallowed > 1:
                raise
        return 0

    loop = asyncio.create_task(repeat("deaf", deaf, every_s=60.0, jitter=lambda: 0.0))
    await asyncio.sleep(0)
    await asyncio.wait_for(end_all(loop), timeout=5)
    assert loop.done()
    assert swallowed == 1


async def test_a_clean_up_runs_to_its_end_and_a_cancellation_meanwhile_is_raised_afterwards() -> None:
    cleaned = []

    async def clean() -> None:
        for _ in range(3):
            await asyncio.sleep(0.01)
        cleaned.append("all")

    task = asyncio.create_task(run_shielded(clean()))
    for _ in range(2):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait({task})
    assert cleaned == ["all"]
    assert task.cancelled()


async def test_a_clean_up_that_nobody_cancels_raises_no_cancellation() -> None:
    await run_shielded(asyncio.sleep(0.001))


async def test_an_error_of_a_clean_up_is_raised() -> None:
    async def clean() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await run_shielded(clean())
