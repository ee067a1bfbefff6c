import asyncio
import time
from collections import Counter
from collections.abc import Callable

import pytest
from bullmq import Queue, Worker  # type: ignore[import-untyped]
from tests.servers.valkey import MakeValkey, ValkeyProcess
from tests.wakeups.conftest import PATIENCE_S, StartWorker, Sweeps, Wakeups, a_job, jobs, until

from flashreserve.clock import SystemClock
from flashreserve.jobs import bullmq
from flashreserve.jobs.bullmq import QUEUE, run_worker
from flashreserve.jobs.job_list import Job
from flashreserve.redis_server import connect, disconnect
from flashreserve.side_by_side import end_all
from flashreserve.stores.port import StoreUnavailableError


def soon() -> int:
    """An instant in the current second. Its wake-up comes when this second is over."""
    return time.time_ns() // 1_000_000


async def woken(sweeps: Sweeps, wakeups: Wakeups, server: ValkeyProcess, *, after_s: int = 0) -> float:
    """Seconds from the end of a hold's second to the worker's sweep."""
    count, instant = sweeps.count, soon() + after_s * 1000
    wakeups(server).expect([instant])
    await until(lambda: sweeps.count > count)
    return time.time() - (instant // 1000 + 1)


async def test_a_worker_sweeps_when_a_hold_lapses(
    valkey: ValkeyProcess, wakeups: Wakeups, start_worker: StartWorker
) -> None:
    sweeps = Sweeps()
    await start_worker(valkey, sweeps)
    assert -0.01 <= await woken(sweeps, wakeups, valkey) < 1
    assert sweeps.count == 2


async def test_a_wake_up_from_before_the_worker_started_is_not_lost(
    valkey: ValkeyProcess, wakeups: Wakeups, start_worker: StartWorker
) -> None:
    sweeps, waking = Sweeps(), wakeups(valkey)
    waking.expect([soon()])
    await until(lambda: bool(waking._added))
    await start_worker(valkey, sweeps)
    await until(lambda: sweeps.count == 2)


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [7, 12])
async def test_a_lone_job_on_an_idle_queue_is_done_in_time(
    own_valkey: MakeValkey, wakeups: Wakeups, start_worker: StartWorker, after_s: int
) -> None:
    server, sweeps = own_valkey(), Sweeps()
    await start_worker(server, sweeps)
    assert -0.01 <= await woken(sweeps, wakeups, server, after_s=after_s) < 1


async def test_of_two_workers_one_is_woken(valkey: ValkeyProcess, wakeups: Wakeups, start_worker: StartWorker) -> None:
    one, other = Sweeps(), Sweeps()
    await start_worker(valkey, one)
    await start_worker(valkey, other)
    waking = wakeups(valkey)
    waking.expect([soon() - 2_000, soon() - 3_000, soon() - 4_000])
    await until(lambda: one.count + other.count == 2 + 3)
    await until_states(valkey, {"completed": 3})
    assert one.count + other.count == 2 + 3


async def until_states(server: ValkeyProcess, states: dict[str, int]) -> None:
    """Wait until this many jobs are in these states, and none in any other."""

    def reached() -> bool:
        with server.client() as client:
            sets = {state: client.zcard(f"bull:{QUEUE}:{state}") for state in ("completed", "failed", "delayed")}
            lists = {state: client.llen(f"bull:{QUEUE}:{state}") for state in ("wait", "active")}
            return {state: count for state, count in (sets | lists).items() if count} == states

    await until(reached)


async def test_a_dashboard_sees_what_a_wake_up_came_to(
    valkey: ValkeyProcess, wakeups: Wakeups, start_worker: StartWorker
) -> None:
    sweeps = Sweeps()
    await start_worker(valkey, sweeps)
    await woken(sweeps, wakeups, valkey)
    await until_states(valkey, {"completed": 1})
    (job,) = await jobs(valkey)
    assert (job.name, job.returnvalue) == ("sweep", 2)


async def test_a_sweep_that_fails_fails_its_wake_up_and_the_next_one_succeeds(
    valkey: ValkeyProcess, wakeups: Wakeups, start_worker: StartWorker
) -> None:
    sweeps = Sweeps()
    await start_worker(valkey, sweeps)
    sweeps.error = StoreUnavailableError("the database is away")
    await woken(sweeps, wakeups, valkey)
    await until_states(valkey, {"failed": 1})
    (job,) = await jobs(valkey)
    assert job.failedReason == "the database is away"
    sweeps.error = None
    await woken(sweeps, wakeups, valkey)
    await until_states(valkey, {"failed": 1, "completed": 1})


