import asyncio
import time

import pytest
from tests.servers.valkey import MakeValkey, ValkeyProcess
from tests.wakeups.conftest import Wakeups, job_ids, jobs, until

from flashreserve.clock import SystemClock
from flashreserve.jobs.bullmq import QUEUE, open_wakeups

# The last second of the year 2099, so that it is due long after every test.
SECOND = 4_102_444_799
INSTANT = SECOND * 1000


async def added(server: ValkeyProcess, count: int) -> set[str]:
    """The jobs' ids, once there are this many."""

    def enough() -> bool:
        with server.client() as client:
            return int(client.zcard(f"bull:{QUEUE}:delayed")) >= count

    await until(enough)
    return await job_ids(server)


async def test_a_hold_makes_one_job_due_when_its_second_is_over(valkey: ValkeyProcess, wakeups: Wakeups) -> None:
    wakeups(valkey).expect([INSTANT + 250])
    await added(valkey, 1)
    (job,) = await jobs(valkey)
    assert (job.name, job.id) == ("sweep", f"sweep-{SECOND}")
    assert job.timestamp + job.delay == INSTANT + 1000
    assert job.data == {"second": SECOND, "due": "2100-01-01T00:00:00.000Z"}


async def test_all_holds_of_a_second_and_all_processes_share_one_job(valkey: ValkeyProcess, wakeups: Wakeups) -> None:
    one, other = wakeups(valkey), wakeups(valkey)
    for milliseconds in range(1000):
        one.expect([INSTANT + milliseconds])
        other.expect([INSTANT + milliseconds, INSTANT + 1000])
    assert await added(valkey, 2) == {f"sweep-{SECOND}", f"sweep-{SECOND + 1}"}


async def test_no_id_has_a_colon_or_is_a_number(valkey: ValkeyProcess, wakeups: Wakeups) -> None:
    wakeups(valkey).expect([INSTANT])
    assert [id_ for id_ in await added(valkey, 1) if ":" in id_ or id_.isdigit()] == []


async def test_a_second_that_was_added_is_not_added_again(valkey: ValkeyProcess, wakeups: Wakeups) -> None:
    waking = wakeups(valkey)
    waking.expect([INSTANT])
    await added(valkey, 1)
    await until(lambda: not waking._pending)
    valkey.flush()
    waking.expect([INSTANT])
    waking.expect([INSTANT + 5_000])
    assert await added(valkey, 1) == {f"sweep-{SECOND + 5}"}


async def test_thousands_of_seconds_are_added(valkey: ValkeyProcess, wakeups: Wakeups) -> None:
    wakeups(valkey).expect(range(INSTANT, INSTANT + 1_000_000, 500))
    assert len(await added(valkey, 1_000)) == 1_000


async def test_what_waits_is_bounded(valkey: ValkeyProcess, wakeups: Wakeups) -> None:
    waking = wakeups(valkey, waiting_max=10)
    waking.expect(range(INSTANT, INSTANT + 100_000, 1_000))
    assert len(waking._pending) == 10
    assert len(await added(valkey, 10)) == 10


async def test_what_is_remembered_is_bounded(valkey: ValkeyProcess, wakeups: Wakeups) -> None:
    waking = wakeups(valkey, added_max=10)
    waking.expect(range(INSTANT, INSTANT + 100_000, 1_000))
    await added(valkey, 100)
    await until(lambda: not waking._pending)
    assert len(waking._added) == 10


async def test_without_redis_nobody_waits_and_later_holds_of_the_same_second_are_added(
    own_valkey: MakeValkey, wakeups: Wakeups, capsys: pytest.CaptureFixture[str]
) -> None:
    server = own_valkey()
    server.kill()
    waking = wakeups(server)
    said = ""
    for _ in range(2):
        waking.expect([INSTANT])
        await until(lambda: not waking._pending)
        said += capsys.readouterr().out
    assert said.count("redis fails") == 1
    server.start()
    waking.expect([INSTANT])
    assert await added(server, 1) == {f"sweep-{SECOND}"}
    assert "redis works again" in capsys.readouterr().out


async def test_a_killed_redis_is_found_again(own_valkey: MakeValkey, wakeups: Wakeups) -> None:
    server = own_valkey(persistent=True)
    waking = wakeups(server)
    waking.expect([INSTANT])
    await added(server, 1)
    server.kill()
    server.start()
    waking.expect([INSTANT + 1_000])
    assert len(await added(server, 2)) == 2


async def test_a_frozen_redis_holds_up_neither_requests_nor_the_end(own_valkey: MakeValkey) -> None:
    server = own_valkey()
    waking = open_wakeups(server.url, SystemClock())
    waking.expect([INSTANT])
    await added(server, 1)
    server.freeze()
    began = time.monotonic()
    for number in range(1_000):
        waking.expect([INSTANT + number * 1_000])
    await asyncio.sleep(0)
    assert time.monotonic() - began < 1
    await waking.close()
    assert time.monotonic() - began < 3


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="scheme"):
        open_wakeups("localhost", SystemClock())