async def test_finished_wake_ups_do_not_pile_up(
    valkey: ValkeyProcess, wakeups: Wakeups, start_worker: StartWorker
) -> None:
    sweeps = Sweeps()
    await start_worker(valkey, sweeps)
    wakeups(valkey).expect(range(soon() - 300_000, soon() - 100_000, 1_000))
    await until(lambda: sweeps.count >= 200)
    await until_states(valkey, {"completed": 100})


async def test_without_any_redis_the_worker_sweeps_and_recovers(own_valkey: MakeValkey) -> None:
    server, passes = own_valkey(), Counter[str]()
    server.kill()

    async def run(job: Job) -> int:
        passes[job.name] += 1
        return 0

    jobs = [a_job("sweep", every_s=0.01), a_job("recover", every_s=0.01, on_wakeup=False)]
    work = run_worker(server.url, jobs, run, clock=SystemClock(), jitter=lambda: 0.0)
    task = asyncio.create_task(work)
    await until(lambda: passes["sweep"] >= 20 and passes["recover"] >= 20)
    task.cancel()
    await asyncio.wait({task})


async def test_a_worker_that_started_without_redis_finds_it_later(
    own_valkey: MakeValkey, wakeups: Wakeups, start_worker: StartWorker
) -> None:
    server, sweeps = own_valkey(), Sweeps()
    server.kill()
    await start_worker(server, sweeps)
    server.start()
    await woken(sweeps, wakeups, server)


async def test_a_worker_survives_the_death_of_redis_and_still_hears_of_what_was_added_before(
    own_valkey: MakeValkey, wakeups: Wakeups, start_worker: StartWorker
) -> None:
    server, sweeps = own_valkey(persistent=True), Sweeps()
    await start_worker(server, sweeps)
    await woken(sweeps, wakeups, server)
    waking = wakeups(server)
    waking.expect([soon() + 1_000])
    await until(lambda: bool(waking._added))
    server.kill()
    server.start()
    await until(lambda: sweeps.count == 3)
    await woken(sweeps, wakeups, server)


async def test_after_everything_was_flushed_new_wake_ups_are_heard(
    own_valkey: MakeValkey, wakeups: Wakeups, start_worker: StartWorker
) -> None:
    server, sweeps = own_valkey(), Sweeps()
    await start_worker(server, sweeps)
    await woken(sweeps, wakeups, server)
    waking = wakeups(server)
    waking.expect([soon() + 60_000])
    await until(lambda: bool(waking._added))
    server.flush()
    await woken(sweeps, wakeups, server)


async def test_a_wake_up_that_a_dead_worker_had_taken_is_taken_again(
    valkey: ValkeyProcess, wakeups: Wakeups, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis = connect(valkey.url, timeout_s=30, connections_max=2)
    dead = Worker(QUEUE, None, {"connection": redis, "autorun": False, "lockDuration": 100})
    waking = wakeups(valkey)
    waking.expect([soon() - 2_000])
    await until(lambda: bool(waking._added))
    assert await dead.getNextJob("its token") is not None
    await disconnect(redis)

    monkeypatch.setattr(bullmq, "_STALLED_EVERY_MS", 200)
    sweeps = Sweeps()
    await start_worker(valkey, sweeps)
    await until(lambda: sweeps.count == 2)
    await until_states(valkey, {"completed": 1})


async def test_a_pass_never_runs_twice_at_once(
    valkey: ValkeyProcess, wakeups: Wakeups, start_worker: StartWorker
) -> None:
    sweeps = Sweeps(held=True)
    await start_worker(valkey, sweeps, every_s=0.001)
    waking = wakeups(valkey)
    waking.expect([soon() - 2_000])
    await until_states(valkey, {"active": 1})
    assert sweeps.count == 1
    sweeps.go_on.set()
    await until_states(valkey, {"completed": 1})


async def ended_after(task: "asyncio.Task[None]") -> float:
    """Seconds that the worker takes to end."""
    began = time.monotonic()
    await end_all(task)
    assert task.cancelled()
    return time.monotonic() - began


@pytest.fixture
def long_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengthens the limits for ending by force, so that a forced end can't be mistaken for a slow machine."""
    monkeypatch.setattr(bullmq, "CLOSE_TIMEOUT_S", 10.0)


@pytest.mark.usefixtures("long_patience")
async def test_an_idle_worker_ends_at_once(valkey: ValkeyProcess, wakeups: Wakeups, start_worker: StartWorker) -> None:
    sweeps = Sweeps()
    task = await start_worker(valkey, sweeps)
    await woken(sweeps, wakeups, valkey)
    before = asyncio.all_tasks() - {task}
    assert await ended_after(task) < 5
    assert asyncio.all_tasks() <= before, "it left something running"


@pytest.mark.usefixtures("long_patience")
async def test_a_worker_ends_at_once_in_whichever_moment_it_is_ended(
    valkey: ValkeyProcess, start_worker: StartWorker
) -> None:
    # BullMQ cancels its wait once. Of 20 moments after a job, one came before the wait, and the worker didn't end.
    moments = 100
    redis = connect(valkey.url, timeout_s=10, connections_max=1)
    queue = Queue(QUEUE, {"connection": redis})
    for steps in range(moments):
        sweeps = Sweeps()
        task = await start_worker(valkey, sweeps)
        await queue.addBulk(bullmq._jobs([steps], soon()))
        async with asyncio.timeout(PATIENCE_S):
            while sweeps.count < 2:  # noqa: ASYNC110 - an event would wake it one turn of the loop later
                await asyncio.sleep(0)
        for _ in range(steps):
            await asyncio.sleep(0)
        assert await ended_after(task) < 5
    await disconnect(redis)


async def test_a_worker_that_finds_no_redis_ends_soon_in_whichever_moment_it_is_ended(
    own_valkey: MakeValkey, start_worker: StartWorker
) -> None:
    # Every 0.2 s the worker gives up, cleans up and starts again; a cancellation during the clean-up must not be lost.
    server = own_valkey()
    server.kill()
    before = asyncio.all_tasks()
    tasks = []
    for moment in range(80):
        task = await start_worker(server, Sweeps())
        asyncio.get_running_loop().call_later(moment * 0.005, task.cancel)
        tasks.append(task)
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait(tasks)
    assert asyncio.all_tasks() <= before, "one left something running"


@pytest.mark.parametrize("fault", [ValkeyProcess.kill, ValkeyProcess.freeze])
async def test_a_worker_without_redis_ends_soon(
    own_valkey: MakeValkey, wakeups: Wakeups, start_worker: StartWorker, fault: Callable[[ValkeyProcess], None]
) -> None:
    server, sweeps = own_valkey(), Sweeps()
    task = await start_worker(server, sweeps)
    await woken(sweeps, wakeups, server)
    before = asyncio.all_tasks() - {task}
    fault(server)
    assert await ended_after(task) < 4
    assert asyncio.all_tasks() <= before, "it left something running"


async def test_a_pass_that_has_begun_ends_before_the_worker_does(
    valkey: ValkeyProcess, start_worker: StartWorker
) -> None:
    sweeps = Sweeps(held=True)
    task = await start_worker(valkey, sweeps)
    ended: list[str] = []
    sweep_task = next(
        each for each in asyncio.all_tasks() if "Sweeps.run" in repr(each.get_coro()) and each is not task
    )
    sweep_task.add_done_callback(lambda _: ended.append("sweep"))
    task.add_done_callback(lambda _: ended.append("worker"))
    task.cancel()
    await asyncio.sleep(0)
    sweeps.go_on.set()
    await asyncio.wait({task})
    assert ended == ["sweep", "worker"]
    assert not sweep_task.cancelled()


async def test_a_pass_has_a_second_to_end_however_often_the_worker_is_cancelled(
    valkey: ValkeyProcess, start_worker: StartWorker
) -> None:
    sweeps = Sweeps(held=True)
    task = await start_worker(valkey, sweeps)
    asyncio.get_running_loop().call_later(0.5, sweeps.go_on.set)
    assert 0.5 <= await ended_after(task) < 2
    assert sweeps.ended == 1


async def test_a_pass_that_does_not_end_is_cut_off(valkey: ValkeyProcess, start_worker: StartWorker) -> None:
    sweeps = Sweeps(held=True)
    assert await ended_after(await start_worker(valkey, sweeps)) < 4


async def test_a_url_that_is_none_is_refused() -> None:
    sweeps = Sweeps()
    with pytest.raises(ValueError, match="scheme"):
        await run_worker("localhost", [a_job()], sweeps.run, clock=SystemClock(), jitter=lambda: 0.0)
